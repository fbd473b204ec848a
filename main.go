// Command tenant-permissions is a Pulumi program that gives a multi-tenant AI platform its
// PostgreSQL permissions: shared roles, one login role and one schema per tenant, and nothing
// left open between them.
package main

import (
	"maps"
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
)

func main() { pulumi.Run(deploy) }

// deploy loads the stack's config, creates the roles that all tenants share and every tenant,
// and exports their names and passwords. Bad config stops it before the first resource.
func deploy(ctx *pulumi.Context) error {
	values, err := config.FromEnvironment(os.LookupEnv)
	if err != nil {
		return err
	}
	cfg, err := config.Load(values, os.LookupEnv)
	if err != nil {
		return err
	}
	sharedRoles := newSharedRoles
	if cfg.Platform != "" {
		sharedRoles = platformRoles
	}
	shared, err := sharedRoles(ctx, cfg)
	if err != nil {
		return err
	}
	tenants, err := newTenants(ctx, cfg, shared)
	if err != nil {
		return err
	}
	export(ctx, cfg, shared, tenants)
	return nil
}

// outputsVersion is that of the contract which the outputs are with other stacks. What is added
// leaves it as it is; whatever else changes in names, shapes or meaning raises it.
const outputsVersion = 1

// export sets the stack's outputs.
func export(ctx *pulumi.Context, cfg config.Config, shared *SharedRoles, tenants map[string]*Tenant) {
	tenantRoles, tenantLogins, tenantSchemas, retiredRoles := pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}
	passwords := maps.Clone(shared.Passwords)
	for key, tenant := range tenants {
		tenantSchemas[key] = tenant.SchemaName
		if cfg.Tenants[key].Retire != config.NotRetired {
			retiredRoles[key] = tenant.Login.Name
			continue
		}
		tenantRoles[key] = tenant.Login.Name
		tenantLogins[key] = tenant.Login.Active
		maps.Copy(passwords, tenant.Login.Passwords)
	}
	ctx.Export("outputs_version", pulumi.Int(outputsVersion))
	ctx.Export("app_service_role_name", shared.App)
	ctx.Export("admin_service_role_name", shared.Admin)
	ctx.Export("admin_service_login_name", shared.Logins["admin"])
	ctx.Export("all_tenants_role_name", shared.AllTenants)
	ctx.Export("all_tenants_admin_role_name", shared.AllTenantsAdmin)
	ctx.Export("role_names", shared.Roles)
	ctx.Export("login_names", shared.Logins)
	ctx.Export("tenant_role_names", tenantRoles)
	ctx.Export("tenant_login_names", tenantLogins)
	ctx.Export("tenant_schema_names", tenantSchemas)
	ctx.Export("retired_role_names", retiredRoles)
	ctx.Export("database_name", pulumi.String(cfg.Database))
	ctx.Export("passwords", pulumi.ToSecret(passwords))
}
