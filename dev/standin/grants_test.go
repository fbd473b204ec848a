package standin

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

func TestGrantRoleIsReplacedCreateThenDelete(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "granted"})
	w.create(roleType, values{"name": "member"})
	old := w.create(membershipType, values{"role": "member", "grantRole": "granted"})
	if old.id != "member_granted_false" {
		t.Errorf("ID %q", old.id)
	}
	inputs := values{"role": "member", "grantRole": "granted", "withAdminOption": true}
	if diff := old.diff(inputs); diff.GetDeleteBeforeReplace() || len(diff.GetReplaces()) != 1 {
		t.Errorf("got %v, want a replacement that is created first", diff)
	}
	replacement := w.create(membershipType, inputs)
	w.member("member", "granted", "admin")
	old.delete()
	w.member("member", "granted", "nothing")
	if replacement.refresh() {
		t.Error("the membership survived the deletion of the one it replaces")
	}
}

func TestGrantRoleRevokesBlindlyFirst(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "granted"})
	w.create(roleType, values{"name": "member"})
	w.sql("GRANT granted TO member WITH ADMIN OPTION")
	w.create(membershipType, values{"role": "member", "grantRole": "granted"})
	w.member("member", "granted", "plain")
}

// From PostgreSQL 16 on a membership that was handed on cannot be revoked.
func TestGrantRoleThatWasHandedOn(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"granted", "member", "third"} {
		w.create(roleType, values{"name": name})
	}
	inputs := values{"role": "member", "grantRole": "granted", "withAdminOption": true}
	grant := w.create(membershipType, inputs)
	w.sql("SET ROLE member; GRANT granted TO third; RESET ROLE")
	_, again := w.try(membershipType, inputs)
	deleted := grant.tryDelete()
	if w.version() >= 16 {
		wantError(t, again, "revoking role granted from member", "SQLSTATE 2BP01")
		wantError(t, deleted, "revoking role granted from member", "SQLSTATE 2BP01")
		return
	}
	check(t, again)
	check(t, deleted)
}

func TestGrantRoleDrift(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "granted"})
	w.create(roleType, values{"name": "member"})
	inputs := values{"role": "member", "grantRole": "granted", "withAdminOption": true}
	grant := w.create(membershipType, inputs)
	grant.refresh()
	grant.wantDiff(inputs, nil)
	w.sql("REVOKE ADMIN OPTION FOR granted FROM member")
	grant.refresh()
	grant.wantDiff(inputs, nil, "withAdminOption")
	if grant.id != "member_granted_false" {
		t.Errorf("ID %q", grant.id)
	}
	w.sql("REVOKE granted FROM member")
	if grant.refresh() {
		t.Error("a revoked membership is still there")
	}
	grant.delete() // PostgreSQL only warns
}

func TestGrantRoleOfAMissingRole(t *testing.T) {
	w := newWorld(t)
	_, err := w.try(membershipType, values{"role": "missing", "grantRole": "postgres"})
	wantError(t, err, "SQLSTATE 42704")
}

func TestGrantIsDeletedBeforeItIsReplaced(t *testing.T) {
	w := newWorld(t)
	grant := w.create(grantType, values{"role": "public", "database": w.name, "schema": "public", "objectType": "schema", "privileges": []string{"USAGE"}})
	if want := "public_" + w.name + "_public_schema"; grant.id != want {
		t.Errorf("ID %q, want %q", grant.id, want)
	}
	diff := grant.diff(values{"role": "public", "database": w.name, "objectType": "database", "privileges": []string{}})
	if !diff.GetDeleteBeforeReplace() || fmt.Sprint(diff.GetReplaces()) != "[objectType schema]" {
		t.Errorf("got %v", diff)
	}
	diff = grant.diff(values{"role": "public", "database": w.name, "schema": "public", "objectType": "schema", "privileges": []string{}})
	if diff.GetDeleteBeforeReplace() || len(diff.GetReplaces()) > 0 {
		t.Errorf("other privileges replace the grant: %v", diff)
	}
}

func TestGrantOfNothingClosesPublicOut(t *testing.T) {
	w := newWorld(t)
	inputs := values{"role": "public", "database": w.name, "objectType": "database", "privileges": []string{}}
	grant := w.create(grantType, inputs)
	w.ask("SELECT datacl FROM pg_database WHERE datname = '"+w.name+"'", "{postgres=CTc/postgres}")
	if want := "public_" + w.name + "_database"; grant.id != want {
		t.Errorf("ID %q, want %q", grant.id, want)
	}
	w.sql(`GRANT CONNECT ON DATABASE "` + w.name + `" TO public`)
	grant.refresh()
	grant.wantDiff(inputs, nil, "privileges")
	grant.update(inputs)
	grant.wantDiff(inputs, nil)
	grant.delete() // does not give PUBLIC anything back
	w.ask("SELECT datacl FROM pg_database WHERE datname = '"+w.name+"'", "{postgres=CTc/postgres}")
}

func TestGrantOnDatabaseDoesNotBorrowItsOwner(t *testing.T) {
	w := newWorld(t)
	w.asProvisioner(nil)
	w.create(roleType, values{"name": "owner"})
	w.sql(`GRANT CONNECT ON DATABASE "` + w.name + `" TO prov; ALTER DATABASE "` + w.name + `" OWNER TO owner`)
	inputs := values{"role": "public", "database": w.name, "objectType": "database", "privileges": []string{}}
	grant := w.create(grantType, inputs)
	w.ask("SELECT has_database_privilege('public', '"+w.name+"', 'CONNECT')", "true")
	grant.wantDiff(inputs, nil, "privileges") // at least the next preview shows it
}

// That a GRANT or REVOKE did nothing is not recorded; only a refresh shows it.
func TestGrantIsRecordedAsPlanned(t *testing.T) {
	w := newWorld(t)
	w.asProvisioner(nil)
	w.create(roleType, values{"name": "reader"})
	w.sql(`ALTER DATABASE "` + w.name + `" OWNER TO postgres; GRANT CREATE ON DATABASE "` + w.name + `" TO prov`)
	inputs := values{"role": "reader", "database": w.name, "objectType": "database", "privileges": []string{"CONNECT"}}
	grant := w.create(grantType, inputs)
	w.ask("SELECT count(*) FROM pg_database, aclexplode(datacl) WHERE datname = '"+w.name+"' AND grantee = 'reader'::regrole", "0")
	grant.wantDiff(inputs, nil)
	grant.refresh()
	grant.wantDiff(inputs, nil, "privileges")

	w.sql(`GRANT CONNECT ON DATABASE "` + w.name + `" TO reader`)
	grant.refresh()
	inputs["privileges"] = []string{}
	grant.update(inputs)
	grant.wantDiff(inputs, nil)
	grant.refresh()
	grant.wantDiff(inputs, nil, "privileges")
}

func TestGrantTakesANullAccessListForNoPrivileges(t *testing.T) {
	w := newWorld(t)
	inputs := values{"role": "public", "database": w.name, "objectType": "database", "privileges": []string{}}
	grant := w.create(grantType, inputs)
	w.sql(`UPDATE pg_database SET datacl = NULL WHERE datname = '` + w.name + `'`)
	w.ask("SELECT has_database_privilege('public', '"+w.name+"', 'CONNECT')", "true")
	grant.refresh()
	grant.wantDiff(inputs, nil)
}

func TestGrantReplacesWhateverThereWas(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "grantee"})
	w.sql("CREATE SCHEMA s; GRANT CREATE ON SCHEMA s TO grantee")
	inputs := values{"role": "grantee", "database": w.name, "schema": "s", "objectType": "schema", "privileges": []string{"USAGE"}}
	grant := w.create(grantType, inputs)
	w.ask("SELECT nspacl FROM pg_namespace WHERE nspname = 's'", "{postgres=UC/postgres,grantee=U/postgres}")
	w.sql("GRANT CREATE ON SCHEMA s TO grantee")
	grant.refresh()
	grant.wantDiff(inputs, nil, "privileges")
	w.sql("REVOKE ALL ON SCHEMA s FROM grantee")
	grant.refresh()
	grant.wantDiff(inputs, nil, "privileges")
	grant.update(inputs)
	grant.delete()
	w.ask("SELECT nspacl FROM pg_namespace WHERE nspname = 's'", "{postgres=UC/postgres}")
}

func TestGrantOnTablesIsForThoseThereAre(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "reader"})
	w.sql("CREATE SCHEMA s; CREATE TABLE s.one (); CREATE SEQUENCE s.numbers")
	tables := values{"role": "reader", "database": w.name, "schema": "s", "objectType": "table", "privileges": []string{"SELECT"}}
	grant := w.create(grantType, tables)
	w.ask("SELECT has_table_privilege('reader', 's.one', 'SELECT')", "true")
	sequences := values{"role": "reader", "database": w.name, "schema": "s", "objectType": "sequence", "privileges": []string{"SELECT", "USAGE"}}
	w.create(grantType, sequences).wantDiff(sequences, nil)
	w.ask("SELECT has_sequence_privilege('reader', 's.numbers', 'USAGE')", "true")

	w.sql("CREATE VIEW s.view AS SELECT 1") // never looked at
	grant.refresh()
	grant.wantDiff(tables, nil)
	w.sql("CREATE TABLE s.two ()")
	grant.refresh()
	grant.wantDiff(tables, nil, "privileges")
}

// A name stands for all its routines, procedures and aggregates too: one of them that has the
// privilege hides the others.
func TestGrantOnRoutines(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "r"})
	w.sql(`CREATE SCHEMA s;
		CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
		CREATE PROCEDURE s.p() LANGUAGE sql AS 'SELECT 1';
		CREATE AGGREGATE s.a(int) (SFUNC = int4pl, STYPE = int)`)
	inputs := values{"role": "r", "database": w.name, "schema": "s", "objectType": "routine", "privileges": []string{"EXECUTE"}}
	grant := w.create(grantType, inputs)
	for _, routine := range []string{"s.f()", "s.p()", "s.a(int)"} {
		w.ask("SELECT has_function_privilege('r', '"+routine+"', 'EXECUTE')", "true")
	}
	grant.refresh()
	grant.wantDiff(inputs, nil)
	w.sql("CREATE FUNCTION s.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'")
	grant.refresh()
	grant.wantDiff(inputs, nil)
	w.sql("CREATE FUNCTION s.g() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	grant.refresh()
	grant.wantDiff(inputs, nil, "privileges")
	grant.delete()
	w.ask("SELECT count(*) FROM pg_proc, aclexplode(proacl) WHERE grantee = 'r'::regrole", "0")
}

func TestGrantErrors(t *testing.T) {
	w := newWorld(t)
	for name, test := range map[string]struct {
		inputs values
		want   []string
	}{
		"no schema": {
			values{"role": "public", "database": w.name, "objectType": "schema", "privileges": []string{}},
			[]string{"'schema' is mandatory"},
		},
		"missing schema": {
			values{"role": "public", "database": w.name, "schema": "missing", "objectType": "schema", "privileges": []string{}},
			[]string{"could not find schema 'missing' while looking for owner"},
		},
		"missing role": {
			values{"role": "missing", "database": w.name, "objectType": "database", "privileges": []string{}},
			[]string{"SQLSTATE 42704"},
		},
		"missing database": {
			values{"role": "public", "database": "missing", "objectType": "database", "privileges": []string{}},
			[]string{"SQLSTATE 3D000"},
		},
		"privilege of another object": {
			values{"role": "public", "database": w.name, "objectType": "database", "privileges": []string{"SELECT"}},
			[]string{"SQLSTATE 0LP01"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.try(grantType, test.inputs)
			wantError(t, err, test.want...)
		})
	}
}

func TestGrantDeleteFailsIfItsSchemaIsGone(t *testing.T) {
	w := newWorld(t)
	w.sql("CREATE SCHEMA s")
	grant := w.create(grantType, values{"role": "public", "database": w.name, "schema": "s", "objectType": "schema", "privileges": []string{"USAGE"}})
	w.sql("DROP SCHEMA s")
	wantError(t, grant.tryDelete(), "could not find schema 's' while looking for owner")
}

// A grant or default privileges without their role, schema or database are gone.
func TestGrantsWithoutAPlaceLeaveTheState(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "short_lived"})
	w.create(roleType, values{"name": "lasting"})
	w.sql("CREATE SCHEMA dropped")
	w.sql("CREATE DATABASE dropped")
	var gone []*thing
	for _, inputs := range []values{
		{"role": "short_lived", "database": w.name, "schema": "public", "objectType": "schema", "privileges": []string{}},
		{"role": "lasting", "database": w.name, "schema": "dropped", "objectType": "schema", "privileges": []string{}},
		{"role": "lasting", "database": "dropped", "objectType": "database", "privileges": []string{}},
	} {
		gone = append(gone, w.create(grantType, inputs))
		if inputs["objectType"] == "schema" {
			inputs["objectType"], inputs["owner"] = "table", "postgres"
			gone = append(gone, w.create(defaultPrivilegesType, inputs))
		}
	}
	w.sql("DROP SCHEMA dropped")
	w.sql("DROP DATABASE dropped")
	w.sql("DROP ROLE short_lived")
	for _, resource := range gone {
		if id := resource.id; resource.refresh() {
			t.Errorf("%s is still there", id)
		}
	}
}

func TestDefaultPrivilegesAreReplacedCreateThenDelete(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "reader"})
	w.create(roleType, values{"name": "owner"})
	inputs := values{"role": "reader", "database": w.name, "owner": "owner", "objectType": "table", "privileges": []string{"SELECT"}}
	old := w.create(defaultPrivilegesType, inputs)
	if want := "reader_" + w.name + "_noschema_owner_table"; old.id != want {
		t.Errorf("ID %q, want %q", old.id, want)
	}
	inputs["owner"] = "postgres"
	if diff := old.diff(inputs); diff.GetDeleteBeforeReplace() || fmt.Sprint(diff.GetReplaces()) != "[owner]" {
		t.Errorf("got %v, want a replacement that is created first", diff)
	}
	// A replacement with the same owner, as when the program asks for one, is lost in the second step.
	inputs["owner"] = "owner"
	replacement := w.create(defaultPrivilegesType, inputs)
	old.delete()
	w.ask("SELECT count(*) FROM pg_default_acl", "0")
	if replacement.refresh() {
		t.Error("the default privileges survived the deletion of those they replace")
	}
}

func TestDefaultPrivilegesDrift(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "writer"})
	w.create(roleType, values{"name": "owner"})
	w.sql("CREATE SCHEMA s AUTHORIZATION owner")
	inputs := values{
		"role": "writer", "database": w.name, "owner": "owner", "schema": "s", "objectType": "table", "privileges": []string{"SELECT", "INSERT"},
	}
	defaults := w.create(defaultPrivilegesType, inputs)
	if want := "writer_" + w.name + "_s_owner_table"; defaults.id != want {
		t.Errorf("ID %q, want %q", defaults.id, want)
	}
	w.sql("SET ROLE owner; CREATE TABLE s.theirs (); RESET ROLE; CREATE TABLE s.others ()")
	w.ask("SELECT has_table_privilege('writer', 's.theirs', 'INSERT')", "true")
	w.ask("SELECT has_table_privilege('writer', 's.others', 'SELECT')", "false")
	w.sql("ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT DELETE ON TABLES TO writer") // in every schema: another entry
	defaults.refresh()
	defaults.wantDiff(inputs, nil)

	w.sql("ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA s REVOKE INSERT ON TABLES FROM writer")
	defaults.refresh()
	defaults.wantDiff(inputs, nil, "privileges")
	defaults.update(inputs)
	defaults.wantDiff(inputs, nil)
	w.sql("ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA s REVOKE ALL ON TABLES FROM writer")
	if defaults.refresh() {
		t.Error("default privileges without a privilege are still there")
	}
}

func TestDefaultPrivilegesOfNothing(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "owner", "roles": []string{}})
	inputs := values{"role": "public", "database": w.name, "owner": "owner", "objectType": "function", "privileges": []string{}}
	defaults := w.create(defaultPrivilegesType, inputs)
	w.sql("CREATE SCHEMA s AUTHORIZATION owner; SET ROLE owner; CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; RESET ROLE")
	w.ask("SELECT has_function_privilege('public', 's.f()', 'EXECUTE')", "false")
	defaults.refresh()
	defaults.wantDiff(inputs, nil)
	// Back to PostgreSQL's own default there is no entry any more, and nothing to be noticed.
	w.sql("ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT EXECUTE ON FUNCTIONS TO public")
	defaults.refresh()
	defaults.wantDiff(inputs, nil)
}

func TestDefaultPrivilegesOnSchemas(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "app"})
	inputs := values{"role": "app", "database": w.name, "owner": "postgres", "objectType": "schema", "privileges": []string{"USAGE"}}
	w.create(defaultPrivilegesType, inputs).wantDiff(inputs, nil)
	w.create(schemaType, values{"name": "later"})
	w.ask("SELECT has_schema_privilege('app', 'later', 'USAGE')", "true")
	inputs["schema"] = "later"
	_, err := w.try(defaultPrivilegesType, inputs)
	wantError(t, err, "cannot specify `schema` when `object_type` is `schema`")
}

// What PostgreSQL does not record as an entry, because it is its own default, cannot be read back.
func TestDefaultPrivilegesThatAreTheBuiltInDefault(t *testing.T) {
	w := newWorld(t)
	_, err := w.try(defaultPrivilegesType, values{
		"role": "public", "database": w.name, "owner": "postgres", "objectType": "function", "privileges": []string{"EXECUTE"},
	})
	wantError(t, err, "not on the server")
}

// Without superuser the owner of an object is borrowed for the change and given back, which a
// membership the other way round does not survive as it was.
func TestOwnerIsBorrowed(t *testing.T) {
	w := newWorld(t)
	w.asProvisioner(nil)
	w.create(roleType, values{"name": "owner"})
	w.create(roleType, values{"name": "reader"})
	w.create(schemaType, values{"name": "s", "owner": "owner"})
	w.create(grantType, values{"role": "reader", "database": w.name, "schema": "s", "objectType": "schema", "privileges": []string{"USAGE"}})
	w.create(defaultPrivilegesType, values{
		"role": "reader", "database": w.name, "owner": "owner", "schema": "s", "objectType": "table", "privileges": []string{"SELECT"},
	})
	w.ask("SELECT (nspowner::regrole, nspacl) FROM pg_namespace WHERE nspname = 's'", `(owner,"{owner=UC/owner,reader=U/owner}")`)
	w.ask("SELECT count(*) FROM pg_auth_members WHERE member = 'prov'::regrole AND grantor = member", "0")

	w.sql("CREATE ROLE privileged SUPERUSER; CREATE SCHEMA forbidden AUTHORIZATION privileged")
	_, err := w.try(schemaType, values{"name": "forbidden", "owner": "owner"})
	wantError(t, err, "SQLSTATE 42501")
}

func TestReverseMembershipComesBackPlain(t *testing.T) {
	w := newWorld(t)
	w.asProvisioner(nil)
	w.sql("CREATE ROLE owner; GRANT prov TO owner WITH ADMIN OPTION")
	_, err := w.try(defaultPrivilegesType, values{
		"role": "public", "database": w.name, "owner": "owner", "objectType": "table", "privileges": []string{"SELECT"},
	})
	if w.version() >= 16 {
		// Here nobody may take away a membership in itself that another has granted.
		wantError(t, err, "revoking role prov from owner", "SQLSTATE 42501")
		return
	}
	check(t, err)
	w.member("owner", "prov", "plain")
	w.member("prov", "owner", "nothing")
}

func (w *world) version() (major int) {
	check(w.t, w.admin.QueryRow(w.t.Context(), "SELECT current_setting('server_version_num')::int / 10000").Scan(&major))
	return major
}

// The official plugin takes advisory locks, with no statement timeout, so that its operations wait
// for each other; with other locks the deadlocks that users meet would not show up here.
func TestAdvisoryLocks(t *testing.T) {
	const role, member, database = "'locked'::regrole::oid", "'member'::regrole::oid", "(SELECT oid FROM pg_database WHERE datname = current_database())"
	w := newWorld(t)
	w.create(roleType, values{"name": "locked"})
	w.create(roleType, values{"name": "member", "roles": []string{"locked"}})
	onDatabase := values{"role": "locked", "database": w.name, "objectType": "database", "privileges": []string{"CONNECT"}}
	onSchema := values{"role": "locked", "database": w.name, "schema": "public", "objectType": "schema", "privileges": []string{"USAGE"}}
	defaults := values{"role": "public", "database": w.name, "owner": "locked", "objectType": "table", "privileges": []string{"SELECT"}}
	existing := w.create(defaultPrivilegesType, defaults)
	doomed := w.create(roleType, values{"name": "doomed"})

	for name, test := range map[string]struct {
		key string
		do  func() error
	}{
		"grant locks its role":             {role, func() error { _, err := w.try(grantType, onSchema); return err }},
		"grant locks the role's members":   {member, func() error { _, err := w.try(grantType, onSchema); return err }},
		"grant on database locks database": {database, func() error { _, err := w.try(grantType, onDatabase); return err }},
		"default privileges lock owner":    {role, func() error { _, err := w.try(defaultPrivilegesType, defaults); return err }},
		"default privileges lock members":  {member, func() error { _, err := w.try(defaultPrivilegesType, defaults); return err }},
		"their refresh does":               {role, func() error { existing.refresh(); return nil }},
		"role delete":                      {"'doomed'::regrole::oid", func() error { return doomed.tryDelete() }},
	} {
		t.Run(name, func(t *testing.T) {
			w.whileLocked(t, test.key, "", test.do)
		})
	}
}

func TestAdvisoryLocksKnowNoStatementTimeout(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "locked"})
	w.sql(`ALTER DATABASE "` + w.name + `" SET statement_timeout = '1s'`)
	w.whileLocked(t, "'locked'::regrole::oid", "SELECT pg_sleep(1.2)", func() error {
		_, err := w.try(grantType, values{"role": "locked", "database": w.name, "objectType": "database", "privileges": []string{}})
		return err
	})
}

// whileLocked wants do to wait for the advisory lock of that key, and to succeed after it.
func (w *world) whileLocked(t *testing.T, key, meanwhile string, do func() error) {
	t.Helper()
	holder := connectTo(t, w.name, theServer.User, theServer.Password)
	run(t, holder, "SET statement_timeout = 0; SELECT pg_advisory_lock("+key+"::bigint)")
	done := make(chan error, 1)
	go func() { done <- do() }()
	eventually(t, "the operation waits", func() bool { return w.waiting(t) })
	run(t, holder, meanwhile)
	run(t, holder, "SELECT pg_advisory_unlock_all()")
	check(t, <-done)
}

func TestOperationsWithoutAdvisoryLocks(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "granted"})
	w.create(roleType, values{"name": "member"})
	holder := connectTo(t, w.name, theServer.User, theServer.Password)
	run(t, holder, "SELECT pg_advisory_lock(oid::bigint) FROM pg_roles")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for typ, inputs := range map[string]values{
		roleType:       {"name": "unlocked", "roles": []string{"granted"}},
		membershipType: {"role": "member", "grantRole": "granted"},
		schemaType:     {"name": "s", "owner": "member"},
	} {
		_, err := w.client.Create(ctx, &pulumirpc.CreateRequest{Urn: urnOf(typ), Properties: encode(t, inputs)})
		check(t, err)
	}
}

// waiting tells whether somebody in the world's database waits for an advisory lock.
func (w *world) waiting(t *testing.T) (waiting bool) {
	t.Helper()
	observer, err := pgx.ConnectConfig(t.Context(), w.admin.Config())
	check(t, err)
	defer func() { check(t, observer.Close(context.Background())) }()
	check(t, observer.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
		WHERE locktype = 'advisory' AND NOT granted AND datname = current_database())`).Scan(&waiting))
	return waiting
}
