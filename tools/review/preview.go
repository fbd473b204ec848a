package review

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"tenant-permissions/internal/config"
)

// preview is the output of `pulumi preview --json`. The CLI writes every secret as "[secret]", with
// --show-secrets too.
type preview struct {
	// Config is the stack's config by full key.
	Config        map[string]string
	Steps         []*step
	Diagnostics   []diagnostic
	ChangeSummary map[string]int
}

type diagnostic struct{ Severity, Message string }

// state is a resource before or after the deployment. A preview has no outputs of later resources.
type state struct {
	Type, Parent    string
	Inputs, Outputs map[string]any
	Protect         bool
}

// readPreview reads a preview, also one that failed. A preview has no steps for unchanged resources,
// except where their protection changes.
func readPreview(from io.Reader) (*preview, error) {
	p := &preview{}
	dec := json.NewDecoder(from)
	if err := p.decode(dec); err != nil {
		return nil, fmt.Errorf("reading the output of pulumi preview --json: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) || p.Steps == nil && p.Diagnostics == nil && p.ChangeSummary == nil {
		return nil, errors.New("the input is JSON, but not the output of pulumi preview --json")
	}
	for i, s := range p.Steps {
		if s == nil {
			s = &step{}
		}
		if err := s.complete(); err != nil {
			return nil, fmt.Errorf("steps[%d]: %w; give the unchanged output of pulumi preview --json", i, err)
		}
	}
	p.Steps = withoutParts(p.Steps)
	return p, nil
}

// decode decodes a preview step by step: of ten thousand tenants the text has more than 100 MB.
func (p *preview) decode(dec *json.Decoder) error {
	if err := begin(dec, '{'); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		switch key {
		case "config":
			err = dec.Decode(&p.Config)
		case "steps":
			err = p.decodeSteps(dec)
		case "diagnostics":
			err = dec.Decode(&p.Diagnostics)
		case "changeSummary":
			err = dec.Decode(&p.ChangeSummary)
		default:
			err = dec.Decode(new(json.RawMessage))
		}
		if err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

func (p *preview) decodeSteps(dec *json.Decoder) error {
	if err := begin(dec, '['); err != nil {
		return err
	}
	p.Steps = []*step{}
	for dec.More() {
		var s *step
		if err := dec.Decode(&s); err != nil {
			return err
		}
		p.Steps = append(p.Steps, s)
	}
	_, err := dec.Token()
	return err
}

// begin reads the first character of an object or an array.
func begin(dec *json.Decoder, want json.Delim) error {
	got, err := dec.Token()
	if err == nil && got != want {
		err = fmt.Errorf("there is %v where %v is expected", got, want)
	}
	return err
}

// withoutParts returns the steps without the parts of replacements, which --show-replacement-steps
// adds.
func withoutParts(all []*step) (whole []*step) {
	replaced := map[string]bool{}
	for _, s := range all {
		replaced[s.URN] = replaced[s.URN] || s.Op == "replace"
	}
	for _, s := range all {
		if part := s.Op == "create-replacement" || s.Op == "delete-replaced"; !part || !replaced[s.URN] {
			whole = append(whole, s)
		}
	}
	return whole
}

// config is the config that is to be deployed. It is empty if the preview has none of the program's
// keys, as in a preview of another project.
func (p *preview) config() (config.Config, error) {
	values, own := config.Values{}, false
	for key, value := range p.Config {
		values[key] = config.Value{Value: value, Secret: value == "[secret]"}
		own = own || strings.HasPrefix(key, config.Namespace+":")
	}
	if !own {
		return config.Config{}, nil
	}
	return config.Load(values, func(name string) (string, bool) {
		if value, set := os.LookupEnv(name); set || name != "PGDATABASE" {
			return value, set
		}
		// The preview may have been made where PGDATABASE is set. The review does not use this name.
		return "unknown", true
	})
}

// complete fills in the fields of the step that are not in the JSON. It fails if the step has no
// operation, or not the states that its operation needs.
func (s *step) complete() error {
	urn := strings.SplitN(s.URN, "::", 4) // urn:pulumi:<stack>::<project>::<types>::<name>
	needs := map[string][]*state{
		"create": {s.NewState}, "delete": {s.OldState},
		"update": {s.OldState, s.NewState}, "same": {s.OldState, s.NewState}, "replace": {s.OldState, s.NewState},
	}
	if len(urn) < 4 || s.last() == nil || s.Op == "" || slices.Contains(needs[s.Op], nil) {
		return errors.New("there is no operation on a resource with its states")
	}
	s.OldState.dropDefaults()
	s.NewState.dropDefaults()
	s.name, s.typ = urn[3], s.last().Type
	if s.typ == typeTenant {
		s.tenant = s.name
	} else if _, key, ok := strings.Cut(s.last().Parent, "::"+typeTenant+"::"); ok {
		s.tenant = key
	}
	s.changed, s.explained = map[string]bool{}, map[string]bool{}
	if len(needs[s.Op]) < 2 {
		return nil
	}
	for _, path := range slices.Concat(slices.Collect(maps.Keys(s.DetailedDiff)), s.DiffReasons, s.ReplaceReasons) {
		if end := strings.IndexAny(path, ".["); end > 0 {
			path = path[:end]
		}
		s.changed[path] = true
	}
	if s.OldState.Protect != s.NewState.Protect {
		s.changed["protect"] = true
	}
	if s.Op == "update" && len(s.changed) == 0 {
		s.changed["unknown properties"] = true
	}
	return nil
}

// dropDefaults removes the inputs that the provider filled in, and its list of them.
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
