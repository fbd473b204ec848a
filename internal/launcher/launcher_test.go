package launcher

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The launcher becomes the program, with its arguments and environment.
func TestWriteProject(t *testing.T) {
	dir := t.TempDir()
	if err := WriteProject(dir, []byte("name: x\n"), "/bin/sh"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "Pulumi.yaml")); err != nil || string(got) != "name: x\n" {
		t.Errorf("Pulumi.yaml is %q, %v", got, err)
	}
	run := exec.CommandContext(t.Context(), "go", "run", ".", "-c", `echo "$1 $VALUE"`, "sh", "argument")
	run.Dir, run.Env = dir, append(os.Environ(), "VALUE=environment")
	if out, err := run.CombinedOutput(); err != nil || string(out) != "argument environment\n" {
		t.Errorf("the launcher printed %q, %v", out, err)
	}
}
