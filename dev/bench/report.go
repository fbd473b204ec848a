package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// extrapolated are the numbers of tenants that the table has in any case.
var extrapolated = []int{1000, 4000, 10000}

// columns are the steps in the table.
var columns = []struct{ step, title string }{
	{stepUp, "first `up`"},
	{stepPreview, "unchanged preview"},
	{stepRefresh, "with refresh"},
	{stepOne, "of one stack"},
	{stepAdd, "add a tenant"},
	{stepRotate, "rotate one"},
	{stepDestroy, "destroy"},
}

// publish writes benchmarks.md and benchmarks.svg, and prints the former.
func (r *results) publish(docs string, out io.Writer) error {
	var text bytes.Buffer
	fmt.Fprint(&text, "# Benchmarks\n\nMade by `make bench`; [benchmarks.json](benchmarks.json) has every figure.\n")
	for _, env := range r.environments() {
		r.writeEnvironment(&text, env)
	}
	r.writeTable(&text)
	r.writeTargets(&text)
	r.writeChoices(&text)
	if _, err := out.Write(text.Bytes()); err != nil {
		return err
	}
	return errors.Join(r.save(docs),
		os.WriteFile(filepath.Join(docs, "benchmarks.md"), text.Bytes(), 0o644),
		r.draw(filepath.Join(docs, "benchmarks.svg")))
}

// mark is what tells figures of an environment from those of the others.
func (r *results) mark(env environment) string {
	var marks []string
	if env.StandIns {
		marks = append(marks, "stand-ins")
	}
	if all := r.environments(); len(all) > 1 && slices.Contains(all[1:], env) {
		marks = append(marks, string(rune('A'+slices.Index(all, env))))
	}
	if len(marks) == 0 {
		return ""
	}
	return " (" + strings.Join(marks, ", ") + ")"
}

func (r *results) writeEnvironment(w io.Writer, env environment) {
	plugins := "the official plugins"
	if env.StandIns {
		plugins = "**stand-ins** for the plugins"
	}
	var dates []string
	for _, m := range r.Measurements {
		if m.Environment == env {
			dates = append(dates, m.Date)
		}
	}
	for _, c := range r.Choices {
		if c.Environment == env {
			dates = append(dates, c.Date)
		}
	}
	date := slices.Min(dates)
	if last := slices.Max(dates); last != date {
		date += " to " + last
	}
	fmt.Fprintf(w, "\nMeasured%s %s on %d cores of %s, %d GiB, %s, with PostgreSQL %s on the same machine, Pulumi CLI %s and %s %s. State is in a folder.\n",
		r.mark(env), date, env.Cores, env.CPU, env.MemoryGiB, env.System, env.PostgreSQL, env.CLI, plugins, env.Plugins)
}

// row is a line of the table: measured, or extrapolated from what was.
type row struct {
	env     environment
	layout  layout
	tenants int
	// measured is nil for an extrapolated row.
	measured *measurement
	// seconds by step.
	seconds map[string]float64
}

// rows are all rows of an environment, with the extrapolated ones that there are enough points for.
func (r *results) rows(env environment) (all []row) {
	for _, l := range r.layouts(env) {
		measured := r.of(env, l)
		for _, n := range slices.Sorted(slices.Values(slices.Compact(slices.Sorted(slices.Values(append(sortedKeys(measured), extrapolated...)))))) {
			row := row{env: env, layout: l, tenants: n, measured: measured[n], seconds: map[string]float64{}}
			for _, column := range columns {
				seconds := measured[n].median(column.step)
				if measured[n] == nil {
					seconds = extrapolate(measured, l, column.step, n)
				}
				if seconds > 0 {
					row.seconds[column.step] = seconds
				}
			}
			if len(row.seconds) > 0 {
				all = append(all, row)
			}
		}
	}
	return all
}

// layouts that were measured in an environment.
func (r *results) layouts(env environment) (all []layout) {
	for _, m := range r.Measurements {
		if m.Environment == env && !slices.Contains(all, m.Layout) {
			all = append(all, m.Layout)
		}
	}
	slices.SortFunc(all, func(a, b layout) int {
		order := func(l layout) int {
			switch {
			case l == plainSQL:
				return -1
			case l.firstLoad():
				return 2*l.size() + 1
			default:
				return 2 * l.size()
			}
		}
		return cmp.Compare(order(a), order(b))
	})
	return all
}

// extrapolate is what a step would take with n tenants, 0 if that cannot be told: one stack grows
// with the square of n, cells and plain SQL with n, and what is done in one cell not at all.
func extrapolate(measured map[int]*measurement, l layout, step string, n int) float64 {
	points := map[int]float64{}
	for tenants, m := range measured {
		if seconds := m.median(step); seconds > 0 {
			points[tenants] = seconds
		}
	}
	degree := 1
	switch {
	case l == 0:
		degree = 2
	case l != plainSQL && slices.Contains([]string{stepOne, stepAdd, stepRotate}, step):
		degree = 0
	}
	c, ok := fit(points, degree)
	if !ok {
		return 0
	}
	return c.at(float64(n))
}

// base is the step of plain SQL that a step is compared with: SQL has no preview.
func base(step string) string {
	switch step {
	case stepPreview, stepRefresh, stepOne:
		return stepUp
	default:
		return step
	}
}

func (r *results) writeTable(w io.Writer) {
	fmt.Fprint(w, "\n![Time of the first up by number of tenants](benchmarks.svg)\n\n| | tenants |")
	for _, column := range columns {
		fmt.Fprintf(w, " %s |", column.title)
	}
	fmt.Fprint(w, " state | memory | logins a tenant |\n|---|--:|"+strings.Repeat("--:|", len(columns)+3)+"\n")
	for _, env := range r.environments() {
		rows := r.rows(env)
		sql := map[int]map[string]float64{}
		for _, row := range rows {
			if row.layout == plainSQL {
				sql[row.tenants] = row.seconds
			}
		}
		for _, row := range rows {
			fmt.Fprintf(w, "| %s%s |", row.layout, r.mark(env))
			cells := []string{number(float64(row.tenants))}
			for _, column := range columns {
				cells = append(cells, ratioAndSeconds(row.seconds[column.step], sql[row.tenants][base(column.step)]))
			}
			state, memory, logins := "", "", ""
			if m := row.measured; m != nil && row.layout != plainSQL {
				state = number(float64(m.StateBytes)/1e3/float64(m.Tenants)) + " kB × " + strconv.Itoa(m.Tenants)
				memory = number(float64(m.PeakBytes)/(1<<20)) + " MiB"
				logins = fmt.Sprintf("%s, %s", number(float64(m.Logins[stepUp])/float64(m.Tenants)), number(float64(m.Logins[stepRefresh])/float64(m.Tenants)))
			}
			for _, cell := range append(cells, state, memory, logins) {
				if row.measured == nil && cell != "" {
					cell = "*≈ " + cell + "*"
				}
				fmt.Fprintf(w, " %s |", cell)
			}
			fmt.Fprintln(w)
		}
	}
	fmt.Fprint(w, `
Each figure is how many times as long as plain SQL it takes, with the time behind it. Plain SQL makes
the same objects in one transaction, statement by statement, with the passwords hashed by the client;
previews, which it does not have, are compared with its making of the objects. Rows with ≈ were not
measured: they follow from curves through those that were, a + b·n for plain SQL and cells, a + b·n + c·n²
for one stack, a for what is done in one cell. Cells include the platform's stack, which is deployed before them; as many run at
once as there are cores. Adding and rotating run in one cell. Memory is the largest resident size of one
CLI with its plugins. Logins are those of the first `+"`up`"+` and of a preview with refresh, for each tenant.
`)
}

// ratioAndSeconds shows both, the ratio first; nothing if there is no time.
func ratioAndSeconds(seconds, sql float64) string {
	switch {
	case seconds <= 0:
		return ""
	case sql <= 0:
		return duration(seconds)
	default:
		return number(seconds/sql) + " × (" + duration(seconds) + ")"
	}
}

func duration(seconds float64) string {
	switch {
	case seconds < 0.1:
		return number(seconds*1000) + " ms"
	case seconds < 600:
		return number(seconds) + " s"
	case seconds < 36000:
		return number(seconds/60) + " min"
	default:
		return number(seconds/3600) + " h"
	}
}

// number has two digits, more only before the point.
func number(value float64) string {
	if value == 0 {
		return "0"
	}
	digits := max(0, 1-int(math.Floor(math.Log10(math.Abs(value)))))
	text := strconv.FormatFloat(value, 'f', digits, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		return whole + "." + fraction
	}
	return whole
}

// sqlOf400 is what plain SQL of 400 tenants took where the targets come from, in seconds.
const sqlOf400 = 2.0

// target is a limit that is meant to hold.
type target struct {
	text string
	// got and limit have the same unit: what plain SQL of 400 tenants takes, or times.
	got, limit float64
}

// targetsOf are the targets that there are measurements for.
func (r *results) targetsOf(env environment) (all []target) {
	sql := r.of(env, plainSQL)[400].median(stepUp)
	add := func(text string, got, limit float64) {
		if got > 0 && !math.IsNaN(got) && !math.IsInf(got, 0) {
			all = append(all, target{text, got, limit})
		}
	}
	for _, l := range r.layouts(env) {
		if l.size() == 0 {
			continue
		}
		measured := r.of(env, l)
		inSeconds := func(text string, seconds, limit float64) {
			add(fmt.Sprintf("%s, %s: %s, in at most %s where plain SQL of 400 takes %s", text, l, duration(seconds), duration(limit), duration(sqlOf400)),
				seconds/sql, limit/sqlOf400)
		}
		inSeconds("first `up` of 100 tenants", measured[100].median(stepUp), 15)
		inSeconds("first `up` of 400 tenants", measured[400].median(stepUp), 62)
		for _, n := range []int{400, 1000} {
			add(fmt.Sprintf("time for each tenant of %s, %s, against that of 100", number(float64(n)), l),
				measured[n].median(stepUp)/float64(n)/(measured[100].median(stepUp)/100), 1.1)
		}
		if l == 25 {
			inSeconds("adding a tenant", measured[400].median(stepAdd), 4)
			inSeconds("unchanged preview of one cell", measured[400].median(stepOne), 1.5)
		}
	}
	return all
}

func (r *results) writeTargets(w io.Writer) {
	fmt.Fprint(w, "\n## Targets\n\nThey come from a machine on which plain SQL of 400 tenants took 2 s, and count in those. What takes the time is in [cells.md](cells.md#what-takes-the-time).\n")
	for _, env := range r.environments() {
		targets := r.targetsOf(env)
		if len(targets) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n| target%s | limit | got | |\n|---|--:|--:|---|\n", r.mark(env))
		for _, t := range targets {
			verdict := "met"
			if t.got > t.limit {
				verdict = "**missed**"
			}
			fmt.Fprintf(w, "| %s | %s × | %s × | %s |\n", t.text, number(t.limit), number(t.got), verdict)
		}
	}
}
