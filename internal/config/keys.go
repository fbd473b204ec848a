package config

// Type is the type of a config key's value.
type Type string

// The types. Map is an object with free keys. Name is a role or a schema, Database a database,
// Platform the full name of a stack; these three are strings with a pattern, and so is Text. Duration is a time in milliseconds or with a unit, and Time a point in time.
const (
	Object   Type = "object"
	Map      Type = "map"
	List     Type = "list"
	Boolean  Type = "boolean"
	Integer  Type = "integer"
	Word     Type = "word"
	Name     Type = "name"
	Database Type = "database"
	Platform Type = "platform"
	Text     Type = "text"
	Duration Type = "duration"
	Time     Type = "time"
)

// Key describes one key of the config. The reference in docs and the JSON schema for editors are
// generated from the descriptions, and a test compares them with what Load accepts.
type Key struct {
	// Path is the config path, with <key> for each key of a Map. Paths without a colon are in the
	// namespace tenant-permissions.
	Path string
	// Type is the type of the value. A List is one of databases.
	Type Type
	// Required says that the key must be set. A key within an object must be set only where the object
	// is.
	Required bool
	// Default is the default value as YAML, or empty if there is none. It contains <key> if it depends
	// on the key.
	Default string
	// Words are the accepted values of a Word.
	Words []string
	// Least is the smallest accepted value of an Integer; the largest is 2147483647.
	Least int
	// Pattern is what a Text must match.
	Pattern string
	// Meaning is one or more sentences, without Markdown other than code.
	Meaning string
}

// Keys are the descriptions of all config keys, an object before its own keys.
func Keys() []Key {
	keys := []Key{
		{
			Path: "postgresql:database", Type: Database, Required: true,
			Meaning: "The existing database that contains the tenants' schemas. The environment variable `PGDATABASE` works too. The other keys of the connection are the provider's own (`postgresql:host`, `postgresql:username`, …), and so are its environment variables (`PGHOST`, `PGUSER`, …).",
		},
		{Path: "tenants", Type: Map, Required: true, Meaning: "The tenants by key, `{}` for none. The key is the tenant's identity: another key is another tenant."},
		{Path: "tenants.<key>", Type: Object, Default: "{}", Meaning: "A tenant. The key has letters `a-z`, digits and `_`, begins with a letter, and has at most 56 bytes."},
		{Path: "tenants.<key>.role", Type: Name, Default: "tenant_<key>", Meaning: "The name of the tenant's role. It cannot change after deployment."},
		{Path: "tenants.<key>.schema", Type: Name, Default: "tenant_<key>", Meaning: "The name of the tenant's schema. It cannot change after deployment. If it is not the name of the role, the stack makes an empty role of this name, and no other stack of the server can take the schema over."},
	}
	keys = append(keys, loginKeys("tenants.<key>", "the tenant's role", "it")...)
	keys = append(keys,
		Key{Path: "tenants.<key>.agents", Type: Map, Default: "{}", Meaning: "Read-only logins of the tenant by key, for SQL that a model writes. Each reads the tenant's tables, views and sequences, and nothing else. A first agent makes a group role that has the privileges: the tenant's role with `_agents` at the end."},
		Key{Path: "tenants.<key>.agents.<key>", Type: Object, Default: "{}", Meaning: "An agent. The key is accepted as a name of a role."},
		Key{Path: "tenants.<key>.agents.<key>.name", Type: Name, Default: "tenant_<key>_<key>", Meaning: "The name of the agent's login: that of the tenant's role, `_` and the agent's key. It cannot change after deployment."},
	)
	keys = append(keys, loginKeys("tenants.<key>.agents.<key>", "the agent", "it")...)
	keys = append(keys,
		Key{Path: "tenants.<key>.agents.<key>.suspended", Type: Boolean, Default: "false", Meaning: "`true` refuses new logins of the agent. A tenant that is suspended or retired has its agents suspended too."},
		Key{Path: "tenants.<key>.executeFunctions", Type: Boolean, Default: "false", Meaning: "`true` lets the tenant execute the functions and procedures in its schema, those that the admin makes later too. One that is `SECURITY DEFINER` runs as its owner, who has the data of every tenant."},
		Key{Path: "tenants.<key>.isolation", Type: Word, Words: []string{"schema", "database"}, Default: "schema", Meaning: "`schema` is a schema in the stack's database. `database` is a database of the tenant's own, with the schema in it: nobody but the tenant, its agents, the app, the readers and the admin can connect to it, and the tenant to no other that is closed to PUBLIC."},
		Key{Path: "tenants.<key>.previous", Type: Word, Words: []string{"keep", "drop"}, Meaning: "While a tenant moves to the other isolation: `keep` keeps the schema, or the database, that it had before, with all data and without its privileges. `drop` allows that it is dropped with all data once this key is gone."},
		Key{Path: "tenants.<key>.database", Type: Object, Default: "{}", Meaning: "The tenant's own database."},
		Key{Path: "tenants.<key>.database.name", Type: Database, Default: "tenant_<key>", Meaning: "The name of the database. It cannot change after deployment."},
		Key{Path: "tenants.<key>.database.connectionLimit", Type: Integer, Least: -1, Default: "-1", Meaning: "The number of sessions that the database may have at once, `-1` for no limit. All sessions count, also those of the user that the provider connects as. Only superusers are never refused: give the tenant and its agents lower limits of their own, or they can keep the provider out."},
		Key{Path: "tenants.<key>.database.encoding", Type: Text, Pattern: encodingPattern, Meaning: "The encoding, `UTF8` if it is not set. It cannot change after deployment."},
		Key{Path: "tenants.<key>.database.lcCollate", Type: Text, Pattern: localePattern, Meaning: "The locale of sort order, that of `template0` if it is not set. It cannot change after deployment."},
		Key{Path: "tenants.<key>.database.tablespace", Type: Text, Pattern: databasePattern, Meaning: "The tablespace, the server's default if it is not set. A change moves the database, which nobody may use meanwhile."},
		Key{Path: "tenants.<key>.adopt", Type: Boolean, Default: "false", Meaning: "`true` grants the privileges on objects that are in the schema already, too."},
		Key{Path: "tenants.<key>.suspended", Type: Boolean, Default: "false", Meaning: "`true` refuses new logins. Role, password, data and open sessions stay."},
		Key{Path: "tenants.<key>.retire", Type: Word, Words: []string{"keep", "drop"}, Meaning: "`keep` takes login and privileges away and keeps the data. `drop` does the same, and allows that the data is dropped once the tenant's key is gone."},
		Key{Path: "tenantDefaults", Type: Object, Default: "{}", Meaning: "What holds for every tenant of the stack that does not give the key itself."},
	)
	keys = append(keys, limitKeys("tenantDefaults", "each tenant's role")...)
	keys = append(keys,
		Key{Path: "tenantDefaults.executeFunctions", Type: Boolean, Default: "false", Meaning: "The same as for one tenant."},
		Key{Path: "protectTenants", Type: Boolean, Default: "true", Meaning: "A tenant whose key is gone makes the run fail, unless it was retired with `drop`."},
		Key{Path: "closedDatabases", Type: List, Default: "[]", Meaning: "Other databases of the server, `postgres` for instance, from which PUBLIC loses CONNECT. Tenants can connect to all others. The user that the provider connects as must own them."},
		Key{Path: "extensions", Type: Map, Default: "{}", Meaning: "PostgreSQL's extensions that all roles can use, by name: `vector` for pgvector. They are installed in a schema of their own, which every search path ends with. Not in a cell."},
		Key{Path: "extensions.<key>", Type: Object, Default: "{}", Meaning: "An extension. If its key goes, it is dropped only if no table, index or function uses it; otherwise the run fails."},
		Key{Path: "extensions.<key>.version", Type: Text, Pattern: versionPattern, Meaning: "The version to install, or to update to. Without it a new extension gets the server's default version, and one that exists stays as it is."},
		Key{Path: "extensionSchema", Type: Name, Default: "extensions", Meaning: "The name of the schema of the extensions. It cannot change after deployment. Not in a cell."},
		Key{Path: "platform", Type: Platform, Meaning: "The full name of the stack that has the shared roles, if this one is a cell: a stack of tenants only."},
		Key{Path: "readers", Type: Map, Default: "{}", Meaning: "Further read-only logins by key, for instance of an analyst. Each is a member of the app role. Not in a cell."},
		Key{Path: "readers.<key>", Type: Object, Default: "{}", Meaning: "A reader. The key is accepted as a name of a role, and is not `app` or `admin`, which the outputs use for the shared roles."},
		Key{Path: "readers.<key>.name", Type: Name, Default: "<key>", Meaning: "The name of the reader's role. It cannot change after deployment."},
	)
	keys = append(keys, loginKeys("readers.<key>", "the reader", "it")...)
	keys = append(keys,
		Key{Path: "readers.<key>.validUntil", Type: Time, Meaning: "When the reader's password expires: no new login from then on. Open sessions stay. Another time replaces the role, which has the same password afterwards."},
		Key{Path: "roles", Type: Object, Default: "{}", Meaning: "The shared roles. Not in a cell."},
		Key{Path: "roles.app", Type: Object, Default: "{}", Meaning: "The app: a login that reads the data of every tenant. It has no other attribute: each would be a way to write, or to read passwords."},
		Key{Path: "roles.app.name", Type: Name, Default: "app_service_role", Meaning: "The name of the app role. It cannot change after deployment."},
	)
	keys = append(keys, loginKeys("roles.app", "the app role", "it")...)
	keys = append(keys,
		Key{Path: "roles.app.bypassRowLevelSecurity", Type: Boolean, Default: "false", Meaning: "`true` lets the app read rows that policies hide."},
		Key{Path: "roles.admin", Type: Object, Default: "{}", Meaning: "The administrator: a role without login that owns the schemas, and a login that acts as it. The attributes are those of the role. They cannot change after deployment."},
		Key{Path: "roles.admin.name", Type: Name, Default: "admin_service_role", Meaning: "The name of the role that owns the schemas. It cannot change after deployment."},
		Key{Path: "roles.admin.loginName", Type: Name, Default: "admin_service_login", Meaning: "The name of the login that acts as the role. It cannot change after deployment."},
	)
	keys = append(keys, loginKeys("roles.admin", "the admin's login", "the admin role")...)
	return append(keys,
		Key{Path: "roles.admin.createDatabase", Type: Boolean, Default: "true", Meaning: "PostgreSQL's attribute CREATEDB."},
		Key{Path: "roles.admin.createRole", Type: Boolean, Default: "true", Meaning: "PostgreSQL's attribute CREATEROLE."},
		Key{Path: "roles.admin.inherit", Type: Boolean, Default: "true", Meaning: "PostgreSQL's attribute INHERIT."},
		Key{Path: "roles.admin.superuser", Type: Boolean, Default: "false", Meaning: "PostgreSQL's attribute SUPERUSER. A superuser can undo everything that this program does."},
		Key{Path: "roles.admin.replication", Type: Boolean, Default: "false", Meaning: "PostgreSQL's attribute REPLICATION."},
		Key{Path: "roles.admin.bypassRowLevelSecurity", Type: Boolean, Default: "false", Meaning: "PostgreSQL's attribute BYPASSRLS."},
		Key{Path: "roles.allTenants", Type: Object, Default: "{}", Meaning: "The group role of which every tenant is a member. Two stacks on one server need different names for their shared roles."},
		Key{Path: "roles.allTenants.name", Type: Name, Default: "all_tenants", Meaning: "The name of the group role. It cannot change after deployment."},
		Key{Path: "roles.allTenantsAdmin", Type: Object, Default: "{}", Meaning: "The group role that has the admin option on every tenant's role."},
		Key{Path: "roles.allTenantsAdmin.name", Type: Name, Default: "all_tenants_admin", Meaning: "The name of the group role. It cannot change after deployment."},
	)
}

// loginKeys are the keys of every login, below path. role is what has the login, and actsAs the role
// of sessions of its alternating logins.
func loginKeys(path, role, actsAs string) []Key {
	keys := append(limitKeys(path, role),
		Key{Path: path + ".passwordVersion", Type: Integer, Least: 1, Default: "1", Meaning: "Another number makes another password for " + role + "."},
		Key{Path: path + ".logins", Type: Object, Meaning: "Two alternating logins of " + role + ", with the suffixes `_a` and `_b`, that act as " + actsAs + ". The password of one can change while the other is in use."},
		Key{Path: path + ".logins.active", Type: Word, Words: AlternatingSuffixes(), Required: true, Meaning: "The alternating login that the outputs name."},
		Key{Path: path + ".logins.roleLogin", Type: Boolean, Default: "false", Meaning: "`true` lets " + role + " itself log in too, beside its alternating logins."},
	)
	for _, suffix := range AlternatingSuffixes() {
		keys = append(keys,
			Key{Path: path + ".logins." + suffix, Type: Object, Default: "{}", Meaning: "The alternating login `_" + suffix + "`."},
			Key{Path: path + ".logins." + suffix + ".passwordVersion", Type: Integer, Least: 1, Default: "1", Meaning: "Another number makes another password for this login."})
	}
	return keys
}

// limitKeys are the keys of the limits of a login, below path.
func limitKeys(path, role string) []Key {
	return []Key{
		{Path: path + ".connectionLimit", Type: Integer, Least: -1, Default: "-1", Meaning: "The number of sessions that " + role + " may have at once, `-1` for no limit. Each of its alternating logins has the same limit."},
		{Path: path + ".statementTimeout", Type: Duration, Default: "0", Meaning: "PostgreSQL's `statement_timeout` in sessions of " + role + ", `0` for none. It is a default: a session can change it."},
		{Path: path + ".idleInTransactionSessionTimeout", Type: Duration, Default: "0", Meaning: "PostgreSQL's `idle_in_transaction_session_timeout` in sessions of " + role + ", `0` for none. It is a default: a session can change it."},
	}
}
