package audit

import (
	"strings"

	"tenant-permissions/internal/policy"
)

// system is the catalog of one database, and what it should be according to the stacks and the policy.
// What the server has once, such as kinds, all databases share.
type system struct {
	*catalog
	declared
	// own is the tenant whose own database this is. It is nil for the stacks' database.
	own *Tenant
	// others are the tenants' own databases, of the system of the stacks' database.
	others []*system
	// kinds are the kinds of principals, such as KindTenant, and tenantOf the keys of tenants, by role.
	kinds    map[oid]string
	tenantOf map[oid]string
	// expected are the memberships of the policy, and whether they have the admin option.
	expected map[edge]bool
	// noLogin are managed roles that must not log in.
	noLogin map[oid]bool
	// configured are the settings of managed roles that the stacks make, by role and name.
	configured map[oid]map[string]string
	// databaseOf are the tenants' own databases by the tenants' keys.
	databaseOf map[string]string
	// deployer is the owner of the stacks' database, as whom they connect unless it is as a superuser.
	deployer string
	// unlimited are the roles whose members reach everything.
	unlimited []oid
	// here are the tenants whose schema is in this database, and tenantBySchema are these by the name of
	// their schema, with those that have left a schema behind.
	here           []*Tenant
	tenantBySchema map[string]*Tenant
	// missing has a finding for each role and database that the stacks have and the server does not.
	missing []Finding
}

// edge is a membership without its options.
type edge struct{ role, member oid }

// newSystem finds out which role is which. The catalog is that of the stacks' database.
func newSystem(c *catalog, d declared) *system {
	s := &system{
		catalog: c, declared: d, kinds: map[oid]string{}, tenantOf: map[oid]string{},
		expected: map[edge]bool{}, noLogin: map[oid]bool{}, configured: map[oid]map[string]string{},
		databaseOf: map[string]string{}, tenantBySchema: map[string]*Tenant{},
	}
	s.classify()
	s.deployer, s.unlimited = s.name(s.owner), s.unlimitedRoles()
	shared := s.addShared()
	for _, key := range sortedKeys(d.readers) {
		s.addReader(key, shared)
	}
	for i := range d.tenants {
		t := &d.tenants[i]
		s.addTenant(t, shared)
		if t.Database == "" {
			s.here = append(s.here, t)
			s.tenantBySchema[t.Schema] = t
		} else {
			s.databaseOf[t.Key] = t.Database
		}
	}
	for i := range d.tenants {
		t := &d.tenants[i]
		if t.Retired != "" {
			s.addRetired(t, shared)
		}
		if t.Database != "" && s.schemas[t.Schema] != nil && s.tenantBySchema[t.Schema] == nil {
			s.tenantBySchema[t.Schema] = t.left("", t.Database)
		}
	}
	return s
}

// ofTenant is the system of a tenant's own database.
func (s *system) ofTenant(t *Tenant, c *catalog) *system {
	other := *s
	other.catalog, other.own, other.others, other.missing = c, t, nil, nil
	other.here, other.tenantBySchema = []*Tenant{t}, map[string]*Tenant{t.Schema: t}
	return &other
}

// databases are the systems of all databases, that of the stacks first.
func (s *system) databases() []*system { return append([]*system{s}, s.others...) }

// left is what a tenant that has moved has left in a database of its own, or in the stacks' (""). It is as
// good as retired there.
func (t *Tenant) left(database, movedTo string) *Tenant {
	return &Tenant{Key: t.Key, Schema: t.Schema, Retired: t.Role + t.Retired, Database: database, Stack: t.Stack, movedTo: movedTo}
}

// classify sets the kinds that do not depend on the stacks.
func (s *system) classify() {
	for id, r := range s.roles {
		switch {
		case r.super:
			s.kinds[id] = KindSuperuser
		case strings.HasPrefix(r.name, "pg_"):
			s.kinds[id] = KindPredefined
		default:
			s.kinds[id] = KindOther
		}
	}
	if s.owner == 0 || s.kinds[s.owner] == KindSuperuser {
		return
	}
	s.kinds[s.owner] = KindDeployer
	for _, m := range s.edges[s.owner] {
		// The role that made the owner, such as the server's administrator, can get all that the
		// owner has. From PostgreSQL 16 on it has the admin option and nothing more.
		if m.admin && !m.inherit && !m.set && s.kinds[m.member] == KindOther {
			s.kinds[m.member] = KindDeployer
		}
	}
}

// managed reports whether a role is one of the stacks'.
func (s *system) managed(id oid) bool {
	switch s.kinds[id] {
	case KindTenant, KindTenantLogin, KindAgent, KindAgents, KindApp, KindReader, KindAdmin, KindGroup:
		return true
	default:
		return false
	}
}

// policyRole is the role of the policy that a role of the server is, or whose login it is. It is empty
// for roles that the policy does not have, such as the one that only reserves a schema's name.
func (s *system) policyRole(id oid) policy.Role {
	switch s.kinds[id] {
	case KindTenant, KindTenantLogin:
		return policy.Tenant
	case KindAgent:
		return policy.Agent
	case KindAgents:
		return policy.Agents
	case KindApp:
		return policy.App
	case KindReader:
		return policy.Reader
	case KindAdmin:
		return policy.Admin
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

// isTenant reports whether a role is a tenant's or its agents', or the group role of all tenants.
func (s *system) isTenant(id oid) bool {
	switch s.kinds[id] {
	case KindTenant, KindTenantLogin, KindAgent, KindAgents:
		return true
	default:
		return id != 0 && s.name(id) == s.allTenants
	}
}

// trusted reports whether a role may do anything: the admin, which owns the schemas, the roles that
// deploy, and superusers.
func (s *system) trusted(id oid) bool {
	switch s.kinds[id] {
	case KindAdmin, KindDeployer, KindSuperuser:
		return true
	default:
		return id != 0 && s.name(id) == s.allTenantsAdmin
	}
}
