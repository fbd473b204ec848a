package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

const (
	// MaxNameBytes is PostgreSQL's limit for identifiers (NAMEDATALEN - 1). PostgreSQL cuts longer
	// names to this length, and two tenants become one.
	MaxNameBytes = 63
	// MaxKeyBytes is the limit for a tenant's key: the default names are tenant_<key>.
	MaxKeyBytes = MaxNameBytes - len(defaultPrefix)

	defaultPrefix          = "tenant_"
	defaultExtensionSchema = "extensions"

	// The patterns have no limits of length, and NamePattern no reserved words: ValidName and the
	// others check those too.
	namePattern     = `^[a-z][a-z0-9_]*$`
	databasePattern = `^[A-Za-z0-9_][A-Za-z0-9_-]*$`
	platformPattern = `^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$`

	extensionPattern = `^[a-z][a-z0-9_-]*$`
	encodingPattern  = `^[A-Za-z0-9_-]+$`
	localePattern    = `^[A-Za-z0-9_.@-]+$`
	versionPattern   = `^[A-Za-z0-9][A-Za-z0-9._-]*$`

	// These complete the sentence "give …".
	acceptedName       = "a name of a-z, 0-9 and _ that begins with a letter and has at most 63 bytes, not pg_… and not a word reserved by SQL"
	acceptedKey        = "a key of a-z, 0-9 and _ that begins with a letter and has at most 56 bytes"
	acceptedAgentKey   = "a key of a-z, 0-9 and _ that begins with a letter, not pg_… and not a word reserved by SQL"
	acceptedExtension  = "the name of an extension: a-z, 0-9, _ and -, beginning with a letter, at most 63 bytes"
	acceptedEncoding   = "the name of an encoding, such as UTF8"
	acceptedLocale     = "the name of a locale of the server, such as C or de_DE.utf8"
	acceptedTablespace = "the name of a tablespace: letters, digits, _ and -, at most 63 bytes"
	acceptedVersion    = "a version as a text of letters, digits, ., _ and -, such as \"1.6\""
	acceptedDatabase   = "a name of letters, digits, _ and - that does not begin with - and has at most 63 bytes"
	acceptedPlatform   = "the full name of the platform's stack, <organization>/<project>/<stack>"
)

var (
	nameRegexp      = regexp.MustCompile(namePattern)
	databaseRegexp  = regexp.MustCompile(databasePattern)
	platformRegexp  = regexp.MustCompile(platformPattern)
	extensionRegexp = regexp.MustCompile(extensionPattern)
	encodingRegexp  = regexp.MustCompile(encodingPattern)
	localeRegexp    = regexp.MustCompile(localePattern)
	versionRegexp   = regexp.MustCompile(versionPattern)
)

// reservedNames are the names to which PostgreSQL gives a meaning of its own, and its reserved key
// words (pg_get_keywords, categories R and T, of versions 14 to 18), which every statement written by
// hand would have to quote. There is a space before and after each.
const reservedNames = " public none information_schema " +
	"all analyse analyze and any array as asc asymmetric authorization binary both case cast " +
	"check collate collation column concurrently constraint create cross current_catalog " +
	"current_date current_role current_schema current_time current_timestamp current_user " +
	"default deferrable desc distinct do else end except false fetch for foreign freeze from " +
	"full grant group having ilike in initially inner intersect into is isnull join lateral " +
	"leading left like limit localtime localtimestamp natural not notnull null offset on only " +
	"or order outer overlaps placing primary references returning right select session_user " +
	"similar some symmetric system_user table tablesample then to trailing true union unique " +
	"user using variadic verbose when where window with "

// ValidName reports whether a role or schema may have the name. PostgreSQL accepts more, but the
// provider breaks on = and ", and the server folds, cuts or reserves the rest.
func ValidName(name string) bool {
	return nameRegexp.MatchString(name) && len(name) <= MaxNameBytes &&
		!strings.HasPrefix(name, "pg_") && !strings.Contains(reservedNames, " "+name+" ")
}

// ValidKey reports whether a tenant may have the key.
func ValidKey(key string) bool { return nameRegexp.MatchString(key) && len(key) <= MaxKeyBytes }

// ValidDatabase reports whether a database may have the name. The provider puts it into a URL and
// into SQL without escaping it.
func ValidDatabase(name string) bool {
	return databaseRegexp.MatchString(name) && len(name) <= MaxNameBytes
}

// ValidExtension reports whether an extension may have the name.
func ValidExtension(name string) bool {
	return extensionRegexp.MatchString(name) && len(name) <= MaxNameBytes
}

// ValidPlatform reports whether the text is the full name of a stack,
// <organization>/<project>/<stack>.
func ValidPlatform(stack string) bool { return platformRegexp.MatchString(stack) }

// Claims are names of roles on one server, each with what takes it: the path in a config, such as
// tenants.acme.role, or a description for messages. PostgreSQL has one name space of roles for the
// whole server.
type Claims map[string]string

// Names are the names that a stack takes on its server: its roles, and for each schema a role of the
// schema's name, which keeps other stacks from taking the schema. Two stacks of one server must have
// no name in common.
func Names(cfg Config) Claims { return claimNames(cfg, &Problems{}) }

// claimNames makes the claims of the config and adds a problem for each name that is taken twice.
func claimNames(cfg Config, p *Problems) Claims {
	c := Claims{}
	if cfg.Platform == "" {
		c.addLogin(p, "roles.app", "name", cfg.App)
		c.Add(p, "roles.admin.name", cfg.Admin.Name)
		c.addLogin(p, "roles.admin", "loginName", cfg.Admin.Login)
		c.Add(p, "roles.allTenants.name", cfg.AllTenants)
		c.Add(p, "roles.allTenantsAdmin.name", cfg.AllTenantsAdmin)
	}
	for _, key := range slices.Sorted(maps.Keys(cfg.Readers)) {
		c.addLogin(p, Join("readers", key), "name", cfg.Readers[key])
	}
	c.AddTenants(p, cfg)
	if first, taken := c[cfg.ExtensionSchema]; taken && len(cfg.Extensions) > 0 {
		// A tenant's schema has the name of a role that the stack makes.
		p.Add("extensionSchema", "%s is already taken by %s; choose another name", Show(cfg.ExtensionSchema), first)
	}
	return c
}

// TenantDatabases are the databases that the stack makes on its server, each with the path in the
// config. They have a name space of their own.
func TenantDatabases(cfg Config) Claims {
	c := Claims{}
	c.AddDatabases(&Problems{}, cfg)
	return c
}

// claimDatabases adds a problem for each database of a tenant that has the name of another.
func claimDatabases(cfg Config, p *Problems) {
	c := Claims{"template0": "PostgreSQL", "template1": "PostgreSQL", "postgres": "PostgreSQL", cfg.Database: "postgresql:database"}
	for _, name := range cfg.ClosedDatabases {
		c[name] = "closedDatabases"
	}
	c.AddDatabases(p, cfg)
}

// AddDatabases claims the names of the databases of the config's tenants.
func (c Claims) AddDatabases(p *Problems, cfg Config) {
	for _, key := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		if tenant := cfg.Tenants[key]; tenant.HasDatabase() {
			c.Add(p, Join("tenants", key)+".database.name", tenant.Database.Name)
		}
	}
}

// Add claims the name for path, or adds a problem if the name is taken.
func (c Claims) Add(p *Problems, path, name string) {
	if first, taken := c[name]; taken {
		p.Add(path, "%s is already taken by %s; choose another name", Show(name), first)
		return
	}
	c[name] = path
}

// AddTenants claims the names of the config's tenants: their roles and alternating logins, those of
// their agents, and the names of their schemas.
func (c Claims) AddTenants(p *Problems, cfg Config) {
	for _, key := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		tenant, path := cfg.Tenants[key], Join("tenants", key)
		c.addLogin(p, path, "role", tenant.Login)
		if tenant.Schema != tenant.Login.Name {
			c.Add(p, path+".schema", tenant.Schema)
		}
		agents := Join(path, "agents")
		if len(tenant.Agents) > 0 {
			c.Add(p, agents, tenant.AgentsRole)
		}
		for _, key := range slices.Sorted(maps.Keys(tenant.Agents)) {
			c.addLogin(p, Join(agents, key), "name", tenant.Agents[key])
		}
	}
}

func (c Claims) addLogin(p *Problems, path, nameKey string, login Login) {
	c.Add(p, path+"."+nameKey, login.Name)
	for i, alternating := range login.Alternating {
		c.Add(p, path+".logins."+AlternatingSuffixes()[i], alternating.Name)
	}
}
