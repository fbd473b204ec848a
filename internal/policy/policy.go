// Package policy states the access model once: which roles there are, who is a member of what, and
// who holds which privileges on what. The program registers resources from it, the audit compares a
// server with it, the review recognises resources by it, and the benchmark writes its SQL from it.
//
// A new privilege of a role is one line here, and a change of the expected files of the tests.
package policy

import "slices"

// Role is a role of the model. One stack has one of each, but one reader per key of `readers` and
// one tenant per key of `tenants`.
type Role string

const (
	// Public is everybody, PostgreSQL's pseudo-role.
	Public Role = "public"
	// App is the login that reads every tenant's data.
	App Role = "app"
	// Reader is a further login that reads every tenant's data, a member of App.
	Reader Role = "reader"
	// Admin is the group role that owns the tenants' schemas and all that is in them.
	Admin Role = "admin"
	// AdminLogin is the login whose sessions act as Admin.
	AdminLogin Role = "admin-login"
	// AllTenants is the group role that all tenants are members of.
	AllTenants Role = "all-tenants"
	// AllTenantsAdmin is the group role that has the admin option on every tenant.
	AllTenantsAdmin Role = "all-tenants-admin"
	// Tenant is the login of one tenant.
	Tenant Role = "tenant"
	// Agents is the group role of one tenant's agents. It reads the tenant's data.
	Agents Role = "agents"
	// Agent is a read-only login of one tenant, a member of Agents.
	Agent Role = "agent"
)

// LogsIn reports whether somebody may log in as the role.
func LogsIn(role Role) bool {
	return slices.Contains([]Role{App, Reader, AdminLogin, Tenant, Agent}, role)
}

// ConfigurableAttributes are the role attributes, in PostgreSQL's words, that the config may give a
// role. No role has an attribute beyond LOGIN and INHERIT unless the config says so.
func ConfigurableAttributes(role Role) []string {
	return map[Role][]string{
		App:   {"BYPASSRLS"},
		Admin: {"SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS"},
	}[role]
}

// Membership is that Member is a member of Of.
type Membership struct {
	Of, Member Role
	// AdminOption lets the member make others members of Of.
	AdminOption bool
	// Resource is the logical name of the GrantRole, after the key of the tenant if it is a tenant's.
	// It is empty where the member's Role resource lists the membership itself.
	Resource string
}

// SharedMemberships are the memberships of the roles that exist once. Alternating logins have one
// more: each is a member of the role that it acts as, and of nothing else.
func SharedMemberships() []Membership {
	return []Membership{
		{Of: App, Member: Admin, AdminOption: true, Resource: "grant-role-to-admin"},
		{Of: AllTenantsAdmin, Member: Admin, Resource: "grant-all-tenants-admin-to-admin"},
		{Of: Admin, Member: AdminLogin},
		{Of: App, Member: Reader},
	}
}

// TenantMemberships are the memberships that come with each tenant.
func TenantMemberships() []Membership {
	return []Membership{
		{Of: AllTenants, Member: Tenant},
		{Of: Tenant, Member: AllTenantsAdmin, AdminOption: true, Resource: "grant-role"},
	}
}

// AgentMemberships are the memberships that come with each agent. The admin option on a tenant's role
// does not reach its agents.
func AgentMemberships() []Membership {
	return []Membership{
		{Of: AllTenants, Member: Agent},
		{Of: Agents, Member: Agent},
	}
}

// MemberOf are the roles whose memberships the Role resource of a role lists itself.
func MemberOf(role Role) (groups []Role) {
	for _, memberships := range [][]Membership{SharedMemberships(), TenantMemberships(), AgentMemberships()} {
		for _, membership := range memberships {
			if membership.Member == role && membership.Resource == "" {
				groups = append(groups, membership.Of)
			}
		}
	}
	return groups
}

// IsolatedMemberOf is MemberOf for a tenant with a database of its own, and for its agents: they are no
// members of AllTenants, which may connect to the database that tenants share.
func IsolatedMemberOf(role Role) []Role {
	return slices.DeleteFunc(MemberOf(role), func(group Role) bool { return group == AllTenants })
}

// Kind is a kind of object that privileges are on, in the provider's words.
type Kind string

const (
	// Database is a database.
	Database Kind = "database"
	// Schema is a schema.
	Schema Kind = "schema"
	// Table stands for views, materialized views and foreign tables too, as in GRANT.
	Table Kind = "table"
	// Sequence is a sequence.
	Sequence Kind = "sequence"
	// Function stands for procedures and aggregates too, as in ALTER DEFAULT PRIVILEGES.
	Function Kind = "function"
)

// Grant is what a role holds on objects of one kind: these privileges and no others.
type Grant struct {
	// Resource is the logical name of the resource that makes it, after the key of the tenant if it
	// is in a tenant's schema.
	Resource string
	Role     Role
	On       Kind
	// Privileges are in PostgreSQL's words. None takes every privilege away.
	Privileges []string
}

// OnDatabase is who holds what on the database that has the tenants' schemas. Nothing is left to
// PUBLIC, which PostgreSQL gives CONNECT and TEMPORARY.
func OnDatabase() []Grant {
	return []Grant{
		{Resource: "public-on-database", Role: Public, On: Database},
		{Resource: "app-on-database", Role: App, On: Database, Privileges: []string{"CONNECT"}},
		{Resource: "admin-on-database", Role: Admin, On: Database, Privileges: []string{"CONNECT"}},
		{Resource: "all-tenants-on-database", Role: AllTenants, On: Database, Privileges: []string{"CONNECT"}},
	}
}

// OnTenantDatabase is who holds what on a database that one tenant has for itself, beside the tenant.
func OnTenantDatabase() []Grant { return withoutAllTenants(OnDatabase()) }

// OnOwnDatabase is what a tenant, and its agents if it has any, hold on the tenant's own database.
func OnOwnDatabase(agents bool) []Grant {
	return ofTenant(agents, "connect", Database, "CONNECT")
}

// OnOwnExtensionSchema is OnOwnDatabase for the schema of the extensions in the tenant's database.
func OnOwnExtensionSchema(agents bool) []Grant {
	return ofTenant(agents, "on-extensions", Schema, "USAGE")
}

// ofTenant is a grant to a tenant, and the same grant to its agents if it has any.
func ofTenant(agents bool, resource string, on Kind, privilege string) []Grant {
	grants := []Grant{{Resource: resource, Role: Tenant, On: on, Privileges: []string{privilege}}}
	if agents {
		grants = append(grants, Grant{Resource: "agents-" + resource, Role: Agents, On: on, Privileges: []string{privilege}})
	}
	return grants
}

func withoutAllTenants(grants []Grant) []Grant {
	return slices.DeleteFunc(grants, func(grant Grant) bool { return grant.Role == AllTenants })
}

// OnClosedDatabases is who holds what on each database of closedDatabases. The resource's name goes
// on with a hyphen and the name of the database.
func OnClosedDatabases() []Grant {
	return []Grant{{Resource: "public-on-database", Role: Public, On: Database}}
}

// OnSchemaPublic is who holds what on the schema public. Before version 15 PostgreSQL gives PUBLIC
// CREATE and USAGE there, and USAGE since.
func OnSchemaPublic() []Grant {
	return []Grant{{Resource: "public-on-schema-public", Role: Public, On: Schema}}
}

// OnExtensionSchema is who holds what on the schema of the extensions beside its owner, the admin.
// Agents are members of AllTenants, and readers of App. The schema may have been there before, so
// nothing is left to PUBLIC, and the default privileges of the app do not suffice.
func OnExtensionSchema() []Grant {
	return []Grant{
		{Resource: "public-on-extensions", Role: Public, On: Schema},
		{Resource: "all-tenants-on-extensions", Role: AllTenants, On: Schema, Privileges: []string{"USAGE"}},
		{Resource: "app-on-extensions", Role: App, On: Schema, Privileges: []string{"USAGE"}},
	}
}

// OnTenantExtensionSchema is OnExtensionSchema in a database that one tenant has for itself.
func OnTenantExtensionSchema() []Grant { return withoutAllTenants(OnExtensionSchema()) }

// Defaults are the default privileges on what the admin will create in any schema. None names a
// schema: those of the app hold for every tenant at once, and PostgreSQL ignores a REVOKE from PUBLIC
// that is limited to one schema.
func Defaults() []Grant {
	return []Grant{
		{Resource: "default-schemas", Role: App, On: Schema, Privileges: []string{"USAGE"}},
		{Resource: "default-tables", Role: App, On: Table, Privileges: []string{"SELECT"}},
		{Resource: "default-sequences", Role: App, On: Sequence, Privileges: []string{"SELECT"}},
		{Resource: "default-functions", Role: Public, On: Function},
	}
}

// OnTenantSchema is who holds what on a tenant's schema beside its owner, the admin.
func OnTenantSchema() []Grant {
	return []Grant{{Resource: "usage", Role: Tenant, On: Schema, Privileges: []string{"USAGE"}}}
}

// TenantDefaults are the default privileges on what the admin will create in a tenant's schema.
func TenantDefaults() []Grant {
	return []Grant{
		{Resource: "tables", Role: Tenant, On: Table, Privileges: []string{"SELECT", "INSERT", "UPDATE", "DELETE"}},
		// USAGE for serial columns.
		{Resource: "sequences", Role: Tenant, On: Sequence, Privileges: []string{"USAGE", "SELECT"}},
	}
}

// OnFunctions is who holds what on the functions that a tenant's schema has, if the tenant may execute
// them.
func OnFunctions() []Grant {
	return []Grant{{Resource: "on-functions", Role: Tenant, On: Function, Privileges: []string{"EXECUTE"}}}
}

// FunctionDefaults are the default privileges on later functions, if the tenant may execute them.
func FunctionDefaults() []Grant {
	return []Grant{{Resource: "functions", Role: Tenant, On: Function, Privileges: []string{"EXECUTE"}}}
}

// OnAgents is who holds what on a tenant's schema and on what is in it, if the tenant has agents.
func OnAgents() []Grant {
	return []Grant{
		{Resource: "agents-usage", Role: Agents, On: Schema, Privileges: []string{"USAGE"}},
		{Resource: "agents-on-tables", Role: Agents, On: Table, Privileges: []string{"SELECT"}},
		{Resource: "agents-on-sequences", Role: Agents, On: Sequence, Privileges: []string{"SELECT"}},
	}
}

// AgentDefaults are the default privileges of agents on what the admin will create in their tenant's
// schema.
func AgentDefaults() []Grant {
	return []Grant{
		{Resource: "agents-tables", Role: Agents, On: Table, Privileges: []string{"SELECT"}},
		// Without USAGE, which would let them call nextval.
		{Resource: "agents-sequences", Role: Agents, On: Sequence, Privileges: []string{"SELECT"}},
	}
}

// OnAdopted is who holds what, beside the admin, on a schema that is adopted and on what is in it:
// what default privileges give for later objects, on those that exist. first has the tenant and
// PUBLIC; last has the app.
func OnAdopted() (first, last []Grant) {
	for _, grant := range TenantDefaults() {
		grant.Resource = "adopted-" + grant.Resource
		first = append(first, grant)
	}
	first = append(first, Grant{Resource: "public-on-adopted", Role: Public, On: Schema})
	for _, grant := range Defaults() {
		switch {
		case grant.Role != App: // functions belong to the migrations
			continue
		case grant.On == Schema:
			grant.Resource = "app-on-adopted"
		default:
			grant.Resource = "app-on-adopted-" + string(grant.On) + "s"
		}
		last = append(last, grant)
	}
	return first, last
}

// SearchPath is the search path of a role that finds unqualified names in the given schemas, and in that
// of the extensions if there are any.
//
// A role without a schema of its own gets pg_catalog, which every search path has, as the first. CREATE
// without a schema's name makes its object in the first one, and for the admin that would be the schema
// of the extensions, which it owns. PostgreSQL refuses to create anything in pg_catalog. PostgreSQL's
// default has the schema public, where others can plant functions as long as it is open to PUBLIC.
func SearchPath(extensionSchema string, schemas ...string) []string {
	path := slices.Clone(schemas)
	if len(path) == 0 {
		path = []string{"pg_catalog"}
	}
	if extensionSchema != "" {
		path = append(path, extensionSchema)
	}
	return path
}

// Holds are the privileges of a role on objects of a kind: on the database, on a tenant's schema and
// in it, for a tenant and its agents in their own.
func Holds(role Role, on Kind) (privileges []string) {
	for _, grants := range [][]Grant{OnDatabase(), Defaults(), OnTenantSchema(), TenantDefaults(), OnAgents()} {
		for _, grant := range grants {
			if grant.On == on && (grant.Role == role || slices.Contains(MemberOf(role), grant.Role)) {
				privileges = append(privileges, grant.Privileges...)
			}
		}
	}
	return privileges
}

// Needs are those of Holds without which a role cannot work. The rest a migration may take away:
// which tables a tenant may write is the application's to decide.
func Needs(role Role, on Kind) []string {
	return slices.DeleteFunc(Holds(role, on), func(privilege string) bool {
		return on == Table && privilege != "SELECT"
	})
}

// May reports whether a role may hold a privilege on an object of a tenant's schema, its own if it is
// a tenant: what it holds by the model, and EXECUTE on single functions, which migrations grant.
func May(role Role, on Kind, privilege string) bool {
	return slices.Contains(Holds(role, on), privilege) || on == Function && (LogsIn(role) || role == Agents)
}
