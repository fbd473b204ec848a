package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"time"
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

// duration takes a time in milliseconds, or a text of a number with a unit of PostgreSQL's settings.
func (o *object) duration(key string, def int) int {
	raw, set := o.take(key)
	if !set {
		return def
	}
	milliseconds, ok := parseDuration(raw)
	if !ok {
		o.problems.Add(Join(o.path, key), "%s is not accepted; give %s", Show(raw), acceptedDuration)
		return def
	}
	return milliseconds
}

const acceptedDuration = "milliseconds as a whole number, or a text such as 500ms, 15s, 5min, 2h or 1d; 0 for no limit"

var durationRegexp = regexp.MustCompile(`^([0-9]{1,10})(ms|s|min|h|d)$`)

func parseDuration(raw json.RawMessage) (milliseconds int, ok bool) {
	var n *int
	if json.Unmarshal(raw, &n) == nil && n != nil {
		return *n, *n >= 0 && *n <= math.MaxInt32
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return 0, false
	}
	parts := durationRegexp.FindStringSubmatch(text)
	if parts == nil {
		return 0, false
	}
	units := map[string]int{"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
	number, err := strconv.Atoi(parts[1])
	if err != nil || number > math.MaxInt32/units[parts[2]] {
		return 0, false
	}
	return number * units[parts[2]], true
}

// time takes a point in time to the second. It is the zero time if it is not set.
func (o *object) time(key string) time.Time {
	var at time.Time
	field(o, key, "", acceptedTime, func(text string) bool {
		var err error
		at, err = time.Parse(time.RFC3339, text)
		return err == nil && at.Nanosecond() == 0 && at.Year() >= 2000
	})
	return at.UTC()
}

const acceptedTime = "a time with its zone, to the second, such as 2030-12-31T18:00:00Z or 2030-12-31T18:00:00+01:00"

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
