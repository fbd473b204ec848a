package bench

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

// extrapolated are the numbers of tenants that the picture has even if they were not measured.
var extrapolated = []int{1000, 4000, 10000}

// pageTenants are the numbers of tenants in the page's table, pageCell the size of its cells.
var pageTenants = []int{25, 100, 400, 1000}

const pageCell = 25

// columns are the steps in the page's table.
var columns = []struct{ step, title string }{
	{stepUp, "first `up`"},
	{stepPreview, "unchanged preview"},
	{stepAdd, "add a tenant"},
}

// publish writes benchmarks.md and benchmarks.svg, and prints the former.
func (r *results) publish(docs string, out io.Writer) error {
	var text bytes.Buffer
	fmt.Fprint(&text, "# Benchmarks\n\nWritten by `make bench`. [benchmarks.json](benchmarks.json) has every figure.\n\n"+
		"![Time of the first up by number of tenants](benchmarks.svg)\n")
	for _, env := range r.environments() {
		r.writeEnvironment(&text, env)
		r.writeTable(&text, env)
		r.writeFindings(&text, env)
	}
	if r.Databases != nil {
		r.Databases.write(&text)
	}
	r.writeCatalogs(&text)
	fmt.Fprint(&text, "\n"+cloud)
	if _, err := out.Write(text.Bytes()); err != nil {
		return err
	}
	return errors.Join(r.save(docs),
		os.WriteFile(filepath.Join(docs, "benchmarks.md"), text.Bytes(), 0o644),
		r.draw(filepath.Join(docs, "benchmarks.svg")))
}

const cloud = "Pulumi Cloud is not measured here. Since CLI 3.225 it writes a journal of changes and not the whole state at each step " +
	"([announcement](https://www.pulumi.com/blog/journaling-ga), with figures), so large stacks cost less there.\n"

// mark distinguishes the figures of an environment from those of the others.
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
	fmt.Fprintf(w, "\n%s\n", env.measured(r.mark(env), date))
}

// measured says when, where and with what figures were measured. mark distinguishes them from others.
func (env environment) measured(mark, date string) string {
	plugins := "the official plugins"
	if env.StandIns {
		plugins = "**stand-ins** for the plugins"
	}
	return fmt.Sprintf("Measured%s %s on %d cores of %s, %d GiB, %s, with PostgreSQL %s on the same machine, Pulumi CLI %s and %s %s. State is in a folder.",
		mark, date, env.Cores, env.CPU, env.MemoryGiB, env.System, env.PostgreSQL, env.CLI, plugins, env.Plugins)
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

// rows are the measured rows of an environment, and those that can be extrapolated.
func (r *results) rows(env environment) (all []row) {
	for _, l := range r.layouts(env) {
		measured := r.of(env, l)
		for _, n := range slices.Sorted(slices.Values(slices.Compact(slices.Sorted(slices.Values(append(sortedKeys(measured), extrapolated...)))))) {
			row := row{env: env, layout: l, tenants: n, measured: measured[n], seconds: map[string]float64{}}
			for _, column := range columns {
				if seconds := at(measured, l, column.step, n); seconds > 0 {
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
		kinds := []kind{plainSQL, oneStack, cells}
		firstLoad := map[bool]int{true: 1}
		return cmp.Or(cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)),
			cmp.Compare(a.CellSize, b.CellSize), cmp.Compare(firstLoad[a.FirstLoad], firstLoad[b.FirstLoad]))
	})
	return all
}

// extrapolate is what a step would take with n tenants, 0 if too little was measured: one stack grows
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
	case l.Kind == oneStack:
		degree = 2
	case l.Kind == cells && slices.Contains([]string{stepOne, stepAdd, stepRotate}, step):
		degree = 0
	}
	c, ok := fit(points, degree)
	if !ok {
		return 0
	}
	return c.at(float64(n))
}

// at is what a step takes with n tenants: measured, else extrapolated, else 0.
func at(measured map[int]*measurement, l layout, step string, n int) float64 {
	if m := measured[n]; m != nil {
		return m.median(step)
	}
	return extrapolate(measured, l, step, n)
}

// writeTable writes the seconds of one stack and of cells side by side.
func (r *results) writeTable(w io.Writer, env environment) {
	layouts := []layout{{Kind: oneStack}, {Kind: cells, CellSize: pageCell}}
	fmt.Fprint(w, "\n| seconds")
	rule := "\n|---"
	for _, column := range columns {
		for _, l := range layouts {
			fmt.Fprintf(w, " | %s, %s", column.title, l)
			rule += "|--:"
		}
	}
	fmt.Fprint(w, " |"+rule+"|\n")
	for _, n := range pageTenants {
		line, empty := fmt.Sprintf("| %s tenants |", number(float64(n))), true
		for _, column := range columns {
			for _, l := range layouts {
				measured := r.of(env, l)
				text := ""
				if seconds := at(measured, l, column.step, n); seconds > 0 {
					text, empty = number(seconds), false
					if measured[n] == nil {
						text = "*≈ " + text + "*"
					}
				}
				line += " " + text + " |"
			}
		}
		if !empty {
			fmt.Fprintln(w, line)
		}
	}
	fmt.Fprint(w, "\n≈ was not measured: it follows from a curve through what was. Cells include the platform's stack; as many run at once as there are cores.\n")
}

// writeFindings writes what follows from the figures, where there are those that it takes.
func (r *results) writeFindings(w io.Writer, env environment) {
	one, inCells := layout{Kind: oneStack}, layout{Kind: cells, CellSize: pageCell}
	seconds := func(l layout, step string, n int) float64 { return r.of(env, l)[n].median(step) }
	var findings []string
	if few, many, spread := seconds(one, stepUp, 100), seconds(one, stepUp, 400), seconds(inCells, stepUp, 400); few*many*spread > 0 {
		findings = append(findings, fmt.Sprintf("The first `up` of one stack grows with the square of its tenants, because the CLI writes the whole state at each step: "+
			"%s for 100 tenants, %s for 400. In %s it grows with their number: %s for 400.", duration(few), duration(many), inCells, duration(spread)))
	}
	if grown, spread := seconds(one, stepAdd, 400), seconds(inCells, stepAdd, 400); grown*spread > 0 {
		findings = append(findings, fmt.Sprintf("Adding a tenant to a cell takes %s however many cells there are. In one stack of 400 tenants it takes %s.",
			duration(spread), duration(grown)))
	}
	firstLoad := inCells
	firstLoad.FirstLoad = true
	if unsafe, usual := seconds(firstLoad, stepUp, 400), seconds(inCells, stepUp, 400); unsafe*usual > 0 {
		findings = append(findings, fmt.Sprintf("Writing the state takes much of a first `up`: without checkpoints, 400 tenants in %s take %s and not %s. "+
			"[An interrupted run then has to be repaired](cells.md).", inCells, duration(unsafe), duration(usual)))
	}
	for i, finding := range findings {
		fmt.Fprintf(w, "\n%d. %s", i+1, finding)
	}
	if len(findings) > 0 {
		fmt.Fprintln(w)
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
