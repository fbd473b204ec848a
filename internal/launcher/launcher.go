// Package launcher makes Pulumi projects that run a program which is compiled already. The language host
// of Go compiles a project's program at each run, and linking the real one takes longer than many runs.
// (The runtime option `binary` would do the same, but old hosts do not know it.)
package launcher

import (
	"fmt"
	"os"
	"path/filepath"
)

// source compiles in no time. Its process becomes the compiled program.
const source = `package main

import (
	"os"
	"syscall"
)

func main() { panic(syscall.Exec(%q, os.Args, os.Environ())) }
`

// WriteProject writes a project into the folder dir, which exists: the content of its Pulumi.yaml, and
// a Go program that becomes the compiled program, whose path is absolute.
func WriteProject(dir string, pulumiYAML []byte, program string) error {
	for name, content := range map[string][]byte{
		"Pulumi.yaml": pulumiYAML,
		"go.mod":      []byte("module tenant-permissions\n"),
		"main.go":     fmt.Appendf(nil, source, program),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
