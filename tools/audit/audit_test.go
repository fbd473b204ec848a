package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tenant-permissions/dev/postgres"
	"tenant-permissions/dev/postgres/postgrestest"
	"tenant-permissions/internal/policy"
	"tenant-permissions/tools/connect"
)

// newServer starts an empty server and connects to it as its superuser.
func newServer(t testing.TB) (*postgres.Server, *pgx.Conn) {
	t.Helper()
	server := postgrestest.Start(t)
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

// inMemory is a server of a version that has the roles of a stack with one tenant, as the deployer made
// them, and further memberships.
func inMemory(version int, more ...membership) *system {
	c := &catalog{cluster: &cluster{version: version, roles: map[oid]*role{}, byName: map[string]*role{}, edges: map[oid][]membership{}}, objects: []*object{{kind: "database", name: "db", owner: 2}}}
	for i, name := range []string{"maker", "deployer", "admin", "admin_login", "app", "analyst", "everyone", "everyone_admin", "tenant_acme", "acme_agents", "acme_chat", "super"} {
		r := &role{oid: oid(i + 1), name: name, createRole: name == "maker" || name == "admin", super: name == "super"}
		c.roles[r.oid], c.byName[name] = r, r
	}
	c.members = more
	for _, m := range []membership{{role: 5, member: 3, admin: true}, {role: 8, member: 3}, {role: 3, member: 4}, {role: 5, member: 6}, {role: 7, member: 9}, {role: 7, member: 11}, {role: 10, member: 11}, {role: 9, member: 8, admin: true}} {
		m.grantor, m.set = 2, true
		m.inherit = !slices.ContainsFunc(more, func(other membership) bool {
			return other.role == m.role && other.member == m.member && other.grantor == 0
		})
		c.members = append(c.members, m)
	}
	c.members = slices.DeleteFunc(c.members, func(m membership) bool { return m.grantor == 0 })
	for _, m := range c.members {
		c.edges[m.role] = append(c.edges[m.role], m)
	}
	c.index()
	return newSystem(c, declared{
		app: "app", admin: "admin", allTenants: "everyone", allTenantsAdmin: "everyone_admin", readers: map[string]string{"analyst": "analyst"},
		logins:  map[string][]string{"app": {"app"}, "admin": {"admin_login"}, "analyst": {"analyst"}},
		tenants: []Tenant{{Key: "acme", Role: "tenant_acme", Login: "tenant_acme", Schema: "acme", AgentsRole: "acme_agents", Agents: map[string]string{"chat": "acme_chat"}}},
	})
}

// What versions of PostgreSQL differ in: before 16 a member inherits all or nothing and a membership is
// granted once, from 16 on each is granted by somebody, and who makes a role has the admin option on it.
func TestVersions(t *testing.T) {
	// Without a grantor: the membership of the stack that does not inherit.
	silent := []membership{{role: 5, member: 6}, {role: 7, member: 9}, {role: 10, member: 11}}
	twice := []membership{{role: 7, member: 9, grantor: 1, inherit: true}, {role: 9, member: 6, grantor: 1, inherit: true}, {role: 9, member: 6, grantor: 2, inherit: true}, {role: 8, member: 3, grantor: 1, admin: true}}
	made := []membership{{role: 2, member: 1, grantor: 1, admin: true}}
	notes := "note create-role|admin||\nnote create-role|maker||\nnote deployer|deployer||"
	const super = "\nnote superuser|super||"
	for _, test := range []struct {
		version int
		more    []membership
		want    string
	}{
		{14, nil, notes + "\nnote own-role|||" + super},
		{15, silent, `membership-missing|analyst|app|ALTER ROLE analyst INHERIT
membership-missing|acme_chat|acme_agents|ALTER ROLE acme_chat INHERIT
membership-missing|tenant_acme|everyone|ALTER ROLE tenant_acme INHERIT
` + notes + super},
		{16, append(made, silent...), `membership-missing|analyst|app|GRANT app TO analyst WITH INHERIT TRUE GRANTED BY deployer
membership-missing|acme_chat|acme_agents|GRANT acme_agents TO acme_chat WITH INHERIT TRUE GRANTED BY deployer
membership-missing|tenant_acme|everyone|GRANT everyone TO tenant_acme WITH INHERIT TRUE GRANTED BY deployer
note deployer|deployer||
note deployer|maker||` + super},
		{16, twice, `membership-twice|tenant_acme|everyone|REVOKE everyone FROM tenant_acme GRANTED BY maker
membership-unexpected|admin|everyone_admin|REVOKE ADMIN OPTION FOR everyone_admin FROM admin GRANTED BY maker
membership-unexpected|analyst|tenant_acme|REVOKE tenant_acme FROM analyst GRANTED BY maker
note deployer|deployer||` + super},
		{16, []membership{{role: 2, member: 1, grantor: 1, admin: true, set: true}, {role: 2, member: 12, grantor: 1, admin: true}}, "note deployer|deployer||" + super},
		{16, []membership{{role: 2, member: 1, grantor: 1, admin: true, inherit: true}}, "note deployer|deployer||" + super},
		{16, []membership{{role: 2, member: 1, grantor: 1}}, "note deployer|deployer||" + super},
	} {
		s := inMemory(test.version, test.more...)
		s.md5 = map[oid]bool{}
		f := newFindings(nil, "")
		s.checkMemberships(f)
		s.noteServer(f)
		var got []string
		for _, v := range sorted(f.violations) {
			got = append(got, strings.Join([]string{v.Rule, v.Subject, v.Object, v.Fix}, "|"))
			if v.Text == "" {
				t.Errorf("%v has no text", v)
			}
		}
		for _, n := range sorted(f.notes) {
			got = append(got, "note "+strings.Join([]string{n.Rule, n.Subject, n.Object, n.Fix}, "|"))
			if n.Subject == "maker" && n.Rule == ruleDeployer && !strings.HasPrefix(n.Text, "it made deployer,") {
				t.Errorf("got %s", n.Text)
			}
		}
		if strings.Join(got, "\n") != test.want {
			t.Errorf("%d, %v: got\n%s\nwant\n%s", test.version, test.more, strings.Join(got, "\n"), test.want)
		}
	}
}

// An extension has the version that the config says, or any if it says none.
func TestExtensionVersions(t *testing.T) {
	s := inMemory(18)
	s.extensionSchema, s.extensions = "extensions", map[string]string{"cube": "1.5", "seg": "1.4", "vector": "", "hstore": "1"}
	s.installed = map[string]extension{"cube": {"extensions", "1.5"}, "seg": {"extensions", "1.3"}, "vector": {"extensions", "0.8"}}
	f := newFindings(nil, "")
	s.checkExtensions(f)
	want := []Finding{
		{Rule: ruleExtension, Object: "hstore", Text: "the stack has the extension hstore, but the database does not", Fix: "pulumi up --refresh"},
		{Rule: ruleExtension, Object: "seg", Text: "the extension seg has version 1.3, the config says 1.4", Fix: "pulumi up --refresh"},
	}
	if got := sorted(f.violations); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A retired tenant, and its agents, have nothing in its own database.
func TestRetiredOwnDatabase(t *testing.T) {
	s := inMemory(18)
	for retired, may := range map[string]bool{"": true, "tenant_acme": false} {
		of := s.ofTenant(&Tenant{Key: "acme", Role: "tenant_acme", Retired: retired, AgentsRole: "acme_agents", Database: "acme_db"}, s.catalog)
		for name, want := range map[string]bool{"tenant_acme": may, "acme_chat": may, "app": true, "analyst": true, "admin": true, "deployer": true, "everyone": false} {
			if got := of.mayConnect(s.byName[name].oid); got != want {
				t.Errorf("retired as %q: %s may connect: %t", retired, name, got)
			}
		}
		for _, grant := range slices.Concat(of.onDatabase(), of.onExtensionSchema()) {
			if (grant.Role == policy.Tenant || grant.Role == policy.Agents) && !may {
				t.Errorf("a retired tenant has %v", grant)
			}
		}
	}
}

// A schema that a tenant has left is another tenant's if that has the same one, and nobody's if it is gone.
func TestSchemaLeft(t *testing.T) {
	c := inMemory(18).catalog
	c.objects = append(c.objects, &object{kind: "schema", schema: "s"}, &object{kind: "schema", schema: "left"})
	c.index()
	s := newSystem(c, declared{tenants: []Tenant{
		{Key: "acme", Role: "a", Schema: "s", Database: "a"}, {Key: "globex", Role: "g", Schema: "s"}, {Key: "hooli", Role: "h", Schema: "left", Database: "h"}, {Key: "initech", Role: "i", Schema: "gone", Database: "i"},
	}})
	keys := map[string]string{}
	for schema, tenant := range s.tenantBySchema {
		keys[schema] = tenant.Key
	}
	if want := map[string]string{"s": "globex", "left": "hooli"}; !reflect.DeepEqual(keys, want) {
		t.Errorf("got %v, want %v", keys, want)
	}
}

// Quotes around a single name are PostgreSQL's; those around several make one name of them.
func TestUnquoted(t *testing.T) {
	for value, want := range map[string]string{`"Odd", public`: "Odd, public", `"a, b"`: `"a, b"`, `a,b`: "a, b", `b"`: `b"`} {
		if got := unquoted(value); got != want {
			t.Errorf("%s: got %s, want %s", value, got, want)
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
		err := Run(t.Context(), fromStdin(stack(func(record) {})), Options{Format: format}, &out)
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
	if err := Run(t.Context(), fromStdin(stack(func(record) {})), Options{Format: "yaml"}, t.Output()); err == nil || err.Error() != `--format "yaml" is not accepted: give one of text, json, html, sarif, junit, openmetrics, waivers` {
		t.Errorf("got error %v", err)
	}
}

// fromStdin is a source with the outputs of one stack.
func fromStdin(outputs string) *connect.Source {
	return &connect.Source{Outputs: []string{"-"}, Timeout: time.Minute, Stdin: strings.NewReader(outputs)}
}
