// Command tenant-permissions is a Pulumi program that gives a multi-tenant AI platform its
// PostgreSQL permissions: shared roles, one login role and one schema per tenant, and nothing
// left open between them.
package main

import (
	"maps"
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/policy"
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

// export sets the stack's outputs.
func export(ctx *pulumi.Context, cfg config.Config, shared *SharedRoles, tenants map[string]*Tenant) {
	tenantRoles, tenantLogins, tenantSchemas, retiredRoles := pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}
	tenantDatabases, previous, tenantAgents, agentsRoles := pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMapMap{}, pulumi.StringMap{}
	passwords := maps.Clone(shared.Passwords)
	for key, tenant := range tenants {
		tenantSchemas[key], tenantDatabases[key] = tenant.SchemaName, tenant.Database
		if cfg.Tenants[key].Previous != config.PreviousNone {
			previous[key] = tenant.Previous
		}
		if cfg.Tenants[key].Retire != config.NotRetired {
			retiredRoles[key] = tenant.Login.Name
			continue
		}
		tenantRoles[key], tenantLogins[key] = tenant.Login.Name, tenant.Login.Active
		maps.Copy(passwords, tenant.Login.Passwords)
		if len(tenant.Agents) > 0 {
			agentsRoles[key], tenantAgents[key] = tenant.AgentsRole, pulumi.StringMap{}
		}
		for agent, login := range tenant.Agents {
			tenantAgents[key].(pulumi.StringMap)[agent] = login.Active
			maps.Copy(passwords, login.Passwords)
		}
	}
	ctx.Export(policy.OutputVersion, pulumi.Int(policy.OutputsVersion))
	ctx.Export(policy.OutputApp, shared.Names[policy.App])
	ctx.Export(policy.OutputAdmin, shared.Names[policy.Admin])
	ctx.Export(policy.OutputAdminLogin, shared.Logins["admin"])
	ctx.Export(policy.OutputAllTenants, shared.Names[policy.AllTenants])
	ctx.Export(policy.OutputAllTenantsAdmin, shared.Names[policy.AllTenantsAdmin])
	ctx.Export(policy.OutputRoles, shared.Roles)
	ctx.Export(policy.OutputLogins, shared.Logins)
	ctx.Export(policy.OutputTenantRoles, tenantRoles)
	ctx.Export(policy.OutputTenantLogins, tenantLogins)
	ctx.Export(policy.OutputTenantSchemas, tenantSchemas)
	ctx.Export(policy.OutputTenantAgents, tenantAgents)
	ctx.Export(policy.OutputAgentRoles, agentsRoles)
	ctx.Export(policy.OutputTenantDatabases, tenantDatabases)
	ctx.Export(policy.OutputPrevious, previous)
	ctx.Export(policy.OutputRetiredRoles, retiredRoles)
	ctx.Export(policy.OutputExtensionSchema, shared.ExtensionSchema)
	ctx.Export(policy.OutputExtensions, pulumi.ToStringMap(config.Versions(shared.Extensions)))
	ctx.Export(policy.OutputLimits, pulumi.Any(cfg.LoginLimits()))
	ctx.Export(policy.OutputDatabase, pulumi.String(cfg.Database))
	ctx.Export(policy.OutputPasswords, pulumi.ToSecret(passwords))
}
