// Command tenant-permissions is a Pulumi program that gives a multi-tenant AI platform its
// PostgreSQL permissions: shared roles, one login role and one schema per tenant, and nothing
// left open between them.
package main

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

func main() { pulumi.Run(deploy) }

// deploy loads the stack's config, creates the roles that all tenants share and every tenant,
// and exports their names and passwords. Bad config stops it before the first resource.
func deploy(ctx *pulumi.Context) error {
	cfg, err := loadConfig(ctx)
	if err != nil {
		return err
	}
	shared, err := newSharedRoles(ctx, cfg)
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

// export sets the stack's outputs. They are a contract with other stacks: names are only ever
// added.
func export(ctx *pulumi.Context, cfg Config, shared *SharedRoles, tenants map[string]*Tenant) {
	passwords, roles, schemas := pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}
	for name, password := range shared.Passwords {
		passwords[name] = password
	}
	for key, tenant := range tenants {
		schemas[key] = tenant.SchemaName
		if cfg.Tenants[key].Retire == NotRetired {
			roles[key] = tenant.RoleName
			passwords[cfg.Tenants[key].Login.Name] = tenant.Password
		}
	}
	ctx.Export("app_service_role_name", shared.App)
	ctx.Export("admin_service_role_name", shared.Admin)
	ctx.Export("admin_service_login_name", shared.AdminLogin)
	ctx.Export("tenant_role_names", roles)
	ctx.Export("tenant_schema_names", schemas)
	ctx.Export("database_name", pulumi.String(cfg.Database))
	ctx.Export("passwords", pulumi.ToSecret(passwords))
}
