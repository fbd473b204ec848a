package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problems collects what is wrong with a config, so that all of it is reported at once.
type Problems struct{ lines []string }

// Add adds a problem: the config path, and what is wrong there and what to do.
func (p *Problems) Add(path, text string) { p.lines = append(p.lines, path+": "+text) }

// Reject adds a value that is not accepted, as Show renders it, and what would be.
func (p *Problems) Reject(path, value, accepted string) {
	p.Add(path, "got "+value+", want "+accepted)
}

// unknown adds a key that nothing reads.
func (p *Problems) unknown(path, key string, known []string) {
	text := "unknown key"
	if near := nearest(key, known); near != "" {
		text += ", did you mean " + near + "?"
	} else {
		text += ":"
	}
	p.Add(path, text+" known are "+strings.Join(slices.Sorted(slices.Values(known)), ", "))
}

// Err is one error with all problems, sorted, or nil if there are none.
func (p *Problems) Err() error {
	if len(p.lines) == 0 {
		return nil
	}
	slices.Sort(p.lines)
	return fmt.Errorf("bad config, nothing was changed:\n  %s", strings.Join(p.lines, "\n  "))
}

// Join appends a key to a config path, quoted where it would not read as one word.
func Join(path, key string) string {
	if path == "" {
		return key
	}
	if namePattern.MatchString(strings.ToLower(key)) {
		return path + "." + key
	}
	return fmt.Sprintf("%s[%s]", path, Show(key))
}

// Show renders a value for an error text: on one line, foreign letters as escapes (a Cyrillic a
// looks like a Latin one), and cut if it is long.
func Show[T string | json.RawMessage](v T) string {
	text := string(v)
	raw, isRaw := any(v).(json.RawMessage)
	switch {
	case isRaw && json.Valid(raw) && raw[0] != '"':
		text = strings.Join(strings.Fields(text), " ")
	case isRaw && json.Unmarshal(raw, &text) != nil:
		text = strconv.QuoteToASCII(string(raw))
	default:
		text = strconv.QuoteToASCII(text)
	}
	if most := 2 * maxNameBytes; len(text) > most {
		return fmt.Sprintf("%.*s… (%d bytes)", most, text, len(v))
	}
	return text
}
