package audit

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated file in docs")

// Every rule that rules.go names has one row in the reference.
func TestRulesAreComplete(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "rules.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "rule") {
			return true
		}
		name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		rows[name] = 0
		return true
	})
	for _, rule := range Rules() {
		rows[rule.Name]++
		if rule.Kind == "" || !strings.HasSuffix(rule.Meaning, ".") || !strings.HasSuffix(rule.Action, ".") {
			t.Errorf("%s: no kind, or a text that is no sentence: %+v", rule.Name, rule)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		if rows[name] != 1 {
			t.Errorf("%s has %d rows, want 1", name, rows[name])
		}
	}
}

// The reference is generated: go test ./audit -update writes it.
func TestReference(t *testing.T) {
	const file = "../../docs/audit-rules.md"
	var want strings.Builder
	want.WriteString(`# Rules of the audit

What [the audit](operating.md#audit) can find. A violation makes its exit code 2; a note does not. Each finding names the role and the object, and most have a fix. This table is generated from the code.

| rule | kind | meaning | what to do |
|---|---|---|---|
`)
	for _, rule := range Rules() {
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", rule.Name, rule.Kind, rule.Meaning, rule.Action)
	}
	if *update {
		if err := os.WriteFile(file, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want.String() {
		t.Errorf("%s is stale (%v): run go test ./audit -update in the folder tools", file, err)
	}
}
