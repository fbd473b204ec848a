package review

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// step is what a deployment does with one resource.
type step struct {
	Op, URN                     string
	OldState, NewState          *state
	DetailedDiff                map[string]any
	DiffReasons, ReplaceReasons []string

	// typ is the resource's type, name its logical name, and tenant the key of the tenant that it
	// belongs to, empty for none.
	typ, name, tenant string
	// changed are the properties that the step changes. explained are those that a sentence of the
	// summary is about, and whole is true if one is about all of the step.
	changed, explained map[string]bool
	whole              bool
	// recreated is true for a replacement that has the effect of an update.
	recreated bool
}

// last is the state after the step. For a deletion it is the state before.
func (s *step) last() *state {
	if s.NewState != nil {
		return s.NewState
	}
	return s.OldState
}

// input is an input of the last state, empty if there is no step or the input is not a string.
func (s *step) input(property string) string {
	if s == nil {
		return ""
	}
	if value, ok := s.last().Inputs[property].(string); ok {
		return value
	}
	return ""
}

// before is the value of a property on the server, as far as it is known.
func (s *step) before(property string) any {
	if value, ok := s.OldState.Outputs[property]; ok {
		return value
	}
	return s.OldState.Inputs[property]
}

// after is the value of an input in the last state.
func (s *step) after(property string) any { return s.last().Inputs[property] }

// changes reports whether the step changes the property of a resource that stays.
func (s *step) changes(property string) bool {
	return s != nil && (s.Op == "update" || s.Op == "same" || s.recreated) && s.changed[property]
}

// explain marks properties as explained.
func (s *step) explain(properties ...string) {
	for _, property := range properties {
		s.explained[property] = true
	}
}

// explainWhole marks the whole step as explained.
func (s *step) explainWhole() { s.whole = true }

// unexplained are the changed properties that no sentence is about, sorted.
func (s *step) unexplained() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.changed)), func(property string) bool { return s.explained[property] })
}

// done reports whether nothing of the step is left to explain: it only reads, or sentences are about
// all of it.
func (s *step) done() bool {
	switch {
	case s.Op == "refresh" || s.Op == "read":
		return true
	case s.Op == "update" || s.Op == "same" || s.recreated:
		return s.whole || len(s.unexplained()) == 0
	}
	return s.whole
}

// is reports whether the resource has the wanted type, the wanted inputs, and no other inputs.
func (s *step) is(w wanted) bool {
	if s.typ != w.typ {
		return false
	}
	inputs := s.last().Inputs
	for property, value := range inputs {
		if want, known := w.inputs[property]; !known || want != nil && !reflect.DeepEqual(value, want) {
			return false
		}
	}
	for property, want := range w.inputs {
		if _, set := inputs[property]; !set && want != nil && !reflect.DeepEqual(want, []any{}) {
			return false
		}
	}
	return true
}

// plain describes the step without interpretation.
func (s *step) plain() string {
	what := s.Op + " " + s.typ[strings.LastIndex(s.typ, ":")+1:]
	if s.tenant != "" {
		what += " of tenant " + s.tenant
	}
	properties := s.unexplained()
	if len(properties) == 0 {
		properties = slices.Sorted(maps.Keys(s.last().Inputs))
	}
	var values []string
	for _, property := range properties {
		values = append(values, property+s.values(property))
	}
	return strings.TrimSuffix(what+": "+strings.Join(values, ", "), ": ")
}

// values are the property's value, and the value before if it changes. They are empty for passwords
// and for resources that may have other secrets.
func (s *step) values(property string) string {
	if property == "password" || !slices.Contains([]string{typeRole, typeSchema, typeGrant, typeGrantRole, typeDefaultPrivileges, typeExtension, typeDatabase}, s.typ) {
		return ""
	}
	if !s.changed[property] {
		return fmt.Sprintf(" %v", s.last().Inputs[property])
	}
	if property == "protect" {
		return fmt.Sprintf(" %v, was %v", s.NewState.Protect, s.OldState.Protect)
	}
	return fmt.Sprintf(" %v, was %v", s.after(property), s.before(property))
}

// steps are those of one tenant or of one shared login, by what follows its name in the logical name,
// such as role or a-password. The component itself has the empty name.
type steps map[string]*step

// all reports whether each of the resources has the operation.
func (g steps) all(op string, names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return g[name] == nil || g[name].Op != op })
}

// created reports whether each of the resources is created as wanted.
func (g steps) created(want map[string]wanted, names ...string) bool {
	return g.all("create", names...) && !slices.ContainsFunc(names, func(name string) bool { return !g[name].is(want[name]) })
}

// explain marks the resources that have the operation as explained.
func (g steps) explain(op string, names ...string) {
	for _, name := range names {
		if g.all(op, name) {
			g[name].explainWhole()
		}
	}
}

// explainAsWanted does the same for those of the resources that are afterwards as wanted.
func (g steps) explainAsWanted(op string, want map[string]wanted, names ...string) {
	for _, name := range names {
		if g.all(op, name) && g[name].is(want[name]) {
			g[name].explainWhole()
		}
	}
}

// below are the values whose key has the prefix, by the rest of the key.
func below[M ~map[string]V, V any](all M, prefix string) M {
	part := M{}
	for key, value := range all {
		if rest, found := strings.CutPrefix(key, prefix); found {
			part[rest] = value
		}
	}
	return part
}
