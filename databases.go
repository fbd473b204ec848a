package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/policy"
)

// newDatabase registers the tenant's own database, with the privileges that every database of the stack
// has, and makes it the place of the tenant's schema. It returns the last resource.
//
// The provider ends all sessions and drops a database with all its data, whatever is in it. So the
// database is protected unless drop is set, also where protectTenants is off. It goes before the
// tenant's roles: PostgreSQL drops no role that has privileges in another database than the one the
// provider is connected to.
//
// It is made from template0: what somebody put into template1 is not in it. The user that the provider
// connects as owns it, because only the owner can close it to PUBLIC.
func (tenant *Tenant) newDatabase(ctx *pulumi.Context, key string, cfg config.Config, shared *SharedRoles, drop bool) ([]pulumi.Resource, error) {
	own, path := cfg.Tenants[key].Database, "tenants."+key+".database"
	args := &postgresql.DatabaseArgs{
		Name:            pulumi.String(own.Name),
		Template:        pulumi.String("template0"),
		ConnectionLimit: pulumi.Int(own.ConnectionLimit),
	}
	if own.Encoding != "" {
		args.Encoding = pulumi.String(own.Encoding)
	}
	if own.LcCollate != "" {
		args.LcCollate = pulumi.String(own.LcCollate)
	}
	if own.Tablespace != "" {
		args.TablespaceName = pulumi.String(own.Tablespace)
	}
	database, err := postgresql.NewDatabase(ctx, key+"-database", args, pulumi.Parent(tenant), pulumi.DependsOn(slices.Concat(shared.Ready, tenant.roles)),
		// A change of the others replaces the database.
		keepName(), pulumi.IgnoreChanges([]string{"template", "encoding", "lcCollate", "lcCtype"}), pulumi.Protect(!drop))
	if err != nil {
		return nil, err
	}
	name := withChecks(unchanged(path+".name", own.Name, database.Name),
		sameLocale(path+".encoding", own.Encoding, database.Encoding), sameLocale(path+".lcCollate", own.LcCollate, database.LcCollate))
	tenant.in.prefix, tenant.in.database = key+"-database-", name
	tenant.in = tenant.in.with(pulumi.DeletedWith(database))
	after, extensionSchema, err := newDatabasePrivileges(ctx, tenant.in, shared.Extensions, policy.OnTenantDatabase(), policy.OnTenantExtensionSchema(), []pulumi.Resource{database})
	tenant.Database = withChecks(name, extensionSchema)
	return after, err
}

// newAccess registers that the tenant, and its agents, may connect to its own database and use the
// extensions in it. It returns the last resource.
func (tenant *Tenant) newAccess(ctx *pulumi.Context, shared *SharedRoles, after []pulumi.Resource) ([]pulumi.Resource, error) {
	grants, agents := policy.OnOwnDatabase()
	onExtensions, agentsOnExtensions := policy.OnOwnExtensionSchema()
	if len(tenant.Agents) > 0 {
		grants, onExtensions = append(grants, agents...), append(onExtensions, agentsOnExtensions...)
	}
	in := tenant.in
	in.schema = nil
	after, err := newGrants(ctx, in, grants, after)
	if err != nil || shared.Extensions.Schema == "" {
		return after, err
	}
	in.schema = pulumi.String(shared.Extensions.Schema)
	return newGrants(ctx, in, onExtensions, after)
}

// sameLocale fails if a database has another encoding or locale than the config wants. Servers write
// one name in several ways: UTF-8 is utf8.
func sameLocale(path, configured string, deployed pulumi.StringOutput) pulumi.StringOutput {
	plain := func(name string) string { return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name)) }
	return deployed.ApplyT(func(name string) (string, error) {
		if configured != "" && plain(name) != plain(configured) {
			return name, fmt.Errorf("%s cannot change after deployment: deployed %v, configured %v", path, name, configured)
		}
		return name, nil
	}).(pulumi.StringOutput)
}
