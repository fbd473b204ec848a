package review

import (
	"maps"
	"strings"
)

// typeOf is the type of a tenant's resource, by what follows the key in its name.
func typeOf(name string) string {
	switch {
	case name == "":
		return "Tenant"
	case name == "grant-role":
		return "GrantRole"
	case name == "schema":
		return "Schema"
	case name == "tables" || name == "sequences":
		return "DefaultPrivileges"
	case strings.HasSuffix(name, "password"):
		return "RandomPassword"
	case strings.HasSuffix(name, "role") || name == "schema-claim":
		return "Role"
	}
	return "Grant"
}

// wantOfTenant are the inputs that a tenant's resources have, by what follows the key in their
// names: tenants.go and logins.go make them.
func (r *review) wantOfTenant(role, schema string) map[string]map[string]any {
	want := map[string]map[string]any{
		"schema":       {"name": nil, "database": r.database, "owner": r.admin},
		"schema-claim": {"name": schema, "login": false},
		"grant-role":   {"role": r.allTenantsAdmin, "grantRole": role, "withAdminOption": true},
		"usage":        r.wantGrant("schema", schema, role, "USAGE"),
		"tables":       r.wantGrant("table", schema, role, "SELECT", "INSERT", "UPDATE", "DELETE"),
		"sequences":    r.wantGrant("sequence", schema, role, "USAGE", "SELECT"),

		"adopted-tables":           r.wantGrant("table", schema, role, "SELECT", "INSERT", "UPDATE", "DELETE"),
		"adopted-sequences":        r.wantGrant("sequence", schema, role, "USAGE", "SELECT"),
		"public-on-adopted":        r.wantGrant("schema", schema, "public"),
		"app-on-adopted":           r.wantGrant("schema", schema, r.app, "USAGE"),
		"app-on-adopted-tables":    r.wantGrant("table", schema, r.app, "SELECT"),
		"app-on-adopted-sequences": r.wantGrant("sequence", schema, r.app, "SELECT"),
	}
	for _, name := range []string{"tables", "sequences"} {
		want[name]["owner"] = r.admin
	}
	r.wantLogins(want, map[string]any{"roles": listOf(r.allTenants), "searchPaths": list(schema)}, role, role)
	return want
}

func (r *review) wantGrant(objectType, schema string, role any, privileges ...string) map[string]any {
	return map[string]any{"database": r.database, "objectType": objectType, "schema": schema, "role": role, "privileges": list(privileges...)}
}

// wantLogins adds the inputs of a role that logs in, of its pair, which acts as a role, and of
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
