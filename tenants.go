package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
)

// Tenant is one tenant's login role and schema, and the privileges that tie the two together.
type Tenant struct {
	pulumi.ResourceState

	SchemaName pulumi.StringOutput
	// Login is not among the component's outputs: the state holds its passwords once.
	Login *Login
	// Privileges are the last of the grants in the schema, and the default privileges; a retired tenant
	// has none.
	Privileges []pulumi.Resource
}

// newTenants registers every tenant and returns them by key.
func newTenants(ctx *pulumi.Context, cfg config.Config, shared *SharedRoles) (map[string]*Tenant, error) {
	tenants := map[string]*Tenant{}
	for _, key := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		tenant, err := newTenant(ctx, key, cfg, shared)
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", key, err)
		}
		tenants[key] = tenant
	}
	return tenants, newAdoptions(ctx, cfg, shared, tenants)
}

// newTenant registers one tenant. A retired one has its role and schema still, but cannot log in
// and has no privileges in the schema; its role cannot go before the tables it was granted.
func newTenant(ctx *pulumi.Context, key string, cfg config.Config, shared *SharedRoles) (*Tenant, error) {
	tenant := &Tenant{}
	if err := ctx.RegisterComponentResource("tenant-permissions:index:Tenant", key, tenant); err != nil {
		return nil, err
	}
	if err := tenant.newRole(ctx, key, cfg.Tenants[key], shared); err != nil {
		return nil, err
	}
	schema, err := tenant.newSchema(ctx, key, cfg, shared)
	if err != nil {
		return nil, err
	}
	if cfg.Tenants[key].Retire == config.NotRetired {
		if err := tenant.newPrivileges(ctx, key, cfg, shared, schema); err != nil {
			return nil, err
		}
	}
	return tenant, ctx.RegisterResourceOutputs(tenant, pulumi.Map{
		"roleName":   tenant.Login.Name,
		"schemaName": tenant.SchemaName,
	})
}

// newRole registers the tenant's role, which logs in.
func (tenant *Tenant) newRole(ctx *pulumi.Context, key string, cfg config.Tenant, shared *SharedRoles) (err error) {
	parent := pulumi.Parent(tenant)
	tenant.Login, err = newLogin(ctx, key, "tenants."+key+".role", cfg.Login, postgresql.RoleArgs{
		Roles:       pulumi.StringArray{shared.AllTenants},
		SearchPaths: pulumi.StringArray{pulumi.String(cfg.Schema)},
	}, parent, pulumi.DependsOn(shared.Ready))
	if err != nil {
		return err
	}
	// Dropping the role ends its memberships; an explicit REVOKE before that fails on PostgreSQL
	// 16+ (dependent privileges exist) once admin has granted the tenant's role to somebody.
	_, err = postgresql.NewGrantRole(ctx, key+"-grant-role", &postgresql.GrantRoleArgs{
		Role:            shared.AllTenantsAdmin,
		GrantRole:       tenant.Login.Name,
		WithAdminOption: pulumi.Bool(true),
	}, parent, pulumi.DeletedWith(tenant.Login.Roles[0]), pulumi.DeleteBeforeReplace(true))
	return err
}

// newSchema registers the tenant's schema. It goes before the roles, of which one cannot be dropped
// while it has privileges in it, and none is to go if the schema stays. With data in it, it does
// not go at all: PostgreSQL refuses, unless the tenant was retired for that.
//
// The provider takes over an existing schema without a word, whoever it belongs to, even another
// stack. It never does so with a role. So where the tenant's role has not the schema's name, an
// empty role takes it: of two tenants with one schema the second fails, and nothing is touched.
func (tenant *Tenant) newSchema(ctx *pulumi.Context, key string, cfg config.Config, shared *SharedRoles) (*postgresql.Schema, error) {
	drop, name := cfg.Tenants[key].Retire == config.RetireDrop, cfg.Tenants[key].Schema
	after := tenant.Login.Roles
	if name != cfg.Tenants[key].Login.Name {
		claim, err := postgresql.NewRole(ctx, key+"-schema-claim", &postgresql.RoleArgs{
			Name:  pulumi.String(name),
			Login: pulumi.Bool(false),
		}, pulumi.Parent(tenant), pulumi.DependsOn(shared.Ready), keepName())
		if err != nil {
			return nil, err
		}
		after = append(slices.Clone(after), claim)
	}
	schema, err := postgresql.NewSchema(ctx, key+"-schema", &postgresql.SchemaArgs{
		Name:        pulumi.String(name),
		Database:    pulumi.String(cfg.Database),
		Owner:       shared.Admin,
		DropCascade: pulumi.Bool(drop),
	}, pulumi.Parent(tenant), pulumi.DependsOn(after), keepName(), pulumi.Protect(cfg.ProtectTenants && !drop))
	if err != nil {
		return nil, err
	}
	tenant.SchemaName = fixed("tenants."+key+".schema", name, schema.Name)
	return schema, nil
}

// newPrivileges registers what the tenant may do in its schema. It owns nothing: admin owns the
// schema and what is in it, so the tenant's code, which may be SQL written by a model, can
// neither drop nor alter nor grant what it works with.
func (tenant *Tenant) newPrivileges(ctx *pulumi.Context, key string, cfg config.Config, shared *SharedRoles, schema *postgresql.Schema) error {
	mine := map[string][]string{
		"table":    {"SELECT", "INSERT", "UPDATE", "DELETE"},
		"sequence": {"USAGE", "SELECT"}, // for serial columns
	}
	// They go with the schema: if it is refused to go because of the data in it, the tenant still
	// has everything and can be put back.
	withSchema := []pulumi.ResourceOption{pulumi.Parent(tenant), pulumi.DeletedWith(schema), pulumi.DeleteBeforeReplace(true)}
	grants := []grant{{name: key + "-usage", objectType: "schema", role: tenant.Login.Name, privileges: []string{"USAGE"}, opts: withSchema}}
	if cfg.Tenants[key].Adopt {
		// What is there already has no default privileges, and neither the owner of its schema nor
		// PUBLIC can be relied on. Without adopt it all stays as it is then.
		stays := tenant.adopted()
		grants = append(grants,
			grant{name: key + "-adopted-tables", objectType: "table", role: tenant.Login.Name, privileges: mine["table"], opts: stays},
			grant{name: key + "-adopted-sequences", objectType: "sequence", role: tenant.Login.Name, privileges: mine["sequence"], opts: stays},
			grant{name: key + "-public-on-adopted", objectType: "schema", role: pulumi.String("public"), opts: stays},
		)
	}
	var err error
	if tenant.Privileges, err = tenant.newGrants(ctx, cfg, grants, []pulumi.Resource{schema}); err != nil {
		return err
	}
	for _, objects := range slices.Sorted(maps.Keys(mine)) {
		defaults, err := postgresql.NewDefaultPrivileges(ctx, key+"-"+objects+"s", &postgresql.DefaultPrivilegesArgs{
			Database:   pulumi.String(cfg.Database),
			Schema:     tenant.SchemaName,
			Owner:      shared.Admin,
			ObjectType: pulumi.String(objects),
			Role:       tenant.Login.Name,
			Privileges: pulumi.ToStringArray(mine[objects]),
		}, withSchema...)
		if err != nil {
			return err
		}
		tenant.Privileges = append(tenant.Privileges, defaults)
	}
	return nil
}

// newAdoptions registers what the app may do in adopted schemas, where its default privileges did not
// hold. These grants come after all other privileges, and one after the other: for a grant to the app
// the provider locks it and then its members, the admin and the user it connects as among them, and for
// the default privileges of the admin that and then this user. From PostgreSQL 16 on, where the user is
// a member of every role it makes, the two would deadlock.
func newAdoptions(ctx *pulumi.Context, cfg config.Config, shared *SharedRoles, tenants map[string]*Tenant) (err error) {
	var after []pulumi.Resource
	keys := slices.Sorted(maps.Keys(tenants))
	for _, key := range keys {
		after = append(after, tenants[key].Privileges...)
	}
	for _, key := range keys {
		tenant := tenants[key]
		if !cfg.Tenants[key].Adopt || cfg.Tenants[key].Retire != config.NotRetired {
			continue
		}
		after, err = tenant.newGrants(ctx, cfg, []grant{
			{name: key + "-app-on-adopted", objectType: "schema", role: shared.App, privileges: []string{"USAGE"}, opts: tenant.adopted()},
			{name: key + "-app-on-adopted-tables", objectType: "table", role: shared.App, privileges: []string{"SELECT"}, opts: tenant.adopted()},
			{name: key + "-app-on-adopted-sequences", objectType: "sequence", role: shared.App, privileges: []string{"SELECT"}, opts: tenant.adopted()},
		}, after)
		if err != nil {
			return fmt.Errorf("tenant %s: %w", key, err)
		}
	}
	return nil
}

// newGrants registers grants in the tenant's schema.
func (tenant *Tenant) newGrants(ctx *pulumi.Context, cfg config.Config, grants []grant, after []pulumi.Resource) ([]pulumi.Resource, error) {
	for i := range grants {
		grants[i].database, grants[i].schema = cfg.Database, tenant.SchemaName
	}
	return newGrants(ctx, grants, after)
}

// adopted are the options of grants on what was there before: their end takes nothing away.
func (tenant *Tenant) adopted() []pulumi.ResourceOption {
	return []pulumi.ResourceOption{pulumi.Parent(tenant), pulumi.RetainOnDelete(true)}
}
