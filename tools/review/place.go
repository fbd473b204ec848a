package review

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/policy"
)

// databasePrefix precedes, after the tenant's key, the logical names of all that is in a database of the
// tenant's own.
const databasePrefix = "database-"

// extensionPrefix precedes the name of an extension in the logical name.
const extensionPrefix = "extension-"

// unknown is what the CLI writes for a value that only the deployment will know.
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

// place is where a tenant has its schema: in the stack's database, or in one of its own. A tenant that
// moves has both.
type place struct {
	isolation config.Isolation
	// prefix precedes the logical names of what is there.
	prefix string
	// database is the name of the database, nil if it is unknown.
	database any
	// drops is true if all data there may be dropped.
	drops bool
}

// places are where a tenant is to be, and the other place. own is the name of the tenant's database.
func (m model) places(cfg config.Tenant, own string) (now, other place) {
	now = place{isolation: config.IsolationSchema, database: m.database, drops: cfg.Retire == config.RetireDrop}
	other = place{isolation: config.IsolationDatabase, prefix: databasePrefix, database: own, drops: cfg.Previous == config.PreviousDrop}
	if cfg.Isolation == config.IsolationDatabase {
		now.drops, other.drops = other.drops, now.drops
		return other, now
	}
	return now, other
}

// isOwn reports whether the place is a database of the tenant's own.
func (p place) isOwn() bool { return p.isolation == config.IsolationDatabase }

// names are the logical names of resources there.
func (p place) names(grants ...policy.Grant) (names []string) {
	for _, name := range resources(grants) {
		names = append(names, p.prefix+name)
	}
	return names
}

// in are the resources of a tenant's schema at a place.
func (m model) in(p place, names tenantNames) map[string]wanted {
	m.database = p.database
	want := map[string]wanted{
		"schema": {typeSchema, map[string]any{"name": names.schema, "database": m.database, "owner": m.names[policy.Admin], "dropCascade": p.drops}},
	}
	for _, grant := range slices.Concat(policy.OnTenantSchema(), policy.OnFunctions(), policy.OnAgents(), onAdopted()) {
		want[grant.Resource] = m.grant(grant, names.schema)
	}
	for _, grant := range slices.Concat(policy.TenantDefaults(), policy.FunctionDefaults(), policy.AgentDefaults()) {
		want[grant.Resource] = m.defaults(grant, names.schema)
	}
	if !p.isOwn() {
		want["schema-claim"] = wanted{typeRole, map[string]any{"name": names.schema, "login": false}}
		return want
	}
	for _, grant := range slices.Concat(policy.OnTenantDatabase(), policy.OnOwnDatabase(true)) {
		want[grant.Resource] = m.grant(grant, "")
	}
	for _, grant := range policy.OnSchemaPublic() {
		want[grant.Resource] = m.grant(grant, "public")
	}
	for _, grant := range policy.Defaults() {
		want[grant.Resource] = m.defaults(grant, "")
	}
	for _, grant := range onExtensions() {
		want[grant.Resource] = m.grant(grant, m.extensions)
	}
	want["extension-schema"] = m.extensionSchema()
	inDatabase := map[string]wanted{"database": ownDatabase(names)}
	for name, w := range want {
		inDatabase[p.prefix+name] = w
	}
	return inDatabase
}

// ownDatabase is the resource of a tenant's own database.
func ownDatabase(names tenantNames) wanted {
	inputs := map[string]any{"name": names.database, "template": "template0", "connectionLimit": float64(names.settings.ConnectionLimit)}
	for input, value := range map[string]string{
		"encoding": names.settings.Encoding, "lcCollate": names.settings.LcCollate, "tablespaceName": names.settings.Tablespace,
	} {
		if value != "" {
			inputs[input] = value
		}
	}
	return wanted{typeDatabase, inputs}
}

// onExtensions are who holds what on the schema of the extensions in a tenant's own database.
func onExtensions() []policy.Grant {
	return slices.Concat(policy.OnTenantExtensionSchema(), policy.OnOwnExtensionSchema(true))
}

// ofAgents are those of the grants that agents hold, and others are the rest.
func ofAgents(grants []policy.Grant) (agents, others []policy.Grant) {
	for _, grant := range grants {
		if grant.Role == policy.Agents {
			agents = append(agents, grant)
		} else {
			others = append(others, grant)
		}
	}
	return agents, others
}

// privileges are the resources of a tenant's own privileges at a place, without those on extensions.
func (p place) privileges() []string {
	grants := slices.Concat(policy.OnTenantSchema(), policy.TenantDefaults())
	if p.isOwn() {
		_, connect := ofAgents(policy.OnOwnDatabase(true))
		grants = append(grants, connect...)
	}
	return p.names(grants...)
}

// functions are the resources of the tenant's privileges on functions.
func (p place) functions() []string {
	return p.names(slices.Concat(policy.OnFunctions(), policy.FunctionDefaults())...)
}

// agentPrivileges are the resources of what the tenant's agents hold, without those on extensions.
func (p place) agentPrivileges() []string {
	grants := slices.Concat(policy.OnAgents(), policy.AgentDefaults())
	if p.isOwn() {
		connect, _ := ofAgents(policy.OnOwnDatabase(true))
		grants = append(grants, connect...)
	}
	return p.names(grants...)
}

// adoption are the resources of privileges on the objects of an adopted schema.
func (p place) adoption() []string { return p.names(onAdopted()...) }

// closing are the resources of who holds what in a database of the tenant's own beside the tenant. There
// are none in the stack's database.
func (p place) closing() []string {
	if !p.isOwn() {
		return nil
	}
	return p.names(slices.Concat(policy.OnTenantDatabase(), policy.OnSchemaPublic(), policy.Defaults())...)
}

// onExtensions are the resources of the schema of the extensions in a tenant's own database, and of who
// holds what on it.
func (p place) onExtensions() []string {
	if !p.isOwn() {
		return nil
	}
	return append(p.names(onExtensions()...), p.prefix+"extension-schema")
}

// ownExtensions are the names of the extensions that a tenant's steps are about, sorted.
func (g steps) ownExtensions() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(below(g, databasePrefix+extensionPrefix))) {
		if g[databasePrefix+extensionPrefix+name].typ == typeExtension {
			names = append(names, name)
		}
	}
	return names
}

// nameDatabase writes the database's name where the preview does not know it: if the database is new and
// its encoding and locale are the server's, all that is in it waits for them.
func (g steps) nameDatabase() {
	if !g.all("create", "database") {
		return
	}
	for name, s := range g {
		if strings.HasPrefix(name, databasePrefix) && s.Op == "create" && s.NewState.Inputs["database"] == unknown {
			s.NewState.Inputs["database"] = g["database"].input("name")
		}
	}
}

// ownDatabaseName is the name of the tenant's database, as far as it is known.
func (e *explainer) ownDatabaseName(key string, g steps, cfg config.Tenant) string {
	return cmp.Or(g["database"].input("name"), e.ownDatabaseBefore(key), cfg.Database.Name, key)
}

// ownDatabaseBefore is the name of the database of its own that the tenant was in at the last deployment,
// empty for none.
func (e *explainer) ownDatabaseBefore(key string) string {
	if name := e.output(policy.OutputTenantDatabases, key); name != e.output(policy.OutputDatabase) {
		return name
	}
	return ""
}
