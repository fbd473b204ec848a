// Package config reads the config of a stack: types, defaults, strict decoding, and the names that a
// stack takes on its server. It does not use Pulumi, so that tools can read a config as the program
// does.
package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Config is the whole config of a stack, valid and with all defaults. A Config that Load returns
// without an error can be turned into resources.
type Config struct {
	// Database is the name of the existing database that contains the tenants' schemas. The provider
	// connects to it as User.
	Database, User string
	// Platform is the full name of the stack that has the shared roles, if this stack is a cell, which
	// has tenants only. It is empty otherwise.
	Platform string
	// ClosedDatabases are other databases of the server that are closed to PUBLIC.
	ClosedDatabases []string
	// Extensions are PostgreSQL's extensions that tenants may use, by name. They live in the schema
	// ExtensionSchema. A cell has none of its own.
	Extensions map[string]Extension
	// ExtensionSchema is the name of the schema of the extensions.
	ExtensionSchema string
	// ProtectTenants makes a run fail that would drop a tenant's schema because its key is gone.
	ProtectTenants bool
	// App is the login that reads the data of every tenant.
	App Login
	// Admin owns the tenants' schemas.
	Admin Admin
	// AllTenants and AllTenantsAdmin are the names of the two group roles of the tenants.
	AllTenants, AllTenantsAdmin string
	// Readers are further read-only logins, members of the app role, by their key in the config.
	Readers map[string]Login
	// Tenants are the tenants by their key in the config. The key is the tenant's identity: the logical
	// names of its resources come from it, so another key is another tenant.
	Tenants map[string]Tenant
}

// Login is a role that logs in with a generated password, or that has two alternating logins.
type Login struct {
	// Name is the name of the role in PostgreSQL.
	Name string
	// CanLogin is the role's LOGIN attribute. Without it, role, password and data stay.
	CanLogin bool
	Limits
	// ValidUntil is when the password expires. It is the zero time for never.
	ValidUntil time.Time
	// PasswordVersion is a number from 1. Another number makes another password.
	PasswordVersion int
	// BypassRowLevelSecurity lets the role read rows that policies hide.
	BypassRowLevelSecurity bool
	// Alternating are two further logins, <name>_a and <name>_b, that act as this role: the password
	// of one can change while the other is in use. It is empty if the role has none.
	Alternating []Login
	// Active is the name of the login that the outputs name: this role, or an alternating login.
	Active string
}

// Limits are what a login may use of the server. Only ConnectionLimit binds the login. The timeouts
// are defaults of its sessions, which it can change.
type Limits struct {
	// ConnectionLimit is how many sessions the role may have at once. -1 is PostgreSQL's own value for
	// no limit.
	ConnectionLimit int
	// StatementTimeout and IdleInTransactionSessionTimeout are in milliseconds. 0 is PostgreSQL's own
	// value for no limit.
	StatementTimeout, IdleInTransactionSessionTimeout int
}

// LoginLimits are the limits of the stack's logins by name, as the outputs have them. Roles with
// alternating logins, and retired tenants, have limits too.
func (cfg Config) LoginLimits() map[string]any {
	all := map[string]any{}
	var add func(Login)
	add = func(l Login) {
		limits := map[string]any{
			"connectionLimit":                 l.ConnectionLimit,
			"statementTimeout":                l.StatementTimeout,
			"idleInTransactionSessionTimeout": l.IdleInTransactionSessionTimeout,
		}
		if !l.ValidUntil.IsZero() {
			limits["validUntil"] = l.ValidUntil.Format(time.RFC3339)
		}
		all[l.Name] = limits
		for _, alternating := range l.Alternating {
			add(alternating)
		}
	}
	if cfg.Platform == "" {
		add(cfg.App)
		add(cfg.Admin.Login)
	}
	for _, reader := range cfg.Readers {
		add(reader)
	}
	for _, tenant := range cfg.Tenants {
		add(tenant.Login)
		for _, agent := range tenant.Agents {
			add(agent)
		}
	}
	return all
}

// Extension is an extension of PostgreSQL.
type Extension struct {
	// Version is the version to install, or empty for the server's default.
	Version string
}

// Versions are the versions of extensions by name.
func Versions(extensions map[string]Extension) map[string]string {
	versions := map[string]string{}
	for name, extension := range extensions {
		versions[name] = extension.Version
	}
	return versions
}

// AlternatingSuffixes are the letters at the end of the names of alternating logins, and their keys
// under logins, in the order of Login.Alternating.
func AlternatingSuffixes() []string { return []string{"a", "b"} }

// withoutLogin is the login, and its alternating logins, without the LOGIN attribute.
func (l Login) withoutLogin() Login {
	l.CanLogin = false
	l.Alternating = slices.Clone(l.Alternating)
	for i := range l.Alternating {
		l.Alternating[i].CanLogin = false
	}
	return l
}

// Admin is the administrator: a role without login that owns the schemas, with its attributes, and the
// login that acts as it.
type Admin struct {
	Name                                                        string
	CreateDatabase, CreateRole, Superuser, Replication, Inherit bool
	BypassRowLevelSecurity                                      bool
	Login                                                       Login
}

// Tenant is one tenant: a role and a schema.
type Tenant struct {
	// Login is the tenant's role.
	Login Login
	// Schema is the name of the tenant's schema in PostgreSQL.
	Schema string
	// Agents are read-only logins of the tenant by their key in the config.
	Agents map[string]Login
	// AgentsRole is the name of the group role that the agents are members of. It exists if there are
	// agents.
	AgentsRole string
	// ExecuteFunctions lets the tenant execute the functions in its schema.
	ExecuteFunctions bool
	// Isolation is where the tenant's schema is. Previous is what happens to the schema or the database
	// of the other isolation, while the tenant moves.
	Isolation Isolation
	Previous  Previous
	// Database is the tenant's own database, if it has one by Isolation or Previous.
	Database TenantDatabase
	// Adopt extends the privileges to objects that are in the schema already.
	Adopt bool
	// Retire is the step of the tenant's retirement.
	Retire Retirement
}

// AgentsRole is the name of the group role of the agents of the tenant whose role has the name.
func AgentsRole(role string) string { return role + "_agents" }

// HasDatabase reports whether the tenant has a database of its own, now or from before a move.
func (t Tenant) HasDatabase() bool {
	return t.Isolation == IsolationDatabase || t.Previous != PreviousNone
}

// Isolation says what separates a tenant from the others besides its role.
type Isolation string

const (
	// IsolationSchema is a schema in the stack's database, which many tenants share.
	IsolationSchema Isolation = "schema"
	// IsolationDatabase is a database of the tenant's own, with the schema in it.
	IsolationDatabase Isolation = "database"
)

// Other is the isolation that a tenant with this one moves to, or from.
func (i Isolation) Other() Isolation {
	if i == IsolationSchema {
		return IsolationDatabase
	}
	return IsolationSchema
}

// Previous is a step of a tenant's move to the other isolation. Each step is a change of its own in a
// preview. The last step removes the key previous.
type Previous string

const (
	// PreviousNone is a tenant that does not move.
	PreviousNone Previous = ""
	// PreviousKeep keeps the schema or the database of the other isolation with all data, without
	// privileges of the tenant.
	PreviousKeep Previous = "keep"
	// PreviousDrop allows that it is dropped with all data once the key previous is gone.
	PreviousDrop Previous = "drop"
)

// TenantDatabase is a database of one tenant.
type TenantDatabase struct {
	Name string
	// ConnectionLimit is how many sessions the database may have at once, -1 for no limit.
	ConnectionLimit int
	// Encoding, LcCollate and Tablespace are empty for the server's defaults.
	Encoding, LcCollate, Tablespace string
}

// Retirement is a step of a tenant's removal. Each step is a change of its own in a preview. The last
// step removes the tenant's key from the config.
type Retirement string

const (
	// NotRetired is a tenant with all its privileges.
	NotRetired Retirement = ""
	// RetireKeep takes login and privileges away. The schema stays with all data.
	RetireKeep Retirement = "keep"
	// RetireDrop does the same, and allows that all data is dropped once the tenant's key is gone.
	RetireDrop Retirement = "drop"
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
