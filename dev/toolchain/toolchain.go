// Package toolchain finds or builds the Pulumi CLI, its Go language host and the plugins of the
// program.
//
// The folders pulumi, pulumi-language-go, golangci-lint, actionlint, govulncheck and
// cyclonedx-gomod here are modules of their own: each pins one tool, and the tools need different versions of the same dependencies.
package toolchain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"

	"tenant-permissions/dev/install"
)

// How long the download of the official plugins may take: less if stand-ins can be used instead.
const (
	downloadTimeout         = 10 * time.Second
	requiredDownloadTimeout = 5 * time.Minute
)

// Options says for which checkout a toolchain is.
type Options struct {
	// Checkout is the folder of the program.
	Checkout string
	// Progress gets a line about whatever takes long, and one if stand-ins are used. It may be nil.
	Progress io.Writer
}

// Toolchain is a Pulumi CLI with its Go language host and the resource plugins of the program.
type Toolchain struct {
	// Root is what the Automation API's PulumiCommandOptions wants: the CLI is Root/bin/pulumi.
	// Empty means the CLI on PATH.
	Root string
	// Offline is true if the plugins are the stand-ins rather than the official ones.
	Offline bool

	// path is put before PATH.
	path []string
}

// Prepare finds a CLI of at least the pinned version or builds that one, and finds the
// official plugins, downloads them or builds their stand-ins. The environment variable PLUGINS,
// official or offline, forces one of them.
func Prepare(ctx context.Context, o Options) (*Toolchain, error) {
	progress := o.Progress
	if progress == nil {
		progress = io.Discard
	}
	checkout, err := filepath.Abs(o.Checkout)
	if err != nil {
		return nil, err
	}
	t, err := PrepareCLI(ctx, checkout, progress)
	if err != nil {
		return nil, fmt.Errorf("the Pulumi CLI: %w", err)
	}
	if err := t.preparePlugins(ctx, checkout, progress); err != nil {
		return nil, fmt.Errorf("the provider plugins: %w", err)
	}
	return t, nil
}

// Pulumi is the path of the CLI, or its name if it is on PATH.
func (t *Toolchain) Pulumi() string {
	if t.Root == "" {
		return "pulumi"
	}
	return filepath.Join(t.Root, "bin", "pulumi")
}

// Env is what the CLI needs on top of this process's environment, as NAME=value.
func (t *Toolchain) Env() []string {
	path := append(append([]string{}, t.path...), os.Getenv("PATH"))
	return []string{
		"PATH=" + strings.Join(path, string(filepath.ListSeparator)),
		"PULUMI_SKIP_UPDATE_CHECK=true",
	}
}

// PrepareCLI finds or builds the CLI, without plugins.
func PrepareCLI(ctx context.Context, checkout string, progress io.Writer) (*Toolchain, error) {
	cli, err := readModule(filepath.Join(checkout, "dev/toolchain/pulumi"))
	if err != nil {
		return nil, err
	}
	host, err := readModule(filepath.Join(checkout, "dev/toolchain/pulumi-language-go"))
	if err != nil {
		return nil, err
	}
	version := cli.version("github.com/pulumi/pulumi/pkg/v3")
	if hasCLI(ctx, version) {
		return &Toolchain{}, nil
	}
	cache, err := install.CacheDir()
	if err != nil {
		return nil, err
	}
	sums, err := sumsOf(cli, host)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(cache, "pulumi-"+version+"-"+sums)
	what := "building the Pulumi CLI " + version + ", once; this takes about 4 minutes on 2 cores"
	err = install.Once(ctx, root, progress, what, func(dir string) error {
		flags := "-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=" + version
		if err := cli.build(ctx, filepath.Join(dir, "bin/pulumi"), "-ldflags", flags); err != nil {
			return err
		}
		return host.build(ctx, filepath.Join(dir, "bin/pulumi-language-go"))
	})
	return &Toolchain{Root: root, path: []string{filepath.Join(root, "bin")}}, err
}

// hasCLI reports whether the machine has a CLI of at least the version, and its language host.
func hasCLI(ctx context.Context, version string) bool {
	path, err := exec.LookPath("pulumi")
	if err != nil {
		return false
	}
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.Env = append(os.Environ(), "PULUMI_SKIP_UPDATE_CHECK=true")
	out, err := cmd.Output()
	if err != nil || semver.Compare(strings.TrimSpace(string(out)), version) < 0 {
		return false
	}
	if _, err := exec.LookPath("pulumi-language-go"); err == nil {
		return true
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return false
	}
	_, err = exec.LookPath(filepath.Join(filepath.Dir(path), "pulumi-language-go"))
	return err == nil
}

// plugin is a resource plugin of the program.
type plugin struct{ name, version string }

func (p plugin) String() string { return p.name + " " + p.version }

// preparePlugins finds, downloads or builds the plugins: all official or all stand-ins.
func (t *Toolchain) preparePlugins(ctx context.Context, checkout string, progress io.Writer) error {
	program, err := readModule(checkout)
	if err != nil {
		return err
	}
	plugins := []plugin{
		{"postgresql", program.version("github.com/pulumi/pulumi-postgresql/sdk/v3")},
		{"random", program.version("github.com/pulumi/pulumi-random/sdk/v4")},
	}
	switch mode := os.Getenv("PLUGINS"); mode {
	case "", "official":
		timeout := downloadTimeout
		if mode == "official" {
			timeout = requiredDownloadTimeout
		}
		err := t.findPlugins(ctx, plugins, timeout, progress)
		if err == nil || mode == "official" {
			return err
		}
	case "offline":
	default:
		return fmt.Errorf("PLUGINS is %q; give official or offline", mode)
	}
	fmt.Fprintf(progress, "using offline stand-ins for the official plugins %s and %s\n", plugins[0], plugins[1])
	dir := filepath.Join(checkout, ".local", "plugins")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	unlock, err := install.Lock(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	build := goBuild(ctx, filepath.Join(checkout, "dev"), "-o", dir+string(filepath.Separator),
		"./cmd/pulumi-resource-postgresql", "./cmd/pulumi-resource-random")
	if err := install.Run(build); err != nil {
		return err
	}
	// Before everything else on PATH, so that no official plugin is used beside a stand-in.
	t.path = append([]string{dir}, t.path...)
	t.Offline = true
	return nil
}

// findPlugins finds the official plugins and downloads those that are missing.
func (t *Toolchain) findPlugins(ctx context.Context, plugins []plugin, timeout time.Duration, progress io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	failed := make(chan error, len(plugins))
	for _, p := range plugins {
		if p.isInstalled() {
			failed <- nil
			continue
		}
		fmt.Fprintf(progress, "downloading the plugin %s, for at most %s\n", p, timeout)
		go func() {
			cmd := exec.CommandContext(ctx, t.Pulumi(), "plugin", "install", "resource", p.name, p.version)
			cmd.Env = append(os.Environ(), t.Env()...)
			cmd.WaitDelay = time.Second
			failed <- install.Run(cmd)
		}()
	}
	var errs []error
	for range plugins {
		errs = append(errs, <-failed)
	}
	return errors.Join(errs...)
}

// isInstalled reports whether the CLI would find the plugin.
func (p plugin) isInstalled() bool {
	binary := "pulumi-resource-" + p.name
	if _, err := exec.LookPath(binary); err == nil {
		return true
	}
	home := os.Getenv("PULUMI_HOME")
	if home == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return false
		}
		home = filepath.Join(user, ".pulumi")
	}
	dir := filepath.Join(home, "plugins", "resource-"+p.name+"-"+p.version)
	if _, err := os.Stat(dir + ".partial"); err == nil {
		return false // its download was interrupted
	}
	_, err := exec.LookPath(filepath.Join(dir, binary))
	return err == nil
}

// module is a Go module on this machine.
type module struct {
	dir  string
	file *modfile.File
}

func readModule(dir string) (module, error) {
	path := filepath.Join(dir, "go.mod")
	content, err := os.ReadFile(path)
	if err != nil {
		return module{}, err
	}
	file, err := modfile.Parse(path, content, nil)
	return module{dir, file}, err
}

// version is the version that the module requires of another, empty if it requires none.
func (m module) version(path string) string {
	for _, require := range m.file.Require {
		if require.Mod.Path == path {
			return require.Mod.Version
		}
	}
	return ""
}

// sumsOf is a short hash of all that modules are built from: an upgrade of a dependency builds them anew.
func sumsOf(modules ...module) (string, error) {
	hash := sha256.New()
	for _, m := range modules {
		sums, err := os.ReadFile(filepath.Join(m.dir, "go.sum"))
		if err != nil {
			return "", err
		}
		hash.Write(sums)
	}
	return hex.EncodeToString(hash.Sum(nil))[:8], nil
}

// build builds the module's tool.
func (m module) build(ctx context.Context, target string, flags ...string) error {
	args := append([]string{"-o", target}, flags...)
	return install.Run(goBuild(ctx, m.dir, append(args, m.file.Tool[0].Path)...))
}

// goBuild is go build in a module, whatever workspace or repository the checkout is in.
func goBuild(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-buildvcs=false"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	return cmd
}
