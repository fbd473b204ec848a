package audit

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// oid is PostgreSQL's identity of a role or an object; as a grantee, 0 is PUBLIC.
type oid = uint32

// catalog is what the server has of roles and of the tenants' objects, in memory.
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
	// settings are those that roles have been given.
	settings []setting
	// installed are the extensions of the database by name.
	installed map[string]extension
	// now is the server's time.
	now time.Time
	// md5 are the roles with an MD5 password, nil where the passwords cannot be read.
	md5 map[oid]bool

	// What index and the questions about access compute from it.
	edges       map[oid][]membership // by the role that has members
	schemas     map[string]*object
	reached     map[oid]map[oid]reach
	schemaReach map[*object]map[oid]map[string]granted
}

type role struct {
	oid                                                                 oid
	name                                                                string
	super, inherit, createRole, createDB, login, replication, bypassRLS bool
	connectionLimit                                                     int
	// validUntil is when its password expires, the zero time for never.
	validUntil time.Time
}

type extension struct{ schema, version string }

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
	// definer is true for a SECURITY DEFINER function, ownPath if it sets a search_path.
	definer, ownPath bool
	// shows are relations of tenants that a view or a table's parts show with the rights of the
	// owner, where they are in another schema.
	shows []*object
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

// setting is what ALTER ROLE … SET has given a role for its sessions. The value may be a secret:
// it is compared and never shown.
type setting struct {
	role        oid
	name, value string
	// database is the one that the setting is limited to (IN DATABASE), "" for all.
	database string
}

// readCatalog reads the catalog in one read-only transaction. Every role may read it; what only a
// superuser may read is not in it.
func readCatalog(ctx context.Context, conn *pgx.Conn, timeout time.Duration, schemas []string) (*catalog, error) {
	c := &catalog{roles: map[oid]*role{}, byName: map[string]*role{}, acls: map[string][]privilege{}}
	err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		// SET takes no parameters.
		if _, err := tx.Exec(ctx, "SELECT set_config('statement_timeout', $1, true), set_config('search_path', 'pg_catalog', true)",
			strconv.FormatInt(timeout.Milliseconds(), 10)); err != nil {
			return err
		}
		for _, read := range []func(context.Context, pgx.Tx) error{c.readServer, c.readRoles, c.readSettings, c.readMemberships, c.readExtensions} {
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

// forEach runs a query, scans one row after the other into the same variables, and calls do for each.
func forEach(ctx context.Context, tx pgx.Tx, query string, args, into []any, do func()) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, into, func() error {
		do()
		return nil
	})
	return err
}

func (c *catalog) readServer(ctx context.Context, tx pgx.Tx) error {
	var number int
	var readable bool
	if err := tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, split_part(current_setting('server_version'), ' ', 1),
			current_database(), has_table_privilege('pg_authid', 'SELECT'), now()`).Scan(&number, &c.server, &c.database, &readable, &c.now); err != nil {
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
	var id oid
	return forEach(ctx, tx, "SELECT oid FROM pg_authid WHERE rolpassword LIKE 'md5%'", nil, []any{&id}, func() {
		c.md5[id] = true
	})
}

func (c *catalog) readRoles(ctx context.Context, tx pgx.Tx) error {
	var r role
	var until *time.Time
	return forEach(ctx, tx, `SELECT oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,
			CASE WHEN isfinite(rolvaliduntil) THEN rolvaliduntil END FROM pg_roles`, nil,
		[]any{&r.oid, &r.name, &r.super, &r.inherit, &r.createRole, &r.createDB, &r.login, &r.replication, &r.bypassRLS, &r.connectionLimit, &until}, func() {
			found := r
			if until != nil {
				found.validUntil = *until
			}
			c.roles[r.oid], c.byName[r.name] = &found, &found
		})
}

func (c *catalog) readExtensions(ctx context.Context, tx pgx.Tx) error {
	var name string
	var found extension
	c.installed = map[string]extension{}
	return forEach(ctx, tx, `SELECT extname, nspname, extversion FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace`, nil,
		[]any{&name, &found.schema, &found.version}, func() { c.installed[name] = found })
}

func (c *catalog) readSettings(ctx context.Context, tx pgx.Tx) error {
	var s setting
	return forEach(ctx, tx, `SELECT setrole, split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1), coalesce(datname, '')
		FROM pg_db_role_setting LEFT JOIN pg_database ON pg_database.oid = setdatabase, unnest(setconfig) AS setting
		WHERE setrole <> 0
		ORDER BY setrole, datname NULLS FIRST, setting`, nil, []any{&s.role, &s.name, &s.value, &s.database}, func() {
		c.settings = append(c.settings, s)
	})
}

func (c *catalog) readMemberships(ctx context.Context, tx pgx.Tx) error {
	// The owner of the database is a member of pg_database_owner, without a row in pg_auth_members.
	query := `SELECT roleid, member, grantor, admin_option, inherit_option, set_option FROM pg_auth_members`
	if c.version < 16 {
		query = `SELECT roleid, member, grantor, admin_option, rolinherit, true FROM pg_auth_members JOIN pg_roles ON pg_roles.oid = member`
	}
	var m membership
	return forEach(ctx, tx, query+` UNION ALL
		SELECT 'pg_database_owner'::regrole, datdba, 10, false, true, true FROM pg_database WHERE datname = current_database()
		ORDER BY 1, 2, 3`, nil, []any{&m.role, &m.member, &m.grantor, &m.admin, &m.inherit, &m.set}, func() {
		c.members = append(c.members, m)
	})
}

// shownQuery has the relations through which others, in the schemas $1, are read with the rights of
// their owner: views, and tables with partitions or children, through further relations as well.
const shownQuery = `
WITH RECURSIVE shows AS (
	SELECT ev_class AS relation, refobjid AS shown FROM pg_rewrite
		JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid AND refclassid = 'pg_class'::regclass
		JOIN pg_class ON pg_class.oid = ev_class
		WHERE refobjid <> ev_class AND NOT EXISTS (
			SELECT FROM pg_options_to_table(reloptions) WHERE option_name = 'security_invoker' AND option_value::bool)
	UNION SELECT inhparent, inhrelid FROM pg_inherits JOIN pg_class ON pg_class.oid = inhparent AND relkind IN ('r', 'p', 'f')
), through AS (
	SELECT relation, shown FROM shows JOIN pg_class ON pg_class.oid = shown JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = ANY ($1)
	UNION SELECT shows.relation, through.shown FROM shows JOIN through ON shows.shown = through.relation)
SELECT relation, from_space.nspname || '.' || from_class.relname, of_space.nspname || '.' || of_class.relname FROM through
	JOIN pg_class from_class ON from_class.oid = relation JOIN pg_namespace from_space ON from_space.oid = from_class.relnamespace
	JOIN pg_class of_class ON of_class.oid = shown JOIN pg_namespace of_space ON of_space.oid = of_class.relnamespace
	WHERE from_space.oid <> of_space.oid ORDER BY 2, 3`

// objectsQuery has the database, all schemas, what is in the schemas $1, and the relations $2.
const objectsQuery = `
WITH spaces AS (SELECT oid, nspname FROM pg_namespace WHERE nspname = ANY ($1)), objects AS (
	SELECT 'database' AS kind, '' AS schema, datname::text AS name, datdba AS owner, coalesce(datacl, acldefault('d', datdba)) AS acl, false AS definer, false AS own_path
		FROM pg_database WHERE datname = current_database()
	UNION ALL SELECT 'schema', nspname, '', nspowner, coalesce(nspacl, acldefault('n', nspowner)), false, false
		FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
	UNION ALL SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' ELSE 'table' END,
			nspname, relname, relowner, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)), false, false
		FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
		WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND (relnamespace IN (SELECT oid FROM spaces) OR pg_class.oid = ANY ($2))
	UNION ALL SELECT 'function', nspname, proname || '(' || oidvectortypes(proargtypes) || ')', proowner,
			coalesce(proacl, acldefault('f', proowner)),
			prosecdef, EXISTS (SELECT FROM unnest(proconfig) setting WHERE setting LIKE 'search_path=%')
		FROM pg_proc JOIN spaces ON spaces.oid = pronamespace)
SELECT kind, schema, name, owner, acl::text, definer, own_path FROM objects ORDER BY schema, name, kind`

func (c *catalog) readObjects(ctx context.Context, tx pgx.Tx, schemas []string) error {
	var relation oid
	var name, shown string
	relations, shows := []oid{}, map[string][]string{}
	if err := forEach(ctx, tx, shownQuery, []any{schemas}, []any{&relation, &name, &shown}, func() {
		relations = append(relations, relation)
		shows[name] = append(shows[name], shown)
	}); err != nil {
		return err
	}
	var o object
	byName := map[string]*object{}
	texts := map[string]string{} // one copy of each
	if err := forEach(ctx, tx, objectsQuery, []any{schemas, relations}, []any{&o.kind, &o.schema, &o.name, &o.owner, &o.acl, &o.definer, &o.ownPath}, func() {
		found := o
		if _, ok := texts[o.acl]; !ok {
			texts[o.acl] = o.acl
		}
		found.acl = texts[o.acl]
		c.objects = append(c.objects, &found)
		if o.kind != "function" {
			byName[o.schema+"."+o.name] = &found
		}
	}); err != nil {
		return err
	}
	for name, all := range shows {
		for _, of := range all {
			if o := byName[of]; o != nil {
				byName[name].shows = append(byName[name].shows, o)
			}
		}
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
	// Most objects of a schema have the same access list, so each list is expanded once.
	all := make([]string, 0, len(texts))
	for text := range texts {
		all = append(all, text)
	}
	var text string
	var p privilege
	return forEach(ctx, tx, `SELECT text, grantee, privilege_type, is_grantable FROM unnest($1::text[]) AS text, aclexplode(text::aclitem[])`, []any{all},
		[]any{&text, &p.grantee, &p.name, &p.grantable}, func() {
			c.acls[texts[text]] = append(c.acls[texts[text]], p)
		})
}

func (c *catalog) readColumns(ctx context.Context, tx pgx.Tx, schemas []string, byName map[string]*object) error {
	var of string
	var p privilege
	return forEach(ctx, tx, `SELECT nspname || '.' || relname, attname, grantee, privilege_type, is_grantable
		FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace, aclexplode(attacl)
		WHERE nspname = ANY ($1) AND attacl IS NOT NULL AND NOT attisdropped`, []any{schemas}, []any{&of, &p.column, &p.grantee, &p.name, &p.grantable}, func() {
		if o := byName[of]; o != nil {
			o.columns = append(o.columns, p)
		}
	})
}

func (c *catalog) readDefaults(ctx context.Context, tx pgx.Tx) error {
	var d defaultACL
	return forEach(ctx, tx, `SELECT defaclrole, coalesce(nspname, ''), defaclobjtype::text, defaclacl::text
		FROM pg_default_acl LEFT JOIN pg_namespace ON pg_namespace.oid = defaclnamespace ORDER BY 1, 2, 3`, nil, []any{&d.role, &d.schema, &d.objectType, &d.acl}, func() {
		c.defaults = append(c.defaults, d)
	})
}

// readOwned reads who owns what by the dependencies between objects and roles, which know all kinds
// of objects in all databases, but for default privileges, which readDefaults reads. Of a role
// that owns much it reads the first few.
func (c *catalog) readOwned(ctx context.Context, tx pgx.Tx) error {
	var o owned
	return forEach(ctx, tx, `SELECT refobjid,
			CASE WHEN dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
				THEN pg_describe_object(classid, objid, objsubid)
				ELSE 'something in the database ' || coalesce((SELECT datname FROM pg_database WHERE oid = dbid), '?') END
			|| CASE WHEN number = 3 AND total > 3 THEN ' and ' || total - 3 || ' more' ELSE '' END
		FROM (
			SELECT *, row_number() OVER (PARTITION BY refobjid ORDER BY dbid, classid, objid) AS number, count(*) OVER (PARTITION BY refobjid) AS total
			FROM pg_shdepend WHERE deptype = 'o' AND refclassid = 'pg_authid'::regclass AND classid <> 'pg_default_acl'::regclass
				AND refobjid IN (SELECT oid FROM pg_roles WHERE NOT rolsuper)) AS dependencies
		WHERE number <= 3 ORDER BY refobjid, number`, nil, []any{&o.role, &o.what}, func() {
		c.owned = append(c.owned, o)
	})
}
