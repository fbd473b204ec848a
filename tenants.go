package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Tenant is one tenant's login role and schema, and the privileges that tie the two together.
type Tenant struct {
	pulumi.ResourceState

	RoleName, SchemaName pulumi.StringOutput
	// Password is a secret, and not among the component's outputs: the state holds it once.
	Password pulumi.StringOutput
}

// newTenants registers every tenant and returns them by key.
func newTenants(ctx *pulumi.Context, cfg Config, shared *SharedRoles) (map[string]*Tenant, error) {
	tenants := map[string]*Tenant{}
	for _, key := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		tenant, err := newTenant(ctx, key, cfg, shared)
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", key, err)
		}
		tenants[key] = tenant
	}
	return tenants, nil
}

// newTenant registers one tenant. A retired one has its role and schema still, but cannot log in
// and has no privileges in the schema; its role cannot go before the tables it was granted.
func newTenant(ctx *pulumi.Context, key string, cfg Config, shared *SharedRoles) (*Tenant, error) {
	tenant := &Tenant{}
	if err := ctx.RegisterComponentResource("tenant-permissions:index:Tenant", key, tenant); err != nil {
		return nil, err
	}
	role, err := tenant.newRole(ctx, key, cfg.Tenants[key], shared)
	if err != nil {
		return nil, err
	}
	schema, err := tenant.newSchema(ctx, key, cfg, shared, role)
	if err != nil {
		return nil, err
	}
	if cfg.Tenants[key].Retire == NotRetired {
		if err := tenant.newPrivileges(ctx, key, cfg.Database, shared, schema); err != nil {
			return nil, err
		}
	}
	return tenant, ctx.RegisterResourceOutputs(tenant, pulumi.Map{
		"roleName":   tenant.RoleName,
		"schemaName": tenant.SchemaName,
	})
}

// newRole registers the tenant's login role.
func (tenant *Tenant) newRole(ctx *pulumi.Context, key string, cfg TenantConfig, shared *SharedRoles) (*postgresql.Role, error) {
	parent := pulumi.Parent(tenant)
	cfg.Login.Suspended = cfg.Login.Suspended || cfg.Retire != NotRetired
	login, err := newLogin(ctx, key, "tenants."+key+".role", cfg.Login, postgresql.RoleArgs{
		Roles:       pulumi.StringArray{shared.AllTenants},
		SearchPaths: pulumi.StringArray{pulumi.String(cfg.Schema)},
	}, parent, pulumi.DependsOn([]pulumi.Resource{shared.Ready}))
	if err != nil {
		return nil, err
	}
	tenant.RoleName, tenant.Password = login.Name, login.Password

	// Dropping the role ends its memberships; an explicit REVOKE before that fails on PostgreSQL
	// 16+ (dependent privileges exist) once admin has granted the tenant's role to somebody.
	_, err = postgresql.NewGrantRole(ctx, key+"-grant-role", &postgresql.GrantRoleArgs{
		Role:            shared.AllTenantsAdmin,
		GrantRole:       login.Name,
		WithAdminOption: pulumi.Bool(true),
	}, parent, pulumi.DeletedWith(login.Role), pulumi.DeleteBeforeReplace(true))
	return login.Role, err
}

// newSchema registers the tenant's schema. It goes before the role, which cannot be dropped while
// it has privileges in it. With data in it, it does not go at all: PostgreSQL refuses, unless the
// tenant was retired for that.
func (tenant *Tenant) newSchema(ctx *pulumi.Context, key string, cfg Config, shared *SharedRoles, role pulumi.Resource) (*postgresql.Schema, error) {
	drop := cfg.Tenants[key].Retire == RetireDrop
	schema, err := postgresql.NewSchema(ctx, key+"-schema", &postgresql.SchemaArgs{
		Name:        pulumi.String(cfg.Tenants[key].Schema),
		Database:    pulumi.String(cfg.Database),
		Owner:       shared.Admin,
		DropCascade: pulumi.Bool(drop),
	}, pulumi.Parent(tenant), pulumi.DependsOn([]pulumi.Resource{role}), keepName(), pulumi.Protect(cfg.ProtectTenants && !drop))
	if err != nil {
		return nil, err
	}
	tenant.SchemaName = fixed("tenants."+key+".schema", cfg.Tenants[key].Schema, schema.Name)
	return schema, nil
}

// newPrivileges registers what the tenant may do in its schema. It owns nothing: admin owns the
// schema and what is in it, so the tenant's code, which may be SQL written by a model, can
// neither drop nor alter nor grant what it works with.
func (tenant *Tenant) newPrivileges(ctx *pulumi.Context, key, database string, shared *SharedRoles, schema *postgresql.Schema) error {
	// They go with the schema: if it is refused to go because of the data in it, the tenant still
	// has everything and can be put back.
	withSchema := []pulumi.ResourceOption{pulumi.Parent(tenant), pulumi.DeletedWith(schema), pulumi.DeleteBeforeReplace(true)}
	// This is the only Grant on this schema: two would fail with `tuple concurrently updated`.
	// The app reads it by admin's default privileges.
	_, err := postgresql.NewGrant(ctx, key+"-usage", &postgresql.GrantArgs{
		Database:   pulumi.String(database),
		Schema:     tenant.SchemaName,
		ObjectType: pulumi.String("schema"),
		Role:       tenant.RoleName,
		Privileges: pulumi.ToStringArray([]string{"USAGE"}),
	}, withSchema...)
	if err != nil {
		return err
	}
	for _, objects := range []struct {
		kind       string
		privileges []string
	}{
		{"table", []string{"SELECT", "INSERT", "UPDATE", "DELETE"}},
		{"sequence", []string{"USAGE", "SELECT"}}, // for serial columns
	} {
		_, err = postgresql.NewDefaultPrivileges(ctx, key+"-"+objects.kind+"s", &postgresql.DefaultPrivilegesArgs{
			Database:   pulumi.String(database),
			Schema:     tenant.SchemaName,
			Owner:      shared.Admin,
			ObjectType: pulumi.String(objects.kind),
			Role:       tenant.RoleName,
			Privileges: pulumi.ToStringArray(objects.privileges),
		}, withSchema...)
		if err != nil {
			return err
		}
	}
	return nil
}
