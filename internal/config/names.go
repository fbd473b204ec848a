package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Names are the names that a stack claims on its server. Two stacks of one server must have none in
// common.
func Names(cfg Config) Claims { return claimsOf(&Problems{}, cfg) }

// AlternatingLetters end the names of a role's alternating logins.
func AlternatingLetters() []string { return []string{"a", "b"} }

// validReaderKey reports whether a reader may have the key: that of its role's default name, and not
// one under which the outputs have another login.
func validReaderKey(key string) bool { return ValidName(key) && key != "app" && key != "admin" }

// checkNames reports names that two roles share, and a managed role that is the provider's own
// user. PostgreSQL has one name space of roles for the whole server.
func checkNames(p *Problems, cfg Config) {
	if path, ok := claimsOf(p, cfg)[cfg.User]; ok {
		// PostgreSQL refuses admin option from a role to its own grantor, and the provider would
		// change the role it is logged in as.
		p.Add(path, Show(cfg.User)+" is the user that the provider connects as: give another name")
	}
}

// claimsOf are the names that a stack takes.
func claimsOf(p *Problems, cfg Config) Claims {
	roles := Claims{}
	if cfg.Platform == "" {
		roles.addLogin(p, "roles.app", "name", cfg.App)
		roles.add(p, "roles.admin.name", cfg.Admin.Name)
		roles.addLogin(p, "roles.admin", "loginName", cfg.Admin.Login)
		roles.add(p, "roles.allTenants.name", cfg.AllTenants)
		roles.add(p, "roles.allTenantsAdmin.name", cfg.AllTenantsAdmin)
	}
	for _, key := range slices.Sorted(maps.Keys(cfg.Readers)) {
		roles.addLogin(p, Join("readers", key), "name", cfg.Readers[key])
	}
	roles.AddTenants(p, cfg)
	return roles
}

// Claims are names of roles and schemas that are taken on a server, with the config path that takes
// each. PostgreSQL has one name space of roles for the whole server.
type Claims map[string]string

func (c Claims) add(p *Problems, path, name string) {
	if first, taken := c[name]; taken {
		p.Add(path, Show(name)+" is the name of "+first+" already: give another name")
		return
	}
	c[name] = path
}

func (c Claims) addLogin(p *Problems, path, nameKey string, login Login) {
	c.add(p, path+"."+nameKey, login.Name)
	for i, letter := range AlternatingLetters()[:len(login.Alternating)] {
		c.add(p, path+".logins."+letter, login.Alternating[i].Name)
	}
}

// AddTenants claims the tenants' roles, and for each schema a role of its name, which keeps other
// stacks from taking over the schema. A name that is taken already is a problem.
func (c Claims) AddTenants(p *Problems, cfg Config) {
	for _, key := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		tenant, path := cfg.Tenants[key], Join("tenants", key)
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
	maxKeyBytes  = maxNameBytes - len("tenant_")
	WantDatabase = "letters, digits, _ and -, at most 63 bytes"
	wantName     = "a-z, 0-9 and _ after a first letter, at most 63 bytes, not pg_… nor a word reserved by SQL"
)

// ValidDatabase reports whether a database may have the name: the provider puts it into a URL
// and into SQL without escaping it.
func ValidDatabase(name string) bool {
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

// ValidName reports whether a role or schema may have the name: PostgreSQL takes more, but the
// provider breaks on = and " and the server folds, cuts or reserves the rest.
func ValidName(name string) bool {
	return namePattern.MatchString(name) && len(name) <= maxNameBytes &&
		!strings.HasPrefix(name, "pg_") && !slices.Contains(reservedNames, name)
}

// ValidKey reports whether a tenant may have the key.
func ValidKey(key string) bool { return namePattern.MatchString(key) && len(key) <= maxKeyBytes }
