package main

import (
	"maps"
	"slices"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// SharedRoles are the roles that exist once per stack, as the tenants need them.
type SharedRoles struct {
	// Names of the roles in PostgreSQL.
	App, Admin, AdminLogin, AllTenants, AllTenantsAdmin pulumi.StringOutput
	// Passwords by login name; the values are secret.
	Passwords pulumi.StringMap
	// Ready is registered last: what depends on it finds PUBLIC closed and every default
	// privilege in place.
	Ready pulumi.Resource
}

// newSharedRoles registers the shared roles, who is member of what, and what they may do in the
// database before there is any tenant.
func newSharedRoles(ctx *pulumi.Context, cfg Config) (*SharedRoles, error) {
	shared := &SharedRoles{Passwords: pulumi.StringMap{}}

	app, appPassword, err := newLogin(ctx, "app-service", cfg.App, postgresql.RoleArgs{})
	if err != nil {
		return nil, err
	}
	shared.App = app.Name
	shared.Passwords[cfg.App.Name] = appPassword

	// Any update of a role in place makes the provider revoke every membership that the role
	// has. So the roles that receive memberships have nothing that changes (no login, no
	// password), and what may differ all the same is left alone: memberships made by GrantRole,
	// which a refresh reads back as `roles`, and attributes changed by hand.
	neverUpdate := pulumi.IgnoreChanges([]string{
		"roles", "superuser", "createDatabase", "createRole", "inherit", "replication",
		"bypassRowLevelSecurity", "connectionLimit", "searchPaths", "assumeRole",
	})
	admin, err := postgresql.NewRole(ctx, "admin-service-role", &postgresql.RoleArgs{
		Name:                   pulumi.String(cfg.Admin.Name),
		Login:                  pulumi.Bool(false),
		Superuser:              pulumi.Bool(cfg.Admin.Superuser),
		CreateDatabase:         pulumi.Bool(cfg.Admin.CreateDatabase),
		CreateRole:             pulumi.Bool(cfg.Admin.CreateRole),
		Inherit:                pulumi.Bool(cfg.Admin.Inherit),
		Replication:            pulumi.Bool(cfg.Admin.Replication),
		BypassRowLevelSecurity: pulumi.Bool(cfg.Admin.BypassRowLevelSecurity),
	}, neverUpdate)
	if err != nil {
		return nil, err
	}
	shared.Admin = admin.Name

	// The admin logs in as another role, whose password can rotate, and acts as admin: so what
	// its sessions create is owned by the role that the default privileges name, and a role they
	// create does not make the login a member of something (PostgreSQL 16+), after which the
	// provider could no longer update it.
	adminLogin, adminPassword, err := newLogin(ctx, "admin-login", cfg.Admin.Login, postgresql.RoleArgs{
		Roles:      pulumi.StringArray{admin.Name},
		AssumeRole: admin.Name,
	})
	if err != nil {
		return nil, err
	}
	shared.AdminLogin = adminLogin.Name
	shared.Passwords[cfg.Admin.Login.Name] = adminPassword

	// All tenants are members of one role that may connect: one entry in the database's ACL
	// instead of one per tenant.
	allTenants, err := postgresql.NewRole(ctx, "all-tenants", &postgresql.RoleArgs{
		Name:  pulumi.String(cfg.AllTenants),
		Login: pulumi.Bool(false),
	})
	if err != nil {
		return nil, err
	}
	shared.AllTenants = allTenants.Name

	// The role that holds admin option on every tenant is not admin itself: were the owner of
	// default privileges a member of the tenants, the provider's locks would deadlock on
	// PostgreSQL 16+. NOINHERIT spares an admin session the privileges of every tenant.
	allTenantsAdmin, err := postgresql.NewRole(ctx, "all-tenants-admin", &postgresql.RoleArgs{
		Name:    pulumi.String(cfg.AllTenantsAdmin),
		Login:   pulumi.Bool(false),
		Inherit: pulumi.Bool(false),
	}, neverUpdate)
	if err != nil {
		return nil, err
	}
	shared.AllTenantsAdmin = allTenantsAdmin.Name

	for _, key := range slices.Sorted(maps.Keys(cfg.Readers)) {
		reader := cfg.Readers[key]
		_, password, err := newLogin(ctx, key, reader, postgresql.RoleArgs{Roles: pulumi.StringArray{app.Name}})
		if err != nil {
			return nil, err
		}
		shared.Passwords[reader.Name] = password
	}

	// A GrantRole is replaced create first, delete second by default, and the delete would
	// revoke what was just granted.
	_, err = postgresql.NewGrantRole(ctx, "grant-role-to-admin", &postgresql.GrantRoleArgs{
		Role:            admin.Name,
		GrantRole:       app.Name,
		WithAdminOption: pulumi.Bool(true),
	}, pulumi.DeleteBeforeReplace(true))
	if err != nil {
		return nil, err
	}
	membership, err := postgresql.NewGrantRole(ctx, "grant-all-tenants-admin-to-admin", &postgresql.GrantRoleArgs{
		Role:      admin.Name,
		GrantRole: allTenantsAdmin.Name,
	}, pulumi.DeleteBeforeReplace(true))
	if err != nil {
		return nil, err
	}

	shared.Ready, err = newSharedPrivileges(ctx, cfg.Database, shared, membership)
	return shared, err
}

// newSharedPrivileges closes what PostgreSQL leaves open to PUBLIC, lets the shared roles into
// the database, and declares what follows for everything that admin will create. One resource
// depends on the one before it, since parallel grants on one object fail with `tuple
// concurrently updated`; the last is returned.
func newSharedPrivileges(ctx *pulumi.Context, database string, shared *SharedRoles, after pulumi.Resource) (pulumi.Resource, error) {
	everyone := pulumi.String("public")
	for _, grant := range []struct {
		name, objectType, schema string
		role                     pulumi.StringInput
		privileges               []string
	}{
		// An empty list of privileges takes every privilege away.
		{name: "public-on-database", objectType: "database", role: everyone},
		{name: "public-on-schema-public", objectType: "schema", schema: "public", role: everyone},
		{name: "app-on-database", objectType: "database", role: shared.App, privileges: []string{"CONNECT"}},
		{name: "admin-on-database", objectType: "database", role: shared.Admin, privileges: []string{"CONNECT"}},
		{name: "all-tenants-on-database", objectType: "database", role: shared.AllTenants, privileges: []string{"CONNECT"}},
	} {
		args := &postgresql.GrantArgs{
			Database:   pulumi.String(database),
			ObjectType: pulumi.String(grant.objectType),
			Role:       grant.role,
			Privileges: pulumi.ToStringArray(grant.privileges),
		}
		if grant.schema != "" {
			args.Schema = pulumi.String(grant.schema)
		}
		resource, err := postgresql.NewGrant(ctx, grant.name, args, pulumi.DependsOn([]pulumi.Resource{after}))
		if err != nil {
			return nil, err
		}
		after = resource
	}
	for _, defaults := range []struct {
		name, objectType string
		role             pulumi.StringInput
		privileges       []string
	}{
		// None of these names a schema: the app's cover every tenant at once, and a REVOKE of
		// EXECUTE from PUBLIC has no effect in PostgreSQL where it is limited to one schema.
		{"default-schemas", "schema", shared.App, []string{"USAGE"}},
		{"default-tables", "table", shared.App, []string{"SELECT"}},
		{"default-sequences", "sequence", shared.App, []string{"SELECT"}},
		{"default-functions", "function", everyone, nil},
	} {
		resource, err := postgresql.NewDefaultPrivileges(ctx, defaults.name, &postgresql.DefaultPrivilegesArgs{
			Database:   pulumi.String(database),
			Owner:      shared.Admin,
			ObjectType: pulumi.String(defaults.objectType),
			Role:       defaults.role,
			Privileges: pulumi.ToStringArray(defaults.privileges),
			// Replaced create first, delete second, the delete would revoke what was just granted.
		}, pulumi.DependsOn([]pulumi.Resource{after}), pulumi.DeleteBeforeReplace(true))
		if err != nil {
			return nil, err
		}
		after = resource
	}
	return after, nil
}

// newLogin registers <name>-password and <name>-role, a role that logs in with it; args hold
// what the login has beyond its config. It returns the role and its password, a secret.
func newLogin(ctx *pulumi.Context, name string, login LoginConfig, args postgresql.RoleArgs, opts ...pulumi.ResourceOption) (*postgresql.Role, pulumi.StringOutput, error) {
	password, err := newPassword(ctx, name+"-password", login.PasswordVersion, opts...)
	if err != nil {
		return nil, pulumi.StringOutput{}, err
	}
	args.Name = pulumi.String(login.Name)
	args.Password = verifierOf(password.Result, login.Name)
	args.ConnectionLimit = pulumi.Int(login.ConnectionLimit)
	args.BypassRowLevelSecurity = pulumi.Bool(login.BypassRowLevelSecurity)
	args.Login = pulumi.Bool(!login.Suspended)
	role, err := postgresql.NewRole(ctx, name+"-role", &args, opts...)
	return role, password.Result, err
}
