package standin

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The official plugin reads the settings of a role, rolconfig, as an array of bytea although it is one
// of text. Every role may give itself settings, so these functions read them and fail as that does,
// with its messages.

// bytesIn takes each text of a column for a bytea in escape form.
func bytesIn(index int, column string, texts []string) ([]string, error) {
	texts = slices.Clone(texts)
	for i := range texts {
		var err error
		if texts[i], err = unescape(texts[i]); err != nil {
			return nil, fmt.Errorf("error reading ROLE: sql: Scan error on column index %d, name %q: could not parse bytea array index %d: %w",
				index, column, i, err)
		}
	}
	return texts, nil
}

// unescape reads two backslashes as one, and one with three octal digits as a byte; any other backslash
// is an error.
func unescape(text string) (string, error) {
	var all strings.Builder
	for {
		before, after, found := strings.Cut(text, `\`)
		all.WriteString(before)
		switch {
		case !found:
			return all.String(), nil
		case strings.HasPrefix(after, `\`):
			all.WriteByte('\\')
			text = after[1:]
		case len(after) < 3:
			return "", fmt.Errorf("invalid bytea sequence %v", []byte(`\`+after))
		default:
			octal, err := strconv.ParseUint(after[:3], 8, 8)
			if err != nil {
				return "", fmt.Errorf("could not parse bytea value: %w", err)
			}
			all.WriteByte(byte(octal))
			text = after[3:]
		}
	}
}

// timeoutIn takes a number only: a time with a unit cannot be read. The message is about the
// statement_timeout whichever of the two it is.
func timeoutIn(settings []string, name string) (int, error) {
	for _, setting := range settings {
		if value, ok := strings.CutPrefix(setting, name+"="); ok {
			milliseconds, err := strconv.Atoi(value)
			if err != nil {
				return 0, fmt.Errorf("error reading statement_timeout: %w", err)
			}
			return milliseconds, nil
		}
	}
	return 0, nil
}

// searchPathIn understands quotes only at both ends of a name. A byte that is no UTF-8
// becomes the replacement character.
func searchPathIn(settings []string) []string {
	for _, setting := range settings {
		if path, ok := strings.CutPrefix(setting, "search_path="); ok {
			schemas := strings.Split(path, ", ")
			for i := range schemas {
				schemas[i] = string([]rune(strings.Trim(schemas[i], `"`)))
			}
			return schemas
		}
	}
	return nil
}

func assumedRoleIn(settings []string) string {
	for _, setting := range settings {
		if role, ok := strings.CutPrefix(setting, "role="); ok {
			return role
		}
	}
	return ""
}
