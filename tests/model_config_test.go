//go:build model

package tests

import (
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	pulumiconfig "github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"

	"tenant-permissions/internal/config"
)

// modelConfig is a stack's config. Its fields are what the changes choose.
type modelConfig struct {
	Tenants  map[string]*modelTenant
	Readers  map[string]*modelLogin
	App      modelLogin
	Admin    modelLogin
	Defaults modelLimits
	// DefaultFunctions is executeFunctions of tenantDefaults.
	DefaultFunctions bool
	Extensions       []string
	Unprotected      bool
	Closed           bool // closedDatabases
}

// modelTenant is a tenant. The names are empty for the default ones.
type modelTenant struct {
	modelLogin
	Role, Schema, DatabaseName string
	DatabaseLimit              int // 0 for none
	Agents                     map[string]*modelLogin
	Functions                  string // true, false, or empty for the default
	Own                        bool   // isolation: database
	Adopt                      bool
	Previous, Retire           string
	// Empty means that no migrations run.
	Empty bool
}

type modelLogin struct {
	modelLimits
	Version   int // 0 for the default
	Active    string
	RoleLogin bool
	// A and B are the passwordVersions of the alternating logins.
	A, B      int
	Suspended bool
	Until     string
}

type modelLimits struct{ Connections, Timeout, Idle int } // 0 for the default

// closedDatabase is a database that closedDatabases can name.
const closedDatabase = "other_database"

// newModelConfig has two tenants, one with a database of its own.
func newModelConfig() modelConfig {
	return modelConfig{Tenants: map[string]*modelTenant{"acme": {}, "globex": {Own: true}}, Readers: map[string]*modelLogin{}}
}

func (m modelConfig) clone() (clone modelConfig) {
	text, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(text, &clone)
	}
	if err != nil {
		panic(err) // It has only numbers, strings and booleans.
	}
	return clone
}

// names of a tenant.
func (t *modelTenant) names(key string) (role, schema, own string) {
	return cmp.Or(t.Role, "tenant_"+key), cmp.Or(t.Schema, "tenant_"+key), cmp.Or(t.DatabaseName, "tenant_"+key)
}

// A modelChanger changes the config m, of which deployed is what is deployed. It returns false if that
// is not possible.
type modelChanger func(m *modelConfig, deployed modelConfig, key string, arg int) bool

// ofTenant is a change of a tenant that is deployed already.
func ofTenant(change func(t, deployed *modelTenant, arg int) bool) modelChanger {
	return func(m *modelConfig, deployed modelConfig, key string, arg int) bool {
		return m.Tenants[key] != nil && deployed.Tenants[key] != nil && change(m.Tenants[key], deployed.Tenants[key], arg)
	}
}

// ofLogin is a change of some login: a tenant's, an agent's, a reader's, the app's or the admin's.
func ofLogin(change func(l *modelLogin, arg int)) modelChanger {
	return func(m *modelConfig, _ modelConfig, key string, arg int) bool {
		var logins []*modelLogin
		if t := m.Tenants[key]; t != nil {
			logins = append(logins, &t.modelLogin)
			for _, agent := range sortedKeys(t.Agents) {
				logins = append(logins, t.Agents[agent])
			}
		}
		for _, reader := range sortedKeys(m.Readers) {
			logins = append(logins, m.Readers[reader])
		}
		logins = append(logins, &m.App, &m.Admin)
		change(logins[arg%len(logins)], arg)
		return true
	}
}

// modelChanges are all changes by name.
var modelChanges = map[string]modelChanger{
	"add": func(m *modelConfig, deployed modelConfig, key string, arg int) bool {
		if m.Tenants[key] != nil || deployed.Tenants[key] != nil {
			return false
		}
		t := &modelTenant{Own: arg&1 != 0, Empty: arg&4 != 0}
		if arg&2 != 0 {
			t.Role, t.Schema = "r_"+key, "s_"+key
			if t.Own {
				t.DatabaseName = "d_" + key
			}
		}
		m.Tenants[key] = t
		return true
	},
	"remove": func(m *modelConfig, deployed modelConfig, key string, _ int) bool {
		was := deployed.Tenants[key]
		if m.Tenants[key] == nil || was == nil || was.Previous == "keep" {
			return false
		}
		if was.Retire != "drop" && (!deployed.Unprotected || !was.Empty || was.Own) {
			return false
		}
		delete(m.Tenants, key)
		return true
	},
	"suspend": ofTenant(func(t, _ *modelTenant, arg int) bool { t.Suspended = arg%3 != 0; return true }),
	"retire": ofTenant(func(t, _ *modelTenant, arg int) bool {
		t.Retire = []string{"keep", "drop", ""}[arg%3]
		return true
	}),
	"move": ofTenant(func(t, deployed *modelTenant, _ int) bool {
		if t.Own != deployed.Own || t.Retire+deployed.Retire != "" {
			return false
		}
		t.Own, t.Previous = !t.Own, "keep"
		return true
	}),
	"previous": ofTenant(func(t, deployed *modelTenant, arg int) bool {
		switch {
		case t.Previous == "" || t.Own != deployed.Own:
			return false
		case deployed.Previous == "drop" && arg%2 == 0:
			t.Previous = ""
		default:
			t.Previous = []string{"drop", "keep"}[arg%4/3]
		}
		return true
	}),
	"functions": ofTenant(func(t, _ *modelTenant, arg int) bool {
		t.Functions = []string{"true", "false", ""}[arg%3]
		return true
	}),
	"adopt": ofTenant(func(t, _ *modelTenant, arg int) bool { t.Adopt = arg%3 != 0; return true }),
	"agent": func(m *modelConfig, _ modelConfig, key string, arg int) bool {
		t, agent := m.Tenants[key], []string{"chat", "report"}[arg%2]
		if t == nil {
			return false
		}
		if t.Agents == nil {
			t.Agents = map[string]*modelLogin{}
		}
		switch {
		case t.Agents[agent] == nil:
			t.Agents[agent] = &modelLogin{}
		case arg < 4:
			delete(t.Agents, agent)
		default:
			t.Agents[agent].Suspended = !t.Agents[agent].Suspended
		}
		return true
	},
	"reader": func(m *modelConfig, _ modelConfig, _ string, arg int) bool {
		reader := []string{"analyst", "oncall"}[arg%2]
		switch {
		case m.Readers[reader] == nil:
			m.Readers[reader] = &modelLogin{Until: []string{"", "2100-01-01T00:00:00Z"}[arg/2%2]}
		case arg < 4:
			delete(m.Readers, reader)
		default:
			m.Readers[reader].Until = []string{"2100-01-01T00:00:00Z", "2101-01-01T00:00:00Z", ""}[arg%3]
		}
		return true
	},
	"rotate": ofLogin(func(l *modelLogin, _ int) { l.Version = max(1, l.Version) + 1 }),
	"logins": ofLogin(func(l *modelLogin, arg int) {
		switch {
		case l.Active == "":
			l.Active, l.RoleLogin = "a", arg%2 == 0
		case arg == 0:
			*l = modelLogin{modelLimits: l.modelLimits, Version: l.Version, Suspended: l.Suspended, Until: l.Until}
		case arg%3 == 0:
			l.RoleLogin = !l.RoleLogin
		case arg%3 == 1:
			version := map[string]*int{"a": &l.B, "b": &l.A}[l.Active] // of the one that is not in use
			*version = max(1, *version) + 1
		default:
			l.Active = map[string]string{"a": "b", "b": "a"}[l.Active]
		}
	}),
	"limits": ofLogin(func(l *modelLogin, arg int) {
		l.modelLimits = modelLimits{Connections: arg % 2 * 30, Timeout: arg / 2 % 2 * 20000, Idle: arg / 4 * 30000}
	}),
	"database limit": ofTenant(func(t, _ *modelTenant, arg int) bool { t.DatabaseLimit = arg % 2 * 60; return true }),
	"defaults": func(m *modelConfig, _ modelConfig, _ string, arg int) bool {
		m.DefaultFunctions = arg%2 == 1
		m.Defaults = modelLimits{Connections: arg / 2 % 2 * 25, Timeout: arg / 4 * 15000}
		return true
	},
	"extensions": func(m *modelConfig, _ modelConfig, _ string, arg int) bool {
		m.Extensions = [][]string{nil, {"citext"}, {"citext", "hstore"}, {"hstore"}}[arg%4]
		return true
	},
	"protect": func(m *modelConfig, _ modelConfig, _ string, arg int) bool { m.Unprotected = arg%2 == 0; return true },
	"closed":  func(m *modelConfig, _ modelConfig, _ string, arg int) bool { m.Closed = arg%2 == 0; return true },
}

// changed is the config after changes. What is not possible with a tenant, is not accepted, or changes
// nothing, is tried with the next tenant.
func (m modelConfig) changed(t *testing.T, changes []modelChange) modelConfig {
	t.Helper()
	next := m.clone()
	for _, change := range changes {
		do := modelChanges[change.Do]
		if do == nil {
			t.Fatalf("there is no change %q", change.Do)
		}
		first := max(0, slices.Index(modelTenants, change.Tenant))
		for _, tenant := range slices.Concat(modelTenants[first:], modelTenants[:first]) {
			tried := next.clone()
			if do(&tried, m, tenant, change.Arg) && tried.accepted() && !reflect.DeepEqual(tried, next) {
				next = tried
				break
			}
		}
	}
	return next
}

// allowDrops makes it possible to destroy the stack.
func (m *modelConfig) allowDrops() {
	m.Unprotected = true
	for _, tenant := range m.Tenants {
		tenant.Retire = "drop"
		if tenant.Previous != "" {
			tenant.Previous = "drop"
		}
	}
}

// accepted reports whether the program accepts the config. What it refuses other tests show.
func (m modelConfig) accepted() bool {
	values := config.Values{"postgresql:database": {Value: database}}
	for key, value := range map[string]object{"tenants": m.tenants(), "roles": m.roles(), "readers": m.readers()} {
		text, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		values["tenant-permissions:"+key] = config.Value{Value: string(text)}
	}
	for key, value := range m.settings() {
		text, err := value.Value(pulumiconfig.NopDecrypter)
		if err != nil {
			panic(err)
		}
		values["tenant-permissions:"+key] = config.Value{Value: text}
	}
	_, err := config.Load(values, func(string) (string, bool) { return "", false })
	return err == nil
}

func (m modelConfig) tenants() object {
	all := object{}
	for key, t := range m.Tenants {
		tenant := t.object()
		put(tenant, "role", t.Role)
		put(tenant, "schema", t.Schema)
		put(tenant, "previous", t.Previous)
		put(tenant, "retire", t.Retire)
		if t.Functions != "" {
			tenant["executeFunctions"] = t.Functions == "true"
		}
		if t.Own {
			tenant["isolation"] = "database"
		}
		if t.Adopt {
			tenant["adopt"] = true
		}
		own := object{}
		if put(own, "name", t.DatabaseName); t.DatabaseLimit != 0 {
			own["connectionLimit"] = t.DatabaseLimit
		}
		if len(own) > 0 && (t.Own || t.Previous != "") {
			tenant["database"] = own
		}
		if len(t.Agents) > 0 {
			tenant["agents"] = loginObjects(t.Agents)
		}
		all[key] = tenant
	}
	return all
}

// logins are all logins by the name of the role.
func (m *modelConfig) logins() map[string]*modelLogin {
	all := map[string]*modelLogin{"app_service_role": &m.App, "admin_service_login": &m.Admin}
	maps.Copy(all, m.Readers)
	for key, t := range m.Tenants {
		role, _, _ := t.names(key)
		all[role] = &t.modelLogin
		for agent, login := range t.Agents {
			all[role+"_"+agent] = login
		}
	}
	return all
}

func (m modelConfig) readers() object { return loginObjects(m.Readers) }

func (m modelConfig) roles() object { return object{"app": m.App.object(), "admin": m.Admin.object()} }

func loginObjects(all map[string]*modelLogin) object {
	objects := object{}
	for key, login := range all {
		objects[key] = login.object()
	}
	return objects
}

func (l modelLogin) object() object {
	o := object{}
	maps.Copy(o, l.modelLimits.object())
	put(o, "passwordVersion", l.Version)
	put(o, "validUntil", l.Until)
	if l.Suspended {
		o["suspended"] = true
	}
	if l.Active != "" {
		two := object{"active": l.Active}
		if l.RoleLogin {
			two["roleLogin"] = true
		}
		for key, version := range map[string]int{"a": l.A, "b": l.B} {
			if version != 0 {
				two[key] = object{"passwordVersion": version}
			}
		}
		o["logins"] = two
	}
	return o
}

func (l modelLimits) object() object {
	o := object{}
	put(o, "connectionLimit", l.Connections)
	put(o, "statementTimeout", l.Timeout)
	put(o, "idleInTransactionSessionTimeout", l.Idle)
	return o
}

// put adds a value that is not the zero value.
func put[T comparable](o object, key string, value T) {
	var zero T
	if value != zero {
		o[key] = value
	}
}

// settings are the keys besides tenants, roles and readers.
func (m modelConfig) settings() map[string]pulumiconfig.Value {
	settings := map[string]pulumiconfig.Value{}
	set := func(key string, value any) {
		text, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		settings[key] = pulumiconfig.NewObjectValue(string(text))
	}
	if defaults := m.Defaults.object(); len(defaults) > 0 || m.DefaultFunctions {
		if m.DefaultFunctions {
			defaults["executeFunctions"] = true
		}
		set("tenantDefaults", defaults)
	}
	if len(m.Extensions) > 0 {
		extensions := object{}
		for _, name := range m.Extensions {
			extensions[name] = object{}
		}
		set("extensions", extensions)
	}
	if m.Unprotected {
		settings["protectTenants"] = pulumiconfig.NewTypedValue("false", pulumiconfig.TypeBool)
	}
	if m.Closed {
		set("closedDatabases", []string{closedDatabase})
	}
	return settings
}

func sortedKeys[T any](all map[string]T) []string { return slices.Sorted(maps.Keys(all)) }

// limits are those of a tenant, with the defaults.
func (m modelConfig) limits(t *modelTenant) modelLimits {
	return modelLimits{
		Connections: cmp.Or(t.Connections, m.Defaults.Connections),
		Timeout:     cmp.Or(t.Timeout, m.Defaults.Timeout),
		Idle:        cmp.Or(t.Idle, m.Defaults.Idle),
	}
}

// functions reports whether a tenant may execute functions.
func (m modelConfig) functions(t *modelTenant) bool {
	return t.Functions == "true" || t.Functions == "" && m.DefaultFunctions
}

// searchPath is what the model expects in search_path.
func (m modelConfig) searchPath(schema string) string {
	path := []string{cmp.Or(schema, "pg_catalog")}
	if len(m.Extensions) > 0 {
		path = append(path, "extensions")
	}
	return strings.Join(path, ",")
}
