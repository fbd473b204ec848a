package tests

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A role, a schema and tables that were there before become a tenant's, by the steps of the README.
func TestAdopt(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		super := p.superuser(t, database)
		super.may(t,
			"CREATE ROLE tenant_acme LOGIN CREATEDB PASSWORD 'legacy-password'", "CREATE ROLE staff", "GRANT staff TO tenant_acme",
			"CREATE SCHEMA legacy AUTHORIZATION tenant_acme", "GRANT ALL ON SCHEMA legacy TO PUBLIC",
			"SET ROLE tenant_acme",
			"CREATE TABLE legacy.docs (id serial PRIMARY KEY, body text)", "INSERT INTO legacy.docs (body) VALUES ('old')",
			"CREATE VIEW legacy.titles AS SELECT body FROM legacy.docs",
			"CREATE SEQUENCE legacy.tickets",
			"CREATE TABLE legacy.parts (id int) PARTITION BY RANGE (id)", "CREATE TABLE legacy.part PARTITION OF legacy.parts DEFAULT",
			"RESET ROLE")

		// 1. The shared roles.
		others := object{"globex": object{}}
		p.configure(t, others, object{})
		p.up(t)
		// 2. The hand-over.
		super.may(t, "REASSIGN OWNED BY tenant_acme TO admin_service_role")
		if p.user != p.server.User {
			super.may(t, "GRANT tenant_acme TO "+p.user+" WITH ADMIN OPTION", "REVOKE staff FROM tenant_acme")
		}
		// 3. The import.
		p.importFile(t, `{"resources": [
			{"type": "tenant-permissions:index:Tenant", "name": "acme", "component": true},
			{"type": "postgresql:index/role:Role", "name": "acme-role", "id": "tenant_acme", "parent": "acme"},
			{"type": "postgresql:index/schema:Schema", "name": "acme-schema", "id": "`+database+`.legacy", "parent": "acme"}
		]}`)
		// 4. The tenant.
		p.configure(t, with(others, "acme", object{"schema": "legacy", "adopt": true}), object{})
		changes := p.up(t)
		if changes["replace"]+changes["delete"] != 0 {
			t.Errorf("changes: %v", changes)
		}
		p.clean(t)

		p.refuseLogin(t, "tenant_acme", "legacy-password", invalidPassword)
		acme, app, globex := p.login(t, "tenant_acme"), p.login(t, "app_service_role"), p.login(t, "tenant_globex")
		acme.may(t, "INSERT INTO docs (body) VALUES ('new')", "SELECT * FROM titles", "SELECT nextval('tickets')", "INSERT INTO parts VALUES (1)", "DELETE FROM part")
		acme.mayNot(t, insufficientPrivilege, "DROP TABLE docs", "TRUNCATE docs", "CREATE TABLE mine (id int)", "SET ROLE staff", "CREATE DATABASE mine",
			"ALTER TABLE docs ADD COLUMN mine int", "ALTER SCHEMA legacy RENAME TO mine")
		app.may(t, "SELECT * FROM legacy.docs", "SELECT * FROM legacy.titles", "SELECT * FROM legacy.parts", "SELECT last_value FROM legacy.tickets")
		app.mayNot(t, insufficientPrivilege, "INSERT INTO legacy.docs (body) VALUES ('x')", "SELECT nextval('legacy.tickets')")
		globex.mayNot(t, insufficientPrivilege, "SELECT * FROM legacy.docs", "CREATE TABLE legacy.mine (id int)")
		admin := p.login(t, "admin_service_login")
		admin.may(t, "CREATE TABLE legacy.later (id serial, body text)", "ALTER TABLE legacy.docs ADD COLUMN author text")
		acme.may(t, "INSERT INTO later (body) VALUES ('x')")
		app.may(t, "SELECT * FROM legacy.later")
		p.clean(t)

		t.Run("without adopt nothing is taken away", func(t *testing.T) {
			before := p.catalog(t)
			p.configure(t, with(others, "acme", object{"schema": "legacy"}), object{})
			p.up(t)
			p.clean(t)
			sameFacts(t, before, p.catalog(t))
		})
		t.Run("adopt gives back what a dropped role has lost", func(t *testing.T) {
			rights := func() []string {
				return slices.DeleteFunc(p.catalog(t), func(fact string) bool {
					// What differs between a role made by hand and one that the provider made.
					return strings.HasPrefix(fact, "role tenant_acme ") || strings.HasPrefix(fact, "member "+p.user+" of tenant_acme,")
				})
			}
			before := rights()
			super.may(t, "DROP OWNED BY tenant_acme", "DROP ROLE tenant_acme")
			p.configure(t, with(others, "acme", object{"schema": "legacy", "adopt": true}), object{})
			p.refresh(t)
			p.up(t)
			p.clean(t)
			sameRights(t, before, rights())
			p.login(t, "tenant_acme").may(t, "INSERT INTO docs (body) VALUES ('x')", "SELECT nextval('tickets')")
		})
		t.Run("an adopted tenant goes like any other", func(t *testing.T) {
			p.configure(t, with(others, "acme", object{"schema": "legacy", "adopt": true, "retire": "drop"}), object{})
			p.up(t)
			p.configure(t, others, object{})
			p.up(t)
			p.clean(t)
			for _, fact := range p.catalog(t) {
				if strings.Contains(fact, "acme") || strings.Contains(fact, "legacy") {
					t.Errorf("left behind: %s", fact)
				}
			}
		})
		t.Run("many at once, beside new tenants and rotations", func(t *testing.T) {
			readers := object{"analyst": object{}, "dashboard": object{"logins": object{"active": "a"}}}
			p.configure(t, others, object{}, readers)
			p.up(t)
			tenants, resources := maps.Clone(others), []string{}
			for _, key := range []string{"hooli", "initech", "umbrella"} {
				super.may(t, "CREATE SCHEMA "+key, "GRANT CREATE, USAGE ON SCHEMA "+key+" TO admin_service_role", "SET ROLE admin_service_role",
					"CREATE TABLE "+key+".docs (id serial, body text)", "RESET ROLE")
				super.may(t, "ALTER SCHEMA "+key+" OWNER TO admin_service_role")
				resources = append(resources,
					`{"type": "tenant-permissions:index:Tenant", "name": "`+key+`", "component": true}`,
					`{"type": "postgresql:index/schema:Schema", "name": "`+key+`-schema", "id": "`+database+`.`+key+`", "parent": "`+key+`"}`)
				tenants[key], tenants["beside_"+key] = object{"schema": key, "adopt": true}, object{}
			}
			p.importFile(t, `{"resources": [`+strings.Join(resources, ",")+`]}`)
			p.configure(t, tenants,
				object{"app": object{"passwordVersion": 2}, "admin": object{"passwordVersion": 2}},
				object{"analyst": object{"passwordVersion": 2}, "dashboard": object{"logins": object{"active": "a", "a": object{"passwordVersion": 2}}}})
			p.inQueue(t, func(t *testing.T) { p.up(t) })
			p.login(t, "analyst").may(t, "SELECT * FROM hooli.docs", "SELECT * FROM initech.docs", "SELECT * FROM umbrella.docs")
			p.login(t, "tenant_hooli").may(t, "INSERT INTO docs (body) VALUES ('x')")
		})
	})
}

// importFile takes objects of the server into the stack's state.
func (p *platform) importFile(t *testing.T, content string) {
	t.Helper()
	file := filepath.Join(p.dir, "adopt.json")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	p.pulumi(t, "import", "--file", file, "--protect=false", "--generate-code=false", "--yes", "--skip-preview", "--stack", p.stack.Name())
}
