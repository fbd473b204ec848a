package suites

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
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
			"a_test.go": "package a\n\nimport (\n\t\"os\"\n\t\"testing\"\n\t\"time\"\n)\n\nvar _, _ = time.Now, os.Stat\n\nfunc TestA(t *testing.T) { " + body + " }\n",
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

// Both wait for each other. What the second prints is not between the lines of the first.
func TestSideBySide(t *testing.T) {
	met := t.TempDir()
	meet := func(own, other string) string {
		return `t.Log("begin ` + own + `"); os.WriteFile("` + filepath.Join(met, own) + `", nil, 0o600)
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
				if _, err := os.Stat("` + filepath.Join(met, other) + `"); err == nil { break }
				if time.Now().After(deadline) { t.Fatal("alone") }
			}
			t.Log("end ` + own + `")`
	}
	dir := modules(t, map[string]string{"one": meet("one", "two"), "two": meet("two", "one")})
	chosen := []suite{{name: "one", module: "one", args: []string{"-v"}}, {name: "two", module: "two", args: []string{"-v"}}}
	var out bytes.Buffer
	if err := runSuites(t.Context(), Options{Checkout: dir, Out: &out, Jobs: 2}, chosen, nothingMissing); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	rest := out.String()
	for _, want := range []string{"=== one", "begin one", "end one", "ok  \tone", "=== two", "begin two", "end two", "ok  \ttwo", "suite", "one     ok", "two     ok"} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("%q does not come next in\n%s", want, out.String())
		}
		rest = after
	}
}

// Tests of stacks have their temporary files in memory.
func TestTemporaryFiles(t *testing.T) {
	dir := modules(t, map[string]string{"stacks": `t.Log("in " + os.TempDir())`, "other": `t.Log("in " + os.TempDir())`})
	chosen := []suite{{name: "stacks", module: "stacks", args: []string{"-v"}, needs: []need{needsPulumi}}, {name: "other", module: "other", args: []string{"-v"}}}
	temporary := filepath.Join(t.TempDir(), "in", "memory")
	if err := os.MkdirAll(filepath.Join(temporary, "left"), 0o755); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := runSuites(t.Context(), Options{Checkout: dir, Out: &out, temporary: temporary}, chosen, nothingMissing); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(temporary); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
	if stacks, other, _ := strings.Cut(out.String(), "=== other"); !strings.Contains(stacks, "in "+temporary) || strings.Contains(other, "in "+temporary) {
		t.Errorf("not the first of two suites, in %s:\n%s", temporary, out.String())
	}
}

func TestInMemory(t *testing.T) {
	parent := t.TempDir()
	dir, err := inMemory(parent, 0)
	if err != nil || filepath.Dir(dir) != parent {
		t.Fatalf("got %q, %v", dir, err)
	}
	if dir, err := inMemory(filepath.Join(parent, "missing"), 0); err != nil || dir != "" {
		t.Errorf("got %q, %v", dir, err)
	}
	if dir, err := inMemory(parent, 1<<60); err != nil || dir != "" {
		t.Errorf("got %q, %v", dir, err)
	}
	if about := (syscall.Statfs_t{Bavail: 2, Bsize: 4096, Flags: noExec}); fit(about, 8192) {
		t.Error("programs do not run from there")
	}
	if about := (syscall.Statfs_t{Bavail: 2, Bsize: 4096}); !fit(about, 8192) || fit(about, 8193) {
		t.Error("it has room for 8,192 bytes")
	}
}

// Each target runs, also after one that fails, and a suite without targets fails.
func TestFuzz(t *testing.T) {
	dir := modules(t, map[string]string{"fuzzed": "", "plain": ""})
	targets := `package a

import "testing"

func FuzzBad(f *testing.F) { f.Fuzz(func(t *testing.T, n int) { t.Error("bad luck") }) }

func FuzzGood(f *testing.F) { f.Fuzz(func(t *testing.T, n int) {}) }
`
	if err := os.WriteFile(filepath.Join(dir, "fuzzed", "fuzz_test.go"), []byte(targets), 0o600); err != nil {
		t.Fatal(err)
	}
	chosen := []suite{{name: "fuzz", fuzzed: []string{"plain", "fuzzed"}}, {name: "none", fuzzed: []string{"plain"}}}
	var out bytes.Buffer
	err := runSuites(t.Context(), Options{Checkout: dir, Out: &out, Jobs: 1, FuzzTime: "10x"}, chosen, nothingMissing)
	if err == nil || !strings.HasSuffix(err.Error(), ": fuzz, none") {
		t.Errorf("got %v", err)
	}
	for _, want := range []string{"bad luck", "-fuzz ^FuzzBad$ -fuzztime 10x fuzzed", "-fuzz ^FuzzGood$ -fuzztime 10x fuzzed", "FAIL\tfuzzed", "ok  \tfuzzed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

// What runs is interrupted, also side by side; what has not begun does not run.
func TestInterruption(t *testing.T) {
	dir := modules(t, map[string]string{"slow": "time.Sleep(time.Hour)", "next": "time.Sleep(time.Hour)"})
	chosen := []suite{{name: "slow", module: "slow"}, {name: "next", module: "next"}}
	for jobs, want := range map[int]string{1: "next    not run", 2: "next    FAILED"} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		var out bytes.Buffer
		start := time.Now()
		err := runSuites(ctx, Options{Checkout: dir, Out: &out, Jobs: jobs}, chosen, nothingMissing)
		cancel()
		if err == nil || !strings.Contains(out.String(), "slow    FAILED") || !strings.Contains(out.String(), want) || time.Since(start) > 30*time.Second {
			t.Errorf("%d at once, after %s: got %v\n%s", jobs, time.Since(start), err, out.String())
		}
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

// The modules of the table are there, and every fuzz target is in one that is fuzzed.
func TestTable(t *testing.T) {
	var fuzzed []string
	for _, s := range table() {
		fuzzed = append(fuzzed, s.fuzzed...)
		for _, module := range append(s.fuzzed, s.module) {
			if _, err := os.Stat(filepath.Join("../..", module, "go.mod")); err != nil {
				t.Error(err)
			}
		}
	}
	target := regexp.MustCompile(`(?m)^func Fuzz\w+\(f \*testing\.F\) \{$`)
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && len(entry.Name()) > 2 && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || !target.Match(text) {
			return err
		}
		module := filepath.Dir(path)
		for !isModule(module) {
			module = filepath.Dir(module)
		}
		if module, err = filepath.Rel("../..", module); err == nil && !slices.Contains(fuzzed, module) {
			t.Errorf("%s has a fuzz target, but its module %s is not fuzzed", path, module)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}
