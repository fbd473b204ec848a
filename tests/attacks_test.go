package tests

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// SQLSTATEs of what an attacker tries, and of what it does to others.
const (
	notPrepared        = "55000"
	tooManyConnections = "53300"
	outOfSharedMemory  = "53200"
	loopOfMemberships  = "0LP01"
)

// lockTimedOut is how a run ends that waited for a lock, with lock_timeout set.
const lockTimedOut = "canceling statement due to lock timeout"

// patience bounds every wait of these tests for something that happens in a moment.
const patience = 30 * time.Second

// TestAttacks is whoever has one tenant's password, or a reader's, and wants the operator's runs to
// fail, to wait or to do harm. What a login may do to data of others, TestAccess says.
func TestAttacks(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		p.settings = unprotected()
		tenants := object{
			"acme": object{}, "globex": object{}, "initech": object{}, "limited": object{"connectionLimit": 3},
			"victim": object{}, "willing": object{}, "screen": object{}, "dropped": object{},
		}
		roles, readers := object{}, object{"analyst": object{}}
		p.configure(t, tenants, roles, readers)
		p.up(t)
		admin := p.login(t, "admin_service_login")
		for _, key := range []string{"acme", "initech"} {
			makeTables(t, admin, "tenant_"+key)
		}
		s := &siege{platform: p, tenants: tenants, roles: roles, readers: readers}
		// Each of them undoes what it does; the last destroys the stack.
		t.Run("refused", s.refused)
		t.Run("settings and passwords", s.settings)
		t.Run("settings that cannot be read", s.unreadable)
		t.Run("locks", s.locks)
		t.Run("a run without lock_timeout waits", s.waits)
		t.Run("the server's resources", s.resources)
		t.Run("privileges for others", s.removal)
	})
}

// siege is a platform under attack, with its config.
type siege struct {
	*platform
	tenants, roles, readers object
}

// change deploys with further config for some tenants, nil for those that go, and returns what went
// wrong by resource.
func (s *siege) change(t *testing.T, changed object, flags ...string) map[string]string {
	t.Helper()
	tenants := maps.Clone(s.tenants)
	for key, value := range changed {
		if value == nil {
			delete(tenants, key)
			continue
		}
		config := object{}
		if before, ok := tenants[key].(object); ok {
			maps.Copy(config, before)
		}
		maps.Copy(config, value.(object))
		tenants[key] = config
	}
	s.configure(t, tenants, s.roles, s.readers)
	events, err := s.runUp(t, append([]string{"--continue-on-error"}, flags...)...)
	return failures(t, events, err)
}

// preview is a preview with refresh; it returns what went wrong by resource.
func (s *siege) preview(t *testing.T) map[string]string {
	t.Helper()
	events, err := s.run(t, "preview", "--refresh")
	return failures(t, events, err)
}

// failures are the errors of a run by the name of the resource, "" for those of none.
func failures(t *testing.T, events []apitype.EngineEvent, err error) map[string]string {
	t.Helper()
	failures := map[string]string{}
	for _, event := range events {
		if said := event.DiagnosticEvent; said != nil && said.Severity == "error" {
			name := said.URN[strings.LastIndex(said.URN, ":")+1:]
			failures[name] += said.Message
		}
	}
	if (err != nil) != (len(failures) > 0) {
		t.Errorf("got error %v, and errors of the resources %v", err, failures)
	}
	return failures
}

// operator is a session of whom Pulumi connects as: who is to clean up.
func (s *siege) operator(t *testing.T) *session {
	t.Helper()
	operator, err := s.connect(t, s.user, s.password)
	if err != nil {
		t.Fatal(err)
	}
	return operator
}

// asMember are the statements that the operator runs as a member of a role, in one transaction.
func asMember(role string, statements ...string) []string {
	return slices.Concat([]string{"BEGIN", "GRANT " + role + " TO CURRENT_USER"}, statements,
		[]string{"REVOKE " + role + " FROM CURRENT_USER", "COMMIT"})
}

// endSessions is how the operator ends all sessions of a login. It waits for their end.
func (s *siege) endSessions(t *testing.T, login string) {
	t.Helper()
	end := fmt.Sprintf("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '%s'", login)
	if s.user == s.server.User {
		s.operator(t).may(t, end)
		return
	}
	s.operator(t).may(t, asMember(login, end)...)
}

// endSession is how the operator ends one session of a tenant. The session must still be there.
func (s *siege) endSession(t *testing.T, tenant string, session *session) {
	t.Helper()
	end := fmt.Sprintf("SELECT pg_terminate_backend(%d, 5000)", session.PgConn().PID())
	operator := s.operator(t)
	if ended := operator.value(t, fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE pid = %d", session.PgConn().PID())); ended != "1" {
		t.Error("the session has ended by itself")
	}
	if s.user == s.server.User {
		operator.may(t, end)
		return
	}
	operator.may(t, asMember("tenant_"+tenant, end)...)
}

// noFailures fails for every error of a run.
func noFailures(t *testing.T, failures map[string]string) {
	t.Helper()
	for resource, message := range failures {
		t.Errorf("%s: %s", resource, message)
	}
}

// wantFailure fails unless the resource's error says this.
func wantFailure(t *testing.T, failures map[string]string, resource, want string) {
	t.Helper()
	if !strings.Contains(failures[resource], want) {
		t.Errorf("%s: got error %q, want one with %q; all: %v", resource, failures[resource], want, failures)
	}
}

// refused is what PostgreSQL does not let a login do.
func (s *siege) refused(t *testing.T) {
	acme := s.login(t, "tenant_acme")
	for _, attack := range []struct{ name, sqlstate, statement string }{
		{"a comment on its role", insufficientPrivilege, "COMMENT ON ROLE tenant_acme IS 'x'"},
		{"an end of its password", insufficientPrivilege, "ALTER ROLE CURRENT_USER VALID UNTIL '2000-01-01'"},
		{"its connection limit", insufficientPrivilege, "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1"},
		{"no login", insufficientPrivilege, "ALTER ROLE CURRENT_USER NOLOGIN"},
		{"another name", "0A000", "ALTER ROLE tenant_acme RENAME TO mine"},
		{"a setting of another role", insufficientPrivilege, "ALTER ROLE tenant_globex SET statement_timeout = '15s'"},
		{"a setting of the database", insufficientPrivilege, "ALTER DATABASE " + database + " SET statement_timeout = '15s'"},
		{"a setting of the server", insufficientPrivilege, "ALTER SYSTEM SET statement_timeout = '15s'"},
		{"a setting of no known name", insufficientPrivilege, `ALTER ROLE CURRENT_USER SET "role.x" = 'y'`},
		{"a library at its login", insufficientPrivilege, "ALTER ROLE CURRENT_USER SET session_preload_libraries = 'plpgsql'"},
		{"sessions that skip triggers", insufficientPrivilege, "ALTER ROLE CURRENT_USER SET session_replication_role = replica"},
		{"a lock on the passwords", insufficientPrivilege, "BEGIN; LOCK TABLE pg_authid IN ACCESS SHARE MODE"},
		{"a lock on a catalog against writers", insufficientPrivilege, "BEGIN; LOCK TABLE pg_class IN SHARE MODE"},
		{"row locks in a catalog", insufficientPrivilege, "SELECT FROM pg_auth_members FOR KEY SHARE"},
		{"an end of others' sessions", insufficientPrivilege, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'"},
		{"a prepared transaction", notPrepared, "BEGIN; PREPARE TRANSACTION 'x'"},
		{"a replication slot", insufficientPrivilege, "SELECT pg_create_physical_replication_slot('x')"},
		{"an event trigger", insufficientPrivilege, "CREATE EVENT TRIGGER x ON ddl_command_start EXECUTE FUNCTION pg_catalog.now()"},
		{"its role for everybody", map[bool]string{true: loopOfMemberships, false: insufficientPrivilege}[s.major == "14"], "GRANT tenant_acme TO all_tenants"},
		{"the group's membership for others", insufficientPrivilege, "SET ROLE all_tenants; GRANT all_tenants TO analyst"},
		{"the group's privileges dropped", privilegeNotRevoked, "DROP OWNED BY all_tenants"},
	} {
		t.Run(attack.name, func(t *testing.T) {
			acme.mayNot(t, attack.sqlstate, attack.statement)
			// With a warning where the statement has not begun a transaction.
			if _, err := acme.Exec(t.Context(), "ROLLBACK; RESET ROLE"); err != nil {
				t.Error(err)
			}
		})
	}
}

// eventually waits for what another process does in its own time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", patience, what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
