package standin

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// verifier is the SCRAM-SHA-256 form of the password "pencil" (RFC 7677).
const verifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

func TestRoleUpdateRevokesEveryMembership(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "granted"})
	admin := w.create(roleType, values{"name": "admin"})
	grant := w.create(membershipType, values{"role": "admin", "grantRole": "granted", "withAdminOption": true})
	w.member("admin", "granted", "admin")

	// Not even a program that ignores changes of roles is spared, while the state knows of none.
	admin.update(values{"name": "admin", "connectionLimit": 5}, "roles")
	w.member("admin", "granted", "nothing")
	if grant.refresh() {
		t.Error("the membership survived an update of its role")
	}
}

func TestRoleUpdateRegrantsWithoutAdminOption(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "granted"})
	admin := w.create(roleType, values{"name": "admin"})
	w.create(membershipType, values{"role": "admin", "grantRole": "granted", "withAdminOption": true})
	admin.refresh()

	admin.wantDiff(values{"name": "admin"}, nil, "roles")
	admin.wantDiff(values{"name": "admin"}, []string{"roles"})
	admin.update(values{"name": "admin", "connectionLimit": 5}, "roles")
	w.member("admin", "granted", "plain")
}

func TestRoleUpdateIsAtomic(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "granted"})
	role := w.create(roleType, values{"name": "member", "roles": []string{"granted"}})

	err := role.tryUpdate(values{"name": "member", "createRole": true, "roles": []string{"missing"}})
	wantError(t, err, "SQLSTATE 42704")
	w.member("member", "granted", "plain")
	w.ask("SELECT rolcreaterole FROM pg_roles WHERE rolname = 'member'", "false")
	// The official plugin records a failed update as done.
	if recorded := decode(t, initFailure(t, err).GetProperties()); !recorded["createRole"].BoolValue() {
		t.Errorf("recorded %v, want what was planned", recorded)
	}
}

func TestRoleCreateFailsIfItExists(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "twice"})
	_, err := w.try(roleType, values{"name": "twice", "password": "do-not-repeat-me"})
	wantError(t, err, "creating role twice", "SQLSTATE 42710")
	if strings.Contains(err.Error(), "do-not-repeat-me") {
		t.Errorf("error %q repeats the password", err)
	}
}

func TestRoleCreateSpellsOutEveryAttribute(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "spelled_out"})
	log, err := os.ReadFile(theServer.LogFile())
	check(t, err)
	for _, statement := range []string{
		`CREATE ROLE "spelled_out" WITH VALID UNTIL 'infinity' CONNECTION LIMIT -1 ` +
			`NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT NOLOGIN NOBYPASSRLS NOREPLICATION`,
		`ALTER ROLE "spelled_out" SET search_path TO DEFAULT`,
	} {
		if !strings.Contains(string(log), statement+"\n") {
			t.Errorf("the server was not told %s", statement)
		}
	}
}

func TestRoleUpdateWipesAForeignSearchPath(t *testing.T) {
	w := newWorld(t)
	role := w.create(roleType, values{"name": "searcher"})
	w.sql("ALTER ROLE searcher SET search_path TO elsewhere")
	role.update(values{"name": "searcher", "connectionLimit": 5})
	w.ask("SELECT rolconfig FROM pg_roles WHERE rolname = 'searcher'", "nothing")
}

func TestRoleSearchPathAndAssumedRole(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "assumed"})
	inputs := values{"name": "login", "roles": []string{"assumed"}, "searchPaths": []string{"$user", "other"}, "assumeRole": "assumed"}
	role := w.create(roleType, inputs)
	w.ask("SELECT rolconfig FROM pg_roles WHERE rolname = 'login'", `{"search_path=\"$user\", other",role=assumed}`)
	w.member("login", "assumed", "plain")
	role.refresh()
	role.wantDiff(inputs, nil)

	role.update(values{"name": "login"})
	w.ask("SELECT rolconfig FROM pg_roles WHERE rolname = 'login'", "nothing")
	w.member("login", "assumed", "nothing")
	wantError(t, role.tryUpdate(values{"name": "login", "searchPaths": []string{"a, b"}}), "comma")
}

func TestRoleCreateFailsInTheReadAfterItsCommit(t *testing.T) {
	w := newWorld(t)
	w.asProvisioner(values{"superuser": "true"})
	_, err := w.try(roleType, values{"name": "half_made", "login": true, "password": verifier})
	wantError(t, err, "could not read role password", "superuser to false")
	w.ask("SELECT count(*) FROM pg_roles WHERE rolname = 'half_made'", "1")
	if failure := initFailure(t, err); failure.GetId() != "half_made" {
		t.Errorf("the engine hears of %q", failure.GetId())
	}
	w.connect(values{"username": "prov", "password": "prov", "superuser": "false"})
	w.create(roleType, values{"name": "whole", "login": true, "password": verifier})
}

func TestRolePasswordWithBackslashIsSetWrongly(t *testing.T) {
	w := newWorld(t)
	role := w.create(roleType, values{"name": "slash", "login": true, "password": `o'ne\two`})
	if _, err := dial(t, w.name, "slash", `o'ne\two`); sqlState(err) != "28P01" {
		t.Errorf("login with the password: %v, want SQLSTATE 28P01", err)
	}
	connectTo(t, w.name, "slash", `o'ne\\two`)
	role.update(values{"name": "slash", "login": true, "password": `\`})
	connectTo(t, w.name, "slash", `\\`)
}

func TestRolePasswordNull(t *testing.T) {
	w := newWorld(t)
	role := w.create(roleType, values{"name": "nobody", "login": true, "password": "Null"})
	w.ask("SELECT rolpassword FROM pg_authid WHERE rolname = 'nobody'", "nothing")
	role.refresh()
	role.wantDiff(values{"name": "nobody", "login": true, "password": "Null"}, nil, "password")
	// An update knows no NULL.
	role.update(values{"name": "nobody", "login": true, "password": "NULL"})
	connectTo(t, w.name, "nobody", "NULL")
}

func TestRoleVerifierIsStoredVerbatimAndCompared(t *testing.T) {
	w := newWorld(t)
	inputs := values{"name": "scram", "login": true, "password": verifier}
	role := w.create(roleType, inputs)
	w.ask("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram'", verifier)
	connectTo(t, w.name, "scram", "pencil")
	role.refresh()
	role.wantDiff(inputs, nil)

	w.sql("ALTER ROLE scram PASSWORD 'another'")
	role.refresh()
	role.wantDiff(inputs, nil, "password")
	role.update(inputs)
	connectTo(t, w.name, "scram", "pencil")
}

func TestRolePlaintextIsTakenToMatch(t *testing.T) {
	w := newWorld(t)
	inputs := values{"name": "plain", "login": true, "password": "first"}
	role := w.create(roleType, inputs)
	w.sql("ALTER ROLE plain PASSWORD 'another'")
	role.refresh()
	role.wantDiff(inputs, nil)
	inputs["connectionLimit"] = 1
	role.update(inputs) // does not set a password that seems to be the same
	connectTo(t, w.name, "plain", "another")
}

func TestRolePasswordIsNotReadBackWithoutSuperuserOrLogin(t *testing.T) {
	w := newWorld(t)
	group := values{"name": "no_login", "password": verifier}
	role := w.create(roleType, group)
	w.sql("ALTER ROLE no_login PASSWORD 'another'")
	role.refresh()
	role.wantDiff(group, nil)

	w.asProvisioner(nil)
	inputs := values{"name": "unseen", "login": true, "password": verifier}
	role = w.create(roleType, inputs)
	w.sql("ALTER ROLE unseen PASSWORD 'another'")
	role.refresh()
	role.wantDiff(inputs, nil)
}

func TestRolePasswordLeftOutStays(t *testing.T) {
	w := newWorld(t)
	role := w.create(roleType, values{"name": "keeper", "login": true, "password": verifier})
	role.wantDiff(values{"name": "keeper", "login": true}, nil, "password")
	role.update(values{"name": "keeper", "login": true})
	connectTo(t, w.name, "keeper", "pencil")
}

func TestRolePasswordStaysSecret(t *testing.T) {
	w := newWorld(t)
	role := w.create(roleType, values{"name": "secretive", "login": true, "password": verifier})
	for _, when := range []string{"create", "update", "refresh"} {
		if !role.get("password").IsSecret() {
			t.Errorf("the password is no secret after %s", when)
		}
		if when == "create" {
			role.update(values{"name": "secretive", "login": true, "password": verifier, "connectionLimit": 1})
		} else {
			role.refresh()
		}
	}
	if !decode(t, role.inputs)["password"].IsSecret() {
		t.Error("the password is no secret among the inputs")
	}
}

func TestRoleAttributesDrift(t *testing.T) {
	w := newWorld(t)
	inputs := values{"name": "drifter", "login": true, "connectionLimit": 3}
	role := w.create(roleType, inputs)
	role.refresh()
	role.wantDiff(inputs, nil)
	w.create(roleType, values{"name": "other"})
	w.sql(`ALTER ROLE drifter SUPERUSER CREATEDB CREATEROLE NOINHERIT NOLOGIN BYPASSRLS REPLICATION CONNECTION LIMIT 9;
		ALTER ROLE drifter SET search_path TO nowhere; ALTER ROLE drifter SET role TO other; GRANT other TO drifter`)
	role.refresh()
	role.wantDiff(inputs, nil, "assumeRole", "bypassRowLevelSecurity", "connectionLimit", "createDatabase", "createRole", "inherit", "login",
		"replication", "roles", "searchPaths", "superuser")
	role.update(inputs)
	w.ask("SELECT (rolsuper, rolcreatedb, rolcreaterole, rolinherit, rolcanlogin, rolbypassrls, rolreplication, rolconnlimit, rolconfig) "+
		"FROM pg_roles WHERE rolname = 'drifter'", "(f,f,f,t,t,f,f,3,)")
	w.member("drifter", "other", "nothing")
}

func TestRefreshChangesOnlyInputsThatWereGiven(t *testing.T) {
	w := newWorld(t)
	role := w.create(roleType, values{"name": "drifter", "connectionLimit": 3})
	w.sql("ALTER ROLE drifter CONNECTION LIMIT 9 CREATEDB")
	role.refresh()
	inputs := decode(t, role.inputs)
	if _, given := inputs["createDatabase"]; given || inputs["connectionLimit"].NumberValue() != 9 {
		t.Errorf("the inputs are %v", inputs)
	}
}

func TestRoleIsRenamedInPlace(t *testing.T) {
	w := newWorld(t)
	role := w.create(roleType, values{"name": "before"})
	if replaces := role.diff(values{"name": "after"}).GetReplaces(); len(replaces) > 0 {
		t.Errorf("a new name replaces the role: %v", replaces)
	}
	role.update(values{"name": "after"})
	w.ask("SELECT string_agg(rolname, ',') FROM pg_roles WHERE rolname IN ('before', 'after')", "after")
	if !role.refresh() || role.id != "after" {
		t.Errorf("the role's ID is %q after a refresh", role.id)
	}
}

func TestRoleThatIsGoneLeavesTheState(t *testing.T) {
	w := newWorld(t)
	role := w.create(roleType, values{"name": "gone"})
	w.sql("DROP ROLE gone")
	if role.refresh() {
		t.Error("a dropped role is still there")
	}
	wantError(t, role.tryUpdate(values{"name": "gone", "login": true}), "SQLSTATE 42704")
	wantError(t, role.tryDelete(), "SQLSTATE 42704")
}

func TestRoleDeleteMovesWhatItOwns(t *testing.T) {
	w := newWorld(t)
	role := w.create(roleType, values{"name": "owner"})
	w.sql("CREATE SCHEMA theirs; CREATE TABLE theirs.data (); ALTER TABLE theirs.data OWNER TO owner; GRANT USAGE ON SCHEMA theirs TO owner")
	role.delete()
	w.ask("SELECT tableowner FROM pg_tables WHERE tablename = 'data'", "postgres")
	w.ask("SELECT count(*) FROM pg_roles WHERE rolname = 'owner'", "0")
}

func TestRoleDeleteFailsOnObjectsInAnotherDatabase(t *testing.T) {
	w := newWorld(t)
	role := w.create(roleType, values{"name": "elsewhere"})
	run(t, connectTo(t, "postgres", theServer.User, theServer.Password), "CREATE SCHEMA theirs AUTHORIZATION elsewhere")
	wantError(t, role.tryDelete(), "dropping role elsewhere", "SQLSTATE 2BP01")
	run(t, connectTo(t, "postgres", theServer.User, theServer.Password), "DROP SCHEMA theirs")
}

func TestRolePreviewTouchesNothing(t *testing.T) {
	w := newWorld(t)
	inputs := values{"name": "planned", "password": unknown(), "roles": []any{unknown()}}
	for _, state := range []resource.PropertyMap{w.previewCreate(roleType, inputs), w.create(roleType, values{"name": "planned"}).previewUpdate(inputs)} {
		if !state["password"].ContainsUnknowns() || !state["roles"].ContainsUnknowns() || state["connectionLimit"].NumberValue() != -1 {
			t.Errorf("previewed %v", state)
		}
	}
	w.ask("SELECT rolpassword FROM pg_authid WHERE rolname = 'planned'", "nothing")
}

// Every connection is for one transaction; the number of them at once has a limit.
func TestConnectionsAreNotKept(t *testing.T) {
	w := newWorld(t)
	w.asProvisioner(values{"maxConnections": 1})
	done := make(chan error)
	for i := range 8 {
		go func() {
			_, err := w.try(roleType, values{"name": fmt.Sprintf("parallel_%d", i)})
			done <- err
		}()
	}
	for range 8 {
		check(t, <-done)
	}
	eventually(t, "no connection is left", func() bool {
		var left int
		check(t, w.admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = 'prov'").Scan(&left))
		return left == 0
	})
}
