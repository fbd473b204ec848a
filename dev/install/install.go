// Package install fetches what the machine lacks, with Debian's packages or from npm. What it
// fetches from npm it keeps in the user's cache, for all checkouts.
package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// Lock waits for the lock of a file, which it makes if it is missing, and returns what unlocks it.
// The lock ends with the process at the latest.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	type result struct {
		unlock func()
		err    error
	}
	locked := make(chan result, 1)
	go func() {
		unlock, err := lockedfile.MutexAt(path).Lock()
		locked <- result{unlock, err}
	}()
	select {
	case got := <-locked:
		return got.unlock, got.err
	case <-ctx.Done():
		// lockedfile cannot stop waiting.
		go func() {
			if got := <-locked; got.err == nil {
				got.unlock()
			}
		}()
		return nil, fmt.Errorf("waiting for the lock %s: %w", path, ctx.Err())
	}
}

// Once makes the folder if it is not there. It lets fill make another folder, which it then renames,
// so that the folder is there complete or not at all. If several processes call it, one makes the
// folder and the others wait. Once writes what it does to progress if it has to make the folder.
func Once(ctx context.Context, dir string, progress io.Writer, what string, fill func(dir string) error) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	unlock, err := Lock(ctx, dir+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	fmt.Fprintln(progress, what)
	unfinished := dir + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		return err
	}
	if err := fill(unfinished); err != nil {
		return err
	}
	return os.Rename(unfinished, dir)
}

// CacheDir is the folder of the user's cache that belongs to this project.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "tenant-permissions"), nil
}

// NPM installs a package, "name@version", in a folder, without running its scripts.
func NPM(ctx context.Context, dir, name string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, npm, "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", name)
	cmd.Dir = dir
	return Run(cmd)
}

// Apt installs a Debian package, which takes root.
func Apt(ctx context.Context, name string, progress io.Writer) error {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("only root can install with apt-get")
	}
	fmt.Fprintf(progress, "installing the package %s; this takes about a minute\n", name)
	for _, args := range [][]string{{"update"}, {"install", "--yes", "--no-install-recommends", name}} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if err := Run(cmd); err != nil {
			return err
		}
	}
	return nil
}

// Run runs a command without showing its output. If the command fails, the error has the last lines.
func Run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, LastLines(out))
	}
	return nil
}

// LastLines is the end of a long text.
func LastLines(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
