package postgres

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// openDir is a folder that every account can enter, which a test's own temporary folder is not.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tenant-permissions-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Remove(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { halt(t, s) })
	return s
}

func halt(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// query logs in as the superuser and returns the one value of a query, as text.
func query(t *testing.T, s *Server, database, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.DSN(s.User, s.Password, database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var value string
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func gone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", path, err)
	}
}

func TestServerIsTheSameUntilRemoved(t *testing.T) {
	dir := openDir(t)
	first := start(t, Options{Dir: dir, Settings: map[string]string{"log_statement": "all"}})
	if !first.Fresh {
		t.Error("a new server is not fresh")
	}
	for range 2 {
		if err := first.CreateDatabase(t.Context(), `od"d`); err != nil {
			t.Fatal(err)
		}
	}
	if got := query(t, first, `od"d`, "SELECT current_database() || current_setting('log_statement')"); got != `od"dall` {
		t.Errorf("got %s", got)
	}
	if log, err := os.ReadFile(first.LogFile()); err != nil || !strings.Contains(string(log), "CREATE DATABASE") {
		t.Errorf("the log does not tell of statements: %v", err)
	}

	second := start(t, Options{Dir: dir})
	if second.Port != first.Port || second.Password != first.Password || second.Fresh {
		t.Errorf("a running server was not found: %+v, then %+v", first, second)
	}
	halt(t, second)
	if _, err := pgconn.Connect(t.Context(), first.DSN(first.User, first.Password, "postgres")); err == nil {
		t.Error("the server still runs after Stop")
	}
	halt(t, first)

	third := start(t, Options{Dir: dir})
	if third.Port != first.Port || third.Password != first.Password || third.Fresh {
		t.Errorf("a stopped server started as another one: %+v, then %+v", first, third)
	}
	query(t, third, `od"d`, "SELECT ''")
	if err := Remove(dir); err != nil {
		t.Error(err)
	}
	gone(t, dir)
	if err := Remove(dir); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
}

func TestTemporaryServer(t *testing.T) {
	s := start(t, Options{})
	query(t, s, "postgres", "SELECT ''")
	halt(t, s)
	gone(t, s.dir)
}

// A copy has what its template had when it stopped, and nothing that happens to one happens to the other.
func TestTemplate(t *testing.T) {
	template := start(t, Options{Dir: openDir(t)})
	if err := template.CreateDatabase(t.Context(), "before"); err != nil {
		t.Fatal(err)
	}
	halt(t, template)
	first, second := start(t, Options{Template: template}), start(t, Options{Template: template})
	if err := first.CreateDatabase(t.Context(), "after"); err != nil {
		t.Fatal(err)
	}
	const names = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname IN ('before', 'after')"
	if got := query(t, first, "before", names); got != "after before" || !first.Fresh {
		t.Errorf("the first has %q", got)
	}
	if got := query(t, second, "before", names); got != "before" {
		t.Errorf("the second has %q", got)
	}
}

func TestServerLetsNobodyInWithoutPassword(t *testing.T) {
	s := start(t, Options{})
	for _, password := range []string{"", "wrong"} {
		var refusal *pgconn.PgError
		_, err := pgconn.Connect(t.Context(), s.DSN(s.User, password, "postgres"))
		if !errors.As(err, &refusal) || refusal.Code != "28P01" {
			t.Errorf("password %q: got %v, want SQLSTATE 28P01", password, err)
		}
	}
	if got := query(t, s, "postgres", "SELECT coalesce(string_agg(DISTINCT auth_method, ' '), '') FROM pg_hba_file_rules"); got != "scram-sha-256" {
		t.Errorf("pg_hba.conf has the methods %s", got)
	}
	if got := query(t, s, "postgres", "SELECT current_setting('listen_addresses') || ';' || current_setting('unix_socket_directories')"); got != "127.0.0.1;" {
		t.Errorf("it listens on %s", got)
	}
	for _, file := range []string{"password", "log", "lock"} {
		if info, err := os.Stat(s.file(file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", file, info, err)
		}
	}
	info, err := os.Stat(s.file("data"))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 || os.Geteuid() != 0 && int(uid) != os.Geteuid() {
		t.Errorf("the server's user is %d", uid)
	}
}

// A process id that a crashed server has left may be anybody's by now, here one of the server's
// own user.
func TestServerAfterACrash(t *testing.T) {
	dir := openDir(t)
	s := start(t, Options{Dir: dir})
	content, err := os.ReadFile(s.file(pidFile))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s = start(t, Options{Dir: dir})
	query(t, s, "postgres", "SELECT ''")
	halt(t, s)

	who, err := serverAccount()
	if err != nil {
		t.Fatal(err)
	}
	bystander := commandAs(t.Context(), who, "/", "sleep", "600")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	stale := []byte(strconv.Itoa(bystander.Process.Pid))
	if err := os.WriteFile(s.file(pidFile), stale, 0o600); err != nil {
		t.Fatal(err)
	}
	halt(t, s)
	s = start(t, Options{Dir: dir})
	query(t, s, "postgres", "SELECT ''")
	halt(t, s)
	if err := bystander.Process.Kill(); err != nil {
		t.Errorf("another process was ended: %v", err)
	}
	var exit *exec.ExitError
	if err := bystander.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("another process was ended: %v", err)
	}
}

func TestServerStartedByManyAtOnce(t *testing.T) {
	dir := openDir(t)
	var group sync.WaitGroup
	servers := make([]*Server, 4)
	for i := range servers {
		group.Go(func() {
			var err error
			if servers[i], err = Start(t.Context(), Options{Dir: dir}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	fresh := 0
	for _, s := range servers {
		if s.Port != servers[0].Port {
			t.Errorf("ports %d and %d", s.Port, servers[0].Port)
		}
		if s.Fresh {
			fresh++
		}
		query(t, s, "postgres", "SELECT ''")
	}
	if fresh != 1 {
		t.Errorf("%d of them made the data", fresh)
	}
}

func TestServerWhosePortIsTaken(t *testing.T) {
	dir := openDir(t)
	s := start(t, Options{Dir: dir})
	halt(t, s)
	listener, err := net.Listen("tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	other := start(t, Options{Dir: dir})
	if other.Port == s.Port {
		t.Errorf("it says that it is on port %d, which is taken", s.Port)
	}
	query(t, other, "postgres", "SELECT ''")
}

// As root the server runs as a user that cannot enter, for instance, a checkout in root's home.
func TestServerInAClosedFolder(t *testing.T) {
	closed := openDir(t)
	dir := filepath.Join(closed, "server")
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	var progress bytes.Buffer
	s := start(t, Options{Dir: dir, Progress: &progress})
	query(t, s, "postgres", "SELECT ''")
	want := dir
	if os.Geteuid() == 0 {
		want = substitute(dir)
		if !strings.Contains(progress.String(), want) {
			t.Errorf("it does not tell of %s:\n%s", want, progress.String())
		}
	}
	if s.dir != want {
		t.Errorf("it is in %s, not in %s", s.dir, want)
	}
	if err := Remove(dir); err != nil {
		t.Error(err)
	}
	gone(t, want)
}

func TestServerThatCannotStart(t *testing.T) {
	dir := openDir(t)
	_, err := Start(t.Context(), Options{Dir: dir, Settings: map[string]string{"no_such_setting": "x"}})
	if err == nil || !strings.Contains(err.Error(), `unrecognized configuration parameter "no_such_setting"`) {
		t.Errorf("the error does not have the server's reason: %v", err)
	}
	if _, err := Start(t.Context(), Options{Dir: dir, Version: "13"}); err == nil || !strings.Contains(err.Error(), "13") {
		t.Errorf("a version that its data is not of: %v", err)
	}
	s := start(t, Options{Dir: dir}) // what failed has left nothing that is in the way
	halt(t, s)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, Options{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if _, err := Start(t.Context(), Options{BinDir: dir}); err == nil || !strings.Contains(err.Error(), "initdb") {
		t.Errorf("a folder without initdb: %v", err)
	}
}
