package audit

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// cluster is what all databases of a server have in common: its roles.
type cluster struct {
	version int // such as 15
	server  string
	address string // host:port
	roles   map[oid]*role
	byName  map[string]*role
	members []membership
	edges   map[oid][]membership // by the role that has members
	// open are the other databases that PUBLIC may connect to.
	open []string
	// settings are those that roles have been given.
	settings []setting
	// now is the server's time.
	now time.Time
	// md5 are the roles with an MD5 password, nil where the passwords cannot be read.
	md5 map[oid]bool
}

type role struct {
	oid                                                                 oid
	name                                                                string
	super, inherit, createRole, createDB, login, replication, bypassRLS bool
	connectionLimit                                                     int
	// validUntil is when its password expires, the zero time for never.
	validUntil time.Time
}

// membership makes one role a member of another. Before PostgreSQL 16 all of a member's
// memberships inherit or none, and all can be taken by SET ROLE.
type membership struct {
	role, member, grantor oid
	admin, inherit, set   bool
}

// setting is what ALTER ROLE … SET has given a role for its sessions. The value may be a secret:
// it is compared and never shown.
type setting struct {
	role        oid
	name, value string
	// database is the one that the setting is limited to (IN DATABASE), "" for all.
	database string
}

// readCluster reads what all databases have in common.
func readCluster(ctx context.Context, tx pgx.Tx) (*cluster, error) {
	c := &cluster{roles: map[oid]*role{}, byName: map[string]*role{}, edges: map[oid][]membership{}}
	for _, read := range []func(context.Context, pgx.Tx) error{c.readServer, c.readRoles, c.readSettings, c.readMemberships} {
		if err := read(ctx, tx); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *cluster) readServer(ctx context.Context, tx pgx.Tx) error {
	var number int
	var readable bool
	if err := tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, split_part(current_setting('server_version'), ' ', 1),
			has_table_privilege('pg_authid', 'SELECT'), now()`).Scan(&number, &c.server, &readable, &c.now); err != nil {
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

func (c *cluster) readRoles(ctx context.Context, tx pgx.Tx) error {
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

func (c *cluster) readSettings(ctx context.Context, tx pgx.Tx) error {
	var s setting
	return forEach(ctx, tx, `SELECT setrole, split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1), coalesce(datname, '')
		FROM pg_db_role_setting LEFT JOIN pg_database ON pg_database.oid = setdatabase, unnest(setconfig) AS setting
		WHERE setrole <> 0
		ORDER BY setrole, datname NULLS FIRST, setting`, nil, []any{&s.role, &s.name, &s.value, &s.database}, func() {
		c.settings = append(c.settings, s)
	})
}

func (c *cluster) readMemberships(ctx context.Context, tx pgx.Tx) error {
	query := `SELECT roleid, member, grantor, admin_option, inherit_option, set_option FROM pg_auth_members`
	if c.version < 16 {
		query = `SELECT roleid, member, grantor, admin_option, rolinherit, true FROM pg_auth_members JOIN pg_roles ON pg_roles.oid = member`
	}
	var m membership
	return forEach(ctx, tx, query+" ORDER BY 1, 2, 3", nil, []any{&m.role, &m.member, &m.grantor, &m.admin, &m.inherit, &m.set}, func() {
		c.members = append(c.members, m)
		c.edges[m.role] = append(c.edges[m.role], m)
	})
}
