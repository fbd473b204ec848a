// Package script makes the programs that tests put in place of real ones.
package script

import (
	"os"
	"path/filepath"
	"testing"
)

// Write makes an executable in the folder that runs shell commands. It makes the folder if needed.
func Write(t *testing.T, dir, name, commands string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+commands+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// PulumiCLI puts a pulumi first on PATH. It prints the version, and runs the shell commands for
// everything else. PulumiCLI returns its folder.
func PulumiCLI(t *testing.T, version, commands string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	Write(t, dir, "pulumi", `if [ "$1" = version ]; then echo `+version+`; exit; fi
`+commands)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return dir
}
