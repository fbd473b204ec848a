package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the README tells a newcomer to do, in a new copy of the checkout.
func TestQuickStart(t *testing.T) {
	t.Parallel()
	copied := copyCommitted(t)
	command(t, copied, "git", "init", "--quiet")
	command(t, copied, "git", "add", ".")
	t.Cleanup(func() { command(t, copied, "make", "down") })

	contains(t, command(t, copied, "make", "up"), "tenant_role_names", "[secret]", "make psql TENANT=acme")
	contains(t, command(t, copied, "make", "psql", "TENANT=acme", "PSQL_ARGS=-Atc 'SELECT current_user, current_schema'"), "tenant_acme|tenant_acme")
	contains(t, command(t, copied, "make", "psql", "LOGIN=admin_service_login", "PSQL_ARGS=-c 'CREATE TABLE tenant_acme.docs (body text)'"), "CREATE TABLE")
	contains(t, command(t, copied, "make", "psql", "TENANT=acme", `PSQL_ARGS=-c "INSERT INTO docs VALUES ('mine')"`), "INSERT 0 1")
	contains(t, refused(t, copied, "make", "psql", "TENANT=acme", "PSQL_ARGS=-c 'DROP TABLE docs'"), "must be owner of table docs")
	contains(t, refused(t, copied, "make", "psql", "TENANT=globex", "PSQL_ARGS=-c 'SELECT * FROM tenant_acme.docs'"), "permission denied for schema tenant_acme")
	contains(t, command(t, copied, "make", "psql", "LOGIN=tenant_acme_chat", "PSQL_ARGS=-Atc 'SELECT body FROM docs'"), "mine")
	contains(t, refused(t, copied, "make", "psql", "LOGIN=tenant_acme_chat", "PSQL_ARGS=-c 'WITH gone AS (DELETE FROM docs RETURNING body) SELECT body FROM gone'"), "permission denied for table docs")
	contains(t, command(t, copied, "make", "psql", "TENANT=acme", `PSQL_ARGS=-Atc "SELECT similarity(body, 'miner') FROM docs WHERE body % 'miner'"`), "0.5714286")
	contains(t, command(t, copied, "make", "psql", "LOGIN=admin_service_login", "PSQL_ARGS=-c 'CREATE FUNCTION tenant_globex.answer() RETURNS int LANGUAGE sql RETURN 42'"), "CREATE FUNCTION")
	contains(t, command(t, copied, "make", "psql", "TENANT=globex", "PSQL_ARGS=-Atc 'SELECT answer()'"), "42")
	contains(t, command(t, copied, "make", "audit"), ": 0 violations in the database ai_platform_dev", "each tenant")
	contains(t, command(t, copied, "make", "audit", "ARGS=why tenant_acme reads tenant_globex"), "tenant_acme reads tenant_globex: no")
	contains(t, command(t, copied, "make", "up"), "unchanged")
	contains(t, command(t, copied, "make", "preview"), "unchanged")
	if changed := command(t, copied, "git", "status", "--short", "--untracked-files=all"); strings.Contains(changed, " M ") || strings.Contains(changed, "??") {
		t.Errorf("the commands changed files:\n%s", changed)
	}
}

// copyCommitted copies the files of the checkout, but for those that git ignores, and returns the new
// folder.
func copyCommitted(t *testing.T) string {
	t.Helper()
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
	return copied
}

// pulumi new makes a project with another name than the checkout's, which deploys.
func TestPulumiNew(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, true)
	c := copiedCheckout{dir: t.TempDir(), env: os.Environ()}
	env := p.stack.Workspace().GetEnvVars()
	if tools.toolchain.Offline {
		env["PULUMI_HOME"] = homeWithStandIns(t)
	}
	for name, value := range env {
		c.env = append(c.env, name+"="+value)
	}
	pulumi := func(args ...string) string {
		t.Helper()
		out, ok := c.run(t, tools.toolchain.Pulumi(), append(args, "--non-interactive")...)
		if !ok {
			t.Fatalf("pulumi %s failed", args[0])
		}
		return out
	}
	contains(t, pulumi("new", copyCommitted(t), "--yes", "--name", "acme-db", "--stack", "prod",
		"--config", "postgresql:host="+p.server.Host, "--config", "postgresql:database="+database,
		"--config", "postgresql:username="+p.user), "Saved config", "Finished installing dependencies", "docs/reference.md")
	project := read(t, filepath.Join(c.dir, "Pulumi.yaml"))
	contains(t, project, "name: acme-db")
	if strings.Contains(project, "quickstart") {
		t.Errorf("the template is still in\n%s", project)
	}
	contains(t, read(t, filepath.Join(c.dir, "Pulumi.prod.yaml")), "postgresql:host: "+p.server.Host, "postgresql:database: "+database, `postgresql:superuser: "true"`, "tenant-permissions:tenants: '{}'")
	contains(t, pulumi("preview"), "19 to create")

	pulumi("config", "set", "--path", "tenant-permissions:tenants.acme.connectionLimit", "20")
	contains(t, pulumi("up", "--yes", "--skip-preview"), `acme: "tenant_acme"`)
	if limit := p.superuser(t, database).value(t, "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'tenant_acme'"); limit != "20" {
		t.Errorf("tenant_acme has the connection limit %s, want 20", limit)
	}

	pulumi("config", "set", "protectTenants", "false") // in the namespace of the project
	out, ok := c.run(t, tools.toolchain.Pulumi(), "preview", "--non-interactive")
	if ok {
		t.Error("a key that the program does not read is accepted")
	}
	contains(t, out, "acme-db:protectTenants: the program does not read this key; use tenant-permissions:protectTenants")
}

// homeWithStandIns is a home of the CLI where the stand-ins are installed as the plugins that the
// program requires, so that pulumi new does not download them.
func homeWithStandIns(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	required := regexp.MustCompile(`(?m)^\tgithub\.com/pulumi/pulumi-(postgresql|random)/sdk/v\d+ (v\S+)`)
	for _, found := range required.FindAllStringSubmatch(read(t, "../go.mod"), -1) {
		binary := "pulumi-resource-" + found[1]
		dir := filepath.Join(home, "plugins", "resource-"+found[1]+"-"+found[2])
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		standIn, err := filepath.Abs(filepath.Join("../.local/plugins", binary))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(standIn, filepath.Join(dir, binary)); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

// command runs a program and returns what it printed, on both streams.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	out, err := execute(dir, name, args...)
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// refused is command for a program that must fail.
func refused(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	out, err := execute(dir, name, args...)
	if err == nil {
		t.Errorf("%s %s succeeds:\n%s", name, strings.Join(args, " "), out)
	}
	return out
}

func execute(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
