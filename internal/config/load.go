package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Namespace is the prefix of the program's own config keys, before a colon.
const Namespace = "tenant-permissions"

// Value is the value of one config key, a plain string or JSON text. It has the JSON form that `pulumi
// config --json` prints.
type Value struct {
	Value  string `json:"value"`
	Secret bool   `json:"secret"`
}

// Values are the values of a stack's config by full key, such as tenant-permissions:tenants.
type Values map[string]Value

// FromEnvironment reads the config that the Pulumi CLI passes to the program. env looks up a variable
// as os.LookupEnv does. The error is about variables that are not JSON, and contains no value.
//
// The SDK looks up keys one by one and cannot list them; a misspelt key such as role would then rename
// every role to its default.
func FromEnvironment(env func(string) (string, bool)) (Values, error) {
	var plain map[string]string
	var secrets []string
	// The names are pulumi.EnvConfig and pulumi.EnvConfigSecretKeys of the SDK.
	if err := fromVariable(env, "PULUMI_CONFIG", &plain); err != nil {
		return nil, err
	}
	if err := fromVariable(env, "PULUMI_CONFIG_SECRET_KEYS", &secrets); err != nil {
		return nil, err
	}
	values := Values{}
	for key, value := range plain {
		values[key] = Value{Value: value, Secret: slices.Contains(secrets, key)}
	}
	return values, nil
}

func fromVariable(env func(string) (string, bool), name string, into any) error {
	text, _ := env(name)
	if err := json.Unmarshal([]byte(cmp.Or(text, "null")), into); err != nil {
		return fmt.Errorf("%s is not the JSON that the Pulumi CLI writes: run the program with pulumi up or pulumi preview", name)
	}
	return nil
}

// Load makes a Config of the values. env looks up variables as os.LookupEnv does: PGDATABASE and PGUSER,
// which the provider reads too, and PULUMI_PROJECT, the name of the project. The error lists every
// problem, one a line, with the path in the config, the value, and what is accepted. It never contains
// a secret value.
func Load(values Values, env func(string) (string, bool)) (Config, error) {
	p := &Problems{}
	top := ownKeys(values, env, p)
	if err := p.Err(); err != nil {
		return Config{}, err // values are not read if one of them is secret: a message could show it
	}
	cfg := Config{
		Database:        database(values, env, p),
		User:            connectingUser(values, env),
		Platform:        top.platform(),
		ProtectTenants:  top.bool("protectTenants", true),
		ExtensionSchema: top.extensionSchema(),
		Extensions:      map[string]Extension{},
		Readers:         map[string]Login{},
		Tenants:         map[string]Tenant{},
	}
	cfg.ClosedDatabases = top.closedDatabases(cfg.Database)
	top.roles(&cfg)

	extensions := top.object("extensions")
	for _, name := range extensions.keys(acceptedExtension, ValidExtension) {
		extension := extensions.object(name)
		cfg.Extensions[name] = Extension{Version: field(extension, "version", "", acceptedVersion, versionRegexp.MatchString)}
		extension.done()
	}

	readers := top.object("readers")
	for _, key := range readers.keys(acceptedName, ValidName) {
		if key == "app" || key == "admin" {
			p.Add(Join("readers", key), "the outputs use the key %s for the shared role; choose another key", key)
		}
		reader := readers.object(key)
		login := reader.login("name", key, noLimits())
		login.ValidUntil = reader.time("validUntil")
		for i := range login.Alternating {
			login.Alternating[i].ValidUntil = login.ValidUntil
		}
		cfg.Readers[key] = login
		reader.done()
	}

	if _, set := top.fields["tenants"]; !set {
		// Without this, a forgotten key would drop every tenant.
		p.Add("tenants", "missing; give an object of tenants by key, {} for none")
	}
	defaults := top.object("tenantDefaults")
	limits, execute := defaults.limits(noLimits()), defaults.bool("executeFunctions", false)
	defaults.done()
	tenants := top.object("tenants")
	for _, key := range tenants.keys(acceptedKey, ValidKey) {
		tenant := tenants.object(key)
		cfg.Tenants[key] = tenant.tenant(key, limits, execute)
		tenant.done()
	}
	top.done()

	claimDatabases(cfg, p)
	if path, taken := claimNames(cfg, p)[cfg.User]; taken {
		// PostgreSQL refuses the admin option on a role to the user that grants it, and the provider
		// would change the role that it is logged in as.
		p.Add(path, "this is the user that the provider connects as; choose another name")
	}
	return cfg, p.Err()
}

// ownKeys are the program's own keys as one object. The CLI puts a key without a namespace into that
// of the project. If the project has another name than the namespace, such a key is a problem: nobody
// would read it.
func ownKeys(values Values, env func(string) (string, bool), p *Problems) *object {
	project, _ := env("PULUMI_PROJECT") // pulumi.EnvProject of the SDK
	top := &object{fields: map[string]json.RawMessage{}, problems: p}
	for full, value := range values {
		key, own := strings.CutPrefix(full, Namespace+":")
		if !own {
			namespace, name, _ := strings.Cut(full, ":")
			if namespace == project && slices.ContainsFunc(Keys(), func(k Key) bool { return k.Path == name }) {
				p.Add(full, "the program does not read this key; use %s:%s", Namespace, name)
			}
			continue
		}
		if value.Secret {
			p.Add(key, "the value is secret; set it without --secret, because the outputs show its names in plain text")
		}
		top.fields[key] = json.RawMessage(value.Value)
	}
	return top
}

// database reads the provider's own key. There is no second one: PostgreSQL drops a role only where
// the provider is connected, so the two must never differ.
func database(values Values, env func(string) (string, bool), p *Problems) string {
	path := "postgresql:database"
	value, set := values[path]
	if !set {
		path = "PGDATABASE"
		value.Value, set = env(path)
	}
	switch {
	case !set:
		p.Add("postgresql:database", "missing; give the name of the existing database that contains the tenants' schemas")
	case !ValidDatabase(value.Value) && value.Secret:
		p.Add(path, "the secret value is not accepted; give %s", acceptedDatabase)
	case !ValidDatabase(value.Value):
		p.Add(path, "%s is not accepted; give %s", Show(value.Value), acceptedDatabase)
	}
	return value.Value
}

// connectingUser is the user that the provider connects as, found as the provider finds it.
func connectingUser(values Values, env func(string) (string, bool)) string {
	if user, set := values["postgresql:username"]; set {
		return user.Value
	}
	user, _ := env("PGUSER")
	return cmp.Or(user, "postgres")
}

// platform takes the name of the stack that this one is a cell of, empty if it is not a cell. The
// value is a plain word and not JSON. What belongs to the platform is refused.
func (o *object) platform() string {
	raw, _ := o.take("platform")
	platform := string(raw)
	if platform == "" {
		return ""
	}
	if !ValidPlatform(platform) {
		o.problems.Add("platform", "%s is not accepted; give %s", Show(platform), acceptedPlatform)
	}
	for _, shared := range []struct{ key, def string }{
		{"closedDatabases", "[]"}, {"extensions", "{}"}, {"extensionSchema", defaultExtensionSchema}, {"readers", "{}"}, {"roles", "{}"},
	} {
		// The default changes nothing, so it is accepted.
		if raw, set := o.fields[shared.key]; set && string(raw) != shared.def {
			o.problems.Add(shared.key, "%s belongs in the config of the platform; remove it from this cell", Show(raw))
			delete(o.fields, shared.key)
		}
	}
	return platform
}

// extensionSchema takes the name of the schema of the extensions. The value is a plain word and not
// JSON.
func (o *object) extensionSchema() string {
	raw, set := o.take("extensionSchema")
	if !set {
		return defaultExtensionSchema
	}
	if name := string(raw); !ValidName(name) {
		o.problems.Add("extensionSchema", "%s is not accepted; give %s", Show(name), acceptedName)
	}
	return string(raw)
}

// closedDatabases takes the databases that are closed to PUBLIC besides the stack's own.
func (o *object) closedDatabases(own string) []string {
	accepted := "a list of databases other than postgresql:database, each once: " + acceptedDatabase
	return field(o, "closedDatabases", nil, accepted, func(names []string) bool {
		seen := map[string]bool{own: true}
		for _, name := range names {
			if seen[name] || !ValidDatabase(name) {
				return false
			}
			seen[name] = true
		}
		return true
	})
}

// roles takes the shared roles.
func (o *object) roles(cfg *Config) {
	roles := o.object("roles")
	app := roles.object("app")
	cfg.App = app.login("name", "app_service_role", noLimits())
	cfg.App.BypassRowLevelSecurity = app.bool("bypassRowLevelSecurity", false)
	app.done()

	// SUPERUSER, REPLICATION and BYPASSRLS must be asked for: a superuser ends the isolation of
	// tenants, and no managed service allows one.
	admin := roles.object("admin")
	cfg.Admin = Admin{
		Name:                   admin.name("name", "admin_service_role"),
		CreateDatabase:         admin.bool("createDatabase", true),
		CreateRole:             admin.bool("createRole", true),
		Superuser:              admin.bool("superuser", false),
		Replication:            admin.bool("replication", false),
		Inherit:                admin.bool("inherit", true),
		BypassRowLevelSecurity: admin.bool("bypassRowLevelSecurity", false),
		Login:                  admin.login("loginName", "admin_service_login", noLimits()),
	}
	admin.done()

	cfg.AllTenants = roles.groupRole("allTenants", "all_tenants")
	cfg.AllTenantsAdmin = roles.groupRole("allTenantsAdmin", "all_tenants_admin")
	roles.done()
}

// name takes the name of a role or schema.
func (o *object) name(key, def string) string {
	return field(o, key, def, acceptedName, ValidName)
}

// groupRole takes the name of a group role, the only thing about it that can be configured.
func (o *object) groupRole(key, def string) string {
	group := o.object(key)
	defer group.done()
	return group.name("name", def)
}

// noLimits are the limits of a role that PostgreSQL creates.
func noLimits() Limits { return Limits{ConnectionLimit: -1} }

// limits takes the limits of a login. defaults hold where a limit is not given.
func (o *object) limits(defaults Limits) Limits {
	return Limits{
		ConnectionLimit:                 o.int("connectionLimit", defaults.ConnectionLimit, -1, "a whole number of sessions, -1 for no limit"),
		StatementTimeout:                o.duration("statementTimeout", defaults.StatementTimeout),
		IdleInTransactionSessionTimeout: o.duration("idleInTransactionSessionTimeout", defaults.IdleInTransactionSessionTimeout),
	}
}

// login takes the fields that every login has.
func (o *object) login(nameKey, def string, defaults Limits) Login {
	login := Login{
		Name:            o.name(nameKey, def),
		CanLogin:        true,
		Limits:          o.limits(defaults),
		PasswordVersion: o.passwordVersion(),
	}
	login.Active = login.Name
	_, alternating := o.fields["logins"]
	logins := o.object("logins")
	if !alternating || logins.invalid {
		return login
	}
	if _, set := logins.fields["active"]; !set {
		o.problems.Add(Join(logins.path, "active"), "missing; give a or b, the login that the outputs name")
	}
	active := field(logins, "active", "a", "a or b, the login that the outputs name",
		func(suffix string) bool { return slices.Contains(AlternatingSuffixes(), suffix) })
	login.CanLogin = logins.bool("roleLogin", false)
	login.Active += "_" + active
	if len(login.Active) > MaxNameBytes {
		o.problems.Add(Join(o.path, nameKey), "%s is too long; give at most 61 bytes, because its alternating logins add _a and _b", Show(login.Name))
	}
	for _, suffix := range AlternatingSuffixes() {
		own := logins.object(suffix)
		name := login.Name + "_" + suffix
		login.Alternating = append(login.Alternating, Login{
			Name:            name,
			CanLogin:        true,
			Limits:          login.Limits,
			PasswordVersion: own.passwordVersion(),
			Active:          name,
		})
		own.done()
	}
	logins.done()
	return login
}

func (o *object) passwordVersion() int {
	return o.int("passwordVersion", 1, 1, "a whole number from 1")
}

// tenant takes the fields of a tenant. limits and execute are those of tenantDefaults.
func (o *object) tenant(key string, limits Limits, execute bool) Tenant {
	tenant := Tenant{
		Login:            o.login("role", defaultPrefix+key, limits),
		Schema:           o.name("schema", defaultPrefix+key),
		ExecuteFunctions: o.bool("executeFunctions", execute),
		Adopt:            o.bool("adopt", false),
		Retire:           field(o, "retire", NotRetired, "keep or drop", func(r Retirement) bool { return r == RetireKeep || r == RetireDrop }),
		Agents:           map[string]Login{},
	}
	withoutLogin := o.bool("suspended", false) || tenant.Retire != NotRetired
	if withoutLogin {
		tenant.Login = tenant.Login.withoutLogin()
	}
	agents := o.object("agents")
	for _, key := range agents.keys(acceptedAgentKey, ValidName) {
		agent := agents.object(key)
		login := agent.login("name", tenant.Login.Name+"_"+key, noLimits())
		if agent.bool("suspended", false) || withoutLogin {
			login = login.withoutLogin()
		}
		if !ValidName(login.Name) {
			o.problems.Add(Join(agents.path, key), "the name %s is too long; give a shorter key, or set %s", Show(login.Name), Join(agent.path, "name"))
		}
		agent.done()
		tenant.Agents[key] = login
	}
	o.isolation(key, &tenant)
	tenant.AgentsRole = AgentsRole(tenant.Login.Name)
	if len(tenant.Agents) > 0 && len(tenant.AgentsRole) > MaxNameBytes {
		o.problems.Add(Join(o.path, "role"), "%s is too long; give at most 56 bytes, because the group role of its agents adds _agents", Show(tenant.Login.Name))
	}
	return tenant
}

// isolation takes the fields about the tenant's database.
func (o *object) isolation(key string, tenant *Tenant) {
	tenant.Isolation = field(o, "isolation", IsolationSchema, "schema or database",
		func(i Isolation) bool { return i == IsolationSchema || i == IsolationDatabase })
	tenant.Previous = field(o, "previous", PreviousNone, "keep or drop",
		func(p Previous) bool { return p == PreviousKeep || p == PreviousDrop })
	database := o.object("database")
	set := len(database.fields) > 0
	tenant.Database = TenantDatabase{
		Name:            field(database, "name", defaultPrefix+key, acceptedDatabase, ValidDatabase),
		ConnectionLimit: database.int("connectionLimit", -1, -1, "a whole number of sessions, -1 for no limit"),
		Encoding:        field(database, "encoding", "", acceptedEncoding, encodingRegexp.MatchString),
		LcCollate:       field(database, "lcCollate", "", acceptedLocale, localeRegexp.MatchString),
		Tablespace:      field(database, "tablespace", "", acceptedTablespace, ValidDatabase),
	}
	database.done()
	if set && !tenant.HasDatabase() {
		o.problems.Add(database.path, "the tenant has no database of its own; set isolation to database, or remove this key")
	}
}
