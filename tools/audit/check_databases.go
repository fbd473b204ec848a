package audit

import (
	"cmp"
	"maps"
	"slices"

	"tenant-permissions/internal/policy"
)

// checkConnect reports roles of the policy that cannot connect to the database.
func (s *system) checkConnect(f *findings, o *object) {
	s.checkHolds(f, o, s.onDatabase(), map[policy.Role]string{policy.App: ruleAppCannotRead, policy.Admin: ruleAdminCannotConnect})
}

// checkHolds reports the privileges that the policy gives roles on an object and that they lack. The rule
// is that of the role, or the one for tenants.
func (s *system) checkHolds(f *findings, o *object, grants []policy.Grant, rules map[policy.Role]string) {
	names := map[policy.Role]string{policy.App: s.app, policy.Admin: s.admin, policy.AllTenants: s.allTenants}
	if s.own != nil {
		names[policy.Tenant], names[policy.Agents] = s.own.Role, s.own.AgentsRole
	}
	for _, grant := range grants {
		r := s.byName[names[grant.Role]]
		if r == nil || r.super {
			continue
		}
		for _, privilege := range grant.Privileges {
			if !s.inheritsPrivilege(r.oid, o, privilege) {
				f.violation(Finding{
					Rule: cmp.Or(rules[grant.Role], ruleTenantCannotUse), Tenant: s.tenantOf[r.oid], Subject: r.name, Object: o.String(), object: o.identity(),
					Text: r.name + " lacks " + privilege + " on " + o.String(), Fix: "pulumi up --refresh",
				})
			}
		}
	}
}

// onDatabase is who holds what on the database by the policy. A retired tenant holds nothing.
func (s *system) onDatabase() []policy.Grant {
	switch {
	case s.own == nil:
		return policy.OnDatabase()
	case s.own.Retired != "":
		return policy.OnTenantDatabase()
	default:
		return append(policy.OnTenantDatabase(), policy.OnOwnDatabase(s.own.AgentsRole != "")...)
	}
}

// onExtensionSchema is onDatabase for the schema of the extensions.
func (s *system) onExtensionSchema() []policy.Grant {
	switch {
	case s.own == nil:
		return policy.OnExtensionSchema()
	case s.own.Retired != "":
		return policy.OnTenantExtensionSchema()
	default:
		return append(policy.OnTenantExtensionSchema(), policy.OnOwnExtensionSchema(s.own.AgentsRole != "")...)
	}
}

// mayConnect reports whether the policy lets a role connect to the database. To the stacks' database
// roles of no stack may.
func (s *system) mayConnect(id oid) bool {
	role, tenant := s.policyRole(id), s.tenantOf[id]
	switch {
	case s.trusted(id):
		return true
	case role == "":
		return s.own == nil
	case tenant != "" && s.own == nil:
		return s.databaseOf[tenant] == ""
	case tenant != "":
		return tenant == s.own.Key && s.own.Retired == ""
	}
	return slices.ContainsFunc(s.onDatabase(), func(grant policy.Grant) bool {
		return len(grant.Privileges) > 0 && (grant.Role == role || slices.Contains(policy.MemberOf(role), grant.Role))
	})
}

// checkDatabaseOwner reports a tenant's own database that belongs to somebody who could not deploy it:
// neither the owner of the stacks' database, nor a member of it, nor a superuser. What belongs to a role
// that must own nothing checkOwned reports.
func (s *system) checkDatabaseOwner(f *findings, o *object) {
	if s.own == nil || s.kinds[o.owner] == KindDeployer || s.kinds[o.owner] == KindSuperuser || s.ownsNothing(o.owner) {
		return
	}
	if deployer := s.byName[s.deployer]; deployer != nil && !deployer.super {
		if _, member := s.membersOf(deployer.oid)[o.owner]; member {
			return
		}
	}
	owner := s.name(o.owner)
	f.violation(Finding{
		Rule: ruleDatabaseOwner, explains: explanation{role: o.owner}, Tenant: s.own.Key, Subject: owner, Object: o.name, Text: owner + " owns the database, and can drop it and let others connect to it",
		Fix: "ALTER DATABASE " + quoted(o.name) + " OWNER TO " + quoted(s.deployer),
	})
}

// noteConnect notes which roles of no stack can connect to databases of tenants.
func (s *system) noteConnect(f *findings) {
	databases := map[oid][]string{}
	for _, other := range s.others {
		for _, p := range other.acls[other.itself.acl] {
			if p.name == "CONNECT" && s.kinds[p.grantee] == KindOther && p.grantee != other.owner {
				databases[p.grantee] = append(databases[p.grantee], other.itself.name)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(databases)) {
		who, names := s.name(id), databases[id]
		f.note(Finding{Rule: ruleConnect, Subject: who, Object: names[0], Text: who + " can connect to " + abbreviated(names) + ": correct for a login that audits, for instance"})
	}
}
