package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tenant-permissions/dev/postgres"
	"tenant-permissions/tools/connect"
)

// features are the outputs of a stack with agents, an extension, limits, a reader that expires, and a
// tenant with a database of its own.
func features() string {
	return stack(func(o record) {
		o["tenant_role_names"], o["tenant_login_names"] = record{"acme": "tenant_acme", "globex": "tenant_globex"}, record{"acme": "tenant_acme", "globex": "tenant_globex_a"}
		o["tenant_schema_names"] = record{"acme": "tenant_acme", "globex": "tenant_globex", "umbrella": "umbrella"}
		o["retired_role_names"] = record{"umbrella": "tenant_umbrella"}
		o["tenant_database_names"] = record{"acme": "acme_db", "globex": "postgres", "umbrella": "postgres"}
		o["tenant_agent_login_names"] = record{"acme": record{"chat": "acme_chat"}, "globex": record{"chat": "globex_chat"}}
		o["tenant_agents_role_names"] = record{"acme": "tenant_acme_agents", "globex": "tenant_globex_agents"}
		o["role_names"], o["login_names"] = record{"app": "app", "admin": "admin", "oncall": "oncall"}, record{"app": "app_a", "admin": "admin_login", "oncall": "oncall"}
		o["extension_schema_name"], o["extension_versions"] = "extensions", record{"cube": ""}
		limit := func(connections, statement int) record {
			return record{"connectionLimit": connections, "statementTimeout": statement, "idleInTransactionSessionTimeout": 0}
		}
		oncall := limit(-1, 0)
		oncall["validUntil"] = "2099-01-01T00:00:00Z"
		o["login_limits"] = record{"globex_chat": limit(3, 15000), "umbrella_chat": limit(-1, 0), "oncall": oncall, "tenant_globex": limit(-1, 0), "tenant_acme": limit(-1, 0)}
	})
}

// closed are the statements that make a database one of the stack, with the schema of a tenant.
func closed(database, schema, connects string) []string {
	return []string{
		"REVOKE ALL ON DATABASE " + database + " FROM PUBLIC", "GRANT CONNECT ON DATABASE " + database + " TO app, auditor, " + connects,
		"GRANT CONNECT, CREATE ON DATABASE " + database + " TO admin", "REVOKE ALL ON SCHEMA public FROM PUBLIC",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin GRANT USAGE ON SCHEMAS TO app", "ALTER DEFAULT PRIVILEGES FOR ROLE admin GRANT SELECT ON TABLES TO app",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin GRANT SELECT ON SEQUENCES TO app", "ALTER DEFAULT PRIVILEGES FOR ROLE admin REVOKE ALL ON FUNCTIONS FROM PUBLIC",
		"SET ROLE admin", "CREATE SCHEMA extensions", "GRANT USAGE ON SCHEMA extensions TO " + connects,
		"CREATE SCHEMA " + schema, "GRANT USAGE ON SCHEMA " + schema + " TO " + schema,
		"ALTER DEFAULT PRIVILEGES IN SCHEMA " + schema + " GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO " + schema,
		"ALTER DEFAULT PRIVILEGES IN SCHEMA " + schema + " GRANT USAGE, SELECT ON SEQUENCES TO " + schema,
		"CREATE TABLE " + schema + ".docs (id int)", "RESET ROLE", "CREATE EXTENSION cube SCHEMA extensions",
	}
}

// deployFeatures makes the server what features says. It returns superusers of the stack's database and of the
// tenant's.
func deployFeatures(t *testing.T) (server *postgres.Server, shared, own *pgx.Conn) {
	t.Helper()
	server, shared = newServer(t)
	execute(t, shared, "CREATE ROLE auditor LOGIN PASSWORD 'auditor-password'", "CREATE ROLE stranger LOGIN", "CREATE ROLE friend IN ROLE stranger",
		"CREATE ROLE app LOGIN", "ALTER ROLE app SET search_path TO pg_catalog, extensions", "CREATE ROLE admin CREATEROLE",
		"CREATE ROLE admin_login LOGIN IN ROLE admin", "ALTER ROLE admin_login SET role TO admin", "ALTER ROLE admin_login SET search_path TO pg_catalog, extensions",
		"CREATE ROLE everyone", "CREATE ROLE everyone_admin NOINHERIT", "GRANT app TO admin WITH ADMIN OPTION", "GRANT everyone_admin TO admin",
		"CREATE ROLE oncall LOGIN IN ROLE app VALID UNTIL '2099-01-01 00:00:00Z'", "ALTER ROLE oncall SET search_path TO pg_catalog, extensions",
		"CREATE ROLE tenant_globex LOGIN IN ROLE everyone", "CREATE ROLE tenant_globex_agents", "CREATE ROLE globex_chat LOGIN CONNECTION LIMIT 3 IN ROLE everyone, tenant_globex_agents",
		"CREATE ROLE app_a LOGIN IN ROLE app", "CREATE ROLE app_b LOGIN IN ROLE app", "ALTER ROLE app_a SET role TO app", "ALTER ROLE app_b SET role TO app",
		"ALTER ROLE app_a SET search_path TO pg_catalog, extensions", "ALTER ROLE app_b SET search_path TO pg_catalog, extensions",
		"CREATE ROLE tenant_globex_a LOGIN IN ROLE tenant_globex", "CREATE ROLE tenant_globex_b LOGIN IN ROLE tenant_globex", "ALTER ROLE tenant_globex_a SET role TO tenant_globex", "ALTER ROLE tenant_globex_b SET role TO tenant_globex",
		"ALTER ROLE tenant_globex_a SET search_path TO tenant_globex, extensions", "ALTER ROLE tenant_globex_b SET search_path TO tenant_globex, extensions",
		"CREATE ROLE umbrella", "CREATE ROLE tenant_acme_agents", "CREATE ROLE acme_chat LOGIN IN ROLE tenant_acme_agents", "ALTER ROLE acme_chat SET search_path TO tenant_acme, extensions",
		"CREATE ROLE tenant_umbrella IN ROLE everyone", "CREATE ROLE tenant_umbrella_agents", "CREATE ROLE umbrella_chat IN ROLE everyone, tenant_umbrella_agents", "CREATE ROLE tenant_acme LOGIN",
		"GRANT tenant_globex, tenant_umbrella, tenant_acme TO everyone_admin WITH ADMIN OPTION",
		"ALTER ROLE tenant_globex SET search_path TO tenant_globex, extensions", "ALTER ROLE globex_chat SET search_path TO tenant_globex, extensions", "ALTER ROLE globex_chat SET statement_timeout TO 15000",
		"ALTER ROLE tenant_umbrella SET search_path TO umbrella, extensions", "ALTER ROLE umbrella_chat SET search_path TO umbrella, extensions", "ALTER ROLE tenant_acme SET search_path TO tenant_acme, extensions",
		"CREATE DATABASE acme_db")
	execute(t, shared, closed("postgres", "tenant_globex", "everyone")...)
	execute(t, shared, "CREATE SCHEMA umbrella AUTHORIZATION admin", "GRANT USAGE ON SCHEMA umbrella TO app",
		"GRANT USAGE ON SCHEMA tenant_globex TO tenant_globex_agents", "GRANT SELECT ON tenant_globex.docs TO tenant_globex_agents",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin IN SCHEMA tenant_globex GRANT SELECT ON TABLES TO tenant_globex_agents",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin IN SCHEMA tenant_globex GRANT SELECT ON SEQUENCES TO tenant_globex_agents",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin IN SCHEMA tenant_globex GRANT EXECUTE ON FUNCTIONS TO tenant_globex") // executeFunctions
	own, err := pgx.Connect(t.Context(), server.DSN(server.User, server.Password, "acme_db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	execute(t, own, closed("acme_db", "tenant_acme", "tenant_acme, tenant_acme_agents")...)
	execute(t, own, "GRANT USAGE ON SCHEMA tenant_acme TO tenant_acme_agents", "GRANT SELECT ON tenant_acme.docs TO tenant_acme_agents",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin IN SCHEMA tenant_acme GRANT SELECT ON TABLES TO tenant_acme_agents",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin IN SCHEMA tenant_acme GRANT SELECT ON SEQUENCES TO tenant_acme_agents")
	for name, value := range map[string]string{
		"PGHOST": server.Host, "PGPORT": fmt.Sprint(server.Port), "PGUSER": "auditor", "PGPASSWORD": "auditor-password", "PGSSLMODE": "disable",
	} {
		t.Setenv(name, value)
	}
	return server, shared, own
}

// reportOf is the report of an audit.
func reportOf(t *testing.T) (report Report) {
	t.Helper()
	var out strings.Builder
	if err := Run(t.Context(), fromStdin(features()), "json", &out); err != nil && !errors.Is(err, ErrViolations) {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out.String()), &report); err != nil {
		t.Fatal(err)
	}
	return report
}

// found are what a report has: violations, and notes that the word note precedes. Each is its rule, tenant,
// subject, object, and the database if it is a tenant's. What is noted before PostgreSQL 16 only is left out.
func found(report Report) (names []string, findings []Finding) {
	add := func(kind string, all []Finding) {
		for _, f := range all {
			if f.Rule == ruleCreateRole || f.Rule == ruleOwnRole {
				continue
			}
			name := kind + strings.Join([]string{f.Rule, f.Tenant, f.Subject, f.Object}, "|")
			if f.Database != "" {
				name += " in " + f.Database
			}
			names, findings = append(names, name), append(findings, f)
		}
	}
	add("", report.Violations)
	add("note ", report.Notes)
	return names, findings
}

// damage is what somebody changes in a database, and what is found of it.
type damage struct {
	in       *pgx.Conn
	do, undo string
	want     string // what is found besides, and after "no " what is found no longer
}

// baseDamages are those of what every stack has.
func baseDamages(shared, own *pgx.Conn, superuser string) []damage {
	const defaults = "ALTER DEFAULT PRIVILEGES FOR ROLE admin "
	inGlobex := defaults + "IN SCHEMA tenant_globex "
	util := "CREATE SCHEMA util; CREATE FUNCTION util.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1'; REVOKE ALL ON FUNCTION util.f() FROM PUBLIC; "
	ofGlobex := "CREATE FUNCTION tenant_globex.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'; ALTER FUNCTION tenant_globex.f() OWNER TO admin; REVOKE ALL ON FUNCTION tenant_globex.f() FROM PUBLIC, tenant_globex; "
	view := "CREATE SCHEMA util; CREATE VIEW util.v AS SELECT FROM tenant_globex.docs; "
	dropUtil, dropF := "DROP SCHEMA util CASCADE", "DROP FUNCTION tenant_globex.f()"
	deployer := "CREATE ROLE deployer IN ROLE admin; ALTER DATABASE postgres OWNER TO deployer; "
	noDeployer := "; ALTER DATABASE postgres OWNER TO " + superuser + "; DROP ROLE deployer"
	return []damage{
		// Databases.
		{shared, "REVOKE CONNECT ON DATABASE postgres FROM everyone, app, admin", "GRANT CONNECT ON DATABASE postgres TO everyone, app, admin", "admin-cannot-connect||admin|postgres\napp-cannot-read||app|postgres\ntenant-cannot-use||everyone|postgres"},
		{shared, "ALTER ROLE admin SUPERUSER NOCREATEROLE; REVOKE CONNECT ON DATABASE postgres FROM admin", "ALTER ROLE admin NOSUPERUSER CREATEROLE; GRANT CONNECT ON DATABASE postgres TO admin", "note superuser||admin|"},
		{own, "REVOKE CONNECT ON DATABASE acme_db FROM tenant_acme, tenant_acme_agents", "GRANT CONNECT ON DATABASE acme_db TO tenant_acme, tenant_acme_agents", "tenant-cannot-use|acme|tenant_acme|acme_db in acme_db\ntenant-cannot-use|acme|tenant_acme_agents|acme_db in acme_db"},
		{shared, "GRANT CONNECT ON DATABASE postgres TO tenant_acme", "REVOKE CONNECT ON DATABASE postgres FROM tenant_acme", "connect-unexpected|acme|tenant_acme|postgres"},
		{shared, "GRANT CONNECT ON DATABASE postgres TO tenant_globex, umbrella, oncall", "REVOKE CONNECT ON DATABASE postgres FROM tenant_globex, umbrella, oncall", ""},
		{own, "GRANT CONNECT ON DATABASE acme_db TO acme_chat, oncall", "REVOKE CONNECT ON DATABASE acme_db FROM acme_chat, oncall", ""},
		{own, "GRANT CONNECT ON DATABASE acme_db TO everyone, umbrella", "REVOKE CONNECT ON DATABASE acme_db FROM everyone, umbrella", "connect-unexpected||everyone|acme_db in acme_db\nconnect-unexpected||umbrella|acme_db in acme_db"},
		{shared, "GRANT TEMPORARY ON DATABASE postgres TO stranger, oncall, umbrella, tenant_acme, app", "REVOKE TEMPORARY ON DATABASE postgres FROM stranger, oncall, umbrella, tenant_acme, app", "app-writes||app|postgres\napp-writes||oncall|postgres\nprivilege-unexpected||umbrella|postgres\ntenant-temporary|acme|tenant_acme|postgres"},
		{shared, "ALTER DATABASE postgres OWNER TO admin", "ALTER DATABASE postgres OWNER TO " + superuser + "; GRANT CONNECT, CREATE ON DATABASE postgres TO admin", ""},
		{shared, deployer, noDeployer[1:], "note deployer||deployer|"},
		{shared, deployer + "GRANT deployer TO stranger", noDeployer[1:], "other-role-reaches-tenant||friend|tenant_globex\nother-role-reaches-tenant||friend|tenant_acme in acme_db\nother-role-reaches-tenant||stranger|tenant_globex\nother-role-reaches-tenant||stranger|tenant_acme in acme_db\nnote deployer||deployer|"},
		{own, "CREATE ROLE deployer; ALTER DATABASE postgres OWNER TO deployer; GRANT deployer TO stranger; ALTER DATABASE acme_db OWNER TO stranger", "ALTER DATABASE acme_db OWNER TO " + superuser + noDeployer, "note deployer||deployer|"},
		{own, deployer + "ALTER DATABASE acme_db OWNER TO deployer", "ALTER DATABASE acme_db OWNER TO " + superuser + noDeployer, "note deployer||deployer|"},
		{shared, "CREATE ROLE deployer; ALTER DATABASE postgres OWNER TO deployer; CREATE SCHEMA util; GRANT USAGE ON SCHEMA util TO app; CREATE FUNCTION util.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1'; ALTER FUNCTION util.f() OWNER TO deployer", dropUtil + noDeployer, "security-definer||PUBLIC|util.f()\nnote deployer||deployer|"},
		{own, "GRANT " + superuser + " TO stranger; ALTER DATABASE acme_db OWNER TO stranger", "ALTER DATABASE acme_db OWNER TO " + superuser + "; REVOKE " + superuser + " FROM stranger", "database-owner|acme|stranger|acme_db in acme_db\nother-role-reaches-tenant||stranger|postgres"},
		{own, "CREATE ROLE deployer; ALTER DATABASE postgres OWNER TO deployer; ALTER DATABASE acme_db OWNER TO stranger", "ALTER DATABASE acme_db OWNER TO " + superuser + noDeployer, "database-owner|acme|stranger|acme_db in acme_db\nnote deployer||deployer|"},
		{own, "GRANT TEMPORARY ON DATABASE acme_db TO stranger", "REVOKE TEMPORARY ON DATABASE acme_db FROM stranger", ""},
		{shared, "GRANT CONNECT ON DATABASE postgres TO PUBLIC; GRANT USAGE ON SCHEMA public TO PUBLIC", "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC; REVOKE USAGE ON SCHEMA public FROM PUBLIC", "public-on-database||PUBLIC|postgres\npublic-on-schema-public||PUBLIC|public"},
		// Schemas, and what is in them.
		{shared, "CREATE SCHEMA util; GRANT CREATE, USAGE ON SCHEMA util TO PUBLIC", dropUtil, "tenant-creates||PUBLIC|util"},
		{shared, "GRANT UPDATE (id) ON tenant_globex.docs TO oncall; GRANT SELECT ON tenant_globex.docs TO tenant_globex_a", "REVOKE UPDATE (id) ON tenant_globex.docs FROM oncall; REVOKE SELECT ON tenant_globex.docs FROM tenant_globex_a", "app-writes|globex|oncall|tenant_globex"},
		{shared, "SET ROLE admin; CREATE TABLE tenant_globex.more (); RESET ROLE; REVOKE SELECT ON ALL TABLES IN SCHEMA tenant_globex FROM app", "DROP TABLE tenant_globex.more; GRANT SELECT ON tenant_globex.docs TO app", "app-cannot-read|globex|app|tenant_globex"},
		{shared, view + "GRANT SELECT ON tenant_globex.docs TO stranger; ALTER VIEW util.v OWNER TO stranger; GRANT SELECT ON util.v TO app", dropUtil + "; REVOKE SELECT ON tenant_globex.docs FROM stranger", "other-role-reaches-tenant|globex|stranger|tenant_globex"},
		{shared, view + "ALTER ROLE tenant_acme SUPERUSER; ALTER VIEW util.v OWNER TO tenant_acme; GRANT SELECT ON util.v TO stranger", dropUtil + "; ALTER ROLE tenant_acme NOSUPERUSER", "other-role-reaches-tenant||stranger|util.v\ntenant-attribute|acme|tenant_acme|"},
		{shared, view + "CREATE ROLE deployer; ALTER DATABASE postgres OWNER TO deployer; ALTER VIEW util.v OWNER TO deployer; GRANT SELECT ON util.v TO stranger", dropUtil + noDeployer, "other-role-reaches-tenant||stranger|util.v\nnote deployer||deployer|"},
		{own, "ALTER SCHEMA tenant_acme RENAME TO other", "ALTER SCHEMA other RENAME TO tenant_acme", "schema-missing|acme||tenant_acme in acme_db\nschema-unknown|||other in acme_db"},
		{shared, "ALTER SCHEMA tenant_globex RENAME TO other; GRANT stranger TO tenant_acme", "ALTER SCHEMA other RENAME TO tenant_globex; REVOKE stranger FROM tenant_acme", "membership-unexpected|acme|tenant_acme|stranger\nschema-missing|globex||tenant_globex\nschema-unknown|||other"},
		{shared, "ALTER SCHEMA tenant_globex OWNER TO stranger; REVOKE USAGE ON SCHEMA tenant_globex FROM tenant_globex", "ALTER SCHEMA tenant_globex OWNER TO admin; GRANT USAGE ON SCHEMA tenant_globex TO tenant_globex", "schema-owner|globex|stranger|tenant_globex\ntenant-cannot-use|globex|tenant_globex|tenant_globex"},
		{shared, "ALTER SCHEMA extensions OWNER TO stranger", "ALTER SCHEMA extensions OWNER TO admin", "extension-schema||stranger|extensions"},
		{shared, "ALTER SCHEMA extensions OWNER TO " + superuser + "; ALTER SCHEMA public OWNER TO admin", "ALTER SCHEMA extensions OWNER TO admin; ALTER SCHEMA public OWNER TO " + superuser, ""},
		{shared, "CREATE SCHEMA tenant_acme AUTHORIZATION admin; GRANT USAGE ON SCHEMA tenant_acme TO app; SET ROLE admin; CREATE TABLE tenant_acme.old (); RESET ROLE", "DROP SCHEMA tenant_acme CASCADE", "note schema-left|acme||tenant_acme"},
		{shared, "CREATE TABLE tenant_globex.own (); ALTER TABLE tenant_globex.own OWNER TO globex_chat", "DROP TABLE tenant_globex.own", "tenant-owns|globex|globex_chat|table tenant_globex.own"},
		{shared, "CREATE TABLE tenant_globex.own (); ALTER TABLE tenant_globex.own OWNER TO tenant_globex_agents", "DROP TABLE tenant_globex.own", "tenant-owns|globex|tenant_globex_agents|table tenant_globex.own"},
		{shared, "CREATE TABLE tenant_globex.own (); ALTER TABLE tenant_globex.own OWNER TO tenant_globex_a", "DROP TABLE tenant_globex.own", "tenant-owns|globex|tenant_globex_a|table tenant_globex.own"},
		{shared, "CREATE TABLE tenant_globex.own (); ALTER TABLE tenant_globex.own OWNER TO everyone", "DROP TABLE tenant_globex.own", "tenant-owns||everyone|table tenant_globex.own"},
		{shared, "CREATE TABLE tenant_globex.own (); ALTER TABLE tenant_globex.own OWNER TO app", "DROP TABLE tenant_globex.own", "app-writes||app|table tenant_globex.own"},
		{shared, "CREATE TABLE tenant_globex.own (); ALTER TABLE tenant_globex.own OWNER TO oncall", "DROP TABLE tenant_globex.own", "app-writes||oncall|table tenant_globex.own"},
		{shared, "REVOKE SELECT ON tenant_globex.docs FROM tenant_globex, tenant_globex_agents, app; GRANT SELECT (id) ON tenant_globex.docs TO tenant_globex", "REVOKE SELECT (id) ON tenant_globex.docs FROM tenant_globex; GRANT SELECT ON tenant_globex.docs TO tenant_globex, tenant_globex_agents, app", "app-cannot-read|globex|app|tenant_globex\ntenant-cannot-use|globex|tenant_globex|tenant_globex\ntenant-cannot-use|globex|tenant_globex_agents|tenant_globex"},
		{shared, "REVOKE USAGE ON SCHEMA tenant_globex FROM tenant_globex; GRANT USAGE ON SCHEMA tenant_globex TO PUBLIC", "GRANT USAGE ON SCHEMA tenant_globex TO tenant_globex; REVOKE USAGE ON SCHEMA tenant_globex FROM PUBLIC", "public-on-tenant-schema|globex|PUBLIC|tenant_globex"},
		{shared, "GRANT USAGE ON SCHEMA tenant_globex TO stranger", "REVOKE USAGE ON SCHEMA tenant_globex FROM stranger", "other-role-reaches-tenant|globex|stranger|tenant_globex"},
		{shared, "GRANT SELECT ON tenant_globex.docs TO stranger WITH GRANT OPTION", "REVOKE SELECT ON tenant_globex.docs FROM stranger", "other-role-reaches-tenant|globex|stranger|tenant_globex"},
		{shared, "GRANT SELECT ON tenant_globex.docs TO tenant_globex WITH GRANT OPTION", "REVOKE GRANT OPTION FOR SELECT ON tenant_globex.docs FROM tenant_globex", "grant-option|globex|tenant_globex|tenant_globex"},
		{shared, "GRANT INSERT ON tenant_globex.docs TO app, oncall", "REVOKE INSERT ON tenant_globex.docs FROM app, oncall", "app-writes|globex|app|tenant_globex\napp-writes|globex|oncall|tenant_globex"},
		{shared, "GRANT USAGE ON SCHEMA umbrella TO tenant_globex", "REVOKE USAGE ON SCHEMA umbrella FROM tenant_globex", "tenant-reaches-tenant|globex|tenant_globex|umbrella"}, // not its logins too
		{shared, "GRANT USAGE ON SCHEMA umbrella TO tenant_globex_a", "REVOKE USAGE ON SCHEMA umbrella FROM tenant_globex_a", "tenant-reaches-tenant|globex|tenant_globex_a|umbrella"},
		{shared, "SET ROLE admin; CREATE TABLE umbrella.t (); CREATE VIEW tenant_globex.v AS SELECT FROM umbrella.t; RESET ROLE; REVOKE ALL ON tenant_globex.v FROM app, tenant_globex, tenant_globex_agents", "DROP TABLE umbrella.t CASCADE", "app-cannot-read|globex|app|tenant_globex"},
		{shared, view + "GRANT SELECT ON util.v TO tenant_globex, tenant_globex_agents, app", dropUtil, ""},
		{shared, view + "GRANT SELECT, INSERT ON util.v TO stranger", dropUtil, "other-role-reaches-tenant||stranger|util.v"},
		{shared, view + "GRANT SELECT ON util.v TO pg_monitor", dropUtil, "other-role-reaches-tenant||pg_monitor|util.v"},
		{shared, view + "GRANT SELECT ON util.v TO PUBLIC", dropUtil, "tenant-reaches-tenant||PUBLIC|util.v"},
		{shared, view + "ALTER VIEW util.v OWNER TO stranger; GRANT SELECT ON util.v TO tenant_acme", dropUtil, ""},
		{shared, view + "ALTER VIEW util.v OWNER TO app; GRANT SELECT ON util.v TO tenant_acme", dropUtil, "app-writes||app|view util.v\ntenant-reaches-tenant|acme|tenant_acme|util.v"},
		// Default privileges.
		{shared, inGlobex + "GRANT USAGE ON TYPES TO tenant_globex", inGlobex + "REVOKE USAGE ON TYPES FROM tenant_globex", "default-privileges-extra||tenant_globex|tenant_globex"},
		{shared, inGlobex + "GRANT EXECUTE ON FUNCTIONS TO tenant_globex WITH GRANT OPTION", inGlobex + "REVOKE GRANT OPTION FOR EXECUTE ON FUNCTIONS FROM tenant_globex", "default-privileges-extra||tenant_globex|tenant_globex"},
		{shared, inGlobex + "GRANT EXECUTE ON FUNCTIONS TO app, PUBLIC", inGlobex + "REVOKE EXECUTE ON FUNCTIONS FROM app, PUBLIC", "default-privileges-extra||PUBLIC|tenant_globex\ndefault-privileges-extra||app|tenant_globex"},
		{shared, inGlobex + "GRANT SELECT ON TABLES TO tenant_globex WITH GRANT OPTION", inGlobex + "REVOKE GRANT OPTION FOR SELECT ON TABLES FROM tenant_globex", "default-privileges-extra||tenant_globex|tenant_globex"},
		{shared, defaults + "GRANT EXECUTE ON FUNCTIONS TO tenant_globex; " + defaults + "GRANT USAGE ON TYPES TO app", defaults + "REVOKE EXECUTE ON FUNCTIONS FROM tenant_globex; " + defaults + "REVOKE USAGE ON TYPES FROM app", "default-privileges-extra||app|all schemas\ndefault-privileges-extra||tenant_globex|all schemas"},
		{shared, defaults + "GRANT EXECUTE ON FUNCTIONS TO PUBLIC", defaults + "REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC", "public-on-functions||PUBLIC|all schemas"},
		{shared, defaults + "GRANT EXECUTE ON FUNCTIONS TO PUBLIC, app", defaults + "REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC, app", "default-privileges-extra||app|all schemas\npublic-on-functions||PUBLIC|all schemas"},
		{shared, "ALTER DEFAULT PRIVILEGES FOR ROLE tenant_globex IN SCHEMA tenant_globex GRANT SELECT ON TABLES TO PUBLIC", "ALTER DEFAULT PRIVILEGES FOR ROLE tenant_globex IN SCHEMA tenant_globex REVOKE SELECT ON TABLES FROM PUBLIC", "default-privileges-extra|globex|tenant_globex|tenant_globex"},
		{shared, defaults + "GRANT UPDATE ON SEQUENCES TO app; " + defaults + "GRANT CREATE ON SCHEMAS TO oncall", defaults + "REVOKE UPDATE ON SEQUENCES FROM app; " + defaults + "REVOKE CREATE ON SCHEMAS FROM oncall", "default-privileges-extra||app|all schemas\ndefault-privileges-extra||oncall|all schemas"},
		{shared, defaults + "GRANT SELECT ON TABLES TO PUBLIC", defaults + "REVOKE SELECT ON TABLES FROM PUBLIC", "default-privileges-extra||PUBLIC|all schemas"},
		{shared, inGlobex + "REVOKE SELECT ON TABLES FROM tenant_globex", inGlobex + "GRANT SELECT ON TABLES TO tenant_globex", "default-privileges-missing|globex|tenant_globex|tenant_globex"},
		{shared, "ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO oncall", "ALTER DEFAULT PRIVILEGES FOR ROLE app REVOKE SELECT ON TABLES FROM oncall", "default-privileges-extra||app|"},
		// Functions.
		{own, util + "ALTER FUNCTION util.f() OWNER TO stranger; GRANT USAGE ON SCHEMA util TO tenant_acme; GRANT EXECUTE ON FUNCTION util.f() TO tenant_acme", dropUtil, "note security-definer||tenant_acme|util.f() in acme_db"},
		{shared, "ALTER ROLE admin RENAME TO gone; " + util + "ALTER FUNCTION util.f() OWNER TO stranger; GRANT USAGE ON SCHEMA util TO app; GRANT EXECUTE ON FUNCTION util.f() TO app", dropUtil + "; ALTER ROLE gone RENAME TO admin", "membership-unexpected||admin_login|gone\nmembership-unexpected||gone|app\nrole-missing||admin|\nrole-unknown||gone|gone is a member of everyone_admin\nnote connect-unexpected||gone|acme_db\nnote security-definer||app|util.f()"},
		{shared, util + "GRANT USAGE ON SCHEMA util TO PUBLIC; GRANT EXECUTE ON FUNCTION util.f() TO PUBLIC", dropUtil, "security-definer||PUBLIC|util.f()"},
		{shared, util + "GRANT USAGE ON SCHEMA util TO PUBLIC; GRANT EXECUTE ON FUNCTION util.f() TO app, admin_login", dropUtil, "security-definer||app|util.f()"},
		{shared, util + "GRANT USAGE ON SCHEMA util TO app; GRANT EXECUTE ON FUNCTION util.f() TO app", dropUtil, "security-definer||app|util.f()"},
		{shared, util + "GRANT CREATE ON SCHEMA util TO tenant_globex; GRANT EXECUTE ON FUNCTION util.f() TO app, PUBLIC", dropUtil, "tenant-creates|globex|tenant_globex|util"},
		{shared, util + "ALTER SCHEMA util OWNER TO tenant_globex; REVOKE ALL ON SCHEMA util FROM tenant_globex; GRANT EXECUTE ON FUNCTION util.f() TO PUBLIC", dropUtil, "security-definer||PUBLIC|util.f()\ntenant-owns|globex|tenant_globex|schema util"},
		{shared, util + "ALTER FUNCTION util.f() OWNER TO stranger; GRANT admin TO stranger; GRANT USAGE ON SCHEMA util TO app; GRANT EXECUTE ON FUNCTION util.f() TO app", dropUtil + "; REVOKE admin FROM stranger", "membership-unexpected||stranger|admin\nsecurity-definer||app|util.f()"},
		{shared, util + "ALTER FUNCTION util.f() RESET search_path; ALTER FUNCTION util.f() OWNER TO stranger; GRANT USAGE ON SCHEMA util TO app; GRANT EXECUTE ON FUNCTION util.f() TO app", dropUtil, "security-definer||app|util.f()"},
		{shared, ofGlobex + "GRANT EXECUTE ON FUNCTION tenant_globex.f() TO admin_login", dropF, ""},
		{shared, ofGlobex + "GRANT EXECUTE ON FUNCTION tenant_globex.f() TO stranger", dropF, "other-role-reaches-tenant|globex|stranger|tenant_globex\nsecurity-definer|globex|stranger|tenant_globex.f()"},
		{shared, ofGlobex + "ALTER FUNCTION tenant_globex.f() OWNER TO stranger", dropF, "object-owner|globex|stranger|tenant_globex.f()"},
		// Extensions, limits and settings.
		{shared, "DROP EXTENSION cube", "CREATE EXTENSION cube SCHEMA extensions", "extension|||cube"},
		{shared, "ALTER EXTENSION cube SET SCHEMA public", "ALTER EXTENSION cube SET SCHEMA extensions", "extension|||cube"},
		{shared, "REVOKE USAGE ON SCHEMA extensions FROM everyone, app", "GRANT USAGE ON SCHEMA extensions TO everyone, app", "extension-schema||app|extensions\nextension-schema||everyone|extensions"},
		{own, "REVOKE USAGE ON SCHEMA extensions FROM tenant_acme_agents", "GRANT USAGE ON SCHEMA extensions TO tenant_acme_agents", "extension-schema|acme|tenant_acme_agents|extensions in acme_db"},
		{shared, "ALTER ROLE globex_chat CONNECTION LIMIT 9; ALTER ROLE oncall VALID UNTIL 'infinity'", "ALTER ROLE globex_chat CONNECTION LIMIT 3; ALTER ROLE oncall VALID UNTIL '2099-01-01 00:00:00Z'", "expiry||oncall|\nnote limit|globex|globex_chat|"},
		{shared, "ALTER ROLE oncall RENAME TO gone", "ALTER ROLE gone RENAME TO oncall", "membership-unexpected||gone|app\nrole-missing||oncall|"},
		{shared, "ALTER ROLE stranger SET search_path TO x; ALTER ROLE app SET idle_in_transaction_session_timeout TO 1; ALTER ROLE app SET statement_timeout TO '1min'", "ALTER ROLE stranger RESET ALL; ALTER ROLE app RESET idle_in_transaction_session_timeout; ALTER ROLE app RESET statement_timeout", "setting-stops-runs||app|statement_timeout"},
		{shared, "ALTER ROLE app IN DATABASE postgres SET statement_timeout TO 1; ALTER ROLE globex_chat IN DATABASE postgres SET search_path TO tenant_globex, extensions", "ALTER ROLE app IN DATABASE postgres RESET ALL; ALTER ROLE globex_chat IN DATABASE postgres RESET ALL", "note setting||app|statement_timeout\nnote setting|globex|globex_chat|search_path"},
		{shared, "ALTER ROLE globex_chat SET application_name TO ''; ALTER ROLE tenant_globex SET statement_timeout TO 5; ALTER ROLE tenant_globex RESET search_path", "ALTER ROLE globex_chat RESET application_name; ALTER ROLE tenant_globex RESET statement_timeout; ALTER ROLE tenant_globex SET search_path TO tenant_globex, extensions", "note setting|globex|globex_chat|application_name\nnote setting|globex|tenant_globex|search_path\nnote setting|globex|tenant_globex|statement_timeout"},
		{shared, `ALTER ROLE globex_chat SET application_name TO 'a\b'; ALTER ROLE app IN DATABASE postgres SET application_name TO 'a\b'`, "ALTER ROLE globex_chat RESET application_name; ALTER ROLE app IN DATABASE postgres RESET ALL", "setting-stops-runs|globex|globex_chat|application_name\nnote setting||app|application_name"},
		{shared, "ALTER ROLE admin_login SET role TO stranger", "ALTER ROLE admin_login SET role TO admin", "setting-other-role||admin_login|role"},
		// Attributes and memberships.
		{shared, "ALTER ROLE admin CREATEDB BYPASSRLS; ALTER ROLE app BYPASSRLS; ALTER ROLE app_a BYPASSRLS", "ALTER ROLE admin NOCREATEDB NOBYPASSRLS; ALTER ROLE app NOBYPASSRLS; ALTER ROLE app_a NOBYPASSRLS", "app-attribute||app_a|\nnote admin-attribute||admin|\nnote app-attribute||app|"},
		{shared, "ALTER ROLE app CREATEDB; ALTER ROLE oncall CREATEDB; ALTER ROLE tenant_globex CREATEROLE REPLICATION", "ALTER ROLE app NOCREATEDB; ALTER ROLE oncall NOCREATEDB; ALTER ROLE tenant_globex NOCREATEROLE NOREPLICATION", "app-attribute||app|\napp-attribute||oncall|\ntenant-attribute|globex|tenant_globex|"},
		{shared, "ALTER ROLE app SUPERUSER; REVOKE CONNECT ON DATABASE postgres FROM app", "ALTER ROLE app NOSUPERUSER; GRANT CONNECT ON DATABASE postgres TO app", "app-attribute||app|"},
		{shared, "GRANT " + superuser + " TO tenant_globex", "REVOKE " + superuser + " FROM tenant_globex", "tenant-reaches-tenant|globex|tenant_globex|" + superuser},
		{shared, "GRANT pg_read_all_data TO stranger, tenant_globex", "REVOKE pg_read_all_data FROM stranger, tenant_globex", "other-role-reaches-tenant||stranger|pg_read_all_data\ntenant-reaches-tenant|globex|tenant_globex|pg_read_all_data"},
		{shared, "GRANT everyone TO tenant_globex WITH ADMIN OPTION", "REVOKE ADMIN OPTION FOR everyone FROM tenant_globex", "tenant-admin-option|globex|tenant_globex|everyone"},
		{shared, "GRANT everyone TO stranger", "REVOKE everyone FROM stranger", "role-unknown||stranger|stranger is a member of everyone"},
		{shared, "GRANT tenant_acme TO admin", "REVOKE tenant_acme FROM admin", "membership-unexpected|acme|admin|tenant_acme"},
		{shared, "GRANT stranger TO admin", "REVOKE stranger FROM admin", "membership-unexpected||admin|stranger"},
		{shared, "GRANT stranger TO admin WITH ADMIN OPTION", "REVOKE stranger FROM admin", ""},
		{shared, "GRANT pg_monitor TO admin WITH ADMIN OPTION", "REVOKE pg_monitor FROM admin", "membership-unexpected||admin|pg_monitor"},
		{shared, "REVOKE ADMIN OPTION FOR app FROM admin", "GRANT app TO admin WITH ADMIN OPTION", "membership-missing||admin|app"},
		{shared, "GRANT everyone_admin TO admin WITH ADMIN OPTION", "REVOKE ADMIN OPTION FOR everyone_admin FROM admin", "membership-unexpected||admin|everyone_admin"},
		{shared, "GRANT stranger TO everyone_admin", "REVOKE stranger FROM everyone_admin", "role-unknown||stranger|everyone_admin is a member of stranger"},
		{shared, "GRANT everyone_admin TO stranger", "REVOKE everyone_admin FROM stranger", "role-unknown||stranger|stranger is a member of everyone_admin"},
		{shared, "GRANT everyone TO oncall", "REVOKE everyone FROM oncall", "membership-unexpected||oncall|everyone"},
		{shared, "GRANT tenant_acme TO everyone", "REVOKE tenant_acme FROM everyone", "tenant-reaches-tenant||everyone|tenant_acme"},
		{shared, "GRANT stranger TO oncall, tenant_globex WITH ADMIN OPTION", "REVOKE stranger FROM oncall, tenant_globex", "membership-unexpected||oncall|stranger\ntenant-admin-option|globex|tenant_globex|stranger"},
	}
}

// What is changed by hand is found once, in whichever database it is. testdata/texts.txt has what is said of
// it; go test ./audit -update writes it anew.
func TestFeatures(t *testing.T) {
	server, shared, own := deployFeatures(t)
	before, noted := found(reportOf(t))
	if i := slices.IndexFunc(before, func(name string) bool { return !strings.HasPrefix(name, "note ") }); i >= 0 {
		t.Fatalf("found %q", before)
	}
	definer := func(schema string) string {
		return "CREATE FUNCTION " + schema + ".f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1'"
	}
	expiry := "ALTER ROLE oncall VALID UNTIL '2099-01-01 00:00:00Z'"
	var texts strings.Builder
	write := func(f Finding) {
		fmt.Fprintf(&texts, "  %s: %s\n", f.Rule, f.Text)
		if f.Fix != "" {
			fmt.Fprintf(&texts, "    fix: %s\n", f.Fix)
		}
	}
	texts.WriteString("What is noted of a stack that is as designed, and what is found after each change.\n\n")
	for _, f := range noted {
		write(f)
	}
	for _, test := range append(baseDamages(shared, own, server.User), []damage{
		{shared, "GRANT INSERT ON tenant_globex.docs TO globex_chat", "REVOKE INSERT ON tenant_globex.docs FROM globex_chat", "privilege-unexpected|globex|globex_chat|tenant_globex"},
		{shared, "GRANT TEMPORARY ON DATABASE postgres TO tenant_globex_agents", "REVOKE TEMPORARY ON DATABASE postgres FROM tenant_globex_agents", "tenant-temporary|globex|tenant_globex_agents|postgres"},
		{shared, "GRANT tenant_umbrella_agents TO globex_chat", "REVOKE tenant_umbrella_agents FROM globex_chat", "membership-unexpected|globex|globex_chat|tenant_umbrella_agents"},
		{shared, "GRANT tenant_umbrella_agents TO stranger", "REVOKE tenant_umbrella_agents FROM stranger", "membership-unexpected|umbrella|stranger|tenant_umbrella_agents"},
		{shared, "REVOKE tenant_globex_agents FROM globex_chat", "GRANT tenant_globex_agents TO globex_chat", "membership-missing|globex|globex_chat|tenant_globex_agents"},
		{shared, "ALTER ROLE umbrella_chat LOGIN", "ALTER ROLE umbrella_chat NOLOGIN", "login-unexpected|umbrella|umbrella_chat|"},
		{shared, "ALTER ROLE tenant_acme CREATEDB", "ALTER ROLE tenant_acme NOCREATEDB", "tenant-attribute|acme|tenant_acme|"},
		{shared, "GRANT tenant_acme TO tenant_globex", "REVOKE tenant_acme FROM tenant_globex", "tenant-reaches-tenant|globex|tenant_globex|tenant_acme"},
		{shared, `ALTER ROLE globex_chat SET search_path TO "tenant_globex, extensions"`, "ALTER ROLE globex_chat SET search_path TO tenant_globex, extensions", "note setting|globex|globex_chat|search_path"},
		{shared, "ALTER ROLE app SET statement_timeout TO 1", "ALTER ROLE app RESET statement_timeout", ""}, // these outputs do not have its limits
		{shared, "ALTER ROLE oncall VALID UNTIL '2020-01-01'", expiry, "note expiry||oncall|"},
		{shared, "ALTER ROLE oncall VALID UNTIL '2100-01-01'", expiry, "expiry||oncall|"},
		{shared, definer("tenant_globex"), "DROP FUNCTION tenant_globex.f()", "object-owner|globex|postgres|tenant_globex.f()\npublic-on-functions|globex|PUBLIC|tenant_globex\nsecurity-definer|globex|PUBLIC|tenant_globex.f()"},
		{shared, "SET ROLE admin;" + definer("tenant_globex") + "; RESET ROLE", "DROP FUNCTION tenant_globex.f()", "security-definer|globex|tenant_globex|tenant_globex.f()"},
		{shared, "CREATE SCHEMA util; " + definer("util"), "DROP SCHEMA util CASCADE", ""}, // which nobody can use
		{shared, "CREATE SCHEMA util; GRANT USAGE ON SCHEMA util TO tenant_globex_agents; " + definer("util"), "DROP SCHEMA util CASCADE", "security-definer||PUBLIC|util.f()"},
		{shared, "CREATE SCHEMA util; GRANT USAGE ON SCHEMA util TO PUBLIC; " + definer("util") + "; REVOKE ALL ON FUNCTION util.f() FROM PUBLIC; GRANT EXECUTE ON FUNCTION util.f() TO stranger", "DROP SCHEMA util CASCADE", ""},
		{shared, "CREATE SCHEMA util; GRANT USAGE ON SCHEMA util TO app; " + definer("util") + "; ALTER FUNCTION util.f() OWNER TO stranger", "DROP SCHEMA util CASCADE", "note security-definer||PUBLIC|util.f()"},
		{shared, "CREATE EXTENSION seg SCHEMA tenant_globex", "DROP EXTENSION seg", ""},
		{shared, "GRANT USAGE ON SCHEMA extensions TO PUBLIC", "REVOKE USAGE ON SCHEMA extensions FROM PUBLIC", "extension-schema||PUBLIC|extensions"},
		{shared, "CREATE SCHEMA tenant_acme AUTHORIZATION admin; GRANT USAGE ON SCHEMA tenant_acme TO app", "DROP SCHEMA tenant_acme", "note schema-left|acme||tenant_acme"},
		{shared, "CREATE SCHEMA tenant_acme AUTHORIZATION admin; GRANT USAGE ON SCHEMA tenant_acme TO app, tenant_acme", "DROP SCHEMA tenant_acme", "privilege-unexpected|acme|tenant_acme|tenant_acme\nnote schema-left|acme||tenant_acme"},
		// What such a tenant has in the schema, and needs when it comes back, is nothing without USAGE.
		{shared, "CREATE SCHEMA tenant_acme AUTHORIZATION admin; GRANT USAGE ON SCHEMA tenant_acme TO app; SET ROLE admin; CREATE TABLE tenant_acme.docs (); RESET ROLE; GRANT SELECT ON tenant_acme.docs TO app, tenant_acme", "DROP SCHEMA tenant_acme CASCADE", "note schema-left|acme||tenant_acme"},
		{shared, "SET ROLE admin; CREATE TABLE umbrella.docs (); RESET ROLE; GRANT SELECT ON umbrella.docs TO app, tenant_umbrella", "DROP TABLE umbrella.docs", ""},
		{shared, "SET ROLE admin; CREATE TABLE umbrella.docs (); RESET ROLE; GRANT TRUNCATE ON umbrella.docs TO tenant_umbrella; GRANT SELECT ON umbrella.docs TO app", "DROP TABLE umbrella.docs", "privilege-unexpected|umbrella|tenant_umbrella|umbrella"},
		{shared, "GRANT USAGE ON SCHEMA umbrella TO tenant_umbrella", "REVOKE USAGE ON SCHEMA umbrella FROM tenant_umbrella", "privilege-unexpected|umbrella|tenant_umbrella|umbrella"},
		{own, "CREATE TABLE tenant_acme.own (); ALTER TABLE tenant_acme.own OWNER TO tenant_acme", "DROP TABLE tenant_acme.own", "tenant-owns|acme|tenant_acme|table tenant_acme.own in acme_db"},
		{own, "ALTER DATABASE acme_db OWNER TO stranger", "ALTER DATABASE acme_db OWNER TO " + server.User, "database-owner|acme|stranger|acme_db in acme_db"},
		{own, "ALTER DATABASE acme_db OWNER TO tenant_acme", "ALTER DATABASE acme_db OWNER TO " + server.User + "; GRANT CONNECT ON DATABASE acme_db TO tenant_acme", "tenant-owns|acme|tenant_acme|database acme_db"},
		{own, "GRANT CONNECT ON DATABASE acme_db TO globex_chat", "REVOKE CONNECT ON DATABASE acme_db FROM globex_chat", "connect-unexpected|globex|globex_chat|acme_db in acme_db"},
		{own, "GRANT CONNECT ON DATABASE acme_db TO stranger", "REVOKE CONNECT ON DATABASE acme_db FROM stranger", "note connect-unexpected||stranger|acme_db"},
		{own, "GRANT CREATE ON SCHEMA extensions TO tenant_acme", "REVOKE CREATE ON SCHEMA extensions FROM tenant_acme", "extension-schema|acme|tenant_acme|extensions in acme_db"},
		{own, "REVOKE USAGE ON SCHEMA extensions FROM tenant_acme", "GRANT USAGE ON SCHEMA extensions TO tenant_acme", "extension-schema|acme|tenant_acme|extensions in acme_db"},
	}...) {
		execute(t, test.in, test.do)
		after, findings := found(reportOf(t))
		var got []string
		fmt.Fprintf(&texts, "\n%s\n", test.do)
		for i, name := range after {
			if !slices.Contains(before, name) {
				got = append(got, name)
				write(findings[i])
			}
		}
		for _, name := range before {
			if !slices.Contains(after, name) {
				got = append(got, "no "+name)
			}
		}
		if strings.Join(got, "\n") != test.want {
			t.Errorf("%s: found %q, want %q", test.do, got, test.want)
		}
		execute(t, test.in, test.undo)
	}
	if after, _ := found(reportOf(t)); !slices.Equal(after, before) {
		t.Errorf("found %q after all is undone, %q before", after, before)
	}
	// Only a superuser sees how passwords are stored.
	execute(t, shared, "SET password_encryption = md5", "ALTER ROLE tenant_acme PASSWORD 'x'")
	t.Setenv("PGUSER", server.User)
	t.Setenv("PGPASSWORD", server.Password)
	names, findings := found(reportOf(t))
	if names[0] != "md5-password|acme|tenant_acme|" || slices.Contains(names, "note not-checked|||") {
		t.Errorf("found %q", names)
	}
	texts.WriteString("\nALTER ROLE tenant_acme PASSWORD 'x', as MD5\n")
	write(findings[0])
	// Before PostgreSQL 16 a REVOKE names no grantor.
	got := regexp.MustCompile(` GRANTED BY \S+`).ReplaceAllString(texts.String(), "")
	const file = "testdata/texts.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || got != string(want) {
		t.Errorf("%s is stale (%v): run go test ./audit -update in the folder tools; got\n%s", file, err, got)
	}
}

// Questions are answered in every database. The commands that are about roles open the stack's only.
func TestDatabases(t *testing.T) {
	_, shared, own := deployFeatures(t)
	execute(t, own, "GRANT SELECT ON tenant_acme.docs TO stranger", "GRANT USAGE ON SCHEMA tenant_acme TO stranger")
	execute(t, shared, "CREATE SCHEMA tenant_acme AUTHORIZATION admin", "GRANT USAGE ON SCHEMA tenant_globex TO tenant_acme")
	for question, want := range map[string]string{
		"tenant_acme reads tenant_acme.docs": `yes
  CONNECT on database acme_db: granted to tenant_acme
  USAGE on schema tenant_acme: granted to tenant_acme
  SELECT on table tenant_acme.docs: granted to tenant_acme`,
		"tenant_acme reads tenant_globex.docs": "no\n  CONNECT on database postgres: missing. tenant_acme is neither one of these roles, which have it, nor a member of one: admin, app, auditor, everyone, postgres",
		"stranger reads tenant_acme.docs":      "no\n  CONNECT on database acme_db: missing. stranger is neither one of these roles, which have it, nor a member of one: admin, app, auditor, postgres, tenant_acme, tenant_acme_agents",
		"tenant_acme uses acme_db":             "yes\n  CONNECT on database acme_db: granted to tenant_acme",
		"globex_chat reads tenant_globex.docs": "yes\n  USAGE on schema tenant_globex: granted to tenant_globex_agents; globex_chat: member of tenant_globex_agents\n  SELECT on table tenant_globex.docs: granted to tenant_globex_agents; globex_chat: member of tenant_globex_agents",
	} {
		var out strings.Builder
		if err := Why(t.Context(), fromStdin(features()), strings.Fields(question), &out); err != nil || out.String() != question+": "+want+"\n" {
			t.Errorf("%v: got %swant %s", err, out.String(), want)
		}
	}

	// The config can be standard input, which can be read once.
	file := filepath.Join(t.TempDir(), "outputs.json")
	if err := os.WriteFile(file, []byte(features()), 0o600); err != nil {
		t.Fatal(err)
	}
	withConfig := connect.Source{Outputs: []string{file}, Config: "-", Stdin: strings.NewReader(`{"postgresql:username": {"value": "auditor"}}`), Timeout: time.Minute}
	if err := Run(t.Context(), &withConfig, "text", t.Output()); err != nil && !errors.Is(err, ErrViolations) {
		t.Error(err)
	}

	execute(t, own, "REVOKE CONNECT ON DATABASE acme_db FROM auditor")
	if err := Run(t.Context(), fromStdin(features()), "text", t.Output()); err == nil || !strings.Contains(err.Error(), "the database acme_db of the tenant acme: ") {
		t.Errorf("got error %v", err)
	}
	if err := Settings(t.Context(), fromStdin(features()), ResetNothing, "", t.Output()); err != nil {
		t.Error(err)
	}
	if err := Sessions(t.Context(), fromStdin(features()), "globex_chat", EndNothing, t.Output()); err != nil {
		t.Error(err)
	}
	if err := own.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	execute(t, shared, "DROP DATABASE acme_db")
	if names, _ := found(reportOf(t)); !slices.Contains(names, "database-missing|acme||acme_db") || slices.Contains(names, "schema-missing|acme||tenant_acme") {
		t.Errorf("found %q", names)
	}
}
