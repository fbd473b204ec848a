package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Config is a stack's whole configuration, defaulted and valid: what loadConfig returns without
// an error can be turned into resources.
type Config struct {
	// Database holds the tenants' schemas. It exists already; the provider connects to it.
	Database string
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

// loadConfig reads the stack's config. It registers nothing. Its error lists every problem
// found, one a line: the config path, the value there, and what would be accepted.
func loadConfig(ctx *pulumi.Context) (Config, error) {
	p := &problems{}
	top, err := loadNamespace(ctx, p)
	if err != nil {
		return Config{}, err
	}
	cfg := Config{
		Database:       loadDatabase(ctx, p),
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
		login := tenant.login("role", "tenant_"+key)
		login.Suspended = tenant.bool("suspended", false)
		cfg.Tenants[key] = TenantConfig{
			Login:  login,
			Schema: tenant.name("schema", "tenant_"+key),
			Retire: field(tenant, "retire", NotRetired, "keep or drop", func(r Retirement) bool { return r == RetireKeep || r == RetireDrop }),
		}
		tenant.done()
	}
	top.done()

	checkNames(p, cfg, connectingUser(ctx))
	return cfg, p.err()
}

// loadDatabase reads the provider's own database key. There is no second one: PostgreSQL drops
// a role only where the provider is connected, so the two must never differ.
func loadDatabase(ctx *pulumi.Context, p *problems) string {
	path := "postgresql:database"
	database, ok := ctx.GetConfig(path)
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

// connectingUser is the user the provider connects as, found the way the provider finds it.
func connectingUser(ctx *pulumi.Context) string {
	if user, ok := ctx.GetConfig("postgresql:username"); ok {
		return user
	}
	return cmp.Or(os.Getenv("PGUSER"), "postgres")
}

// loadNamespace reads this program's own config as one object. The SDK looks keys up one by one
// and cannot list them, and a misspelt `roles` would quietly rename every role back to its
// default, so the names of the keys come from the variable that the SDK itself reads.
func loadNamespace(ctx *pulumi.Context, p *problems) (*object, error) {
	var set map[string]any
	if env := os.Getenv(pulumi.EnvConfig); env != "" {
		if err := json.Unmarshal([]byte(env), &set); err != nil {
			return nil, fmt.Errorf("reading %s: %w", pulumi.EnvConfig, err)
		}
	}
	top := &object{fields: map[string]json.RawMessage{}, p: p}
	for full := range set {
		key, ours := strings.CutPrefix(full, namespace+":")
		if !ours {
			continue
		}
		if ctx.IsConfigSecret(full) {
			p.add(key, "a secret", "plain config: it holds no secret, and its names are exported in plain")
		}
		value, _ := ctx.GetConfig(full)
		top.fields[key] = json.RawMessage(value)
	}
	return top, p.err() // what is secret is not looked at: an error text could show it
}

// checkNames reports names that two roles or two schemas share, and a managed role that is the
// provider's own user. PostgreSQL has one name space of roles for the whole server, and the
// provider takes over an existing schema without a word, so neither may wait for the server.
func checkNames(p *problems, cfg Config, user string) {
	roles, schemas := claims{}, claims{}
	roles.add(p, "roles.app.name", cfg.App.Name)
	roles.add(p, "roles.admin.name", cfg.Admin.Name)
	roles.add(p, "roles.admin.loginName", cfg.Admin.Login.Name)
	roles.add(p, "roles.allTenants.name", cfg.AllTenants)
	roles.add(p, "roles.allTenantsAdmin.name", cfg.AllTenantsAdmin)
	for _, key := range slices.Sorted(maps.Keys(cfg.Readers)) {
		roles.add(p, join("roles", key)+".name", cfg.Readers[key].Name)
	}
	for _, key := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		roles.add(p, join("tenants", key)+".role", cfg.Tenants[key].Login.Name)
		schemas.add(p, join("tenants", key)+".schema", cfg.Tenants[key].Schema)
	}
	if path, ok := roles[user]; ok {
		// PostgreSQL refuses admin option from a role to its own grantor, and the provider would
		// change the role it is logged in as.
		p.add(path, show(user), "another role than the one the provider connects as")
	}
}

// claims are the names taken so far, with the path that took each.
type claims map[string]string

func (c claims) add(p *problems, path, name string) {
	if first, taken := c[name]; taken {
		p.add(path, show(name), "a name that "+first+" does not have already")
		return
	}
	c[name] = path
}

const (
	// maxNameBytes is PostgreSQL's limit for identifiers (NAMEDATALEN - 1). It cuts longer names
	// to this length, which makes two tenants one.
	maxNameBytes = 63
	// maxKeyBytes leaves room for the prefix in tenant_<key>.
	maxKeyBytes  = maxNameBytes - len("tenant_")
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

// object is one JSON object of the config. Each getter takes a field out and notes a problem if
// its value is not acceptable; what is left when done is called is a key nobody knows.
type object struct {
	path   string
	fields map[string]json.RawMessage
	known  []string
	p      *problems
}

// newObject splits an object into its fields. A key given twice is a problem here, where
// encoding/json would keep the last one and drop the first.
func newObject(p *problems, path string, raw json.RawMessage) *object {
	o := &object{path: path, fields: map[string]json.RawMessage{}, p: p}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') || !json.Valid(raw) {
		p.add(path, show(raw), "an object, {} for the defaults")
		return o
	}
	for dec.More() {
		key, err := dec.Token()
		var value json.RawMessage
		if err = errors.Join(err, dec.Decode(&value)); err != nil {
			p.add(path, err.Error(), "an object")
			return o
		}
		name := key.(string) // encoding/json allows nothing else as a key
		if _, twice := o.fields[name]; twice {
			p.add(join(path, name), "the key twice", "it once")
		}
		o.fields[name] = value
	}
	return o
}

// field takes a field of type T, or def if it is not set. null is no value of any type.
func field[T any](o *object, key string, def T, want string, valid func(T) bool) T {
	o.known = append(o.known, key)
	raw, ok := o.fields[key]
	delete(o.fields, key)
	if !ok {
		return def
	}
	var v *T
	if err := json.Unmarshal(raw, &v); err != nil || v == nil || !valid(*v) {
		o.p.add(join(o.path, key), show(raw), want)
		return def
	}
	return *v
}

func (o *object) bool(key string, def bool) bool {
	return field(o, key, def, "true or false", func(bool) bool { return true })
}

func (o *object) int(key string, def, least int, want string) int {
	return field(o, key, def, want, func(n int) bool { return n >= least && n <= math.MaxInt32 })
}

// name takes a role or schema name.
func (o *object) name(key, def string) string {
	return field(o, key, def, wantName, validName)
}

// login takes the fields that every login has.
func (o *object) login(nameKey, def string) LoginConfig {
	return LoginConfig{
		Name:            o.name(nameKey, def),
		ConnectionLimit: o.int("connectionLimit", -1, -1, "a whole number of sessions, -1 for no limit"),
		PasswordVersion: o.int("passwordVersion", 1, 1, "a whole number from 1"),
	}
}

// group takes the name of a group role, the only thing about it that can be configured.
func (o *object) group(key, def string) string {
	group := o.object(key)
	defer group.done()
	return group.name("name", def)
}

// object takes a field that is an object, empty if it is not set.
func (o *object) object(key string) *object {
	o.known = append(o.known, key)
	raw, ok := o.fields[key]
	delete(o.fields, key)
	if !ok {
		raw = json.RawMessage("{}")
	}
	return newObject(o.p, join(o.path, key), raw)
}

// otherKeys are the keys not taken so far, sorted, for an object whose keys are identities. One
// that looks like a misspelt known key is a problem, so that `amdin` is not taken for a login.
func (o *object) otherKeys(want string, valid func(string) bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(o.fields)), func(key string) bool {
		if nearest(key, o.known) != "" {
			o.p.unknown(join(o.path, key), key, o.known)
			return true
		}
		if !valid(key) {
			o.p.add(join(o.path, key), "the key "+show(key), want)
		}
		return false
	})
}

// done reports what was not taken.
func (o *object) done() {
	for key := range o.fields {
		o.p.unknown(join(o.path, key), key, o.known)
	}
}

// problems collects what is wrong with a config.
type problems struct{ lines []string }

// add notes a problem: where, what stands there, what would be accepted.
func (p *problems) add(path, got, want string) {
	p.lines = append(p.lines, fmt.Sprintf("%s: got %s, want %s", path, got, want))
}

func (p *problems) unknown(path, key string, known []string) {
	want := "one of " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
	if near := nearest(key, known); near != "" {
		want = fmt.Sprintf("%s: did you mean %s?", want, near)
	}
	p.add(path, "the unknown key "+show(key), want)
}

func (p *problems) err() error {
	if len(p.lines) == 0 {
		return nil
	}
	slices.Sort(p.lines)
	return fmt.Errorf("bad config, nothing was changed:\n  %s", strings.Join(p.lines, "\n  "))
}

// join appends a key to a config path, quoted where it would not read as one word.
func join(path, key string) string {
	if path == "" {
		return key
	}
	if namePattern.MatchString(strings.ToLower(key)) {
		return path + "." + key
	}
	return fmt.Sprintf("%s[%s]", path, show(key))
}

// show renders a value for an error text: on one line, foreign letters as escapes (a Cyrillic a
// looks like a Latin one), and cut if it is long.
func show[T string | json.RawMessage](v T) string {
	text := string(v)
	raw, isRaw := any(v).(json.RawMessage)
	switch {
	case isRaw && json.Valid(raw) && raw[0] != '"':
		text = strings.Join(strings.Fields(text), " ")
	case isRaw && json.Unmarshal(raw, &text) != nil:
		text = strconv.QuoteToASCII(string(raw))
	default:
		text = strconv.QuoteToASCII(text)
	}
	if most := 2 * maxNameBytes; len(text) > most {
		return fmt.Sprintf("%.*s… (%d bytes)", most, text, len(v))
	}
	return text
}

// nearest is the known word that the given one seems to be meant for: the same but for case and
// underscores, or one slip away (a letter added, dropped or changed, two neighbours swapped).
// Words of less than five letters have too many neighbours for a guess.
func nearest(word string, known []string) string {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	for _, k := range known {
		a, b := plain(word), plain(k)
		if len(b) < 5 {
			continue
		}
		for a != "" && b != "" && a[0] == b[0] {
			a, b = a[1:], b[1:]
		}
		for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
			a, b = a[:len(a)-1], b[:len(b)-1]
		}
		if len(a) <= 1 && len(b) <= 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0] {
			return k
		}
	}
	return ""
}
