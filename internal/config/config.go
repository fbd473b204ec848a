// Package config reads the config of a stack: types, defaults, strict decoding, and the names that a
// stack takes on its server. It does not use Pulumi, so that tools can read a config as the program
// does.
package config

import (
	"slices"
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

// Expiry is PostgreSQL's text of the time at which a password expires: infinity for the zero time.
func Expiry(at time.Time) string {
	if at.IsZero() {
		return "infinity"
	}
	return at.UTC().Format("2006-01-02 15:04:05Z")
}
