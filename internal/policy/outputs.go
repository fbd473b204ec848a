package policy

// OutputsVersion is the version of the contract that the outputs are with other stacks. A new output
// leaves it as it is. Any other change of names, shapes or meaning raises it.
const OutputsVersion = 1

// Names of the stack's outputs.
const (
	OutputVersion         = "outputs_version"
	OutputDatabase        = "database_name"
	OutputApp             = "app_service_role_name"
	OutputAdmin           = "admin_service_role_name"
	OutputAdminLogin      = "admin_service_login_name"
	OutputAllTenants      = "all_tenants_role_name"
	OutputAllTenantsAdmin = "all_tenants_admin_role_name"
	OutputRoles           = "role_names"
	OutputLogins          = "login_names"
	OutputTenantRoles     = "tenant_role_names"
	OutputTenantLogins    = "tenant_login_names"
	OutputTenantSchemas   = "tenant_schema_names"
	OutputRetiredRoles    = "retired_role_names"
	OutputTenantAgents    = "tenant_agent_login_names"
	OutputAgentRoles      = "tenant_agents_role_names"
	OutputExtensionSchema = "extension_schema_name"
	OutputTenantDatabases = "tenant_database_names"
	OutputExtensions      = "extension_versions"
	OutputPrevious        = "tenant_previous_database_names"
	OutputLimits          = "login_limits"
	OutputPasswords       = "passwords"
)

// Output describes an output of the stack.
type Output struct {
	Name string
	// ByKey is true for an object of names by key, false for one value.
	ByKey  bool
	Secret bool
	// Meaning is one or more sentences, without Markdown other than code.
	Meaning string
}

// Outputs are all outputs of the stack, in the order of the reference.
func Outputs() []Output {
	return []Output{
		{Name: OutputVersion, Meaning: "The version of this contract, a number."},
		{Name: OutputTenantLogins, ByKey: true, Meaning: "By tenant key: the name to log in with."},
		{Name: OutputLogins, ByKey: true, Meaning: "By the key `app`, `admin` or that of a reader: the name to log in with."},
		{Name: OutputPasswords, ByKey: true, Secret: true, Meaning: "Passwords by login name."},
		{Name: OutputTenantRoles, ByKey: true, Meaning: "By tenant key: the role that has the privileges. Retired tenants are not in it."},
		{Name: OutputTenantSchemas, ByKey: true, Meaning: "By tenant key: the schema, of retired tenants too."},
		{Name: OutputTenantDatabases, ByKey: true, Meaning: "By tenant key: the database that the tenant's schema is in, of retired tenants too."},
		{Name: OutputPrevious, ByKey: true, Meaning: "By tenant key: the database that the tenant has left its schema in, while it has `previous`."},
		{Name: OutputTenantAgents, ByKey: true, Meaning: "By tenant key and agent key: the name to log in with."},
		{Name: OutputAgentRoles, ByKey: true, Meaning: "By tenant key: the group role of the tenant's agents, if it has any."},
		{Name: OutputRetiredRoles, ByKey: true, Meaning: "By tenant key: the role of a retired tenant. The other outputs, except for the schemas, do not have retired tenants."},
		{Name: OutputRoles, ByKey: true, Meaning: "By the keys of `login_names`: the role that has the privileges."},
		{Name: OutputApp, Meaning: "The app role."},
		{Name: OutputAdmin, Meaning: "The admin role, which owns the schemas."},
		{Name: OutputAdminLogin, Meaning: "The name to log in with as the admin."},
		{Name: OutputAllTenants, Meaning: "The group role of all tenants."},
		{Name: OutputAllTenantsAdmin, Meaning: "The group role that has the admin option on every tenant."},
		{Name: OutputDatabase, Meaning: "The database."},
		{Name: OutputExtensionSchema, Meaning: "The schema of the extensions. It is empty if there are none."},
		{Name: OutputExtensions, ByKey: true, Meaning: "By the name of an extension: its version, empty for the server's default."},
		{Name: OutputLimits, ByKey: true, Meaning: "By the name of a login, or of the role that it acts as: `connectionLimit`, `statementTimeout` and `idleInTransactionSessionTimeout` in milliseconds, and `validUntil` if it is set."},
	}
}
