package audit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"gopkg.in/yaml.v3"

	"tenant-permissions/internal/config"
)

// waived is the one violation that a waiver is about. All of it must be equal: there are no patterns, and
// what is not given is not there. The text is part of it, because it has what else a violation depends
// on, such as the privileges, the owner of a function and who can execute it.
type waived struct {
	Rule     string `yaml:"rule"`
	Role     string `yaml:"role,omitempty"`
	Object   string `yaml:"object,omitempty"`
	Database string `yaml:"database,omitempty"`
	Text     string `yaml:"text"`
}

func waivedBy(f Finding) waived {
	return waived{f.Rule, f.Subject, cmp.Or(f.object, f.Object), f.Database, f.Text}
}

// waiver is an entry of a file of waivers.
type waiver struct {
	waived
	Waiver
	where string // file:line
}

// waives reports whether a waiver is there and has not ended.
func (w *waiver) waives() bool { return w != nil && !w.Ended }

// String says that a violation is waived, or that it was.
func (w *Waiver) String() string {
	if w.Ended {
		return "the waiver ended on " + w.Until + ": " + w.Reason
	}
	return "waived until " + w.Until + ": " + w.Reason
}

// waivers are those of a file. Without a file there are none, and it is nil.
type waivers struct {
	all []*waiver
	by  map[waived]*waiver
}

// of is the waiver of a violation, nil if it has none.
func (w *waivers) of(f Finding) *waiver {
	if w == nil || f.vague {
		return nil
	}
	return w.by[waivedBy(f)]
}

// ended is the number of waivers whose day has passed.
func (w *waivers) ended() (n int) {
	if w == nil {
		return 0
	}
	for _, one := range w.all {
		if one.Ended {
			n++
		}
	}
	return n
}

// unused has a note for each waiver that none of the violations has.
func (w *waivers) unused(violations []Finding) (notes []Finding) {
	if w == nil {
		return nil
	}
	used := map[*Waiver]bool{}
	for _, f := range violations {
		used[f.Waiver] = true
	}
	for _, one := range w.all {
		if !used[&one.Waiver] {
			notes = append(notes, Finding{
				Rule: ruleWaiverUnused, Subject: one.Role, Object: one.Object, Database: one.Database,
				Text: one.where + ": no violation of the rule " + one.Rule + " has this role, object, database and text: " + one.Text,
			})
		}
	}
	return notes
}

// readWaivers reads a file of waivers. It reports all problems at once.
func readWaivers(file string, now time.Time) (*waivers, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--waivers: %w", err)
	}
	r := waiverReader{file: file, now: now, read: &waivers{by: map[waived]*waiver{}}}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s: waivers: missing; give a list, [] for none", file)
	case err != nil:
		return nil, fmt.Errorf("%s is not YAML: %w", file, err)
	}
	r.document(document.Content[0])
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		r.problem(&second, "waivers", "a second document is not accepted; give one list")
	}
	return r.read, errors.Join(r.problems...)
}

// waiverReader reads the nodes of a file of waivers.
type waiverReader struct {
	file     string
	now      time.Time
	read     *waivers
	problems []error
}

func (r *waiverReader) problem(at *yaml.Node, path, text string) {
	r.problems = append(r.problems, fmt.Errorf("%s:%d: %s: %s", r.file, at.Line, path, text))
}

func (r *waiverReader) document(root *yaml.Node) {
	fields := r.fields(root, "", "a list of waivers under the key waivers", []string{"waivers"})
	list := fields["waivers"]
	switch {
	case list == nil && root.Kind == yaml.MappingNode:
		r.problem(root, "waivers", "missing; give a list, [] for none")
	case list != nil && list.Kind != yaml.SequenceNode:
		r.problem(list, "waivers", show(list)+" is not accepted; give a list, [] for none")
	case list != nil:
		for i, entry := range list.Content {
			r.entry(entry, fmt.Sprintf("waivers[%d]", i))
		}
	}
}

// fields are the values of a map by their keys. Each key must be known, and there once.
func (r *waiverReader) fields(node *yaml.Node, path, accepted string, known []string) map[string]*yaml.Node {
	if node.Kind != yaml.MappingNode {
		r.problem(node, cmp.Or(path, "the file"), show(node)+" is not accepted; give "+accepted)
		return nil
	}
	fields := map[string]*yaml.Node{}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch at := config.Join(path, key.Value); {
		case !slices.Contains(known, key.Value):
			r.problem(key, at, "unknown key; known keys: "+strings.Join(known, ", "))
		case fields[key.Value] != nil:
			r.problem(key, at, "the key appears twice; give it once")
		default:
			fields[key.Value] = value
		}
	}
	return fields
}

// entry reads one waiver.
func (r *waiverReader) entry(node *yaml.Node, path string) {
	before := len(r.problems)
	fields := r.fields(node, path, "a map with rule, text, reason and until", []string{"rule", "role", "object", "database", "text", "reason", "until"})
	if fields == nil {
		return
	}
	text := func(key, accepted string, required bool) string {
		value := fields[key]
		switch {
		case value == nil && required:
			r.problem(node, path+"."+key, "missing; give "+accepted)
		case value == nil:
		case value.Kind != yaml.ScalarNode || value.Tag != "!!str" || strings.TrimSpace(value.Value) == "":
			r.problem(value, path+"."+key, show(value)+" is not accepted; give "+accepted)
		default:
			return value.Value
		}
		return ""
	}
	const printed = ", as audit --format waivers prints it"
	w := &waiver{where: fmt.Sprintf("%s:%d", r.file, node.Line), waived: waived{
		Rule: text("rule", "the rule of a violation", true), Role: text("role", "the name of a role"+printed, false), Object: text("object", "an object"+printed, false),
		Database: text("database", "the name of a tenant's own database"+printed, false), Text: text("text", "the text of the violation"+printed, true),
	}}
	if w.Rule != "" && !slices.ContainsFunc(Rules(), func(rule Rule) bool { return rule.Name == w.Rule && rule.Kind != kindNote }) {
		r.problem(fields["rule"], path+".rule", config.Show(w.Rule)+" is not accepted; give a rule that docs/audit-rules.md has for violations")
	}
	// On one line, and nothing that a terminal obeys.
	w.Reason = strings.Join(strings.Fields(text("reason", "why the violation is accepted", true)), " ")
	if strings.ContainsFunc(w.Reason, unicode.IsControl) {
		r.problem(fields["reason"], path+".reason", config.Show(w.Reason)+" is not accepted; give a text without control characters")
	}
	w.Until, w.Ended = r.until(fields["until"], node, path+".until")
	if len(r.problems) > before {
		return
	}
	if other := r.read.by[w.waived]; other != nil {
		r.problem(node, path, "is the same as that of "+other.where+"; give it once")
		return
	}
	r.read.by[w.waived] = w
	r.read.all = append(r.read.all, w)
}

// until reads the last day of a waiver, and whether it has passed.
func (r *waiverReader) until(value, entry *yaml.Node, path string) (day string, ended bool) {
	const accepted = "the last day, such as 2026-12-31"
	if value == nil {
		r.problem(entry, path, "missing; give "+accepted)
		return "", false
	}
	last, err := time.Parse(time.DateOnly, value.Value)
	if err != nil || value.Kind != yaml.ScalarNode {
		r.problem(value, path, show(value)+" is not accepted; give "+accepted)
		return "", false
	}
	return value.Value, !r.now.Before(last.AddDate(0, 0, 1))
}

// show is a value of the file in a message.
func show(node *yaml.Node) string {
	kind, known := map[yaml.Kind]string{yaml.MappingNode: "a map", yaml.SequenceNode: "a list", yaml.AliasNode: "an alias"}[node.Kind]
	if !known {
		return config.Show(node.Value)
	}
	return kind
}

// writeWaivable writes the violations as a file of waivers that lacks the reasons and the days.
func writeWaivable(w io.Writer, r Report) error {
	var b bytes.Buffer
	fmt.Fprintln(&b, "# Each violation, as a waiver. Delete those that are to be repaired. Give the others a reason, and the\n# last day on which they are accepted, such as 2026-12-31.")
	if r.vague > 0 {
		fmt.Fprintf(&b, "# Not here, because they do not name all that they are about and so cannot be waived: %s.\n", count(r.vague, "violation"))
	}
	type entry struct {
		waived `yaml:",inline"`
		Reason string `yaml:"reason"`
		Until  string `yaml:"until"`
	}
	list := make([]entry, len(r.waivable))
	for i, one := range r.waivable {
		list[i].waived = one
	}
	slices.SortFunc(list, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Database, b.Database), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Text, b.Text))
	})
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(map[string]any{"waivers": list}), encoder.Close()); err != nil {
		return err
	}
	_, err := b.WriteTo(w)
	return err
}
