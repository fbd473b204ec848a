package tests

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// copiedCheckout is a checkout with the program, the tools for cells, and no stacks.
type copiedCheckout struct {
	dir string
	env []string
}

func (p *platform) copyCheckout(t *testing.T) copiedCheckout {
	t.Helper()
	c := copiedCheckout{dir: t.TempDir(), env: os.Environ()}
	for name, value := range p.stack.Workspace().GetEnvVars() {
		c.env = append(c.env, name+"="+value)
	}
	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(files, "../go.mod", "../go.sum", "../Pulumi.yaml") {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c.write(t, filepath.Base(path), string(content))
	}
	if err := os.CopyFS(filepath.Join(c.dir, "internal"), os.DirFS("../internal")); err != nil {
		t.Fatal(err)
	}
	linkTool(t, c.dir)
	return c
}

// linkTool puts tenantctl where make tool builds it.
func linkTool(t *testing.T, checkout string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(checkout, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(tools.tenantctl, filepath.Join(checkout, "bin", "tenantctl")); err != nil {
		t.Fatal(err)
	}
}

func (c copiedCheckout) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// forgetSalt takes out of a stack's file what the CLI wrote there when it made the stack.
func (c copiedCheckout) forgetSalt(t *testing.T, name string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	without := regexp.MustCompile(`(?m)^encryptionsalt: .*\n`).ReplaceAll(content, nil)
	if len(without) == len(content) {
		t.Errorf("%s has no salt", name)
	}
	c.write(t, name, string(without))
}

// run runs a command in the checkout and returns what it printed, and whether it succeeded.
func (c copiedCheckout) run(t *testing.T, name string, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	out, err := cmd.CombinedOutput()
	t.Logf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	return string(out), err == nil
}

// split spreads the tenants of a file over cells of one tenant.
func (c copiedCheckout) split(t *testing.T, tenants string) {
	t.Helper()
	c.write(t, "tenants.yaml", tenants)
	if _, ok := c.run(t, "bin/tenantctl", "cells", "split", "--tenants", "tenants.yaml", "--platform", "prod", "--size", "1"); !ok {
		t.Fatal("split failed")
	}
}

// upAll runs cells deploy, for a preview or with flags for the CLI, and fails unless its lines are the wanted ones, in any order, where each
// stands for how it begins and # for a number.
func (c copiedCheckout) upAll(t *testing.T, succeeds bool, want []string, args ...string) {
	t.Helper()
	line := []string{"cells", "deploy", "--platform", "prod", "--jobs", "2"}
	if slices.Contains(args, "--preview") {
		line = append(line, "--preview")
		args = slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == "--preview" })
	}
	out, ok := c.run(t, "bin/tenantctl", append(append(line, "--"), args...)...)
	if ok != succeeds {
		t.Errorf("cells deploy succeeds: got %v, want %v", ok, succeeds)
	}
	out = strings.ReplaceAll(out, c.dir+"/", "")
	got := strings.Split(strings.TrimSpace(regexp.MustCompile(`\b\d+s\b`).ReplaceAllString(out, "#s")), "\n")
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("got the lines %q, want %q", got, want)
	}
}

// A platform comes first and its cells side by side; what fails stops nothing else, and the next
// run repairs it.
func TestUpAll(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, true)
	c := p.copyCheckout(t)
	backend, err := filepath.Rel(c.dir, p.backend)
	if err != nil {
		t.Fatal(err)
	}
	c.env = append(c.env, "PULUMI_BACKEND_URL=file://"+backend) // relative, as a user's may be
	const logs = ".local/cells/prod/logs"
	log := func(t *testing.T, stack string) string {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(c.dir, logs, stack+".log"))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	const platformConfig = "config:\n  postgresql:database: " + database + "\n  tenant-permissions:tenants: {}\n"
	c.write(t, "Pulumi.prod.yaml", platformConfig)
	c.split(t, "acme: {}\nglobex: {}\ninitech: {}\n")
	admin := p.superuser(t, database)
	schemas := func(t *testing.T) string {
		t.Helper()
		return admin.value(t, "SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace WHERE nspname ~ '^tenant_'")
	}

	admin.may(t, "CREATE ROLE tenant_globex")
	c.upAll(t, false, []string{
		"ok prod #s", "ok prod-001 #s", "ok prod-003 #s",
		"FAILED prod-002 #s, see " + logs + "/prod-002.log",
		"2 of 3 cells done, logs in " + logs,
		"cells that failed: 1; another run repairs them",
	})
	if want := `role "tenant_globex" already exists`; !strings.Contains(log(t, "prod-002"), want) {
		t.Errorf("the log of prod-002 does not say %s", want)
	}
	if got, want := schemas(t), "tenant_acme tenant_initech"; got != want {
		t.Errorf("got the schemas %s, want %s", got, want)
	}

	admin.may(t, "DROP ROLE tenant_globex")
	for _, cell := range []string{"Pulumi.prod-001.yaml", "Pulumi.prod-002.yaml"} {
		c.forgetSalt(t, cell) // which nobody commits where a CI job made the stack
	}
	allDone := []string{"ok prod #s", "ok prod-001 #s", "ok prod-002 #s", "ok prod-003 #s", "3 of 3 cells done, logs in " + logs}
	c.upAll(t, true, allDone)
	if got, want := schemas(t), "tenant_acme tenant_globex tenant_initech"; got != want {
		t.Errorf("got the schemas %s, want %s", got, want)
	}

	var passwords map[string]string
	exported := p.pulumi(t, "stack", "output", "passwords", "--json", "--show-secrets", "--stack", "prod-002")
	if err := json.Unmarshal([]byte(exported), &passwords); err != nil {
		t.Fatal(err)
	}
	t.Run("passwords work and are not shown", func(t *testing.T) {
		if _, err := p.connect(t, "tenant_globex", passwords["tenant_globex"]); err != nil {
			t.Error(err)
		}
		for _, stack := range []string{"prod", "prod-001", "prod-002", "prod-003"} {
			for _, secret := range append(slices.Collect(maps.Values(passwords)), p.password) {
				if strings.Contains(log(t, stack), secret) {
					t.Errorf("the log of %s has a password", stack)
				}
			}
		}
	})
	t.Run("a preview changes nothing", func(t *testing.T) {
		before := p.catalog(t)
		c.split(t, "acme: {connectionLimit: 3}\nglobex: {}\nhooli: {}\ninitech: {}\n")
		c.upAll(t, true, []string{
			"ok prod #s", "ok prod-001 #s", "ok prod-002 #s", "ok prod-003 #s", "ok prod-004 #s", "4 of 4 cells done, logs in " + logs,
		}, "--preview")
		for stack, want := range map[string]string{"prod-001": "1 to update", "prod-002": "unchanged", "prod-004": "to create"} {
			if !strings.Contains(log(t, stack), want) {
				t.Errorf("the preview of %s does not say %s:\n%s", stack, want, log(t, stack))
			}
		}
		sameFacts(t, before, p.catalog(t))
	})
	t.Run("a setting that stops runs", func(t *testing.T) {
		globex, err := p.connect(t, "tenant_globex", passwords["tenant_globex"])
		if err != nil {
			t.Fatal(err)
		}
		globex.may(t, "ALTER ROLE CURRENT_USER SET statement_timeout = '15s'", "ALTER ROLE CURRENT_USER SET work_mem = '8MB'")
		all := []string{"ok prod #s", "ok prod-001 #s", "ok prod-002 #s", "ok prod-003 #s", "ok prod-004 #s", "4 of 4 cells done, logs in " + logs}
		c.upAll(t, false, append([]string{"FAILED prod-002 #s, see " + logs + "/prod-002.log", "cells that failed: 1; another run repairs them"}, "ok prod #s", "ok prod-001 #s", "ok prod-003 #s", "ok prod-004 #s", "3 of 4 cells done, logs in "+logs),
			"--preview", "--refresh")
		contains(t, log(t, "prod-002"), "tenant_globex  statement_timeout  the config does not give statement_timeout")
		c.upAll(t, true, all, "--refresh")
		contains(t, log(t, "prod-002"), "tenant_globex  statement_timeout  reset: the config does not give statement_timeout")
		if got := admin.value(t, "SELECT setconfig::text FROM pg_db_role_setting WHERE setrole = 'tenant_globex'::regrole"); got != "{search_path=tenant_globex,work_mem=8MB}" {
			t.Errorf("got the settings %s", got)
		}
	})
	t.Run("what two cells claim stops everything", func(t *testing.T) {
		c.split(t, "acme: {}\nglobex: {}\nhooli: {role: tenant_acme}\ninitech: {}\n")
		c.upAll(t, false, []string{
			"the config has problems, and nothing was changed:",
			`  Pulumi.prod-004.yaml: tenants.hooli.role: the name "tenant_acme" is already taken by tenants.acme.role of Pulumi.prod-001.yaml; choose another`,
		})
	})
	t.Run("without the platform no cell is deployed", func(t *testing.T) {
		c.split(t, "acme: {connectionLimit: 5}\nglobex: {}\nhooli: {}\ninitech: {}\n")
		c.write(t, "Pulumi.prod.yaml", platformConfig+"  tenant-permissions:roles:\n    app:\n      connectionLimit: 50\n")
		c.env = append(c.env, "PGPORT=1")
		c.upAll(t, false, []string{"FAILED prod #s, see " + logs + "/prod.log", "deploying the platform failed, so no cell was deployed"})
	})
}
