package main

import (
	"maps"
	"slices"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/deployed"
	"tenant-permissions/internal/policy"
)

// newExtensions registers the extensions in a database and the schema that they are in, one resource
// after the other. grants are who holds what on the schema beside the admin. It returns the last
// resource, and the name of the schema, which fails if an extension is not in it, and is empty without any.
//
// The provider takes over a schema and an extension that exist. The schema then belongs to the admin. An
// extension in another schema stays there, and the run fails: a move would break applications that use it.
func (shared *SharedRoles) newExtensions(ctx *pulumi.Context, in scope, grants []policy.Grant, after []pulumi.Resource) ([]pulumi.Resource, pulumi.StringOutput, error) {
	name := pulumi.String("").ToStringOutput()
	if shared.SearchedSchema == "" {
		return after, name, nil
	}
	schema, err := postgresql.NewSchema(ctx, in.prefix+"extension-schema", &postgresql.SchemaArgs{
		Name:     pulumi.String(shared.SearchedSchema),
		Database: in.database,
		Owner:    in.names[policy.Admin],
	}, in.with(pulumi.DependsOn(after), keepName()).opts...)
	if err != nil {
		return nil, name, err
	}
	name = deployed.Unchanged("extensionSchema", shared.SearchedSchema, schema.Name)
	in.schema = name
	if after, err = newGrants(ctx, in, grants, []pulumi.Resource{schema}); err != nil {
		return nil, name, err
	}
	var checks []any
	for _, key := range slices.Sorted(maps.Keys(shared.Extensions)) {
		extension, err := postgresql.NewExtension(ctx, in.prefix+"extension-"+key, &postgresql.ExtensionArgs{
			Name:     pulumi.String(key),
			Database: in.database,
			Schema:   name,
			Version:  optional(shared.Extensions[key].Version),
			// Some need others, and the order of names is not the order of needs.
			CreateCascade: pulumi.Bool(true),
			// PostgreSQL refuses to drop an extension that tables, indexes or functions use.
			DropCascade: pulumi.Bool(false),
		}, in.with(pulumi.DependsOn(after), pulumi.IgnoreChanges([]string{"schema"})).opts...)
		if err != nil {
			return nil, name, err
		}
		checks = append(checks, deployed.InSchema(key, shared.SearchedSchema, extension.Schema))
		after = []pulumi.Resource{extension}
	}
	return after, deployed.Require(name, checks...), nil
}

// searchPath is the policy's search path of a role with the given schemas.
func (shared *SharedRoles) searchPath(schemas ...string) pulumi.StringArray {
	return pulumi.ToStringArray(policy.SearchPath(shared.SearchedSchema, schemas...))
}
