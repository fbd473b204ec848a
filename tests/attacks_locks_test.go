package tests

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// holding is what a tenant keeps in a session that it leaves open.
type holding struct {
	name, tenant string
	statements   []string
	// change is the operator's, of the tenant.
	change object
}

// waitedFor are holdings that a change of the tenant waits for.
func waitedFor() []holding {
	return []holding{
		{
			name: "an advisory lock on its role", tenant: "acme",
			statements: []string{"SELECT pg_advisory_lock(oid::bigint) FROM pg_roles WHERE rolname = CURRENT_USER"},
			change:     object{"passwordVersion": 3},
		},
		{
			name: "an uncommitted password", tenant: "limited",
			statements: []string{"BEGIN", "ALTER ROLE CURRENT_USER PASSWORD 'theirs'"},
			change:     object{"suspended": true},
		},
	}
}

// notWaitedFor are holdings that no run waits for.
func notWaitedFor() []holding {
	return []holding{
		{
			name: "an uncommitted setting of all tenants", tenant: "victim",
			statements: []string{"BEGIN", "SET LOCAL ROLE all_tenants", "ALTER ROLE all_tenants SET work_mem = '1GB'", "ALTER ROLE all_tenants PASSWORD 'theirs'"},
		},
		{
			name: "a lock on its table, while it is adopted", tenant: "initech",
			statements: []string{"BEGIN", "LOCK TABLE docs, notes IN ACCESS EXCLUSIVE MODE"},
			change:     object{"adopt": true},
		},
		{
			name: "notifications that nobody takes, a snapshot, a large object", tenant: "willing",
			statements: []string{
				"LISTEN x", "BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT pg_export_snapshot(), lo_create(0)",
				"SELECT pg_notify('x', repeat('y', 7000) || n) FROM generate_series(1, 1000) n",
			},
			change: object{"passwordVersion": 2},
		},
	}
}

// lockTimeout bounds how long the statements of the next runs wait for a lock; empty for ever.
func (s *siege) lockTimeout(t *testing.T, timeout string) {
	t.Helper()
	if timeout != "" {
		timeout = "-c lock_timeout=" + timeout
	}
	s.stack.Workspace().SetEnvVar("PGOPTIONS", timeout)
}

// locks of a tenant stop the runs that want what it holds, within the time of lock_timeout.
func (s *siege) locks(t *testing.T) {
	s.lockTimeout(t, "1s")
	defer s.lockTimeout(t, "")
	t.Run("not waited for", func(t *testing.T) {
		changed := object{"fresh": object{}}
		for _, holding := range notWaitedFor() {
			s.login(t, "tenant_"+holding.tenant).may(t, holding.statements...)
			if holding.change != nil {
				changed[holding.tenant] = holding.change
			}
		}
		noFailures(t, s.change(t, changed))
	})
	t.Run("waited for", s.waitedFor)
	t.Run("while it goes", func(t *testing.T) {
		locker, reader, other := s.login(t, "tenant_initech"), s.login(t, "tenant_initech"), s.login(t, "tenant_globex")
		locker.may(t, "BEGIN", "LOCK TABLE docs IN ACCESS EXCLUSIVE MODE")
		reader.may(t, "BEGIN", "DECLARE c CURSOR FOR SELECT * FROM notes")
		// In a run of its own: from PostgreSQL 16 on the provider locks the operator's role for each role
		// that it updates, so a run that waits for globex would make this wait as well.
		changed := object{"initech": object{"retire": "drop"}}
		noFailures(t, s.change(t, changed))
		other.may(t, "BEGIN", "ALTER ROLE CURRENT_USER SET work_mem = '1GB'")
		password := s.passwords(t)["tenant_globex"]

		changed["globex"] = object{"suspended": true}
		failures := s.change(t, changed)
		wantFailure(t, failures, "globex-role", lockTimedOut)
		s.endSession(t, "globex", other)
		changed["initech"] = nil
		for _, session := range []*session{locker, reader} {
			wantFailure(t, s.change(t, changed), "initech-schema", lockTimedOut)
			s.endSession(t, "initech", session)
		}
		noFailures(t, s.change(t, changed))
		delete(s.tenants, "initech")
		// The first of these runs has read that it was missing, the second has done it.
		s.refuseLogin(t, "tenant_globex", password, loginNotPermitted)
	})
	noFailures(t, s.change(t, nil))
	s.clean(t)
}

// waitedFor shows what becomes of a change that a lock prevented. The provider records an update that
// failed as done: the next run succeeds without doing it. `up --refresh` sees that, but of a password
// only as a superuser; without, another version of it is what helps.
func (s *siege) waitedFor(t *testing.T) {
	changed, old := object{}, s.passwords(t)
	for _, holding := range waitedFor() {
		changed[holding.tenant] = holding.change
		session := s.login(t, "tenant_"+holding.tenant)
		session.may(t, holding.statements...)
	}
	failures := s.change(t, changed)
	for _, holding := range waitedFor() {
		wantFailure(t, failures, holding.tenant+"-role", lockTimedOut)
	}
	for _, holding := range waitedFor() {
		s.endSessions(t, "tenant_"+holding.tenant)
	}
	noFailures(t, s.change(t, changed))
	for login := range map[string]bool{"tenant_acme": true, "tenant_limited": true} {
		if _, err := s.connect(t, login, old[login]); err != nil {
			t.Errorf("%s, after a run that succeeded: %v", login, err)
		}
	}
	s.refuseLogin(t, "tenant_acme", s.passwords(t)["tenant_acme"], invalidPassword)
	if err := s.repair(t); err != nil {
		t.Error(err)
	}
	s.refuseLogin(t, "tenant_limited", old["tenant_limited"], loginNotPermitted)
	if s.user != s.server.User {
		s.refuseLogin(t, "tenant_acme", s.passwords(t)["tenant_acme"], invalidPassword)
		s.tenants["acme"] = object{"passwordVersion": 4}
		noFailures(t, s.change(t, nil))
	}
	s.refuseLogin(t, "tenant_acme", old["tenant_acme"], invalidPassword)
	s.login(t, "tenant_acme").may(t, "SELECT 1")
}

// waits shows a run without lock_timeout, which waits for as long as the session lives. The lock is one
// that every refresh and every new tenant wants: the provider's own, on the role that owns the schemas.
func (s *siege) waits(t *testing.T) {
	session := s.login(t, "tenant_acme")
	session.may(t, "SELECT pg_advisory_lock(oid::bigint) FROM pg_roles WHERE rolname = 'admin_service_role'")
	s.lockTimeout(t, "1s")
	failures := s.preview(t)
	s.lockTimeout(t, "")
	if len(failures) == 0 {
		t.Error("a preview with refresh does not want the lock")
	}
	for resource, message := range failures {
		if resource != "" && !strings.Contains(message, lockTimedOut) {
			t.Errorf("%s: %s", resource, message)
		}
	}

	done := make(chan map[string]string, 1)
	go func() { done <- s.preview(t) }()
	super := s.superuser(t, database)
	eventually(t, "the run waits for the lock", func() bool {
		return super.value(t, fmt.Sprintf("SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "+
			"WHERE locktype = 'advisory' AND NOT granted AND usename = '%s'", s.user)) != "0"
	})
	select {
	case failures := <-done:
		t.Errorf("the run has ended: %v", failures)
	default:
	}
	s.endSessions(t, "tenant_acme")
	noFailures(t, <-done)
}

// resources are what one login can use up for all: connections, unless it has a limit, and memory for
// locks.
func (s *siege) resources(t *testing.T) {
	t.Run("locks", func(t *testing.T) {
		acme := s.login(t, "tenant_acme")
		acme.mayNot(t, outOfSharedMemory, "SELECT pg_advisory_lock(n) FROM generate_series(1, 10000000) n")
		failures := s.change(t, object{"globex": object{"connectionLimit": 6}})
		if len(failures) == 0 {
			t.Error("the run is done, although no lock is left")
		}
		for resource, message := range failures {
			if resource != "" && !strings.Contains(message, "out of shared memory") {
				t.Errorf("%s: %s", resource, message)
			}
		}
		// Nobody can connect, not even a superuser. What is left is the operating system.
		_, err := pgx.Connect(t.Context(), s.server.DSN(s.server.User, s.server.Password, database))
		if sqlstate(err) != outOfSharedMemory {
			t.Errorf("a superuser connects: got error %v", err)
		}
		if err := syscall.Kill(int(acme.PgConn().PID()), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a superuser connects again", func() bool {
			conn, err := pgx.Connect(t.Context(), s.server.DSN(s.server.User, s.server.Password, database))
			return err == nil && conn.Close(t.Context()) == nil
		})
	})
	t.Run("connections", func(t *testing.T) {
		super := s.superuser(t, database) // who may be too late otherwise
		if taken := s.takeConnections(t, "tenant_limited"); taken != 3 {
			t.Errorf("%d sessions of a login that is limited to 3", taken)
		}
		noFailures(t, s.change(t, object{"globex": object{"connectionLimit": 5}}))
		if taken := s.takeConnections(t, "tenant_globex"); taken != 5 {
			t.Errorf("%d sessions of a login that is limited to 5", taken)
		}
		s.endSessions(t, "tenant_globex")
		s.endSessions(t, "tenant_limited")

		s.takeConnections(t, "tenant_acme")
		// Some connections are kept for superusers, 3 unless configured.
		failures := s.change(t, object{"globex": object{}}, "--parallel", "1")
		if s.user == s.server.User {
			noFailures(t, failures)
		} else {
			wantFailure(t, failures, "globex-role", "remaining connection slots are reserved")
		}
		super.may(t, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'tenant_acme'")
		// Without refresh, what failed is recorded as done.
		noFailures(t, s.change(t, nil))
		if err := s.repair(t); err != nil {
			t.Error(err)
		}
	})
}

// takeConnections logs in until that is refused, and returns how many sessions there are.
func (s *siege) takeConnections(t *testing.T, login string) (taken int) {
	t.Helper()
	password := s.passwords(t)[login]
	for ; taken < 1000; taken++ {
		if _, err := s.connect(t, login, password); err != nil {
			if sqlstate(err) != tooManyConnections {
				t.Errorf("session %d of %s: %v", taken+1, login, err)
			}
			return taken
		}
	}
	return taken
}

// removal is stopped by what another login granted: without superuser, DROP OWNED takes only what the
// provider's user could revoke.
func (s *siege) removal(t *testing.T) {
	acme := s.login(t, "tenant_acme")
	acme.may(t,
		"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO tenant_willing, app_service_role",
		"SELECT lo_create(4711)",
		"GRANT ALL ON LARGE OBJECT 4711 TO tenant_victim, all_tenants, app_service_role, admin_service_role")
	s.clean(t)
	gone := object{"victim": nil, "willing": nil}
	failures := s.change(t, gone)
	if s.user == s.server.User {
		noFailures(t, failures)
	} else {
		wantFailure(t, failures, "victim-role", "some objects depend on it")
		if failures["willing-role"] != "" {
			t.Errorf("default privileges: %v", failures)
		}
		// The large object becomes the operator's, and with it the right to revoke.
		s.operator(t).may(t, asMember("tenant_acme", "REASSIGN OWNED BY tenant_acme TO CURRENT_USER")...)
		noFailures(t, s.change(t, gone))
	}

	// The tenants go before the shared roles: what they granted those is the operator's by then.
	acme.may(t, "SELECT lo_create(4712)", "GRANT ALL ON LARGE OBJECT 4712 TO all_tenants, app_service_role, admin_service_role")
	s.tenants["acme"] = object{"retire": "drop"}
	noFailures(t, s.change(t, gone))
	s.endSessions(t, "tenant_acme")
	// The shared roles are dropped side by side, and each drop changes the access list of the large object.
	// If two do so at once, PostgreSQL refuses one of them: the same command again drops the rest.
	for range 3 {
		if err := s.tryDestroy(t); err == nil || !strings.Contains(err.Error(), "tuple concurrently updated") {
			break
		}
	}
	s.destroy(t)
	if left := s.superuser(t, database).value(t, "SELECT count(*) FROM pg_roles WHERE rolname ~ '^(tenant_|all_tenants|app_|admin_)'"); left != "0" {
		t.Errorf("%s roles are left", left)
	}
}
