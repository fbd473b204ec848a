// Package suites runs the project's tests: it installs what they need, runs every suite even if one
// fails, and ends with a table.
package suites

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A suite is the tests of one module, or a part of them.
type suite struct {
	name, what string
	// module is the folder of the module, relative to the checkout.
	module string
	// args are those of go test.
	args []string
	// fuzzed are the modules whose fuzz targets run, instead of tests.
	fuzzed []string
	// takes is the usual time on 2 cores if it runs alone, without what is installed or compiled once.
	takes time.Duration
	needs []need
	// optional suites run only if they are named.
	optional bool
}

// need is something that Run installs before the suites.
type need int

const (
	needsPostgres need = iota
	needsPulumi
	needsChromium
	needsPgBouncer
)

// table is all suites, in the order in which they run.
func table() []suite {
	all := []string{"-timeout", "30m", "./..."}
	// The CLI waits for its plugins and the server often enough for two tests on a core.
	endToEnd := []string{"-count=1", "-timeout", "45m", "-parallel", strconv.Itoa(2 * runtime.NumCPU())}
	// After the quick one, the slow ones begin first: what is left at the end has the machine for itself.
	return []suite{
		{name: "unit", what: "the program, with mocks", module: ".", args: []string{"-race", "./..."}, takes: time.Minute},
		{name: "e2e", what: "the program from outside, as each kind of role", module: "tests", args: append(endToEnd, "."), takes: 8 * time.Minute, needs: []need{needsPostgres, needsPulumi, needsPgBouncer}},
		{name: "dev", what: "the local environment, the stand-ins, the benchmark with two tenants", module: "dev", args: all, takes: 4 * time.Minute, needs: []need{needsPostgres, needsPulumi}},
		{name: "tools", what: "tenantctl, and the audit's page in Chromium", module: "tools", args: all, takes: time.Minute, needs: []need{needsPostgres, needsChromium}},
		{name: "breaks", what: "runs that are killed or stopped at many points", module: "tests", args: append(endToEnd, "-tags", "breaks", "-run", "Breaks", "."), takes: 2 * time.Minute, needs: []need{needsPostgres, needsPulumi}, optional: true},
		{name: "model", what: "random changes, damage and broken runs, compared with PostgreSQL's own answers", module: "tests", args: append(endToEnd, "-tags", "model", "-run", "TestModel$", "."), takes: 4 * time.Minute, needs: []need{needsPostgres, needsPulumi}, optional: true},
		{name: "fuzz", what: "whatever input, a bounded time for each target", fuzzed: []string{".", "tools"}, takes: 2 * time.Minute, optional: true},
	}
}

// Describe lists the suites, one a line.
func Describe() string {
	var text strings.Builder
	for _, s := range table() {
		fmt.Fprintf(&text, "  %-8s %s", s.name, s.what)
		if s.optional {
			text.WriteString("; only if it is named")
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// choose returns the named suites in the order of the table, without names all that are not optional.
func choose(all []suite, names []string) ([]suite, error) {
	for _, name := range names {
		if !slices.ContainsFunc(all, func(s suite) bool { return s.name == name }) {
			return nil, fmt.Errorf("there is no suite %q; the suites are:\n%s", name, Describe())
		}
	}
	return slices.DeleteFunc(all, func(s suite) bool {
		if len(names) == 0 {
			return s.optional
		}
		return !slices.Contains(names, s.name)
	}), nil
}
