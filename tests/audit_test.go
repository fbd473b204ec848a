package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// auditor runs the audit as a login that may connect and nothing more.
type auditor struct {
	env []string
	// outputs are the files with the outputs of the stacks.
	outputs []string
}

// newAuditor writes down the outputs of stacks on one server, without secrets.
func newAuditor(t *testing.T, stacks ...*platform) *auditor {
	t.Helper()
	a := &auditor{}
	p := stacks[0]
	p.superuser(t, database).may(t,
		"CREATE ROLE auditor LOGIN PASSWORD 'auditor-password'",
		"GRANT CONNECT ON DATABASE "+database+" TO auditor")
	a.env = append(os.Environ(), "PGHOST="+p.server.Host, fmt.Sprint("PGPORT=", p.server.Port),
		"PGUSER=auditor", "PGPASSWORD=auditor-password", "PGSSLMODE=disable")
	for _, stack := range stacks {
		file := filepath.Join(t.TempDir(), stack.stack.Name()+".json")
		stack.saveOutputs(t, file)
		a.outputs = append(a.outputs, "--outputs", file)
	}
	return a
}

// saveOutputs writes the outputs into a file, without secrets.
func (p *platform) saveOutputs(t *testing.T, file string) {
	t.Helper()
	values := object{}
	for name, output := range p.outputs(t) {
		values[name] = output.Value
		if output.Secret {
			values[name] = "[secret]" // as `pulumi stack output --json` prints it
		}
	}
	encoded, err := json.Marshal(values)
	if err := errors.Join(err, os.WriteFile(file, encoded, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// run returns what a command, audit or why, prints to standard output, and its exit code.
func (a *auditor) run(t *testing.T, name string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tools.tenantctl, slices.Concat([]string{name}, a.outputs, args)...)
	cmd.Env = a.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	code = cmd.ProcessState.ExitCode()
	if code == 1 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	return stdout.String(), code
}

// violations are what the audit finds, each as rule, tenant, role and object.
func (a *auditor) violations(t *testing.T) []string {
	t.Helper()
	violations, _ := a.findings(t)
	return names(violations)
}

// finding is what the audit finds or notes.
type finding struct{ Rule, Tenant, Subject, Object, Text, Fix string }

func names(findings []finding) (names []string) {
	for _, f := range findings {
		names = append(names, strings.Join([]string{f.Rule, f.Tenant, f.Subject, f.Object}, "|"))
	}
	return names
}

// findings are violations and notes.
func (a *auditor) findings(t *testing.T) (violations, notes []finding) {
	t.Helper()
	out, code := a.run(t, "audit", "--format", "json")
	var report struct{ Violations, Notes []finding }
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Violations {
		if v.Text == "" || v.Fix == "" {
			t.Errorf("%v has no text or no fix", v)
		}
	}
	if want := 2 * min(len(report.Violations), 1); code != want {
		t.Errorf("exit code %d with %d violations", code, len(report.Violations))
	}
	return report.Violations, report.Notes
}

// planted is a violation made by hand.
type planted struct {
	plant, undo []string
	want        string
	// since and until are versions of PostgreSQL, "" for all.
	since, until string
}

const adminDefaults = "ALTER DEFAULT PRIVILEGES FOR ROLE admin_service_role "

// violations has every rule that a login without rights can check. ON_DATABASE is the tenants' database,
// PROVIDER whom the provider connects as.
var violations = []planted{
	{plant: []string{"GRANT tenant_globex TO tenant_acme"}, undo: []string{"REVOKE tenant_globex FROM tenant_acme"}, want: "tenant-reaches-tenant|acme|tenant_acme|tenant_globex"},
	{plant: []string{"GRANT app_service_role TO tenant_acme"}, undo: []string{"REVOKE app_service_role FROM tenant_acme"}, want: "tenant-reaches-tenant|acme|tenant_acme|app_service_role"},
	{plant: []string{"GRANT pg_read_all_data TO tenant_acme"}, undo: []string{"REVOKE pg_read_all_data FROM tenant_acme"}, want: "tenant-reaches-tenant|acme|tenant_acme|pg_read_all_data"},
	{plant: []string{"GRANT USAGE ON SCHEMA tenant_globex TO tenant_acme"}, undo: []string{"REVOKE USAGE ON SCHEMA tenant_globex FROM tenant_acme"}, want: "tenant-reaches-tenant|acme|tenant_acme|tenant_globex"},
	{
		plant: []string{"GRANT USAGE ON SCHEMA tenant_globex TO tenant_acme", "GRANT SELECT ON ALL TABLES IN SCHEMA tenant_globex TO tenant_acme"},
		undo:  []string{"REVOKE USAGE ON SCHEMA tenant_globex FROM tenant_acme", "REVOKE SELECT ON ALL TABLES IN SCHEMA tenant_globex FROM tenant_acme"},
		want:  "tenant-reaches-tenant|acme|tenant_acme|tenant_globex\ntenant-reaches-tenant|acme|tenant_acme|tenant_globex",
	},
	{plant: []string{"GRANT USAGE ON SCHEMA tenant_globex TO all_tenants"}, undo: []string{"REVOKE USAGE ON SCHEMA tenant_globex FROM all_tenants"}, want: "tenant-reaches-tenant||all_tenants|tenant_globex"},
	{plant: []string{"GRANT USAGE ON SCHEMA tenant_globex TO stranger"}, undo: []string{"REVOKE USAGE ON SCHEMA tenant_globex FROM stranger"}, want: "other-role-reaches-tenant|globex|stranger|tenant_globex"},
	{plant: []string{"GRANT SELECT (body) ON tenant_globex.docs TO stranger"}, undo: []string{"REVOKE SELECT (body) ON tenant_globex.docs FROM stranger"}, want: "other-role-reaches-tenant|globex|stranger|tenant_globex"},
	{plant: []string{`CREATE ROLE "Odd ""One"`, `GRANT USAGE ON SCHEMA tenant_globex TO "Odd ""One"`}, undo: []string{`REVOKE ALL ON SCHEMA tenant_globex FROM "Odd ""One"`, `DROP ROLE "Odd ""One"`}, want: `other-role-reaches-tenant|globex|Odd "One|tenant_globex`},
	{plant: []string{adminDefaults + "GRANT USAGE ON TYPES TO stranger"}, undo: []string{adminDefaults + "REVOKE USAGE ON TYPES FROM stranger"}, want: "default-privileges-extra||stranger|all schemas"},
	{plant: []string{adminDefaults + "GRANT SELECT ON TABLES TO PUBLIC"}, undo: []string{adminDefaults + "REVOKE SELECT ON TABLES FROM PUBLIC"}, want: "default-privileges-extra||PUBLIC|all schemas"},
	{plant: []string{"ALTER DEFAULT PRIVILEGES FOR ROLE app_service_role GRANT SELECT ON TABLES TO PUBLIC"}, undo: []string{"ALTER DEFAULT PRIVILEGES FOR ROLE app_service_role REVOKE SELECT ON TABLES FROM PUBLIC"}, want: "default-privileges-extra||app_service_role|"},
	{plant: []string{"ALTER ROLE analyst BYPASSRLS"}, undo: []string{"ALTER ROLE analyst NOBYPASSRLS"}, want: "app-attribute||analyst|"},
	{plant: []string{"ALTER ROLE app_service_role BYPASSRLS"}, undo: []string{"ALTER ROLE app_service_role NOBYPASSRLS"}}, // the config can ask for it
	{plant: []string{"GRANT pg_write_all_data TO stranger"}, undo: []string{"REVOKE pg_write_all_data FROM stranger"}, want: "other-role-reaches-tenant||stranger|pg_write_all_data"},
	{plant: []string{"GRANT tenant_acme TO stranger"}, undo: []string{"REVOKE tenant_acme FROM stranger"}, want: "membership-unexpected|acme|stranger|tenant_acme"},
	{plant: []string{"GRANT admin_service_role TO stranger"}, undo: []string{"REVOKE admin_service_role FROM stranger"}, want: "membership-unexpected||stranger|admin_service_role"},
	{plant: []string{"GRANT stranger TO app_service_role"}, undo: []string{"REVOKE stranger FROM app_service_role"}, want: "membership-unexpected||app_service_role|stranger"},
	{plant: []string{"GRANT stranger TO tenant_acme"}, undo: []string{"REVOKE stranger FROM tenant_acme"}, want: "membership-unexpected|acme|tenant_acme|stranger"},
	{plant: []string{"GRANT all_tenants TO tenant_acme WITH ADMIN OPTION GRANTED BY PROVIDER"}, undo: []string{"REVOKE ADMIN OPTION FOR all_tenants FROM tenant_acme GRANTED BY PROVIDER"}, want: "tenant-admin-option|acme|tenant_acme|all_tenants"},
	{plant: []string{"GRANT stranger TO tenant_acme WITH ADMIN OPTION"}, undo: []string{"REVOKE stranger FROM tenant_acme"}, want: "tenant-admin-option|acme|tenant_acme|stranger"},
	{plant: []string{"GRANT CONNECT ON DATABASE ON_DATABASE TO PUBLIC"}, undo: []string{"REVOKE CONNECT ON DATABASE ON_DATABASE FROM PUBLIC"}, want: "public-on-database||PUBLIC|ON_DATABASE"},
	{plant: []string{"GRANT USAGE, CREATE ON SCHEMA public TO PUBLIC"}, undo: []string{"REVOKE ALL ON SCHEMA public FROM PUBLIC"}, want: "public-on-schema-public||PUBLIC|public"},
	{plant: []string{"GRANT USAGE ON SCHEMA tenant_acme TO PUBLIC"}, undo: []string{"REVOKE USAGE ON SCHEMA tenant_acme FROM PUBLIC"}, want: "public-on-tenant-schema|acme|PUBLIC|tenant_acme"},
	{plant: []string{"GRANT SELECT ON tenant_acme.docs TO PUBLIC"}, undo: []string{"REVOKE SELECT ON tenant_acme.docs FROM PUBLIC"}, want: "public-on-tenant-schema|acme|PUBLIC|tenant_acme"},
	{plant: []string{"GRANT EXECUTE ON FUNCTION tenant_acme.answer() TO PUBLIC"}, undo: []string{"REVOKE EXECUTE ON FUNCTION tenant_acme.answer() FROM PUBLIC"}, want: "public-on-functions|acme|PUBLIC|tenant_acme"},
	{
		plant: []string{"ALTER FUNCTION tenant_acme.answer() SECURITY DEFINER", "GRANT EXECUTE ON FUNCTION tenant_acme.answer() TO tenant_acme"},
		undo:  []string{"ALTER FUNCTION tenant_acme.answer() SECURITY INVOKER", "REVOKE EXECUTE ON FUNCTION tenant_acme.answer() FROM tenant_acme"},
		want:  "security-definer|acme|tenant_acme|tenant_acme.answer()",
	},
	{plant: []string{adminDefaults + "GRANT EXECUTE ON FUNCTIONS TO PUBLIC"}, undo: []string{adminDefaults + "REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"}, want: "public-on-functions||PUBLIC|all schemas"},
	{plant: []string{"CREATE TABLE tenant_acme.own (id int)", "ALTER TABLE tenant_acme.own OWNER TO tenant_acme"}, undo: []string{"DROP TABLE tenant_acme.own"}, want: "tenant-owns|acme|tenant_acme|table tenant_acme.own"},
	{plant: []string{"SELECT lo_create(4711)", "ALTER LARGE OBJECT 4711 OWNER TO tenant_acme"}, undo: []string{"SELECT lo_unlink(4711)"}, want: "tenant-owns|acme|tenant_acme|large object 4711"},
	{plant: []string{"GRANT CREATE ON SCHEMA tenant_acme TO tenant_acme"}, undo: []string{"REVOKE CREATE ON SCHEMA tenant_acme FROM tenant_acme"}, want: "tenant-creates|acme|tenant_acme|tenant_acme"},
	{plant: []string{"GRANT CREATE ON SCHEMA public TO all_tenants"}, undo: []string{"REVOKE CREATE ON SCHEMA public FROM all_tenants"}, want: "tenant-creates||all_tenants|public"},
	{plant: []string{"GRANT TEMPORARY ON DATABASE ON_DATABASE TO tenant_acme"}, undo: []string{"REVOKE TEMPORARY ON DATABASE ON_DATABASE FROM tenant_acme"}, want: "tenant-temporary|acme|tenant_acme|ON_DATABASE"},
	{plant: []string{"ALTER ROLE tenant_acme CREATEROLE CREATEDB"}, undo: []string{"ALTER ROLE tenant_acme NOCREATEROLE NOCREATEDB"}, want: "tenant-attribute|acme|tenant_acme|"},
	{plant: []string{"ALTER ROLE tenant_acme SUPERUSER"}, undo: []string{"ALTER ROLE tenant_acme NOSUPERUSER"}, want: "tenant-attribute|acme|tenant_acme|"},
	{plant: []string{"ALTER ROLE all_tenants BYPASSRLS"}, undo: []string{"ALTER ROLE all_tenants NOBYPASSRLS"}, want: "tenant-attribute||all_tenants|"},
	{plant: []string{"ALTER ROLE analyst REPLICATION"}, undo: []string{"ALTER ROLE analyst NOREPLICATION"}, want: "app-attribute||analyst|"},
	{plant: []string{"GRANT SELECT ON tenant_acme.docs TO tenant_acme WITH GRANT OPTION"}, undo: []string{"REVOKE GRANT OPTION FOR SELECT ON tenant_acme.docs FROM tenant_acme"}, want: "grant-option|acme|tenant_acme|tenant_acme"},
	{plant: []string{"GRANT TRUNCATE ON tenant_acme.docs TO tenant_acme"}, undo: []string{"REVOKE TRUNCATE ON tenant_acme.docs FROM tenant_acme"}, want: "privilege-unexpected|acme|tenant_acme|tenant_acme"},
	{plant: []string{"ALTER SCHEMA tenant_acme OWNER TO stranger"}, undo: []string{"ALTER SCHEMA tenant_acme OWNER TO admin_service_role"}, want: "schema-owner|acme|stranger|tenant_acme"},
	{plant: []string{"CREATE TABLE tenant_acme.own (id int)", "ALTER TABLE tenant_acme.own OWNER TO stranger"}, undo: []string{"DROP TABLE tenant_acme.own"}, want: "object-owner|acme|stranger|tenant_acme.own"},
	{plant: []string{"REVOKE SELECT ON tenant_acme.docs, tenant_acme.notes FROM app_service_role"}, undo: []string{"GRANT SELECT ON tenant_acme.docs, tenant_acme.notes TO app_service_role"}, want: "app-cannot-read|acme|app_service_role|tenant_acme"},
	{plant: []string{"REVOKE USAGE ON SCHEMA tenant_acme FROM tenant_acme"}, undo: []string{"GRANT USAGE ON SCHEMA tenant_acme TO tenant_acme"}, want: "tenant-cannot-use|acme|tenant_acme|tenant_acme"},
	{plant: []string{"REVOKE SELECT ON SEQUENCE tenant_acme.tickets FROM tenant_acme"}, undo: []string{"GRANT SELECT ON SEQUENCE tenant_acme.tickets TO tenant_acme"}, want: "tenant-cannot-use|acme|tenant_acme|tenant_acme"},
	{plant: []string{"GRANT INSERT ON ALL TABLES IN SCHEMA tenant_acme TO app_service_role"}, undo: []string{"REVOKE INSERT ON ALL TABLES IN SCHEMA tenant_acme FROM app_service_role"}, want: "app-writes|acme|app_service_role|tenant_acme"},
	{plant: []string{"GRANT CREATE ON DATABASE ON_DATABASE TO analyst"}, undo: []string{"REVOKE CREATE ON DATABASE ON_DATABASE FROM analyst"}, want: "app-writes||analyst|ON_DATABASE"},
	{plant: []string{adminDefaults + "REVOKE SELECT ON TABLES FROM app_service_role"}, undo: []string{adminDefaults + "GRANT SELECT ON TABLES TO app_service_role"}, want: "default-privileges-missing||app_service_role|all schemas"},
	{plant: []string{adminDefaults + "IN SCHEMA tenant_acme REVOKE INSERT, SELECT ON TABLES FROM tenant_acme"}, undo: []string{adminDefaults + "IN SCHEMA tenant_acme GRANT INSERT, SELECT ON TABLES TO tenant_acme"}, want: "default-privileges-missing|acme|tenant_acme|tenant_acme"},
	{plant: []string{adminDefaults + "GRANT SELECT ON TABLES TO all_tenants"}, undo: []string{adminDefaults + "REVOKE SELECT ON TABLES FROM all_tenants"}, want: "default-privileges-extra||all_tenants|all schemas"},
	{plant: []string{"REVOKE tenant_acme FROM all_tenants_admin GRANTED BY PROVIDER"}, undo: []string{"GRANT tenant_acme TO all_tenants_admin WITH ADMIN OPTION"}, want: "membership-missing|acme|all_tenants_admin|tenant_acme"},
	{plant: []string{"REVOKE all_tenants FROM tenant_acme GRANTED BY PROVIDER"}, undo: []string{"GRANT all_tenants TO tenant_acme"}, want: "membership-missing|acme|tenant_acme|all_tenants"},
	{plant: []string{"GRANT app_service_role TO analyst GRANTED BY admin_service_role"}, undo: []string{"REVOKE app_service_role FROM analyst GRANTED BY admin_service_role"}, want: "membership-twice||analyst|app_service_role", since: "16"},
	{plant: []string{"DROP ROLE initech"}, undo: []string{"CREATE ROLE initech"}, want: "role-missing||initech|"},
	{plant: []string{"ALTER SCHEMA tenant_hooli RENAME TO gone"}, undo: []string{"ALTER SCHEMA gone RENAME TO tenant_hooli"}, want: "schema-missing|hooli||tenant_hooli\nschema-unknown|||gone"},
	{plant: []string{"GRANT all_tenants TO stranger"}, undo: []string{"REVOKE all_tenants FROM stranger"}, want: "role-unknown||stranger|stranger is a member of all_tenants"},
	{plant: []string{"CREATE SCHEMA nobodys AUTHORIZATION admin_service_role"}, undo: []string{"DROP SCHEMA nobodys"}, want: "schema-unknown|||nobodys"},
	{plant: []string{"ALTER ROLE all_tenants LOGIN"}, undo: []string{"ALTER ROLE all_tenants NOLOGIN"}, want: "login-unexpected||all_tenants|"},
	{plant: []string{"GRANT ALL ON ALL TABLES IN SCHEMA tenant_globex TO stranger"}, undo: []string{"REVOKE ALL ON ALL TABLES IN SCHEMA tenant_globex FROM stranger"}, want: "other-role-reaches-tenant|globex|stranger|tenant_globex"},
	{plant: []string{"GRANT pg_execute_server_program TO stranger"}, undo: []string{"REVOKE pg_execute_server_program FROM stranger"}, want: "other-role-reaches-tenant||stranger|pg_execute_server_program"},
	{plant: []string{"GRANT pg_read_server_files TO tenant_acme"}, undo: []string{"REVOKE pg_read_server_files FROM tenant_acme"}, want: "tenant-reaches-tenant|acme|tenant_acme|pg_read_server_files"},
	{plant: []string{"GRANT SUPERUSER TO stranger"}, undo: []string{"REVOKE SUPERUSER FROM stranger"}, want: "other-role-reaches-tenant||stranger|SUPERUSER"},
	{plant: []string{"GRANT SUPERUSER TO tenant_acme"}, undo: []string{"REVOKE SUPERUSER FROM tenant_acme"}, want: "tenant-reaches-tenant|acme|tenant_acme|SUPERUSER"},
	{
		plant: []string{"CREATE ROLE second", "GRANT pg_read_all_data TO second", "GRANT second TO stranger", "GRANT SELECT ON tenant_globex.docs TO stranger"},
		undo:  []string{"DROP ROLE second", "REVOKE SELECT ON tenant_globex.docs FROM stranger"},
		want:  "other-role-reaches-tenant||second|pg_read_all_data\nother-role-reaches-tenant|globex|stranger|tenant_globex",
	},
	{plant: []string{"CREATE SCHEMA own AUTHORIZATION tenant_acme"}, undo: []string{"DROP SCHEMA own"}, want: "tenant-owns|acme|tenant_acme|schema own"},
	{plant: []string{"CREATE DATABASE own OWNER tenant_acme"}, undo: []string{"DROP DATABASE own"}, want: "tenant-owns|acme|tenant_acme|database own"},
	{plant: []string{"ALTER SEQUENCE tenant_acme.tickets OWNER TO analyst"}, undo: []string{"ALTER SEQUENCE tenant_acme.tickets OWNER TO admin_service_role", "GRANT SELECT ON SEQUENCE tenant_acme.tickets TO app_service_role"}, want: "app-writes||analyst|sequence tenant_acme.tickets"},
	{plant: []string{"CREATE SCHEMA extra", "GRANT USAGE, CREATE ON SCHEMA extra TO PUBLIC"}, undo: []string{"DROP SCHEMA extra"}, want: "tenant-creates||PUBLIC|extra"},
	{plant: []string{"GRANT CREATE ON SCHEMA pg_catalog TO tenant_acme"}, undo: []string{"REVOKE CREATE ON SCHEMA pg_catalog FROM tenant_acme"}, want: "tenant-creates|acme|tenant_acme|pg_catalog"},
	{
		plant: []string{"SET ROLE admin_service_role", "CREATE VIEW tenant_acme.leak AS SELECT * FROM tenant_globex.docs", "RESET ROLE"},
		undo:  []string{"DROP VIEW tenant_acme.leak"},
		want:  "tenant-reaches-tenant|acme|tenant_acme|tenant_acme.leak",
	},
	{
		plant: []string{"SET ROLE admin_service_role", "CREATE VIEW tenant_acme.leak WITH (security_invoker) AS SELECT * FROM tenant_globex.docs", "RESET ROLE"},
		undo:  []string{"DROP VIEW tenant_acme.leak"},
		since: "15", // it leaks nothing
	},
	{
		plant: []string{
			"CREATE SCHEMA extra", "CREATE VIEW extra.docs AS SELECT * FROM tenant_globex.docs", "CREATE MATERIALIZED VIEW extra.leak AS SELECT * FROM extra.docs",
			"GRANT SELECT ON extra.leak TO all_tenants, app_service_role",
		},
		undo: []string{"DROP SCHEMA extra CASCADE"},
		want: "tenant-reaches-tenant||all_tenants|extra.leak",
	},
	{
		plant: []string{"SET ROLE admin_service_role", "CREATE TABLE tenant_acme.leak (LIKE tenant_globex.docs)", "ALTER TABLE tenant_globex.docs INHERIT tenant_acme.leak", "RESET ROLE"},
		undo:  []string{"ALTER TABLE tenant_globex.docs NO INHERIT tenant_acme.leak", "DROP TABLE tenant_acme.leak"},
		want:  "tenant-reaches-tenant|acme|tenant_acme|tenant_acme.leak",
	},
	{plant: []string{"GRANT USAGE ON SCHEMA tenant_umbrella TO tenant_umbrella"}, undo: []string{"REVOKE USAGE ON SCHEMA tenant_umbrella FROM tenant_umbrella"}, want: "privilege-unexpected|umbrella|tenant_umbrella|tenant_umbrella"},
	{
		plant: []string{"REVOKE CONNECT ON DATABASE ON_DATABASE FROM all_tenants, app_service_role, admin_service_role"},
		undo:  []string{"GRANT CONNECT ON DATABASE ON_DATABASE TO all_tenants, app_service_role, admin_service_role"},
		want: "admin-cannot-connect||admin_service_role|ON_DATABASE\napp-cannot-read||app_service_role|ON_DATABASE\n" +
			"tenant-cannot-use||all_tenants|ON_DATABASE",
	},
	{plant: []string{"GRANT USAGE ON SEQUENCE tenant_acme.tickets TO app_service_role"}, undo: []string{"REVOKE USAGE ON SEQUENCE tenant_acme.tickets FROM app_service_role"}, want: "app-writes|acme|app_service_role|tenant_acme"},
	{
		plant: []string{adminDefaults + "IN SCHEMA tenant_acme GRANT SELECT ON TABLES TO tenant_acme WITH GRANT OPTION"},
		undo:  []string{adminDefaults + "IN SCHEMA tenant_acme REVOKE GRANT OPTION FOR SELECT ON TABLES FROM tenant_acme"},
		want:  "default-privileges-extra||tenant_acme|tenant_acme",
	},
	{plant: []string{"ALTER ROLE tenant_acme NOINHERIT"}, undo: []string{"ALTER ROLE tenant_acme INHERIT"}, want: "membership-missing|acme|tenant_acme|all_tenants", until: "15"},
	{plant: []string{"GRANT app_service_role TO analyst WITH INHERIT FALSE GRANTED BY PROVIDER"}, undo: []string{"GRANT app_service_role TO analyst WITH INHERIT TRUE GRANTED BY PROVIDER"}, want: "membership-missing||analyst|app_service_role", since: "16"},
	{
		plant: []string{"GRANT all_tenants_admin TO admin_service_role WITH ADMIN OPTION GRANTED BY PROVIDER"},
		undo:  []string{"REVOKE ADMIN OPTION FOR all_tenants_admin FROM admin_service_role GRANTED BY PROVIDER"},
		want:  "membership-unexpected||admin_service_role|all_tenants_admin",
	},
	{plant: []string{"ALTER ROLE tenant_umbrella LOGIN"}, undo: []string{"ALTER ROLE tenant_umbrella NOLOGIN"}, want: "login-unexpected|umbrella|tenant_umbrella|"},
}

// answers are those of why, in a new deployment.
var answers = map[string]string{
	"tenant_acme reads tenant_globex.docs": `no
  USAGE on schema tenant_globex: missing. tenant_acme is neither one of these roles, which have it, nor a member of one: admin_service_role, app_service_role, tenant_globex`,
	"tenant_acme writes tenant_acme.docs": `yes
  USAGE on schema tenant_acme: granted to tenant_acme
  INSERT on table tenant_acme.docs: granted to tenant_acme
  UPDATE on table tenant_acme.docs: granted to tenant_acme
  DELETE on table tenant_acme.docs: granted to tenant_acme`,
	"analyst reads tenant_globex.docs": `yes
  USAGE on schema tenant_globex: granted to app_service_role; analyst: member of app_service_role
  SELECT on table tenant_globex.docs: granted to app_service_role; analyst: member of app_service_role`,
	"tenant_globex_a uses tenant_globex": `yes
  USAGE on schema tenant_globex: granted to tenant_globex; tenant_globex_a: member of tenant_globex`,
	"app_service_role writes tenant_acme.docs": `no
  USAGE on schema tenant_acme: granted to app_service_role
  INSERT on table tenant_acme.docs: missing. app_service_role is neither one of these roles, which have it, nor a member of one: admin_service_role, tenant_acme`,
	"admin_service_login_a owns tenant_acme": `yes
  owner of schema tenant_acme: admin_service_role owns it; admin_service_login_a: member of admin_service_login, member of admin_service_role`,
	"tenant_acme reads tenant_acme": `yes
  USAGE on schema tenant_acme: granted to tenant_acme
  SELECT on table tenant_acme.docs: granted to tenant_acme
  SELECT on table tenant_acme.notes: granted to tenant_acme
  SELECT on view tenant_acme.titles: granted to tenant_acme`,
	"tenant_acme uses DATABASE": `yes
  CONNECT on database DATABASE: granted to all_tenants; tenant_acme: member of all_tenants`,
	"tenant_acme creates-in tenant_acme": `no
  CREATE on schema tenant_acme: missing. tenant_acme is neither one of these roles, which have it, nor a member of one: admin_service_role`,
}

// A deployment has no violation, whatever is in it, and each violation planted is found, with that
// finding and no other.
func TestAudit(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		tenants := object{
			"acme": object{}, "globex": object{"logins": object{"active": "a"}}, "hooli": object{"suspended": true, "adopt": true},
			"initech": object{"role": "initech_login", "schema": "initech"}, "umbrella": object{"retire": "keep"},
		}
		roles := object{"admin": object{"logins": object{"active": "a"}}}
		readers := object{"analyst": object{}, "dashboard": object{"logins": object{"active": "a"}}}
		p.configure(t, object{}, roles, readers)
		p.up(t)
		p.adoptHooli(t)
		p.configure(t, tenants, roles, readers)
		p.up(t)
		cell := p.cell(t, "cell", p)
		cell.configure(t, object{"wonka": object{}}, nil)
		cell.up(t)
		admin := p.login(t, "admin_service_login_a")
		for _, schema := range []string{"tenant_acme", "tenant_globex", "initech", "tenant_wonka"} {
			makeTables(t, admin, schema)
		}
		super := p.superuser(t, database)
		super.may(t, "CREATE ROLE stranger LOGIN")
		a := newAuditor(t, p, cell)
		if found := a.violations(t); len(found) > 0 {
			t.Fatalf("violations in a new deployment:\n%s", strings.Join(found, "\n"))
		}
		fixed := 0
		for _, v := range violations {
			if p.major >= v.since && (v.until == "" || p.major <= v.until) {
				fixed += v.check(t, p, a, super)
			}
		}
		if fixed < len(violations)/2 {
			t.Errorf("%d fixes were run, want most of those of %d violations", fixed, len(violations))
		}
		super.may(t, "ALTER ROLE tenant_acme SET search_path = public")
		if _, notes := a.findings(t); !slices.Contains(names(notes), "setting|acme|tenant_acme|search_path") {
			t.Errorf("no setting is noted: %v", notes)
		}
		super.may(t, "ALTER ROLE tenant_acme SET search_path = tenant_acme")
		swapped := *a
		swapped.outputs = slices.Concat(a.outputs[2:], a.outputs[:2])
		if found := swapped.violations(t); len(found) > 0 {
			t.Errorf("violations with the cell first:\n%s", strings.Join(found, "\n"))
		}
		swapped.outputs = a.outputs[:2]
		if found, want := swapped.violations(t), []string{"role-unknown||tenant_wonka|tenant_wonka is a member of all_tenants", "schema-unknown|||tenant_wonka"}; !slices.Equal(found, want) {
			t.Errorf("without the cell's outputs: found %q, want %q", found, want)
		}
		a.fails(t)
		for question, want := range answers {
			question, want = strings.ReplaceAll(question, "DATABASE", database), strings.ReplaceAll(want, "DATABASE", database)
			if out, _ := a.run(t, "why", strings.Fields(question)...); out != question+": "+want+"\n" {
				t.Errorf("got %swant %s: %s", out, question, want)
			}
		}
		// Only a superuser sees how passwords are stored.
		super.may(t, "SET password_encryption = md5", "ALTER ROLE tenant_acme PASSWORD 'x'")
		a.env = append(a.env, "PGUSER="+p.server.User, "PGPASSWORD="+p.server.Password)
		if found := a.violations(t); !slices.Equal(found, []string{"md5-password|acme|tenant_acme|"}) {
			t.Errorf("found %v", found)
		}
		super.may(t, "ALTER ROLE tenant_acme PASSWORD NULL")
		if found := a.violations(t); len(found) > 0 {
			t.Errorf("violations in the end:\n%s", strings.Join(found, "\n"))
		}
	})
}

// adoptHooli makes a tenant of a role, a schema and a table that were there before.
func (p *platform) adoptHooli(t *testing.T) {
	t.Helper()
	super := p.superuser(t, database)
	super.may(t,
		"CREATE ROLE tenant_hooli LOGIN CREATEDB", "CREATE SCHEMA tenant_hooli AUTHORIZATION tenant_hooli", "GRANT ALL ON SCHEMA tenant_hooli TO PUBLIC",
		"SET ROLE tenant_hooli", "CREATE TABLE tenant_hooli.docs (id serial, body text)", "CREATE VIEW tenant_hooli.titles AS SELECT body FROM tenant_hooli.docs", "RESET ROLE",
		"REASSIGN OWNED BY tenant_hooli TO admin_service_role")
	if p.user != p.server.User {
		super.may(t, "GRANT tenant_hooli TO "+p.user+" WITH ADMIN OPTION")
	}
	p.importFile(t, `{"resources": [
		{"type": "tenant-permissions:index:Tenant", "name": "hooli", "component": true},
		{"type": "postgresql:index/role:Role", "name": "hooli-role", "id": "tenant_hooli", "parent": "hooli"},
		{"type": "postgresql:index/schema:Schema", "name": "hooli-schema", "id": "`+database+`.tenant_hooli", "parent": "hooli"}
	]}`)
}

// fails fails unless an audit that cannot be made says so and has an exit code of its own.
func (a *auditor) fails(t *testing.T) {
	t.Helper()
	for want, args := range map[string][]string{
		"--outputs is missing": {"audit"},
		"no such file":         {"audit", "--outputs", "/nowhere.json"},
		`why: "eats" is no verb; give one of reads, writes, uses, creates-in, owns`:  append(append([]string{"why"}, a.outputs...), "tenant_acme", "eats", "tenant_acme"),
		`why: creates-in does not apply to a table; give one of reads, writes, owns`: append(append([]string{"why"}, a.outputs...), "tenant_acme", "creates", "in", "tenant_acme.docs"),
	} {
		cmd := exec.CommandContext(t.Context(), tools.tenantctl, args...)
		cmd.Env = a.env
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v: %s", args, err, out)
		}
	}
}

// check plants, looks, and undoes; then it plants again and does what the findings say, where that is
// SQL. It returns how many fixes it ran.
func (v planted) check(t *testing.T, p *platform, a *auditor, super *session) (fixed int) {
	t.Helper()
	placeholders := strings.NewReplacer("ON_DATABASE", database, "PROVIDER", p.user, " SUPERUSER TO", " "+p.server.User+" TO", " SUPERUSER FROM", " "+p.server.User+" FROM", "|SUPERUSER", "|"+p.server.User)
	run := func(statements []string) {
		for _, sql := range statements {
			super.may(t, placeholders.Replace(sql))
		}
	}
	run(v.plant)
	violations, _ := a.findings(t)
	if found, want := strings.Join(names(violations), "\n"), placeholders.Replace(v.want); found != want {
		t.Errorf("%s: found\n%s\nwant\n%s", v.plant, found, want)
	}
	run(v.undo)

	run(v.plant)
	for range 2 { // what has another owner now may lack privileges
		fixes := sqlFixes(violations)
		fixed += len(fixes)
		super.may(t, fixes...)
		violations, _ = a.findings(t)
	}
	if left := sqlFixes(violations); len(left) > 0 {
		t.Errorf("%s: after all fixes there is still %v", v.plant, violations)
	}
	for _, sql := range v.undo { // of which some is done
		if _, err := super.Exec(t.Context(), placeholders.Replace(sql)); err != nil {
			t.Logf("%s: %v", sql, err)
		}
	}
	return fixed
}

// sqlFixes are those fixes that are SQL, without what else can be done.
func sqlFixes(findings []finding) (fixes []string) {
	for _, f := range findings {
		if sql := notSQL.ReplaceAllString(f.Fix, ""); startsSQL.MatchString(sql) {
			fixes = append(fixes, sql)
		}
	}
	return fixes
}

var (
	startsSQL = regexp.MustCompile(`^(REVOKE|ALTER (ROLE|DATABASE|SCHEMA|TABLE|VIEW|SEQUENCE|FUNCTION|DEFAULT PRIVILEGES)|REASSIGN|GRANT) [^…]*$`)
	notSQL    = regexp.MustCompile(`, (or|then|and from) .*`)
)
