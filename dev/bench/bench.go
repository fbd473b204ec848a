// Command bench measures how long the program takes to deploy tenants, in one stack and in cells,
// beside plain SQL for the same objects, and what each choice about it costs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tenant-permissions/local"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options say what to measure.
type options struct {
	tenants        []int
	layouts        []layout
	reps           int
	parallel, jobs int
	lean, draw     bool
	docs           string
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	tenants := flags.String("n", "25,100,400", "numbers of tenants")
	layouts := flags.String("layouts", "25,50,25"+firstLoadSuffix+",one", "one stack, and sizes of cells, those with "+firstLoadSuffix+" without checkpoints in the first up; where they are larger than -n they are left out")
	flags.IntVar(&o.reps, "reps", 1, "how often to measure; the tables have the medians")
	flags.IntVar(&o.parallel, "parallel", 8, "what --parallel of the CLI is")
	flags.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "how many cells at once")
	flags.BoolVar(&o.lean, "lean", false, "measure what each choice costs for one cell of 25 tenants instead")
	flags.BoolVar(&o.draw, "draw", false, "measure nothing, only make tables and picture anew")
	flags.StringVar(&o.docs, "docs", "../docs", "folder of benchmarks.json, .md and .svg")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for word := range strings.SplitSeq(*tenants, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return o, fmt.Errorf("-n: got %q, want numbers from 1", word)
		}
		o.tenants = append(o.tenants, n)
	}
	for word := range strings.SplitSeq(*layouts, ",") {
		number, firstLoad := strings.CutSuffix(word, firstLoadSuffix)
		size, err := strconv.Atoi(number)
		if word != "one" && (err != nil || size < 1 || firstLoad && size < 2) {
			return o, fmt.Errorf("-layouts: got %q, want one or numbers from 1", word)
		}
		if firstLoad {
			size = -size
		}
		o.layouts = append(o.layouts, layout(size))
	}
	if o.reps < 1 || o.parallel < 1 || o.jobs < 1 {
		return o, errors.New("-reps, -parallel and -jobs must be at least 1")
	}
	return o, nil
}

// run is the command without its process.
func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	results, err := loadResults(o.docs)
	if err != nil {
		return err
	}
	if !o.draw {
		dir, err := os.MkdirTemp("", "tenant-permissions-bench-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		t, err := prepare(ctx, dir, o, progress)
		if err != nil {
			return err
		}
		env, err := t.environment(ctx)
		if err != nil {
			return err
		}
		if o.lean {
			err = t.measureChoices(ctx, env, o, results)
		} else {
			err = t.measureLayouts(ctx, env, o, results)
		}
		if err != nil {
			return err
		}
	}
	return results.publish(o.docs, out)
}

// prepare finds the CLI and its plugins and compiles the program.
func prepare(ctx context.Context, dir string, o options, progress io.Writer) (*tools, error) {
	checkout, err := filepath.Abs("..")
	if err != nil {
		return nil, err
	}
	t := &tools{checkout: checkout, dir: dir, program: filepath.Join(dir, "program"), parallel: o.parallel, jobs: o.jobs, progress: progress}
	if t.Toolchain, err = local.PrepareToolchain(ctx, local.ToolchainOptions{Checkout: checkout, Progress: progress}); err != nil {
		return nil, err
	}
	return t, t.compile(ctx, checkout, t.program)
}

// compile compiles the program as it stands in a folder.
func (t *tools) compile(ctx context.Context, dir, program string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", program, ".")
	cmd.Dir, cmd.Stderr = dir, t.progress
	return cmd.Run()
}

// measureLayouts measures every layout with every number of tenants, and keeps what it has as soon
// as it has it.
func (t *tools) measureLayouts(ctx context.Context, env environment, o options, results *results) error {
	for _, n := range o.tenants {
		for rep := range o.reps {
			if err := t.measureTenants(ctx, n, o.layouts, func(m *measurement) error {
				m.Environment, m.Date = env, time.Now().UTC().Format(time.DateOnly)
				fmt.Fprintf(t.progress, "%d tenants, %s: %s\n", m.Tenants, m.Layout, m)
				results.add(m, rep > 0)
				return results.save(o.docs)
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// measureTenants measures plain SQL, then the layouts, on one server.
func (t *tools) measureTenants(ctx context.Context, n int, layouts []layout, done func(*measurement) error) (err error) {
	s, err := t.newSite(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.server.Stop()) }()
	sql, facts, err := s.measureSQL(ctx, n)
	if err != nil {
		return err
	}
	if err := done(sql); err != nil {
		return err
	}
	for _, layout := range layouts {
		if layout.size() > n {
			continue
		}
		if err := s.newDatabase(ctx, "stacks_"+layout.slug()); err != nil {
			return err
		}
		m, err := s.measureStacks(ctx, n, layout, facts)
		if err != nil {
			return fmt.Errorf("%s: %w", layout, err)
		}
		if err := done(m); err != nil {
			return err
		}
	}
	return nil
}

func tenantKey(i int) string { return fmt.Sprintf("t%05d", i) }

// sqlReps is how often plain SQL is measured each time: all ratios are to it, and it is done in no time.
const sqlReps = 5

// measureSQL measures plain SQL and returns what it has made as well.
func (s *site) measureSQL(ctx context.Context, n int) (m *measurement, facts []string, err error) {
	m = newMeasurement(plainSQL, n)
	steps := []struct {
		name       string
		statements func() []string
	}{
		{stepUp, func() []string {
			sql := sharedSQL(s.database)
			for i := range n {
				sql = append(sql, tenantSQL(tenantKey(i))...)
			}
			return sql
		}},
		{stepAdd, func() []string { return tenantSQL("added") }},
		{stepRotate, func() []string { return rotateSQL(tenantKey(0)) }},
		{stepDestroy, func() (sql []string) {
			sql = dropTenantSQL("added")
			for i := range n {
				sql = append(sql, dropTenantSQL(tenantKey(i))...)
			}
			return append(sql, dropSharedSQL(s.database)...)
		}},
	}
	for range sqlReps {
		for _, step := range steps {
			c, err := s.plain(ctx, step.statements)
			if err != nil {
				return nil, nil, err
			}
			m.note(step.name, c)
			if step.name == stepUp {
				if facts, err = s.facts(ctx); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	return m, facts, nil
}

// measureStacks measures one layout. It fails if that makes anything else than plain SQL does.
func (s *site) measureStacks(ctx context.Context, n int, layout layout, sqlFacts []string) (*measurement, error) {
	m := newMeasurement(layout, n)
	platform := &stack{name: "platform-" + layout.slug(), tenants: map[string]int{}}
	stacks := layout.split(platform, n)
	if err := s.create(ctx, stacks); err != nil {
		return nil, err
	}
	cells, first := stacks[1:], stacks[min(1, len(stacks)-1)]
	load := *s
	if layout.firstLoad() {
		load.env = append(slices.Clone(s.env), "PULUMI_SKIP_CHECKPOINTS=true")
	}
	err := s.steps(m,
		step{stepUp, func() (cost, error) {
			shared, err := load.up(ctx, platform)
			if err != nil {
				return shared, err
			}
			rest, err := load.up(ctx, cells...)
			return shared.then(rest), err
		}},
		step{"", func() (cost, error) {
			facts, err := s.facts(ctx)
			if err != nil {
				return cost{}, err
			}
			m.StateBytes, err = s.stateBytes(stacks)
			return cost{}, errors.Join(sameFacts(sqlFacts, facts), err)
		}},
		step{stepPreview, func() (cost, error) { return s.preview(ctx, stacks) }},
		step{stepRefresh, func() (cost, error) { return s.preview(ctx, stacks, "--refresh") }},
		step{stepOne, func() (cost, error) { return s.preview(ctx, []*stack{first}) }},
		step{stepAdd, func() (cost, error) {
			first.tenants["added"] = 1
			return s.changed(ctx, first)
		}},
		step{stepRotate, func() (cost, error) {
			first.tenants[tenantKey(0)]++
			return s.changed(ctx, first)
		}},
		step{stepDestroy, func() (cost, error) {
			rest, err := s.destroy(ctx, cells...)
			if err != nil {
				return rest, err
			}
			shared, err := s.destroy(ctx, platform)
			return rest.then(shared), err
		}},
	)
	return m, err
}

// step is something to measure; without a name it is not.
type step struct {
	name string
	do   func() (cost, error)
}

func (s *site) steps(m *measurement, steps ...step) error {
	for _, step := range steps {
		c, err := step.do()
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		if step.name != "" {
			m.note(step.name, c)
		}
	}
	return nil
}

// changed deploys a stack after its config has changed.
func (s *site) changed(ctx context.Context, stack *stack) (cost, error) {
	if err := s.configure(stack); err != nil {
		return cost{}, err
	}
	return s.up(ctx, stack)
}

// layout is how many tenants a cell has; 0 is one stack for all, plainSQL no stack. Less than that
// is so many without a minus, with a first up that has no checkpoints.
type layout int

const plainSQL layout = -1

// firstLoadSuffix follows the size of cells that are loaded without checkpoints.
const firstLoadSuffix = "-first-load"

func (l layout) firstLoad() bool { return l < plainSQL }

// size is the number of tenants in a cell, 0 where there are none.
func (l layout) size() int {
	switch {
	case l == plainSQL:
		return 0
	case l.firstLoad():
		return -int(l)
	default:
		return int(l)
	}
}

// slug is the layout as a part of names.
func (l layout) slug() string {
	if l.firstLoad() {
		return strconv.Itoa(l.size()) + "f"
	}
	return strconv.Itoa(l.size())
}

func (l layout) String() string {
	switch {
	case l == plainSQL:
		return "plain SQL"
	case l == 0:
		return "one stack"
	case l.firstLoad():
		return "cells of " + strconv.Itoa(l.size()) + ", first load without checkpoints"
	default:
		return "cells of " + strconv.Itoa(l.size())
	}
}

// split spreads n tenants over stacks, of which the first has the shared roles.
func (l layout) split(platform *stack, n int) []*stack {
	stacks := []*stack{platform}
	for i := range n {
		if size := l.size(); size > 0 && i%size == 0 {
			stacks = append(stacks, &stack{
				name: fmt.Sprintf("cell-%s-%d", l.slug(), len(stacks)), platform: platform.name, tenants: map[string]int{},
			})
		}
		stacks[len(stacks)-1].tenants[tenantKey(i)] = 1
	}
	return stacks
}

// keys in the order of the text.
func sortedKeys[K interface{ ~int | ~string }, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
