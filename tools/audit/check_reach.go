package audit

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// checkUnlimited reports roles that reach everything on the server by a way that no other violation
// explains.
func (s *system) checkUnlimited(f *findings, known explained) {
	f.explained = known.clone()
	unlimited := slices.Clone(s.unlimited)
	for _, id := range slices.Sorted(maps.Keys(s.kinds)) {
		if s.kinds[id] == KindDeployer { // It can grant itself anything, and so can its members.
			unlimited = append(unlimited, id)
		}
	}
	for _, unlimited := range unlimited {
		reached := s.membersOf(unlimited)
		byLength := func(a, b oid) int {
			return cmp.Or(cmp.Compare(len(reached[a].path), len(reached[b].path)), cmp.Compare(a, b))
		}
		for _, id := range slices.SortedFunc(maps.Keys(reached), byLength) {
			path := reached[id].path
			if len(path) == 0 || s.trusted(id) || s.kinds[id] == KindPredefined || f.covers(path) {
				continue
			}
			f.violation(Finding{
				Rule: ruleOtherReaches, explains: explanation{id, edge{path[0].role, id}}, Subject: s.name(id), Object: s.name(unlimited),
				Text: s.name(id) + " reaches everything as " + s.describe(path), Fix: s.endMembership(id, path),
			})
		}
	}
}

// checkReach reports roles that reach a tenant's schema by any way that no other violation explains. It
// finds what the other checks overlook.
func (s *system) checkReach(f *findings, known explained) {
	for _, schema := range sortedKeys(s.tenantBySchema) {
		o := s.schemas[schema]
		if o == nil {
			continue
		}
		for id, rights := range s.schemaAccess(o) {
			if id != 0 && !s.expectedAccess(id, s.tenantBySchema[schema].Key) {
				s.checkEntry(f, known, o, id, rights)
			}
		}
	}
}

// checkEntry reports the first way into a schema that no other violation explains.
func (s *system) checkEntry(f *findings, known explained, o *object, id oid, rights map[string]granted) {
	for _, right := range rightsOrder {
		g, has := rights[right]
		if !has || len(g.path) == 0 || s.kinds[g.role] == KindPredefined || known.covers(g.path) {
			continue
		}
		found := Finding{Rule: ruleOtherReaches, Subject: s.name(id)}
		if s.isTenant(id) {
			found.Rule, found.Tenant = ruleTenantReaches, s.tenantOf[id]
		}
		f.affects(problem{
			Finding: found, text: sentence{s.name(id) + " reaches ", " as " + s.describe(g.path)},
		}, affected{name: o.String(), target: s.endMembership(id, g.path)})
		return
	}
}

// unlimitedRoles are the roles whose members reach everything: some of PostgreSQL's own, and superusers.
func (c *cluster) unlimitedRoles() (roles []oid) {
	for _, all := range predefined {
		if role := c.byName[all.role]; role != nil { // not all versions have all
			roles = append(roles, role.oid)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.roles)) {
		if c.roles[id].super {
			roles = append(roles, id)
		}
	}
	return roles
}

// endMembership is the SQL that ends the first membership of a way.
func (s *system) endMembership(id oid, path []membership) string {
	return "REVOKE " + quoted(s.name(path[0].role)) + " FROM " + quoted(s.name(id)) + s.grantedBy(path[0])
}

// expectedAccess reports whether the policy lets a role use the schema of the tenant with this key.
func (s *system) expectedAccess(id oid, tenant string) bool {
	switch s.kinds[id] {
	case KindTenant, KindTenantLogin, KindAgent, KindAgents:
		return s.tenantOf[id] == tenant
	case KindApp, KindReader:
		return true
	default:
		return s.trusted(id)
	}
}

// noteServer notes facts about the server that are no violations.
func (s *system) noteServer(f *findings) {
	note := func(rule, subject, text string) { f.note(Finding{Rule: rule, Subject: subject, Text: text}) }
	if len(s.open) > 0 {
		note(ruleOtherDatabases, "PUBLIC", "tenants can connect to "+strings.Join(s.open, ", ")+": the config key closedDatabases closes them")
	}
	if s.md5 == nil {
		note(ruleNotChecked, "", "only a superuser can read how passwords are stored, so none was checked for MD5")
	}
	if s.version < 15 {
		note(ruleOwnRole, "", "before PostgreSQL 15 every login has the admin option on its own role, and can make others members of it")
	}
	for _, id := range slices.Sorted(maps.Keys(s.kinds)) {
		name := s.name(id)
		switch kind := s.kinds[id]; {
		case (kind == KindAdmin || kind == KindOther) && s.version < 16 && s.roles[id].createRole:
			note(ruleCreateRole, name, "before PostgreSQL 16 a role with CREATEROLE can make itself a member of any role but a superuser")
		case kind == KindDeployer && id == s.owner:
			note(ruleDeployer, name, "it owns the database and deploys the stacks, so it can grant itself anything")
		case kind == KindDeployer:
			note(ruleDeployer, name, "it made "+s.name(s.owner)+", which deploys the stacks, so it can grant itself anything")
		case kind == KindSuperuser:
			note(ruleSuperuser, name, "it can do everything")
		}
	}
}
