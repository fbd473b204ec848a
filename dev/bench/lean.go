package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	// prepare changes what runs use, before the first one. The site is the variant's own.
	prepare func(*site, *stack) error
}

// usual is what the others are compared with.
const usual = "as `make up-all` runs it"

// variants are the choices to measure.
func variants() []variant {
	return []variant{
		{name: usual},
		{name: "program compiled at each run", prepare: compileAtEachRun},
		{name: "`up` with a preview first", upFlags: []string{"--skip-preview=false"}},
		{name: "`--parallel 2`", upFlags: []string{"--parallel", "2"}},
		{name: "`--parallel 4`", upFlags: []string{"--parallel", "4"}},
		{name: "`--parallel 16`", upFlags: []string{"--parallel", "16"}},
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
}

// compileAtEachRun makes the program itself the project's, with the stack's config beside it.
func compileAtEachRun(s *site, cell *stack) error {
	from := s.project
	s.project = filepath.Join(s.dir, "source-"+cell.name)
	if err := copyProgram(s.checkout, s.project); err != nil {
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
func (t *tools) measureChoices(ctx context.Context, env environment, repetitions int, results *results) (err error) {
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
	variants := variants()
	measured := make([]*choice, len(variants))
	for i, v := range variants {
		measured[i] = &choice{Date: time.Now().UTC().Format(time.DateOnly), Environment: env, Name: v.name, Seconds: map[string][]float64{}}
	}
	for rep := range repetitions {
		for i, v := range variants {
			cell := &stack{name: fmt.Sprintf("cell-%d-%d", i, rep), platform: platform.name, tenants: map[string]int{}}
			if err := s.measureChoice(ctx, v, cell, measured[i]); err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			fmt.Fprintf(t.progress, "%s: %v, processor %.2f\n", v.name, measured[i].Seconds, measured[i].CPU)
		}
	}
	results.Choices = slices.DeleteFunc(results.Choices, func(c *choice) bool { return c.Environment == env })
	results.Choices = append(results.Choices, measured...)
	return nil
}

// copyProgram copies the program's source to a folder, which it makes.
func copyProgram(checkout, dir string) error {
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
			if err := writeFiles(dir, map[string]string{filepath.Base(file): string(content)}); err != nil {
				return err
			}
		}
	}
	packages := os.DirFS(filepath.Join(checkout, "internal"))
	if _, err := fs.Stat(packages, "."); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return os.CopyFS(filepath.Join(dir, "internal"), packages)
}

// measureChoice deploys a cell with a variant, adds a tenant to it and destroys it.
func (s *site) measureChoice(ctx context.Context, v variant, cell *stack, c *choice) error {
	for i := range leanTenants {
		cell.tenants[tenantKey(i)] = 1
	}
	if err := s.create(ctx, []*stack{cell}); err != nil {
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
