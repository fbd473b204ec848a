package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// preview is what `pulumi preview --json` prints. Secrets are "[secret]" in it, with
// --show-secrets too.
type preview struct {
	// Config is the stack's config by full key.
	Config        map[string]string
	Steps         []*step
	Diagnostics   []diagnostic
	ChangeSummary map[string]int
}

type diagnostic struct{ Severity, Message string }

// step is what would be done with one resource.
type step struct {
	Op, URN                     string
	OldState, NewState          *state
	DetailedDiff                map[string]any
	DiffReasons, ReplaceReasons []string

	// typ is the last part of the resource's type (Role), name its logical name, and tenant the
	// key of the tenant whose child or component it is.
	typ, name, tenant string
	// open are the changed properties that no sentence tells yet; told is true once the whole
	// step is told.
	open map[string]bool
	told bool
}

// state is a resource before or after. A preview has no outputs of what is to be deployed.
type state struct {
	Type, Parent    string
	Inputs, Outputs map[string]any
	Protect         bool
}

const (
	tenantType = "tenant-permissions:index:Tenant"
	stackType  = "pulumi:pulumi:Stack"
)

// readPreview reads a preview, a failed one too. Resources that it leaves alone have no step, but
// for those whose protection changes.
func readPreview(from io.Reader) (*preview, error) {
	p := &preview{}
	dec := json.NewDecoder(from)
	if err := dec.Decode(p); err != nil {
		return nil, fmt.Errorf("reading the output of pulumi preview --json: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) || p.Steps == nil && p.Diagnostics == nil && p.ChangeSummary == nil {
		return nil, errors.New("got another JSON text, want the output of pulumi preview --json")
	}
	for i, s := range p.Steps {
		if s == nil || !s.read() {
			return nil, fmt.Errorf("steps[%d]: got no operation on a resource with its state, want one", i)
		}
	}
	return p, nil
}

// read finds what the step is about, and reports whether everything needed is there.
func (s *step) read() bool {
	urn := strings.SplitN(s.URN, "::", 4) // urn:pulumi:<stack>::<project>::<types>::<name>
	last := s.last()
	if len(urn) < 4 || last == nil || s.Op == "" {
		return false
	}
	s.OldState.dropDefaults()
	s.NewState.dropDefaults()
	s.name = urn[3]
	s.typ = last.Type[strings.LastIndex(last.Type, ":")+1:]
	if last.Type == tenantType {
		s.tenant = s.name
	} else if _, key, ok := strings.Cut(last.Parent, "::"+tenantType+"::"); ok {
		s.tenant = key
	}
	s.open = map[string]bool{}
	switch s.Op {
	case "create":
		return s.NewState != nil
	case "delete":
		return s.OldState != nil
	case "update", "same", "replace":
		if s.OldState == nil || s.NewState == nil {
			return false
		}
		for _, path := range slices.Concat(slices.Collect(maps.Keys(s.DetailedDiff)), s.DiffReasons, s.ReplaceReasons) {
			if end := strings.IndexAny(path, ".["); end > 0 {
				path = path[:end]
			}
			s.open[path] = true
		}
		if s.OldState.Protect != s.NewState.Protect {
			s.open["protect"] = true
		}
		if s.Op == "update" && len(s.open) == 0 {
			s.open["unknown properties"] = true
		}
	}
	return true
}

// dropDefaults takes out of the inputs what the provider filled in where the program says nothing,
// and its list of that.
func (s *state) dropDefaults() {
	if s == nil {
		return
	}
	if defaults, ok := s.Inputs["__defaults"].([]any); ok {
		maps.DeleteFunc(s.Inputs, func(property string, _ any) bool {
			return property == "__defaults" || slices.Contains(defaults, any(property))
		})
	}
}

// last is the state that the step leads to, or for a deletion the one before it.
func (s *step) last() *state {
	if s.NewState != nil {
		return s.NewState
	}
	return s.OldState
}

// input is an input of the last state, "" if it is none.
func (s *step) input(property string) string {
	if s == nil {
		return ""
	}
	if value, ok := s.last().Inputs[property].(string); ok {
		return value
	}
	return ""
}

// before is what the server has of a property, after is what it is to have.
func (s *step) before(property string) any {
	if value, ok := s.OldState.Outputs[property]; ok {
		return value
	}
	return s.OldState.Inputs[property]
}

func (s *step) after(property string) any { return s.NewState.Inputs[property] }

// takeChange takes a change of a property out of those that are still to be explained. It reports
// whether there was one.
func (s *step) takeChange(property string) bool {
	if s == nil || s.Op != "update" && s.Op != "same" || !s.open[property] {
		return false
	}
	delete(s.open, property)
	return true
}

// has reports whether the resource's inputs are the wanted ones and no others. Of a wanted
// nil, any value will do.
func (s *step) has(want map[string]any) bool {
	inputs := s.last().Inputs
	for property, value := range inputs {
		if wanted, known := want[property]; !known || wanted != nil && !reflect.DeepEqual(value, wanted) {
			return false
		}
	}
	for property, wanted := range want {
		if _, set := inputs[property]; !set && wanted != nil && !reflect.DeepEqual(wanted, []any{}) {
			return false
		}
	}
	return true
}

// silent reports whether the step is nothing to tell of: it reads, or all of it is told.
func (s *step) silent() bool {
	switch s.Op {
	case "refresh", "read":
		return true
	case "update", "same":
		return len(s.open) == 0
	}
	return s.explained
}
