package cells

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"tenant-permissions/internal/launcher"
	"tenant-permissions/internal/policy"
	"tenant-permissions/tools/audit"
	"tenant-permissions/tools/connect"
	"tenant-permissions/tools/progress"
)

// Deployment deploys a platform, then all its cells.
type Deployment struct {
	// Preview shows what would change and deploys nothing. It makes stacks that are missing.
	Preview bool
	// Jobs is how many cells are deployed at once.
	Jobs int
	// Flags are further ones for pulumi up or preview.
	Flags []string
	// Line shows how many cells are done.
	Line *progress.Line
}

// deployer is a deployment that runs.
type deployer struct {
	Deployment
	// project is the folder of the project with the compiled program, logs the folder of the stacks' logs.
	project, logs string
	// env is the environment of the Pulumi CLI.
	env []string
	// secretsProvider is that of the platform, which new cells get too.
	secretsProvider string
	out             io.Writer
}

// Deploy deploys a platform, then its cells side by side, and writes a line for each. What the Pulumi
// CLI prints goes into a log for each stack. Stacks that do not exist are made. A cell that fails
// stops no other; another run repairs it.
func (s *Stacks) Deploy(ctx context.Context, d Deployment, out io.Writer) error {
	if d.Jobs < 1 {
		return fmt.Errorf("--jobs %d is not accepted: give a number from 1", d.Jobs)
	}
	run := &deployer{Deployment: d, out: out, secretsProvider: s.stacks[s.reference.stack].settings.SecretsProvider}
	if run.secretsProvider == "" {
		run.secretsProvider = "default"
	}
	names, err := s.check()
	if err != nil {
		return err
	}
	d.Line.Text("Compiling the program")
	if err := run.prepare(ctx, s.dir, s.reference.stack); err != nil {
		return err
	}
	if err := run.environment(ctx, s.dir); err != nil {
		return err
	}
	d.Line.Text("Deploying the platform " + s.reference.stack)
	if !run.stack(ctx, names[0]) {
		return fmt.Errorf("deploying the platform failed, so no cell was deployed")
	}
	cells := names[1:]
	if len(cells) == 0 {
		return nil
	}
	done, failed := 0, 0
	results := make(chan bool)
	go func() {
		var group sync.WaitGroup
		slots := make(chan struct{}, d.Jobs)
		for _, name := range cells {
			slots <- struct{}{}
			group.Go(func() {
				results <- ctx.Err() == nil && run.stack(ctx, name) // a cell that fails stops no other
				<-slots
			})
		}
		group.Wait()
		close(results)
	}()
	d.Line.Text(fmt.Sprintf("Deploying %d cells", len(cells)))
	for ok := range results {
		if ok {
			done++
		} else {
			failed++
		}
		d.Line.Text(fmt.Sprintf("Deploying cells: %d of %d done, %d failed", done, len(cells), failed))
	}
	if err := run.print("%d of %d cells done, logs in %s", done, len(cells), run.logs); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the run was stopped: %w", ctx.Err())
	case failed > 0:
		return fmt.Errorf("cells that failed: %d; another run repairs them", failed)
	}
	return nil
}

func (d *deployer) print(format string, args ...any) error {
	return d.Line.Around(func() error {
		_, err := fmt.Fprintf(d.out, format+"\n", args...)
		return err
	})
}

// prepare compiles the program and makes a project of it, in the folder .local of the checkout. The
// option stackConfigDir makes the stacks' files those of the checkout.
func (d *deployer) prepare(ctx context.Context, checkout, platform string) error {
	d.project = filepath.Join(checkout, ".local", "cells", platform)
	d.logs = filepath.Join(d.project, "logs")
	if err := os.RemoveAll(d.logs); err != nil {
		return err
	}
	if err := os.MkdirAll(d.logs, 0o700); err != nil {
		return err
	}
	program := filepath.Join(d.project, "program")
	if err := compile(ctx, checkout, program); err != nil {
		return err
	}
	project, err := os.ReadFile(filepath.Join(checkout, "Pulumi.yaml"))
	if err != nil {
		return err
	}
	project = regexp.MustCompile(`(?m)^stackConfigDir:.*\n?`).ReplaceAll(project, nil)
	project = append(bytes.TrimRight(project, "\n"), "\nstackConfigDir: ../../..\n"...)
	return launcher.WriteProject(d.project, project, program)
}

// compile builds the program of a checkout.
func compile(ctx context.Context, checkout, program string) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Dir = checkout
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the program: %w\n%s", err, output)
	}
	return nil
}

// environment makes the CLI's environment: paths that are relative to the checkout become absolute,
// because the CLI runs in the project.
func (d *deployer) environment(ctx context.Context, checkout string) error {
	who := exec.CommandContext(ctx, "pulumi", "whoami", "--verbose", "--json")
	var stderr bytes.Buffer
	who.Dir, who.Stderr = checkout, &stderr
	output, err := who.Output()
	if err != nil {
		return fmt.Errorf("pulumi whoami: %w\n%s", err, stderr.String())
	}
	var backend struct{ URL string }
	if err := json.Unmarshal(output, &backend); err != nil {
		return fmt.Errorf("pulumi whoami: %w", err)
	}
	d.env = os.Environ()
	if path, ok := strings.CutPrefix(backend.URL, "file://"); ok && path != "" && path[0] != '/' && path[0] != '~' {
		d.env = append(d.env, "PULUMI_BACKEND_URL=file://"+filepath.ToSlash(checkout)+"/"+path)
	}
	if file := os.Getenv("PULUMI_CONFIG_PASSPHRASE_FILE"); file != "" {
		if !filepath.IsAbs(file) {
			file = filepath.Join(checkout, file)
		}
		d.env = append(d.env, "PULUMI_CONFIG_PASSPHRASE_FILE="+file)
	}
	if os.Getenv("GOGC") == "" {
		// Rarer garbage collection takes a seventh less processor time and 150 MiB more memory in each run.
		d.env = append(d.env, "GOGC=400")
	}
	return nil
}

// pulumi is a command of the CLI. It has its own process group, so that a Ctrl-C in the terminal
// does not reach it directly: it gets one interrupt, saves its state and ends. A second interrupt would
// end it at once.
func (d *deployer) pulumi(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "pulumi", append([]string{"--cwd", d.project, "--non-interactive", "--color", "never"}, args...)...)
	cmd.Env = d.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd
}

// stack deploys a stack, writes one line, and reports whether it succeeded.
func (d *deployer) stack(ctx context.Context, fullName string) bool {
	start, name := time.Now(), fullName[strings.LastIndex(fullName, "/")+1:]
	log := filepath.Join(d.logs, name+".log")
	err := d.logged(ctx, fullName, log)
	seconds := int(time.Since(start).Seconds())
	if err != nil {
		return errors.Join(err, d.print("FAILED %s %ds, see %s", name, seconds, log)) == nil
	}
	return d.print("ok %s %ds", name, seconds) == nil
}

// logged deploys a stack. All output goes into the log, and the error too.
func (d *deployer) logged(ctx context.Context, fullName, file string) (err error) {
	log, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, failed := fmt.Fprintln(log, err)
			err = errors.Join(err, failed)
		}
		err = errors.Join(err, log.Close())
	}()
	if err := d.pulumi(ctx, "stack", "--stack", fullName, "--show-name").Run(); err != nil {
		// Not `select --create`: that writes a file which the cells beside this one are reading.
		if err := d.say(ctx, log, "stack", "init", "--no-select", "--stack", fullName, "--secrets-provider", d.secretsProvider); err != nil {
			return err
		}
	}
	if err := d.settings(ctx, fullName, log); err != nil {
		return err
	}
	command := []string{"up", "--yes", "--skip-preview"}
	if d.Preview {
		command = []string{"preview", "--diff"}
	}
	command = append(command, "--parallel", "8")
	command = append(command, d.Flags...)
	return d.say(ctx, log, append(command, "--stack", fullName, "--suppress-outputs")...)
}

// say runs a command of the CLI, which writes to the log.
func (d *deployer) say(ctx context.Context, log io.Writer, args ...string) error {
	cmd := d.pulumi(ctx, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pulumi %s: %w", args[0], err)
	}
	return nil
}

// read runs a command of the CLI and returns what it prints.
func (d *deployer) read(ctx context.Context, log io.Writer, args ...string) ([]byte, error) {
	cmd := d.pulumi(ctx, args...)
	cmd.Stderr = log
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("pulumi %s: %w", strings.Join(args[:2], " "), err)
	}
	return out, nil
}

// settings resets the settings of the stack's roles with which the provider fails. Before a preview it
// only lists them, and the preview runs all the same. A stack without outputs was never deployed. The
// config has the connection's password, which stays in memory.
func (d *deployer) settings(ctx context.Context, fullName string, log io.Writer) error {
	outputs, err := d.read(ctx, log, "stack", "output", "--json", "--stack", fullName)
	if err != nil {
		return err
	}
	file := filepath.Join(d.logs, filepath.Base(fullName)+".outputs.json")
	if err := os.WriteFile(file, outputs, 0o600); err != nil {
		return err
	}
	if !bytes.Contains(outputs, []byte(policy.OutputApp)) {
		return nil
	}
	config, err := d.read(ctx, log, "config", "--json", "--show-secrets", "--stack", fullName)
	if err != nil {
		return err
	}
	reset := audit.ResetBlocking
	if d.Preview {
		reset = audit.ResetNothing
	}
	source := &connect.Source{Outputs: []string{file}, Config: "-", Timeout: time.Minute, Stdin: bytes.NewReader(config)}
	err = audit.Settings(ctx, source, reset, "", log)
	if err != nil && d.Preview {
		_, err = fmt.Fprintln(log, err)
	}
	return err
}
