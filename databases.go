package main

import (
	"slices"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/deployed"
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
func (t *Tenant) newDatabase(ctx *pulumi.Context, drop bool) ([]pulumi.Resource, error) {
	own, path := t.config.Database, "tenants."+t.key+".database"
	database, err := postgresql.NewDatabase(ctx, t.key+"-database", &postgresql.DatabaseArgs{
		Name:            pulumi.String(own.Name),
		Template:        pulumi.String("template0"),
		ConnectionLimit: pulumi.Int(own.ConnectionLimit),
		Encoding:        optional(own.Encoding),
		LcCollate:       optional(own.LcCollate),
		TablespaceName:  optional(own.Tablespace),
	}, pulumi.Parent(t), pulumi.DependsOn(slices.Concat(t.shared.Ready, t.roles)),
		// A change of the others replaces the database.
		keepName(), pulumi.IgnoreChanges([]string{"template", "encoding", "lcCollate", "lcCtype"}), pulumi.Protect(!drop))
	if err != nil {
		return nil, err
	}
	name := deployed.Require(
		deployed.Unchanged(path+".name", own.Name, database.Name),
		deployed.SameLocale(path+".encoding", own.Encoding, database.Encoding),
		deployed.SameLocale(path+".lcCollate", own.LcCollate, database.LcCollate))
	t.in.prefix, t.in.database = t.key+"-database-", name
	t.in = t.in.with(pulumi.DeletedWith(database))
	after, extensionSchema, err := t.shared.newDatabasePrivileges(ctx, t.in, policy.OnTenantDatabase(), policy.OnTenantExtensionSchema(), []pulumi.Resource{database})
	t.Database, t.extensionSchema = deployed.Require(name, extensionSchema), extensionSchema
	return after, err
}

// newAccess registers that the tenant, and its agents, may connect to its own database and use the
// extensions in it. It returns the last resource.
func (t *Tenant) newAccess(ctx *pulumi.Context, after []pulumi.Resource) ([]pulumi.Resource, error) {
	in, agents := t.in, len(t.Agents) > 0
	in.schema = nil
	after, err := newGrants(ctx, in, policy.OnOwnDatabase(agents), after)
	if err != nil || t.shared.SearchedSchema == "" {
		return after, err
	}
	in.schema = t.extensionSchema // an edge: after a broken run the way over the tenant's schema may be gone
	return newGrants(ctx, in, policy.OnOwnExtensionSchema(agents), after)
}

// optional is an input that is not set if it is empty.
func optional(text string) pulumi.StringPtrInput {
	if text == "" {
		return nil
	}
	return pulumi.String(text)
}
