package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tenant-permissions/dev/install"
	"tenant-permissions/dev/postgres"
)

// The entries of the section [databases] in docs/poolers.md.
const (
	sessionPool     = "platform"
	transactionPool = "platform_tx"
)

// pooled is a platform with a PgBouncer before its server.
type pooled struct {
	*platform
	pooler *postgres.Pooler
}

func newPooled(t *testing.T, p *platform) *pooled {
	t.Helper()
	program, err := install.PgBouncer(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	_, ini, found := strings.Cut(read(t, "../docs/poolers.md"), "\n    [databases]\n")
	if !found {
		t.Fatal("docs/poolers.md has no pgbouncer.ini")
	}
	var text strings.Builder
	text.WriteString("[databases]\n")
	for line := range strings.Lines(ini) {
		setting, indented := strings.CutPrefix(line, "    ")
		if !indented && strings.TrimSpace(line) != "" {
			break
		}
		text.WriteString(setting)
	}
	pooler, err := p.server.StartPooler(t.Context(), program, p.userlist(t), func(dir string, port int) string {
		result := text.String()
		for from, to := range map[string]string{
			"host=db.example.com port=5432 dbname=platform ": fmt.Sprintf("host=%s port=%d dbname=%s ", p.server.Host, p.server.Port, database),
			"listen_port = 6432\n":                           fmt.Sprintf("listen_port = %d\n", port),
			"/etc/pgbouncer/":                                dir + "/",
			"/var/log/postgresql/":                           dir + "/",
			"/var/run/postgresql/":                           dir + "/",
		} {
			if !strings.Contains(result, from) {
				t.Fatalf("pgbouncer.ini in docs/poolers.md does not have %q", from)
			}
			result = strings.ReplaceAll(result, from, to)
		}
		return result
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		log := read(t, pooler.LogFile())
		if err := pooler.Stop(); err != nil {
			t.Error(err)
		}
		t.Log(log)
	})
	return &pooled{platform: p, pooler: pooler}
}

// userlist is what tenantctl writes for the stack.
func (p *platform) userlist(t *testing.T) []byte {
	t.Helper()
	outputs, err := p.stack.Outputs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	for name, output := range outputs {
		values[name] = output.Value
	}
	encoded, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "userlist.txt")
	cmd := exec.CommandContext(t.Context(), tools.tenantctl, "userlist", "--outputs", "-", "--out", file)
	cmd.Stdin = bytes.NewReader(encoded)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tenantctl userlist: %v\n%s", err, out)
	}
	return []byte(read(t, file))
}

func TestPoolerX(t *testing.T) {
	p := newPlatform(t, true)
	p.settings = unprotected()
	p.configure(t, object{"acme": object{"logins": object{"active": "a"}}, "globex": object{}}, object{})
	p.up(t)
	q := newPooled(t, p)
	pw := p.passwords(t)
	psql := func(entry, login, password string, args ...string) {
		cmd := exec.Command("psql", append([]string{"-X", "-A", "-t", q.pooler.DSN(login, password, entry)}, args...)...)
		out, err := cmd.CombinedOutput()
		t.Logf("%s %s %v: %v\n%s", entry, login, args, err, out)
	}
	for _, entry := range []string{sessionPool, transactionPool} {
		for range 2 {
			psql(entry, "tenant_acme_a", pw["tenant_acme_a"], "-c", "select current_user, session_user, current_setting('search_path'), pg_backend_pid()")
			psql(entry, "tenant_globex", pw["tenant_globex"], "-c", "select current_user, session_user, current_setting('search_path'), pg_backend_pid()")
		}
		psql(entry, "tenant_globex", "wrong", "-c", "select 1")
		psql(entry, "tenant_globex", "", "-w", "-c", "select 1")
		psql(entry, "tenant_nobody", "wrong", "-c", "select 1")
		psql(entry, "tenant_acme_chat", "", "-w", "-c", "select 1")
		psql(entry, "tenant_acme_chat", "x", "-w", "-c", "select 1")
	}
	p.configure(t, object{"acme": object{"logins": object{"active": "a"}}, "globex": object{"passwordVersion": 2}}, object{})
	p.up(t)
	psql(transactionPool, "tenant_globex", pw["tenant_globex"], "-c", "select 'old', pg_backend_pid()")
	psql(transactionPool, "tenant_globex", p.passwords(t)["tenant_globex"], "-c", "select 'new', pg_backend_pid()")
	if err := q.pooler.SetUserlist(p.userlist(t)); err != nil {
		t.Fatal(err)
	}
	exec.Command("sleep", "1").Run()
	psql(transactionPool, "tenant_globex", pw["tenant_globex"], "-c", "select 'old after write', pg_backend_pid()")
	psql(transactionPool, "tenant_globex", p.passwords(t)["tenant_globex"], "-c", "select 'new after write', pg_backend_pid()")
	if err := q.pooler.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	psql(transactionPool, "tenant_globex", pw["tenant_globex"], "-c", "select 'old after reload', pg_backend_pid()")
	psql(transactionPool, "tenant_globex", p.passwords(t)["tenant_globex"], "-c", "select 'new after reload', pg_backend_pid()")
	psql(sessionPool, "tenant_globex", p.passwords(t)["tenant_globex"], "-c", "begin", "-c", "select pg_backend_pid()", "-c", "select pg_terminate_backend(pg_backend_pid())")
	psql(sessionPool, "tenant_globex", p.passwords(t)["tenant_globex"], "-c", "select 'new conn', pg_backend_pid()")
	// removed
	q.pooler.SetUserlist(nil)
	q.pooler.Reload(t.Context())
	psql(transactionPool, "tenant_globex", p.passwords(t)["tenant_globex"], "-c", "select 'removed', pg_backend_pid()")
	exec.Command("sh", "-c", "exit 0").Run()
	c := exec.Command("psql", "-X", "-c", "select 'removed, empty'", q.pooler.DSN("tenant_globex", "", transactionPool))
	c.Env = append(os.Environ(), "PGPASSWORD=")
	out, err := c.CombinedOutput()
	t.Logf("%v %s", err, out)
}
