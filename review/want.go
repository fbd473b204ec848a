package main

import (
	"maps"
	"slices"
	"strings"

	"tenant-permissions/internal/policy"
)

// typeOf is the type of a tenant's resource, by what follows the key in its name.
func typeOf(name string) string {
	switch {
	case name == "":
		return "Tenant"
	case name == "schema":
		return "Schema"
	case slices.Contains(resources(policy.TenantDefaults()), name):
		return "DefaultPrivileges"
	case slices.ContainsFunc(policy.TenantMemberships(), func(m policy.Membership) bool { return m.Resource == name }):
		return "GrantRole"
	case strings.HasSuffix(name, "password"):
		return "RandomPassword"
	case strings.HasSuffix(name, "role") || name == "schema-claim":
		return "Role"
	}
	return "Grant"
}

// resources are the logical names of grants.
func resources(grants []policy.Grant) (names []string) {
	for _, grant := range grants {
		names = append(names, grant.Resource)
	}
	return names
}

// names are those of the shared roles, by role of the policy, as step.has takes them.
func (r *review) names() map[policy.Role]any {
	return map[policy.Role]any{
		policy.Public: "public", policy.App: r.app, policy.Admin: r.admin,
		policy.AllTenants: r.allTenants, policy.AllTenantsAdmin: r.allTenantsAdmin,
	}
}

// wantOfTenant are the inputs that a tenant's resources have, by what follows the key in their names.
func (r *review) wantOfTenant(role, schema string) map[string]map[string]any {
	want := map[string]map[string]any{
		"schema":       {"name": nil, "database": r.database, "owner": r.admin},
		"schema-claim": {"name": schema, "login": false},
	}
	names := r.names()
	names[policy.Tenant] = role
	first, last := policy.OnAdopted()
	for _, grant := range slices.Concat(policy.OnTenantSchema(), first, last) {
		want[grant.Resource] = r.wantGrant(grant, names, schema)
	}
	for _, grant := range policy.TenantDefaults() {
		want[grant.Resource] = r.wantDefault(grant, names, schema)
	}
	addMemberships(want, policy.TenantMemberships(), names)
	r.wantLogins(want, map[string]any{"roles": listOf(r.allTenants), "searchPaths": list(schema)}, role, role)
	return want
}

// wantOfShared are the inputs of memberships and privileges that exist once, by resource.
func (r *review) wantOfShared() map[string]map[string]any {
	want, names := map[string]map[string]any{}, r.names()
	for _, grant := range policy.OnDatabase() {
		want[grant.Resource] = r.wantGrant(grant, names, nil)
	}
	for _, grant := range policy.OnSchemaPublic() {
		want[grant.Resource] = r.wantGrant(grant, names, "public")
	}
	for _, grant := range policy.Defaults() {
		want[grant.Resource] = r.wantDefault(grant, names, nil)
	}
	addMemberships(want, policy.SharedMemberships(), names)
	return want
}

// addMemberships adds the inputs of memberships that are resources of their own.
func addMemberships(want map[string]map[string]any, memberships []policy.Membership, names map[policy.Role]any) {
	for _, m := range memberships {
		if m.Resource != "" {
			want[m.Resource] = map[string]any{"role": names[m.Member], "grantRole": names[m.Of], "withAdminOption": m.AdminOption}
		}
	}
}

// wantGrant are the inputs of a grant; schema is nil for none.
func (r *review) wantGrant(grant policy.Grant, names map[policy.Role]any, schema any) map[string]any {
	want := map[string]any{"database": r.database, "objectType": string(grant.On), "role": names[grant.Role], "privileges": list(grant.Privileges...)}
	if grant.Role == policy.Public {
		want["role"] = "public"
	}
	if schema != nil {
		want["schema"] = schema
	}
	return want
}

// wantDefault are the inputs of default privileges.
func (r *review) wantDefault(grant policy.Grant, names map[policy.Role]any, schema any) map[string]any {
	want := r.wantGrant(grant, names, schema)
	want["owner"] = r.admin
	return want
}

// wantLogins adds the inputs of a role that logs in, of its alternating logins, which act as a role, and of
// their passwords.
func (r *review) wantLogins(want map[string]map[string]any, own map[string]any, role string, actsAs any) {
	for _, letter := range []string{"", "a-", "b-"} {
		want[letter+"password"] = map[string]any{"length": 32.0, "special": false, "keepers": nil}
		inputs := map[string]any{"name": nil, "password": "[secret]", "login": nil, "connectionLimit": nil, "bypassRowLevelSecurity": false}
		maps.Copy(inputs, own)
		if letter != "" {
			inputs["roles"], inputs["assumeRole"], inputs["bypassRowLevelSecurity"] = list(role), actsAs, false
		}
		want[letter+"role"] = inputs
	}
}

// listOf is a list of one name, nil if that is unknown.
func listOf(name any) any {
	if name == nil {
		return nil
	}
	return []any{name}
}

// list is a list of strings as JSON has it.
func list(words ...string) []any {
	values := []any{}
	for _, word := range words {
		values = append(values, word)
	}
	return values
}
