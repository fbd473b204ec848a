package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// oid is PostgreSQL's identity of a role or an object; as a grantee, 0 is PUBLIC.
type oid = uint32

// catalog is what the server says about roles and about the objects of the tenants, in memory.
type catalog struct {
	version  int // such as 15
	server   string
	database string
	roles    map[oid]*role
	byName   map[string]*role
	members  []membership
	objects  []*object
	// acls are the privileges behind each distinct access list, by its text.
	acls     map[string][]privilege
	defaults []defaultACL
	owned    []owned
	// open are the other databases that PUBLIC may connect to.
	open []string
	// md5 are the roles with an MD5 password, nil where the passwords cannot be read.
	md5 map[oid]bool

	// What index and the questions about access make of it.
	edges       map[oid][]membership // by the role that has members
	schemas     map[string]*object
	reached     map[oid]map[oid]reach
	schemaReach map[*object]map[oid]map[string]granted
}

type role struct {
	oid                                                                 oid
	name                                                                string
	super, inherit, createRole, createDB, login, replication, bypassRLS bool
}

// membership makes one role a member of another. Before PostgreSQL 16 all of a member's
// memberships inherit or none, and all can be taken by SET ROLE.
type membership struct {
	role, member, grantor oid
	admin, inherit, set   bool
}

// object is the database, a schema, or what is in a tenant's schema.
type object struct {
	kind, schema, name string
	owner              oid
	acl                string
	// columns are further privileges on single columns.
	columns []privilege
	// definer is true for a SECURITY DEFINER function that sets no search_path.
	definer bool
}

// String is the object as SQL names it, without quotes.
func (o *object) String() string {
	switch {
	case o.name == "":
		return o.schema
	case o.schema == "":
		return o.name
	default:
		return o.schema + "." + o.name
	}
}

// privilege is one of an access list.
type privilege struct {
	grantee   oid
	name      string // such as SELECT
	grantable bool
	column    string
}

// defaultACL are privileges on what a role will create; schema is "" for all schemas.
type defaultACL struct {
	role                    oid
	schema, objectType, acl string
}

// owned is an object that a role owns, in this database or another.
type owned struct {
	role oid
	what string
}

// readCatalog reads all of it in one transaction that can only read. Everyone may: what takes a
// superuser is left out.
func readCatalog(ctx context.Context, conn *pgx.Conn, timeout time.Duration, schemas []string) (*catalog, error) {
	c := &catalog{roles: map[oid]*role{}, byName: map[string]*role{}, acls: map[string][]privilege{}}
	err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		// SET takes no parameters.
		if _, err := tx.Exec(ctx, "SELECT set_config('statement_timeout', $1, true), set_config('search_path', 'pg_catalog', true)",
			strconv.FormatInt(timeout.Milliseconds(), 10)); err != nil {
			return err
		}
		for _, read := range []func(context.Context, pgx.Tx) error{c.readServer, c.readRoles, c.readMemberships} {
			if err := read(ctx, tx); err != nil {
				return err
			}
		}
		return c.readObjects(ctx, tx, schemas)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the catalog: %w", err)
	}
	c.index()
	return c, nil
}

func (c *catalog) readServer(ctx context.Context, tx pgx.Tx) error {
	var number int
	var readable bool
	if err := tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, split_part(current_setting('server_version'), ' ', 1),
			current_database(), has_table_privilege('pg_authid', 'SELECT')`).Scan(&number, &c.server, &c.database, &readable); err != nil {
		return err
	}
	c.version = number / 10000
	rows, err := tx.Query(ctx, `SELECT datname FROM pg_database
		WHERE datallowconn AND datname <> current_database() AND EXISTS (
			SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0 AND privilege_type = 'CONNECT')
		ORDER BY datname`)
	if err != nil {
		return err
	}
	if c.open, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || !readable {
		return err
	}
	c.md5 = map[oid]bool{}
	rows, err = tx.Query(ctx, "SELECT oid FROM pg_authid WHERE rolpassword LIKE 'md5%'")
	if err != nil {
		return err
	}
	var id oid
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		c.md5[id] = true
		return nil
	})
	return err
}

func (c *catalog) readRoles(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls FROM pg_roles`)
	if err != nil {
		return err
	}
	var r role
	_, err = pgx.ForEachRow(rows, []any{&r.oid, &r.name, &r.super, &r.inherit, &r.createRole, &r.createDB, &r.login, &r.replication, &r.bypassRLS}, func() error {
		found := r
		c.roles[r.oid], c.byName[r.name] = &found, &found
		return nil
	})
	return err
}

func (c *catalog) readMemberships(ctx context.Context, tx pgx.Tx) error {
	// Whoever owns the database is a member of pg_database_owner without a row that says so.
	query := `SELECT roleid, member, grantor, admin_option, inherit_option, set_option FROM pg_auth_members`
	if c.version < 16 {
		query = `SELECT roleid, member, grantor, admin_option, rolinherit, true FROM pg_auth_members JOIN pg_roles ON pg_roles.oid = member`
	}
	rows, err := tx.Query(ctx, query+` UNION ALL
		SELECT 'pg_database_owner'::regrole, datdba, 10, false, true, true FROM pg_database WHERE datname = current_database()`)
	if err != nil {
		return err
	}
	var m membership
	_, err = pgx.ForEachRow(rows, []any{&m.role, &m.member, &m.grantor, &m.admin, &m.inherit, &m.set}, func() error {
		c.members = append(c.members, m)
		return nil
	})
	return err
}

// objectsQuery has the database, all schemas but PostgreSQL's own, and what is in the schemas $1.
const objectsQuery = `
WITH spaces AS (SELECT oid, nspname FROM pg_namespace WHERE nspname = ANY ($1)), objects AS (
	SELECT 'database' AS kind, '' AS schema, datname::text AS name, datdba AS owner, coalesce(datacl, acldefault('d', datdba)) AS acl, false AS definer
		FROM pg_database WHERE datname = current_database()
	UNION ALL SELECT 'schema', nspname, '', nspowner, coalesce(nspacl, acldefault('n', nspowner)), false
		FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
	UNION ALL SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' ELSE 'table' END,
			nspname, relname, relowner, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)), false
		FROM pg_class JOIN spaces ON spaces.oid = relnamespace WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
	UNION ALL SELECT 'function', nspname, proname || '(' || oidvectortypes(proargtypes) || ')', proowner,
			coalesce(proacl, acldefault('f', proowner)),
			prosecdef AND NOT EXISTS (SELECT FROM unnest(proconfig) setting WHERE setting LIKE 'search_path=%')
		FROM pg_proc JOIN spaces ON spaces.oid = pronamespace)
SELECT kind, schema, name, owner, acl::text, definer FROM objects ORDER BY schema, name, kind`

func (c *catalog) readObjects(ctx context.Context, tx pgx.Tx, schemas []string) error {
	rows, err := tx.Query(ctx, objectsQuery, schemas)
	if err != nil {
		return err
	}
	var o object
	byName := map[string]*object{}
	texts := map[string]string{} // one copy of each
	if _, err = pgx.ForEachRow(rows, []any{&o.kind, &o.schema, &o.name, &o.owner, &o.acl, &o.definer}, func() error {
		found := o
		if _, ok := texts[o.acl]; !ok {
			texts[o.acl] = o.acl
		}
		found.acl = texts[o.acl]
		c.objects = append(c.objects, &found)
		if o.kind != "function" {
			byName[o.schema+"."+o.name] = &found
		}
		return nil
	}); err != nil {
		return err
	}
	if err := c.readColumns(ctx, tx, schemas, byName); err != nil {
		return err
	}
	if err := c.readDefaults(ctx, tx); err != nil {
		return err
	}
	for _, d := range c.defaults {
		texts[d.acl] = d.acl
	}
	if err := c.readOwned(ctx, tx); err != nil {
		return err
	}
	// Most objects of a schema have the same access list, so each is taken apart once.
	all := make([]string, 0, len(texts))
	for text := range texts {
		all = append(all, text)
	}
	rows, err = tx.Query(ctx, `SELECT text, grantee, privilege_type, is_grantable FROM unnest($1::text[]) AS text, aclexplode(text::aclitem[])`, all)
	if err != nil {
		return err
	}
	var text string
	var p privilege
	_, err = pgx.ForEachRow(rows, []any{&text, &p.grantee, &p.name, &p.grantable}, func() error {
		c.acls[texts[text]] = append(c.acls[texts[text]], p)
		return nil
	})
	return err
}

func (c *catalog) readColumns(ctx context.Context, tx pgx.Tx, schemas []string, byName map[string]*object) error {
	rows, err := tx.Query(ctx, `SELECT nspname || '.' || relname, attname, grantee, privilege_type, is_grantable
		FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace, aclexplode(attacl)
		WHERE nspname = ANY ($1) AND attacl IS NOT NULL AND NOT attisdropped`, schemas)
	if err != nil {
		return err
	}
	var of string
	var p privilege
	_, err = pgx.ForEachRow(rows, []any{&of, &p.column, &p.grantee, &p.name, &p.grantable}, func() error {
		if o := byName[of]; o != nil {
			o.columns = append(o.columns, p)
		}
		return nil
	})
	return err
}

func (c *catalog) readDefaults(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT defaclrole, coalesce(nspname, ''), defaclobjtype::text, defaclacl::text
		FROM pg_default_acl LEFT JOIN pg_namespace ON pg_namespace.oid = defaclnamespace ORDER BY 1, 2, 3`)
	if err != nil {
		return err
	}
	var d defaultACL
	_, err = pgx.ForEachRow(rows, []any{&d.role, &d.schema, &d.objectType, &d.acl}, func() error {
		c.defaults = append(c.defaults, d)
		return nil
	})
	return err
}

// readOwned reads who owns what by the dependencies between objects and roles, which know all kinds
// of objects in all databases. Of those of a role with much, a few are enough.
func (c *catalog) readOwned(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT refobjid, what FROM (
			SELECT refobjid, row_number() OVER (PARTITION BY refobjid ORDER BY dbid, classid, objid) AS number,
				CASE WHEN dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
					THEN pg_describe_object(classid, objid, objsubid)
					ELSE 'something in the database ' || coalesce((SELECT datname FROM pg_database WHERE oid = dbid), '?') END AS what
			FROM pg_shdepend WHERE deptype = 'o' AND refclassid = 'pg_authid'::regclass
				AND refobjid IN (SELECT oid FROM pg_roles WHERE NOT rolsuper)
				AND refobjid NOT IN (SELECT nspowner FROM pg_namespace)) AS dependencies
		WHERE number <= 3 ORDER BY refobjid, number`)
	if err != nil {
		return err
	}
	var o owned
	_, err = pgx.ForEachRow(rows, []any{&o.role, &o.what}, func() error {
		c.owned = append(c.owned, o)
		return nil
	})
	return err
}
