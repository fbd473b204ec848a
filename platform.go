package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/policy"
)

// platformRoles are the shared roles of a cell, a stack of tenants on the server of another stack:
// the platform, which made them. Their names come from its outputs, and what does not fit those is
// found before anything but the reference is registered.
func platformRoles(ctx *pulumi.Context, cfg config.Config) (*SharedRoles, error) {
	platform, err := pulumi.NewStackReference(ctx, cfg.Platform, nil)
	if err != nil {
		return nil, err
	}
	p, names, namesByKey := &config.Problems{}, map[string]string{}, map[string]map[string]any{}
	for _, output := range []string{
		policy.OutputApp, policy.OutputAdmin, policy.OutputAllTenants, policy.OutputAllTenantsAdmin, policy.OutputDatabase,
		policy.OutputRoles, policy.OutputLogins,
		policy.OutputTenantRoles, policy.OutputTenantLogins, policy.OutputTenantSchemas, policy.OutputRetiredRoles,
	} {
		details, err := platform.GetOutputDetails(output)
		if err != nil {
			return nil, fmt.Errorf("reading the output %s of %s: %w", output, cfg.Platform, err)
		}
		switch value := details.Value.(type) {
		case string:
			names[output] = value
		case map[string]any:
			namesByKey[output] = value
		default:
			p.Add("platform", "%s has no output %s; give a stack of this program that is deployed", config.Show(cfg.Platform), output)
		}
	}
	if err := p.Err(); err != nil {
		return nil, err
	}

	if database := names[policy.OutputDatabase]; database != cfg.Database {
		p.Add("postgresql:database", "%s is not the database of %s; give %s", config.Show(cfg.Database), cfg.Platform, config.Show(database))
	}
	delete(names, policy.OutputDatabase) // databases and roles may share a name
	taken := config.Claims{}
	for _, output := range slices.Sorted(maps.Keys(names)) {
		taken[names[output]] = cfg.Platform + " (" + output + ")"
	}
	shared := map[string]pulumi.StringMap{policy.OutputRoles: {}, policy.OutputLogins: {}}
	for _, output := range slices.Sorted(maps.Keys(namesByKey)) {
		for _, key := range slices.Sorted(maps.Keys(namesByKey[output])) {
			name := fmt.Sprint(namesByKey[output][key])
			taken[name] = cfg.Platform + " (" + config.Join(output, key) + ")"
			if byKey, ok := shared[output]; ok {
				byKey[key] = pulumi.String(name)
			}
		}
	}
	taken.AddTenants(p, cfg)
	return &SharedRoles{
		Names: roleNames{
			policy.Public:          pulumi.String("public"),
			policy.App:             pulumi.String(names[policy.OutputApp]),
			policy.Admin:           pulumi.String(names[policy.OutputAdmin]),
			policy.AllTenants:      pulumi.String(names[policy.OutputAllTenants]),
			policy.AllTenantsAdmin: pulumi.String(names[policy.OutputAllTenantsAdmin]),
		},
		Roles:     shared[policy.OutputRoles],
		Logins:    shared[policy.OutputLogins],
		Passwords: pulumi.StringMap{},
		Ready:     []pulumi.Resource{platform},
	}, p.Err()
}
