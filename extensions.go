package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/policy"
)

// newExtensions registers the extensions and the schema that they are in, one resource after the
// other, and returns the last. Without extensions there is no schema.
//
// The provider takes over a schema and an extension that exist. The schema then belongs to the admin.
// An extension in another schema stays there, and the run fails: where applications use it under its
// old name, a move would break them.
func newExtensions(ctx *pulumi.Context, cfg config.Config, shared *SharedRoles, after []pulumi.Resource) ([]pulumi.Resource, error) {
	shared.ExtensionSchema = pulumi.String("").ToStringOutput()
	if len(cfg.Extensions) == 0 {
		return after, nil
	}
	schema, err := postgresql.NewSchema(ctx, "extension-schema", &postgresql.SchemaArgs{
		Name:     pulumi.String(cfg.ExtensionSchema),
		Database: pulumi.String(cfg.Database),
		Owner:    shared.Names[policy.Admin],
	}, pulumi.DependsOn(after), keepName())
	if err != nil {
		return nil, err
	}
	name := unchanged("extensionSchema", cfg.ExtensionSchema, schema.Name)
	in := scope{database: cfg.Database, schema: name, names: shared.Names}
	if after, err = newGrants(ctx, in, policy.OnExtensionSchema(), []pulumi.Resource{schema}); err != nil {
		return nil, err
	}
	var checks []any
	for _, key := range slices.Sorted(maps.Keys(cfg.Extensions)) {
		args := &postgresql.ExtensionArgs{
			Name:     pulumi.String(key),
			Database: pulumi.String(cfg.Database),
			Schema:   name,
			// Some need others, and the order of names is not the order of needs.
			CreateCascade: pulumi.Bool(true),
			// PostgreSQL refuses to drop an extension that tables, indexes or functions use.
			DropCascade: pulumi.Bool(false),
		}
		if version := cfg.Extensions[key].Version; version != "" {
			args.Version = pulumi.String(version)
		}
		extension, err := postgresql.NewExtension(ctx, "extension-"+key, args, pulumi.DependsOn(after), pulumi.IgnoreChanges([]string{"schema"}))
		if err != nil {
			return nil, err
		}
		checks = append(checks, inSchema(key, cfg.ExtensionSchema, extension.Schema))
		after = []pulumi.Resource{extension}
	}
	shared.ExtensionSchema = withChecks(name, checks...)
	return after, nil
}

// inSchema fails if an extension is in another schema than the config wants.
func inSchema(extension, schema string, deployed pulumi.StringOutput) pulumi.StringOutput {
	return deployed.ApplyT(func(name string) (string, error) {
		if name != schema {
			return name, fmt.Errorf("%s: the extension is in the schema %s; run ALTER EXTENSION %q SET SCHEMA %s, then pulumi up --refresh",
				config.Join("extensions", extension), name, extension, schema)
		}
		return name, nil
	}).(pulumi.StringOutput)
}

// searchPath is the search path of a role that finds unqualified names in the given schemas, and in
// that of the extensions. It is nil, the server's own, if there is neither.
//
// A role without a schema of its own gets pg_catalog, which every search path has, as the first: CREATE
// without a schema's name makes its object in the first one, and for the admin that would be the schema
// of the extensions, which it owns. PostgreSQL refuses to create anything in pg_catalog.
func (shared *SharedRoles) searchPath(schemas ...string) pulumi.StringArrayInput {
	if shared.SearchedSchema != "" {
		if len(schemas) == 0 {
			schemas = []string{"pg_catalog"}
		}
		schemas = append(schemas, shared.SearchedSchema)
	}
	if len(schemas) == 0 {
		return nil
	}
	return pulumi.ToStringArray(schemas)
}
