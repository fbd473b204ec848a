package audit

import "time"

// Report is what an audit of one database found, and what --format json prints.
type Report struct {
	// Version of this form; fields are only ever added without another version.
	Version  int       `json:"version"`
	Taken    time.Time `json:"taken"`
	Server   string    `json:"server"` // version of PostgreSQL, such as 15.18
	Database string    `json:"database"`
	// Principals are who can do something: every role that is managed or reaches an object, and PUBLIC.
	Principals []Principal `json:"principals"`
	Tenants    []Tenant    `json:"tenants"`
	Objects    []Object    `json:"objects"`
	// AccessLists are what the objects' Access points into: most objects of a schema share one list.
	AccessLists [][]Access `json:"accessLists"`
	Violations  []Finding  `json:"violations"`
	// Waived are the violations that a waiver accepts for now.
	Waived []Finding `json:"waived"`
	// Notes are facts that are no violations, such as what only a superuser could have checked.
	Notes []Finding `json:"notes"`

	// waivable are the violations as a waiver names them, and vague is the number of those that cannot be
	// waived.
	waivable []waived
	vague    int
	// address is the server's host:port.
	address string
	// ended is the number of waivers whose day has passed.
	ended int
	// took is how long the audit took.
	took time.Duration
}

// Principal is a role, or PUBLIC.
type Principal struct {
	Name string `json:"name"`
	// Kind is one of the kinds below.
	Kind string `json:"kind"`
	// Tenant is the key of the tenant whose role or login this is.
	Tenant string `json:"tenant,omitempty"`
}

// Kinds of principals.
const (
	KindTenant      = "tenant"       // the role with a tenant's privileges, which logs in unless it has alternating logins
	KindTenantLogin = "tenant login" // one of its alternating logins
	KindAgent       = "agent"        // a read-only login of a tenant, and its alternating logins
	KindAgents      = "agents"       // the group role of a tenant's agents
	KindApp         = "app"          // the app role and its logins
	KindReader      = "reader"       // further readers and their logins
	KindAdmin       = "admin"        // the admin role and its logins
	KindGroup       = "group"        // all_tenants, all_tenants_admin, and roles that only reserve a schema's name
	KindDeployer    = "deployer"     // the owner of the database, as whom the stack connects unless it does so as a superuser
	KindSuperuser   = "superuser"
	KindPublic      = "PUBLIC"
	KindPredefined  = "predefined" // PostgreSQL's own, pg_read_all_data for instance
	KindOther       = "other"      // unknown to the stack
)

// Tenant is a tenant of the stacks.
type Tenant struct {
	Key   string `json:"key"`
	Role  string `json:"role,omitempty"` // none if it is retired
	Login string `json:"login,omitempty"`
	// Retired is the role of a retired tenant.
	Retired string `json:"retired,omitempty"`
	Schema  string `json:"schema"`
	// Database is the tenant's own database, none if its schema is in the stacks' database.
	Database string `json:"database,omitempty"`
	// Previous is a database of its own that it has left, and that is kept.
	Previous string `json:"previous,omitempty"`
	// Agents are the logins of its agents by key, and AgentsRole is their group role.
	Agents     map[string]string `json:"agents,omitempty"`
	AgentsRole string            `json:"agentsRole,omitempty"`
	// Stack is the file that its outputs came from.
	Stack string `json:"stack"`

	// movedTo is the database that the tenant is in now, if this is what it has left in another one.
	movedTo string
}

// Object is the database, a schema, or something in a tenant's schema.
type Object struct {
	// Kind is database, schema, table, view, materialized view, foreign table, sequence or function.
	Kind string `json:"kind"`
	// Schema is "" for the database; Name is "" for a schema.
	Schema string `json:"schema,omitempty"`
	Name   string `json:"name,omitempty"`
	Owner  string `json:"owner"`
	// Tenant is the key of the tenant whose schema this is or is in.
	Tenant string `json:"tenant,omitempty"`
	// Access is an index of Report.AccessLists.
	Access int `json:"access"`
	// Database is the database that it is, or is in, none for the stacks' own.
	Database string `json:"database,omitempty"`
}

// Access is what one principal can do with an object, by any path: rights that it has or inherits, and
// those that it can get by SET ROLE or by an admin option.
type Access struct {
	Who string `json:"who"`
	// Rights are among read, write, create, own, use and connect, in this order. A table counts as
	// read only if its schema can be used too.
	Rights []string `json:"rights"`
	// Path is why, in words: "direct", "PUBLIC", "owner", "member of app_service_role",
	// "SET ROLE tenant_acme", "predefined role pg_read_all_data", one step after the other.
	Path string `json:"path"`
	// Expected is true if the policy gives this.
	Expected bool `json:"expected"`
}

// Finding is a violation of a rule, or a note.
type Finding struct {
	// Rule is the rule's name, such as tenant-reaches-tenant.
	Rule string `json:"rule"`
	// Tenant is the key of the tenant concerned, Subject the role, Object what it is about.
	Tenant  string `json:"tenant,omitempty"`
	Subject string `json:"subject,omitempty"`
	Object  string `json:"object,omitempty"`
	// Database is the tenant's own database that this is about, none for the stacks' own and for what the
	// whole server has once.
	Database string `json:"database,omitempty"`
	// Text says what is wrong and by which path, Fix what to do.
	Text string `json:"text"`
	Fix  string `json:"fix,omitempty"`
	// Waiver is the waiver of a waived violation, or the one of a violation that has ended.
	Waiver *Waiver `json:"waiver,omitempty"`
	// object is how waivers name the object, where Object alone does not say which one it is.
	object string
	// vague is true if the finding does not name all that it is about, so that it cannot be waived.
	vague bool
	// explains is what the finding names.
	explains explanation
}

// Waiver is why a violation is accepted, and until when.
type Waiver struct {
	Reason string `json:"reason"`
	// Until is the last day on which it is accepted, in UTC, such as 2026-12-31.
	Until string `json:"until"`
	// Ended is true if that day has passed. The violation counts again.
	Ended bool `json:"ended,omitempty"`
}
