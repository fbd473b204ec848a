package review

import (
	"maps"
	"slices"
	"strings"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/policy"
)

// Types of the program's resources.
const (
	typeStack             = "pulumi:pulumi:Stack"
	typeTenant            = "tenant-permissions:index:Tenant"
	typeRole              = "postgresql:index/role:Role"
	typeSchema            = "postgresql:index/schema:Schema"
	typeGrant             = "postgresql:index/grant:Grant"
	typeGrantRole         = "postgresql:index/grantRole:GrantRole"
	typeDefaultPrivileges = "postgresql:index/defaultPrivileges:DefaultPrivileges"
	typeExtension         = "postgresql:index/extension:Extension"
	typeDatabase          = "postgresql:index/database:Database"
	typePassword          = "random:index/randomPassword:RandomPassword"
)

// wanted is a resource as the program registers it. An input that is nil may have any value.
type wanted struct {
	typ    string
	inputs map[string]any
}

// model is what is known of the names in PostgreSQL. A name that is nil is unknown.
type model struct {
	database any
	names    map[policy.Role]any
	// extensions is the schema of the extensions, empty if there are none.
	extensions string
}

// tenantNames are the names in PostgreSQL of a tenant: of its role, of its schema, of the group role of
// its agents, of each agent by key, and of a database of its own, with the settings of that.
type tenantNames struct {
	role, schema, agentsRole, database string
	agents                             map[string]string
	settings                           config.TenantDatabase
}

// tenant are the resources of a tenant, by what follows its key in their logical names.
func (m model) tenant(names tenantNames, cfg config.Tenant) map[string]wanted {
	m.names = maps.Clone(m.names)
	m.names[policy.Tenant], m.names[policy.Agents] = names.role, names.agentsRole
	inputs := m.searchPath(names.schema)
	want := m.login(policy.Tenant, names.role, memberOf(cfg.Isolation, policy.Tenant), inputs)
	want[""] = wanted{typ: typeTenant}
	now, other := m.places(cfg, names.database)
	maps.Copy(want, m.in(now, names))
	maps.Copy(want, m.in(other, names))
	want["agents"] = wanted{typeRole, map[string]any{"name": names.agentsRole, "login": false}}
	for agent, role := range names.agents {
		for name, w := range m.login(policy.Agent, role, memberOf(cfg.Isolation, policy.Agent), inputs) {
			want[agentPrefix(agent)+name] = w
		}
	}
	maps.Copy(want, m.memberships(policy.TenantMemberships()))
	return want
}

// memberOf are the group roles of a tenant or of an agent.
func memberOf(isolation config.Isolation, role policy.Role) []policy.Role {
	if isolation == config.IsolationDatabase {
		return policy.IsolatedMemberOf(role)
	}
	return policy.MemberOf(role)
}

// extensionSchema is the schema of the extensions in the database.
func (m model) extensionSchema() wanted {
	return wanted{typeSchema, map[string]any{"name": m.extensions, "database": m.database, "owner": m.names[policy.Admin]}}
}

// searchPath is the input of a login that finds unqualified names in these schemas.
func (m model) searchPath(schemas ...string) map[string]any {
	return map[string]any{"searchPaths": list(policy.SearchPath(m.extensions, schemas...)...)}
}

// shared are the memberships and privileges that exist once, by logical name.
func (m model) shared() map[string]wanted {
	want := m.memberships(policy.SharedMemberships())
	for _, grant := range policy.OnDatabase() {
		want[grant.Resource] = m.grant(grant, "")
	}
	for _, grant := range policy.OnSchemaPublic() {
		want[grant.Resource] = m.grant(grant, "public")
	}
	for _, grant := range policy.OnExtensionSchema() {
		want[grant.Resource] = m.grant(grant, m.extensions)
	}
	for _, grant := range policy.Defaults() {
		want[grant.Resource] = m.defaults(grant, "")
	}
	want["admin-service-role"] = groupRole(policy.Admin, map[string]any{"inherit": nil})
	want["all-tenants"] = wanted{typeRole, map[string]any{"name": nil, "login": false}}
	want["all-tenants-admin"] = groupRole(policy.AllTenantsAdmin, map[string]any{"inherit": false})
	return want
}

// groupRole is a role that does not log in, with these inputs beyond its attributes.
func groupRole(role policy.Role, inputs map[string]any) wanted {
	inputs["name"], inputs["login"] = nil, false
	for _, a := range attributes() {
		inputs[a.input] = attribute(role, a.name)
	}
	return wanted{typeRole, inputs}
}

// attributes are role attributes in PostgreSQL's words, with their inputs of a Role resource.
func attributes() []struct{ name, input string } {
	return []struct{ name, input string }{
		{"SUPERUSER", "superuser"},
		{"CREATEDB", "createDatabase"},
		{"CREATEROLE", "createRole"},
		{"REPLICATION", "replication"},
		{"BYPASSRLS", "bypassRowLevelSecurity"},
	}
}

// attribute is the wanted input for an attribute: any value if the config may give it to the role.
func attribute(role policy.Role, name string) any {
	if slices.Contains(policy.ConfigurableAttributes(role), name) {
		return nil
	}
	return false
}

// memberships are those that are resources of their own, by the policy's name of the resource.
func (m model) memberships(memberships []policy.Membership) map[string]wanted {
	want := map[string]wanted{}
	for _, membership := range memberships {
		if membership.Resource != "" {
			want[membership.Resource] = wanted{typeGrantRole, map[string]any{
				"role": m.names[membership.Member], "grantRole": m.names[membership.Of], "withAdminOption": membership.AdminOption,
			}}
		}
	}
	return want
}

// grant is a grant on objects that exist. schema is empty for a grant outside of schemas.
func (m model) grant(grant policy.Grant, schema string) wanted {
	on := string(grant.On)
	if grant.On == policy.Function {
		on = "routine" // procedures too
	}
	inputs := map[string]any{
		"database": m.database, "objectType": on, "role": m.names[grant.Role], "privileges": list(grant.Privileges...),
	}
	if schema != "" {
		inputs["schema"] = schema
	}
	return wanted{typeGrant, inputs}
}

// defaults are default privileges of the admin. schema is empty for all schemas.
func (m model) defaults(grant policy.Grant, schema string) wanted {
	w := m.grant(grant, schema)
	w.typ, w.inputs["owner"], w.inputs["objectType"] = typeDefaultPrivileges, m.names[policy.Admin], string(grant.On)
	return w
}

// login are a role that logs in, its alternating logins and their passwords, by what follows the name
// of the login in their logical names. groups are those that the role is a member of, and inputs are what
// it has beyond that.
func (m model) login(role policy.Role, name string, groups []policy.Role, inputs map[string]any) map[string]wanted {
	want := map[string]wanted{}
	var actsAs any = name
	own := maps.Clone(inputs)
	if assumed, ok := own["assumeRole"]; ok {
		actsAs = assumed
	}
	own["roles"] = m.list(groups)
	own["bypassRowLevelSecurity"] = attribute(role, "BYPASSRLS")
	alternating := maps.Clone(inputs)
	alternating["roles"], alternating["assumeRole"], alternating["bypassRowLevelSecurity"] = list(name), actsAs, false
	for _, prefix := range loginPrefixes() {
		want[prefix+"password"] = wanted{typePassword, map[string]any{"length": 32.0, "special": false, "keepers": nil}}
		all := map[string]any{"name": nil, "password": "[secret]", "login": nil}
		for _, l := range loginLimits() {
			all[l.input] = nil
		}
		if prefix == "" {
			maps.Copy(all, own)
		} else {
			maps.Copy(all, alternating)
			all["name"] = name + "_" + strings.TrimSuffix(prefix, "-")
		}
		want[prefix+"role"] = wanted{typeRole, all}
	}
	return want
}

// list is the list of the roles' names, nil if one is unknown.
func (m model) list(roles []policy.Role) any {
	names := []any{}
	for _, role := range roles {
		if m.names[role] == nil {
			return nil
		}
		names = append(names, m.names[role])
	}
	return names
}

// list is a list of strings as encoding/json decodes it.
func list(words ...string) []any {
	values := []any{}
	for _, word := range words {
		values = append(values, word)
	}
	return values
}

// onAdopted are all grants on an adopted schema and on what is in it.
func onAdopted() []policy.Grant {
	first, last := policy.OnAdopted()
	return slices.Concat(first, last)
}

// resources are the logical names of grants.
func resources(grants []policy.Grant) (names []string) {
	for _, grant := range grants {
		names = append(names, grant.Resource)
	}
	return names
}

// loginPrefixes precede role and password in the logical names of a role's resources: nothing for the
// role itself, then those of its alternating logins.
func loginPrefixes() []string { return append([]string{""}, alternatingPrefixes()...) }

func alternatingPrefixes() (prefixes []string) {
	for _, suffix := range config.AlternatingSuffixes() {
		prefixes = append(prefixes, suffix+"-")
	}
	return prefixes
}

// alternatingResources are the roles and passwords of alternating logins.
func alternatingResources() (names []string) {
	for _, prefix := range alternatingPrefixes() {
		names = append(names, prefix+"role", prefix+"password")
	}
	return names
}
