//go:build breaks || model

package tests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"

	"tenant-permissions/dev/postgres"
)

// Runs that break halfway heal: in the end the server has what one undisturbed run makes of the
// same config.
func TestBreaks(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		p.configure(t, manyTenants(20, 1), object{})
		p.up(t)
		want := p.catalog(t)
		superuser := p.user == p.server.User
		t.Run("killed", func(t *testing.T) {
			t.Parallel()
			killedRuns(t, newPlatform(t, superuser), want)
		})
		if !superuser { // whom no connection limit concerns
			t.Run("refused", func(t *testing.T) {
				t.Parallel()
				refusedRuns(t, newPlatform(t, superuser), want)
			})
		}
	})
}

// manyTenants is a config of so many tenants.
func manyTenants(n, passwordVersion int) object {
	tenants := object{}
	for i := range n {
		tenants[fmt.Sprintf("t%02d", i)] = object{"passwordVersion": passwordVersion}
	}
	return tenants
}

// killedRuns deploys twenty tenants, then rotates five of them and removes the others, all in runs
// that are killed.
func killedRuns(t *testing.T, p *platform, want []string) {
	random := rand.New(rand.NewPCG(1, 2))
	p.settings = unprotected()
	p.configure(t, manyTenants(20, 1), object{})
	for range 5 {
		p.killUp(t, "created", 5+random.IntN(30), killTree)
	}
	p.killUp(t, "created", 5, crashProgram)
	if !bytes.Contains(p.printed.Bytes(), []byte("goroutine ")) {
		t.Error("the program did not crash")
	}
	p.heal(t)
	sameRights(t, want, p.catalog(t))
	p.clean(t)

	p.configure(t, manyTenants(5, 2), object{})
	p.killUp(t, "updated", 1+random.IntN(4), killTree)
	p.killUp(t, "deleted", 1+random.IntN(20), killTree)
	p.heal(t)
	removed := regexp.MustCompile(`tenant_t(0[5-9]|1\d)`)
	sameRights(t, slices.DeleteFunc(slices.Clone(want), removed.MatchString), p.catalog(t))
	p.clean(t)
	passwords := p.passwords(t)
	if len(passwords) != 2+5 {
		t.Errorf("%d passwords, want those of app, admin and 5 tenants", len(passwords))
	}
	for login, password := range passwords {
		if _, err := p.connect(t, login, password); err != nil {
			t.Error(err)
		}
	}
	p.tellsNone(t, slices.Collect(maps.Values(passwords)))
}

// refusedRuns deploys twenty tenants a few at a time, in runs that the server refuses halfway,
// each for another cause.
func refusedRuns(t *testing.T, p *platform, want []string) {
	const alter = "ALTER DATABASE " + database
	type step func(t *testing.T, admin *session)
	sql := func(statements ...string) step {
		return func(t *testing.T, admin *session) { admin.may(t, statements...) }
	}
	stop := func(signal syscall.Signal) step {
		return func(t *testing.T, _ *session) { p.signalServer(t, signal) }
	}
	start := func(t *testing.T, _ *session) { p.startServer(t) }
	// The server can also go in the middle of a login: the connection is reset or ends. Go's database/sql
	// makes "bad connection" of any of them at times.
	stopped := "terminating connection|connection refused|shutting down|connection reset|unexpected EOF|bad connection"
	// A hot standby is what becomes of a server after a failover. default_transaction_read_only
	// is no substitute: the official plugin asks for transactions that write.
	standby := filepath.Join(filepath.Dir(p.server.LogFile()), "data", "standby.signal")
	restart := func(t *testing.T) {
		p.signalServer(t, syscall.SIGINT)
		p.startServer(t)
	}
	causes := []struct {
		name string
		// after is how many resources are created before the cause begins.
		after      int
		begin, end step
		want       string
	}{
		{"fast shutdown", 5, stop(syscall.SIGINT), start, stopped},
		{"immediate shutdown", 2, stop(syscall.SIGQUIT), start, stopped},
		{"hot standby", 0, func(t *testing.T, _ *session) {
			if err := os.WriteFile(standby, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			restart(t)
		}, func(t *testing.T, _ *session) {
			if err := os.Remove(standby); err != nil {
				t.Fatal(err)
			}
			restart(t)
		}, "read-write mode during recovery|read-only transaction"},
		{"no connection left", 1, sql(alter + " CONNECTION LIMIT 1"), sql(alter + " CONNECTION LIMIT -1"), "too many connections"},
		{
			"lock timeout", 1,
			// The provider takes this lock for whatever is about the role.
			sql(alter+" SET lock_timeout = '100ms'", "SELECT pg_advisory_lock('admin_service_role'::regrole::oid::bigint)"),
			sql(alter+" RESET lock_timeout", "SELECT pg_advisory_unlock_all()"),
			"canceling statement due to lock timeout",
		},
		{
			// Filling a disk takes one that is small. Roles belong to no database and fire no event
			// trigger, but what comes after them does.
			"disk full", 0,
			sql(`CREATE FUNCTION public.disk_full() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
					RAISE EXCEPTION 'could not extend file "base/5/2619": No space left on device' USING ERRCODE = 'disk_full';
				END $$`,
				"CREATE EVENT TRIGGER disk_full ON ddl_command_start WHEN TAG IN ('CREATE SCHEMA', 'GRANT', 'ALTER DEFAULT PRIVILEGES') EXECUTE FUNCTION public.disk_full()"),
			sql("DROP EVENT TRIGGER disk_full", "DROP FUNCTION public.disk_full()"),
			"No space left on device",
		},
		{
			"statement cancelled", 1,
			sql(alter+" SET statement_timeout = '100ms'", "BEGIN", "LOCK TABLE pg_authid IN SHARE MODE"),
			sql("ROLLBACK", alter+" RESET statement_timeout"),
			"canceling statement due to statement timeout",
		},
	}
	for i, cause := range causes {
		t.Run(cause.name, func(t *testing.T) {
			p.configure(t, manyTenants(20*(i+1)/len(causes), 1), object{})
			admin := p.superuser(t, database)
			progress := &trigger{word: "created", left: cause.after, act: func() { cause.begin(t, admin) }}
			if cause.after == 0 {
				progress.act()
			}
			_, err := p.stack.Up(t.Context(), optup.Parallel(8), optup.ProgressStreams(io.MultiWriter(progress, &p.printed)), optup.ErrorProgressStreams(&p.printed))
			cause.end(t, admin)
			if err == nil || !regexp.MustCompile(cause.want).MatchString(err.Error()) {
				t.Errorf("got error %v", err)
			}
			p.heal(t)
			p.clean(t)
		})
	}
	sameRights(t, want, p.catalog(t))
	p.tellsNone(t, slices.Collect(maps.Values(p.passwords(t))))
}

// A first load without checkpoints that is killed leaves tenants on the server that no state knows.
// They are dropped by their names, and the next run makes them.
func TestBreaksFirstLoad(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		p.configure(t, object{}, object{})
		p.up(t)
		before := p.catalog(t)
		cell := p.cell(t, "cell", p)
		cell.configure(t, manyTenants(20, 1), nil)
		if err := cell.stack.Workspace().SetEnvVars(map[string]string{"PULUMI_SKIP_CHECKPOINTS": "true"}); err != nil {
			t.Fatal(err)
		}
		cell.killUp(t, "created", 60, killTree)
		if _, err := cell.tryUp(t); err == nil || !strings.Contains(err.Error(), "already exists") {
			t.Fatalf("got error %v", err)
		}
		cell.unlock(t)

		admin := p.login(t, "admin_service_login")
		deployer, err := p.connect(t, p.user, p.password)
		if err != nil {
			t.Fatal(err)
		}
		names := cell.claimed(t)
		for _, name := range names {
			admin.may(t, "DROP SCHEMA IF EXISTS "+name)
		}
		for _, name := range names {
			deployer.may(t, "DROP ROLE IF EXISTS "+name)
		}
		sameFacts(t, before, p.catalog(t))
		cell.heal(t)
		cell.clean(t)
		cell.login(t, "tenant_t07").may(t, "SELECT 1")
	})
}

// claimed are the names that a stack's config claims on its server.
func (p *platform) claimed(t *testing.T) (names []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tools.tenantctl, "names")
	cmd.Stdin, cmd.Stderr = strings.NewReader(p.pulumi(t, "config", "--json", "--stack", p.stack.Name())), t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(line, "\t")
		names = append(names, name)
	}
	return names
}

// Two stacks deploy to one server at the same time.
func TestBreaksNothingOfAnotherStack(t *testing.T) {
	const other = "other_platform"
	p := newPlatform(t, false)
	p.superuser(t, "postgres").may(t, "CREATE DATABASE "+other+" OWNER "+p.user)
	if p.major == "14" {
		p.superuser(t, other).may(t, "ALTER SCHEMA public OWNER TO "+p.user)
	}
	stack, err := newStack(t.Context(), "other", p.dir, p.stack.Workspace().GetEnvVars())
	if err != nil {
		t.Fatal(err)
	}
	q := &platform{server: p.server, stack: stack, backend: p.backend}
	p.configure(t, threeTenants, object{})
	q.configure(t, object{"umbrella": object{}, "hooli": object{}, "acme": object{"role": "other_acme", "schema": "other_acme"}}, object{
		"app":             object{"name": "other_app"},
		"admin":           object{"name": "other_admin", "loginName": "other_admin_login"},
		"allTenants":      object{"name": "other_tenants"},
		"allTenantsAdmin": object{"name": "other_tenants_admin"},
	})
	if err := q.stack.SetConfig(t.Context(), "postgresql:database", auto.ConfigValue{Value: other}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for _, each := range []*platform{p, q} {
		go func() {
			_, err := each.tryUp(t)
			done <- err
		}()
	}
	if err := errors.Join(<-done, <-done); err != nil {
		t.Fatal(err)
	}
	p.clean(t)
	q.clean(t)
	p.login(t, "tenant_acme").may(t, "SELECT 1")
	p.refuseLogin(t, "other_acme", q.passwords(t)["other_acme"], insufficientPrivilege)
}

// trigger acts once, as soon as the CLI's progress reports so many resources "created" or the like.
type trigger struct {
	word string
	left int
	act  func()
	text bytes.Buffer
}

func (tr *trigger) Write(text []byte) (int, error) {
	before := tr.left
	tr.left -= bytes.Count(text, []byte(" "+tr.word+" ("))
	if before > 0 && tr.left <= 0 {
		tr.act()
	}
	return tr.text.Write(text)
}

// killUp runs up, has it killed once so many resources are "created" or the like, and takes away
// what then keeps the CLI from its state.
func (p *platform) killUp(t *testing.T, word string, after int, kill func(pid int) error) {
	t.Helper()
	for {
		cmd := exec.CommandContext(t.Context(), tools.toolchain.Pulumi(), "up", "--yes", "--skip-preview", "--non-interactive",
			"--continue-on-error", "--parallel", "8", "--stack", p.stack.Name())
		cmd.Dir, cmd.Env = p.dir, os.Environ()
		for name, value := range p.stack.Workspace().GetEnvVars() {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		var killed error
		progress := &trigger{word: word, left: after, act: func() { killed = kill(cmd.Process.Pid) }}
		both := io.MultiWriter(progress, &p.printed)
		cmd.Stdout, cmd.Stderr = both, both
		err := cmd.Run()
		if killed != nil {
			t.Fatal(killed)
		}
		if progress.left <= 0 {
			break
		}
		if err == nil {
			t.Fatalf("up ended before %d resources were %s", after, word)
		}
		p.clearWay(t, progress.text.String()) // an earlier kill stands in the way
		after = progress.left
	}
	p.unlock(t)
}

// descendants are a process and all that descend from it. A group would not do: the CLI puts every
// plugin into one of its own.
func descendants(root int) ([]int, error) {
	processes, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for line := range strings.Lines(string(processes)) {
		var pid, parent int
		if _, err := fmt.Sscan(line, &pid, &parent); err != nil {
			return nil, err
		}
		children[parent] = append(children[parent], pid)
	}
	tree := []int{root}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree, nil
}

// killTree kills a process and all that descend from it. The process stops first, so that it
// starts no other meanwhile.
func killTree(root int) error {
	if err := syscall.Kill(root, syscall.SIGSTOP); err != nil {
		return err
	}
	tree, err := descendants(root)
	for _, pid := range tree {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return err
}

// crashProgram makes the program under a CLI crash, so that Go prints what it was doing.
func crashProgram(root int) error {
	tree, err := descendants(root)
	if err != nil {
		return err
	}
	for _, pid := range tree {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && exe == tools.program {
			return syscall.Kill(pid, syscall.SIGQUIT)
		}
	}
	return errors.New("no process runs the program")
}

// unlock does what the README says to do after a kill: `pulumi cancel` for the lock. Before that,
// where the backend is a folder, empty .attrs files go: the CLI is not careful when it writes
// those, and takes an empty one for an unreadable state.
func (p *platform) unlock(t *testing.T) {
	t.Helper()
	backend := strings.TrimPrefix(p.stack.Workspace().GetEnvVars()["PULUMI_BACKEND_URL"], "file://")
	err := filepath.WalkDir(backend, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".attrs" {
			return err
		}
		info, err := entry.Info()
		if err != nil || info.Size() > 0 {
			return err
		}
		return os.Remove(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.stack.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// heal does what the docs say to do after a broken run: refresh, since what was made and then
// could not be read back is recorded as half-made, and of a membership that is beyond repair;
// deploy; and drop what stands in the way.
func (p *platform) heal(t *testing.T) {
	t.Helper()
	p.refresh(t, "--clear-pending-creates")
	for {
		_, err := p.runUp(t, "--continue-on-error")
		if err == nil {
			break
		}
		p.clearWay(t, err.Error())
	}
	state, err := p.stack.Export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(state.Deployment, []byte("pending_operations")) {
		t.Error("operations are still pending")
	}
}

// errorLines are the lines of what the CLI printed that say what failed.
func errorLines(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "error: ") && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

var existingRole = regexp.MustCompile(`role "(\w+)" already exists`)

// clearWay drops the roles that a broken run made without recording them, which the CLI says exist
// already. Nothing depends on them yet: that would have been made after the record. After a
// deadlock, which the provider's locks may cause on PostgreSQL 16+, the next run does the rest.
func (p *platform) clearWay(t *testing.T, said string) {
	t.Helper()
	var orphans []string
	for _, match := range existingRole.FindAllStringSubmatch(said, -1) {
		orphans = append(orphans, match[1])
	}
	if len(orphans) == 0 {
		if !strings.Contains(said, "deadlock detected") {
			t.Fatal(said)
		}
		return
	}
	deployer, err := p.connect(t, p.user, p.password)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(orphans)
	if _, err := deployer.Exec(t.Context(), "DROP ROLE "+strings.Join(slices.Compact(orphans), ", ")); err != nil {
		t.Fatal(err)
	}
}

// signalServer sends a signal to the server's main process.
func (p *platform) signalServer(t *testing.T, signal syscall.Signal) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(filepath.Dir(p.server.LogFile()), "data", "postmaster.pid"))
	if err != nil {
		t.Error(err)
		return
	}
	var pid int
	if _, err := fmt.Sscan(string(content), &pid); err != nil {
		t.Error(err)
		return
	}
	if err := syscall.Kill(pid, signal); err != nil {
		t.Error(err)
	}
}

// startServer starts the server again as soon as it has stopped, at the same port.
func (p *platform) startServer(t *testing.T) {
	t.Helper()
	server, err := postgres.Start(t.Context(), postgres.Options{Dir: filepath.Dir(p.server.LogFile())})
	if err != nil {
		t.Fatal(err)
	}
	if server.Port != p.server.Port {
		t.Fatalf("started at port %d instead of %d", server.Port, p.server.Port)
	}
}
