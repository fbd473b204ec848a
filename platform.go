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
		policy.OutputApp, policy.OutputAdmin, policy.OutputAllTenants, policy.OutputAllTenantsAdmin, policy.OutputDatabase, policy.OutputExtensionSchema,
		policy.OutputRoles, policy.OutputLogins,
		policy.OutputTenantRoles, policy.OutputTenantLogins, policy.OutputTenantSchemas, policy.OutputRetiredRoles,
		policy.OutputTenantAgents, policy.OutputAgentRoles, policy.OutputTenantDatabases, policy.OutputExtensions,
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
	taken, databases, versions := config.Claims{}, config.Claims{}, map[string]string{}
	for name, version := range namesByKey[policy.OutputExtensions] {
		versions[name] = fmt.Sprint(version)
	}
	for _, output := range slices.Sorted(maps.Keys(names)) {
		// Databases and roles may share a name. Without extensions their schema has none.
		if output != policy.OutputDatabase && names[output] != "" {
			taken[names[output]] = cfg.Platform + " (" + output + ")"
		}
	}
	claimAll(databases, cfg.Platform, policy.OutputTenantDatabases, namesByKey[policy.OutputTenantDatabases])
	delete(namesByKey, policy.OutputTenantDatabases)
	delete(namesByKey, policy.OutputExtensions)
	for _, output := range slices.Sorted(maps.Keys(namesByKey)) {
		claimAll(taken, cfg.Platform, output, namesByKey[output])
	}
	taken.AddTenants(p, cfg)
	databases.AddDatabases(p, cfg)
	return &SharedRoles{
		Names: roleNames{
			policy.Public:          pulumi.String("public"),
			policy.App:             pulumi.String(names[policy.OutputApp]),
			policy.Admin:           pulumi.String(names[policy.OutputAdmin]),
			policy.AllTenants:      pulumi.String(names[policy.OutputAllTenants]),
			policy.AllTenantsAdmin: pulumi.String(names[policy.OutputAllTenantsAdmin]),
		},
		Roles:           stringMap(namesByKey[policy.OutputRoles]),
		Logins:          stringMap(namesByKey[policy.OutputLogins]),
		Passwords:       pulumi.StringMap{},
		Limits:          pulumi.Map{},
		Extensions:      Extensions{Schema: names[policy.OutputExtensionSchema], Versions: versions},
		ExtensionSchema: pulumi.String(names[policy.OutputExtensionSchema]).ToStringOutput(),
		Ready:           []pulumi.Resource{platform},
	}, p.Err()
}

// claimAll claims the names of an output of the platform, by key or by keys within keys.
func claimAll(taken config.Claims, platform, path string, names map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(names)) {
		switch value := names[key].(type) {
		case map[string]any:
			claimAll(taken, platform, config.Join(path, key), value)
		default:
			taken[fmt.Sprint(value)] = platform + " (" + config.Join(path, key) + ")"
		}
	}
}

func stringMap(names map[string]any) pulumi.StringMap {
	all := pulumi.StringMap{}
	for key, name := range names {
		all[key] = pulumi.String(fmt.Sprint(name))
	}
	return all
}
