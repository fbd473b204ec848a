// Package supply looks after what the project depends on and what it ships: known vulnerabilities of
// dependencies, and releases of tenantctl.
package supply

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// goModule is a module of the checkout.
type goModule struct {
	// dir is its folder, relative to the checkout, with slashes; "." is the program's.
	dir string
	// tools are the packages that the module pins as tools. A module that has any has no code of its own.
	tools []string
}

// findModules finds every go.mod in a checkout, in sorted order. Folders that begin with a dot, which
// hold what the commands make, are not searched.
func findModules(checkout string) ([]goModule, error) {
	var modules []goModule
	err := filepath.WalkDir(checkout, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != checkout && strings.HasPrefix(entry.Name(), ".") {
			return filepath.SkipDir
		}
		if entry.IsDir() || entry.Name() != "go.mod" {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := modfile.Parse(path, content, nil)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(checkout, filepath.Dir(path))
		if err != nil {
			return err
		}
		module := goModule{dir: filepath.ToSlash(dir)}
		for _, tool := range file.Tool {
			module.tools = append(module.tools, tool.Path)
		}
		modules = append(modules, module)
		return nil
	})
	slices.SortFunc(modules, func(a, b goModule) int { return strings.Compare(a.dir, b.dir) })
	return modules, err
}

// tool is the command that runs a tool which dev/toolchain pins, with the args. The checkout is an
// absolute path.
func tool(ctx context.Context, checkout, name string, args ...string) *exec.Cmd {
	pinned := filepath.Join(checkout, "dev", "toolchain", name, "go.mod")
	return exec.CommandContext(ctx, "go", append([]string{"tool", "-modfile=" + pinned, name}, args...)...)
}
