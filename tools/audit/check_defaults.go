package audit

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"

	"tenant-permissions/internal/policy"
)

// defaultPrivilege is one privilege on what the admin will create.
type defaultPrivilege struct {
	// schema is "" for all schemas.
	schema string
	// objectType is a letter of pg_default_acl.defaclobjtype.
	objectType, grantee, privilege string
	grantable                      bool
}

// objectTypes are the words of ALTER DEFAULT PRIVILEGES for the letters of pg_default_acl.
func objectTypes() map[string]string {
	return map[string]string{"n": "SCHEMAS", "r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES"}
}

// defaultType is the letter that pg_default_acl has for a kind of objects.
func defaultType(kind policy.Kind) string {
	return map[policy.Kind]string{policy.Schema: "n", policy.Table: "r", policy.Sequence: "S", policy.Function: "f"}[kind]
}

// String is what the privilege is and on what.
func (d defaultPrivilege) String() string {
	option := ""
	if d.grantable {
		option = " with grant option"
	}
	return d.privilege + option + " on " + strings.ToLower(objectTypes()[d.objectType])
}

// revoke is the SQL that takes the privilege away, and others like it on the same type of objects.
func (d defaultPrivilege) revoke(admin string) sentence {
	in, option := "", ""
	if d.grantable {
		option = "GRANT OPTION FOR "
	}
	if d.schema != "" {
		in = " IN SCHEMA " + quoted(d.schema)
	}
	return sentence{"ALTER DEFAULT PRIVILEGES FOR ROLE " + quoted(admin) + in + " REVOKE " + option, " ON " + objectTypes()[d.objectType] + " FROM " + quoted(d.grantee)}
}

// checkDefaults compares the default privileges of the admin with the policy. Roles that own nothing
// have none.
func (s *system) checkDefaults(f *findings) {
	for _, d := range s.defaults {
		if s.ownsNothing(d.role) || s.isTenant(d.role) {
			who := s.name(d.role)
			f.violation(Finding{
				Rule: ruleDefaultsExtra, Tenant: s.tenantOf[d.role], Subject: who, Object: d.schema, Text: who + " has default privileges of its own", vague: true,
				Fix: "ALTER DEFAULT PRIVILEGES FOR ROLE " + quoted(who) + " …",
			})
		}
	}
	admin := s.byName[s.admin]
	if admin == nil {
		return
	}
	have, functions := s.defaultPrivileges(admin.oid)
	want := s.wantedDefaults()
	for _, d := range inOrder(maps.Keys(want)) {
		if !have[d] {
			f.affects(problem{
				Finding: Finding{Rule: ruleDefaultsMissing, Tenant: want[d], Subject: d.grantee, Object: cmp.Or(d.schema, "all schemas")},
				text:    sentence{d.grantee + " will not have ", " that the admin creates"}, fix: sentence{before: "pulumi up --refresh"},
			}, affected{name: d.String()})
		}
	}
	for _, d := range inOrder(maps.Keys(have)) {
		_, wanted := want[d]
		if !wanted && s.tenantBySchema[d.schema] != nil && d.objectType == "f" && d.privilege == "EXECUTE" && !d.grantable && d.grantee == s.tenantBySchema[d.schema].Role {
			continue // policy.FunctionDefaults, which the config can switch on
		}
		builtIn := d.grantee == "PUBLIC" && (d.objectType == "T" || d.objectType == "f" && d.schema == "") // see below
		if wanted || builtIn || d.schema != "" && s.tenantBySchema[d.schema] == nil {
			continue // what is wrong in a schema of no tenant is the schema
		}
		f.affects(problem{
			Finding: Finding{Rule: ruleDefaultsExtra, Subject: d.grantee, Object: cmp.Or(d.schema, "all schemas")},
			text:    sentence{d.grantee + " will have ", " that the admin creates"},
			fix:     d.revoke(s.admin), listed: true,
		}, affected{name: d.String(), target: d.privilege})
	}
	// PostgreSQL gives PUBLIC EXECUTE where nothing says otherwise. It takes an empty list, which is there
	// once the admin's own privilege is revoked too, for no list. A refresh does not notice that one.
	found := Finding{Rule: rulePublicFunctions, Subject: "PUBLIC", Object: "all schemas", Text: "PUBLIC will have EXECUTE on functions that the admin creates", Fix: "pulumi up --refresh"}
	switch {
	case functions == nil || have[defaultPrivilege{"", "f", "PUBLIC", "EXECUTE", false}]:
		f.violation(found)
	case len(s.acls[functions.acl]) == 0:
		found.Text += ": an empty list of default privileges counts as none"
		found.Fix = "ALTER DEFAULT PRIVILEGES FOR ROLE " + quoted(s.admin) + " GRANT EXECUTE ON FUNCTIONS TO " + quoted(s.admin)
		f.violation(found)
	}
}

// defaultPrivileges are those of the admin, and the list of those for functions of all schemas, nil if
// there is none. A privilege with the grant option is in have without it as well.
func (s *system) defaultPrivileges(admin oid) (have map[defaultPrivilege]bool, functions *defaultACL) {
	have = map[defaultPrivilege]bool{}
	for i, d := range s.defaults {
		if d.role != admin {
			continue
		}
		if d.schema == "" && d.objectType == "f" {
			functions = &s.defaults[i]
		}
		for _, p := range s.acls[d.acl] {
			if p.grantee != admin {
				have[defaultPrivilege{d.schema, d.objectType, s.name(p.grantee), p.name, false}] = true
				have[defaultPrivilege{d.schema, d.objectType, s.name(p.grantee), p.name, p.grantable}] = true
			}
		}
	}
	return have, functions
}

// wantedDefaults are the default privileges of the policy, with the key of the tenant that each is for.
func (s *system) wantedDefaults() map[defaultPrivilege]string {
	want := map[defaultPrivilege]string{}
	add := func(grants []policy.Grant, names map[policy.Role]string, schema, tenant string) {
		for _, grant := range grants {
			for _, privilege := range grant.Privileges {
				want[defaultPrivilege{schema, defaultType(grant.On), names[grant.Role], privilege, false}] = tenant
			}
		}
	}
	add(policy.Defaults(), map[policy.Role]string{policy.App: s.app}, "", "")
	for _, t := range s.tenantBySchema {
		if t.Role != "" && s.schemas[t.Schema] != nil {
			add(policy.TenantDefaults(), map[policy.Role]string{policy.Tenant: t.Role}, t.Schema, t.Key)
		}
		if t.AgentsRole != "" && s.schemas[t.Schema] != nil {
			add(policy.AgentDefaults(), map[policy.Role]string{policy.Agents: t.AgentsRole}, t.Schema, t.Key)
		}
	}
	return want
}

// inOrder sorts by what the privilege is, which the text of a finding lists.
func inOrder(all iter.Seq[defaultPrivilege]) []defaultPrivilege {
	types := objectTypes()
	return slices.SortedFunc(all, func(a, b defaultPrivilege) int {
		return cmp.Or(cmp.Compare(a.privilege, b.privilege), cmp.Compare(types[a.objectType], types[b.objectType]), cmp.Compare(a.schema, b.schema))
	})
}
