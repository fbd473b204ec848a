package tests

import (
	"fmt"
	"testing"
)

var threeTenants = object{"acme": object{}, "globex": object{}, "initech": object{"role": "initech_login", "schema": "initech"}}

// The isolation that the README promises, tried by real logins on a server where the admin has
// made tables for two tenants.
func TestAccess(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		p.configure(t, threeTenants, object{}, object{"analyst": object{}})
		p.up(t)
		admin := p.login(t, "admin_service_login")
		makeTables(t, admin, "tenant_acme")
		makeTables(t, admin, "tenant_globex")
		p.superuser(t, database).may(t,
			"CREATE TABLE public.leftover (body text)",
			"CREATE ROLE stranger LOGIN PASSWORD 'stranger-password'")
		before := p.catalog(t)

		t.Run("tenant", func(t *testing.T) { tenantAccess(t, p) })
		t.Run("readers", func(t *testing.T) { readerAccess(t, p, admin) })
		t.Run("admin", func(t *testing.T) { adminAccess(t, p, admin) })
		t.Run("stranger", func(t *testing.T) {
			p.refuseLogin(t, "stranger", "stranger-password", insufficientPrivilege)
			p.refuseLogin(t, "stranger", "another-password", invalidPassword)
			p.refuseLogin(t, "tenant_acme", "another-password", invalidPassword)
			p.refuseLogin(t, "admin_service_role", "", invalidPassword)
		})
		sameFacts(t, before, p.catalog(t))
	})
}

// makeTables does as the admin what a migration does in a tenant's schema.
func makeTables(t *testing.T, admin *session, schema string) {
	t.Helper()
	admin.may(t,
		fmt.Sprintf("CREATE TABLE %s.docs (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text)", schema),
		fmt.Sprintf("CREATE TABLE %s.notes (id serial PRIMARY KEY, body text)", schema),
		fmt.Sprintf("CREATE VIEW %s.titles AS SELECT body FROM %s.docs", schema, schema),
		fmt.Sprintf("CREATE SEQUENCE %s.tickets", schema),
		fmt.Sprintf("CREATE FUNCTION %s.answer() RETURNS int LANGUAGE sql AS 'SELECT 42'", schema),
		fmt.Sprintf("INSERT INTO %s.docs (body) VALUES ('by admin')", schema),
	)
}

func tenantAccess(t *testing.T, p *platform) {
	acme := p.login(t, "tenant_acme")
	acme.may(t,
		// Unqualified names are the tenant's own.
		"INSERT INTO docs (body) VALUES ('identity')",
		"INSERT INTO notes (body) VALUES ('serial')",
		"UPDATE docs SET body = 'changed' WHERE body = 'identity'",
		"SELECT * FROM tenant_acme.docs JOIN notes USING (id)",
		"SELECT * FROM titles",
		"SELECT nextval('tickets')",
		"DELETE FROM notes",
	)
	if path := acme.value(t, "SELECT current_schemas(false)"); path != "{tenant_acme}" {
		t.Errorf("search path %s", path)
	}

	acme.mayNot(t, insufficientPrivilege, attacks(database)...)
	acme.mayNot(t, insufficientPrivilege,
		// Another tenant's.
		"SELECT * FROM tenant_globex.docs",
		"SELECT * FROM tenant_globex.titles",
		"INSERT INTO tenant_globex.docs (body) VALUES ('x')",
		"UPDATE tenant_globex.docs SET body = 'x'",
		"DELETE FROM tenant_globex.docs",
		"SELECT nextval('tenant_globex.tickets')",
		"SELECT last_value FROM tenant_globex.tickets",
		"SELECT tenant_globex.answer()",
		"CREATE TABLE tenant_globex.mine (id int)",
		"DROP TABLE tenant_globex.docs",
		"ALTER TABLE tenant_globex.docs ADD COLUMN mine int",
		"GRANT SELECT ON tenant_globex.docs TO tenant_acme",
		"GRANT USAGE ON SCHEMA tenant_globex TO tenant_acme",
	)
	handOnItself(t, p, acme)
	// PostgreSQL says these with a warning; that nothing changed, the catalog shows.
	acme.mayNot(t, privilegeNotGranted,
		"GRANT SELECT ON docs TO PUBLIC",
		"GRANT ALL ON docs TO tenant_globex",
		"GRANT USAGE ON SCHEMA tenant_acme TO tenant_globex",
		"GRANT CONNECT ON DATABASE "+database+" TO stranger",
	)
	acme.mayNot(t, privilegeNotRevoked, "REVOKE SELECT ON docs FROM app_service_role", "REVOKE USAGE ON SCHEMA tenant_acme FROM app_service_role")

	// Nothing of this comes from a name: a tenant with names of its own has the same.
	initech := p.login(t, "initech_login")
	if path := initech.value(t, "SELECT current_schemas(false)"); path != "{initech}" {
		t.Errorf("search path %s", path)
	}
	initech.mayNot(t, insufficientPrivilege, "SELECT * FROM tenant_acme.docs", "CREATE TABLE initech.mine (id int)", "SET ROLE tenant_acme")
}

// attacks are statements that tenant_acme tries in a database that has its schema, and that must fail
// for lack of privileges.
func attacks(database string) []string {
	return []string{
		// Its own schema: use, not own.
		"CREATE TABLE mine (id int)",
		"CREATE VIEW mine AS SELECT 1",
		"CREATE SEQUENCE mine",
		"CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
		"CREATE TYPE mine AS ENUM ('a')",
		"CREATE INDEX ON docs (body)",
		"CREATE TRIGGER mine BEFORE INSERT ON docs EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		"ALTER TABLE docs ADD COLUMN mine int",
		"ALTER TABLE docs OWNER TO tenant_acme",
		"ALTER TABLE docs DISABLE ROW LEVEL SECURITY",
		"ALTER SCHEMA tenant_acme OWNER TO tenant_acme",
		"ALTER SCHEMA tenant_acme RENAME TO mine",
		"ALTER SEQUENCE tickets RESTART",
		"SELECT setval('tickets', 1)",
		"SELECT answer()",
		"TRUNCATE docs",
		"DROP TABLE docs",
		"DROP SCHEMA tenant_acme CASCADE",
		"COMMENT ON TABLE docs IS 'mine'",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin_service_role GRANT SELECT ON TABLES TO PUBLIC",
		// The database and the schema public.
		"CREATE TEMPORARY TABLE mine (id int)",
		"CREATE SCHEMA mine",
		"CREATE TABLE public.mine (id int)",
		"CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
		"SELECT * FROM public.leftover",
		"CREATE EXTENSION pgcrypto",
		"CREATE DATABASE mine",
		"ALTER DATABASE " + database + " SET work_mem = '1GB'",
		// Roles.
		"SET ROLE tenant_globex",
		"SET ROLE app_service_role",
		"SET ROLE admin_service_role",
		"SET ROLE all_tenants_admin",
		"SET SESSION AUTHORIZATION tenant_globex",
		"CREATE ROLE mine",
		"ALTER ROLE tenant_globex PASSWORD 'x'",
		"ALTER ROLE tenant_acme CREATEROLE",
		"DROP ROLE tenant_globex",
		"GRANT all_tenants TO stranger",
		"GRANT app_service_role TO tenant_acme",
		"GRANT pg_read_all_data TO tenant_acme",
		"SELECT * FROM pg_authid",
		// The server.
		"COPY docs TO '/tmp/docs'",
		"COPY docs FROM PROGRAM 'echo'",
		"SELECT pg_read_file('postgresql.conf')",
		"ALTER SYSTEM SET log_statement = 'none'",
	}
}

// handOnItself has a login make a stranger a member of itself. Up to PostgreSQL 14 every login has
// the admin option on its own role, and nothing can take it away.
func handOnItself(t *testing.T, p *platform, s *session) {
	t.Helper()
	grant := "GRANT " + s.login + " TO stranger"
	if p.major == "14" {
		s.may(t, grant, "REVOKE "+s.login+" FROM stranger")
		return
	}
	s.mayNot(t, insufficientPrivilege, grant)
}

func readerAccess(t *testing.T, p *platform, admin *session) {
	readers := []*session{p.login(t, "app_service_role"), p.login(t, "analyst")}
	// A table made while they are connected is theirs to read as well.
	admin.may(t, "CREATE TABLE tenant_globex.later (body text)", "INSERT INTO tenant_globex.later VALUES ('x')")
	for _, reader := range readers {
		reader.may(t,
			"SELECT a.body, g.body FROM tenant_acme.docs a, tenant_globex.docs g",
			"SELECT * FROM tenant_acme.titles",
			"SELECT last_value FROM tenant_acme.tickets",
		)
		if rows := reader.value(t, "SELECT count(*) FROM tenant_globex.later"); rows != "1" {
			t.Errorf("%s sees %s rows of a later table", reader.login, rows)
		}
		reader.mayNot(t, insufficientPrivilege,
			"INSERT INTO tenant_acme.docs (body) VALUES ('x')",
			"UPDATE tenant_acme.docs SET body = 'x'",
			"DELETE FROM tenant_acme.docs",
			"TRUNCATE tenant_acme.docs",
			"SELECT * FROM tenant_acme.docs FOR UPDATE",
			"DROP TABLE tenant_acme.docs",
			"ALTER TABLE tenant_acme.docs ADD COLUMN mine int",
			"INSERT INTO tenant_globex.later VALUES ('x')",
			"SELECT nextval('tenant_acme.tickets')",
			"SELECT tenant_acme.answer()",
			"CREATE TABLE tenant_acme.mine (id int)",
			"CREATE TABLE public.mine (id int)",
			"CREATE TEMPORARY TABLE mine (id int)",
			"CREATE SCHEMA mine",
			"SELECT * FROM public.leftover",
			"SELECT * FROM pg_authid",
			"SET ROLE admin_service_role",
			"SET ROLE tenant_acme",
			"CREATE ROLE mine",
			"GRANT all_tenants TO stranger",
		)
		handOnItself(t, p, reader)
		reader.mayNot(t, privilegeNotGranted, "GRANT SELECT ON tenant_acme.docs TO PUBLIC")
	}
	admin.may(t, "DROP TABLE tenant_globex.later")
}

func adminAccess(t *testing.T, p *platform, admin *session) {
	if role := admin.value(t, "SELECT current_user"); role != "admin_service_role" {
		t.Errorf("the admin's session acts as %s", role)
	}
	admin.may(t,
		// What it makes is at once the tenant's to use and the app's to read.
		"CREATE TABLE tenant_acme.fresh (id serial, body text)",
		// Roles are handed on and taken back.
		"CREATE ROLE contractor LOGIN",
		"GRANT app_service_role TO contractor",
		"REVOKE app_service_role FROM contractor",
		"GRANT tenant_acme TO contractor",
		"REVOKE tenant_acme FROM contractor",
		"DROP ROLE contractor",
		"CREATE DATABASE scratch",
		"DROP DATABASE scratch",
	)
	p.login(t, "tenant_acme").may(t, "INSERT INTO fresh (body) VALUES ('x')")
	p.login(t, "app_service_role").may(t, "SELECT * FROM tenant_acme.fresh")
	admin.may(t, "DROP TABLE tenant_acme.fresh")
	admin.mayNot(t, insufficientPrivilege,
		"ALTER SYSTEM SET log_statement = 'none'",
		"CREATE ROLE mine SUPERUSER",
		"SELECT * FROM pg_authid",
		"SELECT * FROM public.leftover",
	)
}
