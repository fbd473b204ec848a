package tests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tenant-permissions/dev/install"
	"tenant-permissions/dev/postgres"
)

// The entries of the section [databases] in docs/poolers.md.
const (
	sessionPool     = "platform"
	transactionPool = "platform_tx"
)

const (
	duplicatePreparedStatement = "42P05"
	undefinedPreparedStatement = "26000"
	protocolViolation          = "08P01" // PgBouncer's code for most errors of its own
)

// Logins through a PgBouncer with the config of docs/poolers.md are what they are without one.
func TestPooler(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, true)
	p.settings = unprotected()
	acme := object{
		"statementTimeout": "90s",
		"logins":           object{"active": "a"},
		"agents":           object{"chat": object{"connectionLimit": 3, "statementTimeout": "15s"}},
	}
	tenants := object{"acme": acme, "globex": object{}, "initech": object{"connectionLimit": 1}}
	p.configure(t, tenants, object{"app": object{"statementTimeout": "1min"}})
	p.up(t)
	admin := p.login(t, "admin_service_login")
	makeTables(t, admin, "tenant_acme")
	makeTables(t, admin, "tenant_globex")
	q := startPooler(t, p, newUserlist(t, p), pgbouncerINI(t))

	for _, entry := range []string{sessionPool, transactionPool} {
		t.Run("roles in "+entry, func(t *testing.T) { pooledRoles(t, q, entry) })
		t.Run("isolation in "+entry, func(t *testing.T) { pooledIsolation(t, q, entry) })
	}
	t.Run("a session leaves nothing behind", func(t *testing.T) { sessionsEnd(t, q) })
	t.Run("what differs in transaction mode", func(t *testing.T) { transactionsShare(t, q) })
	t.Run("with server_reset_query_always", func(t *testing.T) {
		const setting = "\n;server_reset_query_always = 1\n"
		ini := pgbouncerINI(t)
		if !strings.Contains(ini, setting) {
			t.Fatalf("pgbouncer.ini does not have %q", setting)
		}
		transactionsAreReset(t, startPooler(t, p, newUserlist(t, p), strings.Replace(ini, setting, strings.Replace(setting, ";", "", 1), 1)))
	})
	t.Run("limits", func(t *testing.T) { pooledLimits(t, q) })
	t.Run("rotation", func(t *testing.T) {
		old := p.passwords(t)
		client := q.client(t, transactionPool, "tenant_acme_a", old["tenant_acme_a"])
		other := q.client(t, transactionPool, "tenant_globex", old["tenant_globex"])
		logins := with(acme, "logins", object{"active": "a", "b": object{"passwordVersion": 2}})
		p.configure(t, object{"acme": logins, "globex": object{"passwordVersion": 2}, "initech": object{}}, object{})
		p.up(t)
		now := p.passwords(t)

		// The pool has a server connection of globex, so its old password still works.
		q.client(t, transactionPool, "tenant_globex", old["tenant_globex"]).may(t, "SELECT * FROM docs")
		q.refuse(t, transactionPool, "tenant_globex", now["tenant_globex"])
		q.client(t, transactionPool, "tenant_acme_a", now["tenant_acme_a"]).may(t, "SELECT * FROM docs")

		q.reload(t)
		for _, entry := range []string{sessionPool, transactionPool} {
			q.refuse(t, entry, "tenant_globex", old["tenant_globex"])
			q.refuse(t, entry, "tenant_acme_b", old["tenant_acme_b"])
			for _, login := range []string{"tenant_globex", "tenant_acme_a", "tenant_acme_b"} {
				// Of two transactions at once, one gets a new server connection.
				for range 2 {
					q.client(t, entry, login, now[login]).may(t, "BEGIN", "SELECT * FROM docs")
				}
			}
		}
		client.may(t, "SELECT * FROM docs")
		other.may(t, "SELECT * FROM docs")
	})
	t.Run("suspension and removal", func(t *testing.T) {
		passwords := p.passwords(t)
		q.client(t, transactionPool, "tenant_globex", passwords["tenant_globex"]).may(t, "SELECT 1")
		q.client(t, transactionPool, "tenant_acme_chat", passwords["tenant_acme_chat"]).may(t, "SELECT 1")
		p.configure(t, object{"acme": object{"logins": object{"active": "a"}}, "globex": object{"suspended": true, "passwordVersion": 2}, "initech": object{}}, object{})
		p.up(t)
		q.reload(t)
		// PgBouncer has a server connection of the login that is gone.
		q.refuse(t, transactionPool, "tenant_acme_chat", passwords["tenant_acme_chat"])
		q.refuse(t, transactionPool, "tenant_acme_chat", "")
		q.client(t, transactionPool, "tenant_globex", passwords["tenant_globex"]).may(t, "SELECT 1")
		if err := p.tenantctl(t, p.pulumi(t, "stack", "output", "--json"), "sessions", "--role", "tenant_globex", "--end"); err != nil {
			t.Error(err)
		}
		q.refuse(t, transactionPool, "tenant_globex", passwords["tenant_globex"])
	})
	if log := read(t, q.LogFile()); strings.Contains(log, "SCRAM-SHA-256$") {
		t.Error("PgBouncer's log has verifiers")
	}
}

// pooled is a platform with a PgBouncer before its server.
type pooled struct {
	*platform
	*postgres.Pooler
}

// pgbouncerINI is the config in docs/poolers.md.
func pgbouncerINI(t *testing.T) string {
	t.Helper()
	_, rest, found := strings.Cut(read(t, "../docs/poolers.md"), "\n    [databases]\n")
	if !found {
		t.Fatal("docs/poolers.md has no pgbouncer.ini")
	}
	text := "[databases]\n"
	for line := range strings.Lines(rest) {
		setting, indented := strings.CutPrefix(line, "    ")
		if !indented && strings.TrimSpace(line) != "" {
			break
		}
		text += setting
	}
	return text
}

// startPooler starts a PgBouncer with the config, in which only host, port, database and paths are
// replaced.
func startPooler(t *testing.T, p *platform, userlist []byte, ini string) *pooled {
	t.Helper()
	program, err := install.PgBouncer(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	pooler, err := p.server.StartPooler(t.Context(), program, userlist, func(dir string, port int) string {
		text := ini
		for _, replacement := range [][2]string{
			{"host=db.example.com port=5432 dbname=platform ", fmt.Sprintf("host=%s port=%d dbname=%s ", p.server.Host, p.server.Port, database)},
			{"\nlisten_port = 6432\n", fmt.Sprintf("\nlisten_port = %d\n", port)},
			{"/etc/pgbouncer/", dir + "/"},
			{"/var/log/postgresql/", dir + "/"},
			{"/var/run/postgresql", dir},
		} {
			if !strings.Contains(text, replacement[0]) {
				t.Fatalf("pgbouncer.ini does not have %q", replacement[0])
			}
			text = strings.ReplaceAll(text, replacement[0], replacement[1])
		}
		return text
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pooler.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &pooled{platform: p, Pooler: pooler}
}

// tryClient connects through the pooler. Parameters are those of the connection string. Without any
// the client does not prepare statements, as transaction mode demands.
func (q *pooled) tryClient(t *testing.T, entry, login, password string, parameters ...string) (*session, error) {
	t.Helper()
	if len(parameters) == 0 {
		parameters = []string{"default_query_exec_mode=exec"}
	}
	return dial(t, login, q.DSN(login, password, entry)+"&"+strings.Join(parameters, "&"))
}

func (q *pooled) client(t *testing.T, entry, login, password string, parameters ...string) *session {
	t.Helper()
	s, err := q.tryClient(t, entry, login, password, parameters...)
	if err != nil {
		t.Fatalf("%s in %s: %v", login, entry, err)
	}
	return s
}

// refuse fails unless PgBouncer refuses the login, or the server does when the client's first statement
// needs it.
func (q *pooled) refuse(t *testing.T, entry, login, password string) {
	t.Helper()
	s, err := q.tryClient(t, entry, login, password)
	if err == nil {
		_, err = s.Exec(t.Context(), "SELECT 1")
	}
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) || refusal.Severity != "FATAL" {
		t.Errorf("login of %s in %s: got error %v", login, entry, err)
	}
}

// reload does what follows a deployment.
func (q *pooled) reload(t *testing.T) {
	t.Helper()
	q.writeUserlist(t, q.Userlist())
	if err := q.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// tenantctl runs a command with the stack's outputs. What it prints is in the error.
func (p *platform) tenantctl(t *testing.T, outputs string, args ...string) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tools.tenantctl, append(args, "--outputs", "-")...)
	cmd.Env = append(os.Environ(), "PGHOST="+p.server.Host, fmt.Sprint("PGPORT=", p.server.Port), "PGUSER="+p.user, "PGPASSWORD="+p.password, "PGSSLMODE=disable")
	cmd.Stdin = strings.NewReader(outputs)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tenantctl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// writeUserlist has tenantctl write the stack's userlist to a file.
func (p *platform) writeUserlist(t *testing.T, file string) {
	t.Helper()
	if err := p.tenantctl(t, p.pulumi(t, "stack", "output", "--json"), "userlist", "--out", file); err == nil || !strings.Contains(err.Error(), "the passwords are masked") {
		t.Errorf("without --show-secrets: got error %v", err)
	}
	if err := p.tenantctl(t, p.pulumi(t, "stack", "output", "--json", "--show-secrets"), "userlist", "--out", file); err != nil {
		t.Fatal(err)
	}
	text := read(t, file)
	for login, password := range p.passwords(t) {
		if !strings.Contains(text, "\""+login+"\" \"SCRAM-SHA-256$") || strings.Contains(text, password) {
			t.Errorf("the userlist does not have %s, or has its password", login)
		}
	}
}

// newUserlist is the first userlist of the stack.
func newUserlist(t *testing.T, p *platform) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "userlist.txt")
	p.writeUserlist(t, file)
	return []byte(read(t, file))
}

// pooledRoles checks that a session has its role, its search path and its timeout, also on a server
// connection that another client has used.
func pooledRoles(t *testing.T, q *pooled, entry string) {
	passwords := q.passwords(t)
	for _, want := range []struct{ login, role, searchPath, timeout string }{
		{"tenant_acme_a", "tenant_acme", "tenant_acme", "90s"},
		{"tenant_acme_b", "tenant_acme", "tenant_acme", "90s"},
		{"tenant_acme_chat", "tenant_acme_chat", "tenant_acme", "15s"},
		{"tenant_globex", "tenant_globex", "tenant_globex", "0"},
		{"app_service_role", "app_service_role", "pg_catalog", "1min"},
		{"admin_service_login", "admin_service_role", "pg_catalog", "0"},
	} {
		var processes []string
		for range 2 {
			s := q.client(t, entry, want.login, passwords[want.login])
			got := s.value(t, "SELECT concat_ws(' ', current_user, session_user, current_setting('search_path'), current_setting('statement_timeout'))")
			if expected := strings.Join([]string{want.role, want.login, want.searchPath, want.timeout}, " "); got != expected {
				t.Errorf("%s: got %s, want %s", want.login, got, expected)
			}
			processes = append(processes, s.value(t, "SELECT pg_backend_pid()"))
			q.leave(t, entry, s)
		}
		if processes[0] != processes[1] {
			t.Errorf("%s: the second client has a server connection of its own", want.login)
		}
		q.refuse(t, entry, want.login, "another-password")
	}
	q.refuse(t, entry, "tenant_acme", "another-password")
	if _, err := q.tryClient(t, entry, "tenant_globex", passwords["tenant_globex"], "options=-c%20statement_timeout%3D0"); sqlstate(err) != protocolViolation {
		t.Errorf("with options: got error %v", err)
	}
}

func pooledIsolation(t *testing.T, q *pooled, entry string) {
	passwords := q.passwords(t)
	clients := map[string]*session{}
	for _, login := range []string{"tenant_acme_a", "tenant_acme_chat", "tenant_globex", "app_service_role"} {
		clients[login] = q.client(t, entry, login, passwords[login])
		clients[login].may(t, "SELECT 1")
	}
	clients["tenant_acme_a"].may(t, "INSERT INTO docs (body) VALUES ('acme')")
	clients["tenant_acme_chat"].may(t, "SELECT * FROM docs")
	clients["tenant_globex"].may(t, "INSERT INTO docs (body) VALUES ('globex')")
	clients["app_service_role"].may(t, "SELECT * FROM tenant_acme.docs, tenant_globex.docs AS other")
	for login, statements := range map[string][]string{
		"tenant_acme_a":    {"SELECT * FROM tenant_globex.docs", "SET ROLE tenant_globex", "SET SESSION AUTHORIZATION tenant_globex", "CREATE TABLE mine (id int)"},
		"tenant_acme_chat": {"SELECT * FROM tenant_globex.docs", "SET ROLE tenant_acme", "DELETE FROM docs", "SET SESSION AUTHORIZATION tenant_acme_a"},
		"tenant_globex":    {"SELECT * FROM tenant_acme.docs", "DELETE FROM tenant_acme.docs", "SET ROLE tenant_acme", "SET ROLE admin_service_role", "SET SESSION AUTHORIZATION tenant_acme_a"},
		"app_service_role": {"DELETE FROM tenant_acme.docs", "SET ROLE tenant_acme"},
	} {
		clients[login].mayNot(t, insufficientPrivilege, statements...)
	}
}

// leave disconnects, and returns when the pool has the server connection back.
func (q *pooled) leave(t *testing.T, entry string, s *session) {
	t.Helper()
	process := s.value(t, "SELECT pg_backend_pid()")
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if entry == transactionPool {
		return
	}
	super := q.superuser(t, database)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if super.value(t, "SELECT state = 'idle' AND query LIKE '%RESET ROLE' FROM pg_stat_activity WHERE pid = "+process) == "true" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: the server connection was not reset", s.login)
		}
	}
}

// state is what a session can change, and untouched is its value in a new session of acme.
const (
	state = `SELECT concat_ws(' ', current_user, current_setting('search_path'), current_setting('statement_timeout'),
		(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
		(SELECT count(*) FROM pg_listening_channels()),
		(SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine'))`
	untouched = "tenant_acme tenant_acme 90s 0 0 0"
	disturbed = "tenant_acme_a public 0 1 1 1"
)

// disturb changes everything that state has.
func disturb(t *testing.T, s *session) {
	t.Helper()
	s.may(t, "SET search_path = public", "SET statement_timeout = 0", "SET ROLE NONE", "SELECT pg_advisory_lock(7)", "LISTEN news", "PREPARE mine AS SELECT 1")
}

func (s *session) is(t *testing.T, want string) {
	t.Helper()
	if got := s.value(t, state); got != want {
		t.Errorf("%s: the session is %s, want %s", s.login, got, want)
	}
}

func sessionsEnd(t *testing.T, q *pooled) {
	passwords := q.passwords(t)
	first := q.client(t, sessionPool, "tenant_acme_a", passwords["tenant_acme_a"])
	disturb(t, first)
	first.is(t, disturbed)
	process := first.value(t, "SELECT pg_backend_pid()")
	q.leave(t, sessionPool, first)
	second := q.client(t, sessionPool, "tenant_acme_a", passwords["tenant_acme_a"])
	second.is(t, untouched)
	if got := second.value(t, "SELECT pg_backend_pid()"); got != process {
		t.Error("the second client has a server connection of its own")
	}

	// What the admin makes belongs to its role, whatever clients did before.
	admin := q.client(t, sessionPool, "admin_service_login", passwords["admin_service_login"])
	admin.may(t, "SET ROLE NONE")
	q.leave(t, sessionPool, admin)
	admin = q.client(t, sessionPool, "admin_service_login", passwords["admin_service_login"])
	admin.may(t, "CREATE TABLE tenant_acme.later (body text)")
	second.may(t, "SELECT * FROM later")
	admin.may(t, "DROP TABLE tenant_acme.later")
}

func transactionsShare(t *testing.T, q *pooled) {
	passwords := q.passwords(t)
	client := func(login string, parameters ...string) *session {
		return q.client(t, transactionPool, login, passwords[login], parameters...)
	}
	first, second := client("tenant_acme_a"), client("tenant_acme_a")
	second.is(t, untouched)
	disturb(t, first)
	second.is(t, disturbed)
	client("tenant_acme_b").is(t, untouched)
	second.may(t, "DISCARD ALL", "RESET ROLE")
	first.is(t, untouched)
	first.may(t, "BEGIN", "SET LOCAL statement_timeout = 0", "SET LOCAL search_path = public", "COMMIT")
	second.is(t, untouched)

	// PgBouncer 1.24 and later keep the prepared statements of clients apart by default.
	if q.version(t) >= 24 {
		return
	}
	const query = "SELECT (SELECT 'prepared')::text"
	third, fourth := client("tenant_acme_a", "default_query_exec_mode=cache_statement"), client("tenant_acme_a", "default_query_exec_mode=cache_statement")
	prepared := func(s *session) error {
		var value string
		return s.QueryRow(t.Context(), query).Scan(&value)
	}
	if err := prepared(third); err != nil {
		t.Fatal(err)
	}
	if err := prepared(fourth); sqlstate(err) != duplicatePreparedStatement {
		t.Errorf("prepared a second time: got error %v", err)
	}
	first.may(t, "BEGIN") // in the server connection that has the statement
	if err := prepared(third); sqlstate(err) != undefinedPreparedStatement {
		t.Errorf("in another server connection: got error %v", err)
	}
	first.may(t, "ROLLBACK")
}

// version is the second number of the pooler's version, such as 18 of 1.18.0.
func (q *pooled) version(t *testing.T) int {
	t.Helper()
	_, rest, _ := strings.Cut(read(t, q.LogFile()), "process up: PgBouncer 1.")
	minor, _, _ := strings.Cut(rest, ".")
	number, err := strconv.Atoi(minor)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

func transactionsAreReset(t *testing.T, q *pooled) {
	password := q.passwords(t)["tenant_acme_a"]
	first, second := q.client(t, transactionPool, "tenant_acme_a", password), q.client(t, transactionPool, "tenant_acme_a", password)
	disturb(t, first)
	for _, s := range []*session{first, second} {
		s.is(t, untouched)
	}
}

func pooledLimits(t *testing.T, q *pooled) {
	passwords := q.passwords(t)
	var agents []*session
	for _, entry := range []string{sessionPool, sessionPool, transactionPool} {
		s := q.client(t, entry, "tenant_acme_chat", passwords["tenant_acme_chat"])
		s.may(t, "BEGIN", "SELECT * FROM docs")
		agents = append(agents, s)
	}
	// The fourth waits for a server connection, and is not refused.
	fourth := q.client(t, transactionPool, "tenant_acme_chat", passwords["tenant_acme_chat"])
	done := make(chan error, 1)
	go func() {
		_, err := fourth.Exec(context.WithoutCancel(t.Context()), "SELECT * FROM docs")
		done <- err
	}()
	select {
	case err := <-done:
		t.Errorf("the fourth transaction did not wait: %v", err)
	case <-time.After(500 * time.Millisecond):
		agents[2].may(t, "COMMIT")
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	// Without max_user_connections the server refuses what is beyond connectionLimit.
	q.client(t, sessionPool, "tenant_initech", passwords["tenant_initech"]).may(t, "BEGIN", "SELECT 1")
	q.refuse(t, transactionPool, "tenant_initech", passwords["tenant_initech"])
}
