package suites

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// target is a fuzz target, in a package of a module.
type target struct{ pkg, name string }

// fuzz runs the fuzz targets of the suite's modules one after the other: each has all cores. What fails
// is written to testdata/fuzz of its package, where go test finds it again.
func fuzz(ctx context.Context, o Options, s suite, env []string, out io.Writer) error {
	var failed []error
	found := false
	for _, module := range s.fuzzed {
		targets, err := findTargets(ctx, o, s.name, module, env, out)
		failed = append(failed, err)
		for _, t := range targets {
			found = true
			if ctx.Err() != nil {
				return ctx.Err()
			}
			args := []string{"-run", "^$", "-fuzz", "^" + t.name + "$", "-fuzztime", o.FuzzTime, t.pkg}
			failed = append(failed, goTest(ctx, o, s.name, module, args, env, out, out))
		}
	}
	if !found {
		failed = append(failed, fmt.Errorf("no fuzz target in the modules %s", strings.Join(s.fuzzed, ", ")))
	}
	return errors.Join(failed...)
}

// findTargets asks go test for the fuzz targets of a module.
func findTargets(ctx context.Context, o Options, name, module string, env []string, out io.Writer) ([]target, error) {
	var listed bytes.Buffer
	if err := goTest(ctx, o, name, module, []string{"-list", "^Fuzz", "-json", "./..."}, env, &listed, out); err != nil {
		_, writeErr := out.Write(listed.Bytes())
		return nil, errors.Join(err, writeErr)
	}
	var targets []target
	for lines := json.NewDecoder(&listed); ; {
		var event struct{ Action, Package, Output string }
		if err := lines.Decode(&event); errors.Is(err, io.EOF) {
			return targets, nil
		} else if err != nil {
			return nil, fmt.Errorf("the output of go test -json: %w", err)
		}
		if event.Action == "output" && strings.HasPrefix(event.Output, "Fuzz") {
			targets = append(targets, target{event.Package, strings.TrimSpace(event.Output)})
		}
	}
}
