package review

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
)

// database is the database of acme, with these inputs beyond the wanted ones.
func database(extra map[string]any) map[string]any {
	inputs := map[string]any{"name": "tenant_acme", "template": "template0", "connectionLimit": -1}
	maps.Copy(inputs, extra)
	return resource(typeDatabase, "acme-database", "acme", inputs)
}

// schemaIn is the schema of acme in a database, the stack's or its own.
func schemaIn(database string, cascade bool) map[string]any {
	name := map[string]string{"db": "acme-schema", "tenant_acme": "acme-database-schema"}[database]
	return resource(typeSchema, name, "acme", map[string]any{"name": "tenant_acme", "database": database, "owner": "admin", "dropCascade": cascade})
}

// connect is the grant of CONNECT on a database to a role.
func connect(database, role string) map[string]any {
	return resource(typeGrant, "acme-database-connect", "acme", map[string]any{"database": database, "objectType": "database", "role": role, "privileges": []string{"CONNECT"}})
}

// member is the role of acme as a member of these roles.
func member(roles ...string) map[string]any {
	inputs := map[string]any{"name": "tenant_acme", "login": true, "password": "[secret]", "connectionLimit": -1, "bypassRowLevelSecurity": false, "searchPaths": []string{"tenant_acme"}}
	if len(roles) > 0 {
		inputs["roles"] = roles
	}
	return resource(typeRole, "acme-role", "acme", inputs)
}

// wasProtected is the step of a resource that was protected before.
func wasProtected(s map[string]any) map[string]any {
	state := maps.Clone(s["oldState"].(map[string]any))
	state["protect"] = true
	s["oldState"] = state
	return s
}

// deployedIn is a preview of a stack in which acme was in a database.
func deployedIn(t *testing.T, own, tenants string, steps ...map[string]any) []byte {
	t.Helper()
	var p map[string]any
	config := map[string]string{"postgresql:database": "db", "tenant-permissions:tenants": tenants}
	if err := json.Unmarshal(previewOf(t, config, steps...), &p); err != nil {
		t.Fatal(err)
	}
	stack := p["steps"].([]any)[0].(map[string]any)
	for _, state := range []string{"oldState", "newState"} {
		stack[state].(map[string]any)["outputs"].(map[string]any)["tenant_database_names"] = map[string]any{"acme": own}
	}
	return encode(t, p)
}

const (
	inOwn    = `{"acme": {"isolation": "database"}}`
	inSchema = `{"acme": {}}`
)

// What looks like a known change of databases and is not exactly that is listed as it is.
func TestDatabases(t *testing.T) {
	for name, test := range map[string]struct {
		own, tenants string
		steps        []map[string]any
		want, unwant string
	}{
		"a database is replaced": {
			"tenant_acme", inOwn,
			[]map[string]any{on("replace", database(nil), "template"), on("replace", schemaIn("tenant_acme", false)), on("replace", connect("tenant_acme", "tenant_acme"))},
			"Replaced: 1\nResources: none\n\nReplaced (access or data is lost): 1\n  acme: REPLACED by an empty database: database tenant_acme and ALL ITS DATA are dropped\n", "Other changes",
		},
		"by one of another template": {
			"tenant_acme", inOwn,
			[]map[string]any{on("replace", database(map[string]any{"template": "template1"}), "template")},
			"acme-database: replace Database of tenant acme: template template1, was template1", "Nothing",
		},
		"a database that is dropped by force": {
			"tenant_acme", "{}",
			[]map[string]any{on("delete", component("acme")), on("delete", database(nil)), on("delete", schemaIn("tenant_acme", false))},
			"Tenants removed: 1\n  acme: database tenant_acme and ALL ITS DATA are dropped, also what is not in the tenant's schema; its sessions end", "if it is empty",
		},
		"a tenant's database goes, its key stays": {
			"tenant_acme", inOwn,
			[]map[string]any{on("delete", database(nil))},
			"Tenants removed: 1\n  acme: database tenant_acme and ALL ITS DATA are dropped", "Other changes",
		},
		"another owner": {
			"db", `{"acme": {"isolation": "database", "previous": "keep"}}`,
			[]map[string]any{on("create", database(map[string]any{"owner": "tenant_acme"}))},
			"acme-database: create Database of tenant acme: connectionLimit -1, name tenant_acme, owner tenant_acme", "new database",
		},
		"another template": {
			"db", `{"acme": {"isolation": "database", "previous": "keep"}}`,
			[]map[string]any{on("create", database(map[string]any{"template": "template1"}))},
			"template template1", "new database",
		},
		"a database that is not closed": {
			"db", `{"acme": {"isolation": "database", "previous": "keep"}}`,
			[]map[string]any{on("create", database(nil))},
			"acme: new database tenant_acme, with other privileges than such a database has; it has other privileges there than a tenant has; all data stays there (previous: keep)", "closed to PUBLIC",
		},
		"CONNECT on the database of another": {
			"tenant_acme", inOwn,
			[]map[string]any{on("update", connect("tenant_globex", "tenant_acme"), "privileges")},
			"acme-database-connect: update Grant of tenant acme: ", "Repaired",
		},
		"CONNECT for another": {
			"tenant_acme", inOwn,
			[]map[string]any{on("create", connect("tenant_acme", "tenant_globex"))},
			"acme-database-connect: create Grant of tenant acme: ", "Repaired",
		},
		"an unknown database": {
			"tenant_acme", inOwn,
			[]map[string]any{on("create", connect(unknown, "tenant_acme"))},
			"acme-database-connect: create Grant of tenant acme: ", "Repaired",
		},
		"a limit": {
			"tenant_acme", inOwn,
			[]map[string]any{becomes("update", database(map[string]any{"connectionLimit": 3}), database(nil), "connectionLimit")},
			"acme: the connection limit of database tenant_acme changes from 3 to none", "Other changes",
		},
		"a tablespace": {
			"tenant_acme", inOwn,
			[]map[string]any{becomes("update", database(map[string]any{"tablespaceName": "pg_default"}), database(map[string]any{"tablespaceName": "fast"}), "tablespaceName")},
			"acme: database tenant_acme moves from tablespace pg_default to tablespace fast; the run fails while anybody else is connected to it", "Other changes",
		},
		"another property of a database": {
			"tenant_acme", inOwn,
			[]map[string]any{on("update", database(map[string]any{"allowConnections": false}), "allowConnections")},
			"acme-database: update Database of tenant acme: allowConnections false, was false", "Databases of tenants",
		},
		"a database that is no longer protected": {
			"tenant_acme", inOwn,
			[]map[string]any{wasProtected(on("same", database(nil)))},
			"Data ready to be dropped (retire: drop, previous: drop): 1\n  acme: database tenant_acme and ALL ITS DATA ARE DROPPED when its key is removed from the config", "Other changes",
		},
		"or is protected again": {
			"tenant_acme", inOwn,
			[]map[string]any{protects(on("same", database(nil)))},
			"Data protected: 1\n  acme: the run fails instead of dropping database tenant_acme when its key is removed from the config", "Other changes",
		},
		"the database that was left": {
			"db", `{"acme": {"previous": "drop"}}`,
			[]map[string]any{wasProtected(on("same", database(nil)))},
			"acme: database tenant_acme and ALL ITS DATA ARE DROPPED when previous is removed from the config", "Other changes",
		},
		"its schema only": {
			"tenant_acme", inOwn,
			[]map[string]any{wasProtected(on("same", schemaIn("tenant_acme", false)))},
			"Data no longer protected: 1\n  acme: schema tenant_acme of database tenant_acme; its database stays protected", "Other changes",
		},
		"the schema that was left": {
			"tenant_acme", `{"acme": {"isolation": "database", "previous": "keep"}}`,
			[]map[string]any{wasProtected(on("same", schemaIn("db", false)))},
			"acme: schema tenant_acme of database db is dropped when previous is removed from the config, if it is empty", "Other changes",
		},
		"privileges where the tenant was": {
			"tenant_acme", `{"acme": {"isolation": "database", "previous": "keep"}}`,
			[]map[string]any{on("create", resource(typeGrant, "acme-usage", "acme", map[string]any{"database": "db", "objectType": "schema", "schema": "tenant_acme", "role": "tenant_acme", "privileges": []string{"USAGE"}}))},
			"acme-usage: create Grant of tenant acme: ", "Repaired",
		},
		"a move of the membership alone": {
			"db", inOwn,
			[]map[string]any{becomes("update", member("all"), member(), "roles")},
			"this run copies no data; tenant_acme is no longer a member of all\n", "Other changes",
		},
		"a move to more memberships": {
			"db", inOwn,
			[]map[string]any{becomes("update", member("all"), member("app"), "roles")},
			"acme-role: update Role of tenant acme: roles [app], was [all]", "a member of",
		},
		"a membership that somebody granted": {
			"tenant_acme", inOwn,
			[]map[string]any{becomes("update", member("all"), member(), "roles")},
			"Repaired (created again, or set back to the config): 1\n  acme: tenant_acme is no longer a member of all\n", "Other changes",
		},
		"a database that is missing": {
			"tenant_acme", inOwn,
			[]map[string]any{on("create", database(nil))},
			"acme: database tenant_acme was missing and is created again, empty: new database tenant_acme, with other privileges than such a database has", "Other changes",
		},
		"an extension that nobody configured": {
			"tenant_acme", inOwn,
			[]map[string]any{on("create", resource(typeExtension, "acme-database-extension-cube", "acme", map[string]any{"name": "cube", "database": "tenant_acme", "schema": "extensions"}))},
			"acme-database-extension-cube: create Extension of tenant acme: ", "Extensions",
		},
		"default privileges that are missing": {
			"tenant_acme", inOwn,
			[]map[string]any{on("create", resource(typeDefaultPrivileges, "acme-database-default-tables", "acme", map[string]any{
				"database": "tenant_acme", "objectType": "table", "owner": "admin", "role": "app", "privileges": []string{"SELECT"},
			}))},
			"acme: app has SELECT on each table that admin creates in database tenant_acme\n", "Other changes",
		},
		"default privileges that go": {
			"tenant_acme", inOwn,
			[]map[string]any{on("delete", resource(typeDefaultPrivileges, "acme-database-default-tables", "acme", map[string]any{"role": "app"}))},
			"acme-database-default-tables: delete DefaultPrivileges of tenant acme", "Repaired",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := reviewed(t, deployedIn(t, test.own, test.tenants, test.steps...), "text")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got, test.want) || strings.Contains(got, test.unwant) {
				t.Errorf("got\n%s\nwant in it: %s\nnot in it: %s", got, test.want, test.unwant)
			}
		})
	}
}

// Data that goes after a move counts as much as a tenant that goes, also if the schema has to be empty.
func TestThresholdAfterMove(t *testing.T) {
	for name, p := range map[string][]byte{
		"a schema":           deployedIn(t, "tenant_acme", inOwn, on("delete", schemaIn("db", true))),
		"an empty schema":    deployedIn(t, "tenant_acme", inOwn, on("delete", schemaIn("db", false))),
		"a database":         deployedIn(t, "db", inSchema, on("delete", database(nil)), on("delete", schemaIn("tenant_acme", true))),
		"in the same run":    deployedIn(t, "db", inOwn, on("create", database(nil)), on("delete", schemaIn("db", false))),
		"an isolated tenant": deployedIn(t, "tenant_acme", "{}", on("delete", database(nil))),
		"a replacement":      deployedIn(t, "tenant_acme", inOwn, on("replace", database(nil), "template")),
	} {
		for most, refused := range map[int]bool{0: true, 1: false} {
			var out bytes.Buffer
			err := Run(bytes.NewReader(p), "text", most, &out)
			if refused != errors.As(err, &Refusal{}) || refused != strings.Contains(out.String(), ": 1 (acme), allowed: 0; put ") {
				t.Errorf("%s, at most %d: got error %v\n%s", name, most, err, out.String())
			}
		}
	}
}

// The preview of a new cell whose tenants all have databases of their own names the shared roles only there.
func TestNewCellOfDatabases(t *testing.T) {
	grant := resource(typeGrant, "acme-database-app-on-database", "acme", map[string]any{"database": unknown, "objectType": "database", "role": "app", "privileges": []string{"CONNECT"}})
	extension := resource(typeExtension, "acme-database-extension-cube", "acme", map[string]any{
		"name": "cube", "database": unknown, "schema": "extensions", "version": "1.5", "createCascade": true, "dropCascade": false,
	})
	role := member()
	role["inputs"].(map[string]any)["searchPaths"] = []string{"tenant_acme", "extensions"}
	got, err := reviewed(t, encode(t, map[string]any{
		"steps":  []map[string]any{on("create", component("acme")), on("create", role), on("create", database(nil)), on("create", schemaIn("tenant_acme", false)), on("create", grant), on("create", extension)},
		"config": map[string]string{"tenant-permissions:platform": "organization/tenant-permissions/prod", "tenant-permissions:tenants": inOwn},
	}), "text")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"platform: app reads the databases that new tenants have for themselves, nobody has the admin option on these tenants, and admin owns their schemas; ",
		"; it has the extensions cube version 1.5", "acme-database-app-on-database: create Grant of tenant acme: database tenant_acme, ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the summary lacks: %s\n%s", want, got)
		}
	}
}
