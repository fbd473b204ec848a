// Package platform reads the outputs of a platform, the stack that has the shared roles, for its cells,
// which are stacks of tenants on the same server. It does not use Pulumi.
package platform

import (
	"fmt"
	"maps"
	"slices"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/policy"
)

// Platform is what a cell needs to know of its platform. All are names in PostgreSQL.
type Platform struct {
	App, Admin, AllTenants, AllTenantsAdmin string
	// Roles and Logins are those of the app, the admin and the readers, by their key in the outputs.
	Roles, Logins map[string]string
	// Extensions are by name. ExtensionSchema is empty if there are none.
	Extensions      map[string]config.Extension
	ExtensionSchema string
}

// Read reads the platform of a cell. output returns the value of one of its outputs: a string, or a
// map[string]any. The error lists every output that is missing, or else everything in the cell's config
// that does not fit the platform.
func Read(cfg config.Config, output func(name string) (any, error)) (Platform, error) {
	p, names, byKey := &config.Problems{}, map[string]string{}, map[string]map[string]any{}
	for _, known := range policy.Outputs() {
		if known.Secret || known.Name == policy.OutputVersion || known.Name == policy.OutputLimits {
			continue
		}
		found, err := output(known.Name)
		if err != nil {
			return Platform{}, fmt.Errorf("reading the output %s of %s: %w", known.Name, cfg.Platform, err)
		}
		switch value := found.(type) {
		case string:
			names[known.Name] = value
		case map[string]any:
			byKey[known.Name] = value
		default:
			p.Add("platform", "%s has no output %s; give a stack of this program that is deployed", config.Show(cfg.Platform), known.Name)
		}
	}
	if err := p.Err(); err != nil {
		return Platform{}, err
	}
	if database := names[policy.OutputDatabase]; database != cfg.Database {
		p.Add("postgresql:database", "%s is not the database of %s; give %s", config.Show(cfg.Database), cfg.Platform, config.Show(database))
	}
	claim(p, cfg, names, byKey)
	extensions := map[string]config.Extension{}
	for name, version := range texts(byKey[policy.OutputExtensions]) {
		extensions[name] = config.Extension{Version: version}
	}
	return Platform{
		App: names[policy.OutputApp], Admin: names[policy.OutputAdmin],
		AllTenants: names[policy.OutputAllTenants], AllTenantsAdmin: names[policy.OutputAllTenantsAdmin],
		Roles: texts(byKey[policy.OutputRoles]), Logins: texts(byKey[policy.OutputLogins]),
		Extensions: extensions, ExtensionSchema: names[policy.OutputExtensionSchema],
	}, p.Err()
}

// claim adds a problem for each name of the cell that the platform has already. Roles and databases have
// a name space each, and an extension may have any name.
func claim(p *config.Problems, cfg config.Config, names map[string]string, byKey map[string]map[string]any) {
	roles, databases := config.Claims{}, config.Claims{}
	for _, output := range slices.Sorted(maps.Keys(names)) {
		if output != policy.OutputDatabase && names[output] != "" {
			roles[names[output]] = cfg.Platform + " (" + output + ")"
		}
	}
	for _, output := range slices.Sorted(maps.Keys(byKey)) {
		switch output {
		case policy.OutputExtensions:
		case policy.OutputTenantDatabases, policy.OutputPrevious:
			claimAll(databases, cfg.Platform, output, byKey[output])
		default:
			claimAll(roles, cfg.Platform, output, byKey[output])
		}
	}
	roles.AddTenants(p, cfg)
	databases.AddDatabases(p, cfg)
}

// claimAll claims the names of an output, by key or by keys within keys.
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

func texts(values map[string]any) map[string]string {
	all := map[string]string{}
	for key, value := range values {
		all[key] = fmt.Sprint(value)
	}
	return all
}
