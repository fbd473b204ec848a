package audit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenant-permissions/internal/policy"
)

// checkAttributes compares the attributes of roles with those that the policy lets the config give.
func (s *system) checkAttributes(f *findings) {
	for _, id := range slices.Sorted(maps.Keys(s.roles)) {
		r := s.roles[id]
		if !s.managed(id) {
			continue
		}
		if s.md5[id] {
			f.violation(Finding{Rule: ruleMD5, Tenant: s.tenantOf[id], Subject: r.name, Text: "its password is stored as MD5, and the stack stores SCRAM-SHA-256 only", Fix: "pulumi up --refresh"})
		}
		if s.noLogin[id] && r.login {
			f.violation(Finding{Rule: ruleLogin, Tenant: s.tenantOf[id], Subject: r.name, Text: "it can log in, but must not according to the stack", Fix: "ALTER ROLE " + quoted(r.name) + " NOLOGIN"})
		}
		has := r.attributes()
		may := policy.ConfigurableAttributes(s.policyRole(id))
		if s.kinds[id] == KindApp && r.name != s.app {
			may = nil // alternating logins have nothing of their own
		}
		var configured, extra []string
		for _, attribute := range has {
			switch {
			case !slices.Contains(may, attribute):
				extra = append(extra, attribute)
			case attribute != "CREATEROLE" && attribute != "CREATEDB": // which every admin has unless configured
				configured = append(configured, attribute)
			}
		}
		if len(configured) > 0 {
			rule := ruleAppAttribute
			if s.kinds[id] == KindAdmin {
				rule = ruleAdminAttribute
			}
			f.note(Finding{Rule: rule, Subject: r.name, Text: "it has " + strings.Join(configured, " and ") + ": correct if the config gives it, which the outputs do not say"})
		}
		if len(extra) > 0 {
			rule := ruleTenantAttribute
			if s.kinds[id] == KindApp || s.kinds[id] == KindReader {
				rule = ruleAppAttribute
			}
			f.violation(Finding{
				Rule: rule, explains: explanation{role: id}, Tenant: s.tenantOf[id], Subject: r.name, Text: "it has " + strings.Join(extra, " and "),
				Fix: "ALTER ROLE " + quoted(r.name) + " NO" + strings.Join(extra, " NO") + ", or pulumi up --refresh",
			})
		}
	}
}

// attributes are the attributes of a role beyond LOGIN and INHERIT, in PostgreSQL's words.
func (r *role) attributes() (has []string) {
	for _, attribute := range []struct {
		name string
		has  bool
	}{{"SUPERUSER", r.super}, {"CREATEROLE", r.createRole}, {"CREATEDB", r.createDB}, {"REPLICATION", r.replication}, {"BYPASSRLS", r.bypassRLS}} {
		if attribute.has {
			has = append(has, attribute.name)
		}
	}
	return has
}

// checkMemberships compares who is a member of what with the policy.
func (s *system) checkMemberships(f *findings) {
	for _, want := range slices.SortedFunc(maps.Keys(s.expected), func(a, b edge) int {
		return cmp.Or(cmp.Compare(s.name(a.role), s.name(b.role)), cmp.Compare(s.name(a.member), s.name(b.member)))
	}) {
		s.checkMembership(f, want, s.expected[want])
	}
	seen := map[edge]bool{} // by another grantor
	for _, m := range s.members {
		if _, ok := s.expected[edge{m.role, m.member}]; ok || seen[edge{m.role, m.member}] || s.trusted(m.member) && !s.managed(m.member) {
			continue
		}
		// From PostgreSQL 16 on a role has the admin option on the roles that it creates, and the
		// admin may create roles.
		if s.kinds[m.member] == KindAdmin && s.kinds[m.role] == KindOther && m.admin {
			continue
		}
		if s.managed(m.member) || s.managed(m.role) {
			seen[edge{m.role, m.member}] = true
			s.unexpectedMembership(f, m)
		}
	}
}

// checkMembership compares one membership of the policy with the grants of it that the server has.
func (s *system) checkMembership(f *findings, want edge, adminOption bool) {
	role, member := s.name(want.role), s.name(want.member)
	var grants []membership
	for _, m := range s.edges[want.role] {
		if m.member == want.member {
			grants = append(grants, m)
		}
	}
	isAdmin := func(m membership) bool { return m.admin }
	hasAdmin := slices.ContainsFunc(grants, isAdmin)
	inherits := slices.ContainsFunc(grants, func(m membership) bool { return m.inherit })
	found := Finding{Rule: ruleMembershipMissing, Tenant: cmp.Or(s.tenantOf[want.role], s.tenantOf[want.member]), Subject: member, Object: role, Fix: "pulumi up --refresh"}
	switch {
	case len(grants) == 0:
		found.Text = member + " is not a member of " + role
	case adminOption && !hasAdmin:
		found.Text = member + " is a member of " + role + " without the admin option"
	case !inherits && slices.Contains([]string{KindTenant, KindAgent, KindReader}, s.kinds[want.member]):
		found.Text = member + " is a member of " + role + ", but does not inherit its privileges"
		found.Fix = "ALTER ROLE " + quoted(member) + " INHERIT"
		if by := s.grantedBy(grants[0]); by != "" {
			found.Fix = "GRANT " + quoted(role) + " TO " + quoted(member) + " WITH INHERIT TRUE" + by
		}
	case !adminOption && hasAdmin:
		found.Rule = ruleMembershipUnexpected
		if s.isTenant(want.member) {
			found.Rule = ruleTenantAdminOption
		}
		found.Text = member + " has the admin option on " + role + ", and can make any role a member of it"
		found.Fix = "REVOKE ADMIN OPTION FOR " + quoted(role) + " FROM " + quoted(member) + s.grantedBy(grants[slices.IndexFunc(grants, isAdmin)])
	case len(grants) > 1:
		found.Rule = ruleMembershipTwice
		found.Text = fmt.Sprintf("%s is a member of %s by grants of %s and of %s, so revoking one of them changes nothing", member, role, s.name(grants[0].grantor), s.name(grants[1].grantor))
		by := " GRANTED BY …, the one of them that does not deploy"
		others := slices.DeleteFunc(slices.Clone(grants), func(m membership) bool { return s.name(m.grantor) == s.deployer })
		if len(others) < len(grants) {
			by = s.grantedBy(others[0])
		}
		found.Fix = "REVOKE " + quoted(role) + " FROM " + quoted(member) + by
	default:
		return
	}
	f.violation(found)
}

// unexpectedMembership reports a membership that the policy does not have.
func (s *system) unexpectedMembership(f *findings, m membership) {
	role, member := s.name(m.role), s.name(m.member)
	explains := explanation{membership: edge{m.role, m.member}}
	admin, option := slices.ContainsFunc(s.edges[m.role], func(by membership) bool { return by.member == m.member && by.admin }), ""
	if admin {
		option = " with the admin option"
	}
	fix := "REVOKE " + quoted(role) + " FROM " + quoted(member) + s.grantedBy(m)
	other := m.member
	if member == s.allTenantsAdmin {
		other = m.role
	}
	// Another cell has none of PostgreSQL's own roles, of the superusers, and of those that deploy this one.
	if (role == s.allTenants || role == s.allTenantsAdmin || member == s.allTenantsAdmin) && s.kinds[other] == KindOther {
		f.affects(problem{
			Finding: Finding{Rule: ruleRoleUnknown, Subject: s.name(other)},
			text:    sentence{before: s.name(other) + " is not a role of these stacks, but "},
			fix:     sentence{before: "if another cell has it, give --outputs of that cell too; otherwise "},
		}, affected{name: member + " is a member of " + role + option, target: fix, explains: explains})
		return
	}
	explains.role = m.member
	found := Finding{Rule: ruleMembershipUnexpected, Tenant: cmp.Or(s.tenantOf[m.member], s.tenantOf[m.role]), Subject: member, Object: role, Text: member + " is a member of " + role + option, Fix: fix, explains: explains}
	switch {
	case s.isTenant(m.member) && s.reachesOthers(m.member):
		found.Rule = ruleTenantReaches
	case s.isTenant(m.member) && admin:
		found.Rule = ruleTenantAdminOption
	}
	if s.isTenant(m.member) {
		found.Tenant = s.tenantOf[m.member]
	}
	f.violation(found)
}

// reachesOthers reports whether a role of a tenant reaches anything of another tenant, or everything.
func (s *system) reachesOthers(id oid) bool {
	for _, unlimited := range s.unlimited {
		if _, ok := s.membersOf(unlimited)[id]; ok {
			return true
		}
	}
	for _, of := range s.databases() {
		for schema, tenant := range of.tenantBySchema {
			if tenant.Key == s.tenantOf[id] || of.schemas[schema] == nil {
				continue
			}
			if _, ok := of.schemaAccess(of.schemas[schema])[id]; ok {
				return true
			}
		}
	}
	return false
}

// checkOwned reports what roles own that must not own anything. Only the admin owns objects.
func (s *system) checkOwned(f *findings) {
	for _, o := range s.owned {
		who, one := s.name(o.role), affected{name: o.what, vague: o.vague}
		p := problem{
			Finding: Finding{Subject: who, Tenant: s.tenantOf[o.role]},
			text:    sentence{before: who + " owns "},
			fix:     sentence{before: "REASSIGN OWNED BY " + quoted(who) + " TO " + quoted(s.admin)},
		}
		if o.database != "" {
			// Whoever deploys owns the databases: the admin could let others connect.
			p.fix.before = "ALTER DATABASE " + quoted(o.database) + " OWNER TO " + quoted(s.deployer)
		}
		switch s.kinds[o.role] {
		case KindTenant, KindTenantLogin, KindAgent, KindAgents, KindGroup:
			p.Rule, p.text.after = ruleTenantOwns, ", and can drop it, alter it and grant privileges on it"
			one.explains.role = o.role
		case KindApp, KindReader:
			p.Rule = ruleAppWrites
		default:
			continue
		}
		f.affects(p, one)
	}
}

// grantedBy is the clause that names the grantor of a membership. From PostgreSQL 16 on there can be a
// grant of each grantor, and a REVOKE that names none means the caller's.
func (s *system) grantedBy(m membership) string {
	if s.version < 16 {
		return ""
	}
	return " GRANTED BY " + quoted(s.name(m.grantor))
}
