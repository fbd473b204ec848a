package audit

import (
	"cmp"
	"slices"
	"strings"

	"tenant-permissions/internal/policy"
)

// checkObjects compares owners of objects, and privileges on them, with the policy.
func (s *system) checkObjects(f *findings) {
	admin := s.byName[s.admin]
	seen := map[string]bool{}
	clean := map[accessKey]bool{} // of objects with the same access, none has a problem if the first has none
	for _, o := range s.objects {
		tenant := s.tenantBySchema[o.schema]
		seen[o.schema] = seen[o.schema] || o.kind == "schema"
		s.checkDefiner(f, o, tenant)
		if tenant == nil && o.kind == "function" {
			continue // of functions in other schemas only these are read
		}
		if admin != nil {
			s.checkOwner(f, o, tenant, admin.oid)
		}
		s.checkShown(f, o)
		if key := newAccessKey(o); !clean[key] || len(o.shows) > 0 {
			problems := s.checkGrants(f, o, tenant)
			if tenant != nil && (o.kind == "schema" || admin != nil && o.owner == admin.oid) {
				problems += s.checkNeeds(f, o, tenant)
			}
			clean[key] = problems == 0 && len(o.shows) == 0
		}
		if o.kind == "database" {
			s.checkConnect(f, o)
			s.checkDatabaseOwner(f, o)
		}
	}
	for _, t := range s.here {
		if !seen[t.Schema] {
			f.violation(Finding{Rule: ruleSchemaMissing, Tenant: t.Key, Object: t.Schema, Text: "the stack has the schema " + t.Schema + ", but the server does not", Fix: "pulumi up --refresh"})
		}
	}
}

// checkOwner reports schemas of tenants, and objects in them, that the admin does not own, schemas that
// the admin owns and no tenant has, and those that a tenant has left.
func (s *system) checkOwner(f *findings, o *object, tenant *Tenant, admin oid) {
	owner := s.name(o.owner)
	if o.kind == "schema" && tenant != nil && tenant.movedTo != "" {
		f.note(Finding{
			Rule: ruleSchemaLeft, Tenant: tenant.Key, Object: o.schema, Text: "the schema is from before the tenant moved to the database " + tenant.movedTo,
			Fix: "set previous: drop for the tenant and run pulumi up, then remove previous and run it again",
		})
	}
	switch {
	case o.kind == "schema" && tenant != nil && o.owner != admin:
		f.violation(Finding{
			Rule: ruleSchemaOwner, explains: explanation{role: o.owner}, Tenant: tenant.Key, Subject: owner, Object: o.schema, Text: owner + " owns the schema and can drop it with everything in it",
			Fix: "ALTER SCHEMA " + quoted(o.schema) + " OWNER TO " + quoted(s.admin),
		})
	case o.kind == "schema" && tenant == nil && o.schema == s.extensionSchema:
		if o.owner != admin && !s.trusted(o.owner) {
			f.violation(Finding{
				Rule: ruleExtensionSchema, explains: explanation{role: o.owner}, Subject: owner, Object: o.schema, Text: owner + " owns the schema of the extensions, which is in every search path",
				Fix: "ALTER SCHEMA " + quoted(o.schema) + " OWNER TO " + quoted(s.admin),
			})
		}
	case o.kind == "schema" && tenant == nil && o.owner == admin && o.schema != "public":
		f.violation(Finding{
			Rule: ruleSchemaUnknown, Object: o.schema, Text: "the admin owns this schema, and no tenant of these stacks has it",
			Fix: "give --outputs of the cell that has it, or DROP SCHEMA " + quoted(o.schema),
		})
	case o.kind != "schema" && tenant != nil && o.owner != admin && !s.ownsNothing(o.owner):
		f.affects(problem{
			Finding: Finding{Rule: ruleObjectOwner, Tenant: tenant.Key, Subject: owner},
			text:    sentence{owner + " owns ", ", so the default privileges of the admin were not applied to it"},
			fix:     sentence{"ALTER ", " OWNER TO " + quoted(s.admin) + ", then GRANT on it what the tenant and the app need"},
		}, affected{name: o.String(), target: altered(o), object: o.identity(), explains: explanation{role: o.owner}})
	}
}

// ownsNothing reports whether a role must not own anything. checkOwned reports what such a role owns.
func (s *system) ownsNothing(id oid) bool {
	switch s.kinds[id] {
	case KindTenant, KindTenantLogin, KindAgent, KindAgents, KindGroup, KindApp, KindReader:
		return true
	default:
		return false
	}
}

// checkGrants reports privileges on an object that the policy does not give, and returns how many problems
// there are.
func (s *system) checkGrants(f *findings, o *object, tenant *Tenant) int {
	found := map[Finding][]string{} // the privileges, by what they have in common
	for _, p := range slices.Concat(s.acls[o.acl], o.columns) {
		finding, extra := s.judge(o, tenant, p)
		if !extra {
			continue
		}
		if finding.Rule == ruleTenantReaches || finding.Rule == ruleOtherReaches {
			finding.explains.role = p.grantee
		}
		if p.grantable && finding.Rule != ruleGrantOption {
			finding.Text += ", with the grant option"
		}
		finding.Subject, finding.Object = s.name(p.grantee), cmp.Or(o.schema, o.name)
		what := p.name
		if p.column != "" {
			what += " (" + quoted(p.column) + ")"
		}
		found[finding] = append(found[finding], what)
	}
	for finding, privileges := range found {
		option, what := "", strings.Join(privileges, ", ")
		if finding.Rule == ruleGrantOption {
			option = "GRANT OPTION FOR "
		}
		more, explains := finding.Text, finding.explains
		finding.Text, finding.explains = "", explanation{}
		f.affects(problem{
			Finding:  finding,
			text:     sentence{finding.Subject + " has " + what + " on ", more},
			fix:      sentence{"REVOKE " + option + what + " ON ", " FROM " + quoted(finding.Subject)},
			together: allInSchema(o),
		}, affected{name: o.String(), target: quotedObject(o), object: o.identity(), explains: explains})
	}
	return len(found)
}

// allInSchema is how GRANT and REVOKE name all objects of a kind in a schema.
func allInSchema(o *object) string {
	return "ALL " + strings.ToUpper(kindGroup(o.kind)) + "S IN SCHEMA " + quoted(o.schema)
}

// judge returns the rule that a privilege breaks, the tenant concerned, and the end of the text, which
// comes after the privilege and the object. extra is false if the policy allows the privilege.
func (s *system) judge(o *object, tenant *Tenant, p privilege) (found Finding, extra bool) {
	creates := (o.kind == "database" || o.kind == "schema") && (p.name == "CREATE" || p.name == "TEMPORARY")
	if p.grantee != 0 && (p.grantee == o.owner || s.trusted(p.grantee)) {
		return found, false
	}
	if o.kind == "schema" && tenant == nil && s.extensionSchema != "" && o.schema == s.extensionSchema && (creates || p.grantee == 0) {
		found.Rule, found.Tenant, found.Text = ruleExtensionSchema, s.tenantOf[p.grantee], ", the schema of the extensions, which is in every search path"
		return found, true
	}
	if p.grantee == 0 {
		return judgePublic(o, tenant, creates)
	}
	if o.kind == "database" && p.name == "CONNECT" && s.managed(p.grantee) && !s.mayConnect(p.grantee) {
		found.Rule, found.Tenant = ruleConnect, s.tenantOf[p.grantee]
		return found, true
	}
	found.Tenant = s.tenantOf[p.grantee]
	switch role := s.policyRole(p.grantee); {
	case creates && s.isTenant(p.grantee):
		found.Rule = ruleTenantCreates
		if p.name == "TEMPORARY" {
			found.Rule = ruleTenantTemporary
		}
	case s.isTenant(p.grantee) && tenant != nil && tenant.Key != s.tenantOf[p.grantee]:
		found.Rule = ruleTenantReaches
	case s.managed(p.grantee) && p.grantable:
		found.Rule, found.Text = ruleGrantOption, " with the grant option, and can grant it to others"
	case tenant == nil: // the database, or a schema of no tenant
		if s.kinds[p.grantee] == KindOther || p.name == "CONNECT" || p.name == "USAGE" || len(o.shows) > 0 {
			return found, false
		}
		found.Rule = rulePrivilegeUnexpected
		if role == policy.App || role == policy.Reader {
			found.Rule = ruleAppWrites
		}
	// A tenant that is retired, or has moved, keeps its privileges on what is in the schema, so that it can
	// come back. Without USAGE on the schema they give nothing.
	case o.kind == "schema" && s.isTenant(p.grantee) && tenant.movedTo != "":
		found.Rule, found.Text = rulePrivilegeUnexpected, ", and this tenant has moved to the database "+tenant.movedTo
	case o.kind == "schema" && s.isTenant(p.grantee) && tenant.Retired != "":
		found.Rule, found.Text = rulePrivilegeUnexpected, ", and this tenant is retired"
	case policy.May(role, policyKind(o.kind), p.name):
		return found, false
	case s.isTenant(p.grantee):
		found.Rule = rulePrivilegeUnexpected
	case role == policy.App || role == policy.Reader:
		found.Rule, found.Tenant = ruleAppWrites, tenant.Key
	default:
		found.Rule, found.Tenant = ruleOtherReaches, tenant.Key
	}
	return found, true
}

// judgePublic is judge for a privilege of PUBLIC. The policy gives none.
func judgePublic(o *object, tenant *Tenant, creates bool) (found Finding, extra bool) {
	switch {
	case o.kind == "database":
		found.Rule = rulePublicDatabase
	case o.kind == "schema" && o.schema == "public":
		found.Rule = rulePublicSchema
	case tenant == nil:
		found.Rule, found.Text = ruleTenantCreates, ", and so has every tenant"
		return found, creates
	case o.kind == "function":
		found.Rule, found.Tenant = rulePublicFunctions, tenant.Key
	default:
		found.Rule, found.Tenant = rulePublicTenantSchema, tenant.Key
	}
	return found, true
}

// checkShown reports who can read what is in another schema, through a view for instance.
func (s *system) checkShown(f *findings, o *object) {
	var shown []*object
	for _, of := range o.shows {
		if owner := s.roles[o.owner]; owner != nil && (owner.super || s.trusted(o.owner) || s.inheritsPrivilege(o.owner, of, "SELECT")) {
			shown = append(shown, of)
		}
	}
	if len(shown) == 0 {
		return
	}
	seen := map[oid]bool{}
	for _, p := range slices.Concat(s.acls[o.acl], o.columns) {
		if p.grantee == o.owner || seen[p.grantee] {
			continue
		}
		seen[p.grantee] = true
		var names []string
		for _, of := range shown {
			if !s.expectedAccess(p.grantee, s.tenantBySchema[of.schema].Key) {
				names = append(names, of.String())
			}
		}
		if len(names) == 0 {
			continue
		}
		who, rule := s.name(p.grantee), ruleOtherReaches
		if s.isTenant(p.grantee) || p.grantee == 0 {
			rule = ruleTenantReaches
		}
		f.violation(Finding{
			Rule: rule, Tenant: s.tenantOf[p.grantee], Subject: who, Object: o.String(), object: o.identity(), vague: len(names) > mostNamed, explains: explanation{role: p.grantee},
			Text: who + " has privileges on the " + o.kind + " " + o.String() + ", which shows " + abbreviated(names) + " with the rights of " + quoted(s.name(o.owner)),
			Fix:  "REVOKE ALL ON " + quotedObject(o) + " FROM " + quoted(who) + ", or from PostgreSQL 15 on set security_invoker of a view",
		})
	}
}

// checkNeeds reports privileges that the tenant, its agents or the app need and do not have, and returns how
// many of the three lack some.
func (s *system) checkNeeds(f *findings, o *object, tenant *Tenant) (problems int) {
	for _, check := range []struct {
		rule, name string
		role       policy.Role
	}{{ruleAppCannotRead, s.app, policy.App}, {ruleTenantCannotUse, tenant.Role, policy.Tenant}, {ruleTenantCannotUse, tenant.AgentsRole, policy.Agents}} {
		r := s.byName[check.name]
		if r == nil || len(o.shows) > 0 && check.role != policy.App {
			continue // a tenant must not read what shows another tenant's data
		}
		var lacks []string
		for _, privilege := range policy.Needs(check.role, policyKind(o.kind)) {
			if !s.inheritsPrivilege(r.oid, o, privilege) {
				lacks = append(lacks, privilege)
			}
		}
		if len(lacks) == 0 {
			continue
		}
		problems++
		privileges, otherwise := strings.Join(lacks, ", "), ", or set adopt: true for the tenant and run pulumi up"
		if check.role == policy.Agents {
			otherwise = ", or pulumi up --refresh"
		}
		f.affects(problem{
			Finding:  Finding{Rule: check.rule, Tenant: tenant.Key, Subject: check.name, Object: o.schema},
			text:     sentence{before: check.name + " lacks " + privileges + " on "},
			fix:      sentence{"GRANT " + privileges + " ON ", " TO " + quoted(check.name) + otherwise},
			together: allInSchema(o),
		}, affected{name: o.String(), target: quotedObject(o), object: o.identity()})
	}
	return problems
}

// policyKind is the kind of an object in the policy, where views and foreign tables are tables.
func policyKind(kind string) policy.Kind { return policy.Kind(kindGroup(kind)) }

// inheritsPrivilege reports whether a role has a privilege without doing anything, as
// has_table_privilege and its like do, except that what only owners have does not count.
func (c *catalog) inheritsPrivilege(id oid, o *object, privilege string) bool {
	for _, own := range c.ownRights(o) {
		if own.privilege.name != privilege || own.privilege.column != "" {
			continue
		}
		if own.role == 0 {
			return true
		}
		if way, ok := c.membersOf(own.role)[id]; ok && way.strength == inherits {
			return true
		}
	}
	return false
}
