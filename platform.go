package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/platform"
	"tenant-permissions/internal/policy"
)

// platformRoles are the shared roles of a cell, a stack of tenants on the server of another stack: the
// platform, which made them. Their names come from its outputs. What in the config does not fit them is
// found before anything but the reference is registered.
func platformRoles(ctx *pulumi.Context, cfg config.Config) (*SharedRoles, error) {
	reference, err := pulumi.NewStackReference(ctx, cfg.Platform, nil)
	if err != nil {
		return nil, err
	}
	shared, err := platform.Read(cfg, func(output string) (any, error) {
		details, err := reference.GetOutputDetails(output)
		if err != nil {
			return nil, err
		}
		return details.Value, nil
	})
	return &SharedRoles{
		Names: roleNames{
			policy.Public:          pulumi.String("public"),
			policy.App:             pulumi.String(shared.App),
			policy.Admin:           pulumi.String(shared.Admin),
			policy.AllTenants:      pulumi.String(shared.AllTenants),
			policy.AllTenantsAdmin: pulumi.String(shared.AllTenantsAdmin),
		},
		Roles:           pulumi.ToStringMap(shared.Roles),
		Logins:          pulumi.ToStringMap(shared.Logins),
		Passwords:       pulumi.StringMap{},
		Extensions:      shared.Extensions,
		SearchedSchema:  shared.ExtensionSchema,
		ExtensionSchema: pulumi.String(shared.ExtensionSchema).ToStringOutput(),
		Ready:           []pulumi.Resource{reference},
	}, err
}
