package audit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/policy"
	"tenant-permissions/tools/connect"
)

// declared is what the stacks of one database have deployed, by their outputs.
type declared struct {
	database string
	// Names of the shared roles.
	app, admin, allTenants, allTenantsAdmin string
	// readers are the roles of further readers by key, "" where the outputs have only their login.
	readers map[string]string
	// logins are what app, admin and readers log in with, by key: more than one where a cell has not
	// run since the platform has changed.
	logins  map[string][]string
	tenants []Tenant // by key
	// extensionSchema is the schema of the extensions, "" if there are none. extensions are their
	// configured versions by name, "" for the server's default.
	extensionSchema string
	extensions      map[string]string
	// limits are what the config says of logins, by name.
	limits map[string]limits
}

// limits are what the config says of a login. Timeouts are in milliseconds, 0 for none.
type limits struct {
	ConnectionLimit                 int       `json:"connectionLimit"`
	StatementTimeout                int       `json:"statementTimeout"`
	IdleInTransactionSessionTimeout int       `json:"idleInTransactionSessionTimeout"`
	ValidUntil                      time.Time `json:"validUntil"`
}

// outputs are what one stack exports, as far as it matters here.
type outputs struct {
	database, app, admin, allTenants, allTenantsAdmin                     string
	roles, logins, tenantRoles, tenantLogins, tenantSchemas, retiredRoles map[string]string
	tenantDatabases, previous, agentsRoles, extensions                    map[string]string
	extensionSchema                                                       string
	agents                                                                map[string]map[string]string
	limits                                                                map[string]limits
}

// output is a value of one stack's outputs, and where it is kept.
type output[T any] struct {
	name     string
	to       *T
	optional bool // was added to the outputs after their first version
}

func (o *outputs) names() []output[string] {
	return []output[string]{
		{name: policy.OutputDatabase, to: &o.database},
		{name: policy.OutputApp, to: &o.app},
		{name: policy.OutputAdmin, to: &o.admin},
		{name: policy.OutputAllTenants, to: &o.allTenants},
		{name: policy.OutputAllTenantsAdmin, to: &o.allTenantsAdmin},
	}
}

func (o *outputs) namesByKey() []output[map[string]string] {
	return []output[map[string]string]{
		{policy.OutputRoles, &o.roles, true},
		{policy.OutputLogins, &o.logins, false},
		{policy.OutputTenantRoles, &o.tenantRoles, false},
		{policy.OutputTenantLogins, &o.tenantLogins, false},
		{policy.OutputTenantSchemas, &o.tenantSchemas, false},
		{policy.OutputRetiredRoles, &o.retiredRoles, true},
		{policy.OutputTenantDatabases, &o.tenantDatabases, true},
		{policy.OutputPrevious, &o.previous, true},
		{policy.OutputAgentRoles, &o.agentsRoles, true},
		{policy.OutputExtensions, &o.extensions, true},
	}
}

// readStacks reads the outputs of all stacks of a database: the platform and its cells. It reports all
// problems at once. If outputs may be empty, such a stack counts as not deployed.
func readStacks(source *connect.Source, mayBeEmpty bool) (declared, error) {
	d := declared{readers: map[string]string{}, logins: map[string][]string{}, extensions: map[string]string{}, limits: map[string]limits{}}
	var problems []error
	files := map[string]string{} // by tenant, role and schema: the file that has it
	var first *outputs
	for _, file := range source.Outputs {
		var values map[string]json.RawMessage
		if err := source.ReadTo(file, &values); err != nil {
			problems = append(problems, fmt.Errorf("%s is not what `pulumi stack output --json` prints: %w", file, err))
			continue
		}
		if mayBeEmpty && len(values) == 0 {
			continue
		}
		o, err := readOutputs(file, values)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if first == nil {
			first = o
			d.database, d.app, d.admin, d.allTenants, d.allTenantsAdmin = o.database, o.app, o.admin, o.allTenants, o.allTenantsAdmin
		}
		d.extensionSchema = cmp.Or(d.extensionSchema, o.extensionSchema)
		maps.Copy(d.extensions, o.extensions)
		maps.Copy(d.limits, o.limits)
		problems = append(problems, differences(file, o, first)...)
		problems = append(problems, d.addLogins(file, o)...)
		problems = append(problems, d.addTenants(file, o, files)...)
	}
	slices.SortFunc(d.tenants, func(a, b Tenant) int { return strings.Compare(a.Key, b.Key) })
	return d, errors.Join(problems...)
}

// differences are the shared names that are not those of the first stack.
func differences(file string, o, first *outputs) (problems []error) {
	wanted := first.names()
	for i, name := range o.names() {
		if *name.to != *wanted[i].to {
			problems = append(problems, fmt.Errorf("%s: %s: %s is not %s, which the files before have; give only stacks of one database and one platform",
				file, name.name, config.Show(*name.to), config.Show(*wanted[i].to)))
		}
	}
	return problems
}

// addLogins adds the logins of the app, the admin and the readers, and the readers.
func (d *declared) addLogins(file string, o *outputs) (problems []error) {
	for _, key := range sortedKeys(o.logins) {
		if !slices.Contains(d.logins[key], o.logins[key]) {
			d.logins[key] = append(d.logins[key], o.logins[key])
		}
		if key == "app" || key == "admin" {
			continue
		}
		if role := d.readers[key]; role != "" && o.roles[key] != "" && role != o.roles[key] {
			problems = append(problems, fmt.Errorf("%s: %s: %s is not %s, which the files before have; give only stacks of one platform",
				file, config.Join(policy.OutputRoles, key), config.Show(o.roles[key]), config.Show(role)))
		}
		d.readers[key] = cmp.Or(d.readers[key], o.roles[key])
	}
	return problems
}

// addTenants adds the tenants of a stack, and notes in files what each takes.
func (d *declared) addTenants(file string, o *outputs, files map[string]string) (problems []error) {
	for _, key := range sortedKeys(o.tenantSchemas) {
		tenant := Tenant{
			Key: key, Role: o.tenantRoles[key], Login: o.tenantLogins[key], Retired: o.retiredRoles[key], Schema: o.tenantSchemas[key], Stack: file,
			Agents: o.agents[key], AgentsRole: o.agentsRoles[key],
		}
		if database := o.tenantDatabases[key]; database != o.database {
			tenant.Database = database
		}
		if database := o.previous[key]; database != o.database {
			tenant.Previous = database
		}
		for _, taken := range []string{
			"the tenant " + config.Show(key), "the role " + config.Show(tenant.Role+tenant.Retired), "the schema " + config.Show(strings.TrimPrefix(tenant.Database+"."+tenant.Schema, ".")),
		} {
			if other := files[taken]; other != "" {
				problems = append(problems, fmt.Errorf("%s: %s: %s has %s already; give each stack once", file, config.Join(policy.OutputTenantSchemas, key), other, taken))
			}
			files[taken] = file
		}
		d.tenants = append(d.tenants, tenant)
	}
	return problems
}

// readOutputs reads the outputs of one stack.
func readOutputs(file string, values map[string]json.RawMessage) (*outputs, error) {
	o := &outputs{}
	var problems []error
	if version, ok := values[policy.OutputVersion]; ok && string(version) != strconv.Itoa(policy.OutputsVersion) {
		problems = append(problems, fmt.Errorf("%s: %s: %s is not accepted; this tool reads version %d, so use the tool of the commit that deployed the stack",
			file, policy.OutputVersion, config.Show(version), policy.OutputsVersion))
	}
	unreadable := func(output, wanted string) {
		problem := fmt.Errorf("%s: %s: missing; give the outputs of a deployed stack, which have %s here", file, output, wanted)
		if raw := values[output]; len(raw) > 0 && string(raw) != "null" {
			problem = fmt.Errorf("%s: %s: %s is not accepted; give the outputs of a deployed stack, which have %s here", file, output, config.Show(raw), wanted)
		}
		problems = append(problems, problem)
	}
	for _, name := range o.names() {
		if json.Unmarshal(values[name.name], name.to) != nil || *name.to == "" {
			unreadable(name.name, "a name")
		}
	}
	for _, names := range o.namesByKey() {
		raw, ok := values[names.name]
		if !ok && names.optional {
			continue
		}
		if json.Unmarshal(raw, names.to) != nil || *names.to == nil {
			unreadable(names.name, "names by key")
		}
	}
	// Stacks of before these outputs do not have them.
	for _, output := range []struct {
		name, wanted string
		to           any
	}{
		{policy.OutputExtensionSchema, "a name, or an empty text", &o.extensionSchema},
		{policy.OutputTenantAgents, "names by tenant and agent", &o.agents},
		{policy.OutputLimits, "the limits of logins by name", &o.limits},
	} {
		if raw, ok := values[output.name]; ok && json.Unmarshal(raw, output.to) != nil {
			unreadable(output.name, output.wanted)
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	for _, contradiction := range o.contradictions() {
		problems = append(problems, fmt.Errorf("%s: %s; deploy the stack, then write its outputs again", file, contradiction))
	}
	return o, errors.Join(problems...)
}

// contradictions are what the outputs of one deployed stack never have, sorted.
func (o *outputs) contradictions() (found []string) {
	add := func(output, key, text string) { found = append(found, config.Join(output, key)+": "+text) }
	for _, key := range sortedKeys(o.tenantSchemas) {
		switch role, login, retired := o.tenantRoles[key], o.tenantLogins[key], o.retiredRoles[key]; {
		case role == "" && retired == "":
			add(policy.OutputRetiredRoles, key, "missing, although "+policy.OutputTenantRoles+" does not have the tenant")
		case role != "" && login == "":
			add(policy.OutputTenantLogins, key, "missing, although "+policy.OutputTenantRoles+" has the tenant")
		case role == "" && login != "":
			add(policy.OutputTenantLogins, key, config.Show(login)+" is the login of a tenant that "+policy.OutputTenantRoles+" does not have")
		case role != "" && retired != "":
			add(policy.OutputRetiredRoles, key, config.Show(retired)+" is the role of a tenant that "+policy.OutputTenantRoles+" has, so it is not retired")
		}
	}
	for _, key := range sortedKeys(o.agents) {
		if o.agentsRoles[key] == "" {
			add(policy.OutputAgentRoles, key, "missing, although "+policy.OutputTenantAgents+" has agents of the tenant")
		}
	}
	ofTenants := []string{policy.OutputTenantRoles, policy.OutputTenantLogins, policy.OutputRetiredRoles, policy.OutputTenantDatabases, policy.OutputPrevious, policy.OutputAgentRoles}
	for _, names := range o.namesByKey() {
		if !slices.Contains(ofTenants, names.name) {
			continue
		}
		for _, key := range sortedKeys(*names.to) {
			if o.tenantSchemas[key] == "" {
				add(names.name, key, config.Show((*names.to)[key])+" is of a tenant that "+policy.OutputTenantSchemas+" does not have")
			}
		}
	}
	slices.Sort(found)
	return found
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
