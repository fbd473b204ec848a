package review

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tenant-permissions/internal/config"
)

// kind is what happens to a tenant, or to the shared roles, as the title of a list.
type kind string

// In this order they are shown: what takes the most comes first.
const (
	replaced    kind = "Replaced, with loss of access or data"
	removed     kind = "Tenants removed"
	dropNext    kind = "Tenants whose data may be dropped next (retire: drop)"
	retired     kind = "Tenants retired (retire: keep)"
	suspended   kind = "Tenants suspended"
	unprotected kind = "Schemas no longer protected"
	resumed     kind = "Tenants resumed"
	restored    kind = "Tenants that have their privileges back"
	added       kind = "Tenants added"
	adopted     kind = "Tenants adopted"
	protected   kind = "Schemas protected"
	rotated     kind = "Passwords rotated"
	pairs       kind = "One login or two"
	active      kind = "Logins that the outputs name"
	limits      kind = "Connection limits"
	repaired    kind = "Made anew, or set back to what it should be"
	shared      kind = "Shared roles and databases"
	other       kind = "Other changes, to be read in the preview itself"
)

func kinds() []kind {
	return []kind{
		replaced, removed, dropNext, retired, suspended, unprotected, resumed, restored, added, adopted,
		protected, rotated, pairs, active, limits, repaired, shared, other,
	}
}

// summary is what a preview means.
type summary struct {
	stack string
	// refreshed is true if the preview has asked the server what is there.
	refreshed bool
	// operations counts resources.
	operations map[string]int
	// errors are those of a failed preview, which got only as far as the changes.
	errors  []string
	changes map[kind][]change
	// removed are the keys of the tenants that go, or whose schemas do, sorted; tooMany says that
	// they are more than may go, if they are.
	removed []string
	tooMany string
}

// change is one sentence on a tenant or a shared role.
type change struct{ who, what string }

func (s *summary) tell(k kind, who, format string, args ...any) {
	s.changes[k] = append(s.changes[k], change{who, fmt.Sprintf(format, args...)})
}

// review is a summary in the making.
type review struct {
	summary
	// outputs are those of the last deployment.
	outputs map[string]any
	// config is what is to be deployed, as far as the preview has it.
	config config.Config
	// Names in PostgreSQL, nil if unknown, as step.has takes them.
	database, app, admin, allTenants, allTenantsAdmin any
}

// summarise tells what each step of a preview means. What it does not know is told as it stands.
func summarise(p *preview) (summary, error) {
	r := review{summary: summary{operations: p.ChangeSummary, changes: map[kind][]change{}}}
	for _, d := range p.Diagnostics {
		if d.Severity == "error" {
			message := strings.TrimPrefix(strings.TrimSpace(d.Message), "error: ")
			r.errors = append(r.errors, protection.ReplaceAllString(message, "$1 cannot be deleted because it is protected: retire its tenant first (retire: drop)"))
		}
	}
	slices.Sort(r.errors)
	if cfg, err := p.config(); err == nil {
		r.config = cfg
	} else if len(r.errors) == 0 {
		return summary{}, err
	}
	p.Steps = withoutParts(p.Steps)
	slices.SortStableFunc(p.Steps, func(a, b *step) int { return cmp.Compare(a.URN, b.URN) })
	r.findNames(p)
	tenants, logins := map[string]steps{}, map[string]steps{}
	for _, s := range p.Steps {
		r.refreshed = r.refreshed || s.Op == "refresh"
		switch role := loginPattern.FindStringSubmatch(s.name); {
		case s.silent():
		case s.last().Type == stackType:
			s.told, s.open = true, nil
		case s.tenant != "":
			if name := strings.TrimPrefix(strings.TrimPrefix(s.name, s.tenant), "-"); s.typ == typeOf(name) {
				at(tenants, s.tenant)[name] = s
			}
		case role != nil && (s.typ == "Role" || s.typ == "RandomPassword"):
			at(logins, role[1])[role[2]] = s
		default:
			r.sharedResource(s)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(tenants)) {
		r.tenant(key, tenants[key])
	}
	for _, name := range slices.Sorted(maps.Keys(logins)) {
		r.sharedLogin(name, logins[name])
	}
	r.activeLogins(tenants, logins)
	for _, s := range p.Steps {
		if !s.silent() {
			r.tell(other, s.name, "%s", s.plain())
		}
	}
	r.removed = slices.Compact(r.removed)
	for _, changes := range r.changes {
		slices.SortStableFunc(changes, func(a, b change) int { return cmp.Or(cmp.Compare(a.who, b.who), cmp.Compare(a.what, b.what)) })
	}
	return r.summary, nil
}

// steps are those of one tenant or one shared login, by what follows its name: role, a-password.
type steps map[string]*step

func at(groups map[string]steps, key string) steps {
	if groups[key] == nil {
		groups[key] = steps{}
	}
	return groups[key]
}

// is reports whether the resources all have the operation.
func (g steps) is(op string, names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return g[name] == nil || g[name].Op != op })
}

// told marks those of the resources that have the operation as told.
func (g steps) told(op string, names ...string) {
	for _, name := range names {
		if g.is(op, name) {
			g[name].told = true
		}
	}
}

// loginPattern takes apart the names of a shared role that logs in, of its password, and of the
// pair behind it.
var loginPattern = regexp.MustCompile(`^(app-service|admin-login|[a-z][a-z0-9_]*)-((?:[ab]-)?(?:role|password))$`)

// protection is how Pulumi begins to say that it is not going to drop a schema. What it advises
// then is not for here.
var protection = regexp.MustCompile(`(?s)^(?:Preview failed: )?resource "urn:[^"]*::([^":]+)" cannot be deleted\s+because it is protected\..*$`)

// withoutParts leaves out the halves of replacements, which --show-replacement-steps adds.
func withoutParts(all []*step) []*step {
	return slices.DeleteFunc(all, func(s *step) bool {
		return (s.Op == "create-replacement" || s.Op == "delete-replaced") &&
			slices.ContainsFunc(all, func(whole *step) bool { return whole.URN == s.URN && whole.Op == "replace" })
	})
}

// findNames takes names from the last outputs, and for a first deployment from the new roles.
func (r *review) findNames(p *preview) {
	r.stack = "?"
	names := map[string]any{}
	for _, s := range p.Steps {
		if s.last().Type == stackType {
			r.stack = strings.TrimPrefix(strings.SplitN(s.URN, "::", 2)[0], "urn:pulumi:")
			if s.OldState != nil && len(s.OldState.Outputs) > 0 {
				r.outputs = s.OldState.Outputs
			}
		}
		if s.typ == "Role" && s.tenant == "" && s.Op == "create" {
			names[s.name] = s.last().Inputs["name"]
		}
	}
	r.database = r.outputs["database_name"]
	if name, set := p.Config["postgresql:database"]; set {
		r.database = name
	}
	for role, known := range map[string]struct {
		output string
		name   *any
	}{
		"app-service-role":   {"app_service_role_name", &r.app},
		"admin-service-role": {"admin_service_role_name", &r.admin},
		"all-tenants":        {"all_tenants_role_name", &r.allTenants},
		"all-tenants-admin":  {"all_tenants_admin_role_name", &r.allTenantsAdmin},
	} {
		*known.name = r.outputs[known.output]
		if name, created := names[role]; created {
			*known.name = name
		}
	}
	if r.allTenants == nil {
		r.takeNames(p)
	}
}

// takeNames takes the names of shared roles that nothing in the preview tells, as in that of a new
// cell, from its first tenant, and says so. Tenants that have others are told of.
func (r *review) takeNames(p *preview) {
	for _, s := range p.Steps {
		if s.tenant == "" || s.Op != "create" {
			continue
		}
		inputs := s.last().Inputs
		switch roles, isList := inputs["roles"].([]any); {
		case s.name == s.tenant+"-role" && isList && len(roles) == 1:
			r.allTenants = cmp.Or(r.allTenants, roles[0])
		case s.typ == "Schema":
			r.admin = cmp.Or(r.admin, inputs["owner"])
		case s.typ == "GrantRole":
			r.allTenantsAdmin = cmp.Or(r.allTenantsAdmin, inputs["role"])
		}
	}
	if r.allTenants != nil {
		r.tell(shared, "platform", "new tenants become members of %v, %v can hand them on, and %v owns their schemas: roles of another stack", r.allTenants, cmp.Or(r.allTenantsAdmin, "nobody"), cmp.Or(r.admin, "nobody"))
	}
}

// output is a name among the last outputs, "" if there is none.
func (r *review) output(output, key string) string {
	byKey, ok := r.outputs[output].(map[string]any)
	if !ok {
		return ""
	}
	name, ok := byKey[key].(string)
	if !ok {
		return ""
	}
	return name
}

// tenant tells what happens to a tenant.
func (r *review) tenant(key string, g steps) {
	tell := func(k kind, format string, args ...any) { r.tell(k, key, format, args...) }
	role := cmp.Or(g["role"].input("name"), g["usage"].input("role"), r.output("tenant_role_names", key), "tenant_"+key)
	schema := cmp.Or(g["schema"].input("name"), r.output("tenant_schema_names", key), "tenant_"+key)
	privileges := []string{"usage", "tables", "sequences"}
	adoption := []string{"adopted-tables", "adopted-sequences", "public-on-adopted", "app-on-adopted", "app-on-adopted-tables", "app-on-adopted-sequences"}
	want := r.wantOfTenant(role, schema)
	want["schema"]["dropCascade"] = r.config.Tenants[key].Retire == config.RetireDrop
	asWanted := func(names ...string) bool {
		return g.is("create", names...) && !slices.ContainsFunc(names, func(name string) bool { return !g[name].has(want[name]) })
	}

	if g.is("replace", "schema") {
		tell(replaced, "REPLACED by an empty one: %s", dropped(g["schema"]))
		g.told("replace", append(slices.Clone(privileges), "schema")...)
		r.removed = append(r.removed, key)
	}
	for _, name := range []string{"role", "a-role", "b-role"} {
		if g.is("replace", name) {
			tell(replaced, "REPLACED: role %s is dropped and made anew, without what it had in tables that exist", g[name].input("name"))
			g.told("replace", name)
		}
	}

	if g.is("delete", "") || g.is("delete", "schema") {
		tell(removed, "%s", goes(g))
		r.removed = append(r.removed, key)
		g.told("delete", append(slices.Collect(maps.Keys(want)), "")...)
		return
	}
	if g.is("create", "") {
		what := "none of a tenant's privileges"
		if r.config.Tenants[key].Retire != config.NotRetired {
			what += ", since it is retired"
		}
		if asWanted(privileges...) {
			what = "reads and writes schema " + schema
		}
		if asWanted(adoption...) {
			what += ", and what is in it already"
		}
		tell(added, "%s; %s", newLogins(role, g), what)
		for name, s := range g {
			if _, known := want[name]; s.Op == "create" && (name == "" || known && s.has(want[name])) {
				s.told = true
			}
		}
		return
	}

	granted, revoked := asWanted(privileges...), g.is("delete", privileges...)
	anew := g.missing(want)
	if len(anew) > 0 {
		tell(repaired, "%s", strings.Join(anew, "; "))
		if granted {
			g.told("create", privileges...)
		}
		granted = false
	}
	on, off := g.login(role, want, r.config.Tenants[key].Login, tell)
	ends := "no privileges in schema " + schema + " any more"
	if len(off) > 0 {
		ends = "no login as " + strings.Join(off, ", ") + " and " + ends
	}
	begins := "reads and writes schema " + schema + " again"
	if len(on) > 0 {
		begins = strings.Join(on, ", ") + " may log in again, with the old password, and " + begins
	}
	if revoked {
		g.told("delete", append(adoption, privileges...)...)
	}
	if granted {
		g.told("create", privileges...)
	}
	cascade := g["schema"].changes("dropCascade")
	drop := cascade && g["schema"].after("dropCascade") == true
	protects := g["schema"].changes("protect")
	switch {
	case drop && revoked:
		tell(dropNext, "%s; the app reads its data until the key is gone, and then ALL OF IT IS DROPPED", ends)
	case drop:
		tell(dropNext, "schema %s and ALL ITS DATA ARE DROPPED once the key is gone", schema)
	case revoked:
		tell(retired, "%s; its data stays, and the app reads it", ends)
	case granted:
		tell(restored, "%s", begins)
	case cascade:
		tell(retired, "schema %s is kept again: it is no longer dropped with data in it", schema)
	case len(off) > 0:
		tell(suspended, "no new logins as %s; open sessions go on", strings.Join(off, ", "))
	case len(on) > 0:
		tell(resumed, "%s may log in again, with the old password", strings.Join(on, ", "))
	}
	switch {
	case cascade || !protects:
	case g["schema"].NewState.Protect:
		tell(protected, "schema %s stays if the key is gone, unless the tenant was retired for that", schema)
	default:
		tell(unprotected, "schema %s is dropped once the key is gone, if there is nothing in it", schema)
	}
	if asWanted(adoption...) {
		tell(adopted, "reads and writes what is in schema %s already, the app reads it, and PUBLIC has nothing there", schema)
		g.told("create", adoption...)
	} else if g.is("delete", adoption...) && !revoked {
		tell(adopted, "no longer looked after; nothing is taken away in schema %s", schema)
		g.told("delete", adoption...)
	}
}

// goes says what of a tenant is dropped.
func goes(g steps) string {
	var what []string
	for _, name := range []string{"role", "a-role", "b-role"} {
		if g.is("delete", name) {
			what = append(what, "login "+g[name].input("name")+" is dropped")
		}
	}
	if g.is("delete", "schema") {
		what = append(what, dropped(g["schema"]))
	}
	return cmp.Or(strings.Join(what, "; "), "it is no longer this stack's; what is on the server stays")
}

// dropped says what a schema's end means for the data in it.
func dropped(schema *step) string {
	if schema.OldState.Inputs["dropCascade"] == true {
		return fmt.Sprintf("schema %v and ALL ITS DATA are dropped", schema.OldState.Inputs["name"])
	}
	return fmt.Sprintf("schema %v is dropped if there is nothing in it, and otherwise the run fails", schema.OldState.Inputs["name"])
}

// newLogins names the logins of a role that is new.
func newLogins(role string, g steps) string {
	what := "new login " + role
	if g["role"] != nil && g["role"].after("login") != true {
		what = "new role " + role + ", which cannot log in"
	}
	if g.is("create", "a-role", "b-role") {
		what += fmt.Sprintf("; new logins %s and %s, which act as it", g["a-role"].input("name"), g["b-role"].input("name"))
		if g["a-role"].after("login") != true {
			what += " and cannot log in"
		}
	}
	return what
}

// missing are roles, schemas and memberships that are made although the tenant or login exists.
func (g steps) missing(want map[string]map[string]any) (what []string) {
	for _, m := range []struct{ name, what, property string }{
		{"password", "another password, for %s", ""},
		{"role", "role %s, without what it had in tables that exist", "name"},
		{"schema-claim", "role %s, which keeps others from taking over the schema", "name"},
		{"grant-role", "the admin may hand on %s", "grantRole"},
		{"schema", "schema %s, empty", "name"},
	} {
		if s := g[m.name]; g.is("create", m.name) && s.has(want[m.name]) {
			s.told = true
			what = append(what, fmt.Sprintf(m.what, cmp.Or(s.input(m.property), s.name)))
		}
	}
	return what
}

// login tells of a role's passwords, of its limits, and of one login that becomes two or the other
// way round. It returns the roles that can log in from now on, and those that cannot.
func (g steps) login(role string, want map[string]map[string]any, cfg config.Login, tell func(kind, string, ...any)) (on, off []string) {
	pair := []string{"a-role", "b-role", "a-password", "b-password"}
	for _, letter := range []string{"", "a-", "b-"} {
		s := g[letter+"role"]
		name := cmp.Or(s.input("name"), strings.TrimSuffix(role+"_"+strings.TrimSuffix(letter, "-"), "_"))
		if g.is("replace", letter+"password") {
			g.told("replace", letter+"password")
			if s.changes("password") && s.after("login") != true {
				tell(rotated, "new password for %s, which cannot log in", name)
			} else {
				tell(rotated, "new password for %s; the old one ends at once, open sessions go on", name)
			}
		} else if s.changes("password") {
			tell(repaired, "the password of %s", name)
		}
		if s.changes("connectionLimit") {
			tell(limits, "%s has %s, had %s", name, sessions(s.after("connectionLimit")), sessions(s.before("connectionLimit")))
		}
		if s.changes("login") {
			if s.after("login") == true {
				on = append(on, name)
			} else {
				off = append(off, name)
			}
		}
	}
	alternating := len(cfg.Alternating) > 0
	locked := alternating && !cfg.Alternating[0].CanLogin // the tenant is suspended or retired
	itself := func(of []string) bool { return len(of) == 1 && of[0] == role }
	both := fmt.Sprintf("%s_a and %s_b", role, role)
	switch asWanted := func(name string) bool { return g[name].has(want[name]) }; {
	case g.is("create", pair...) && !slices.ContainsFunc(pair, func(name string) bool { return !asWanted(name) }):
		g.told("create", pair...)
		what := fmt.Sprintf("new logins %s, which act as %s", both, role)
		if g["a-role"].after("login") != true {
			what += " and cannot log in"
		}
		if itself(off) && !locked {
			tell(pairs, "%s; %s itself no longer logs in", what, role)
			return on, nil
		}
		tell(pairs, "%s; %s itself stays as it is", what, role)
	case g.is("delete", pair...):
		g.told("delete", pair...)
		if itself(on) {
			tell(pairs, "logins %s are dropped; %s itself logs in again", both, role)
			return nil, off
		}
		tell(pairs, "logins %s are dropped; %s itself stays as it is", both, role)
	case alternating && itself(off) && !locked:
		tell(pairs, "%s itself no longer logs in, %s do", role, both)
		return on, nil
	case alternating && itself(on):
		tell(pairs, "%s itself logs in beside %s", role, both)
		return nil, off
	}
	return on, off
}

func sessions(limit any) string {
	switch limit {
	case nil, -1.0:
		return "no limit"
	}
	return fmt.Sprintf("at most %v sessions", limit)
}

// sharedLogin tells what happens to the app's role, the admin's login or a further reader.
func (r *review) sharedLogin(name string, g steps) {
	key, can := name, "reads the data of every tenant"
	own := map[string]any{"roles": listOf(r.app)}
	role := cmp.Or(g["role"].input("name"), r.output("role_names", key), name)
	var actsAs any = role
	switch name {
	case "app-service":
		key, own = "app", map[string]any{"bypassRowLevelSecurity": nil}
		role = cmp.Or(g["role"].input("name"), r.output("role_names", key), "app_service_role")
		actsAs = role
		if g["role"] != nil && g["role"].last().Inputs["bypassRowLevelSecurity"] == true {
			can += ", and rows that policies hide"
		}
	case "admin-login":
		key, can = "admin", fmt.Sprintf("acts as %v, which owns the schema of every tenant", cmp.Or(r.admin, "the admin role"))
		own = map[string]any{"roles": listOf(r.admin), "assumeRole": r.admin}
		role = cmp.Or(g["role"].input("name"), strings.TrimSuffix(g["a-role"].input("name"), "_a"), strings.TrimSuffix(g["b-role"].input("name"), "_b"), "admin_service_login")
		actsAs = r.admin
	}
	tell := func(k kind, format string, args ...any) {
		if k != replaced && k != repaired {
			k = shared
		}
		r.tell(k, key, format, args...)
	}
	want := map[string]map[string]any{}
	r.wantLogins(want, own, role, actsAs)
	switch {
	case g.is("create", "password", "role"):
		tell(added, "%s; %s", newLogins(role, g), can)
		for name, s := range g {
			s.told = s.Op == "create" && s.has(want[name]) // the pair too
		}
	case g.is("delete", "role"):
		tell(removed, "%s, and no longer %s", goes(g), can)
		g.told("delete", slices.Collect(maps.Keys(g))...)
	case g.is("replace", "role"):
		tell(replaced, "REPLACED: role %s is dropped and made anew, without what it was given", role)
		g.told("replace", "role")
	default:
		if anew := g.missing(want); len(anew) > 0 {
			tell(repaired, "%s", strings.Join(anew, "; "))
		}
	}
	on, off := g.login(role, want, r.sharedLogins()[key], tell)
	if len(on) > 0 {
		tell(resumed, "%s may log in", strings.Join(on, ", "))
	}
	if len(off) > 0 {
		tell(suspended, "no new logins as %s; open sessions go on", strings.Join(off, ", "))
	}
}

// sharedResource tells of a role that does not log in, of memberships and of privileges: roles.go
// makes them.
func (r *review) sharedResource(s *step) {
	onDatabase := func(role any, privileges ...string) map[string]any {
		return map[string]any{"database": r.database, "objectType": "database", "role": role, "privileges": list(privileges...)}
	}
	defaults := func(objectType string, role any, privileges ...string) map[string]any {
		return map[string]any{"database": r.database, "objectType": objectType, "owner": r.admin, "role": role, "privileges": list(privileges...)}
	}
	attributes := map[string]any{
		"name": nil, "login": false, "superuser": false, "createDatabase": false, "createRole": false,
		"inherit": nil, "replication": false, "bypassRowLevelSecurity": false,
	}
	admin := maps.Clone(attributes)
	var has []string
	for _, attribute := range []string{"superuser", "createDatabase", "createRole", "replication", "bypassRowLevelSecurity"} {
		admin[attribute] = nil
		if s.last().Inputs[attribute] == true {
			has = append(has, attribute)
		}
	}
	const database = "database"
	known := map[string]struct {
		want      map[string]any
		who, what string
	}{
		"admin-service-role":               {admin, "admin", fmt.Sprintf("role %s owns the schema of every tenant, and has %s", s.input("name"), cmp.Or(strings.Join(has, ", "), "no attributes"))},
		"all-tenants":                      {map[string]any{"name": nil, "login": false}, "allTenants", "every tenant is a member of role " + s.input("name")},
		"all-tenants-admin":                {attributes, "allTenantsAdmin", "role " + s.input("name") + " can hand on the role of every tenant"},
		"grant-role-to-admin":              {map[string]any{"role": r.admin, "grantRole": r.app, "withAdminOption": true}, "admin", "it reads as the app does, and can hand that on"},
		"grant-all-tenants-admin-to-admin": {map[string]any{"role": r.admin, "grantRole": r.allTenantsAdmin}, "admin", "it can hand on the role of every tenant"},
		"public-on-database":               {onDatabase("public"), database, fmt.Sprintf("%v is closed to PUBLIC", r.database)},
		"public-on-schema-public":          {map[string]any{"database": r.database, "objectType": "schema", "schema": "public", "role": "public", "privileges": list()}, database, "schema public is closed to PUBLIC"},
		"app-on-database":                  {onDatabase(r.app, "CONNECT"), database, fmt.Sprintf("%v may connect to it", s.input("role"))},
		"admin-on-database":                {onDatabase(r.admin, "CONNECT"), database, fmt.Sprintf("%v may connect to it", s.input("role"))},
		"all-tenants-on-database":          {onDatabase(r.allTenants, "CONNECT"), database, fmt.Sprintf("%v may connect to it", s.input("role"))},
		"default-schemas":                  {defaults("schema", r.app, "USAGE"), "app", "it has access to schemas that the admin makes"},
		"default-tables":                   {defaults("table", r.app, "SELECT"), "app", "it reads tables that the admin makes"},
		"default-sequences":                {defaults("sequence", r.app, "SELECT"), "app", "it reads sequences that the admin makes"},
		"default-functions":                {defaults("function", "public"), database, "PUBLIC may not execute functions that the admin makes"},
	}
	k, ok := known[s.name]
	if closed, found := strings.CutPrefix(s.name, "public-on-database-"); found {
		k.want, k.who, k.what = onDatabase("public"), "closedDatabases", closed+" is closed to PUBLIC"
		k.want["database"], ok = closed, true
	}
	if !ok {
		return
	}
	switch {
	case s.Op == "create" && s.has(k.want):
		s.told = true
		r.tell(shared, k.who, "%s", k.what)
	case s.Op == "update" && s.has(k.want) && s.changes("privileges"):
		r.tell(shared, k.who, "%s (again)", k.what)
	case s.Op == "replace" && s.typ == "Role":
		s.told = true
		r.tell(replaced, k.who, "REPLACED: role %s is dropped and made anew, without what it was given", s.input("name"))
	case s.Op == "delete" && k.who == "closedDatabases":
		s.told = true
		r.tell(shared, k.who, "no longer looked after: %s; PUBLIC does not get its rights back", k.what)
	case s.Op == "delete":
		s.told = true
		r.tell(shared, k.who, "no more: %s", k.what)
	}
}

// activeLogins tells where the outputs name the other login of a pair, for which no resource
// changes.
func (r *review) activeLogins(tenants, logins map[string]steps) {
	for output, of := range map[string]struct {
		k      kind
		config map[string]config.Login
		groups map[string]steps
	}{"tenant_login_names": {active, r.tenantLogins(), tenants}, "login_names": {shared, r.sharedLogins(), logins}} {
		for _, key := range slices.Sorted(maps.Keys(of.config)) {
			cfg, was := of.config[key], r.output(output, key)
			group := of.groups[key]
			if of.k == shared && group == nil {
				group = of.groups[map[string]string{"app": "app-service", "admin": "admin-login"}[key]]
			}
			if len(cfg.Alternating) == 0 || was == "" || group.is("create", "a-role") {
				continue
			}
			if cfg.Active != was {
				r.tell(of.k, key, "%s instead of %s; both work", cfg.Active, was)
			}
		}
	}
}

// tenantLogins are the logins of tenants by key.
func (r *review) tenantLogins() map[string]config.Login {
	logins := map[string]config.Login{}
	for key, tenant := range r.config.Tenants {
		logins[key] = tenant.Login
	}
	return logins
}

// sharedLogins are the logins of the app, of the admin and of the readers, by the keys that they have
// in the outputs.
func (r *review) sharedLogins() map[string]config.Login {
	logins := map[string]config.Login{"app": r.config.App, "admin": r.config.Admin.Login}
	maps.Copy(logins, r.config.Readers)
	return logins
}

// plain is a step as it stands.
func (s *step) plain() string {
	what := s.Op + " " + s.typ
	if s.tenant != "" {
		what += " of tenant " + s.tenant
	}
	properties := slices.Sorted(maps.Keys(s.open))
	if len(properties) == 0 {
		properties = slices.Sorted(maps.Keys(s.last().Inputs))
	}
	var told []string
	for _, property := range properties {
		told = append(told, property+s.values(property))
	}
	return strings.TrimSuffix(what+": "+strings.Join(told, ", "), ": ")
}

// values are the property's value, before and after if it changes, of resources of which all but
// the password can be shown.
func (s *step) values(property string) string {
	if property == "password" || !slices.Contains([]string{"Role", "Schema", "Grant", "GrantRole", "DefaultPrivileges"}, s.typ) {
		return ""
	}
	if !s.open[property] {
		return fmt.Sprintf(" %v", s.last().Inputs[property])
	}
	if property == "protect" {
		return fmt.Sprintf(" %v, was %v", s.NewState.Protect, s.OldState.Protect)
	}
	return fmt.Sprintf(" %v, was %v", s.after(property), s.before(property))
}
