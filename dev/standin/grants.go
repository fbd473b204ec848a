package standin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// memberships manages postgresql.GrantRole. Every change replaces it and the new one is created
// first, so that deleting the old one revokes what was just granted, unless the program asks for
// the other order.
func memberships(s *server) resourceType {
	return resourceType{
		properties: map[string]property{
			"role":            {required: true, replaces: true},
			"grantRole":       {required: true, replaces: true},
			"withAdminOption": {kind: flag, replaces: true},
		},
		id: func(g object) string {
			return fmt.Sprintf("%s_%s_%t", g.text("role"), g.text("grantRole"), g.flag("withAdminOption"))
		},
		create: s.createMembership,
		read:   s.readMembership,
		delete: func(ctx context.Context, g object) error {
			return s.transaction(ctx, "", func(tx pgx.Tx) error {
				return revokeMembership(ctx, tx, g.text("role"), g.text("grantRole"))
			})
		},
	}
}

// createMembership revokes first, whether there is a membership or not.
func (s *server) createMembership(ctx context.Context, g object) error {
	member, role := g.text("role"), g.text("grantRole")
	return s.transaction(ctx, "", func(tx pgx.Tx) error {
		if err := revokeMembership(ctx, tx, member, role); err != nil {
			return err
		}
		if !g.flag("withAdminOption") {
			return grantMembership(ctx, tx, member, role)
		}
		purpose := fmt.Sprintf("granting role %s to %s with admin option", role, member)
		return execute(ctx, tx, purpose, "GRANT "+quote(role)+" TO "+quote(member)+" WITH ADMIN OPTION")
	})
}

// readMembership takes any of the grants if several roles have granted the membership.
func (s *server) readMembership(ctx context.Context, g object) (object, error) {
	found := object{"role": g["role"], "grantRole": g["grantRole"]}
	err := s.transaction(ctx, "", func(tx pgx.Tx) error {
		var admin bool
		err := tx.QueryRow(ctx, `SELECT admin_option FROM pg_auth_members
			WHERE pg_get_userbyid(member) = $1 AND pg_get_userbyid(roleid) = $2`, g.text("role"), g.text("grantRole")).Scan(&admin)
		if errors.Is(err, pgx.ErrNoRows) {
			found = nil
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading whether %s is a member of %s: %w", g.text("role"), g.text("grantRole"), err)
		}
		found.set("withAdminOption", admin)
		return nil
	})
	return found, err
}

// grants manages postgresql.Grant, the one resource whose plugin itself asks to be deleted before
// it is replaced.
func grants(s *server) resourceType {
	return resourceType{
		properties: map[string]property{
			"role":       {required: true, replaces: true},
			"database":   {required: true, replaces: true},
			"schema":     {replaces: true},
			"objectType": {required: true, replaces: true, oneOf: []string{"database", "schema", "table", "sequence", "routine"}},
			"privileges": {kind: set, required: true, oneOf: privileges()},
		},
		deleteBeforeReplace: true,
		id: func(g object) string {
			parts := []string{g.text("role"), g.text("database")}
			if g.text("objectType") != "database" {
				parts = append(parts, g.text("schema"))
			}
			return strings.Join(append(parts, g.text("objectType")), "_")
		},
		create: s.writeGrant,
		read:   s.readGrant,
		update: func(ctx context.Context, _, g object) error { return s.writeGrant(ctx, g) },
		delete: func(ctx context.Context, g object) error {
			return s.changeGrant(ctx, g, func(tx pgx.Tx) error { return revokeGrant(ctx, tx, g) })
		},
	}
}

// privileges are those of the object types that are implemented. The server checks which type has
// which. ALL is not among them.
func privileges() []string {
	return []string{"CREATE", "CONNECT", "TEMPORARY", "USAGE", "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "EXECUTE"}
}

// writeGrant revokes everything and grants what is planned. Without privileges it only revokes, which
// is how the program closes a database to PUBLIC. The role "public", quoted or not, is PUBLIC.
func (s *server) writeGrant(ctx context.Context, g object) error {
	if g.text("objectType") != "database" && g.text("schema") == "" {
		return errors.New("parameter 'schema' is mandatory for postgresql_grant resource")
	}
	return s.changeGrant(ctx, g, func(tx pgx.Tx) error {
		if err := revokeGrant(ctx, tx, g); err != nil {
			return err
		}
		if len(g.texts("privileges")) == 0 {
			return nil
		}
		purpose := fmt.Sprintf("granting privileges on %s to %s", target(g), g.text("role"))
		return execute(ctx, tx, purpose, "GRANT "+strings.Join(g.texts("privileges"), ",")+" ON "+target(g)+" TO "+quote(g.text("role")))
	})
}

// changeGrant takes the locks for a change of a grant, and makes the connection's user a member of the
// owners for its time. It does not do that for the owner of a database: if the connection's user is
// another one and no superuser, a REVOKE there does nothing and PostgreSQL only warns.
func (s *server) changeGrant(ctx context.Context, g object, change func(pgx.Tx) error) error {
	return s.transaction(ctx, g.text("database"), func(tx pgx.Tx) error {
		if err := lockRole(ctx, tx, g.text("role")); err != nil {
			return err
		}
		if g.text("objectType") == "database" {
			if err := lockDatabase(ctx, tx, g.text("database")); err != nil {
				return err
			}
			return change(tx)
		}
		owners, err := ownersIn(ctx, tx, g.text("schema"), g.text("objectType") != "schema")
		if err != nil {
			return err
		}
		return asOwners(ctx, tx, owners, func() error { return change(tx) })
	})
}

// ownersIn lists the owner of a schema and, if asked for, those of its tables.
func ownersIn(ctx context.Context, tx pgx.Tx, schema string, tables bool) ([]string, error) {
	var owner string
	err := tx.QueryRow(ctx, "SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = $1", schema).Scan(&owner)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("could not find schema '%s' while looking for owner", schema)
	}
	if err != nil {
		return nil, fmt.Errorf("looking for the owner of schema %s: %w", schema, err)
	}
	rows, err := tx.Query(ctx, "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = $1 AND $2", schema, tables)
	if err != nil {
		return nil, fmt.Errorf("looking for the owners of the tables in %s: %w", schema, err)
	}
	owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("looking for the owners of the tables in %s: %w", schema, err)
	}
	if !slices.Contains(owners, owner) {
		owners = append(owners, owner)
	}
	for i := range owners {
		if owners[i] == "pg_database_owner" { // nobody can be made a member of it; its one member is the owner
			if owners[i], err = databaseOwner(ctx, tx); err != nil {
				return nil, err
			}
		}
	}
	return owners, nil
}

func databaseOwner(ctx context.Context, tx pgx.Tx) (owner string, err error) {
	err = tx.QueryRow(ctx, "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()").Scan(&owner)
	if err != nil {
		return "", fmt.Errorf("looking for the owner of the database: %w", err)
	}
	return owner, nil
}

func revokeGrant(ctx context.Context, tx pgx.Tx, g object) error {
	purpose := fmt.Sprintf("could not execute revoke query on %s from %s", target(g), g.text("role"))
	return execute(ctx, tx, purpose, "REVOKE ALL PRIVILEGES ON "+target(g)+" FROM "+quote(g.text("role")))
}

// target is what a grant is on. For tables, sequences and routines that is those there are at the moment.
func target(g object) string {
	switch objectType := g.text("objectType"); objectType {
	case "database":
		return "DATABASE " + quote(g.text("database"))
	case "schema":
		return "SCHEMA " + quote(g.text("schema"))
	default:
		return "ALL " + strings.ToUpper(objectType) + "S IN SCHEMA " + quote(g.text("schema"))
	}
}

// readGrant keeps the privileges of the state unless an object has others. An access list that is
// NULL, PostgreSQL's built-in default, reads as no privileges. So it does not notice that PUBLIC has
// its default privileges again, nor privileges on views, partitioned and foreign tables.
func (s *server) readGrant(ctx context.Context, g object) (object, error) {
	found := maps.Clone(g)
	place, err := s.hasPlaceFor(ctx, g)
	if err != nil || !place {
		return nil, err
	}
	err = s.transaction(ctx, g.text("database"), func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `WITH objects(acl) AS (
				SELECT datacl FROM pg_database WHERE $1 = 'database' AND datname = $2
				UNION ALL SELECT nspacl FROM pg_namespace WHERE $1 = 'schema' AND nspname = $3
				UNION ALL SELECT array_agg(item) FILTER (WHERE item IS NOT NULL) FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace LEFT JOIN unnest(proacl) item ON true
					WHERE $1 = 'routine' AND nspname = $3 GROUP BY proname
				UNION ALL SELECT relacl FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
					WHERE nspname = $3 AND relkind::text = CASE $1 WHEN 'table' THEN 'r' WHEN 'sequence' THEN 'S' END)
			SELECT ARRAY(SELECT privilege_type FROM aclexplode(acl) WHERE grantee = CASE $4
					WHEN 'public' THEN 0 ELSE (SELECT oid FROM pg_roles WHERE rolname = $4) END)
			FROM objects`, g.text("objectType"), g.text("database"), g.text("schema"), g.text("role"))
		if err != nil {
			return fmt.Errorf("reading the privileges on %s: %w", target(g), err)
		}
		objects, err := pgx.CollectRows(rows, pgx.RowTo[[]string])
		if err != nil {
			return fmt.Errorf("reading the privileges on %s: %w", target(g), err)
		}
		for _, privileges := range objects {
			if !slices.Equal(sorted(privileges), sorted(g.texts("privileges"))) {
				found.set("privileges", privileges)
				break
			}
		}
		return nil
	})
	return found, err
}

// hasPlaceFor reports whether the database, the role and the schema of a grant or of default
// privileges are there. If not, the grant is not there either.
func (s *server) hasPlaceFor(ctx context.Context, g object) (place bool, err error) {
	err = s.transaction(ctx, "", func(tx pgx.Tx) error {
		place, err = ask(ctx, tx, "looking for role and database", `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)
			AND ($2 = 'public' OR EXISTS (SELECT FROM pg_roles WHERE rolname = $2))`, g.text("database"), g.text("role"))
		return err
	})
	if err != nil || !place || g.text("schema") == "" || g.text("objectType") == "database" {
		return place, err
	}
	err = s.transaction(ctx, g.text("database"), func(tx pgx.Tx) error {
		place, err = ask(ctx, tx, "looking for the schema", "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", g.text("schema"))
		return err
	})
	return place, err
}

// defaultPrivileges manages postgresql.DefaultPrivileges. As with GrantRole, deleting the old one
// after the new one was created revokes what was just granted.
func defaultPrivileges(s *server) resourceType {
	return resourceType{
		properties: map[string]property{
			"role":       {required: true, replaces: true},
			"database":   {required: true, replaces: true},
			"owner":      {required: true, replaces: true},
			"schema":     {replaces: true},
			"objectType": {required: true, replaces: true, oneOf: []string{"table", "sequence", "function", "schema"}},
			"privileges": {kind: set, required: true, oneOf: privileges()},
		},
		id: func(d object) string {
			return strings.Join([]string{
				d.text("role"), d.text("database"), cmp.Or(d.text("schema"), "noschema"), d.text("owner"), d.text("objectType"),
			}, "_")
		},
		create: s.writeDefaultPrivileges,
		read:   s.readDefaultPrivileges,
		update: func(ctx context.Context, _, d object) error { return s.writeDefaultPrivileges(ctx, d) },
		delete: func(ctx context.Context, d object) error {
			return s.changeDefaultPrivileges(ctx, d, func(tx pgx.Tx) error { return revokeDefaultPrivileges(ctx, tx, d) })
		},
	}
}

func (s *server) writeDefaultPrivileges(ctx context.Context, d object) error {
	if d.text("objectType") == "schema" && d.text("schema") != "" {
		return errors.New("cannot specify `schema` when `object_type` is `schema`")
	}
	return s.changeDefaultPrivileges(ctx, d, func(tx pgx.Tx) error {
		if err := revokeDefaultPrivileges(ctx, tx, d); err != nil {
			return err
		}
		if len(d.texts("privileges")) == 0 {
			return nil
		}
		return alterDefaultPrivileges(ctx, tx, d, "GRANT "+strings.Join(d.texts("privileges"), ","), "TO")
	})
}

func (s *server) changeDefaultPrivileges(ctx context.Context, d object, change func(pgx.Tx) error) error {
	return s.transaction(ctx, d.text("database"), func(tx pgx.Tx) error {
		if err := lockRole(ctx, tx, d.text("owner")); err != nil {
			return err
		}
		return asOwners(ctx, tx, []string{d.text("owner")}, func() error { return change(tx) })
	})
}

func revokeDefaultPrivileges(ctx context.Context, tx pgx.Tx, d object) error {
	return alterDefaultPrivileges(ctx, tx, d, "REVOKE ALL", "FROM")
}

func alterDefaultPrivileges(ctx context.Context, tx pgx.Tx, d object, change, toOrFrom string) error {
	in := ""
	if schema := d.text("schema"); schema != "" {
		in = " IN SCHEMA " + quote(schema)
	}
	objects := strings.ToUpper(d.text("objectType")) + "S"
	purpose := fmt.Sprintf("altering default privileges of %s on %s%s for %s", d.text("owner"), objects, in, d.text("role"))
	return execute(ctx, tx, purpose, fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s%s %s ON %s %s %s",
		quote(d.text("owner")), in, change, objects, toOrFrom, quote(d.text("role"))))
}

// readDefaultPrivileges locks the owner as a change does. If there are no privileges, the resource is
// gone, unless it is to have none. In that case existing privileges show as drift.
func (s *server) readDefaultPrivileges(ctx context.Context, d object) (object, error) {
	found := maps.Clone(d)
	place, err := s.hasPlaceFor(ctx, d)
	if err != nil || !place {
		return nil, err
	}
	err = s.transaction(ctx, d.text("database"), func(tx pgx.Tx) error {
		if err := lockRole(ctx, tx, d.text("owner")); err != nil {
			return err
		}
		codes := map[string]string{"table": "r", "sequence": "S", "function": "f", "schema": "n"}
		var privileges []string
		err := tx.QueryRow(ctx, `SELECT ARRAY(SELECT acl.privilege_type
			FROM pg_default_acl LEFT JOIN pg_namespace n ON n.oid = defaclnamespace, aclexplode(defaclacl) acl
			WHERE defaclobjtype::text = $1 AND coalesce(nspname, '') = $2 AND pg_get_userbyid(acl.grantor) = $3
				AND acl.grantee = CASE $4 WHEN 'public' THEN 0 ELSE (SELECT oid FROM pg_roles WHERE rolname = $4) END)`,
			codes[d.text("objectType")], d.text("schema"), d.text("owner"), d.text("role")).Scan(&privileges)
		if err != nil {
			return fmt.Errorf("reading the default privileges of %s: %w", d.text("owner"), err)
		}
		switch wanted := d.texts("privileges"); {
		case len(privileges) == 0 && len(wanted) > 0:
			found = nil
		case !slices.Equal(sorted(privileges), sorted(wanted)):
			found.set("privileges", privileges)
		}
		return nil
	})
	return found, err
}
