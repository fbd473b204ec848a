package suites

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"tenant-permissions/dev/install"
	"tenant-permissions/dev/postgres"
	"tenant-permissions/dev/toolchain"
)

// Options say what to run.
type Options struct {
	// Checkout is the folder of the program.
	Checkout string
	// Names are the suites; empty means all that are not optional.
	Names []string
	// Postgres is the server's major version, "14" to "18"; empty means any.
	Postgres string
	// Jobs is how many suites run at once; 0 means one for each core. The suite dev waits half of its
	// time for servers to start and for single processes, which is when others get on.
	Jobs int
	// FuzzTime is how long each fuzz target runs, as go test's -fuzztime takes it: "10m", or "1000x" for a
	// number of inputs. Empty means 20 seconds.
	FuzzTime string
	// Out gets the plan, the output of the tests and the table.
	Out io.Writer
	// temporary is the folder for the temporary files of tests of stacks, which is removed after them;
	// empty means the usual one.
	temporary string
}

// result is how a suite ended.
type result struct {
	suite suite
	took  time.Duration
	// err is nil if all tests passed.
	err error
	// closing are the lines that go test ends each package with.
	closing []string
}

// errNotRun is the error of the suites after an interruption.
var errNotRun = errors.New("not run")

// Run installs what the suites need and runs them. It fails if any suite does, or if something that a
// suite needs is missing. When ctx ends, Run interrupts the tests, and prints the table of what it has
// run.
func Run(ctx context.Context, o Options) error {
	chosen, err := choose(table(), o.Names)
	if err != nil {
		return err
	}
	if o.Checkout, err = filepath.Abs(o.Checkout); err != nil {
		return err
	}
	if os.Getenv("TMPDIR") == "" {
		if o.temporary, err = inMemory("/dev/shm", roomInMemory); err != nil {
			return err
		}
	}
	return runSuites(ctx, o, chosen, prepare)
}

// preparer installs a need and returns a folder to put before PATH, if any.
type preparer func(ctx context.Context, o Options, n need) (path string, err error)

func runSuites(ctx context.Context, o Options, chosen []suite, prepare preparer) error {
	if o.Jobs == 0 {
		o.Jobs = runtime.NumCPU()
	}
	if o.FuzzTime == "" {
		o.FuzzTime = "20s"
	}
	writePlan(o, chosen)
	env := append(os.Environ(), "POSTGRES="+o.Postgres)
	missing := map[need]error{}
	for _, n := range []need{needsPostgres, needsPulumi, needsChromium, needsPgBouncer} {
		if !slices.ContainsFunc(chosen, func(s suite) bool { return slices.Contains(s.needs, n) }) {
			continue
		}
		path, err := prepare(ctx, o, n)
		if err != nil {
			fmt.Fprintln(o.Out, err)
			missing[n] = err
		}
		if path != "" {
			env = append(env, "PATH="+path+string(filepath.ListSeparator)+os.Getenv("PATH"))
		}
	}
	start := time.Now()
	results := make([]result, len(chosen))
	order := newOrder(o.Out, len(chosen))
	slots := make(chan struct{}, o.Jobs)
	var running sync.WaitGroup
	for i, s := range chosen {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			r := result{suite: s, err: errNotRun}
			if ctx.Err() == nil {
				r = runSuite(ctx, o, s, env, order.writer(i))
				// The suite's other tests have run. It fails all the same, so that the tests that need what is
				// missing are not taken for skipped ones.
				for _, n := range s.needs {
					r.err = errors.Join(r.err, missing[n])
				}
			}
			r.err = errors.Join(r.err, order.end(i))
			results[i] = r
		})
	}
	running.Wait()
	return errors.Join(writeResults(o.Out, results, time.Since(start)), os.RemoveAll(o.temporary))
}

// prepare installs a need in the way that make up does.
func prepare(ctx context.Context, o Options, n need) (path string, err error) {
	switch n {
	case needsPostgres:
		return "", postgres.Install(ctx, o.Postgres, o.Out)
	case needsPulumi:
		_, err := toolchain.Prepare(ctx, toolchain.Options{Checkout: o.Checkout, Progress: o.Out})
		return "", err
	case needsChromium:
		return install.Chromium(ctx, o.Out)
	case needsPgBouncer:
		// The test looks for it in the same way.
		_, err := install.PgBouncer(ctx, o.Out)
		return "", err
	}
	return "", fmt.Errorf("unknown need %d", n)
}

func writePlan(o Options, chosen []suite) {
	var total time.Duration
	for _, s := range chosen {
		total += s.takes
	}
	fmt.Fprintf(o.Out, "Running these suites, %d at once, at most %s on 2 cores; what is missing is installed first, and the Pulumi CLI, if it is, takes 5 minutes once:\n", o.Jobs, minutes(total))
	for _, s := range chosen {
		fmt.Fprintf(o.Out, "  %-8s %-70s %s\n", s.name, s.what, minutes(s.takes))
	}
	fmt.Fprintln(o.Out)
}

func minutes(d time.Duration) string { return fmt.Sprintf("%.0f min", d.Minutes()) }

// closingLine matches what go test ends each package with.
var closingLine = regexp.MustCompile(`^(ok  |FAIL|\?   )\t`)

// runSuite runs a suite's tests, or its fuzz targets.
func runSuite(ctx context.Context, o Options, s suite, env []string, out io.Writer) result {
	if o.temporary != "" && slices.Contains(s.needs, needsPulumi) {
		env = append(slices.Clone(env), "TMPDIR="+o.temporary)
	}
	closing := &lineFilter{out: out}
	start := time.Now()
	var err error
	if len(s.fuzzed) > 0 {
		err = fuzz(ctx, o, s, env, closing)
	} else {
		err = goTest(ctx, o, s.name, s.module, s.args, env, closing, closing)
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	fmt.Fprintln(out)
	return result{suite: s, took: time.Since(start), err: err, closing: closing.kept}
}

// goTest runs go test in a module. The tests are a process group of their own: Ctrl-C in a terminal
// reaches this process, which then interrupts the group.
func goTest(ctx context.Context, o Options, name, module string, args, env []string, out, problems io.Writer) error {
	fmt.Fprintf(problems, "=== %s: go -C %s test %s\n", name, module, strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, "go", append([]string{"test"}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = filepath.Join(o.Checkout, module), env, out, problems
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 30 * time.Second // for what the tests clean up
	return cmd.Run()
}

// lineFilter passes everything on and keeps go test's closing lines.
type lineFilter struct {
	out  io.Writer
	line []byte
	kept []string
}

func (f *lineFilter) Write(text []byte) (int, error) {
	f.line = append(f.line, text...)
	for {
		line, rest, complete := bytes.Cut(f.line, []byte("\n"))
		if !complete {
			break
		}
		if closingLine.Match(line) {
			f.kept = append(f.kept, string(line))
		}
		f.line = rest
	}
	return f.out.Write(text)
}

// writeResults writes the closing lines of all suites and the table. Suites that ran side by side took
// less together than the sum of their times.
func writeResults(out io.Writer, results []result, together time.Duration) error {
	for _, r := range results {
		for _, line := range r.closing {
			fmt.Fprintln(out, line)
		}
	}
	fmt.Fprintln(out)
	var failed []string
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "suite\tresult\ttime\twhat")
	for _, r := range results {
		verdict := "ok"
		if r.err != nil {
			failed = append(failed, r.suite.name)
			verdict = "FAILED"
			if errors.Is(r.err, errNotRun) {
				verdict = "not run"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.suite.name, verdict, r.took.Round(time.Second), r.suite.what)
	}
	fmt.Fprintf(w, "all\t\t%s\t\n", together.Round(time.Second))
	if err := w.Flush(); err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("these suites have not passed: %s", strings.Join(failed, ", "))
	}
	return nil
}
