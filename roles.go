package main

import (
	"maps"
	"slices"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/deployed"
	"tenant-permissions/internal/policy"
)

// SharedRoles are the roles that exist once per stack, as the tenants need them.
type SharedRoles struct {
	// Names in PostgreSQL, of PUBLIC too.
	Names roleNames
	// Roles are the names of the app, the admin and all readers, by key in the config. Logins are the
	// names to log in with.
	Roles, Logins pulumi.StringMap
	// Passwords by login name. The values are secret. A cell has none of the platform's.
	Passwords pulumi.StringMap
	// Extensions are installed in every database of the stack, in the schema SearchedSchema, which is
	// empty if there are none. ExtensionSchema is its name in the stack's own database, which fails if an
	// extension is not in it.
	Extensions      map[string]config.Extension
	SearchedSchema  string
	ExtensionSchema pulumi.StringOutput
	// Ready is the last shared resource. Depend on it to run after PUBLIC is closed and every default
	// privilege is in place. logins are the roles of the logins, of which a cell has none.
	Ready, logins []pulumi.Resource
}

// newSharedRoles registers the shared roles, their memberships, and what they may do in the database
// before there is any tenant.
func newSharedRoles(ctx *pulumi.Context, cfg config.Config) (*SharedRoles, error) {
	shared := &SharedRoles{
		Names: roleNames{policy.Public: pulumi.String("public")},
		Roles: pulumi.StringMap{}, Logins: pulumi.StringMap{}, Passwords: pulumi.StringMap{},
	}
	if shared.Extensions = cfg.Extensions; len(cfg.Extensions) > 0 {
		shared.SearchedSchema = cfg.ExtensionSchema
	}
	app, err := newLogin(ctx, "app-service", "roles.app.name", cfg.App, postgresql.RoleArgs{SearchPaths: shared.searchPath()})
	if err != nil {
		return nil, err
	}
	shared.Names[policy.App] = app.Name
	shared.addLogin("app", app.Name, app)

	adminRole, err := newImmutableRole(ctx, "admin-service-role", "roles.admin", cfg.Admin)
	if shared.Names[policy.Admin] = adminRole; err != nil {
		return nil, err
	}

	// The admin logs in as another role, whose password can rotate, and acts as admin. So what its
	// sessions create is owned by the role that the default privileges name. A role that they create
	// does not make the login a member of something (PostgreSQL 16+), after which the provider could
	// no longer update it.
	admin, err := newLogin(ctx, "admin-login", "roles.admin.loginName", cfg.Admin.Login, postgresql.RoleArgs{
		Roles:       shared.Names.of(policy.MemberOf(policy.AdminLogin)),
		AssumeRole:  adminRole,
		SearchPaths: shared.searchPath(),
	})
	if err != nil {
		return nil, err
	}
	shared.addLogin("admin", adminRole, admin)

	// All tenants are members of one role that may connect: one entry in the database's ACL instead of
	// one per tenant.
	allTenants, err := newGroupRole(ctx, "all-tenants", cfg.AllTenants)
	if err != nil {
		return nil, err
	}
	shared.Names[policy.AllTenants] = deployed.Unchanged("roles.allTenants.name", cfg.AllTenants, allTenants.Name)

	// The role that has the admin option on every tenant is not the admin itself: were the owner of
	// default privileges a member of the tenants, the provider's locks would deadlock on PostgreSQL
	// 16+. NOINHERIT spares an admin session the privileges of every tenant.
	if shared.Names[policy.AllTenantsAdmin], err = newImmutableRole(ctx, "all-tenants-admin", "roles.allTenantsAdmin", config.Admin{Name: cfg.AllTenantsAdmin}); err != nil {
		return nil, err
	}

	for _, key := range slices.Sorted(maps.Keys(cfg.Readers)) {
		reader, err := newLogin(ctx, key, config.Join("readers", key)+".name", cfg.Readers[key], postgresql.RoleArgs{
			Roles:       shared.Names.of(policy.MemberOf(policy.Reader)),
			SearchPaths: shared.searchPath(),
			ValidUntil:  pulumi.String(config.Expiry(cfg.Readers[key].ValidUntil)),
		})
		if err != nil {
			return nil, err
		}
		shared.addLogin(key, reader.Name, reader)
	}
	shared.Ready, err = newSharedPrivileges(ctx, cfg, shared)
	return shared, err
}

// addLogin adds a role and its login, under their key in the config.
func (shared *SharedRoles) addLogin(key string, role pulumi.StringInput, login *Login) {
	shared.Roles[key], shared.Logins[key] = role, login.Active
	maps.Copy(shared.Passwords, login.Passwords)
	shared.logins = append(shared.logins, login.Roles...)
}

// newSharedPrivileges registers the memberships, the privileges in the stack's database, and closes
// other databases to PUBLIC. It returns the last resource.
func newSharedPrivileges(ctx *pulumi.Context, cfg config.Config, shared *SharedRoles) ([]pulumi.Resource, error) {
	after, err := newMemberships(ctx, scope{names: shared.Names}, policy.SharedMemberships())
	if err != nil {
		return nil, err
	}
	database := scope{database: pulumi.String(cfg.Database), names: shared.Names}.with(afterLogins(shared.logins))
	for _, name := range slices.Sorted(slices.Values(cfg.ClosedDatabases)) {
		closed := database
		closed.database, closed.suffix = pulumi.String(name), "-"+name
		if after, err = newGrants(ctx, closed, policy.OnClosedDatabases(), after); err != nil {
			return nil, err
		}
	}
	after, shared.ExtensionSchema, err = shared.newDatabasePrivileges(ctx, database, policy.OnDatabase(), policy.OnExtensionSchema(), after)
	return after, err
}

// newDatabasePrivileges registers what every database with tenants' schemas has: it closes what
// PostgreSQL leaves open to PUBLIC, lets roles into the database, declares the default privileges on
// everything that the admin will create, and installs the extensions. One resource depends on the one
// before it. It returns the last, and the name of the schema of the extensions.
func (shared *SharedRoles) newDatabasePrivileges(
	ctx *pulumi.Context, in scope, onDatabase, onExtensions []policy.Grant, after []pulumi.Resource,
) (_ []pulumi.Resource, extensionSchema pulumi.StringOutput, err error) {
	if after, err = newGrants(ctx, in, onDatabase, after); err != nil {
		return nil, extensionSchema, err
	}
	public := in
	public.schema = pulumi.String("public")
	if after, err = newGrants(ctx, public, policy.OnSchemaPublic(), after); err != nil {
		return nil, extensionSchema, err
	}
	if after, err = newDefaultPrivileges(ctx, in, policy.Defaults(), after); err != nil {
		return nil, extensionSchema, err
	}
	return shared.newExtensions(ctx, in, onExtensions, after)
}

// newGroupRole registers a role without login and attributes, which receives privileges only.
func newGroupRole(ctx *pulumi.Context, name, roleName string, opts ...pulumi.ResourceOption) (*postgresql.Role, error) {
	return postgresql.NewRole(ctx, name, &postgresql.RoleArgs{
		Name:  pulumi.String(roleName),
		Login: pulumi.Bool(false),
	}, append(slices.Clone(opts), keepName())...)
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
	return deployed.Require(deployed.Unchanged(path+".name", cfg.Name, role.Name),
		deployed.Unchanged(path+".login", false, role.Login.Elem()),
		deployed.Unchanged(path+".superuser", cfg.Superuser, role.Superuser.Elem()),
		deployed.Unchanged(path+".createDatabase", cfg.CreateDatabase, role.CreateDatabase.Elem()),
		deployed.Unchanged(path+".createRole", cfg.CreateRole, role.CreateRole.Elem()),
		deployed.Unchanged(path+".inherit", cfg.Inherit, role.Inherit.Elem()),
		deployed.Unchanged(path+".replication", cfg.Replication, role.Replication.Elem()),
		deployed.Unchanged(path+".bypassRowLevelSecurity", cfg.BypassRowLevelSecurity, role.BypassRowLevelSecurity.Elem())), nil
}

// keepName leaves a deployed name as it is. The provider renames in place, and then looks for
// grants and memberships under names that are gone.
func keepName() pulumi.ResourceOption { return pulumi.IgnoreChanges([]string{"name"}) }
