package audit

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// strength is how directly a role has what another role has.
type strength int

const (
	inherits strength = iota // without doing anything
	sets                     // by SET ROLE
	admins                   // by an admin option, with which it can grant itself the rest
)

// reach is the way from a role to one that it is a member of, directly or through others.
type reach struct {
	strength strength
	// path has the memberships on the way, the role's own first.
	path []membership
}

// membersOf are all roles that reach a role, this role included, each by its strongest and then
// shortest way.
func (c *catalog) membersOf(of oid) map[oid]reach {
	if found, ok := c.reached[of]; ok {
		return found
	}
	found := map[oid]reach{of: {}}
	for level := inherits; level <= admins; level++ {
		queue := slices.Sorted(maps.Keys(found))
		for len(queue) > 0 {
			at := queue[0]
			queue = queue[1:]
			for _, m := range c.memberships(at) {
				if _, known := found[m.member]; known || !leads(m, level, found[at].strength) {
					continue
				}
				found[m.member] = reach{level, append([]membership{m}, found[at].path...)}
				queue = append(queue, m.member)
			}
		}
	}
	c.reached[of] = found
	return found
}

// leads reports whether the member of a membership has, at this level, what the membership's role
// reaches with the strength onward. SET ROLE works along memberships that allow it, and gives what the
// last role inherits. With an admin option a member can grant itself what is missing.
func leads(m membership, level, onward strength) bool {
	switch level {
	case inherits:
		return m.inherit
	case sets:
		return m.set
	case admins:
		return m.admin || onward == admins && (m.inherit || m.set)
	}
	return false
}

// describe is the way in words, from the role to what it reaches.
func (c *catalog) describe(path []membership) string {
	var steps []string
	for _, m := range path {
		name := c.name(m.role)
		switch {
		case strings.HasPrefix(name, "pg_"):
			steps = append(steps, "predefined role "+name)
		case m.inherit:
			steps = append(steps, "member of "+quoted(name))
		case m.set:
			steps = append(steps, "SET ROLE "+quoted(name))
		default:
			steps = append(steps, "admin option on "+quoted(name))
		}
	}
	return strings.Join(steps, ", ")
}

// name of a role; 0 is PUBLIC.
func (c *catalog) name(id oid) string {
	if id == 0 {
		return "PUBLIC"
	}
	if r := c.roles[id]; r != nil {
		return r.name
	}
	return "a role that is gone"
}

// Rights, in the order of reports.
const (
	rightRead    = "read"
	rightWrite   = "write"
	rightCreate  = "create"
	rightOwn     = "own"
	rightUse     = "use"
	rightConnect = "connect"
)

var rightsOrder = []string{rightRead, rightWrite, rightCreate, rightOwn, rightUse, rightConnect}

// right is what a privilege on a kind of object allows.
func right(kind, privilege string) string {
	switch privilege {
	case "SELECT":
		return rightRead
	case "INSERT", "UPDATE", "DELETE", "TRUNCATE", "MAINTAIN":
		return rightWrite
	case "CREATE", "TEMPORARY":
		return rightCreate
	case "CONNECT":
		return rightConnect
	default: // USAGE and EXECUTE; REFERENCES and TRIGGER, with which a role can break the writes of others
		if kind != "schema" && kind != "sequence" && kind != "function" {
			return rightWrite
		}
		return rightUse
	}
}

// ownRight is one reason for a right on an object that a role, or PUBLIC, has by itself and not as a
// member of another role.
type ownRight struct {
	role  oid
	right string
	// reason is "direct", "owner", "PUBLIC" or a predefined role.
	reason string
	// privilege is what was granted, "" for an owner.
	privilege privilege
}

// ownRights are all reasons for rights on an object. Who may use its schema does not matter here.
func (c *catalog) ownRights(o *object) (rights []ownRight) {
	rights = append(rights, ownRight{role: o.owner, right: rightOwn, reason: "owner"})
	for _, p := range slices.Concat(c.acls[o.acl], o.columns) {
		reason := "direct"
		switch p.grantee {
		case 0:
			reason = "PUBLIC"
		case o.owner:
			reason = "owner"
		}
		rights = append(rights, ownRight{p.grantee, right(o.kind, p.name), reason, p})
	}
	for _, all := range predefined {
		for _, p := range all.privileges {
			if role := c.byName[all.role]; role != nil && applies(o.kind, p) {
				rights = append(rights, ownRight{role.oid, right(o.kind, p), all.role, privilege{name: p, grantee: role.oid}})
			}
		}
	}
	return rights
}

// predefined are PostgreSQL's own roles whose members have privileges on everything, and those whose
// members reach everything through the server's files, without privileges in the catalog.
var predefined = []struct {
	role       string
	privileges []string
}{
	{"pg_read_all_data", []string{"SELECT", "USAGE"}},
	{"pg_write_all_data", []string{"INSERT", "UPDATE", "DELETE", "USAGE"}},
	{"pg_maintain", []string{"MAINTAIN"}}, // from PostgreSQL 17 on
	{"pg_read_server_files", nil},
	{"pg_write_server_files", nil},
	{"pg_execute_server_program", nil},
}

// applies reports whether a predefined role's privilege is one on this kind of object: reading and
// writing tables and sequences, and using schemas.
func applies(kind, privilege string) bool {
	switch kind {
	case "database", "function":
		return false
	case "schema":
		return privilege == "USAGE"
	case "sequence":
		return privilege == "SELECT" || privilege == "UPDATE"
	default:
		return privilege != "USAGE"
	}
}

// granted is one role's right on an object, by its strongest way.
type granted struct {
	reach
	ownRight
}

// access is what every role but superusers, and PUBLIC, can do with an object, by role and right. What
// is in a schema can be used only by its owner and by those who may use the schema.
func (c *catalog) access(o *object) map[oid]map[string]granted {
	all := map[oid]map[string]granted{}
	for _, own := range c.ownRights(o) {
		who := map[oid]reach{0: {}}
		if own.role != 0 {
			who = c.membersOf(own.role)
		}
		for id, way := range who {
			if r := c.roles[id]; r != nil && r.super {
				continue
			}
			if all[id] == nil {
				all[id] = map[string]granted{}
			}
			if old, ok := all[id][own.right]; !ok || cmp.Or(cmp.Compare(way.strength, old.strength), cmp.Compare(len(way.path), len(old.path))) < 0 {
				all[id][own.right] = granted{way, own}
			}
		}
	}
	if o.schema == "" || o.kind == "schema" {
		return all
	}
	into := c.schemaAccess(c.schemas[o.schema])
	enters := func(id oid) bool {
		_, uses := into[id][rightUse]
		_, owns := into[id][rightOwn]
		return uses || owns
	}
	for id := range into {
		// Whoever may use the schema has what PUBLIC has on the object.
		for right, g := range all[0] {
			if _, has := all[id][right]; !has && enters(id) {
				if all[id] == nil {
					all[id] = map[string]granted{}
				}
				all[id][right] = g
			}
		}
	}
	for id, rights := range all {
		if enters(0) || enters(id) {
			continue
		}
		maps.DeleteFunc(rights, func(right string, _ granted) bool { return right != rightOwn })
		if len(rights) == 0 {
			delete(all, id)
		}
	}
	return all
}

// schemaAccess is the access to a schema, computed once.
func (c *catalog) schemaAccess(schema *object) map[oid]map[string]granted {
	found, ok := c.schemaReach[schema]
	if !ok {
		found = c.access(schema)
		c.schemaReach[schema] = found
	}
	return found
}

// memberships are the memberships in a role. The owner of the database is a member of pg_database_owner,
// which has no other, without a row in the catalog.
func (c *catalog) memberships(of oid) []membership {
	if c.owner != 0 && c.name(of) == "pg_database_owner" {
		return []membership{{role: of, member: c.owner, grantor: bootstrapSuperuser, inherit: true, set: true}}
	}
	return c.edges[of]
}

// bootstrapSuperuser is the superuser that a server begins with.
const bootstrapSuperuser oid = 10

// index prepares the catalog for questions about access.
func (c *catalog) index() {
	c.reached, c.schemaReach, c.schemas = map[oid]map[oid]reach{}, map[*object]map[oid]map[string]granted{}, map[string]*object{}
	for _, o := range c.objects {
		switch o.kind {
		case "database":
			c.owner, c.itself = o.owner, o
		case "schema":
			c.schemas[o.schema] = o
		}
	}
}
