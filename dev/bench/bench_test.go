package bench

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The benchmark from end to end, as small as it gets. It fails if a stack, or cells, make anything
// else than the SQL that they are compared with.
func TestBenchmark(t *testing.T) {
	docs := t.TempDir()
	o := options(docs)
	for _, layouts := range [][]string{o.Layouts, {"one"}} { // the second run joins what the first has left
		o.Layouts = layouts
		var out, progress bytes.Buffer
		if err := Run(t.Context(), o, &out, &progress); err != nil {
			t.Fatalf("%v\n%s", err, progress.Bytes())
		}
	}
	results, err := loadResults(docs)
	if err != nil {
		t.Fatal(err)
	}
	if len(results.Measurements) != 4 {
		t.Fatalf("%d measurements, want those of plain SQL, one stack, cells of 1, and a first load", len(results.Measurements))
	}
	for _, m := range results.Measurements {
		steps := []string{stepUp, stepAdd, stepRotate, stepDestroy}
		if m.Layout.Kind != plainSQL {
			steps = append(steps, stepPreview, stepRefresh, stepOne)
			if m.StateBytes < 10e3 || m.PeakBytes < 50<<20 || m.Logins[stepUp] < 10 {
				t.Errorf("%s: %d bytes of state, %d bytes of memory, %d logins", m.Layout, m.StateBytes, m.PeakBytes, m.Logins[stepUp])
			}
		}
		for _, step := range steps {
			if m.median(step) <= 0 {
				t.Errorf("%s: no time of %s", m.Layout, step)
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(docs, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(text), "# Benchmarks", "(benchmarks.svg)")
	picture, err := os.ReadFile(filepath.Join(docs, "benchmarks.svg"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(picture), "<svg", "cells of 1")
}

func options(docs string) Options {
	return Options{
		Checkout: "../..", Tenants: []int{2}, Layouts: []string{"one", "1", "2" + FirstLoadSuffix},
		Repetitions: 1, Parallel: 8, Jobs: 2, Docs: docs,
	}
}

func TestBadOptions(t *testing.T) {
	for name, spoil := range map[string]func(*Options){
		"no tenants":          func(o *Options) { o.Tenants = []int{2, 0} },
		"a word for a layout": func(o *Options) { o.Layouts = []string{"two"} },
		"a negative layout":   func(o *Options) { o.Layouts = []string{"-1"} },
		"one stack without":   func(o *Options) { o.Layouts = []string{"one" + FirstLoadSuffix} },
		"no repetitions":      func(o *Options) { o.Repetitions = 0 },
		"no jobs":             func(o *Options) { o.Jobs = 0 },
		"not parallel":        func(o *Options) { o.Parallel = 0 },
		"no databases":        func(o *Options) { o.OwnDatabases = true },
	} {
		o := options(t.TempDir())
		spoil(&o)
		if err := Run(t.Context(), o, t.Output(), t.Output()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestFit(t *testing.T) {
	for _, test := range []struct {
		degree int
		points map[int]float64
		want   curve
	}{
		{2, map[int]float64{25: 3 + 50 + 625, 100: 3 + 200 + 10000, 400: 3 + 800 + 160000}, curve{3, 2, 1}},
		{1, map[int]float64{25: 30, 100: 105}, curve{5, 1, 0}},
		{0, map[int]float64{25: 2, 100: 2}, curve{2, 0, 0}},
		// A curve through these would turn down.
		{2, map[int]float64{10: 10, 20: 20, 40: 38}, curve{}},
	} {
		got, ok := fit(test.points, test.degree)
		if !ok {
			t.Errorf("%v: no curve", test.points)
		}
		for i := range got {
			if got[i] < 0 {
				t.Errorf("%v: got %v", test.points, got)
			}
			if test.want != (curve{}) && math.Abs(got[i]-test.want[i]) > 1e-6 {
				t.Errorf("%v: got %v, want %v", test.points, got, test.want)
			}
		}
	}
	if _, ok := fit(map[int]float64{25: 1, 100: 2}, 2); ok {
		t.Error("a parabola through two points")
	}
}

// figures are made up: one stack takes n², cells of 25 take n, plain SQL n/100 seconds.
func figures() *results {
	r := &results{}
	for _, n := range []int{25, 100, 400} {
		for _, made := range []struct {
			layout  layout
			seconds float64
		}{
			{layout{Kind: plainSQL}, float64(n) / 100},
			{layout{Kind: oneStack}, float64(n * n)},
			{layout{Kind: cells, CellSize: 25}, float64(n)},
			{layout{Kind: cells, CellSize: 25, FirstLoad: true}, float64(n) / 2},
		} {
			m := newMeasurement(made.layout, n)
			m.Environment = environment{CPU: "an engine", Cores: 2}
			m.note(stepUp, cost{Seconds: made.seconds})
			if made.layout.Kind == cells {
				m.note(stepAdd, cost{Seconds: 3})
			}
			r.add(m, false)
		}
	}
	return r
}

// The table marks what was not measured. A finding without figures is not written.
func TestReport(t *testing.T) {
	r := figures()
	env := r.environments()[0]
	var text bytes.Buffer
	r.writeTable(&text, env)
	r.writeFindings(&text, env)
	contains(t, text.String(),
		"| 400 tenants | 160,000 | 400 |  |  |  | 3 |",
		"| 1,000 tenants | *≈ 1,000,000* | *≈ 1,000* |  |  |  | *≈ 3* |",
		"167 min for 100 tenants", "without checkpoints, 400 tenants in cells of 25 take 200 s and not 400 s")
	if strings.Contains(text.String(), "Adding a tenant") {
		t.Errorf("a finding without figures:\n%s", text.String())
	}
}

// The layouts in the file are words, not codes.
func TestLayoutInJSON(t *testing.T) {
	content, err := json.Marshal(layout{Kind: cells, CellSize: 25, FirstLoad: true})
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(content), `"kind":"cells"`, `"cellSize":25`, `"firstLoadWithoutCheckpoints":true`)
}

// A repetition joins the figures there are, a new run takes their place.
func TestAdd(t *testing.T) {
	r := &results{}
	for i, join := range []bool{false, true, true} {
		m := newMeasurement(layout{Kind: cells, CellSize: 25}, 100)
		m.note(stepUp, cost{Seconds: float64(i + 1), Peak: int64(10 - i)})
		r.add(m, join)
	}
	if m := r.Measurements[0]; len(r.Measurements) != 1 || len(m.Seconds[stepUp]) != 3 || m.median(stepUp) != 2 || m.PeakBytes != 10 {
		t.Errorf("joined to %+v", m)
	}
	m := newMeasurement(layout{Kind: cells, CellSize: 25}, 100)
	m.note(stepUp, cost{Seconds: 7})
	r.add(m, false)
	if len(r.Measurements) != 1 || r.Measurements[0].median(stepUp) != 7 {
		t.Errorf("replaced to %+v", r.Measurements[0])
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		number(0): "0", number(0.0314): "0.031", number(1): "1", number(1.26): "1.3", number(59.5): "60", number(1550.9): "1,551", number(1234567): "1,234,567",
		duration(0.0314): "31 ms", duration(0.74): "0.74 s", duration(599): "599 s", duration(601): "10 min", duration(36001): "10 h",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A process counts with all that descend from it, and with nobody else.
func TestResidentBytes(t *testing.T) {
	proc := t.TempDir()
	for pid, process := range map[string][2]string{"10": {"1", "5"}, "11": {"10", "7"}, "12": {"11", "11"}, "13": {"1", "100"}} {
		stat := pid + " (a (strange) name) S " + process[0] + strings.Repeat(" 0", 19) + " " + process[1] + " 0\n"
		if err := os.MkdirAll(filepath.Join(proc, pid), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := writeFiles(filepath.Join(proc, pid), map[string]string{"stat": stat}); err != nil {
			t.Fatal(err)
		}
	}
	if got := residentBytes(proc, 10); got != 23*int64(os.Getpagesize()) {
		t.Errorf("got %d bytes", got)
	}
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
