package standin

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// object is the inputs or the state of a resource, without secret marks. Its getters return
// the zero value for what is missing or not yet known.
type object map[string]resource.PropertyValue

func (o object) text(name string) string {
	if v := o[name]; v.IsString() {
		return v.StringValue()
	}
	return ""
}

func (o object) flag(name string) bool {
	v := o[name]
	return v.IsBool() && v.BoolValue()
}

func (o object) number(name string) int {
	if v := o[name]; v.IsNumber() {
		return int(v.NumberValue())
	}
	return 0
}

func (o object) texts(name string) []string {
	var texts []string
	if v := o[name]; v.IsArray() {
		for _, element := range v.ArrayValue() {
			texts = append(texts, element.StringValue())
		}
	}
	return texts
}

// set stores a string, bool, int or []string.
func (o object) set(name string, value any) {
	o[name] = resource.NewPropertyValue(value)
}

type kind int

const (
	text kind = iota
	flag
	number
	list // of strings, in their order
	set  // of strings, where order and repetition mean nothing
	dictionary
	setting // of a provider: the stack's config has text, a program may give a flag or a number
)

// property describes an input or output of a resource, or a setting of a provider, as the schema of
// the official plugin does.
type property struct {
	kind     kind
	oneOf    []string // the values a text may have; for a set, its elements. Anything if empty
	required bool
	replaces bool // a change replaces the resource
	secret   bool
	computed bool // the server's value stands if the program gives none
	output   bool // the program cannot give one
	fallback any  // the value if the program gives none
}

// wants describes the value that is accepted. It is empty if the value is accepted or not known yet.
func (p property) wants(value resource.PropertyValue) string {
	elements := []resource.PropertyValue{value}
	switch {
	case value.ContainsUnknowns():
		return ""
	case p.kind == flag && !value.IsBool():
		return "true or false"
	case p.kind == number && !value.IsNumber():
		return "a number"
	case p.kind == setting && !value.IsString() && !value.IsBool() && !value.IsNumber():
		return "text, a number, true or false"
	case p.kind == dictionary && !value.IsObject():
		return "an object"
	case (p.kind == list || p.kind == set) && !value.IsArray():
		return "a list"
	case p.kind == list || p.kind == set:
		elements = value.ArrayValue()
	case p.kind != text:
		return ""
	}
	for _, element := range elements {
		if !element.IsString() {
			return "text"
		}
		if len(p.oneOf) > 0 && !slices.Contains(p.oneOf, element.StringValue()) {
			return "one of " + strings.Join(p.oneOf, ", ")
		}
	}
	return ""
}

// equal reports whether two values mean the same. As in Terraform, a missing value equals one that is
// empty, false or zero. What is not yet known counts as a change.
func (p property) equal(a, b resource.PropertyValue) bool {
	if a.ContainsUnknowns() || b.ContainsUnknowns() {
		return false
	}
	if p.kind == set {
		return slices.Equal(sorted(object{"": a}.texts("")), sorted(object{"": b}.texts("")))
	}
	return empty(a) && empty(b) || a.DeepEquals(b)
}

func empty(v resource.PropertyValue) bool {
	switch {
	case v.IsBool():
		return !v.BoolValue()
	case v.IsNumber():
		return v.NumberValue() == 0
	case v.IsString():
		return v.StringValue() == ""
	case v.IsArray():
		return len(v.ArrayValue()) == 0
	case v.IsObject():
		return len(v.ObjectValue()) == 0
	default:
		return v.IsNull()
	}
}

func sorted(texts []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(texts)))
}
