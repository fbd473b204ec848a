package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tenant-permissions/dev/postgres"
	"tenant-permissions/tools/connect"
)

// newServer starts an empty server and connects to it as its superuser.
func newServer(t testing.TB) (*postgres.Server, *pgx.Conn) {
	t.Helper()
	server, err := postgres.Start(t.Context(), postgres.Options{Version: os.Getenv("POSTGRES"), Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	conn, err := pgx.Connect(t.Context(), server.DSN(server.User, server.Password, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return server, conn
}

func execute(t testing.TB, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// Of roles with memberships and grants at random, the audit says what PostgreSQL says itself: what
// each has without doing anything, and what it can have by SET ROLE.
func TestAccessIsPostgreSQLs(t *testing.T) {
	_, conn := newServer(t)
	random := rand.New(rand.NewPCG(3, 4))
	const roles, schemas = 14, 4
	anyOf := func(n int, prefix string) string { return fmt.Sprint(prefix, random.IntN(n)) }
	yes := func() string { return []string{"FALSE", "TRUE"}[random.IntN(2)] }
	c, err := readCatalog(t.Context(), conn, time.Minute, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	modern := c.version >= 16
	for i := range roles {
		execute(t, conn, fmt.Sprintf("CREATE ROLE r%d %s", i, []string{"INHERIT", "NOINHERIT"}[random.IntN(2)]))
	}
	grant := func(role string, member int) {
		sql := fmt.Sprintf("GRANT %s TO r%d", role, member)
		switch {
		case modern:
			sql += " WITH ADMIN " + yes() + ", INHERIT " + yes() + ", SET " + yes()
		case random.IntN(3) == 0:
			sql += " WITH ADMIN OPTION"
		}
		execute(t, conn, sql)
	}
	for i := range roles {
		for j := range i {
			if random.IntN(5) == 0 {
				grant(fmt.Sprint("r", j), i)
			}
		}
	}
	grant("pg_read_all_data", random.IntN(roles))
	grant("pg_write_all_data", random.IntN(roles))
	var names []string
	for s := range schemas {
		schema := fmt.Sprint("s", s)
		names = append(names, schema)
		execute(t, conn, "CREATE SCHEMA "+schema,
			"CREATE TABLE "+schema+".t (a int, b int)", "CREATE VIEW "+schema+".v AS SELECT 1 AS a", "CREATE SEQUENCE "+schema+".q",
			"CREATE FUNCTION "+schema+".f(int, OUT text) LANGUAGE sql AS 'SELECT ''x''::text'",
			"ALTER SCHEMA "+schema+" OWNER TO "+anyOf(roles, "r"), "ALTER TABLE "+schema+".t OWNER TO "+anyOf(roles, "r"),
			"GRANT SELECT, UPDATE ON "+schema+".t TO "+anyOf(roles, "r"), "GRANT INSERT ON "+schema+".t TO "+anyOf(roles, "r"),
			"GRANT SELECT (a) ON "+schema+".t TO "+anyOf(roles, "r"), "GRANT DELETE ON "+schema+".v TO "+anyOf(roles, "r"),
			"GRANT USAGE ON SCHEMA "+schema+" TO "+anyOf(roles, "r"), "GRANT CREATE ON SCHEMA "+schema+" TO "+anyOf(roles, "r"),
			"GRANT SELECT ON SEQUENCE "+schema+".q TO "+anyOf(roles, "r"),
			"REVOKE ALL ON FUNCTION "+schema+".f FROM PUBLIC", "GRANT EXECUTE ON FUNCTION "+schema+".f TO "+anyOf(roles, "r"))
	}
	execute(t, conn, "GRANT SELECT ON s1.t TO PUBLIC", "GRANT USAGE ON SCHEMA s2 TO PUBLIC", "GRANT TEMPORARY ON DATABASE postgres TO r3")

	if c, err = readCatalog(t.Context(), conn, time.Minute, nil, names, nil); err != nil {
		t.Fatal(err)
	}
	ask := func(sql string, args ...any) (answer bool) {
		if err := conn.QueryRow(t.Context(), sql, args...).Scan(&answer); err != nil {
			t.Fatalf("%s %v: %v", sql, args, err)
		}
		return answer
	}
	set := "MEMBER"
	if modern {
		set = "SET"
	}
	asked := 0
	for member := range roles {
		m := c.byName[fmt.Sprint("r", member)]
		for _, role := range c.roles {
			way, reached := c.membersOf(role.oid)[m.oid]
			if want := ask("SELECT pg_has_role($1::oid, $2::oid, 'USAGE')", m.oid, role.oid); want != (reached && way.strength == inherits) {
				t.Errorf("%s has what %s has: %t", m.name, role.name, want)
			}
			want := ask("SELECT EXISTS (SELECT FROM pg_roles WHERE pg_has_role($1::oid, oid, '"+set+"') AND pg_has_role(oid, $2::oid, 'USAGE'))", m.oid, role.oid)
			if want != (reached && way.strength <= sets) {
				t.Errorf("%s can have what %s has: %t", m.name, role.name, want)
			}
		}
		for _, o := range c.objects {
			function, of := "has_table_privilege", o.String()
			privileges := []string{"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"}
			switch o.kind {
			case "database":
				function, privileges = "has_database_privilege", []string{"CONNECT", "CREATE", "TEMPORARY"}
			case "schema":
				function, privileges = "has_schema_privilege", []string{"USAGE", "CREATE"}
			case "sequence":
				function, privileges = "has_sequence_privilege", []string{"USAGE", "SELECT", "UPDATE"}
			case "function":
				function, privileges = "has_function_privilege", []string{"EXECUTE"}
			}
			for _, privilege := range privileges {
				asked++
				if want := ask("SELECT "+function+"($1::oid, $2, $3)", m.oid, of, privilege); want != c.inheritsPrivilege(m.oid, o, privilege) {
					t.Errorf("%s has %s on %s %s: %t", m.name, privilege, o.kind, o, want)
				}
			}
			if o.kind == "table" {
				want := ask("SELECT has_schema_privilege($1::oid, $2, 'USAGE') AND has_any_column_privilege($1::oid, $3, 'SELECT')", m.oid, o.schema, of)
				g, reads := c.access(o)[m.oid][rightRead]
				_, own := c.access(o)[m.oid][rightOwn]
				if want && !reads && !own || !want && reads && g.strength == inherits && c.schemaAccess(c.schemas[o.schema])[m.oid][rightUse].strength == inherits && !own {
					t.Errorf("%s reads %s: %t", m.name, o, want)
				}
			}
		}
	}
	if asked < 500 {
		t.Errorf("asked %d questions only", asked)
	}
}

// stack are the outputs of a stack with one tenant, changed by the test.
func stack(change func(record)) string {
	outputs := record{
		"outputs_version": 1, "database_name": "postgres",
		"app_service_role_name": "app", "admin_service_role_name": "admin", "all_tenants_role_name": "everyone", "all_tenants_admin_role_name": "everyone_admin",
		"role_names": record{"app": "app", "admin": "admin"}, "login_names": record{"app": "app", "admin": "admin_login"},
		"tenant_role_names": record{"acme": "tenant_acme"}, "tenant_login_names": record{"acme": "tenant_acme"}, "tenant_schema_names": record{"acme": "tenant_acme"},
		"retired_role_names": record{}, "passwords": "[secret]",
	}
	change(outputs)
	encoded, err := json.Marshal(outputs)
	if err != nil {
		panic(err) // a mistake in the test
	}
	return string(encoded)
}

type record = map[string]any

// All problems of the arguments and the outputs are reported at once, before the tool connects.
func TestBadInput(t *testing.T) {
	for _, test := range []struct {
		name     string
		files    []string
		want     []string
		database string // PGDATABASE
	}{
		{name: "no file", want: []string{"--outputs is missing"}},
		{name: "no JSON", files: []string{"Outputs:"}, want: []string{"0.json is not what `pulumi stack output --json` prints"}},
		{
			name: "other shapes",
			files: []string{stack(func(o record) {
				o["tenant_role_names"] = []string{}
				o["app_service_role_name"] = 1
				o["role_names"] = nil
			})},
			want: []string{
				"0.json: tenant_role_names: [] is not accepted; give the outputs of a deployed stack, which have names by key here", "0.json: app_service_role_name: 1 is not accepted; give the outputs of a deployed stack, which have a name here",
				"0.json: role_names: missing; give the outputs of a deployed stack, which have names by key here",
			},
		},
		{
			name:  "missing outputs",
			files: []string{stack(func(o record) { delete(o, "login_names"); o["outputs_version"] = 2; o["database_name"] = "" })},
			want:  []string{"0.json: outputs_version: 2 is not accepted; this tool reads version 1", `0.json: database_name: "" is not accepted; give the outputs of a deployed stack, which have a name here`, "0.json: login_names: missing; give the outputs of a deployed stack, which have names by key here"},
		},
		{
			name: "outputs that do not fit each other",
			files: []string{stack(func(o record) {
				o["tenant_schema_names"] = record{"acme": "tenant_acme", "globex": "tenant_globex", "hooli": "tenant_hooli"}
				o["tenant_role_names"] = record{"acme": "tenant_acme", "hooli": "tenant_hooli", "initech": "tenant_initech"}
				o["tenant_login_names"], o["retired_role_names"] = record{"acme": "tenant_acme"}, record{"acme": "tenant_acme"}
			})},
			want: []string{
				"0.json: retired_role_names.globex: missing, although tenant_role_names does not have the tenant; deploy the stack, then write its outputs again",
				"0.json: tenant_login_names.hooli: missing, although tenant_role_names has the tenant;",
				`0.json: retired_role_names.acme: "tenant_acme" is the role of a tenant that tenant_role_names has, so it is not retired;`,
				`0.json: tenant_role_names.initech: "tenant_initech" is of a tenant that tenant_schema_names does not have;`,
			},
		},
		{
			name: "two stacks",
			files: []string{
				stack(func(o record) {
					o["role_names"], o["login_names"] = record{"analyst": "analyst"}, record{"analyst": "analyst"}
				}),
				stack(func(o record) {
					o["role_names"], o["login_names"] = record{"analyst": "other"}, record{"analyst": "analyst"}
					o["database_name"] = "other"
				}),
			},
			want: []string{
				`1.json: database_name: "other" is not "postgres", which the files before have; give only stacks of one database and one platform`,
				`0.json has the tenant "acme" already; give each stack once`,
				`1.json: role_names.analyst: "other" is not "analyst", which the files before have; give only stacks of one platform`,
			},
		},
		{name: "another database", files: []string{stack(func(record) {})}, database: "other", want: []string{`PGDATABASE is "other", but the outputs are of the database "postgres"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("PGDATABASE", test.database)
			dir := t.TempDir()
			source := connect.Source{Timeout: time.Minute}
			for i, text := range test.files {
				file := filepath.Join(dir, fmt.Sprint(i, ".json"))
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				source.Outputs = append(source.Outputs, file)
			}
			err := Run(t.Context(), &source, "text", t.Output())
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
			}
		})
	}
}

// A cell that has not run since the platform has changed has fewer outputs of the shared roles, or older
// ones, and is accepted.
func TestStacks(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for i, text := range []string{
		stack(func(o record) {
			delete(o, "outputs_version")
			delete(o, "role_names")
			delete(o, "retired_role_names")
			o["login_names"] = record{"app": "app", "admin": "admin_login", "analyst": "analyst"}
		}),
		stack(func(o record) {
			o["role_names"] = record{"app": "app", "admin": "admin", "analyst": "analyst", "dashboard": "board"}
			o["login_names"] = record{"app": "app_b", "admin": "admin_login", "analyst": "analyst", "dashboard": "board_a"}
			o["tenant_role_names"], o["tenant_login_names"] = record{}, record{}
			o["tenant_schema_names"], o["retired_role_names"] = record{"globex": "globex"}, record{"globex": "tenant_globex"}
		}),
	} {
		file := filepath.Join(dir, fmt.Sprint(i, ".json"))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	got, err := readStacks(&connect.Source{Outputs: files}, false)
	if err != nil {
		t.Fatal(err)
	}
	want := declared{
		database: "postgres", app: "app", admin: "admin", allTenants: "everyone", allTenantsAdmin: "everyone_admin",
		readers: map[string]string{"analyst": "analyst", "dashboard": "board"},
		logins:  map[string][]string{"app": {"app", "app_b"}, "admin": {"admin_login"}, "analyst": {"analyst"}, "dashboard": {"board_a"}},
		tenants: []Tenant{
			{Key: "acme", Role: "tenant_acme", Login: "tenant_acme", Schema: "tenant_acme", Stack: files[0]},
			{Key: "globex", Retired: "tenant_globex", Schema: "globex", Stack: files[1]},
		},
		extensions: map[string]string{}, limits: map[string]limits{},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// What an admin option is good for PostgreSQL has no function for.
func TestWaysToARole(t *testing.T) {
	const top, middle, low = 1, 2, 3
	for _, test := range []struct {
		name    string
		members []membership // of low in middle and of middle in top
		want    strength
		reached bool
	}{
		{"inherits all the way", []membership{{inherit: true}, {inherit: true}}, inherits, true},
		{"SET ROLE, then inherits", []membership{{set: true}, {inherit: true}}, sets, true},
		{"SET ROLE twice", []membership{{set: true}, {set: true}}, sets, true},
		{"SET ROLE is not inherited", []membership{{inherit: true}, {set: true}}, 0, false},
		{"an admin option inherited", []membership{{inherit: true}, {admin: true}}, admins, true},
		{"an admin option by SET ROLE", []membership{{set: true}, {admin: true}}, admins, true},
		{"an admin option on who inherits", []membership{{admin: true}, {inherit: true}}, admins, true},
		{"an admin option on who has one", []membership{{admin: true}, {admin: true}}, admins, true},
		{"a member in name only", []membership{{}, {admin: true}}, 0, false},
		{"a member of a member in name only", []membership{{admin: true}, {}}, 0, false},
	} {
		test.members[0].member, test.members[0].role = low, middle
		test.members[1].member, test.members[1].role = middle, top
		c := &catalog{cluster: &cluster{edges: map[oid][]membership{middle: test.members[:1], top: test.members[1:]}}}
		c.index()
		if way, reached := c.membersOf(top)[low]; reached != test.reached || way.strength != test.want {
			t.Errorf("%s: got %d, %t", test.name, way.strength, reached)
		}
	}
}

// A database in which nothing is as the outputs say has a finding for each role and schema, in all
// formats.
func TestFormats(t *testing.T) {
	server, conn := newServer(t)
	execute(t, conn, "CREATE ROLE auditor LOGIN PASSWORD 'auditor-password'")
	for name, value := range map[string]string{
		"PGHOST": server.Host, "PGPORT": fmt.Sprint(server.Port), "PGUSER": "auditor", "PGPASSWORD": "auditor-password", "PGSSLMODE": "disable",
	} {
		t.Setenv(name, value)
	}
	audit := func(format string) string {
		var out strings.Builder
		err := Run(t.Context(), fromStdin(stack(func(record) {})), format, &out)
		if !errors.Is(err, ErrViolations) || !strings.Contains(err.Error(), "violations: the database is not as designed") {
			t.Errorf("%s: got error %v", format, err)
		}
		return out.String()
	}
	text := audit("text")
	for _, want := range []string{"\nrole-missing (6)\n  -     admin\n    the stack has the role admin (roles.admin), but the server does not\n    fix: pulumi up --refresh\n", "\n  acme  tenant_acme\n", "\nschema-missing (1)\n", "\nNotes\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	var report Report
	if err := json.Unmarshal([]byte(audit("json")), &report); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var same Report
	if err := json.Unmarshal(again, &same); err != nil || !reflect.DeepEqual(report, same) || len(report.Violations) < 7 || report.Version != 1 {
		t.Errorf("%v: %s", err, again)
	}
	if html := audit("html"); !strings.HasPrefix(html, "<!doctype html>") || !strings.Contains(html, "role-missing") {
		t.Errorf("got %.200s", html)
	}
	if err := Run(t.Context(), fromStdin(stack(func(record) {})), "yaml", t.Output()); err == nil || err.Error() != `--format "yaml" is not accepted: give text, json or html` {
		t.Errorf("got error %v", err)
	}
}

// fromStdin is a source with the outputs of one stack.
func fromStdin(outputs string) *connect.Source {
	return &connect.Source{Outputs: []string{"-"}, Timeout: time.Minute, Stdin: strings.NewReader(outputs)}
}

// BenchmarkAudit looks at 1,000 tenants with 20 tables each.
func BenchmarkAudit(b *testing.B) {
	server, conn := newServer(b)
	execute(b, conn, "SET client_min_messages = warning", "CREATE ROLE app LOGIN", "CREATE ROLE admin CREATEROLE", "CREATE ROLE admin_login LOGIN IN ROLE admin",
		"CREATE ROLE everyone", "CREATE ROLE everyone_admin NOINHERIT", "GRANT app TO admin WITH ADMIN OPTION", "GRANT everyone_admin TO admin",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin GRANT USAGE ON SCHEMAS TO app", "ALTER DEFAULT PRIVILEGES FOR ROLE admin GRANT SELECT ON TABLES TO app",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin GRANT SELECT ON SEQUENCES TO app", "ALTER DEFAULT PRIVILEGES FOR ROLE admin REVOKE ALL ON FUNCTIONS FROM PUBLIC",
		"REVOKE ALL ON DATABASE postgres FROM PUBLIC", "REVOKE ALL ON SCHEMA public FROM PUBLIC", "GRANT CREATE, CONNECT ON DATABASE postgres TO admin", "GRANT CONNECT ON DATABASE postgres TO app, everyone",
		"ALTER ROLE app SET search_path TO pg_catalog", "ALTER ROLE admin_login SET role TO admin", "ALTER ROLE admin_login SET search_path TO pg_catalog")
	names := record{}
	for i := range 1000 {
		name := fmt.Sprintf("t%04d", i)
		names[name] = name
		var sql strings.Builder
		fmt.Fprintf(&sql, `CREATE ROLE %[1]s LOGIN IN ROLE everyone; ALTER ROLE %[1]s SET search_path TO %[1]s; GRANT %[1]s TO everyone_admin WITH ADMIN OPTION; SET ROLE admin; CREATE SCHEMA %[1]s; GRANT USAGE ON SCHEMA %[1]s TO %[1]s;
			ALTER DEFAULT PRIVILEGES IN SCHEMA %[1]s GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %[1]s; ALTER DEFAULT PRIVILEGES IN SCHEMA %[1]s GRANT USAGE, SELECT ON SEQUENCES TO %[1]s;`, name)
		for table := range 20 {
			fmt.Fprintf(&sql, "CREATE TABLE %s.table_%d (id int);", name, table)
		}
		execute(b, conn, sql.String()+"RESET ROLE")
	}
	outputs := stack(func(o record) {
		o["tenant_role_names"], o["tenant_login_names"], o["tenant_schema_names"] = names, names, names
	})
	b.Setenv("PGHOST", server.Host)
	b.Setenv("PGPORT", fmt.Sprint(server.Port))
	b.Setenv("PGUSER", server.User)
	b.Setenv("PGPASSWORD", server.Password)
	b.Setenv("PGSSLMODE", "disable")
	for b.Loop() {
		var out strings.Builder
		if err := Run(b.Context(), fromStdin(outputs), "json", &out); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(out.Len())/1e6, "MB-JSON")
	}
	b.ReportAllocs()
}
