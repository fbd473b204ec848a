package audit

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkAudit looks at tenants with 20 tables each. To make 10,000 of them takes minutes.
func BenchmarkAudit(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("%d tenants", n), func(b *testing.B) { benchmarkAudit(b, n) })
	}
}

func benchmarkAudit(b *testing.B, tenants int) {
	server, conn := newServer(b)
	execute(b, conn, "SET client_min_messages = warning", "CREATE ROLE app LOGIN", "CREATE ROLE admin CREATEROLE", "CREATE ROLE admin_login LOGIN IN ROLE admin",
		"CREATE ROLE everyone", "CREATE ROLE everyone_admin NOINHERIT", "GRANT app TO admin WITH ADMIN OPTION", "GRANT everyone_admin TO admin",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin GRANT USAGE ON SCHEMAS TO app", "ALTER DEFAULT PRIVILEGES FOR ROLE admin GRANT SELECT ON TABLES TO app",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin GRANT SELECT ON SEQUENCES TO app", "ALTER DEFAULT PRIVILEGES FOR ROLE admin REVOKE ALL ON FUNCTIONS FROM PUBLIC",
		"REVOKE ALL ON DATABASE postgres FROM PUBLIC", "REVOKE ALL ON SCHEMA public FROM PUBLIC", "GRANT CREATE, CONNECT ON DATABASE postgres TO admin", "GRANT CONNECT ON DATABASE postgres TO app, everyone",
		"ALTER ROLE app SET search_path TO pg_catalog", "ALTER ROLE admin_login SET role TO admin", "ALTER ROLE admin_login SET search_path TO pg_catalog")
	names := record{}
	for i := range tenants {
		name := fmt.Sprintf("t%05d", i)
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
		if err := Run(b.Context(), fromStdin(outputs), Options{Format: "json"}, &out); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(out.Len())/1e6, "MB-JSON")
	}
	b.ReportAllocs()
}
