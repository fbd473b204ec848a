package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
)

// object is one JSON object of the config. Each getter takes a field out and notes a problem if
// its value is not acceptable; what is left when done is called is a key nobody knows.
type object struct {
	path   string
	fields map[string]json.RawMessage
	known  []string
	p      *Problems
}

// newObject splits an object into its fields. A key given twice is a problem here, where
// encoding/json would keep the last one and drop the first.
func newObject(p *Problems, path string, raw json.RawMessage) *object {
	o := &object{path: path, fields: map[string]json.RawMessage{}, p: p}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') || !json.Valid(raw) {
		p.Reject(path, Show(raw), "an object, {} for the defaults")
		return o
	}
	for dec.More() {
		key, err := dec.Token()
		var value json.RawMessage
		if err = errors.Join(err, dec.Decode(&value)); err != nil {
			p.Reject(path, err.Error(), "an object")
			return o
		}
		name := key.(string) // encoding/json allows nothing else as a key
		if _, twice := o.fields[name]; twice {
			p.Add(Join(path, name), "the key is given twice: give it once")
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
		o.p.Reject(Join(o.path, key), Show(raw), want)
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
	return newObject(o.p, Join(o.path, key), raw)
}

// required takes a text that has no default.
func (o *object) required(key, want string, valid func(string) bool) string {
	if _, set := o.fields[key]; !set {
		o.known = append(o.known, key)
		o.p.Add(Join(o.path, key), "not set: give "+want)
		return ""
	}
	return field(o, key, "", want, valid)
}

// keys are the keys of an object whose keys are identities, sorted.
func (o *object) keys(want string, valid func(string) bool) []string {
	keys := slices.Sorted(maps.Keys(o.fields))
	for _, key := range keys {
		if !valid(key) {
			o.p.Add(Join(o.path, key), "the key "+Show(key)+" is not accepted: give "+want)
		}
	}
	return keys
}

// done reports what was not taken.
func (o *object) done() {
	for key := range o.fields {
		o.p.unknown(Join(o.path, key), key, o.known)
	}
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
