package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Config is a stack's whole configuration, defaulted and valid: what loadConfig returns without
// an error can be turned into resources.
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
	App LoginConfig
	// Admin owns the tenants' schemas.
	Admin AdminConfig
	// AllTenants and AllTenantsAdmin are the names of the group roles around the tenants.
	AllTenants, AllTenantsAdmin string
	// Readers are further read-only logins, members of the app role, by config key.
	Readers map[string]LoginConfig
	// Tenants are the tenants by config key. The key is a tenant's identity: logical resource
	// names come from it, so another key is another tenant.
	Tenants map[string]TenantConfig
}

// LoginConfig describes a role that logs in with a generated password.
type LoginConfig struct {
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
	// Pair are two logins, <name>_a and <name>_b, that act as this role and have nothing of their
	// own: the password of one can change while the other is in use. Empty for none.
	Pair []LoginConfig
	// Active is the name of the login to use: this one, or one of the pair.
	Active string
}

// suspended is the login and its pair without LOGIN.
func (l LoginConfig) suspended() LoginConfig {
	l.Suspended = true
	l.Pair = slices.Clone(l.Pair)
	for i := range l.Pair {
		l.Pair[i].Suspended = true
	}
	return l
}

// AdminConfig describes the administrator: the role that owns and never logs in, with its
// attributes, and the login that acts as it.
type AdminConfig struct {
	Name                                                        string
	CreateDatabase, CreateRole, Superuser, Replication, Inherit bool
	BypassRowLevelSecurity                                      bool
	Login                                                       LoginConfig
}

// TenantConfig describes one tenant.
type TenantConfig struct {
	// Login is the tenant's role.
	Login LoginConfig
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

// settings are a stack's config as the CLI keeps it, by full key; `pulumi config --json` has the
// same shape.
type settings map[string]setting

type setting struct {
	Value  string
	Secret bool
}

// readSettings takes the config from the environment, where the CLI puts it. The SDK looks keys up
// one by one and cannot list them, and a misspelt `roles` would quietly rename every role back to
// its default.
func readSettings() (settings, error) {
	values, secrets, s := map[string]string{}, []string{}, settings{}
	for name, into := range map[string]any{pulumi.EnvConfig: &values, pulumi.EnvConfigSecretKeys: &secrets} {
		if err := json.Unmarshal([]byte(cmp.Or(os.Getenv(name), "null")), into); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
	}
	for key, value := range values {
		s[key] = setting{value, slices.Contains(secrets, key)}
	}
	return s, nil
}

// loadConfig makes a Config of the settings. It registers nothing. Its error lists every problem
// found, one a line: the config path, the value there, and what would be accepted.
func loadConfig(s settings) (Config, error) {
	p := &problems{}
	top := loadNamespace(s, p)
	if err := p.err(); err != nil {
		return Config{}, err // what is secret is not looked at: an error text could show it
	}
	cfg := Config{
		Database:       loadDatabase(s, p),
		User:           connectingUser(s),
		Platform:       loadPlatform(top),
		ProtectTenants: top.bool("protectTenants", true),
		Readers:        map[string]LoginConfig{},
		Tenants:        map[string]TenantConfig{},
	}
	cfg.ClosedDatabases = field(top, "closedDatabases", nil, "a list of other databases, each once: "+wantDatabase, func(names []string) bool {
		seen := map[string]bool{cfg.Database: true}
		return !slices.ContainsFunc(names, func(name string) bool {
			taken := seen[name]
			seen[name] = true
			return taken || !validDatabase(name)
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
	cfg.Admin = AdminConfig{
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

	for _, key := range roles.otherKeys(wantName, validName) {
		reader := roles.object(key)
		cfg.Readers[key] = reader.login("name", key)
		reader.done()
	}

	if _, set := top.fields["tenants"]; !set {
		p.add("tenants", "nothing", "an object, {} for none: a forgotten key must not drop what is there")
	}
	tenants := top.object("tenants")
	wantKey := fmt.Sprintf("a-z, 0-9 and _ after a first letter, at most %d bytes", maxKeyBytes)
	for _, key := range tenants.otherKeys(wantKey, validKey) {
		tenant := tenants.object(key)
		cfg.Tenants[key] = tenant.tenant(key)
		tenant.done()
	}
	top.done()

	checkNames(p, cfg)
	return cfg, p.err()
}

// loadDatabase reads the provider's own database key. There is no second one: PostgreSQL drops
// a role only where the provider is connected, so the two must never differ.
func loadDatabase(s settings, p *problems) string {
	path := "postgresql:database"
	set, ok := s[path]
	database := set.Value
	if !ok {
		database, ok = os.LookupEnv("PGDATABASE")
		path = "PGDATABASE"
	}
	if !ok {
		p.add("postgresql:database", "nothing", "the name of the existing database that holds the tenants' schemas")
		return ""
	}
	if !validDatabase(database) {
		p.add(path, show(database), wantDatabase)
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
		top.p.add("platform", show(platform), "<organization>/<project>/<stack>")
	}
	for key, unset := range map[string]string{"closedDatabases": "[]", "roles": "{}"} {
		if value, set := top.fields[key]; set && string(value) != unset { // the default in Pulumi.yaml
			top.p.add(key, show(value), "nothing, since it belongs into the config of the platform")
			delete(top.fields, key)
		}
	}
	return platform
}

// connectingUser is the user the provider connects as, found the way the provider finds it.
func connectingUser(s settings) string {
	if user, ok := s["postgresql:username"]; ok {
		return user.Value
	}
	return cmp.Or(os.Getenv("PGUSER"), "postgres")
}

// loadNamespace takes this program's own keys as one object.
func loadNamespace(s settings, p *problems) *object {
	top := &object{fields: map[string]json.RawMessage{}, p: p}
	for full, set := range s {
		key, ours := strings.CutPrefix(full, namespace+":")
		if !ours {
			continue
		}
		if set.Secret {
			p.add(key, "a secret", "plain config: it holds no secret, and its names are exported in plain")
		}
		top.fields[key] = json.RawMessage(set.Value)
	}
	return top
}

// checkNames reports names that two roles share, and a managed role that is the provider's own
// user. PostgreSQL has one name space of roles for the whole server.
func checkNames(p *problems, cfg Config) {
	if path, ok := claimsOf(p, cfg)[cfg.User]; ok {
		// PostgreSQL refuses admin option from a role to its own grantor, and the provider would
		// change the role it is logged in as.
		p.add(path, show(cfg.User), "another role than the one the provider connects as")
	}
}

// claimsOf are the names that a stack takes.
func claimsOf(p *problems, cfg Config) claims {
	roles := claims{}
	if cfg.Platform == "" {
		roles.addLogin(p, "roles.app", "name", cfg.App)
		roles.add(p, "roles.admin.name", cfg.Admin.Name)
		roles.addLogin(p, "roles.admin", "loginName", cfg.Admin.Login)
		roles.add(p, "roles.allTenants.name", cfg.AllTenants)
		roles.add(p, "roles.allTenantsAdmin.name", cfg.AllTenantsAdmin)
	}
	for _, key := range slices.Sorted(maps.Keys(cfg.Readers)) {
		roles.addLogin(p, join("roles", key), "name", cfg.Readers[key])
	}
	roles.addTenants(p, cfg)
	return roles
}

// claims are the names of roles taken so far, with the path that took each.
type claims map[string]string

func (c claims) add(p *problems, path, name string) {
	if first, taken := c[name]; taken {
		p.add(path, show(name), "a name that "+first+" does not have already")
		return
	}
	c[name] = path
}

func (c claims) addLogin(p *problems, path, nameKey string, login LoginConfig) {
	c.add(p, path+"."+nameKey, login.Name)
	for i, half := range login.Pair {
		c.add(p, path+".logins."+pairLetters[i:i+1], half.Name)
	}
}

// addTenants claims the tenants' roles, and for each schema a role of its name: newSchema says why.
func (c claims) addTenants(p *problems, cfg Config) {
	for _, key := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		tenant, path := cfg.Tenants[key], join("tenants", key)
		c.addLogin(p, path, "role", tenant.Login)
		if tenant.Schema != tenant.Login.Name {
			c.add(p, path+".schema", tenant.Schema)
		}
	}
}

const (
	// maxNameBytes is PostgreSQL's limit for identifiers (NAMEDATALEN - 1). It cuts longer names
	// to this length, which makes two tenants one.
	maxNameBytes = 63
	// maxKeyBytes leaves room for the prefix in tenant_<key>.
	maxKeyBytes = maxNameBytes - len("tenant_")
	// pairLetters end the names of a role's two logins.
	pairLetters  = "ab"
	wantDatabase = "letters, digits, _ and -, at most 63 bytes"
	wantName     = "a-z, 0-9 and _ after a first letter, at most 63 bytes, not pg_… nor a word reserved by SQL"
)

// validDatabase reports whether a database may have the name: the provider puts it into a URL
// and into SQL without escaping it.
func validDatabase(name string) bool {
	return databasePattern.MatchString(name) && len(name) <= maxNameBytes
}

var (
	namePattern     = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	platformPattern = regexp.MustCompile(`^[\w.-]+/[\w.-]+/[\w.-]+$`)
	databasePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)

	// reservedNames are the names PostgreSQL gives a meaning of its own, and its reserved key
	// words (pg_get_keywords, categories R and T, of versions 14 to 18), which every statement
	// written by hand would have to quote.
	reservedNames = strings.Fields(`public none information_schema
		all analyse analyze and any array as asc asymmetric authorization binary both case cast
		check collate collation column concurrently constraint create cross current_catalog
		current_date current_role current_schema current_time current_timestamp current_user
		default deferrable desc distinct do else end except false fetch for foreign freeze from
		full grant group having ilike in initially inner intersect into is isnull join lateral
		leading left like limit localtime localtimestamp natural not notnull null offset on only
		or order outer overlaps placing primary references returning right select session_user
		similar some symmetric system_user table tablesample then to trailing true union unique
		user using variadic verbose when where window with`)
)

// validName reports whether a role or schema may have the name: PostgreSQL takes more, but the
// provider breaks on = and " and the server folds, cuts or reserves the rest.
func validName(name string) bool {
	return namePattern.MatchString(name) && len(name) <= maxNameBytes &&
		!strings.HasPrefix(name, "pg_") && !slices.Contains(reservedNames, name)
}

// validKey reports whether a tenant may have the key.
func validKey(key string) bool { return namePattern.MatchString(key) && len(key) <= maxKeyBytes }

// name takes a role or schema name.
func (o *object) name(key, def string) string {
	return field(o, key, def, wantName, validName)
}

// login takes the fields that every login has.
func (o *object) login(nameKey, def string) LoginConfig {
	_, own := o.fields["passwordVersion"]
	_, pair := o.fields["logins"]
	login := LoginConfig{
		Name:            o.name(nameKey, def),
		ConnectionLimit: o.int("connectionLimit", -1, -1, "a whole number of sessions, -1 for no limit"),
		PasswordVersion: o.passwordVersion(),
	}
	login.Active = login.Name
	logins := o.object("logins")
	if !pair {
		return login
	}
	login.Suspended = !own // a version of its own keeps it a login while its users move to the pair
	login.Active += "_" + field(logins, "active", "a", "a or b, the login that the outputs name",
		func(letter string) bool { return letter == "a" || letter == "b" })
	if len(login.Active) > maxNameBytes {
		o.p.add(join(o.path, nameKey), show(login.Name), "at most 61 bytes, which leaves room for the _a and _b of its logins")
	}
	for _, letter := range strings.Split(pairLetters, "") {
		half := logins.object(letter)
		login.Pair = append(login.Pair, LoginConfig{
			Name:            login.Name + "_" + letter,
			ConnectionLimit: login.ConnectionLimit,
			PasswordVersion: half.passwordVersion(),
		})
		half.done()
	}
	logins.done()
	return login
}

func (o *object) passwordVersion() int {
	return o.int("passwordVersion", 1, 1, "a whole number from 1")
}

// tenant takes the fields of a tenant.
func (o *object) tenant(key string) TenantConfig {
	cfg := TenantConfig{
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
