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

// Extensions are PostgreSQL's extensions that a stack installs in each of its databases.
type Extensions struct {
	// Schema is the name of their schema. It is empty if there are none.
	Schema string
	// Versions by the name of the extension, empty for the server's default.
	Versions map[string]string
}

// newExtensions registers the extensions in a database and the schema that they are in, one resource
// after the other. grants are who holds what on the schema beside the admin. It returns the last
// resource, and the name of the schema, which fails if an extension is not in it. Without extensions
// there is no schema, and its name is empty.
//
// The provider takes over a schema and an extension that exist. The schema then belongs to the admin.
// An extension in another schema stays there, and the run fails: where applications use it under its
// old name, a move would break them.
func newExtensions(ctx *pulumi.Context, in scope, extensions Extensions, grants []policy.Grant, after []pulumi.Resource) ([]pulumi.Resource, pulumi.StringOutput, error) {
	name := pulumi.String("").ToStringOutput()
	if extensions.Schema == "" {
		return after, name, nil
	}
	schema, err := postgresql.NewSchema(ctx, in.prefix+"extension-schema", &postgresql.SchemaArgs{
		Name:     pulumi.String(extensions.Schema),
		Database: in.database,
		Owner:    in.names[policy.Admin],
	}, in.with(pulumi.DependsOn(after), keepName()).opts...)
	if err != nil {
		return nil, name, err
	}
	name = unchanged("extensionSchema", extensions.Schema, schema.Name)
	in.schema = name
	if after, err = newGrants(ctx, in, grants, []pulumi.Resource{schema}); err != nil {
		return nil, name, err
	}
	var checks []any
	for _, key := range slices.Sorted(maps.Keys(extensions.Versions)) {
		args := &postgresql.ExtensionArgs{
			Name:     pulumi.String(key),
			Database: in.database,
			Schema:   name,
			// Some need others, and the order of names is not the order of needs.
			CreateCascade: pulumi.Bool(true),
			// PostgreSQL refuses to drop an extension that tables, indexes or functions use.
			DropCascade: pulumi.Bool(false),
		}
		if version := extensions.Versions[key]; version != "" {
			args.Version = pulumi.String(version)
		}
		extension, err := postgresql.NewExtension(ctx, in.prefix+"extension-"+key, args,
			in.with(pulumi.DependsOn(after), pulumi.IgnoreChanges([]string{"schema"})).opts...)
		if err != nil {
			return nil, name, err
		}
		checks = append(checks, inSchema(key, extensions.Schema, extension.Schema))
		after = []pulumi.Resource{extension}
	}
	return after, withChecks(name, checks...), nil
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
	if shared.Extensions.Schema != "" {
		if len(schemas) == 0 {
			schemas = []string{"pg_catalog"}
		}
		schemas = append(schemas, shared.Extensions.Schema)
	}
	if len(schemas) == 0 {
		return nil
	}
	return pulumi.ToStringArray(schemas)
}
