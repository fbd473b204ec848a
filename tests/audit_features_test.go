package tests

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// damage is done to a database, "" for the stack's own, and found as want, "" for what is none.
type damage struct {
	database, do, undo, want string
}

func damages() []damage {
	definer := "CREATE FUNCTION tenant_hooli.wipe() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1'"
	return []damage{
		{"", "GRANT INSERT ON tenant_hooli.docs TO tenant_hooli_agents", "REVOKE INSERT ON tenant_hooli.docs FROM tenant_hooli_agents", "privilege-unexpected|hooli|tenant_hooli_agents|tenant_hooli"},
		{"", "REVOKE SELECT ON tenant_hooli.docs FROM tenant_hooli_agents", "GRANT SELECT ON tenant_hooli.docs TO tenant_hooli_agents", "tenant-cannot-use|hooli|tenant_hooli_agents|tenant_hooli"},
		{"", "GRANT tenant_hooli TO tenant_hooli_chat", "REVOKE tenant_hooli FROM tenant_hooli_chat", "membership-unexpected|hooli|tenant_hooli_chat|tenant_hooli"},
		{"", "GRANT tenant_hooli_agents TO tenant_globex", "REVOKE tenant_hooli_agents FROM tenant_globex", "tenant-reaches-tenant|globex|tenant_globex|tenant_hooli_agents"},
		{"", "ALTER ROLE tenant_hooli_agents LOGIN", "ALTER ROLE tenant_hooli_agents NOLOGIN", "login-unexpected|hooli|tenant_hooli_agents|"},
		{"", "ALTER ROLE tenant_hooli_chat CREATEDB", "ALTER ROLE tenant_hooli_chat NOCREATEDB", "tenant-attribute|hooli|tenant_hooli_chat|"},
		{"", "ALTER ROLE tenant_hooli_chat RESET statement_timeout", "ALTER ROLE tenant_hooli_chat SET statement_timeout TO 15000", "note setting|hooli|tenant_hooli_chat|statement_timeout"},
		{"", "ALTER ROLE tenant_hooli_chat CONNECTION LIMIT 99", "ALTER ROLE tenant_hooli_chat CONNECTION LIMIT 3", "note limit|hooli|tenant_hooli_chat|"},
		{"", "ALTER ROLE oncall VALID UNTIL 'infinity'", "ALTER ROLE oncall VALID UNTIL 'EXPIRY'", "expiry||oncall|"},
		{"", "ALTER ROLE oncall VALID UNTIL '2099-01-01'", "ALTER ROLE oncall VALID UNTIL 'EXPIRY'", "expiry||oncall|"},
		{"", "GRANT CREATE ON SCHEMA extensions TO PUBLIC", "REVOKE CREATE ON SCHEMA extensions FROM PUBLIC", "extension-schema||PUBLIC|extensions"},
		{"", "GRANT CREATE ON SCHEMA extensions TO stranger", "REVOKE CREATE ON SCHEMA extensions FROM stranger", "extension-schema||stranger|extensions"},
		{"", "REVOKE USAGE ON SCHEMA extensions FROM all_tenants", "GRANT USAGE ON SCHEMA extensions TO all_tenants", "extension-schema||all_tenants|extensions"},
		{"", "ALTER SCHEMA extensions OWNER TO stranger", "ALTER SCHEMA extensions OWNER TO admin_service_role", "extension-schema||stranger|extensions"},
		{"", "ALTER EXTENSION cube SET SCHEMA public", "ALTER EXTENSION cube SET SCHEMA extensions", "extension|||cube"},
		{"", "SET ROLE admin_service_role; " + definer + "; RESET ROLE", "DROP FUNCTION tenant_hooli.wipe()", "security-definer|hooli|tenant_hooli|tenant_hooli.wipe()"},
		{"", "CREATE SCHEMA util; GRANT USAGE ON SCHEMA util TO all_tenants; " + strings.ReplaceAll(definer, "tenant_hooli", "util"), "DROP SCHEMA util CASCADE", "security-definer||PUBLIC|util.wipe()"},
		{"", "GRANT CONNECT ON DATABASE " + database + " TO tenant_acme", "REVOKE CONNECT ON DATABASE " + database + " FROM tenant_acme", "connect-unexpected|acme|tenant_acme|" + database},
		{"", "GRANT all_tenants TO tenant_acme", "REVOKE all_tenants FROM tenant_acme", "membership-unexpected|acme|tenant_acme|all_tenants"},
		{"tenant_acme", "GRANT CONNECT ON DATABASE tenant_acme TO tenant_globex", "REVOKE CONNECT ON DATABASE tenant_acme FROM tenant_globex", "connect-unexpected|globex|tenant_globex|tenant_acme"},
		{"tenant_acme", "GRANT CONNECT ON DATABASE tenant_acme TO all_tenants", "REVOKE CONNECT ON DATABASE tenant_acme FROM all_tenants", "connect-unexpected||all_tenants|tenant_acme"},
		{"tenant_acme", "GRANT CONNECT ON DATABASE tenant_acme TO stranger", "REVOKE CONNECT ON DATABASE tenant_acme FROM stranger", "note connect-unexpected||stranger|tenant_acme"},
		{"tenant_acme", "GRANT CONNECT ON DATABASE tenant_acme TO PUBLIC", "REVOKE CONNECT ON DATABASE tenant_acme FROM PUBLIC", "public-on-database||PUBLIC|tenant_acme"},
		{"tenant_acme", "REVOKE CONNECT ON DATABASE tenant_acme FROM tenant_acme", "GRANT CONNECT ON DATABASE tenant_acme TO tenant_acme", "tenant-cannot-use|acme|tenant_acme|tenant_acme"},
		{"tenant_acme", "REVOKE CONNECT ON DATABASE tenant_acme FROM app_service_role", "GRANT CONNECT ON DATABASE tenant_acme TO app_service_role", "app-cannot-read||app_service_role|tenant_acme"},
		{"tenant_acme", "GRANT USAGE ON SCHEMA public TO PUBLIC", "REVOKE USAGE ON SCHEMA public FROM PUBLIC", "public-on-schema-public||PUBLIC|public"},
		{"tenant_acme", "GRANT USAGE ON SCHEMA tenant_acme TO stranger", "REVOKE USAGE ON SCHEMA tenant_acme FROM stranger", "other-role-reaches-tenant|acme|stranger|tenant_acme"},
		{"tenant_acme", "ALTER SCHEMA tenant_acme OWNER TO stranger", "ALTER SCHEMA tenant_acme OWNER TO admin_service_role", "schema-owner|acme|stranger|tenant_acme"},
		{"tenant_acme", adminDefaults + "IN SCHEMA tenant_acme REVOKE SELECT ON TABLES FROM tenant_acme", adminDefaults + "IN SCHEMA tenant_acme GRANT SELECT ON TABLES TO tenant_acme", "default-privileges-missing|acme|tenant_acme|tenant_acme"},
		{"tenant_acme", "ALTER DATABASE tenant_acme OWNER TO stranger", "ALTER DATABASE tenant_acme OWNER TO PROVIDER", "database-owner|acme|stranger|tenant_acme"},
		{"tenant_acme", "CREATE TABLE tenant_acme.mine (); ALTER TABLE tenant_acme.mine OWNER TO tenant_acme_chat", "DROP TABLE tenant_acme.mine", "tenant-owns|acme|tenant_acme_chat|table tenant_acme.mine"},
		{"tenant_acme", "CREATE EXTENSION seg SCHEMA tenant_acme", "DROP EXTENSION seg", ""},
		{"tenant_acme", "DROP EXTENSION cube", "CREATE EXTENSION cube SCHEMA extensions", "extension|||cube"},
	}
}

// A stack with agents, extensions, limits, functions, a reader that expires and a database of its own
// for a tenant is as designed. What somebody changes by hand is found, in whichever database.
func TestAuditFeatures(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		p.prepareDatabases(t)
		p.settings = withExtensions(`{"cube":{}}`)
		expiry := time.Now().Add(time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
		agents := object{"chat": object{"statementTimeout": "15s", "connectionLimit": 3}, "reports": object{"logins": object{"active": "b"}}}
		p.configure(t, object{
			"acme": own(object{"agents": agents}), "globex": object{"statementTimeout": "1min", "logins": object{"active": "a"}},
			"hooli": object{"agents": agents, "executeFunctions": true}, "initech": object{"agents": agents},
			"umbrella": own(object{"retire": "keep", "agents": agents}),
		}, object{"app": object{"logins": object{"active": "a"}}}, object{"oncall": object{"validUntil": expiry}})
		p.up(t)
		p.closePublic(t, "tenant_acme")
		p.closePublic(t, "tenant_umbrella")
		p.configure(t, object{
			"acme": own(object{"agents": agents}), "globex": object{"statementTimeout": "1min", "logins": object{"active": "a"}},
			"hooli": object{"agents": agents, "executeFunctions": true}, "initech": object{"agents": agents, "retire": "keep"},
			"umbrella": own(object{"retire": "keep", "agents": agents}),
		}, object{"app": object{"logins": object{"active": "a"}}}, object{"oncall": object{"validUntil": expiry}})
		p.up(t)
		makeTables(t, p.loginTo(t, "tenant_acme", "admin_service_login"), "tenant_acme")
		makeTables(t, p.login(t, "admin_service_login"), "tenant_hooli")
		a := newAuditor(t, p)
		super := map[string]*session{"": p.superuser(t, database), "tenant_acme": p.superuser(t, "tenant_acme")}
		super[""].may(t, "CREATE ROLE stranger", "GRANT CONNECT ON DATABASE tenant_acme TO auditor", "GRANT CONNECT ON DATABASE tenant_umbrella TO auditor")
		if found := a.violations(t); len(found) > 0 {
			t.Fatalf("violations of a fresh stack:\n%s", strings.Join(found, "\n"))
		}
		_, noted := a.findings(t)
		known := names(noted)
		for _, name := range known {
			if !slices.Contains([]string{"deployer", "superuser", "other-databases", "not-checked", "own-role", "create-role", "connect-unexpected"}, strings.Split(name, "|")[0]) {
				t.Errorf("noted of a fresh stack: %s", name)
			}
		}
		for _, d := range damages() {
			super[d.database].may(t, d.do)
			violations, notes := a.findings(t)
			found := names(violations)
			for _, name := range names(notes) {
				if !slices.Contains(known, name) {
					found = append(found, "note "+name)
				}
			}
			if d.want == "" && len(found) > 0 || d.want != "" && !slices.Contains(found, d.want) {
				t.Errorf("%s: found %v, want %s", d.do, found, d.want)
			}
			super[d.database].may(t, strings.NewReplacer("EXPIRY", expiry, "PROVIDER", p.user).Replace(d.undo))
		}
		if found := a.violations(t); len(found) > 0 {
			t.Errorf("violations after all is undone:\n%s", strings.Join(found, "\n"))
		}
		for question, want := range map[string]string{
			"tenant_globex reads tenant_acme.docs":      "tenant_globex reads tenant_acme.docs: no",
			"tenant_acme reads tenant_acme.docs":        "tenant_acme reads tenant_acme.docs: yes",
			"tenant_acme_chat writes tenant_acme.docs":  "tenant_acme_chat writes tenant_acme.docs: no",
			"app_service_role_a reads tenant_acme.docs": "app_service_role_a reads tenant_acme.docs: yes",
		} {
			if out, _ := a.run(t, "why", strings.Fields(question)...); !strings.HasPrefix(out, want) {
				t.Errorf("why %s: got %s", question, out)
			}
		}
		// A database that is gone, or that lets nobody in.
		super[""].may(t, "ALTER DATABASE tenant_umbrella ALLOW_CONNECTIONS false")
		if found := a.violations(t); !slices.Contains(found, "database-missing|umbrella||tenant_umbrella") {
			t.Errorf("found %v", found)
		}
	})
}
