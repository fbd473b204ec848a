package audit

import (
	"maps"
	"slices"
	"strings"
)

// checkDefiner reports functions that run with the rights of their owner: those with whose rights a role
// reaches more than it may, and those that let the caller choose what the names in them mean.
func (s *system) checkDefiner(f *findings, o *object, tenant *Tenant) {
	if !o.definer {
		return
	}
	callers := s.callers(o, tenant)
	if len(callers) == 0 {
		return
	}
	found := Finding{
		Rule: ruleDefiner, Subject: callers[0], Object: o.String(), object: o.identity(),
		Text: strings.Join(quotedAll(callers), " and ") + " can execute it with the rights of " + quoted(s.name(o.owner)),
	}
	if tenant != nil {
		found.Tenant = tenant.Key
	}
	switch {
	case s.reachesAll(o.owner):
		found.Text += ", which reaches the data of every tenant: a mistake in it gives that to its callers"
		found.Fix = "ALTER " + quotedObject(o) + " SECURITY INVOKER, or give it an owner that has no more than it needs"
		f.violation(found)
	case o.ownPath:
		found.Text += ". It sets its search_path: correct if it checks its arguments"
		f.note(found)
	default:
		found.Text += ". It sets no search_path, so the caller chooses what the names in it mean"
		found.Fix = "ALTER " + quotedObject(o) + " SET search_path = pg_catalog"
		f.violation(found)
	}
}

// callers are the roles, and PUBLIC, that have EXECUTE on a function and are neither its owner nor
// trusted. In a schema of no tenant only those count by which a role of the stacks can execute it.
func (s *system) callers(o *object, tenant *Tenant) (names []string) {
	for _, p := range s.acls[o.acl] {
		if p.grantee == o.owner || p.grantee != 0 && s.trusted(p.grantee) {
			continue
		}
		if tenant != nil || s.lets(p.grantee, o) {
			names = append(names, s.name(p.grantee))
		}
	}
	return names
}

// lets reports whether a role of the stacks, and not the admin, can use what a grantee has on an object.
func (s *system) lets(grantee oid, o *object) bool {
	into := s.schemaAccess(s.schemas[o.schema])
	enters := func(id oid) bool {
		_, uses := into[id][rightUse]
		_, owns := into[id][rightOwn]
		return uses || owns
	}
	if grantee == 0 {
		return enters(0) || slices.ContainsFunc(slices.Collect(maps.Keys(into)), func(id oid) bool { return s.ownsNothing(id) && enters(id) })
	}
	for id := range s.membersOf(grantee) {
		if s.ownsNothing(id) && (enters(0) || enters(id)) {
			return true
		}
	}
	return false
}

// reachesAll reports whether a role reaches the data of every tenant: the admin, whoever is trusted as it
// is, and their members.
func (s *system) reachesAll(id oid) bool {
	if s.trusted(id) {
		return true
	}
	powerful := s.unlimited
	if admin := s.byName[s.admin]; admin != nil {
		powerful = append(slices.Clone(powerful), admin.oid)
	}
	return slices.ContainsFunc(powerful, func(role oid) bool {
		_, reached := s.membersOf(role)[id]
		return reached
	})
}
