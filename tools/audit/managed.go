package audit

import (
	"slices"
	"strconv"
	"strings"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/policy"
)

// addShared adds the roles that exist once, and returns them. One that the server does not have is 0.
func (s *system) addShared() map[policy.Role]oid {
	shared := map[policy.Role]oid{
		policy.App:             s.manage(s.app, KindApp, "", "roles.app"),
		policy.Admin:           s.manage(s.admin, KindAdmin, "", "roles.admin"),
		policy.AllTenants:      s.manage(s.allTenants, KindGroup, "", "roles.allTenants"),
		policy.AllTenantsAdmin: s.manage(s.allTenantsAdmin, KindGroup, "", "roles.allTenantsAdmin"),
	}
	for role, id := range shared {
		s.noLogin[id] = !policy.LogsIn(role)
	}
	s.expect(policy.SharedMemberships(), shared)
	s.configure(shared[policy.App], s.settingsOf(s.app, ""))
	for _, login := range s.logins["app"] {
		s.addLogins(shared[policy.App], login, KindApp, "", "roles.app", s.app)
	}
	for _, login := range s.logins["admin"] {
		s.addAdminLogins(shared[policy.Admin], login)
	}
	return shared
}

// addReader adds a reader and its alternating logins.
func (s *system) addReader(key string, shared map[policy.Role]oid) {
	path, name := config.Join("readers", key), s.readers[key]
	if name == "" {
		name = s.roleBehind(s.logins[key][0])
	}
	reader := s.manage(name, KindReader, "", path)
	s.expect(policy.SharedMemberships(), map[policy.Role]oid{policy.App: shared[policy.App], policy.Reader: reader})
	s.configure(reader, s.settingsOf(name, ""))
	for _, login := range s.logins[key] {
		s.addLogins(reader, login, KindReader, "", path, name)
	}
}

// addTenant adds the role of a tenant, its alternating logins, and the role that reserves its schema's
// name.
func (s *system) addTenant(t *Tenant, shared map[policy.Role]oid) {
	path, name := config.Join("tenants", t.Key), t.Role+t.Retired // of which one is empty
	role := s.manage(name, KindTenant, t.Key, path)
	roles := t.roles(shared)
	roles[policy.Tenant] = role
	s.expect(policy.TenantMemberships(), roles)
	s.configure(role, s.settingsOf(name, "", t.Schema))
	if t.Retired == "" {
		s.addLogins(role, t.Login, KindTenantLogin, t.Key, path, name, t.Schema)
		s.addAgents(t, roles)
	}
	if t.Schema != name && (t.Database == "" || s.schemas[t.Schema] != nil && s.byName[t.Schema] != nil) { // it may have left a schema
		s.noLogin[s.manage(t.Schema, KindGroup, "", path+".schema")] = true
	}
}

// addAgents adds the agents of a tenant and their group role.
func (s *system) addAgents(t *Tenant, roles map[policy.Role]oid) {
	if t.AgentsRole == "" {
		return
	}
	path := config.Join("tenants", t.Key) + ".agents"
	roles[policy.Agents] = s.manage(t.AgentsRole, KindAgents, t.Key, path)
	s.noLogin[roles[policy.Agents]] = true
	for _, key := range sortedKeys(t.Agents) {
		name := s.roleBehind(t.Agents[key])
		roles[policy.Agent] = s.manage(name, KindAgent, t.Key, config.Join(path, key))
		s.expect(policy.AgentMemberships(), roles)
		s.configure(roles[policy.Agent], s.settingsOf(name, "", t.Schema))
		s.addLogins(roles[policy.Agent], t.Agents[key], KindAgent, t.Key, config.Join(path, key), name, t.Schema)
	}
}

// roles are the roles that are members of, or have as members, those of the tenant. One with a database
// of its own is no member of the group role of all tenants.
func (t *Tenant) roles(shared map[policy.Role]oid) map[policy.Role]oid {
	roles := map[policy.Role]oid{policy.AllTenantsAdmin: shared[policy.AllTenantsAdmin]}
	if t.Database == "" {
		roles[policy.AllTenants] = shared[policy.AllTenants]
	}
	return roles
}

// addRetired adds what the outputs do not have of a retired tenant: its alternating logins, and its
// agents, which are the members of their group role that have limits and are nobody else's. Nobody may
// log in as one of them. All roles that the outputs have are added before.
func (s *system) addRetired(t *Tenant, shared map[policy.Role]oid) {
	path, roles := config.Join("tenants", t.Key), t.roles(shared)
	alternating := func(of oid, kind string) {
		for _, suffix := range config.AlternatingSuffixes() {
			if r := s.byName[s.name(of)+"_"+suffix]; of != 0 && r != nil && s.isMember(of, r.oid) {
				s.manage(r.name, kind, t.Key, path)
				s.expectLogin(of, r.oid)
				s.configure(r.oid, s.settingsOf(r.name, s.name(of), t.Schema))
				s.noLogin[r.oid] = true
			}
		}
	}
	if role := s.byName[t.Retired]; role != nil {
		s.noLogin[role.oid] = true
		alternating(role.oid, KindTenantLogin)
	}
	group := s.byName[config.AgentsRole(t.Retired)]
	if group == nil || s.kinds[group.oid] != KindOther {
		return
	}
	roles[policy.Agents] = s.manage(group.name, KindAgents, t.Key, path)
	s.noLogin[group.oid] = true
	for _, m := range s.edges[group.oid] {
		name := s.name(m.member)
		if _, limited := s.limits[name]; !limited || s.kinds[m.member] != KindOther {
			continue
		}
		roles[policy.Agent] = s.manage(name, KindAgent, t.Key, path)
		s.noLogin[m.member] = true
		s.expect(policy.AgentMemberships(), roles)
		s.configure(m.member, s.settingsOf(name, "", t.Schema))
		alternating(m.member, KindAgent)
	}
}

// settingsOf are the settings that the stacks give a login: of an alternating login that acts as a role,
// of a role that finds names in the given schemas, and with limits.
func (s *system) settingsOf(login, actsAs string, schemas ...string) map[string]string {
	settings := map[string]string{}
	if actsAs != "" {
		settings["role"] = actsAs
	}
	if path := policy.SearchPath(s.extensionSchema, schemas...); len(path) > 0 {
		settings["search_path"] = strings.Join(path, ", ")
	}
	for name, milliseconds := range map[string]int{
		"statement_timeout": s.limits[login].StatementTimeout, "idle_in_transaction_session_timeout": s.limits[login].IdleInTransactionSessionTimeout,
	} {
		if milliseconds > 0 {
			settings[name] = strconv.Itoa(milliseconds)
		}
	}
	return settings
}

// manage records that a role is one of the stacks', or that it is missing, and returns it. A missing
// role is 0.
func (s *system) manage(name, kind, tenant, path string) oid {
	r := s.byName[name]
	if r == nil {
		finding := Finding{
			Rule: ruleRoleMissing, Tenant: tenant, Subject: name,
			Text: "the stack has the role " + name + " (" + path + "), but the server does not",
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

// expect records the memberships of the policy between the given roles. A role that is missing is 0.
func (s *system) expect(memberships []policy.Membership, roles map[policy.Role]oid) {
	for _, m := range memberships {
		if of, member := roles[m.Of], roles[m.Member]; of != 0 && member != 0 {
			s.expected[edge{of, member}] = m.AdminOption
		}
	}
}

// expectLogin records that an alternating login is a member of the role that it acts as.
func (s *system) expectLogin(role, login oid) {
	if role != 0 && login != 0 {
		s.expected[edge{role, login}] = false
	}
}

func (c *catalog) isMember(role, member oid) bool {
	return slices.ContainsFunc(c.edges[role], func(m membership) bool { return m.member == member })
}

// configure records the settings that the stacks give a role.
func (s *system) configure(role oid, settings map[string]string) {
	if role != 0 && len(settings) > 0 {
		s.configured[role] = settings
	}
}

// addLogins adds the alternating logins of a role, which act as actsAs, if login is one of them. Without
// alternating logins the login is the role itself.
func (s *system) addLogins(role oid, login, kind, tenant, path, actsAs string, schemas ...string) {
	if role == 0 || login == s.roles[role].name {
		return
	}
	for _, suffix := range config.AlternatingSuffixes() {
		name := s.roles[role].name + "_" + suffix
		id := s.manage(name, kind, tenant, path)
		s.expectLogin(role, id)
		s.configure(id, s.settingsOf(name, actsAs, schemas...))
	}
}

// addAdminLogins adds the login of the admin, and the alternating logins that act as it, if any.
func (s *system) addAdminLogins(admin oid, login string) {
	base := s.roleBehind(login)
	if base == s.admin {
		base = login
	}
	id := s.manage(base, KindAdmin, "", "roles.admin.loginName")
	s.expect(policy.SharedMemberships(), map[policy.Role]oid{policy.Admin: admin, policy.AdminLogin: id})
	s.configure(id, s.settingsOf(base, s.admin))
	s.addLogins(id, login, KindAdmin, "", "roles.admin.loginName", s.admin)
}

// roleBehind is the role that an alternating login acts as, or the login itself if it is none.
func (c *catalog) roleBehind(login string) string {
	for _, suffix := range config.AlternatingSuffixes() {
		base, cut := strings.CutSuffix(login, "_"+suffix)
		role, member := c.byName[base], c.byName[login]
		if cut && role != nil && member != nil && c.isMember(role.oid, member.oid) {
			return base
		}
	}
	return login
}
