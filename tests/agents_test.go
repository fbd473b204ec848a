package tests

import (
	"fmt"
	"strings"
	"testing"
)

const (
	queryCanceled     = "57014"
	undefinedFunction = "42883"
	dependentObjects  = "2BP01"
)

// An agent is a login for SQL that a model writes. It reads its tenant's data, of before and after it
// came, and whatever a hostile statement tries is refused.
func TestAgents(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		p.settings = unprotected()
		plain := object{"acme": object{}, "globex": object{}}
		p.configure(t, plain, object{})
		p.up(t)
		admin := p.login(t, "admin_service_login")
		makeTables(t, admin, "tenant_acme")
		makeTables(t, admin, "tenant_globex")
		admin.may(t,
			"CREATE MATERIALIZED VIEW tenant_acme.counts AS SELECT count(*) FROM tenant_acme.docs",
			"CREATE FUNCTION tenant_acme.wipe() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM tenant_acme.docs'",
			"CREATE TABLE tenant_acme.parts (id int) PARTITION BY RANGE (id)",
		)
		p.superuser(t, database).may(t, "CREATE ROLE stranger")
		before := p.catalog(t)

		agents := object{
			"chat":    object{"connectionLimit": 2, "statementTimeout": "1s"},
			"reports": object{"name": "acme_reports", "logins": object{"active": "a"}},
		}
		tenants := with(plain, "acme", object{"agents": agents})
		p.configure(t, tenants, object{})
		p.up(t)
		p.clean(t)
		admin.may(t, "CREATE TABLE tenant_acme.later (id serial, body text)", "CREATE TABLE tenant_acme.part PARTITION OF tenant_acme.parts DEFAULT")
		p.clean(t)
		outputs := p.outputs(t)
		if got, want := fmt.Sprint(outputs["tenant_agent_login_names"].Value), "map[acme:map[chat:tenant_acme_chat reports:acme_reports_a]]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}

		t.Run("reads", func(t *testing.T) {
			facts := p.catalog(t)
			for _, login := range []string{"tenant_acme_chat", "acme_reports_a", "acme_reports_b"} {
				agent := p.login(t, login)
				agent.may(t,
					"SELECT * FROM docs JOIN notes USING (id)", "SELECT * FROM titles", "SELECT * FROM counts", "SELECT last_value FROM tickets",
					"SELECT * FROM later", "SELECT * FROM parts", "SELECT * FROM part")
				agent.mayNot(t, insufficientPrivilege, "SELECT wipe()", "REFRESH MATERIALIZED VIEW counts", "SELECT * FROM tenant_globex.docs")
				tryToWrite(t, agent)
			}
			handOnItself(t, p, p.login(t, "tenant_acme_chat"))
			sameFacts(t, facts, p.catalog(t))
		})
		t.Run("limits", func(t *testing.T) {
			first := p.login(t, "tenant_acme_chat")
			p.login(t, "tenant_acme_chat")
			p.refuseLogin(t, "tenant_acme_chat", p.passwords(t)["tenant_acme_chat"], tooManyConnections)
			first.mayNot(t, queryCanceled, "SELECT pg_sleep(5)")
			// The timeout is a default.
			first.may(t, "SET statement_timeout = 0", "SELECT pg_sleep(1.1)")
		})
		t.Run("rotation and suspension", func(t *testing.T) {
			old := p.passwords(t)["tenant_acme_chat"]
			p.configure(t, with(tenants, "acme", object{"agents": with(agents, "chat", object{"passwordVersion": 2})}), object{})
			p.up(t)
			p.clean(t)
			p.refuseLogin(t, "tenant_acme_chat", old, invalidPassword)
			current := p.passwords(t)
			p.login(t, "tenant_acme_chat").may(t, "SELECT * FROM docs")
			p.configure(t, with(tenants, "acme", object{"agents": with(agents, "chat", object{"passwordVersion": 2, "suspended": true})}), object{})
			p.up(t)
			p.clean(t)
			p.refuseLogin(t, "tenant_acme_chat", current["tenant_acme_chat"], loginNotPermitted)
			p.login(t, "acme_reports_a").may(t, "SELECT * FROM docs")
			p.configure(t, with(tenants, "acme", object{"agents": agents, "suspended": true}), object{})
			p.up(t)
			p.refuseLogin(t, "acme_reports_a", current["acme_reports_a"], loginNotPermitted)
			p.refuseLogin(t, "tenant_acme", current["tenant_acme"], loginNotPermitted)
		})
		t.Run("the last agent leaves nothing behind", func(t *testing.T) {
			admin.may(t, "DROP TABLE tenant_acme.later, tenant_acme.part")
			p.configure(t, plain, object{})
			p.up(t)
			p.clean(t)
			sameRights(t, before, p.catalog(t))
		})
		t.Run("retirement takes agents along", func(t *testing.T) {
			p.configure(t, tenants, object{})
			p.up(t)
			passwords := p.passwords(t)
			p.configure(t, with(tenants, "acme", object{"agents": agents, "retire": "keep"}), object{})
			p.up(t)
			p.clean(t)
			p.refuseLogin(t, "tenant_acme_chat", passwords["tenant_acme_chat"], loginNotPermitted)
			for _, fact := range p.catalog(t) {
				if strings.Contains(fact, "tenant_acme_agents=") {
					t.Errorf("a retired tenant's agents have %s", fact)
				}
			}
			p.configure(t, tenants, object{})
			p.up(t)
			p.clean(t)
			p.login(t, "tenant_acme_chat").may(t, "SELECT * FROM docs")
			// A schema with data in it does not go, and the agents stay with it.
			p.configure(t, object{"globex": object{}}, object{})
			if _, err := p.tryUp(t); err == nil || !strings.Contains(err.Error(), dependentObjects) {
				t.Errorf("a schema with tables went: %v", err)
			}
			p.configure(t, tenants, object{})
			p.up(t)
			p.clean(t)
			p.login(t, "tenant_acme_chat").may(t, "SELECT * FROM docs")
			p.configure(t, with(tenants, "acme", object{"agents": agents, "retire": "drop"}), object{})
			p.up(t)
			p.configure(t, object{"globex": object{}}, object{})
			p.up(t)
			p.clean(t)
			for _, fact := range p.catalog(t) {
				if strings.Contains(fact, "acme") {
					t.Errorf("left behind: %s", fact)
				}
			}
		})
	})
}

// tryToWrite has an agent of acme try what a hostile statement would.
func tryToWrite(t *testing.T, agent *session) {
	t.Helper()
	agent.mayNot(t, insufficientPrivilege,
		"INSERT INTO docs (body) VALUES ('x')",
		"UPDATE docs SET body = 'x'",
		"DELETE FROM docs",
		"TRUNCATE docs",
		"WITH gone AS (DELETE FROM docs RETURNING *) SELECT * FROM gone",
		"SELECT 1; DELETE FROM docs",
		"SELECT * FROM docs FOR UPDATE",
		"SELECT * FROM docs FOR KEY SHARE",
		"SELECT 1; LOCK TABLE docs IN SHARE MODE",
		"SELECT nextval('tickets')",
		"SELECT setval('tickets', 1)",
		"SELECT answer()",
		"CREATE TABLE mine (id int)",
		"CREATE TEMPORARY TABLE mine (id int)",
		"SELECT * INTO mine FROM docs",
		"CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
		"CREATE SCHEMA mine",
		"CREATE EXTENSION dblink",
		"DROP TABLE docs",
		"ALTER TABLE docs ADD COLUMN mine int",
		"COPY docs TO PROGRAM 'cat'",
		"COPY docs TO '/tmp/docs'",
		"COPY docs FROM PROGRAM 'echo'",
		"SELECT lo_import('/etc/passwd')",
		"SELECT lo_export(1, '/tmp/x')",
		"SELECT pg_read_file('postgresql.conf')",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'admin_service_login'",
		"SELECT * FROM pg_authid",
		"SET ROLE tenant_acme",
		"SET ROLE app_service_role",
		"SET ROLE admin_service_role",
		"SET SESSION AUTHORIZATION tenant_acme",
		"GRANT tenant_acme_agents TO stranger",
		"ALTER ROLE tenant_acme PASSWORD 'x'",
		"ALTER ROLE tenant_acme_chat CREATEROLE",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin_service_role GRANT ALL ON TABLES TO tenant_acme_agents",
		"ALTER SYSTEM SET log_statement = 'none'",
	)
	agent.may(t, "SET default_transaction_read_only = off", "BEGIN READ ONLY", "SET TRANSACTION READ WRITE")
	agent.mayNot(t, insufficientPrivilege, "INSERT INTO docs (body) VALUES ('x')")
	agent.may(t, "ROLLBACK")
	// PostgreSQL lets every role make large objects of its own, which nobody else can read.
	agent.may(t, "SELECT lo_unlink(lo_create(0))")
	agent.mayNot(t, undefinedFunction, "SELECT dblink_exec('dbname=x', 'DELETE FROM docs')")
	agent.mayNot(t, privilegeNotGranted, "GRANT SELECT ON docs TO PUBLIC", "GRANT USAGE ON SCHEMA tenant_acme TO stranger")
}
