package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tenant-permissions/internal/policy"
	"tenant-permissions/internal/scram"
)

// roleNames are the names of the policy's roles, with those of one tenant.
func roleNames(tenant string) map[policy.Role]string {
	return map[policy.Role]string{
		policy.Public: "PUBLIC", policy.App: "app_service_role", policy.Admin: "admin_service_role",
		policy.AdminLogin: "admin_service_login", policy.AllTenants: "all_tenants",
		policy.AllTenantsAdmin: "all_tenants_admin", policy.Tenant: tenant,
	}
}

// sharedSQL makes what a stack has besides its tenants.
func sharedSQL(database string) []string {
	return append(sharedRolesSQL(), sharedPrivilegesSQL(database)...)
}

// sharedRolesSQL is the part of sharedSQL that makes roles and memberships.
func sharedRolesSQL() []string {
	names := roleNames("")
	sql := []string{
		"CREATE ROLE " + names[policy.App] + " LOGIN" + inRoles(policy.App) + password(),
		searchPathSQL(names[policy.App]),
		"CREATE ROLE " + names[policy.Admin] + " CREATEDB CREATEROLE VALID UNTIL 'infinity'",
		"CREATE ROLE " + names[policy.AdminLogin] + " LOGIN" + inRoles(policy.AdminLogin) + password(),
		searchPathSQL(names[policy.AdminLogin]),
		"ALTER ROLE " + names[policy.AdminLogin] + " SET role TO " + names[policy.Admin],
		"CREATE ROLE " + names[policy.AllTenants] + " VALID UNTIL 'infinity'",
		"CREATE ROLE " + names[policy.AllTenantsAdmin] + " NOINHERIT VALID UNTIL 'infinity'",
	}
	return append(sql, membershipSQL(policy.SharedMemberships(), names)...)
}

// sharedPrivilegesSQL is the rest of sharedSQL. Whoever runs it must be a member of the admin.
func sharedPrivilegesSQL(database string) []string {
	names := roleNames("")
	sql := grantSQL(policy.OnDatabase(), database, names)
	sql = append(sql, grantSQL(policy.OnSchemaPublic(), "public", names)...)
	return append(sql, defaultSQL(policy.Defaults(), "", names)...)
}

// tenantSQL makes one tenant.
func tenantSQL(key string) []string { return append(tenantRoleSQL(key), tenantSchemaSQL(key)...) }

// tenantRoleSQL is the part of tenantSQL that makes the role and its memberships.
func tenantRoleSQL(key string) []string {
	name := "tenant_" + key
	sql := []string{
		"CREATE ROLE " + name + " LOGIN" + inRoles(policy.Tenant) + password(),
		searchPathSQL(name, name),
	}
	return append(sql, membershipSQL(policy.TenantMemberships(), roleNames(name))...)
}

// tenantSchemaSQL is the rest of tenantSQL. Whoever runs it must be a member of the admin.
func tenantSchemaSQL(key string) []string {
	name := "tenant_" + key
	names := roleNames(name)
	sql := []string{"CREATE SCHEMA " + name + " AUTHORIZATION " + names[policy.Admin]}
	sql = append(sql, grantSQL(policy.OnTenantSchema(), name, names)...)
	return append(sql, defaultSQL(policy.TenantDefaults(), " IN SCHEMA "+name, names)...)
}

// searchPathSQL sets the search path of a role that finds unqualified names in the given schemas.
func searchPathSQL(role string, schemas ...string) string {
	return "ALTER ROLE " + role + " SET search_path TO " + strings.Join(policy.SearchPath("", schemas...), ", ")
}

// inRoles is the clause of CREATE ROLE for the memberships that the Role resource lists itself.
func inRoles(role policy.Role) string {
	var groups []string
	for _, group := range policy.MemberOf(role) {
		groups = append(groups, roleNames("")[group])
	}
	if len(groups) == 0 {
		return ""
	}
	return " IN ROLE " + strings.Join(groups, ", ")
}

// membershipSQL grants the memberships that are resources of their own.
func membershipSQL(memberships []policy.Membership, names map[policy.Role]string) (sql []string) {
	for _, m := range memberships {
		if m.Resource == "" {
			continue // in CREATE ROLE
		}
		grant := "GRANT " + names[m.Of] + " TO " + names[m.Member]
		if m.AdminOption {
			grant += " WITH ADMIN OPTION"
		}
		sql = append(sql, grant)
	}
	return sql
}

// grantSQL grants, or revokes, privileges on the object of this name.
func grantSQL(grants []policy.Grant, object string, names map[policy.Role]string) (sql []string) {
	for _, grant := range grants {
		sql = append(sql, privilegeSQL(grant, strings.ToUpper(string(grant.On))+" "+object, names))
	}
	return sql
}

// defaultSQL sets default privileges of the admin. inSchema is empty, or the clause that names a schema.
func defaultSQL(grants []policy.Grant, inSchema string, names map[policy.Role]string) (sql []string) {
	for _, grant := range grants {
		sql = append(sql, "ALTER DEFAULT PRIVILEGES FOR ROLE "+names[policy.Admin]+inSchema+" "+
			privilegeSQL(grant, strings.ToUpper(string(grant.On))+"S", names))
	}
	return sql
}

// privilegeSQL is the statement of one grant. A grant without privileges revokes all.
func privilegeSQL(grant policy.Grant, on string, names map[policy.Role]string) string {
	if len(grant.Privileges) == 0 {
		return "REVOKE ALL ON " + on + " FROM " + names[grant.Role]
	}
	return "GRANT " + strings.Join(grant.Privileges, ", ") + " ON " + on + " TO " + names[grant.Role]
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
	names := roleNames("")
	var sql []string
	for _, grant := range policy.OnDatabase() {
		if grant.Role != policy.Public {
			sql = append(sql, "REVOKE ALL ON DATABASE "+database+" FROM "+names[grant.Role])
		}
	}
	drop := []string{names[policy.AdminLogin], names[policy.App], names[policy.Admin], names[policy.AllTenants], names[policy.AllTenantsAdmin]}
	return append(sql, "DROP OWNED BY "+names[policy.Admin], "DROP ROLE "+strings.Join(drop, ", "))
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
