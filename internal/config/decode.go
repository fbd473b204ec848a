package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
)

// object is one JSON object of the config. Each getter takes a field out and adds a problem if its
// value is not accepted. What is left when done is called is an unknown key.
type object struct {
	path     string
	fields   map[string]json.RawMessage
	known    []string
	problems *Problems
	// invalid says that the value is not an object, which is a problem already.
	invalid bool
}

// newObject splits an object into its fields. A key that appears twice is a problem here;
// encoding/json would keep the last one and drop the first.
func newObject(p *Problems, path string, raw json.RawMessage) *object {
	o := &object{path: path, fields: map[string]json.RawMessage{}, problems: p}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') || !json.Valid(raw) {
		p.Add(path, "%s is not accepted; give an object, {} for the defaults", Show(raw))
		o.invalid = true
		return o
	}
	for dec.More() {
		key, err := dec.Token()
		var value json.RawMessage
		if err = errors.Join(err, dec.Decode(&value)); err != nil {
			p.Add(path, "cannot be read (%v); give an object", err)
			return o
		}
		name := key.(string) // encoding/json allows nothing else as a key
		if _, twice := o.fields[name]; twice {
			p.Add(Join(path, name), "the key appears twice; give it once")
		}
		o.fields[name] = value
	}
	return o
}

// take takes a field out. It reports whether the field was set.
func (o *object) take(key string) (json.RawMessage, bool) {
	o.known = append(o.known, key)
	raw, set := o.fields[key]
	delete(o.fields, key)
	return raw, set
}

// field takes a field of type T, or def if it is not set. null is not a value of any type. accepted
// completes the sentence "give …".
func field[T any](o *object, key string, def T, accepted string, valid func(T) bool) T {
	raw, set := o.take(key)
	if !set {
		return def
	}
	var v *T
	if err := json.Unmarshal(raw, &v); err != nil || v == nil || !valid(*v) {
		o.problems.Add(Join(o.path, key), "%s is not accepted; give %s", Show(raw), accepted)
		return def
	}
	return *v
}

func (o *object) bool(key string, def bool) bool {
	return field(o, key, def, "true or false", func(bool) bool { return true })
}

func (o *object) int(key string, def, least int, accepted string) int {
	return field(o, key, def, accepted, func(n int) bool { return n >= least && n <= math.MaxInt32 })
}

// object takes a field that is an object, empty if it is not set.
func (o *object) object(key string) *object {
	raw, set := o.take(key)
	if !set {
		raw = json.RawMessage("{}")
	}
	return newObject(o.problems, Join(o.path, key), raw)
}

// keys are the keys of an object whose keys are free names, sorted. accepted completes the sentence
// "give …".
func (o *object) keys(accepted string, valid func(string) bool) []string {
	keys := slices.Sorted(maps.Keys(o.fields))
	for _, key := range keys {
		if !valid(key) {
			o.problems.Add(Join(o.path, key), "the key %s is not accepted; give %s", Show(key), accepted)
		}
	}
	return keys
}

// done adds a problem for each field that was not taken.
func (o *object) done() {
	for key := range o.fields {
		o.problems.unknown(Join(o.path, key), key, o.known)
	}
}
