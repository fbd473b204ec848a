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

	RoleName   pulumi.StringOutput `pulumi:"roleName"`
	SchemaName pulumi.StringOutput `pulumi:"schemaName"`
	// Password is a secret, and not among the component's outputs: the state holds it once.
	Password pulumi.StringOutput
}

// newTenants registers every tenant and returns them by key.
func newTenants(ctx *pulumi.Context, cfg Config, shared *SharedRoles) (map[string]*Tenant, error) {
	tenants := map[string]*Tenant{}
	for _, key := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		tenant, err := newTenant(ctx, key, cfg.Tenants[key], cfg.Database, shared)
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", key, err)
		}
		tenants[key] = tenant
	}
	return tenants, nil
}

// newTenant registers one tenant. The tenant owns nothing: admin owns the schema and what is in
// it, so the tenant's code, which may be SQL written by a model, can neither drop nor alter nor
// grant what it works with.
func newTenant(ctx *pulumi.Context, key string, cfg TenantConfig, database string, shared *SharedRoles) (*Tenant, error) {
	tenant := &Tenant{}
	if err := ctx.RegisterComponentResource("tenant-permissions:index:Tenant", key, tenant); err != nil {
		return nil, err
	}
	parent := pulumi.Parent(tenant)

	login, err := newLogin(ctx, key, "tenants."+key+".role", cfg.Login, postgresql.RoleArgs{
		Roles:       pulumi.StringArray{shared.AllTenants},
		SearchPaths: pulumi.StringArray{pulumi.String(cfg.Schema)},
	}, parent, pulumi.DependsOn([]pulumi.Resource{shared.Ready}))
	if err != nil {
		return nil, err
	}

	// Dropping the role ends its memberships; an explicit REVOKE before that fails on PostgreSQL
	// 16+ (dependent privileges exist) once admin has granted the tenant's role to somebody.
	_, err = postgresql.NewGrantRole(ctx, key+"-grant-role", &postgresql.GrantRoleArgs{
		Role:            shared.AllTenantsAdmin,
		GrantRole:       login.Name,
		WithAdminOption: pulumi.Bool(true),
	}, parent, pulumi.DeletedWith(login.Role), pulumi.DeleteBeforeReplace(true))
	if err != nil {
		return nil, err
	}

	// The schema goes before the role, which cannot be dropped while it has privileges in it.
	// With a table in it the schema does not go at all: tenant data is never dropped from here.
	schema, err := postgresql.NewSchema(ctx, key+"-schema", &postgresql.SchemaArgs{
		Name:        pulumi.String(cfg.Schema),
		Database:    pulumi.String(database),
		Owner:       shared.Admin,
		DropCascade: pulumi.Bool(false),
	}, parent, pulumi.DependsOn([]pulumi.Resource{login.Role}), keepName())
	if err != nil {
		return nil, err
	}
	schemaName := fixed("tenants."+key+".schema", cfg.Schema, schema.Name)

	// Privileges in the schema go with it: if the schema is refused to go because of the data in
	// it, the tenant still has everything and can be put back.
	withSchema := []pulumi.ResourceOption{parent, pulumi.DeletedWith(schema), pulumi.DeleteBeforeReplace(true)}
	// This is the only Grant on this schema: two would fail with `tuple concurrently updated`.
	// The app reads it by admin's default privileges.
	_, err = postgresql.NewGrant(ctx, key+"-usage", &postgresql.GrantArgs{
		Database:   pulumi.String(database),
		Schema:     schemaName,
		ObjectType: pulumi.String("schema"),
		Role:       login.Name,
		Privileges: pulumi.ToStringArray([]string{"USAGE"}),
	}, withSchema...)
	if err != nil {
		return nil, err
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
			Schema:     schemaName,
			Owner:      shared.Admin,
			ObjectType: pulumi.String(objects.kind),
			Role:       login.Name,
			Privileges: pulumi.ToStringArray(objects.privileges),
		}, withSchema...)
		if err != nil {
			return nil, err
		}
	}

	tenant.RoleName, tenant.SchemaName, tenant.Password = login.Name, schemaName, login.Password
	return tenant, ctx.RegisterResourceOutputs(tenant, pulumi.Map{
		"roleName":   login.Name,
		"schemaName": schemaName,
	})
}
