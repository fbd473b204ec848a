package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
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
		"app_service_role_name", "admin_service_role_name", "all_tenants_role_name", "all_tenants_admin_role_name", "database_name",
		"role_names", "login_names", "tenant_role_names", "tenant_login_names", "tenant_schema_names", "retired_role_names",
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

	if database := names["database_name"]; database != cfg.Database {
		p.Add("postgresql:database", "%s is not the database of %s; give %s", config.Show(cfg.Database), cfg.Platform, config.Show(database))
	}
	delete(names, "database_name") // databases and roles may share a name
	taken := config.Claims{}
	for _, output := range slices.Sorted(maps.Keys(names)) {
		taken[names[output]] = cfg.Platform + " (" + output + ")"
	}
	shared := map[string]pulumi.StringMap{"role_names": {}, "login_names": {}}
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
		App:             pulumi.String(names["app_service_role_name"]).ToStringOutput(),
		Admin:           pulumi.String(names["admin_service_role_name"]).ToStringOutput(),
		AllTenants:      pulumi.String(names["all_tenants_role_name"]).ToStringOutput(),
		AllTenantsAdmin: pulumi.String(names["all_tenants_admin_role_name"]).ToStringOutput(),
		Roles:           shared["role_names"],
		Logins:          shared["login_names"],
		Passwords:       pulumi.StringMap{},
		Ready:           []pulumi.Resource{platform},
	}, p.Err()
}
