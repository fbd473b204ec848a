package audit

// Names of the rules, as findings have them.
const (
	ruleTenantReaches        = "tenant-reaches-tenant"
	ruleOtherReaches         = "other-role-reaches-tenant"
	ruleTenantOwns           = "tenant-owns"
	ruleTenantCreates        = "tenant-creates"
	ruleTenantTemporary      = "tenant-temporary"
	ruleTenantAttribute      = "tenant-attribute"
	ruleTenantAdminOption    = "tenant-admin-option"
	ruleGrantOption          = "grant-option"
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
	ruleExtensionSchema      = "extension-schema"
	ruleExtension            = "extension"
	ruleConnect              = "connect-unexpected"
	ruleLimit                = "limit"
	ruleExpiry               = "expiry"
	ruleDatabaseMissing      = "database-missing"
	ruleDatabaseOwner        = "database-owner"
	ruleSchemaLeft           = "schema-left"
	ruleOtherDatabases       = "other-databases"
	ruleNotChecked           = "not-checked"
	ruleOwnRole              = "own-role"
	ruleCreateRole           = "create-role"
	ruleDeployer             = "deployer"
	ruleSuperuser            = "superuser"
	ruleWaiverUnused         = "waiver-unused"
)

// Kinds of findings.
const (
	kindViolation = "violation"
	kindNote      = "note"
	kindEither    = "violation or note"
)

// Rule is a row of the reference of rules.
type Rule struct {
	Name string
	// Kind is violation, note, or violation or note.
	Kind string
	// Meaning says what a finding of the rule means.
	Meaning string
	// Action says what to do about it.
	Action string
}

// Actions that many rules have in common.
const (
	runFix    = "Run the SQL of the finding's fix."
	refresh   = "Run `pulumi up --refresh`."
	noAction  = "Nothing, if it is intended."
	endAccess = runFix + " Then find out who granted it, and what was done with it."
)

// Rules are all rules, in the order of the reference.
func Rules() []Rule {
	return []Rule{
		{ruleTenantReaches, kindViolation, "A tenant reaches the schema of another tenant, or everything: by a privilege, as a member of a role, or through a view.", endAccess},
		{ruleOtherReaches, kindViolation, "A role that is not of these stacks reaches a tenant's schema, or everything.", endAccess},
		{ruleTenantOwns, kindViolation, "A tenant or a group role owns an object, so it can drop it, alter it and grant privileges on it.", "Drop the object, or run the SQL of the finding's fix, which gives it to the admin."},
		{ruleTenantCreates, kindViolation, "A tenant, or PUBLIC, can create objects in the database or in a schema.", runFix},
		{ruleTenantTemporary, kindViolation, "A tenant can create temporary tables.", runFix},
		{ruleTenantAttribute, kindViolation, "A tenant or a group role has an attribute such as CREATEROLE.", runFix},
		{ruleTenantAdminOption, kindViolation, "A tenant can make others members of a role.", runFix},
		{ruleGrantOption, kindViolation, "A role of the stacks can grant its privileges to others.", runFix},
		{ruleTenantCannotUse, kindViolation, "A tenant lacks a privilege that it needs.", "Run the SQL of the finding's fix, or set `adopt: true` for the tenant and run `pulumi up`."},
		{ruleAppWrites, kindViolation, "The app or a reader can write, or owns an object.", runFix},
		{ruleAppAttribute, kindEither, "The app or a reader has an attribute. BYPASSRLS of the app is a note, because the config can give it.", runFix + " Nothing for a note, if the config gives the attribute."},
		{ruleAppCannotRead, kindViolation, "The app lacks a privilege that it needs.", "Run the SQL of the finding's fix, or set `adopt: true` for the tenant and run `pulumi up`."},
		{ruleAdminAttribute, kindNote, "The admin has SUPERUSER, REPLICATION or BYPASSRLS, which the config can give.", "Nothing, if the config gives the attribute. Otherwise take it away with `ALTER ROLE`."},
		{ruleAdminCannotConnect, kindViolation, "The admin cannot connect to the database.", refresh},
		{rulePrivilegeUnexpected, kindViolation, "A role of the stacks has a privilege that the policy does not give.", runFix},
		{rulePublicDatabase, kindViolation, "PUBLIC, which is every role, can connect to the database or create temporary tables in it.", runFix},
		{rulePublicSchema, kindViolation, "PUBLIC can use the schema `public`, or create objects in it.", runFix},
		{rulePublicTenantSchema, kindViolation, "PUBLIC has a privilege on a tenant's schema, or on an object in it.", runFix},
		{rulePublicFunctions, kindViolation, "PUBLIC can execute a tenant's function, or will be able to execute those that the admin creates.", runFix + " If it names no SQL, run `pulumi up --refresh`."},
		{ruleRoleMissing, kindViolation, "The server does not have a role of the stacks.", refresh},
		{ruleRoleUnknown, kindViolation, "A role of no stack is a member of a group role, or has one as a member.", "If another cell has the role, give `--outputs` of that cell too. Otherwise run the SQL of the finding's fix."},
		{ruleLogin, kindViolation, "A role can log in that must not: a group role, or a suspended or retired tenant.", runFix},
		{ruleMD5, kindViolation, "A password is stored as MD5. Only a superuser can see it.", refresh},
		{ruleMembershipMissing, kindViolation, "A membership of the policy is missing, lacks the admin option, or does not inherit.", "Do what the finding's fix says: SQL or `pulumi up --refresh`."},
		{ruleMembershipUnexpected, kindViolation, "A role of the stacks has a member, or is a member of a role, although the policy does not have this membership.", runFix},
		{ruleMembershipTwice, kindViolation, "Two roles granted the same membership, so revoking one of the grants changes nothing.", "Revoke the grant of the role that does not deploy."},
		{ruleSchemaMissing, kindViolation, "The server does not have the schema of a tenant.", "Run `pulumi up --refresh`, which makes an empty schema. Restore its data from a backup."},
		{ruleSchemaUnknown, kindViolation, "The admin owns a schema that no tenant of the stacks has.", "If another cell has the tenant, give `--outputs` of that cell too. Otherwise drop the schema."},
		{ruleSchemaOwner, kindViolation, "The admin does not own the schema of a tenant.", runFix},
		{ruleObjectOwner, kindViolation, "The admin does not own an object in the schema of a tenant, so default privileges were not applied to it.", "Run the SQL of the finding's fix, then grant the tenant and the app the privileges that they need. Run migrations as the admin."},
		{ruleDefaultsMissing, kindViolation, "A default privilege of the policy is missing.", refresh},
		{ruleDefaultsExtra, kindViolation, "There is a default privilege that the policy does not have.", runFix},
		{ruleDefiner, kindEither, "A role can execute a SECURITY DEFINER function. A violation, if its owner reaches the data of every tenant, as the admin and superusers do, or if it sets no `search_path`, so that the caller chooses what the names in it mean. A note otherwise.", runFix + " Or give the function an owner that has no more than it needs. For a note: check that the function verifies its arguments."},
		{ruleExtensionSchema, kindViolation, "A role other than the admin owns the schema of the extensions, or can create objects in it, or PUBLIC has a privilege on it, or a role that needs its USAGE lacks it. The schema is in every search path.", endAccess},
		{ruleExtension, kindViolation, "An extension of the stacks is missing, is in another schema, or has another version than the config says.", "Do what the finding's fix says."},
		{ruleConnect, kindEither, "A role can connect to a database although the policy does not let it: to the own database of a tenant, or a tenant with a database of its own to the stacks' database. A note for a role of no stack, which reads nothing by that alone.", endAccess + " Nothing for a note, if it is intended."},
		{ruleDatabaseMissing, kindViolation, "A tenant's own database is missing, or nobody can connect to it.", "Run `pulumi up --refresh`. If the database is gone, restore its data from a backup."},
		{ruleDatabaseOwner, kindViolation, "A tenant's own database belongs to another role than the stacks' database.", runFix},
		{ruleSchemaLeft, kindNote, "A tenant that has moved has left its schema in the database where it was.", "Nothing, while the tenant moves. Then set `previous` to `drop`, run `pulumi up`, remove `previous` and run it again."},
		{ruleExpiry, kindEither, "A login is valid for longer than the config says. A note, if it has expired as the config says.", runFix},
		{ruleLimit, kindNote, "The connection limit of a login is not that of the config.", refresh},
		{ruleSettingBlocks, kindViolation, "A role has a setting with which the provider fails, so every run fails.", "Reset it with `tenantctl settings --reset blocking`."},
		{ruleSettingRole, kindViolation, "A login acts as another role than the stacks say.", "Reset it with `tenantctl settings --reset all`."},
		{ruleSetting, kindNote, "A role has another setting than the stacks give it.", "Nothing, if it is intended. Otherwise reset it with `tenantctl settings --reset all`."},
		{ruleOtherDatabases, kindNote, "Tenants can connect to other databases of the server.", "List the databases in the config key `closedDatabases`."},
		{ruleNotChecked, kindNote, "Something could not be checked, because only a superuser can see it.", "Run the audit as a superuser."},
		{ruleOwnRole, kindNote, "Before PostgreSQL 15 every login can make others members of itself.", "Upgrade PostgreSQL."},
		{ruleCreateRole, kindNote, "Before PostgreSQL 16 a role with CREATEROLE can make itself a member of any role but a superuser.", "Set `roles.admin.createRole` to `false`, or upgrade PostgreSQL."},
		{ruleDeployer, kindNote, "This role deploys the stacks, or made the role that does.", noAction},
		{ruleSuperuser, kindNote, "This role can do everything.", noAction},
		{ruleWaiverUnused, kindNote, "A waiver matches no violation.", "Remove it from the file. If the violation is there with another text, write the waiver again."},
	}
}
