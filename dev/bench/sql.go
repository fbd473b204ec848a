package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tenant-permissions/internal/scram"
)

// sharedSQL makes what a stack has besides its tenants.
func sharedSQL(database string) []string {
	return []string{
		"CREATE ROLE app_service_role LOGIN" + password(),
		"CREATE ROLE admin_service_role CREATEDB CREATEROLE VALID UNTIL 'infinity'",
		"CREATE ROLE admin_service_login LOGIN IN ROLE admin_service_role" + password(),
		"ALTER ROLE admin_service_login SET role TO admin_service_role",
		"CREATE ROLE all_tenants VALID UNTIL 'infinity'",
		"CREATE ROLE all_tenants_admin NOINHERIT VALID UNTIL 'infinity'",
		"GRANT app_service_role TO admin_service_role WITH ADMIN OPTION",
		"GRANT all_tenants_admin TO admin_service_role",
		"REVOKE ALL ON DATABASE " + database + " FROM PUBLIC",
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
		"GRANT CONNECT ON DATABASE " + database + " TO app_service_role, admin_service_role, all_tenants",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin_service_role GRANT USAGE ON SCHEMAS TO app_service_role",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin_service_role GRANT SELECT ON TABLES TO app_service_role",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin_service_role GRANT SELECT ON SEQUENCES TO app_service_role",
		"ALTER DEFAULT PRIVILEGES FOR ROLE admin_service_role REVOKE ALL ON FUNCTIONS FROM PUBLIC",
	}
}

// tenantSQL makes one tenant.
func tenantSQL(key string) []string {
	name := "tenant_" + key
	defaults := "ALTER DEFAULT PRIVILEGES FOR ROLE admin_service_role IN SCHEMA " + name + " GRANT "
	return []string{
		"CREATE ROLE " + name + " LOGIN IN ROLE all_tenants" + password(),
		"ALTER ROLE " + name + " SET search_path TO " + name,
		"GRANT " + name + " TO all_tenants_admin WITH ADMIN OPTION",
		"CREATE SCHEMA " + name + " AUTHORIZATION admin_service_role",
		"GRANT USAGE ON SCHEMA " + name + " TO " + name,
		defaults + "SELECT, INSERT, UPDATE, DELETE ON TABLES TO " + name,
		defaults + "USAGE, SELECT ON SEQUENCES TO " + name,
	}
}

// rotateSQL gives a tenant another password.
func rotateSQL(key string) []string {
	return []string{"ALTER ROLE tenant_" + key + password()}
}

// dropTenantSQL drops a tenant.
func dropTenantSQL(key string) []string {
	name := "tenant_" + key
	return []string{"DROP SCHEMA " + name, "DROP ROLE " + name}
}

// dropSharedSQL drops what sharedSQL makes. PUBLIC does not get its rights back.
func dropSharedSQL(database string) []string {
	return []string{
		"REVOKE ALL ON DATABASE " + database + " FROM app_service_role, admin_service_role, all_tenants",
		"DROP OWNED BY admin_service_role",
		"DROP ROLE admin_service_login, app_service_role, admin_service_role, all_tenants, all_tenants_admin",
	}
}

// password makes a random password, and the clause that gives it to a role the way the program does:
// hashed by the client (SCRAM-SHA-256), without end.
func password() string {
	verifier, err := scram.Derive(rand.Text(), []byte(rand.Text()[:16]), 4096)
	if err != nil {
		panic(err) // no such hash
	}
	return " PASSWORD '" + verifier + "' VALID UNTIL 'infinity'"
}

// plain makes statements and runs them one by one in one transaction, on a connection of its own.
func (s *site) plain(ctx context.Context, statements func() []string) (cost, error) {
	start := time.Now()
	err := s.connected(ctx, func(conn *pgx.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			for _, sql := range statements() {
				if _, err := tx.Exec(ctx, sql); err != nil {
					return fmt.Errorf("%s: %w", sql, err)
				}
			}
			return nil
		})
	})
	return cost{Seconds: time.Since(start).Seconds(), Logins: 1}, err
}

// facts are what permissions are made of, one a line, without what differs by database.
func (s *site) facts(ctx context.Context) (facts []string, err error) {
	err = s.connected(ctx, func(conn *pgx.Conn) error {
		rows, queryErr := conn.Query(ctx, `
			SELECT format('role %s %s', rolname, concat_ws(' ', rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, rolvaliduntil))
				FROM pg_roles WHERE rolname !~ '^pg_'
			UNION ALL SELECT format('setting %s %s', setrole::regrole, setconfig) FROM pg_db_role_setting
			UNION ALL SELECT format('member %s of %s, admin %s', member::regrole, roleid::regrole, admin_option)
				FROM pg_auth_members WHERE roleid::regrole::text !~ '^pg_'
			UNION ALL SELECT format('database %s', acl) FROM pg_database, unnest(datacl) acl WHERE datname = current_database()
			UNION ALL SELECT format('schema %s %s %s', nspname, nspowner::regrole, acl) FROM pg_namespace, unnest(nspacl) acl WHERE nspname !~ '^(pg_|information_schema)'
			UNION ALL SELECT format('default %s %s %s %s', defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, acl) FROM pg_default_acl, unnest(defaclacl) acl
			ORDER BY 1`)
		if queryErr != nil {
			return queryErr
		}
		facts, queryErr = pgx.CollectRows(rows, pgx.RowTo[string])
		return queryErr
	})
	return facts, err
}

// sameFacts fails if only one of the two has a fact. The error has the first such fact.
func sameFacts(sql, stacks []string) error {
	only := func(where string, a, b []string) error {
		for _, fact := range a {
			if _, found := slices.BinarySearch(b, fact); !found {
				return fmt.Errorf("only %s: %s", where, fact)
			}
		}
		return nil
	}
	slices.Sort(sql)
	slices.Sort(stacks)
	return errors.Join(only("plain SQL makes", sql, stacks), only("a stack makes", stacks, sql))
}
