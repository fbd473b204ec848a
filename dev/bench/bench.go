// Package bench measures how long the program takes to deploy tenants, in one stack and in cells,
// and how long plain SQL takes to make the same objects.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tenant-permissions/dev/toolchain"
)

// Options say what to measure.
type Options struct {
	// Checkout is the folder of the program.
	Checkout string
	// Tenants are the numbers of tenants.
	Tenants []int
	// Layouts are "one" for one stack, or sizes of cells. FirstLoadSuffix after a size means a first
	// up without checkpoints. A layout whose cells are larger than the number of tenants is not
	// measured.
	Layouts []string
	// Repetitions is how often to measure; the table has the medians.
	Repetitions int
	// Parallel is the CLI's --parallel, Jobs how many cells are deployed at once.
	Parallel, Jobs int
	// Lean measures what each choice costs for one cell of 25 tenants, and no layouts.
	Lean bool
	// OwnDatabases measures tenants with databases of their own, and no layouts. Databases is how many
	// empty databases it makes besides.
	OwnDatabases bool
	Databases    int
	// Catalog measures what many tenants cost a server, without Pulumi, and no layouts. The environment
	// variable POSTGRES chooses the version.
	Catalog bool
	// Busy is true if other work runs on the machine, which the page then says.
	Busy bool
	// Draw measures nothing: it only writes the table and the picture again.
	Draw bool
	// Docs is the folder of benchmarks.json, benchmarks.md and benchmarks.svg.
	Docs string
}

// layouts decodes o.Layouts, and checks the other options.
func (o Options) layouts() (all []layout, err error) {
	for _, n := range o.Tenants {
		if n < 1 {
			return nil, fmt.Errorf("a number of tenants must be at least 1, not %d", n)
		}
	}
	for _, word := range o.Layouts {
		if word == "one" {
			all = append(all, layout{Kind: oneStack})
			continue
		}
		number, firstLoad := strings.CutSuffix(word, FirstLoadSuffix)
		size, err := strconv.Atoi(number)
		if err != nil || size < 1 {
			return nil, fmt.Errorf("a layout must be one, or a size of cells from 1, not %q", word)
		}
		all = append(all, layout{Kind: cells, CellSize: size, FirstLoad: firstLoad})
	}
	if o.Repetitions < 1 || o.Parallel < 1 || o.Jobs < 1 || o.OwnDatabases && o.Databases < 1 {
		return nil, errors.New("repetitions, parallel, jobs and databases must be at least 1")
	}
	return all, nil
}

// Run measures, adds the results to benchmarks.json, and writes the page and the picture, the page
// to out as well.
func Run(ctx context.Context, o Options, out, progress io.Writer) (err error) {
	layouts, err := o.layouts()
	if err != nil {
		return err
	}
	results, err := loadResults(o.Docs)
	if err != nil {
		return err
	}
	if !o.Draw {
		if err := measure(ctx, o, layouts, results, progress); err != nil {
			return err
		}
	}
	return results.publish(o.Docs, out)
}

func measure(ctx context.Context, o Options, layouts []layout, results *results, progress io.Writer) (err error) {
	if o.Catalog {
		return measureCatalogs(ctx, o, results, progress)
	}
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
	switch {
	case o.Lean:
		return t.measureChoices(ctx, env, o.Repetitions, results)
	case o.OwnDatabases:
		return t.measureDatabases(ctx, env, o, results)
	}
	return t.measureLayouts(ctx, env, o, layouts, results)
}

// prepare finds the CLI and its plugins and compiles the program.
func prepare(ctx context.Context, dir string, o Options, progress io.Writer) (*tools, error) {
	checkout, err := filepath.Abs(o.Checkout)
	if err != nil {
		return nil, err
	}
	t := &tools{checkout: checkout, dir: dir, program: filepath.Join(dir, "program"), parallel: o.Parallel, jobs: o.Jobs, progress: progress}
	if t.Toolchain, err = toolchain.Prepare(ctx, toolchain.Options{Checkout: checkout, Progress: progress}); err != nil {
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

// measureLayouts measures every layout with every number of tenants, and saves each result at once.
func (t *tools) measureLayouts(ctx context.Context, env environment, o Options, layouts []layout, results *results) error {
	for _, n := range o.Tenants {
		for rep := range o.Repetitions {
			if err := t.measureTenants(ctx, n, layouts, func(m *measurement) error {
				m.Environment, m.Date = env, time.Now().UTC().Format(time.DateOnly)
				fmt.Fprintf(t.progress, "%d tenants, %s: %s\n", m.Tenants, m.Layout, m)
				results.add(m, rep > 0)
				return results.save(o.Docs)
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
		if layout.CellSize > n {
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

// sqlReps is how often plain SQL is measured each time. All ratios are to it, and it takes little time.
const sqlReps = 5

// measureSQL measures plain SQL and returns what it has made as well.
func (s *site) measureSQL(ctx context.Context, n int) (m *measurement, facts []string, err error) {
	m = newMeasurement(layout{Kind: plainSQL}, n)
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

// measureStacks measures one layout. It fails if the layout makes other objects than plain SQL does.
func (s *site) measureStacks(ctx context.Context, n int, layout layout, sqlFacts []string) (*measurement, error) {
	m := newMeasurement(layout, n)
	platform := &stack{name: "platform-" + layout.slug(), tenants: map[string]int{}}
	stacks := layout.split(platform, n)
	if err := s.create(ctx, stacks); err != nil {
		return nil, err
	}
	rest, first := stacks[1:], stacks[min(1, len(stacks)-1)]
	load := *s
	if layout.FirstLoad {
		load.env = append(slices.Clone(s.env), "PULUMI_SKIP_CHECKPOINTS=true")
	}
	err := s.steps(m,
		step{stepUp, func() (cost, error) {
			shared, err := load.up(ctx, platform)
			if err != nil {
				return shared, err
			}
			others, err := load.up(ctx, rest...)
			return shared.then(others), err
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
			others, err := s.destroy(ctx, rest...)
			if err != nil {
				return others, err
			}
			shared, err := s.destroy(ctx, platform)
			return others.then(shared), err
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

// kind is how tenants are deployed.
type kind string

const (
	plainSQL kind = "plain SQL"
	oneStack kind = "one stack"
	cells    kind = "cells"
)

// layout is how tenants are spread over stacks.
type layout struct {
	Kind kind `json:"kind"`
	// CellSize is the number of tenants in a cell.
	CellSize int `json:"cellSize,omitempty"`
	// FirstLoad is true if the first up wrote no checkpoints (PULUMI_SKIP_CHECKPOINTS).
	FirstLoad bool `json:"firstLoadWithoutCheckpoints,omitempty"`
}

// FirstLoadSuffix follows the size of cells whose first up writes no checkpoints.
const FirstLoadSuffix = "-first-load"

// slug is the layout as a part of names.
func (l layout) slug() string {
	switch {
	case l.Kind != cells:
		return "one"
	case l.FirstLoad:
		return strconv.Itoa(l.CellSize) + "f"
	default:
		return strconv.Itoa(l.CellSize)
	}
}

func (l layout) String() string {
	switch {
	case l.Kind != cells:
		return string(l.Kind)
	case l.FirstLoad:
		return "cells of " + strconv.Itoa(l.CellSize) + ", first load without checkpoints"
	default:
		return "cells of " + strconv.Itoa(l.CellSize)
	}
}

// split spreads n tenants over stacks, of which the first has the shared roles.
func (l layout) split(platform *stack, n int) []*stack {
	stacks := []*stack{platform}
	for i := range n {
		if l.Kind == cells && i%l.CellSize == 0 {
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
