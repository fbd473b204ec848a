package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Problems collects everything that is wrong with a config, so that one run reports all of it. The
// zero value is empty and ready for use.
type Problems struct{ lines []string }

// Add adds one line: the path in the config, and a sentence that says what is wrong and what is
// accepted, made of format and args as fmt.Sprintf does. Untrusted values belong into args, rendered
// with Show.
func (p *Problems) Add(path, format string, args ...any) {
	p.lines = append(p.lines, path+": "+fmt.Sprintf(format, args...))
}

// AddError adds an error on what path names, such as a file. If it is one of Err, each of its
// problems becomes a line of its own.
func (p *Problems) AddError(path string, err error) {
	var several *Error
	if !errors.As(err, &several) {
		p.Add(path, "%v", err)
		return
	}
	for _, line := range several.Lines {
		p.Add(path, "%s", line)
	}
}

// Err is an *Error; nil if there is no problem.
func (p *Problems) Err() error {
	if len(p.lines) == 0 {
		return nil
	}
	return &Error{slices.Sorted(slices.Values(p.lines))}
}

// Error lists all problems, sorted, one a line.
type Error struct{ Lines []string }

func (e *Error) Error() string {
	return "the config has problems, and nothing was changed:\n  " + strings.Join(e.Lines, "\n  ")
}

// unknown adds a key that no part of the program reads.
func (p *Problems) unknown(path, key string, known []string) {
	list := strings.Join(slices.Sorted(slices.Values(known)), ", ")
	if near := nearest(key, known); near != "" {
		p.Add(path, "unknown key; did you mean %s? Known keys: %s", near, list)
		return
	}
	p.Add(path, "unknown key; known keys: %s", list)
}

// wordPattern matches keys that a path shows without quotes.
var wordPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// Join appends a key to a path in the config: tenants and acme make tenants.acme. A key that does not
// read as one word is quoted: tenants["a b"]. An empty path is that of the whole config.
func Join(path, key string) string {
	switch {
	case path == "":
		return key
	case wordPattern.MatchString(key):
		return path + "." + key
	}
	return fmt.Sprintf("%s[%s]", path, Show(key))
}

// Show renders an untrusted value, a string or JSON text, for a message: on one line, strings in
// quotes, letters outside of ASCII as escapes (a Cyrillic a looks like a Latin one), long values cut
// off.
func Show[T string | json.RawMessage](v T) string {
	text := string(v)
	raw, isRaw := any(v).(json.RawMessage)
	switch {
	case isRaw && json.Valid(raw) && raw[0] != '"':
		text = escapeControls(strings.Join(strings.Fields(text), " "))
	case isRaw && json.Unmarshal(raw, &text) != nil:
		text = strconv.QuoteToASCII(string(raw))
	default:
		text = strconv.QuoteToASCII(text)
	}
	if most := 2 * MaxNameBytes; len(text) > most {
		return fmt.Sprintf("%.*s… (%d bytes)", most, text, len(v))
	}
	return text
}

// escapeControls escapes what strconv.QuoteToASCII would, and keeps the quotes that are there.
func escapeControls(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r >= ' ' && r <= '~' {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// nearest is the known word that the given one seems to be meant for: the same but for case and
// underscores, or one slip away (a letter added, dropped or changed, two neighbours swapped). It is
// empty if there is none. Words of less than five letters have too many neighbours for a guess, and
// only case and underscores may differ.
func nearest(word string, known []string) string {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	for _, k := range known {
		a, b := plain(word), plain(k)
		if a == b {
			return k
		}
		if len(b) < 5 {
			continue
		}
		for a != "" && b != "" && a[0] == b[0] {
			a, b = a[1:], b[1:]
		}
		for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
			a, b = a[:len(a)-1], b[:len(b)-1]
		}
		if len(a) <= 1 && len(b) <= 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0] {
			return k
		}
	}
	return ""
}
