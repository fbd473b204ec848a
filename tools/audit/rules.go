package audit

// Names of the rules, as findings have them.
const (
	ruleTenantReaches        = "tenant-reaches-tenant"
	ruleStrangerReaches      = "stranger-reaches-tenant"
	ruleTenantOwns           = "tenant-owns"
	ruleTenantCreates        = "tenant-creates"
	ruleTenantTemporary      = "tenant-temporary"
	ruleTenantAttribute      = "tenant-attribute"
	ruleTenantAdminOption    = "tenant-admin-option"
	ruleGrantOption          = "tenant-grant-option"
	ruleTenantCannotUse      = "tenant-cannot-use"
	ruleAppWrites            = "app-writes"
	ruleAppAttribute         = "app-attribute"
	ruleAppCannotRead        = "app-cannot-read"
	ruleAdminAttribute       = "admin-attribute"
	ruleAdminCannotConnect   = "admin-cannot-connect"
	rulePrivilegeUnexpected  = "privilege-unexpected"
	rulePublicDatabase       = "public-on-database"
	rulePublicSchema         = "public-on-schema-public"
	rulePublicTenantSchema   = "public-on-tenant-schema"
	rulePublicFunctions      = "public-on-functions"
	ruleRoleMissing          = "role-missing"
	ruleRoleUnknown          = "role-unknown"
	ruleLogin                = "login-unexpected"
	ruleMD5                  = "md5-password"
	ruleMembershipMissing    = "membership-missing"
	ruleMembershipUnexpected = "membership-unexpected"
	ruleMembershipTwice      = "membership-twice"
	ruleSchemaMissing        = "schema-missing"
	ruleSchemaUnknown        = "schema-unknown"
	ruleSchemaOwner          = "schema-owner"
	ruleObjectOwner          = "object-owner"
	ruleDefaultsMissing      = "default-privileges-missing"
	ruleDefaultsExtra        = "default-privileges-extra"
	ruleDefiner              = "security-definer"
	ruleSettingBlocks        = "setting-stops-runs"
	ruleSettingRole          = "setting-other-role"
	ruleSetting              = "setting"
	ruleOtherDatabases       = "other-databases"
	ruleNotChecked           = "not-checked"
	ruleOwnRole              = "own-role"
	ruleCreateRole           = "create-role"
	ruleDeployer             = "deployer"
	ruleSuperuser            = "superuser"
)

// Rule is a row of the reference of rules.
type Rule struct {
	Name string
	// Note is true for what is never a violation.
	Note bool
	// Meaning says what is found.
	Meaning string
}

// Rules are all rules, in the order of the reference.
func Rules() []Rule {
	return []Rule{
		{ruleTenantReaches, false, "a tenant reaches another tenant's schema, or everything"},
		{ruleStrangerReaches, false, "a role that these stacks do not have reaches a tenant's schema, or everything"},
		{ruleTenantOwns, false, "a tenant, or a group role, owns something"},
		{ruleTenantCreates, false, "a tenant can create objects, in the database or in a schema"},
		{ruleTenantTemporary, false, "a tenant can create temporary tables"},
		{ruleTenantAttribute, false, "a tenant, or a group role, has an attribute such as CREATEROLE"},
		{ruleTenantAdminOption, false, "a tenant can make others members of a role"},
		{ruleGrantOption, false, "a role can grant what it has to others"},
		{ruleTenantCannotUse, false, "a tenant lacks a privilege that it needs"},
		{ruleAppWrites, false, "the app or a reader can write, or owns something"},
		{ruleAppAttribute, false, "the app or a reader has an attribute. BYPASSRLS of the app is a note: the config may give it"},
		{ruleAppCannotRead, false, "the app lacks a privilege that it needs"},
		{ruleAdminAttribute, true, "the admin has SUPERUSER, REPLICATION or BYPASSRLS, which the config may give"},
		{ruleAdminCannotConnect, false, "the admin cannot connect to the database"},
		{rulePrivilegeUnexpected, false, "a role has a privilege that the policy does not give"},
		{rulePublicDatabase, false, "everybody can connect to the database or create temporary tables in it"},
		{rulePublicSchema, false, "everybody can use the schema public, or create in it"},
		{rulePublicTenantSchema, false, "everybody has a privilege on a tenant's schema or in it"},
		{rulePublicFunctions, false, "everybody can execute functions of tenants, or will be able to"},
		{ruleRoleMissing, false, "a role of the stacks is not on the server"},
		{ruleRoleUnknown, false, "a role of no stack is a member of the group roles, or has them as members"},
		{ruleLogin, false, "a role can log in that is not to: a group role, a suspended or retired tenant"},
		{ruleMD5, false, "a password is stored as MD5. Only a superuser can see it"},
		{ruleMembershipMissing, false, "a membership of the policy is missing, has no admin option or does not inherit"},
		{ruleMembershipUnexpected, false, "a membership of a role of the stacks is not in the policy"},
		{ruleMembershipTwice, false, "a membership was granted by two roles, so to revoke one changes nothing"},
		{ruleSchemaMissing, false, "a tenant's schema is not on the server"},
		{ruleSchemaUnknown, false, "the admin owns a schema that no tenant of the stacks has"},
		{ruleSchemaOwner, false, "a tenant's schema does not belong to the admin"},
		{ruleObjectOwner, false, "something in a tenant's schema does not belong to the admin"},
		{ruleDefaultsMissing, false, "a default privilege of the policy is missing"},
		{ruleDefaultsExtra, false, "there are default privileges that the policy does not have"},
		{ruleDefiner, false, "a SECURITY DEFINER function can be executed and sets no search_path. One that sets it is a note"},
		{ruleSettingBlocks, false, "a role has a setting that the provider cannot read, so runs fail"},
		{ruleSettingRole, false, "a login acts as another role than the stacks say"},
		{ruleSetting, true, "a role has another setting than the stacks give it"},
		{ruleOtherDatabases, true, "tenants can connect to other databases of the server"},
		{ruleNotChecked, true, "something could not be checked without a superuser"},
		{ruleOwnRole, true, "before PostgreSQL 15 every login can make others members of itself"},
		{ruleCreateRole, true, "before PostgreSQL 16 a role with CREATEROLE can join any role but a superuser"},
		{ruleDeployer, true, "this role deploys the stacks, or made the one that does"},
		{ruleSuperuser, true, "this role can do everything"},
	}
}
