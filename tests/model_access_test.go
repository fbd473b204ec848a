//go:build model

package tests

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// The expected access is written down here once more, on purpose: a mistake in the program's own policy
// would show too.

// expectedRole is a role of the stack as the model says it is.
type expectedRole struct {
	login      bool
	limit      int // -1 for none
	until      string
	noInherit  bool
	attributes string // those beyond LOGIN
	// settings of the role, as name=value.
	settings []string
	// memberOf are the groups, with true for the admin option.
	memberOf map[string]bool
	// actsAs is the role of its sessions, empty for itself.
	actsAs string
}

// places are the schemas of the tenants by database: the tenant's key by schema.
type places map[string]map[string]place

// place is a tenant's schema.
type place struct {
	key string
	// kept is true for what a tenant left when it moved.
	kept bool
}

// roles are all roles of the stack by name, and the outsider.
func (m modelConfig) serverRoles() map[string]*expectedRole {
	all := map[string]*expectedRole{
		outsider:             {login: true, limit: -1},
		"admin_service_role": {limit: -1, attributes: "createrole createdb", memberOf: map[string]bool{"app_service_role": true, "all_tenants_admin": false}},
		"all_tenants":        {limit: -1},
		"all_tenants_admin":  {limit: -1, noInherit: true, memberOf: map[string]bool{}},
	}
	add := func(name string, l modelLogin, limits modelLimits, login bool, searchPath, actsAs string, groups ...string) {
		role := &expectedRole{login: login, limit: cmp.Or(limits.Connections, -1), until: l.Until, actsAs: actsAs, memberOf: map[string]bool{}}
		role.settings = append(role.settings, "search_path="+searchPath)
		if actsAs != "" {
			role.settings = append(role.settings, "role="+actsAs)
		}
		if limits.Timeout != 0 {
			role.settings = append(role.settings, fmt.Sprint("statement_timeout=", limits.Timeout))
		}
		if limits.Idle != 0 {
			role.settings = append(role.settings, fmt.Sprint("idle_in_transaction_session_timeout=", limits.Idle))
		}
		slices.Sort(role.settings)
		for _, group := range groups {
			role.memberOf[group] = false
		}
		all[name] = role
		if l.Active == "" {
			return
		}
		role.login = login && l.RoleLogin
		for _, suffix := range []string{"_a", "_b"} {
			other := *role
			other.login, other.memberOf, other.actsAs = login, map[string]bool{name: false}, cmp.Or(actsAs, name)
			other.settings = slices.DeleteFunc(slices.Clone(role.settings), func(setting string) bool { return strings.HasPrefix(setting, "role=") })
			other.settings = append(other.settings, "role="+other.actsAs)
			slices.Sort(other.settings)
			all[name+suffix] = &other
		}
	}
	add("app_service_role", m.App, m.App.modelLimits, true, m.searchPath(""), "")
	add("admin_service_login", m.Admin, m.Admin.modelLimits, true, m.searchPath(""), "admin_service_role", "admin_service_role")
	for key, reader := range m.Readers {
		add(key, *reader, reader.modelLimits, true, m.searchPath(""), "", "app_service_role")
	}
	for key, t := range m.Tenants {
		role, schema, _ := t.names(key)
		var groups []string
		if !t.Own {
			groups = []string{"all_tenants"}
		}
		active := !t.Suspended && t.Retire == ""
		add(role, t.modelLogin, m.limits(t), active, m.searchPath(schema), "", groups...)
		all["all_tenants_admin"].memberOf[role] = true
		if schema != role && (!t.Own || t.Previous != "") {
			all[schema] = &expectedRole{limit: -1}
		}
		if len(t.Agents) > 0 {
			all[role+"_agents"] = &expectedRole{limit: -1}
		}
		for agent, l := range t.Agents {
			add(role+"_"+agent, *l, l.modelLimits, active && !l.Suspended, m.searchPath(schema), "", append(groups, role+"_agents")...)
		}
	}
	return all
}

// places are where the model's tenants have schemas.
func (m modelConfig) places() places {
	all := places{database: {}}
	for key, t := range m.Tenants {
		_, schema, own := t.names(key)
		put := func(database string, kept bool) {
			if all[database] == nil {
				all[database] = map[string]place{}
			}
			all[database][schema] = place{key, kept}
		}
		if t.Own {
			put(own, false)
		} else {
			put(database, false)
		}
		switch {
		case t.Previous != "" && t.Own:
			put(database, true)
		case t.Previous != "":
			put(own, true)
		}
	}
	return all
}

// closure are the roles that a role is a member of, by any way, and itself. With inherits, only those
// whose privileges it has without SET ROLE.
func closure(roles map[string]*expectedRole, name string, inherits bool) map[string]bool {
	all := map[string]bool{name: true}
	if roles[name] == nil || inherits && roles[name].noInherit {
		return all
	}
	for group := range roles[name].memberOf {
		for name := range closure(roles, group, inherits) {
			all[name] = true
		}
	}
	return all
}

// An accessObject is something of a database that roles have privileges on.
type accessObject struct{ Kind, Schema, Name string }

func (o accessObject) String() string { return strings.TrimSpace(o.Kind+" "+o.Schema) + "." + o.Name }

// ownedPrivileges are what the owner of an object holds, all with grant option.
func ownedPrivileges(kind, major string) []string {
	switch kind {
	case "schema":
		return []string{"USAGE", "CREATE"}
	case "table":
		all := []string{"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"}
		if major >= "17" {
			all = append(all, "MAINTAIN")
		}
		return all
	case "sequence":
		return []string{"SELECT", "USAGE", "UPDATE"}
	case "function":
		return []string{"EXECUTE"}
	}
	return nil
}

// granted are the privileges on an object of a database that are granted to each role itself.
func (m modelConfig) granted(in string, o accessObject, at places, major string) map[string][]string {
	all := map[string][]string{}
	where := at[in][o.Schema]
	t := m.Tenants[where.key]
	switch {
	case o.Kind == "database":
		all["app_service_role"], all["admin_service_role"] = []string{"CONNECT"}, []string{"CONNECT"}
		m.grantEntry(all, in, at, "CONNECT")
		return all
	case o.Schema == "public":
		return all
	}
	for _, privilege := range ownedPrivileges(o.Kind, major) {
		all["admin_service_role"] = append(all["admin_service_role"], privilege, privilege+" WITH GRANT OPTION")
	}
	if o.Schema == "extensions" {
		all["app_service_role"] = []string{"USAGE"}
		m.grantEntry(all, in, at, "USAGE")
		return all
	}
	all["app_service_role"] = map[string][]string{"schema": {"USAGE"}, "table": {"SELECT"}, "sequence": {"SELECT"}}[o.Kind]
	if t == nil || where.kept || t.Retire != "" {
		return all
	}
	role, _, _ := t.names(where.key)
	all[role] = map[string][]string{"schema": {"USAGE"}, "table": {"SELECT", "INSERT", "UPDATE", "DELETE"}, "sequence": {"USAGE", "SELECT"}}[o.Kind]
	if o.Kind == "function" && m.functions(t) {
		all[role] = []string{"EXECUTE"}
	}
	if len(t.Agents) > 0 {
		all[role+"_agents"] = map[string][]string{"schema": {"USAGE"}, "table": {"SELECT"}, "sequence": {"SELECT"}}[o.Kind]
	}
	return all
}

// grantEntry adds a privilege of all tenants that are in a database: in the stack's by way of their group
// role, in their own to the tenant and its agents, unless it is retired.
func (m modelConfig) grantEntry(all map[string][]string, in string, at places, privilege string) {
	if in == database {
		all["all_tenants"] = []string{privilege}
		return
	}
	for _, where := range at[in] {
		if t := m.Tenants[where.key]; !where.kept && t.Retire == "" {
			role, _, _ := t.names(where.key)
			all[role] = []string{privilege}
			if len(t.Agents) > 0 {
				all[role+"_agents"] = []string{privilege}
			}
		}
	}
}

// expectedAccess is what every role can do with the objects of a database, one privilege a line.
func (m modelConfig) expectedAccess(in string, objects []accessObject, major string) (lines []string) {
	roles, at := m.serverRoles(), m.places()
	for _, o := range objects {
		granted := m.granted(in, o, at, major)
		for name := range roles {
			holds := map[string]bool{}
			for group := range closure(roles, name, true) {
				for _, privilege := range granted[group] {
					holds[privilege] = true
				}
			}
			for privilege := range holds {
				lines = append(lines, fmt.Sprintf("%s has %s on %s", name, privilege, o))
			}
		}
	}
	return lines
}

// expectedRoles are the facts about the roles, one a line.
func (m modelConfig) expectedRoles() (lines []string) {
	roles := m.serverRoles()
	for name, role := range roles {
		line := strings.Join(strings.Fields(fmt.Sprintf("role %s login=%t inherit=%t limit=%d until=%s %s", name, role.login, !role.noInherit, role.limit, role.until, role.attributes)), " ")
		lines = append(lines, line)
		for _, setting := range role.settings {
			lines = append(lines, "setting of "+name+": "+setting)
		}
		for group, admin := range role.memberOf {
			lines = append(lines, fmt.Sprintf("%s is a member of %s, admin option %t", name, group, admin))
		}
		for other := range roles {
			if other != name && closure(roles, name, true)[other] {
				lines = append(lines, name+" inherits "+other)
			}
			if other != name && closure(roles, name, false)[other] {
				lines = append(lines, name+" can be "+other)
			}
		}
	}
	return lines
}

// managed is the roles that the model says something about: all but those before the stack, and but
// what PostgreSQL has itself.
const managed = "(SELECT oid, rolname FROM pg_roles WHERE rolname !~ '^pg_' AND NOT rolname = ANY ($1))"

// roleFacts are what expectedRoles expects, asked of PostgreSQL.
const roleFacts = `
	WITH managed AS ` + managed + `
	SELECT concat_ws(' ', 'role', rolname, 'login=' || rolcanlogin, 'inherit=' || rolinherit, 'limit=' || rolconnlimit,
			'until=' || coalesce(to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), ''),
			CASE WHEN rolsuper THEN 'superuser' END, CASE WHEN rolcreaterole THEN 'createrole' END, CASE WHEN rolcreatedb THEN 'createdb' END,
			CASE WHEN rolreplication THEN 'replication' END, CASE WHEN rolbypassrls THEN 'bypassrls' END)
		FROM pg_roles JOIN managed USING (oid, rolname)
	UNION ALL SELECT format('setting of %s: %s', rolname, replace(replace(setting, '"', ''), ', ', ','))
		FROM pg_db_role_setting JOIN managed ON oid = setrole, unnest(setconfig) setting WHERE setdatabase = 0
	UNION ALL SELECT format('setting of %s in %s: %s', setrole, setdatabase, setconfig) FROM pg_db_role_setting WHERE setdatabase <> 0
	UNION ALL SELECT DISTINCT format('%s is a member of %s, admin option %s', m.rolname, g.rolname, bool_or(admin_option)::text)
		FROM pg_auth_members JOIN managed m ON m.oid = member JOIN pg_roles g ON g.oid = roleid GROUP BY m.rolname, g.rolname
	UNION ALL SELECT format('%s inherits %s', m.rolname, g.rolname) FROM managed m, managed g WHERE m <> g AND pg_has_role(m.oid, g.oid, 'USAGE')
	UNION ALL SELECT format('%s can be %s', m.rolname, g.rolname) FROM managed m, managed g WHERE m <> g AND pg_has_role(m.oid, g.oid, 'MEMBER')`

// accessObjects are the objects of a database that the model says something about: all but those of
// extensions, and but the content of the schema public.
const accessObjects = `
	WITH schemas AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')
	SELECT 'database' AS kind, '' AS schema, '' AS name
	UNION ALL SELECT 'schema', nspname, '' FROM schemas
	UNION ALL SELECT CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, nspname, relname
		FROM pg_class JOIN schemas s ON s.oid = relnamespace WHERE relkind IN ('r', 'v', 'm', 'f', 'p', 'S') AND nspname NOT IN ('public', 'extensions')
	UNION ALL SELECT 'function', nspname, proname FROM pg_proc JOIN schemas s ON s.oid = pronamespace WHERE nspname NOT IN ('public', 'extensions')`

// accessFacts are what expectedAccess expects, asked of PostgreSQL. Nobody can do anything with what is
// in a schema without USAGE on it.
const accessFacts = `
	WITH managed AS ` + managed + `, schemas AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
	options (option) AS (VALUES (''), (' WITH GRANT OPTION')),
	privileges (kind, privilege) AS (VALUES ('database', 'CONNECT'), ('database', 'CREATE'), ('database', 'TEMPORARY'), ('schema', 'USAGE'), ('schema', 'CREATE'),
		('column', 'SELECT'), ('column', 'INSERT'), ('column', 'UPDATE'), ('column', 'REFERENCES'), ('table', 'DELETE'), ('table', 'TRUNCATE'), ('table', 'TRIGGER'),
		('sequence', 'SELECT'), ('sequence', 'USAGE'), ('sequence', 'UPDATE'), ('function', 'EXECUTE') MAINTAIN),
	objects AS (
		SELECT 'sequence' AS kind, oid, relnamespace AS schema, relname AS name FROM pg_class WHERE relkind = 'S'
		UNION ALL SELECT 'table', oid, relnamespace, relname FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'f', 'p')
		UNION ALL SELECT 'function', oid, pronamespace, proname FROM pg_proc)
	SELECT format('%s has %s%s on database.', rolname, privilege, option) FROM managed m, privileges, options
		WHERE kind = 'database' AND has_database_privilege(m.oid, current_database(), privilege || option)
	UNION ALL SELECT format('%s has %s%s on schema %s.', rolname, privilege, option, nspname) FROM managed m, schemas s, privileges, options
		WHERE kind = 'schema' AND has_schema_privilege(m.oid, s.oid, privilege || option)
	UNION ALL SELECT format('%s has %s%s on %s %s.%s', rolname, privilege, option, o.kind, nspname, name)
		FROM managed m, objects o JOIN schemas s ON s.oid = o.schema, privileges p, options
		WHERE nspname NOT IN ('public', 'extensions') AND (p.kind = o.kind OR o.kind = 'table' AND p.kind = 'column')
			AND has_schema_privilege(m.oid, s.oid, 'USAGE')
			AND CASE p.kind
				WHEN 'column' THEN has_any_column_privilege(m.oid, o.oid, privilege || option)
				WHEN 'table' THEN has_table_privilege(m.oid, o.oid, privilege || option)
				WHEN 'sequence' THEN has_sequence_privilege(m.oid, o.oid, privilege || option)
				WHEN 'function' THEN has_function_privilege(m.oid, o.oid, privilege || option)
			END`

// probe is a schema that the admin makes, to see its default privileges.
const probe = "probe"

// compare asks PostgreSQL for the access of every role to every object, and to what the admin creates
// next, and compares it with the model.
func (r *modelRun) compare(t *testing.T) {
	t.Helper()
	at := r.config.places()
	r.objects = map[string][]accessObject{}
	var before []string
	for _, name := range r.before {
		if name != outsider {
			before = append(before, name)
		}
	}
	sameFacts(t, r.config.expectedRoles(), r.lines(t, database, roleFacts, before))
	facts := strings.ReplaceAll(accessFacts, "MAINTAIN", "")
	if r.major >= "17" {
		facts = strings.ReplaceAll(accessFacts, "MAINTAIN", ", ('table', 'MAINTAIN')")
	}
	for _, in := range sortedKeys(at) {
		super := r.superuser(t, in)
		statements := []string{"BEGIN", "CREATE SCHEMA " + probe + " AUTHORIZATION admin_service_role", "SET LOCAL ROLE admin_service_role"}
		for _, schema := range append(sortedKeys(at[in]), probe) {
			statements = append(statements,
				"CREATE TABLE "+schema+".probe_table (id int)", "CREATE SEQUENCE "+schema+".probe_sequence",
				"CREATE FUNCTION "+schema+".probe_function() RETURNS int LANGUAGE sql AS 'SELECT 1'")
		}
		super.may(t, append(statements, "RESET ROLE")...)
		rows, err := super.Query(t.Context(), accessObjects)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := pgx.CollectRows(rows, pgx.RowToStructByPos[accessObject])
		if err != nil {
			t.Fatal(err)
		}
		expected := sortedKeys(at[in])
		expected = append(expected, probe, "public")
		if len(r.config.Extensions) > 0 {
			expected = append(expected, "extensions")
		}
		var schemas []string
		for _, o := range objects {
			if o.Kind == "schema" {
				schemas = append(schemas, o.Schema)
			}
		}
		sameFacts(t, expected, schemas)
		rows, err = super.Query(t.Context(), facts, before)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		r.objects[in] = objects
		noneOnlyIn(t, "in "+in+" no longer", r.config.expectedAccess(in, objects, r.major), got)
		noneOnlyIn(t, "in "+in+" new", got, r.config.expectedAccess(in, objects, r.major))
		super.may(t, "ROLLBACK")
		if err := super.Close(t.Context()); err != nil { // a session keeps a database from being dropped
			t.Fatal(err)
		}
	}
}

// lines are the rows of a query of one column, as a superuser.
func (r *modelRun) lines(t *testing.T, in, query string, args ...any) []string {
	t.Helper()
	super := r.superuser(t, in)
	rows, err := super.Query(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if err := super.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return lines
}

// tryLogins logs in to every database as every role whose password is in the outputs, and tries what
// the model says that it can and cannot do.
func (r *modelRun) tryLogins(t *testing.T) {
	t.Helper()
	roles, at, passwords := r.config.serverRoles(), r.config.places(), maps.Clone(r.passwords(t))
	passwords[outsider] = outsiderPassword
	want := map[string]map[string]bool{}
	for in := range at {
		want[in] = map[string]bool{}
		for _, line := range r.config.expectedAccess(in, r.objects[in], r.major) {
			want[in][line] = true
		}
	}
	for _, login := range sortedKeys(passwords) {
		if roles[login] == nil {
			t.Errorf("the outputs have a password of %s, which the model does not know", login)
			continue
		}
		for _, in := range sortedKeys(at) {
			code := ""
			switch {
			case !roles[login].login:
				code = loginNotPermitted
			case !want[in][login+" has CONNECT on database."]:
				code = insufficientPrivilege
			}
			s, err := r.connectTo(t, in, login, passwords[login])
			if sqlstate(err) != code {
				t.Errorf("login of %s to %s: got SQLSTATE %q, want %q", login, in, sqlstate(err), code)
			}
			if err != nil {
				continue
			}
			for _, schema := range sortedKeys(at[in]) {
				for _, try := range []struct {
					object         accessObject
					privilege, sql string
				}{
					{accessObject{"table", schema, "docs"}, "SELECT", "SELECT count(*) FROM " + schema + ".docs"},
					{accessObject{"table", schema, "docs"}, "INSERT", "INSERT INTO " + schema + ".docs (body) VALUES ('x')"},
					{accessObject{"table", schema, "docs"}, "DELETE", "DELETE FROM " + schema + ".docs WHERE id < 0"},
					{accessObject{"sequence", schema, "tickets"}, "USAGE", "SELECT nextval('" + schema + ".tickets')"},
					{accessObject{"function", schema, "answer"}, "EXECUTE", "SELECT " + schema + ".answer()"},
					{accessObject{"schema", schema, ""}, "CREATE", "CREATE TABLE " + schema + ".mine (id int)"},
				} {
					if !slices.Contains(r.objects[in], try.object) {
						continue // A schema can be empty.
					}
					s.may(t, "BEGIN")
					_, err := s.Exec(t.Context(), try.sql)
					if (err == nil) != want[in][fmt.Sprintf("%s has %s on %s", cmp.Or(roles[login].actsAs, login), try.privilege, try.object)] || err != nil && sqlstate(err) != insufficientPrivilege {
						t.Errorf("%s in %s: %s: got SQLSTATE %q", login, in, try.sql, sqlstate(err))
					}
					s.may(t, "ROLLBACK")
				}
			}
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
