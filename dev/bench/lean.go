package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// leanTenants is the size of the cell that choices are measured with.
const leanTenants = 25

// choice is what one cell costs with one thing done differently.
type choice struct {
	Date        string      `json:"date"`
	Environment environment `json:"environment"`
	Name        string      `json:"name"`
	// Seconds by step, and of processor time in the first up.
	Seconds map[string][]float64 `json:"seconds"`
	CPU     []float64            `json:"cpu"`
	// StateBytes and PeakBytes after and in the first up.
	StateBytes int64 `json:"stateBytes"`
	PeakBytes  int64 `json:"peakBytes"`
}

// variant is a choice to measure.
type variant struct {
	name string
	// env and flags are added to those of the CLI, upFlags to those of up.
	env, flags, upFlags []string
	// patch is what to put in place of what, by turns, in the program's files.
	patch map[string][]string
	// prepare changes what runs use, before the first one. The site is the variant's own.
	prepare func(*site, *stack) error
	// official is true if stand-ins cannot do it.
	official bool
}

// usual is what the others are compared with.
const usual = "as `make up-all` runs it"

var variants = []variant{
	{name: usual},
	{name: "program compiled at each run", prepare: compileAtEachRun},
	{name: "`up` with a preview first", upFlags: []string{"--skip-preview=false"}},
	{name: "`--parallel 2`", upFlags: []string{"--parallel", "2"}},
	{name: "`--parallel 4`", upFlags: []string{"--parallel", "4"}},
	{name: "`--parallel 16`", upFlags: []string{"--parallel", "16"}},
	{name: "no component for each tenant", patch: map[string][]string{"tenants.go": {
		`ctx.RegisterComponentResource("tenant-permissions:index:Tenant", key, tenant)`, `error(nil)`,
		`ctx.RegisterResourceOutputs(tenant, pulumi.Map{`, `func(pulumi.Map) error { return nil }(pulumi.Map{`,
		`pulumi.Parent(tenant)`, `pulumi.Parent(nil)`,
	}}},
	{name: "no bcrypt (`RandomString`: the password is in plain in the state)", official: true, patch: map[string][]string{"login.go": {`RandomPassword`, `RandomString`}}},
	{name: "`GOGC=100`, which is Go's default", env: []string{"GOGC=100"}},
	{name: "`GOGC=off`", env: []string{"GOGC=off"}},
	{name: "`GOGC=off GOMEMLIMIT=256MiB`", env: []string{"GOGC=off", "GOMEMLIMIT=256MiB"}},
	{name: "`PULUMI_DIY_BACKEND_GZIP=true`", env: []string{"PULUMI_DIY_BACKEND_GZIP=true"}},
	{name: "`PULUMI_DIY_BACKEND_ZSTD=true`", env: []string{"PULUMI_DIY_BACKEND_ZSTD=true"}},
	{name: "`?metadata=skip` after the backend's address", prepare: skipMetadata},
	{name: "cells with the platform's `encryptionsalt`", prepare: shareSalt},
	{name: "no log in `~/.pulumi/logs`", prepare: noLogs},
	{name: "the three above", prepare: func(s *site, cell *stack) error {
		return errors.Join(skipMetadata(s, cell), shareSalt(s, cell), noLogs(s, cell))
	}},
	{name: "`--disable-integrity-checking`, unsafe", flags: []string{"--disable-integrity-checking"}},
	{name: "`PULUMI_SKIP_CHECKPOINTS=true`, unsafe", env: []string{"PULUMI_SKIP_CHECKPOINTS=true"}},
	{name: "`PULUMI_OPTIMIZED_CHECKPOINT_PATCH=true`", env: []string{"PULUMI_OPTIMIZED_CHECKPOINT_PATCH=true"}},
	{name: "`PULUMI_PARALLEL_DIFF=true`", env: []string{"PULUMI_PARALLEL_DIFF=true"}},
	{name: "`--skip-plugin-pre-install`", upFlags: []string{"--skip-plugin-pre-install"}},
	{name: "without `PULUMI_SKIP_UPDATE_CHECK`", env: []string{"PULUMI_SKIP_UPDATE_CHECK=false"}},
}

// compileAtEachRun makes the program itself the project's, with the stack's config beside it.
func compileAtEachRun(s *site, cell *stack) error {
	from := s.project
	s.project = filepath.Join(s.dir, "source-"+cell.name)
	if err := copyProgram(s.checkout, s.project, nil); err != nil {
		return err
	}
	name := "Pulumi." + cell.name + ".yaml"
	content, err := os.ReadFile(filepath.Join(from, name))
	return errors.Join(err, writeFiles(s.project, map[string]string{name: string(content)}))
}

// skipMetadata makes a folder backend write no second file, with an MD5 sum, beside every file.
func skipMetadata(s *site, _ *stack) error {
	s.env = append(s.env, "PULUMI_BACKEND_URL=file://"+s.backend+"?metadata=skip")
	return nil
}

// shareSalt gives the cell the platform's salt, so that the CLI derives one key and not two.
func shareSalt(s *site, cell *stack) error {
	content, err := os.ReadFile(filepath.Join(s.project, "Pulumi."+cell.platform+".yaml"))
	if err != nil {
		return err
	}
	if err := writeFiles(s.project, map[string]string{"Pulumi." + cell.name + ".yaml": string(content)}); err != nil {
		return err
	}
	return s.configure(cell)
}

// noLogs gives the CLI a home in which there is something else where it makes the folder of its logs.
func noLogs(s *site, cell *stack) error {
	home, err := s.newHome("home-" + cell.name)
	if err != nil {
		return err
	}
	s.env = append(s.env, "PULUMI_HOME="+home)
	return writeFiles(home, map[string]string{"logs": ""})
}

// measureChoices deploys a cell with each variant, all of them once before any a second time, on
// one server and beside one platform.
func (t *tools) measureChoices(ctx context.Context, env environment, o options, results *results) (err error) {
	s, err := t.newSite(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.server.Stop()) }()
	platform := &stack{name: "platform", tenants: map[string]int{}}
	if err := s.create(ctx, []*stack{platform}); err != nil {
		return err
	}
	if _, err := s.up(ctx, platform); err != nil {
		return err
	}
	variants := slices.Clone(variants)
	if env.StandIns {
		variants = slices.DeleteFunc(variants, func(v variant) bool { return v.official })
	}
	measured := make([]*choice, len(variants))
	programs := make([]string, len(variants))
	for i, v := range variants {
		measured[i] = &choice{Date: time.Now().UTC().Format(time.DateOnly), Environment: env, Name: v.name, Seconds: map[string][]float64{}}
		if programs[i], err = t.patched(ctx, v); err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
	}
	for rep := range o.reps {
		for i, v := range variants {
			cell := &stack{name: fmt.Sprintf("cell-%d-%d", i, rep), platform: platform.name, tenants: map[string]int{}}
			if err := s.measureChoice(ctx, v, programs[i], cell, measured[i]); err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			fmt.Fprintf(t.progress, "%s: %v, processor %.2f\n", v.name, measured[i].Seconds, measured[i].CPU)
		}
	}
	results.Choices = slices.DeleteFunc(results.Choices, func(c *choice) bool { return c.Environment == env })
	results.Choices = append(results.Choices, measured...)
	return nil
}

// patched is the program of a variant, compiled.
func (t *tools) patched(ctx context.Context, v variant) (program string, err error) {
	if len(v.patch) == 0 {
		return t.program, nil
	}
	dir, err := os.MkdirTemp(t.dir, "program-")
	if err != nil {
		return "", err
	}
	program = filepath.Join(dir, "program")
	return program, errors.Join(copyProgram(t.checkout, dir, v.patch), t.compile(ctx, dir, program))
}

// copyProgram copies the program's source, patched, to a folder that it makes.
func copyProgram(checkout, dir string, patch map[string][]string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, pattern := range []string{"*.go", "go.mod", "go.sum", "Pulumi.yaml"} {
		files, err := filepath.Glob(filepath.Join(checkout, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			name := filepath.Base(file)
			text, err := apply(patch[name], string(content))
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if err := writeFiles(dir, map[string]string{name: text}); err != nil {
				return err
			}
		}
	}
	return nil
}

// apply puts every second text of a patch in place of the one before it.
func apply(patch []string, text string) (string, error) {
	for pair := range slices.Chunk(patch, 2) {
		if !strings.Contains(text, pair[0]) {
			return "", fmt.Errorf("it has no %q to replace", pair[0])
		}
		text = strings.ReplaceAll(text, pair[0], pair[1])
	}
	return text, nil
}

// measureChoice deploys a cell with a variant, adds a tenant to it and destroys it.
func (s *site) measureChoice(ctx context.Context, v variant, program string, cell *stack, c *choice) error {
	for i := range leanTenants {
		cell.tenants[tenantKey(i)] = 1
	}
	if err := s.create(ctx, []*stack{cell}); err != nil {
		return err
	}
	if err := s.useProgram(program); err != nil {
		return err
	}
	own := *s
	s = &own
	s.env, s.flags = slices.Concat(s.env, v.env), v.flags
	if v.prepare != nil {
		if err := v.prepare(s, cell); err != nil {
			return err
		}
	}
	up := func() (cost, error) {
		return s.each(ctx, []*stack{cell}, slices.Concat([]string{"up", "--yes", "--suppress-outputs", "--skip-preview", "--parallel", strconv.Itoa(s.parallel)}, v.upFlags)...)
	}
	for _, step := range []step{
		{stepUp, up},
		{stepPreview, func() (cost, error) { return s.preview(ctx, []*stack{cell}) }},
		{stepAdd, func() (cost, error) {
			cell.tenants["added"] = 1
			if err := s.configure(cell); err != nil {
				return cost{}, err
			}
			return up()
		}},
		{"", func() (cost, error) { return s.destroy(ctx, cell) }},
	} {
		got, err := step.do()
		if err != nil {
			return err
		}
		if step.name == "" {
			continue
		}
		c.Seconds[step.name] = append(c.Seconds[step.name], got.Seconds)
		if step.name == stepUp {
			c.CPU = append(c.CPU, got.CPU)
			c.PeakBytes = max(c.PeakBytes, got.Peak)
			if c.StateBytes, err = s.stateBytes([]*stack{cell}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *results) writeChoices(w io.Writer) {
	for _, env := range r.environments() {
		var usually *choice
		for _, c := range r.Choices {
			if c.Environment == env && c.Name == usual {
				usually = c
			}
		}
		if usually == nil {
			continue
		}
		fmt.Fprintf(w, "\n## What each choice costs%s\n\nOne cell of %d tenants (`make bench-lean`).\n\n"+
			"| | first `up` | its processor time | unchanged preview | add a tenant | state | memory |\n|---|--:|--:|--:|--:|--:|--:|\n", r.mark(env), leanTenants)
		for _, c := range r.Choices {
			if c.Environment != env {
				continue
			}
			fmt.Fprintf(w, "| %s |", c.Name)
			for _, pair := range [][2][]float64{
				{c.Seconds[stepUp], usually.Seconds[stepUp]},
				{c.CPU, usually.CPU},
				{c.Seconds[stepPreview], usually.Seconds[stepPreview]},
				{c.Seconds[stepAdd], usually.Seconds[stepAdd]},
			} {
				fmt.Fprintf(w, " %s |", ratioAndSeconds(median(pair[0]), median(pair[1])))
			}
			fmt.Fprintf(w, " %s kB | %s MiB |\n", number(float64(c.StateBytes)/1e3), number(float64(c.PeakBytes)/(1<<20)))
		}
	}
}
