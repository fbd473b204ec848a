package standin

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// tryImport is pulumi import of one resource, nil if there is nothing of that ID.
func (p plugged) tryImport(typ, id string) (*thing, error) {
	p.t.Helper()
	read, err := p.client.Read(p.t.Context(), &pulumirpc.ReadRequest{Urn: urnOf(typ), Id: id})
	if err != nil || read.GetProperties() == nil {
		return nil, err
	}
	return &thing{plugged: p, urn: urnOf(typ), id: read.GetId(), inputs: read.GetInputs(), output: read.GetProperties()}, nil
}

// take imports a resource and wants these inputs.
func (p plugged) take(typ, id string, want values) *thing {
	p.t.Helper()
	r, err := p.tryImport(typ, id)
	check(p.t, err)
	if r == nil {
		p.t.Fatalf("%s %s is not there", typ, id)
	}
	if r.id != id {
		p.t.Errorf("the ID became %s", r.id)
	}
	if inputs := decode(p.t, r.inputs); !inputs.DeepEquals(resource.NewPropertyMapFromMap(want)) {
		p.t.Errorf("the inputs are %v, want %v", inputs, want)
	}
	// The engine has what was imported checked like a program's inputs.
	checked, err := p.client.Check(p.t.Context(), &pulumirpc.CheckRequest{Urn: r.urn, News: r.inputs})
	check(p.t, err)
	if failures := checked.GetFailures(); len(failures) > 0 {
		p.t.Errorf("the inputs are refused: %v", failures)
	}
	return r
}

func TestImportedRole(t *testing.T) {
	w := newWorld(t)
	w.sql(`CREATE ROLE staff; CREATE ROLE viewers;
		CREATE ROLE legacy LOGIN NOINHERIT CREATEDB PASSWORD 'legacy' CONNECTION LIMIT 7 VALID UNTIL '2999-01-01 00:00:00+00' IN ROLE staff, viewers;
		ALTER ROLE legacy SET search_path TO "$user", other; ALTER ROLE legacy SET statement_timeout TO 5000;
		ALTER ROLE legacy SET role TO staff; ALTER ROLE legacy SET timezone TO 'UTC'`)
	var until string
	check(t, w.admin.QueryRow(t.Context(), "SELECT rolvaliduntil::text FROM pg_roles WHERE rolname = 'legacy'").Scan(&until))
	inputs := values{
		"name": "legacy", "login": true, "inherit": false, "createDatabase": true, "connectionLimit": 7, "validUntil": until,
		"roles": []string{"staff", "viewers"}, "searchPaths": []string{"$user", "other"}, "statementTimeout": 5000, "assumeRole": "staff",
	}
	role := w.take(roleType, "legacy", inputs)
	if password := role.get("password"); !password.IsSecret() || !password.SecretValue().Element.IsNull() {
		t.Errorf("the password is %v", password)
	}
	role.wantDiff(inputs, nil)

	// Whatever the role was, it becomes what the program says.
	wanted := values{"name": "legacy", "login": true, "password": verifier}
	role.wantDiff(wanted, nil, "assumeRole", "connectionLimit", "createDatabase", "inherit", "password", "roles", "searchPaths", "statementTimeout", "validUntil")
	role.wantDiff(wanted, []string{"roles", "password"},
		"assumeRole", "connectionLimit", "createDatabase", "inherit", "searchPaths", "statementTimeout", "validUntil")
	role.update(wanted)
	w.ask("SELECT (rolcreatedb, rolinherit, rolcanlogin, rolconnlimit, rolvaliduntil, rolconfig) FROM pg_roles WHERE rolname = 'legacy'",
		"(f,t,t,-1,infinity,{TimeZone=UTC})")
	w.member("legacy", "staff", "nothing")
	w.member("legacy", "viewers", "nothing")
	connectTo(t, w.name, "legacy", "pencil")
	role.refresh()
	role.wantDiff(wanted, nil)
}

func TestImportedRoleWithoutLogin(t *testing.T) {
	w := newWorld(t)
	w.sql(`CREATE ROLE "Odd.name"`)
	inputs := values{"name": "Odd.name"}
	role := w.take(roleType, "Odd.name", inputs)
	role.wantDiff(inputs, nil)
	role.wantDiff(values{"name": "Odd.name", "login": false, "roles": []string{}, "connectionLimit": -1, "inherit": true, "password": ""}, nil)
	role.wantDiff(values{"name": "Odd.name", "login": true}, nil, "login")
	role.delete()
	w.ask("SELECT count(*) FROM pg_roles WHERE rolname = 'Odd.name'", "0")
}

// What is the program's alone is unknown to the server. That matters for ifNotExists, which is true
// unless the program says otherwise; dropCascade is then named with it.
func TestImportedSchema(t *testing.T) {
	w := newWorld(t)
	w.sql(`CREATE ROLE legacy; CREATE SCHEMA theirs AUTHORIZATION legacy; GRANT USAGE ON SCHEMA theirs TO PUBLIC`)
	id := w.name + ".theirs"
	imported := values{"name": "theirs", "database": w.name, "owner": "legacy", "dropCascade": nil, "ifNotExists": nil}
	schema := w.take(schemaType, id, imported)
	inputs := values{"name": "theirs", "database": w.name, "owner": "legacy"}
	for _, when := range []string{"import", "refresh"} {
		t.Log("after", when)
		schema.wantDiff(inputs, nil, "dropCascade", "ifNotExists")
		schema.wantDiff(values{"name": "theirs"}, nil, "dropCascade", "ifNotExists")
		schema.wantDiff(values{"name": "theirs", "ifNotExists": false, "dropCascade": false}, nil)
		schema.wantDiff(values{"name": "theirs", "ifNotExists": false, "owner": "postgres"}, nil, "dropCascade", "ifNotExists", "owner")
		schema.wantDiff(values{"name": "theirs", "owner": "postgres"}, []string{"dropCascade", "ifNotExists"}, "owner")
		schema.refresh()
	}
	if diff := schema.diff(values{"name": "theirs", "database": "another"}); len(diff.GetReplaces()) != 1 {
		t.Errorf("%v is replaced, want database", diff.GetReplaces())
	}
	schema.update(inputs)
	schema.wantDiff(inputs, nil)
	w.ask("SELECT (nspowner::regrole, nspacl) FROM pg_namespace WHERE nspname = 'theirs'", `(legacy,"{legacy=UC/legacy,=U/legacy}")`)

	w.sql("CREATE TABLE theirs.data ()")
	schema = w.take(schemaType, id, imported)
	wantError(t, schema.tryDelete(), "dropping schema theirs", "SQLSTATE 2BP01")
}

func TestImportOfWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	w.sql("CREATE ROLE lower; CREATE SCHEMA s")
	for id, typ := range map[string]string{
		"nobody": roleType, "Lower": roleType, `"lower"`: roleType,
		w.name + ".nothing": schemaType, "nowhere.s": schemaType, ".s": schemaType, w.name + ".": schemaType, ".": schemaType,
	} {
		if r, err := w.tryImport(typ, id); r != nil || err != nil {
			t.Errorf("%s %q: got %v %v, want nothing", typ, id, r, err)
		}
	}
}

func TestImportOfABadID(t *testing.T) {
	w := newWorld(t)
	w.sql(`CREATE SCHEMA s; CREATE SCHEMA "a.b"`)
	for _, id := range []string{"s", w.name + ".a.b"} {
		_, err := w.tryImport(schemaType, id)
		wantError(t, err, "schema ID "+id+" has not the expected format 'database.schema'")
	}
}

// These are there, but no ID finds them.
func TestImportIsRefused(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": "granted"})
	w.create(roleType, values{"name": "member"})
	for typ, inputs := range map[string]values{
		membershipType: {"role": "member", "grantRole": "granted"},
		grantType:      {"role": "member", "database": w.name, "objectType": "database", "privileges": []string{"CONNECT"}},
		defaultPrivilegesType: {
			"role": "member", "database": w.name, "owner": "granted", "objectType": "table", "privileges": []string{"SELECT"},
		},
	} {
		id := w.create(typ, inputs).id
		_, err := w.tryImport(typ, id)
		wantError(t, err, `import of "`+id+`" is not implemented`)
	}
	_, err := plug(t, newRandom()).tryImport(passwordType, "existing")
	wantError(t, err, `import of "existing" is not implemented`)
	_, err = w.tryImport("postgresql:index/function:Function", w.name)
	wantError(t, err, "postgresql:index/function:Function is not implemented")
}

// An import reads no password, so it does not matter whether the login is a superuser and whether
// it is said to be one. The update that sets the password reads it back.
func TestImportWithoutSuperuser(t *testing.T) {
	for _, superuser := range []string{"false", "true"} {
		t.Run(superuser, func(t *testing.T) {
			w := newWorld(t)
			w.sql("CREATE ROLE legacy LOGIN PASSWORD 'legacy'; CREATE SCHEMA theirs AUTHORIZATION legacy")
			w.asProvisioner(values{"superuser": superuser})
			w.sql("GRANT legacy TO prov WITH ADMIN OPTION")
			w.take(schemaType, w.name+".theirs", values{
				"name": "theirs", "database": w.name, "owner": "legacy", "dropCascade": nil, "ifNotExists": nil,
			})
			role := w.take(roleType, "legacy", values{"name": "legacy", "login": true})
			err := role.tryUpdate(values{"name": "legacy", "login": true, "password": verifier})
			connectTo(t, w.name, "legacy", "pencil")
			if superuser == "false" {
				check(t, err)
				return
			}
			wantError(t, err, "could not read role password", "superuser to false")
			initFailure(t, err)
		})
	}
}
