package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What the README tells a newcomer to do, in a new copy of the checkout.
func TestQuickStart(t *testing.T) {
	copied := t.TempDir()
	for file := range strings.FieldsSeq(command(t, "..", "git", "ls-files", "--cached", "--others", "--exclude-standard")) {
		text, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(copied, file)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command(t, copied, "git", "init", "--quiet")
	command(t, copied, "git", "add", ".")
	t.Cleanup(func() { command(t, copied, "make", "down") })

	contains(t, command(t, copied, "make", "up"), "tenant_role_names", "[secret]", "make psql TENANT=acme")
	contains(t, command(t, copied, "make", "psql", "TENANT=acme", "PSQL_ARGS=-Atc 'SELECT current_user, current_schema'"), "tenant_acme|tenant_acme")
	contains(t, command(t, copied, "make", "audit"), ": 0 violations in the database ai_platform_dev", "each tenant")
	contains(t, command(t, copied, "make", "audit", "ARGS=why tenant_acme reads tenant_globex"), "tenant_acme reads tenant_globex: no")
	contains(t, command(t, copied, "make", "up"), "unchanged")
	contains(t, command(t, copied, "make", "preview"), "unchanged")
	if changed := command(t, copied, "git", "status", "--short", "--untracked-files=all"); strings.Contains(changed, " M ") || strings.Contains(changed, "??") {
		t.Errorf("the commands changed files:\n%s", changed)
	}
}

// command runs a program and returns what it printed, on both streams.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
