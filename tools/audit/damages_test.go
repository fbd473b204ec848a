package audit

import "github.com/jackc/pgx/v5"

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
		{shared, deployer + "GRANT deployer TO stranger", noDeployer[1:], "other-role-reaches-tenant||stranger|deployer\nnote deployer||deployer|"},
		{own, "CREATE ROLE deployer; ALTER DATABASE postgres OWNER TO deployer; GRANT deployer TO stranger; ALTER DATABASE acme_db OWNER TO stranger", "ALTER DATABASE acme_db OWNER TO " + superuser + noDeployer, "other-role-reaches-tenant||stranger|deployer\nnote deployer||deployer|"},
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
		// A tenant needs no privileges on a view that shows what another has, but on one like it that does not.
		{shared, "SET ROLE admin; CREATE TABLE umbrella.t (); CREATE VIEW tenant_globex.a AS SELECT FROM umbrella.t; CREATE VIEW tenant_globex.v AS SELECT; RESET ROLE; REVOKE ALL ON tenant_globex.a, tenant_globex.v FROM tenant_globex, tenant_globex_agents", "DROP TABLE umbrella.t CASCADE; DROP VIEW tenant_globex.v", "tenant-cannot-use|globex|tenant_globex|tenant_globex\ntenant-cannot-use|globex|tenant_globex_agents|tenant_globex"},
		// The two views have the same owner and privileges, and one shows what another tenant has.
		{shared, "SET ROLE admin; CREATE TABLE umbrella.t (); CREATE VIEW tenant_globex.a AS SELECT; CREATE VIEW tenant_globex.v AS SELECT FROM umbrella.t; RESET ROLE", "DROP TABLE umbrella.t CASCADE; DROP VIEW tenant_globex.a", "tenant-reaches-tenant|globex|tenant_globex|tenant_globex.v\ntenant-reaches-tenant|globex|tenant_globex_agents|tenant_globex.v"},
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
		{shared, defaults + "REVOKE EXECUTE ON FUNCTIONS FROM admin", defaults + "GRANT EXECUTE ON FUNCTIONS TO admin", "public-on-functions||PUBLIC|all schemas"},
		{shared, defaults + "GRANT EXECUTE ON FUNCTIONS TO PUBLIC", defaults + "REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC", "public-on-functions||PUBLIC|all schemas"},
		{shared, defaults + "GRANT EXECUTE ON FUNCTIONS TO PUBLIC, app", defaults + "REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC, app", "default-privileges-extra||app|all schemas\npublic-on-functions||PUBLIC|all schemas"},
		{shared, "ALTER DEFAULT PRIVILEGES FOR ROLE tenant_globex IN SCHEMA tenant_globex GRANT SELECT ON TABLES TO PUBLIC", "ALTER DEFAULT PRIVILEGES FOR ROLE tenant_globex IN SCHEMA tenant_globex REVOKE SELECT ON TABLES FROM PUBLIC", "default-privileges-extra|globex|tenant_globex|tenant_globex"},
		{shared, defaults + "GRANT UPDATE, USAGE ON SEQUENCES TO app; " + defaults + "GRANT CREATE ON SCHEMAS TO oncall", defaults + "REVOKE UPDATE, USAGE ON SEQUENCES FROM app; " + defaults + "REVOKE CREATE ON SCHEMAS FROM oncall", "default-privileges-extra||app|all schemas\ndefault-privileges-extra||oncall|all schemas"},
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
		{shared, "GRANT pg_read_all_data TO everyone_admin", "REVOKE pg_read_all_data FROM everyone_admin", "membership-unexpected||everyone_admin|pg_read_all_data"},
		{shared, "GRANT " + superuser + " TO everyone_admin", "REVOKE " + superuser + " FROM everyone_admin", "membership-unexpected||everyone_admin|" + superuser},
		{shared, "GRANT stranger TO everyone_admin", "REVOKE stranger FROM everyone_admin", "role-unknown||stranger|everyone_admin is a member of stranger"},
		{shared, "GRANT everyone_admin TO stranger", "REVOKE everyone_admin FROM stranger", "role-unknown||stranger|stranger is a member of everyone_admin"},
		{shared, "GRANT everyone TO oncall", "REVOKE everyone FROM oncall", "membership-unexpected||oncall|everyone"},
		{shared, "GRANT tenant_acme TO everyone", "REVOKE tenant_acme FROM everyone", "tenant-reaches-tenant||everyone|tenant_acme"},
		{shared, "GRANT stranger TO oncall, tenant_globex WITH ADMIN OPTION", "REVOKE stranger FROM oncall, tenant_globex", "membership-unexpected||oncall|stranger\ntenant-admin-option|globex|tenant_globex|stranger"},
	}
}
