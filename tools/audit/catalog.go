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

// catalog is what one database has of the tenants' objects, in memory, and what its server has of roles.
type catalog struct {
	*cluster
	database string
	objects  []*object
	// acls are the privileges behind each distinct access list, by its text.
	acls     map[string][]privilege
	defaults []defaultACL
	owned    []owned
	// installed are the extensions of the database by name.
	installed map[string]extension

	// What index and the questions about access compute from it.
	itself      *object // the database
	owner       oid     // of the database
	schemas     map[string]*object
	reached     map[oid]map[oid]reach
	schemaReach map[*object]map[oid]map[string]granted
}

type extension struct{ schema, version string }

// object is the database, a schema, or what is in a tenant's schema.
type object struct {
	kind, schema, name string
	// function is the name of a function without its arguments, which name has.
	function string
	owner    oid
	acl      string
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
	// database is its name if the object is a database.
	database string
	// vague is true if what stands for several objects, or for something in another database.
	vague bool
}

// readCatalog reads the catalog of a database in one read-only transaction: what is in the schemas, and
// what roles own but in the databases elsewhere, which are read by themselves. known is what is known of
// the server already, nil if it is to be read too. Every role may read the catalog; what only a superuser
// may read is not in it.
func readCatalog(ctx context.Context, conn *pgx.Conn, timeout time.Duration, known *cluster, schemas, elsewhere []string) (*catalog, error) {
	c := &catalog{cluster: known, acls: map[string][]privilege{}, database: conn.Config().Database}
	err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		// SET takes no parameters.
		if _, err := tx.Exec(ctx, "SELECT set_config('statement_timeout', $1, true), set_config('search_path', 'pg_catalog', true)",
			strconv.FormatInt(timeout.Milliseconds(), 10)); err != nil {
			return err
		}
		if known == nil {
			if c.cluster, err = readCluster(ctx, tx); err != nil {
				return err
			}
			c.address = fmt.Sprintf("%s:%d", conn.Config().Host, conn.Config().Port)
		}
		if err := c.readObjects(ctx, tx, schemas); err != nil {
			return err
		}
		if err := c.readExtensions(ctx, tx); err != nil {
			return err
		}
		return c.readOwned(ctx, tx, known == nil, elsewhere)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the catalog of the database %s: %w", c.database, err)
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

func (c *catalog) readExtensions(ctx context.Context, tx pgx.Tx) error {
	var name string
	var found extension
	c.installed = map[string]extension{}
	return forEach(ctx, tx, `SELECT extname, nspname, extversion FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace`, nil,
		[]any{&name, &found.schema, &found.version}, func() { c.installed[name] = found })
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

// objectsQuery has the database, all schemas, what is in the schemas $1, the relations $2, and the
// SECURITY DEFINER functions of all schemas. What belongs to an extension is the extension's, with the
// privileges that it gives: those of PUBLIC, mostly.
const objectsQuery = `
WITH spaces AS (SELECT oid, nspname FROM pg_namespace WHERE nspname = ANY ($1)), parts AS (
	SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'), objects AS (
	SELECT 'database' AS kind, '' AS schema, datname::text AS name, '' AS function, datdba AS owner, coalesce(datacl, acldefault('d', datdba)) AS acl, false AS definer, false AS own_path
		FROM pg_database WHERE datname = current_database()
	UNION ALL SELECT 'schema', nspname, '', '', nspowner, coalesce(nspacl, acldefault('n', nspowner)), false, false
		FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
	UNION ALL SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' ELSE 'table' END,
			nspname, relname, '', relowner, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)), false, false
		FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
		WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND (pg_class.oid = ANY ($2)
			OR relnamespace IN (SELECT oid FROM spaces) AND pg_class.oid NOT IN (SELECT objid FROM parts WHERE classid = 'pg_class'::regclass))
	UNION ALL SELECT 'function', nspname, proname || '(' || oidvectortypes(proargtypes) || ')', proname, proowner,
			coalesce(proacl, acldefault('f', proowner)),
			prosecdef, EXISTS (SELECT FROM unnest(proconfig) setting WHERE setting LIKE 'search_path=%')
		FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
		WHERE (nspname = ANY ($1) OR prosecdef AND nspname !~ '^pg_(toast|temp)')
			AND pg_proc.oid NOT IN (SELECT objid FROM parts WHERE classid = 'pg_proc'::regclass))
SELECT kind, schema, name, function, owner, acl::text, definer, own_path FROM objects ORDER BY schema, name, kind`

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
	if err := forEach(ctx, tx, objectsQuery, []any{schemas, relations}, []any{&o.kind, &o.schema, &o.name, &o.function, &o.owner, &o.acl, &o.definer, &o.ownPath}, func() {
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
	// PostgreSQL does not read the text of an empty list, as an object has from which its owner has
	// revoked everything. It has no privileges.
	delete(texts, "{}")
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
		WHERE nspname = ANY ($1) AND attacl IS NOT NULL AND NOT attisdropped ORDER BY pg_class.oid, attnum, grantee, 4`, []any{schemas}, []any{&of, &p.column, &p.grantee, &p.name, &p.grantable}, func() {
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
// that owns much it reads the first few. The first database that is read has what all databases share,
// and what is in other databases but those elsewhere.
func (c *catalog) readOwned(ctx context.Context, tx pgx.Tx, first bool, elsewhere []string) error {
	const here = "(SELECT oid FROM pg_database WHERE datname = current_database())"
	where, args := "dbid = "+here, []any{}
	if first {
		where, args = "dbid NOT IN (SELECT oid FROM pg_database WHERE datname = ANY ($1))", []any{elsewhere}
	}
	var o owned
	return forEach(ctx, tx, `SELECT refobjid,
			CASE WHEN dbid IN (0, `+here+`)
				THEN pg_describe_object(classid, objid, objsubid)
				ELSE 'something in the database ' || coalesce((SELECT datname FROM pg_database WHERE oid = dbid), '?') END
			|| CASE WHEN number = 3 AND total > 3 THEN ' and ' || total - 3 || ' more' ELSE '' END,
			coalesce((SELECT datname FROM pg_database WHERE oid = objid AND classid = 'pg_database'::regclass), ''),
			number = 3 AND total > 3 OR dbid NOT IN (0, `+here+`)
		FROM (
			SELECT *, row_number() OVER (PARTITION BY refobjid ORDER BY dbid, classid, objid) AS number, count(*) OVER (PARTITION BY refobjid) AS total
			FROM pg_shdepend WHERE deptype = 'o' AND refclassid = 'pg_authid'::regclass AND classid <> 'pg_default_acl'::regclass
				AND refobjid IN (SELECT oid FROM pg_roles WHERE NOT rolsuper) AND `+where+`) AS dependencies
		WHERE number <= 3 ORDER BY refobjid, number`, args, []any{&o.role, &o.what, &o.database, &o.vague}, func() {
		c.owned = append(c.owned, o)
	})
}
