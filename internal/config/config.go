// Package config is a stack's configuration: its types, how it is decoded and checked, and the names
// that it claims on the server. There is no Pulumi in it, so tools check a config without running the
// program.
package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Config is a stack's whole configuration, defaulted and valid: what Load returns without an
// error can be turned into resources.
type Config struct {
	// Database holds the tenants' schemas. It exists already; the provider connects to it as User.
	Database, User string
	// Platform is the stack that has the shared roles, if this one is a cell, which has tenants
	// only; empty if it is not.
	Platform string
	// ClosedDatabases are other databases of the server that are closed to PUBLIC.
	ClosedDatabases []string
	// ProtectTenants keeps a tenant's schema from being dropped because its key has gone.
	ProtectTenants bool
	// App is the login that reads every tenant's data.
	App Login
	// Admin owns the tenants' schemas.
	Admin Admin
	// AllTenants and AllTenantsAdmin are the names of the group roles around the tenants.
	AllTenants, AllTenantsAdmin string
	// Readers are further read-only logins, members of the app role, by config key.
	Readers map[string]Login
	// Tenants are the tenants by config key. The key is a tenant's identity: logical resource
	// names come from it, so another key is another tenant.
	Tenants map[string]Tenant
}

// Login describes a role that logs in with a generated password.
type Login struct {
	// Name is the role's name in PostgreSQL.
	Name string
	// ConnectionLimit is how many sessions the role may have at once, -1 for no limit.
	ConnectionLimit int
	// PasswordVersion makes a new password whenever it changes.
	PasswordVersion int
	// BypassRowLevelSecurity lets the role see rows that policies hide.
	BypassRowLevelSecurity bool
	// Suspended takes the LOGIN attribute away; role, password and data stay.
	Suspended bool
	// Alternating are two logins, <name>_a and <name>_b, that act as this role and have nothing of their
	// own: the password of one can change while the other is in use. Empty for none.
	Alternating []Login
	// Active is the name of the login to use: this one, or one of the alternating logins.
	Active string
}

// suspended is the login and its alternating logins without LOGIN.
func (l Login) suspended() Login {
	l.Suspended = true
	l.Alternating = slices.Clone(l.Alternating)
	for i := range l.Alternating {
		l.Alternating[i].Suspended = true
	}
	return l
}

// Admin describes the administrator: the role that owns and never logs in, with its
// attributes, and the login that acts as it.
type Admin struct {
	Name                                                        string
	CreateDatabase, CreateRole, Superuser, Replication, Inherit bool
	BypassRowLevelSecurity                                      bool
	Login                                                       Login
}

// Tenant describes one tenant.
type Tenant struct {
	// Login is the tenant's role.
	Login Login
	// Schema is the name of the tenant's schema in PostgreSQL.
	Schema string
	// Adopt extends the privileges to what was in the schema before it was this program's.
	Adopt bool
	// Retire says how far the tenant is on its way out.
	Retire Retirement
}

// Retirement is a step on the way from a tenant to none. Each is a diff of its own in preview,
// and the last is to take the tenant's key out of the config.
type Retirement string

const (
	// NotRetired is a tenant with all its privileges.
	NotRetired Retirement = ""
	// RetireKeep takes login and privileges away and keeps the schema with all data.
	RetireKeep Retirement = "keep"
	// RetireDrop does the same, and lets all data be dropped once the tenant's key is gone.
	RetireDrop Retirement = "drop"
)

// namespace is the prefix of this program's own config keys.
const namespace = "tenant-permissions"

// Values are a stack's config as the CLI keeps it, by full key. `pulumi config --json` has the same
// shape.
type Values map[string]Value

// Value is one of Values.
type Value struct {
	Value  string
	Secret bool
}

// Names of the environment variables in which the CLI passes the config to a program. The SDK reads
// them too, but looks keys up one by one and cannot list them. A misspelt `roles` would then quietly
// rename every role back to its default.
const (
	valuesVariable     = "PULUMI_CONFIG"
	secretKeysVariable = "PULUMI_CONFIG_SECRET_KEYS"
)

// FromEnvironment takes the config that the CLI passes to a program.
func FromEnvironment() (Values, error) {
	texts, secrets, values := map[string]string{}, []string{}, Values{}
	for name, into := range map[string]any{valuesVariable: &texts, secretKeysVariable: &secrets} {
		if err := json.Unmarshal([]byte(cmp.Or(os.Getenv(name), "null")), into); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
	}
	for key, text := range texts {
		values[key] = Value{text, slices.Contains(secrets, key)}
	}
	return values, nil
}

// Load makes a Config of a stack's values. Where they leave open the database or the connecting user,
// the environment says it, as it does for the provider: PGDATABASE, PGUSER. The error is that of
// Problems: one line for each, with the config path, the value there, and what would be accepted.
func Load(s Values) (Config, error) {
	p := &Problems{}
	top := loadNamespace(s, p)
	if err := p.Err(); err != nil {
		return Config{}, err // what is secret is not looked at: an error text could show it
	}
	cfg := Config{
		Database:       loadDatabase(s, p),
		User:           connectingUser(s),
		Platform:       loadPlatform(top),
		ProtectTenants: top.bool("protectTenants", true),
		Readers:        map[string]Login{},
		Tenants:        map[string]Tenant{},
	}
	cfg.ClosedDatabases = field(top, "closedDatabases", nil, "a list of other databases, each once: "+WantDatabase, func(names []string) bool {
		seen := map[string]bool{cfg.Database: true}
		return !slices.ContainsFunc(names, func(name string) bool {
			taken := seen[name]
			seen[name] = true
			return taken || !ValidDatabase(name)
		})
	})

	roles := top.object("roles")
	app := roles.object("app")
	cfg.App = app.login("name", "app_service_role")
	cfg.App.BypassRowLevelSecurity = app.bool("bypassRowLevelSecurity", false)
	app.done()

	// SUPERUSER, REPLICATION and BYPASSRLS are for whoever asks for them: a superuser voids the
	// isolation of tenants, and no managed service allows one.
	admin := roles.object("admin")
	cfg.Admin = Admin{
		Name:                   admin.name("name", "admin_service_role"),
		CreateDatabase:         admin.bool("createDatabase", true),
		CreateRole:             admin.bool("createRole", true),
		Superuser:              admin.bool("superuser", false),
		Replication:            admin.bool("replication", false),
		Inherit:                admin.bool("inherit", true),
		BypassRowLevelSecurity: admin.bool("bypassRowLevelSecurity", false),
		Login:                  admin.login("loginName", "admin_service_login"),
	}
	admin.done()

	cfg.AllTenants = roles.group("allTenants", "all_tenants")
	cfg.AllTenantsAdmin = roles.group("allTenantsAdmin", "all_tenants_admin")

	roles.done()

	readers := top.object("readers")
	for _, key := range readers.keys(wantName, validReaderKey) {
		reader := readers.object(key)
		cfg.Readers[key] = reader.login("name", key)
		reader.done()
	}

	if _, set := top.fields["tenants"]; !set {
		p.Add("tenants", "not set: give an object, {} for none, since a forgotten key must not drop what is there")
	}
	tenants := top.object("tenants")
	wantKey := fmt.Sprintf("a-z, 0-9 and _ after a first letter, at most %d bytes", maxKeyBytes)
	for _, key := range tenants.keys(wantKey, ValidKey) {
		tenant := tenants.object(key)
		cfg.Tenants[key] = tenant.tenant(key)
		tenant.done()
	}
	top.done()

	checkNames(p, cfg)
	if err := p.Err(); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// loadDatabase reads the provider's own database key. There is no second one: PostgreSQL drops
// a role only where the provider is connected, so the two must never differ.
func loadDatabase(s Values, p *Problems) string {
	path := "postgresql:database"
	set, ok := s[path]
	database := set.Value
	if !ok {
		database, ok = os.LookupEnv("PGDATABASE")
		path = "PGDATABASE"
	}
	if !ok {
		p.Add("postgresql:database", "not set: give the name of the existing database that holds the tenants' schemas")
		return ""
	}
	if !ValidDatabase(database) {
		p.Reject(path, Show(database), WantDatabase)
	}
	return database
}

// loadPlatform takes the name of the stack that this one is a cell of, "" if it is none. It is a
// plain word and not JSON.
func loadPlatform(top *object) string {
	platform := string(top.fields["platform"])
	top.known = append(top.known, "platform")
	delete(top.fields, "platform")
	if platform == "" {
		return ""
	}
	if !platformPattern.MatchString(platform) {
		top.p.Reject("platform", Show(platform), "<organization>/<project>/<stack>")
	}
	for key, unset := range map[string]string{"closedDatabases": "[]", "roles": "{}", "readers": "{}"} {
		if value, set := top.fields[key]; set && string(value) != unset { // the default in Pulumi.yaml
			top.p.Add(key, Show(value)+" belongs into the config of the platform: remove it here")
			delete(top.fields, key)
		}
	}
	return platform
}

// connectingUser is the user the provider connects as, found the way the provider finds it.
func connectingUser(s Values) string {
	if user, ok := s["postgresql:username"]; ok {
		return user.Value
	}
	return cmp.Or(os.Getenv("PGUSER"), "postgres")
}

// loadNamespace takes this program's own keys as one object.
func loadNamespace(s Values, p *Problems) *object {
	top := &object{fields: map[string]json.RawMessage{}, p: p}
	for full, set := range s {
		key, ours := strings.CutPrefix(full, namespace+":")
		if !ours {
			continue
		}
		if set.Secret {
			p.Add(key, "is a secret: give it as plain config, since it holds no secret and its names are exported in plain")
		}
		top.fields[key] = json.RawMessage(set.Value)
	}
	return top
}

// name takes a role or schema name.
func (o *object) name(key, def string) string {
	return field(o, key, def, wantName, ValidName)
}

// login takes the fields that every login has.
func (o *object) login(nameKey, def string) Login {
	login := Login{
		Name:            o.name(nameKey, def),
		ConnectionLimit: o.int("connectionLimit", -1, -1, "a whole number of sessions, -1 for no limit"),
		PasswordVersion: o.passwordVersion(),
	}
	login.Active = login.Name
	_, alternate := o.fields["logins"]
	logins := o.object("logins")
	if !alternate {
		return login
	}
	login.Suspended = !logins.bool("roleLogin", false)
	active := logins.required("active", "a or b, the login that the outputs name", func(letter string) bool { return letter == "a" || letter == "b" })
	login.Active += "_" + active
	if len(login.Name)+len("_a") > maxNameBytes {
		o.p.Reject(Join(o.path, nameKey), Show(login.Name), "at most 61 bytes, which leaves room for the _a and _b of its logins")
	}
	for _, letter := range AlternatingLetters() {
		alternating := logins.object(letter)
		login.Alternating = append(login.Alternating, Login{
			Name:            login.Name + "_" + letter,
			ConnectionLimit: login.ConnectionLimit,
			PasswordVersion: alternating.passwordVersion(),
		})
		alternating.done()
	}
	logins.done()
	return login
}

func (o *object) passwordVersion() int {
	return o.int("passwordVersion", 1, 1, "a whole number from 1")
}

// tenant takes the fields of a tenant.
func (o *object) tenant(key string) Tenant {
	cfg := Tenant{
		Login:  o.login("role", "tenant_"+key),
		Schema: o.name("schema", "tenant_"+key),
		Adopt:  o.bool("adopt", false),
		Retire: field(o, "retire", NotRetired, "keep or drop", func(r Retirement) bool { return r == RetireKeep || r == RetireDrop }),
	}
	if o.bool("suspended", false) || cfg.Retire != NotRetired {
		cfg.Login = cfg.Login.suspended()
	}
	return cfg
}

// group takes the name of a group role, the only thing about it that can be configured.
func (o *object) group(key, def string) string {
	group := o.object(key)
	defer group.done()
	return group.name("name", def)
}
