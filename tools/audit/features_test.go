package audit

import (
	"context"
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

// What is changed by hand is found once, in whichever database it is. testdata/texts.txt has what is said of
// it; go test ./audit -update writes it anew.
func TestFeatures(t *testing.T) {
	server, shared, own := deployFeatures(t)
	report := reportOf(t, Options{})
	for _, access := range slices.Concat(report.AccessLists...) {
		if !access.Expected && access.Who != "auditor" && !strings.HasPrefix(access.Who, "pg_") {
			t.Errorf("not expected: %+v", access)
		}
	}
	before, noted := found(report)
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
		after, findings := found(reportOf(t, Options{}))
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
	if after, _ := found(reportOf(t, Options{})); !slices.Equal(after, before) {
		t.Errorf("found %q after all is undone, %q before", after, before)
	}
	// Only a superuser sees how passwords are stored.
	execute(t, shared, "SET password_encryption = md5", "ALTER ROLE tenant_acme PASSWORD 'x'")
	t.Setenv("PGUSER", server.User)
	t.Setenv("PGPASSWORD", server.Password)
	names, findings := found(reportOf(t, Options{}))
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
	if err := Run(t.Context(), &withConfig, Options{Format: "text"}, t.Output()); err != nil && !errors.Is(err, ErrViolations) {
		t.Error(err)
	}

	execute(t, own, "REVOKE CONNECT ON DATABASE acme_db FROM auditor")
	if err := Run(t.Context(), fromStdin(features()), Options{Format: "text"}, t.Output()); err == nil || !strings.Contains(err.Error(), "the database acme_db of the tenant acme: ") {
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
	if names, _ := found(reportOf(t, Options{})); !slices.Contains(names, "database-missing|acme||acme_db") || slices.Contains(names, "schema-missing|acme||tenant_acme") {
		t.Errorf("found %q", names)
	}
}

// A database that a tenant has left is looked into, as one where the tenant is retired.
func TestPreviousDatabase(t *testing.T) {
	server, shared, _ := deployFeatures(t)
	execute(t, shared, "CREATE DATABASE globex_db")
	left, err := pgx.Connect(t.Context(), server.DSN(server.User, server.Password, "globex_db"))
	if err != nil {
		t.Fatal(err)
	}
	execute(t, left, closed("globex_db", "tenant_globex", "admin")...)
	execute(t, left, "REVOKE ALL ON SCHEMA tenant_globex FROM tenant_globex", "ALTER DEFAULT PRIVILEGES FOR ROLE admin IN SCHEMA tenant_globex REVOKE ALL ON TABLES FROM tenant_globex",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin IN SCHEMA tenant_globex REVOKE ALL ON SEQUENCES FROM tenant_globex")
	outputs := strings.Replace(features(), `"tenant_database_names"`, `"tenant_previous_database_names": {"acme": "postgres", "globex": "globex_db"}, "tenant_database_names"`, 1)
	inLeft := func() (names, texts []string) {
		all, findings := found(reportOfStack(t, outputs, Options{}))
		for i, name := range all {
			if strings.Contains(name, "globex_db") {
				names, texts = append(names, name), append(texts, findings[i].Text)
			}
		}
		return names, texts
	}
	const noted = "note schema-left|globex||tenant_globex in globex_db"
	if names, _ := inLeft(); !slices.Equal(names, []string{noted}) {
		t.Errorf("found %q", names)
	}
	for _, test := range []struct{ do, undo, want, text string }{
		{"GRANT SELECT ON tenant_globex.docs TO stranger", "REVOKE SELECT ON tenant_globex.docs FROM stranger", "other-role-reaches-tenant|globex|stranger|tenant_globex in globex_db", ""},
		{"GRANT CONNECT ON DATABASE globex_db TO tenant_globex", "REVOKE CONNECT ON DATABASE globex_db FROM tenant_globex", "connect-unexpected|globex|tenant_globex|globex_db in globex_db", ""},
		{"GRANT USAGE ON SCHEMA tenant_globex TO tenant_globex", "REVOKE USAGE ON SCHEMA tenant_globex FROM tenant_globex", "privilege-unexpected|globex|tenant_globex|tenant_globex in globex_db", "moved to the database postgres"},
		{"REVOKE USAGE ON SCHEMA tenant_globex FROM app", "GRANT USAGE ON SCHEMA tenant_globex TO app", "app-cannot-read|globex|app|tenant_globex in globex_db", ""},
	} {
		execute(t, left, test.do)
		if names, texts := inLeft(); !slices.Equal(names, []string{test.want, noted}) || !strings.Contains(texts[0], test.text) {
			t.Errorf("%s: found %q: %q", test.do, names, texts)
		}
		execute(t, left, test.undo)
	}
	if err := left.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	execute(t, shared, "DROP DATABASE globex_db")
	if names, _ := inLeft(); !slices.Equal(names, []string{"database-missing|globex||globex_db"}) {
		t.Errorf("found %q after the database is gone", names)
	}
}
