package audit

import (
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"tenant-permissions/internal/policy"
)

// system is the server's catalog with what the stacks say it should be.
type system struct {
	*catalog
	declared
	// kinds and tenantOf tell of a role what it is, and the key of its tenant.
	kinds    map[oid]string
	tenantOf map[oid]string
	// expected are the memberships of the design, and whether they have the admin option.
	expected map[edge]bool
	// noLogin are managed roles that nobody is to log in as.
	noLogin map[oid]bool
	// configured are the settings of managed roles that the stacks make, by role and name.
	configured map[oid]map[string]string
	// tenantBySchema are the tenants by the name of their schema.
	tenantBySchema map[string]*Tenant
	missing        []Finding
}

// edge is a membership without its options.
type edge struct{ role, member oid }

// newSystem finds out which role is what.
func newSystem(c *catalog, d declared) *system {
	s := &system{
		catalog: c, declared: d, kinds: map[oid]string{}, tenantOf: map[oid]string{},
		expected: map[edge]bool{}, noLogin: map[oid]bool{}, configured: map[oid]map[string]string{}, tenantBySchema: map[string]*Tenant{},
	}
	for id, r := range c.roles {
		switch {
		case r.super:
			s.kinds[id] = KindSuperuser
		case strings.HasPrefix(r.name, "pg_"):
			s.kinds[id] = KindPredefined
		default:
			s.kinds[id] = KindOther
		}
	}
	if owner := c.databaseOwner(); owner != 0 && s.kinds[owner] != KindSuperuser {
		s.kinds[owner] = KindDeployer
		for _, m := range c.edges[owner] {
			// Who has made it can have all that it has, as the server's administrator: from
			// PostgreSQL 16 on, the admin option and nothing more tells that.
			if m.admin && !m.inherit && !m.set && s.kinds[m.member] == KindOther {
				s.kinds[m.member] = KindDeployer
			}
		}
	}
	app, admin := s.manage(d.app, KindApp, "", "roles.app"), s.manage(d.admin, KindAdmin, "", "roles.admin")
	allTenants, allTenantsAdmin := s.manage(d.allTenants, KindGroup, "", "roles.allTenants"), s.manage(d.allTenantsAdmin, KindGroup, "", "roles.allTenantsAdmin")
	for _, id := range []oid{admin, allTenants, allTenantsAdmin} {
		s.noLogin[id] = true
	}
	shared := map[policy.Role]oid{policy.App: app, policy.Admin: admin, policy.AllTenantsAdmin: allTenantsAdmin}
	s.expect(policy.SharedMemberships(), shared)
	for _, login := range d.logins["app"] {
		s.logins(app, login, KindApp, "", "roles.app", map[string]string{"role": d.app})
	}
	for _, login := range d.logins["admin"] {
		s.adminLogins(admin, login)
	}
	for _, key := range sortedKeys(d.readers) {
		name := d.readers[key]
		if name == "" {
			name = s.roleBehind(d.logins[key][0])
		}
		reader := s.manage(name, KindReader, "", "roles."+key)
		s.expect(policy.SharedMemberships(), map[policy.Role]oid{policy.App: app, policy.Reader: reader})
		for _, login := range d.logins[key] {
			s.logins(reader, login, KindReader, "", "roles."+key, map[string]string{"role": name})
		}
	}
	for i := range d.tenants {
		t := &d.tenants[i]
		s.tenantBySchema[t.Schema] = t
		path := "tenants." + t.Key
		role := s.manage(t.Role+t.Retired, KindTenant, t.Key, path)
		s.expect(policy.TenantMemberships(), map[policy.Role]oid{policy.AllTenants: allTenants, policy.AllTenantsAdmin: allTenantsAdmin, policy.Tenant: role})
		s.configure(role, map[string]string{"search_path": t.Schema})
		loginSettings := map[string]string{"role": t.Role + t.Retired, "search_path": t.Schema}
		if t.Retired == "" {
			s.logins(role, t.Login, KindTenantLogin, t.Key, path, loginSettings)
		} else {
			s.noLogin[role] = true
			for _, half := range []string{"_a", "_b"} {
				if r := c.byName[t.Retired+half]; r != nil && s.isMember(role, r.oid) {
					s.manage(r.name, KindTenantLogin, t.Key, path)
					s.expectLogin(role, r.oid)
					s.configure(r.oid, loginSettings)
					s.noLogin[r.oid] = true
				}
			}
		}
		if t.Schema != t.Role+t.Retired {
			s.noLogin[s.manage(t.Schema, KindGroup, "", path+".schema")] = true
		}
	}
	return s
}

func (c *catalog) databaseOwner() oid {
	for _, o := range c.objects {
		if o.kind == "database" {
			return o.owner
		}
	}
	return 0
}

// manage notes that a role is one of the stacks', or that it is missing.
func (s *system) manage(name, kind, tenant, path string) oid {
	r := s.byName[name]
	if r == nil {
		finding := Finding{
			Rule: ruleRoleMissing, Tenant: tenant, Subject: name,
			Text: "the stack has the role " + name + " (" + path + "), the server has not",
			Fix:  "pulumi up --refresh",
		}
		if !slices.Contains(s.missing, finding) {
			s.missing = append(s.missing, finding)
		}
		return 0
	}
	if s.kinds[r.oid] != KindSuperuser || kind != KindAdmin {
		s.kinds[r.oid] = kind
	}
	if tenant != "" {
		s.tenantOf[r.oid] = tenant
	}
	return r.oid
}

// expect notes the memberships of the policy between the given roles. A role that is missing is 0.
func (s *system) expect(memberships []policy.Membership, roles map[policy.Role]oid) {
	for _, m := range memberships {
		if of, member := roles[m.Of], roles[m.Member]; of != 0 && member != 0 {
			s.expected[edge{of, member}] = m.AdminOption
		}
	}
}

// expectLogin notes that an alternating login is a member of the role that it acts as.
func (s *system) expectLogin(role, login oid) {
	if role != 0 && login != 0 {
		s.expected[edge{role, login}] = false
	}
}

func (c *catalog) isMember(role, member oid) bool {
	return slices.ContainsFunc(c.edges[role], func(m membership) bool { return m.member == member })
}

// configure notes the settings that the stacks give a role.
func (s *system) configure(role oid, settings map[string]string) {
	if role != 0 {
		s.configured[role] = settings
	}
}

// logins notes the two logins of a role with their settings, if login is one of them. A login of its
// own is the role.
func (s *system) logins(role oid, login, kind, tenant, path string, settings map[string]string) {
	if role == 0 || login == s.roles[role].name {
		return
	}
	for _, half := range []string{"_a", "_b"} {
		id := s.manage(s.roles[role].name+half, kind, tenant, path)
		s.expectLogin(role, id)
		s.configure(id, settings)
	}
}

// adminLogins notes the login of the admin, or its two logins behind it.
func (s *system) adminLogins(admin oid, login string) {
	base := s.roleBehind(login)
	if base == s.admin {
		base = login
	}
	id := s.manage(base, KindAdmin, "", "roles.admin.loginName")
	s.expect(policy.SharedMemberships(), map[policy.Role]oid{policy.Admin: admin, policy.AdminLogin: id})
	actsAs := map[string]string{"role": s.admin}
	s.configure(id, actsAs)
	s.logins(id, login, KindAdmin, "", "roles.admin.loginName", actsAs)
}

// roleBehind is the role that a login is one of the two of, or the login itself.
func (c *catalog) roleBehind(login string) string {
	for _, half := range []string{"_a", "_b"} {
		base, cut := strings.CutSuffix(login, half)
		role, member := c.byName[base], c.byName[login]
		if cut && role != nil && member != nil && c.isMember(role.oid, member.oid) {
			return base
		}
	}
	return login
}

// managed reports whether a role is one of the stacks'.
func (s *system) managed(id oid) bool {
	switch s.kinds[id] {
	case KindTenant, KindTenantLogin, KindApp, KindReader, KindAdmin, KindGroup:
		return true
	default:
		return false
	}
}

// policyRole is the role of the policy that a role of the server is, or whose login it is. It is empty
// for roles that the policy does not know, and for the role that only takes a schema's name.
func (s *system) policyRole(id oid) policy.Role {
	switch s.kinds[id] {
	case KindTenant, KindTenantLogin:
		return policy.Tenant
	case KindApp:
		return policy.App
	case KindReader:
		return policy.Reader
	case KindAdmin:
		return policy.Admin
	case KindPublic:
		return policy.Public
	}
	switch s.name(id) {
	case s.allTenants:
		return policy.AllTenants
	case s.allTenantsAdmin:
		return policy.AllTenantsAdmin
	default:
		return ""
	}
}

// isTenant reports whether a role is a tenant's, or what all tenants are members of.
func (s *system) isTenant(id oid) bool {
	return s.kinds[id] == KindTenant || s.kinds[id] == KindTenantLogin || id != 0 && s.name(id) == s.allTenants
}

// trusted reports whether a role may do anything: the admin, who owns the schemas, who deploys, and
// superusers.
func (s *system) trusted(id oid) bool {
	switch s.kinds[id] {
	case KindAdmin, KindDeployer, KindSuperuser:
		return true
	default:
		return id != 0 && s.name(id) == s.allTenantsAdmin
	}
}

var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// quoted is a name as SQL takes it.
func quoted(name string) string {
	if plainName.MatchString(name) || name == "PUBLIC" {
		return name
	}
	return pgx.Identifier{name}.Sanitize()
}

// quotedObject is an object as GRANT and REVOKE take it.
func quotedObject(o *object) string {
	switch o.kind {
	case "database":
		return "DATABASE " + quoted(o.name)
	case "schema":
		return "SCHEMA " + quoted(o.schema)
	case "function":
		name, arguments, _ := strings.Cut(o.name, "(")
		return "FUNCTION " + quoted(o.schema) + "." + quoted(name) + "(" + arguments
	case "sequence":
		return "SEQUENCE " + quoted(o.schema) + "." + quoted(o.name)
	default:
		return quoted(o.schema) + "." + quoted(o.name)
	}
}

// altered is an object as ALTER takes it.
func altered(o *object) string {
	if kindGroup(o.kind) == "table" {
		return strings.ToUpper(o.kind) + " " + quotedObject(o)
	}
	return quotedObject(o)
}
