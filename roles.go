package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
)

// SharedRoles are the roles that exist once per stack, as the tenants need them.
type SharedRoles struct {
	// Names of the roles in PostgreSQL.
	App, Admin, AllTenants, AllTenantsAdmin pulumi.StringOutput
	// Roles are the names of the app, the admin and all further readers, by the keys app and admin and
	// the readers' keys in the config. Logins are the names to log in with, by the same keys.
	Roles, Logins pulumi.StringMap
	// Passwords by login name; the values are secret. A cell has none of the platform's.
	Passwords pulumi.StringMap
	// Ready is registered last: what depends on it finds PUBLIC closed and every default
	// privilege in place.
	Ready []pulumi.Resource
}

// newSharedRoles registers the shared roles, who is member of what, and what they may do in the
// database before there is any tenant.
func newSharedRoles(ctx *pulumi.Context, cfg config.Config) (*SharedRoles, error) {
	shared := &SharedRoles{Roles: pulumi.StringMap{}, Logins: pulumi.StringMap{}, Passwords: pulumi.StringMap{}}
	app, err := newLogin(ctx, "app-service", "roles.app.name", cfg.App, postgresql.RoleArgs{})
	if err != nil {
		return nil, err
	}
	shared.App = app.Name
	shared.addLogin("app", app.Name, app)

	if shared.Admin, err = newImmutableRole(ctx, "admin-service-role", "roles.admin", cfg.Admin); err != nil {
		return nil, err
	}

	// The admin logs in as another role, whose password can rotate, and acts as admin: so what
	// its sessions create is owned by the role that the default privileges name, and a role they
	// create does not make the login a member of something (PostgreSQL 16+), after which the
	// provider could no longer update it.
	admin, err := newLogin(ctx, "admin-login", "roles.admin.loginName", cfg.Admin.Login, postgresql.RoleArgs{
		Roles:      pulumi.StringArray{shared.Admin},
		AssumeRole: shared.Admin,
	})
	if err != nil {
		return nil, err
	}
	shared.addLogin("admin", shared.Admin, admin)

	// All tenants are members of one role that may connect: one entry in the database's ACL
	// instead of one per tenant.
	allTenants, err := postgresql.NewRole(ctx, "all-tenants", &postgresql.RoleArgs{
		Name:  pulumi.String(cfg.AllTenants),
		Login: pulumi.Bool(false),
	}, keepName())
	if err != nil {
		return nil, err
	}
	shared.AllTenants = fixed("roles.allTenants.name", cfg.AllTenants, allTenants.Name)

	// The role that has the admin option on every tenant is not admin itself: were the owner of
	// default privileges a member of the tenants, the provider's locks would deadlock on
	// PostgreSQL 16+. NOINHERIT spares an admin session the privileges of every tenant.
	shared.AllTenantsAdmin, err = newImmutableRole(ctx, "all-tenants-admin", "roles.allTenantsAdmin", config.Admin{Name: cfg.AllTenantsAdmin})
	if err != nil {
		return nil, err
	}

	logins := slices.Concat(app.Roles, admin.Roles)
	for _, key := range slices.Sorted(maps.Keys(cfg.Readers)) {
		reader, err := newLogin(ctx, key, config.Join("readers", key)+".name", cfg.Readers[key], postgresql.RoleArgs{
			Roles: pulumi.StringArray{shared.App},
		})
		if err != nil {
			return nil, err
		}
		shared.addLogin(key, reader.Name, reader)
		logins = append(logins, reader.Roles...)
	}

	// A GrantRole is replaced create first, delete second by default, and the delete would
	// revoke what was just granted.
	_, err = postgresql.NewGrantRole(ctx, "grant-role-to-admin", &postgresql.GrantRoleArgs{
		Role:            shared.Admin,
		GrantRole:       shared.App,
		WithAdminOption: pulumi.Bool(true),
	}, pulumi.DeleteBeforeReplace(true))
	if err != nil {
		return nil, err
	}
	membership, err := postgresql.NewGrantRole(ctx, "grant-all-tenants-admin-to-admin", &postgresql.GrantRoleArgs{
		Role:      shared.Admin,
		GrantRole: shared.AllTenantsAdmin,
	}, pulumi.DeleteBeforeReplace(true))
	if err != nil {
		return nil, err
	}

	// For a grant the provider locks the role and then its members. From PostgreSQL 16 on the user it
	// connects as is a member of every role it makes, so an update of a login at the same time, which
	// locks that and then the user, would deadlock.
	shared.Ready, err = newSharedPrivileges(ctx, cfg, shared, append(logins, membership))
	return shared, err
}

// addLogin adds the names of a role and its login, and its passwords, under the key that the outputs use.
func (shared *SharedRoles) addLogin(key string, role pulumi.StringInput, login *Login) {
	shared.Roles[key] = role
	shared.Logins[key] = login.Active
	maps.Copy(shared.Passwords, login.Passwords)
}

// newSharedPrivileges closes what PostgreSQL leaves open to PUBLIC, lets the shared roles into
// the database, and declares what follows for everything that admin will create. One resource
// depends on the one before it; the last is returned.
func newSharedPrivileges(ctx *pulumi.Context, cfg config.Config, shared *SharedRoles, after []pulumi.Resource) ([]pulumi.Resource, error) {
	everyone := pulumi.String("public")
	connect := []string{"CONNECT"}
	grants := []grant{
		{name: "public-on-database", database: cfg.Database, objectType: "database", role: everyone},
		{name: "public-on-schema-public", database: cfg.Database, objectType: "schema", schema: pulumi.String("public"), role: everyone},
		{name: "app-on-database", database: cfg.Database, objectType: "database", role: shared.App, privileges: connect},
		{name: "admin-on-database", database: cfg.Database, objectType: "database", role: shared.Admin, privileges: connect},
		{name: "all-tenants-on-database", database: cfg.Database, objectType: "database", role: shared.AllTenants, privileges: connect},
	}
	for _, database := range slices.Sorted(slices.Values(cfg.ClosedDatabases)) {
		grants = append(grants, grant{name: "public-on-database-" + database, database: database, objectType: "database", role: everyone})
	}
	after, err := newGrants(ctx, grants, after)
	if err != nil {
		return nil, err
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
			Database:   pulumi.String(cfg.Database),
			Owner:      shared.Admin,
			ObjectType: pulumi.String(defaults.objectType),
			Role:       defaults.role,
			Privileges: pulumi.ToStringArray(defaults.privileges),
			// Replaced create first, delete second, the delete would revoke what was just granted.
		}, pulumi.DependsOn(after), pulumi.DeleteBeforeReplace(true))
		if err != nil {
			return nil, err
		}
		after = []pulumi.Resource{resource}
	}
	return after, nil
}

// grant is what a role may do with an object: these privileges and no others.
type grant struct {
	name, database, objectType string
	schema                     pulumi.StringPtrInput // nil for a database
	role                       pulumi.StringInput
	privileges                 []string // none takes every privilege away
	opts                       []pulumi.ResourceOption
}

// newGrants registers grants, each depending on the one before it, the first on after: parallel
// ones on one object fail with `tuple concurrently updated`. It returns the last.
func newGrants(ctx *pulumi.Context, grants []grant, after []pulumi.Resource) ([]pulumi.Resource, error) {
	for _, grant := range grants {
		resource, err := postgresql.NewGrant(ctx, grant.name, &postgresql.GrantArgs{
			Database:   pulumi.String(grant.database),
			Schema:     grant.schema,
			ObjectType: pulumi.String(grant.objectType),
			Role:       grant.role,
			Privileges: pulumi.ToStringArray(grant.privileges),
		}, append(slices.Clone(grant.opts), pulumi.DependsOn(after))...)
		if err != nil {
			return nil, err
		}
		after = []pulumi.Resource{resource}
	}
	return after, nil
}

// newImmutableRole registers a role that receives memberships and returns its name. Any update in
// place makes the provider revoke every membership that a role has, and grant back without admin
// option those it knows. So this role has no login and no password, nothing about it is ever
// updated, and where config and server differ in an attribute, that is an error.
func newImmutableRole(ctx *pulumi.Context, name, path string, cfg config.Admin) (pulumi.StringOutput, error) {
	role, err := postgresql.NewRole(ctx, name, &postgresql.RoleArgs{
		Name:                   pulumi.String(cfg.Name),
		Login:                  pulumi.Bool(false),
		Superuser:              pulumi.Bool(cfg.Superuser),
		CreateDatabase:         pulumi.Bool(cfg.CreateDatabase),
		CreateRole:             pulumi.Bool(cfg.CreateRole),
		Inherit:                pulumi.Bool(cfg.Inherit),
		Replication:            pulumi.Bool(cfg.Replication),
		BypassRowLevelSecurity: pulumi.Bool(cfg.BypassRowLevelSecurity),
	}, pulumi.IgnoreChanges([]string{
		"name", "login", "superuser", "createDatabase", "createRole", "inherit", "replication", "bypassRowLevelSecurity",
		"connectionLimit", "searchPaths", "assumeRole", "validUntil", "statementTimeout", "idleInTransactionSessionTimeout",
		"roles", // read back from the server, with what GrantRole has made
	}))
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	return withChecks(fixed(path+".name", cfg.Name, role.Name),
		fixed(path+".login", false, role.Login.Elem()),
		fixed(path+".superuser", cfg.Superuser, role.Superuser.Elem()),
		fixed(path+".createDatabase", cfg.CreateDatabase, role.CreateDatabase.Elem()),
		fixed(path+".createRole", cfg.CreateRole, role.CreateRole.Elem()),
		fixed(path+".inherit", cfg.Inherit, role.Inherit.Elem()),
		fixed(path+".replication", cfg.Replication, role.Replication.Elem()),
		fixed(path+".bypassRowLevelSecurity", cfg.BypassRowLevelSecurity, role.BypassRowLevelSecurity.Elem())), nil
}

// keepName leaves a deployed name as it is. The provider renames in place, and then looks for
// grants and memberships under names that are gone.
func keepName() pulumi.ResourceOption { return pulumi.IgnoreChanges([]string{"name"}) }

// fixed is what a resource has of a setting that cannot change once it is deployed. Where the
// config now says otherwise it fails, in preview already, instead of doing silently nothing.
func fixed[T comparable, O pulumi.Output](path string, configured T, deployed O) O {
	return deployed.ApplyT(func(value T) (T, error) {
		if value != configured {
			return value, fmt.Errorf("%s cannot change after deployment: deployed %v, configured %v", path, value, configured)
		}
		return value, nil
	}).(O)
}

// withChecks is a value that fails if any of the others does: an output that nothing uses drops its
// error.
func withChecks(value pulumi.StringOutput, others ...any) pulumi.StringOutput {
	return pulumi.All(append([]any{value}, others...)...).ApplyT(func(all []any) string {
		return all[0].(string)
	}).(pulumi.StringOutput)
}
