package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// object is one JSON object of the config. Each getter takes a field out and notes a problem if
// its value is not acceptable; what is left when done is called is a key nobody knows.
type object struct {
	path   string
	fields map[string]json.RawMessage
	known  []string
	p      *problems
}

// newObject splits an object into its fields. A key given twice is a problem here, where
// encoding/json would keep the last one and drop the first.
func newObject(p *problems, path string, raw json.RawMessage) *object {
	o := &object{path: path, fields: map[string]json.RawMessage{}, p: p}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') || !json.Valid(raw) {
		p.add(path, show(raw), "an object, {} for the defaults")
		return o
	}
	for dec.More() {
		key, err := dec.Token()
		var value json.RawMessage
		if err = errors.Join(err, dec.Decode(&value)); err != nil {
			p.add(path, err.Error(), "an object")
			return o
		}
		name := key.(string) // encoding/json allows nothing else as a key
		if _, twice := o.fields[name]; twice {
			p.add(join(path, name), "the key twice", "it once")
		}
		o.fields[name] = value
	}
	return o
}

// field takes a field of type T, or def if it is not set. null is no value of any type.
func field[T any](o *object, key string, def T, want string, valid func(T) bool) T {
	o.known = append(o.known, key)
	raw, ok := o.fields[key]
	delete(o.fields, key)
	if !ok {
		return def
	}
	var v *T
	if err := json.Unmarshal(raw, &v); err != nil || v == nil || !valid(*v) {
		o.p.add(join(o.path, key), show(raw), want)
		return def
	}
	return *v
}

func (o *object) bool(key string, def bool) bool {
	return field(o, key, def, "true or false", func(bool) bool { return true })
}

func (o *object) int(key string, def, least int, want string) int {
	return field(o, key, def, want, func(n int) bool { return n >= least && n <= math.MaxInt32 })
}

// object takes a field that is an object, empty if it is not set.
func (o *object) object(key string) *object {
	o.known = append(o.known, key)
	raw, ok := o.fields[key]
	delete(o.fields, key)
	if !ok {
		raw = json.RawMessage("{}")
	}
	return newObject(o.p, join(o.path, key), raw)
}

// otherKeys are the keys not taken so far, sorted, for an object whose keys are identities. One
// that looks like a misspelt known key is a problem, so that `amdin` is not taken for a login.
func (o *object) otherKeys(want string, valid func(string) bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(o.fields)), func(key string) bool {
		if nearest(key, o.known) != "" {
			o.p.unknown(join(o.path, key), key, o.known)
			return true
		}
		if !valid(key) {
			o.p.add(join(o.path, key), "the key "+show(key), want)
		}
		return false
	})
}

// done reports what was not taken.
func (o *object) done() {
	for key := range o.fields {
		o.p.unknown(join(o.path, key), key, o.known)
	}
}

// problems collects what is wrong with a config.
type problems struct{ lines []string }

// add notes a problem: where, what stands there, what would be accepted.
func (p *problems) add(path, got, want string) {
	p.lines = append(p.lines, fmt.Sprintf("%s: got %s, want %s", path, got, want))
}

func (p *problems) unknown(path, key string, known []string) {
	want := "one of " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
	if near := nearest(key, known); near != "" {
		want = fmt.Sprintf("%s: did you mean %s?", want, near)
	}
	p.add(path, "the unknown key "+show(key), want)
}

func (p *problems) err() error {
	if len(p.lines) == 0 {
		return nil
	}
	slices.Sort(p.lines)
	return fmt.Errorf("bad config, nothing was changed:\n  %s", strings.Join(p.lines, "\n  "))
}

// join appends a key to a config path, quoted where it would not read as one word.
func join(path, key string) string {
	if path == "" {
		return key
	}
	if namePattern.MatchString(strings.ToLower(key)) {
		return path + "." + key
	}
	return fmt.Sprintf("%s[%s]", path, show(key))
}

// show renders a value for an error text: on one line, foreign letters as escapes (a Cyrillic a
// looks like a Latin one), and cut if it is long.
func show[T string | json.RawMessage](v T) string {
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

// nearest is the known word that the given one seems to be meant for: the same but for case and
// underscores, or one slip away (a letter added, dropped or changed, two neighbours swapped).
// Words of less than five letters have too many neighbours for a guess.
func nearest(word string, known []string) string {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	for _, k := range known {
		a, b := plain(word), plain(k)
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
