package suites

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// modules makes a checkout with a module for each name, with one test.
func modules(t *testing.T, tests map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range tests {
		module := filepath.Join(dir, name)
		if err := os.Mkdir(module, 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{
			"go.mod":    "module " + name + "\n",
			"a_test.go": "package a\n\nimport (\n\t\"testing\"\n\t\"time\"\n)\n\nvar _ = time.Now\n\nfunc TestA(t *testing.T) { " + body + " }\n",
		} {
			if err := os.WriteFile(filepath.Join(module, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func nothingMissing(context.Context, Options, need) (string, error) { return "", nil }

func TestEverySuiteRuns(t *testing.T) {
	dir := modules(t, map[string]string{"bad": `t.Error("bad luck")`, "good": ""})
	chosen := []suite{{name: "bad", module: "bad", args: []string{"./..."}}, {name: "good", module: "good", args: []string{"./..."}}}
	var out bytes.Buffer
	err := runSuites(t.Context(), Options{Checkout: dir, Out: &out}, chosen, nothingMissing)
	if err == nil || !strings.Contains(err.Error(), "bad") || strings.Contains(err.Error(), "good") {
		t.Errorf("got %v", err)
	}
	_, end, _ := strings.Cut(out.String(), "=== good")
	for _, want := range []string{"FAIL\tbad", "ok  \tgood", "bad     FAILED", "good    ok"} {
		if !strings.Contains(end, want) {
			t.Errorf("%q is not at the end of\n%s", want, out.String())
		}
	}
	if !strings.Contains(out.String(), "bad luck") {
		t.Errorf("the output of the test is missing:\n%s", out.String())
	}
}

// A suite whose tests pass without what it needs has failed all the same.
func TestMissingNeed(t *testing.T) {
	dir := modules(t, map[string]string{"good": "", "other": ""})
	chosen := []suite{{name: "good", module: "good", needs: []need{needsChromium}}, {name: "other", module: "other"}}
	var out bytes.Buffer
	err := runSuites(t.Context(), Options{Checkout: dir, Out: &out}, chosen, func(context.Context, Options, need) (string, error) {
		return "", errors.New("install Chromium")
	})
	if err == nil || !strings.HasSuffix(err.Error(), ": good") || !strings.Contains(out.String(), "install Chromium") {
		t.Errorf("got %v\n%s", err, out.String())
	}
}

func TestInterruption(t *testing.T) {
	dir := modules(t, map[string]string{"slow": "time.Sleep(time.Hour)", "next": ""})
	chosen := []suite{{name: "slow", module: "slow"}, {name: "next", module: "next"}}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var out bytes.Buffer
	start := time.Now()
	err := runSuites(ctx, Options{Checkout: dir, Out: &out}, chosen, nothingMissing)
	if err == nil || !strings.Contains(out.String(), "next    not run") || time.Since(start) > 30*time.Second {
		t.Errorf("after %s: got %v\n%s", time.Since(start), err, out.String())
	}
}

func TestChoose(t *testing.T) {
	for _, test := range []struct {
		names []string
		want  []string
		fails bool
	}{
		{want: []string{"a", "b"}},
		{names: []string{"optional", "a"}, want: []string{"a", "optional"}},
		{names: []string{"c"}, fails: true},
	} {
		got, err := choose([]suite{{name: "a"}, {name: "b"}, {name: "optional", optional: true}}, test.names)
		var names []string
		for _, s := range got {
			names = append(names, s.name)
		}
		if test.fails != (err != nil) || !slices.Equal(names, test.want) {
			t.Errorf("%v: got %v, %v", test.names, names, err)
		}
	}
	if err := Run(t.Context(), Options{Names: []string{"nonsense"}, Out: io.Discard}); err == nil || !strings.Contains(err.Error(), "e2e") {
		t.Errorf("got %v", err)
	}
}

// The modules of the table are there.
func TestTable(t *testing.T) {
	for _, s := range table() {
		if _, err := os.Stat(filepath.Join("../..", s.module, "go.mod")); err != nil {
			t.Error(err)
		}
	}
}
