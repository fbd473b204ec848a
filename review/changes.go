package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tenant-permissions/internal/policy"
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

func (s *summary) report(k kind, who, format string, args ...any) {
	s.changes[k] = append(s.changes[k], change{who, fmt.Sprintf(format, args...)})
}

// loginConfig is what of a tenant or a role no resource shows.
type loginConfig struct {
	Logins *struct{ Active string }
	// Suspended and Retire say why a login ends.
	Suspended bool
	Retire    string
}

// review is a summary in the making.
type review struct {
	summary
	// outputs are those of the last deployment.
	outputs map[string]any
	// tenants, roles and readers are the config that is to be deployed.
	tenants, roles, readers map[string]loginConfig
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
	for key, into := range map[string]any{"tenants": &r.tenants, "roles": &r.roles, "readers": &r.readers} {
		text := cmp.Or(p.Config["tenant-permissions:"+key], "{}")
		if err := json.Unmarshal([]byte(text), into); err != nil && len(r.errors) == 0 {
			return summary{}, fmt.Errorf("config.%s: %w", key, err)
		}
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
			s.explained, s.open = true, nil
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
			r.report(other, s.name, "%s", s.plain())
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

// explain marks those of the resources that have the operation as explained.
func (g steps) explain(op string, names ...string) {
	for _, name := range names {
		if g.is(op, name) {
			g[name].explained = true
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
	r.database = r.outputs[policy.OutputDatabase]
	if name, set := p.Config["postgresql:database"]; set {
		r.database = name
	}
	for role, known := range map[string]struct {
		output string
		name   *any
	}{
		"app-service-role":   {policy.OutputApp, &r.app},
		"admin-service-role": {policy.OutputAdmin, &r.admin},
		"all-tenants":        {policy.OutputAllTenants, &r.allTenants},
		"all-tenants-admin":  {policy.OutputAllTenantsAdmin, &r.allTenantsAdmin},
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
		r.report(shared, "platform", "new tenants become members of %v, %v can hand them on, and %v owns their schemas: roles of another stack", r.allTenants, cmp.Or(r.allTenantsAdmin, "nobody"), cmp.Or(r.admin, "nobody"))
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
	report := func(k kind, format string, args ...any) { r.report(k, key, format, args...) }
	role := cmp.Or(g["role"].input("name"), g["usage"].input("role"), r.output(policy.OutputTenantRoles, key), "tenant_"+key)
	schema := cmp.Or(g["schema"].input("name"), r.output(policy.OutputTenantSchemas, key), "tenant_"+key)
	first, last := policy.OnAdopted()
	privileges := resources(slices.Concat(policy.OnTenantSchema(), policy.TenantDefaults()))
	adoption := resources(slices.Concat(first, last))
	want := r.wantOfTenant(role, schema)
	want["schema"]["dropCascade"] = r.tenants[key].Retire == "drop"
	asWanted := func(names ...string) bool {
		return g.is("create", names...) && !slices.ContainsFunc(names, func(name string) bool { return !g[name].has(want[name]) })
	}

	if g.is("replace", "schema") {
		report(replaced, "REPLACED by an empty one: %s", dropped(g["schema"]))
		g.explain("replace", append(slices.Clone(privileges), "schema")...)
		r.removed = append(r.removed, key)
	}
	for _, name := range []string{"role", "a-role", "b-role"} {
		if g.is("replace", name) {
			report(replaced, "REPLACED: role %s is dropped and made anew, without what it had in tables that exist", g[name].input("name"))
			g.explain("replace", name)
		}
	}

	if g.is("delete", "") || g.is("delete", "schema") {
		report(removed, "%s", goes(g))
		r.removed = append(r.removed, key)
		g.explain("delete", append(slices.Collect(maps.Keys(want)), "")...)
		return
	}
	if g.is("create", "") {
		what := "none of a tenant's privileges"
		if r.tenants[key].Retire != "" {
			what += ", since it is retired"
		}
		if asWanted(privileges...) {
			what = "reads and writes schema " + schema
		}
		if asWanted(adoption...) {
			what += ", and what is in it already"
		}
		report(added, "%s; %s", newLogins(role, g), what)
		for name, s := range g {
			if _, known := want[name]; s.Op == "create" && (name == "" || known && s.has(want[name])) {
				s.explained = true
			}
		}
		return
	}

	granted, revoked := asWanted(privileges...), g.is("delete", privileges...)
	anew := g.missing(want)
	if len(anew) > 0 {
		report(repaired, "%s", strings.Join(anew, "; "))
		if granted {
			g.explain("create", privileges...)
		}
		granted = false
	}
	on, off := g.login(role, want, r.tenants[key], report)
	ends := "no privileges in schema " + schema + " any more"
	if len(off) > 0 {
		ends = "no login as " + strings.Join(off, ", ") + " and " + ends
	}
	begins := "reads and writes schema " + schema + " again"
	if len(on) > 0 {
		begins = strings.Join(on, ", ") + " may log in again, with the old password, and " + begins
	}
	if revoked {
		g.explain("delete", append(adoption, privileges...)...)
	}
	if granted {
		g.explain("create", privileges...)
	}
	cascade := g["schema"].takeChange("dropCascade")
	drop := cascade && g["schema"].after("dropCascade") == true
	protects := g["schema"].takeChange("protect")
	switch {
	case drop && revoked:
		report(dropNext, "%s; the app reads its data until the key is gone, and then ALL OF IT IS DROPPED", ends)
	case drop:
		report(dropNext, "schema %s and ALL ITS DATA ARE DROPPED once the key is gone", schema)
	case revoked:
		report(retired, "%s; its data stays, and the app reads it", ends)
	case granted:
		report(restored, "%s", begins)
	case cascade:
		report(retired, "schema %s is kept again: it is no longer dropped with data in it", schema)
	case len(off) > 0:
		report(suspended, "no new logins as %s; open sessions go on", strings.Join(off, ", "))
	case len(on) > 0:
		report(resumed, "%s may log in again, with the old password", strings.Join(on, ", "))
	}
	switch {
	case cascade || !protects:
	case g["schema"].NewState.Protect:
		report(protected, "schema %s stays if the key is gone, unless the tenant was retired for that", schema)
	default:
		report(unprotected, "schema %s is dropped once the key is gone, if there is nothing in it", schema)
	}
	if asWanted(adoption...) {
		report(adopted, "reads and writes what is in schema %s already, the app reads it, and PUBLIC has nothing there", schema)
		g.explain("create", adoption...)
	} else if g.is("delete", adoption...) && !revoked {
		report(adopted, "no longer looked after; nothing is taken away in schema %s", schema)
		g.explain("delete", adoption...)
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
			s.explained = true
			what = append(what, fmt.Sprintf(m.what, cmp.Or(s.input(m.property), s.name)))
		}
	}
	return what
}

// login tells of a role's passwords, of its limits, and of one login that becomes two or the other
// way round. It returns the roles that can log in from now on, and those that cannot.
func (g steps) login(role string, want map[string]map[string]any, cfg loginConfig, report func(kind, string, ...any)) (on, off []string) {
	pair := []string{"a-role", "b-role", "a-password", "b-password"}
	for _, letter := range []string{"", "a-", "b-"} {
		s := g[letter+"role"]
		name := cmp.Or(s.input("name"), strings.TrimSuffix(role+"_"+strings.TrimSuffix(letter, "-"), "_"))
		if g.is("replace", letter+"password") {
			g.explain("replace", letter+"password")
			if s.takeChange("password") && s.after("login") != true {
				report(rotated, "new password for %s, which cannot log in", name)
			} else {
				report(rotated, "new password for %s; the old one ends at once, open sessions go on", name)
			}
		} else if s.takeChange("password") {
			report(repaired, "the password of %s", name)
		}
		if s.takeChange("connectionLimit") {
			report(limits, "%s has %s, had %s", name, sessions(s.after("connectionLimit")), sessions(s.before("connectionLimit")))
		}
		if s.takeChange("login") {
			if s.after("login") == true {
				on = append(on, name)
			} else {
				off = append(off, name)
			}
		}
	}
	itself := func(of []string) bool { return len(of) == 1 && of[0] == role }
	both := fmt.Sprintf("%s_a and %s_b", role, role)
	switch asWanted := func(name string) bool { return g[name].has(want[name]) }; {
	case g.is("create", pair...) && !slices.ContainsFunc(pair, func(name string) bool { return !asWanted(name) }):
		g.explain("create", pair...)
		what := fmt.Sprintf("new logins %s, which act as %s", both, role)
		if g["a-role"].after("login") != true {
			what += " and cannot log in"
		}
		if itself(off) && !cfg.Suspended && cfg.Retire == "" {
			report(pairs, "%s; %s itself no longer logs in", what, role)
			return on, nil
		}
		report(pairs, "%s; %s itself stays as it is", what, role)
	case g.is("delete", pair...):
		g.explain("delete", pair...)
		if itself(on) {
			report(pairs, "logins %s are dropped; %s itself logs in again", both, role)
			return nil, off
		}
		report(pairs, "logins %s are dropped; %s itself stays as it is", both, role)
	case cfg.Logins != nil && itself(off) && !cfg.Suspended && cfg.Retire == "":
		report(pairs, "%s itself no longer logs in, %s do", role, both)
		return on, nil
	case cfg.Logins != nil && itself(on):
		report(pairs, "%s itself logs in beside %s", role, both)
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
	role := cmp.Or(g["role"].input("name"), r.output(policy.OutputRoles, key), name)
	var actsAs any = role
	switch name {
	case "app-service":
		key, own = "app", map[string]any{"bypassRowLevelSecurity": nil}
		role = cmp.Or(g["role"].input("name"), r.output(policy.OutputRoles, key), "app_service_role")
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
	report := func(k kind, format string, args ...any) {
		if k != replaced && k != repaired {
			k = shared
		}
		r.report(k, key, format, args...)
	}
	want := map[string]map[string]any{}
	r.wantLogins(want, own, role, actsAs)
	switch {
	case g.is("create", "password", "role"):
		report(added, "%s; %s", newLogins(role, g), can)
		for name, s := range g {
			s.explained = s.Op == "create" && s.has(want[name]) // the pair too
		}
	case g.is("delete", "role"):
		report(removed, "%s, and no longer %s", goes(g), can)
		g.explain("delete", slices.Collect(maps.Keys(g))...)
	case g.is("replace", "role"):
		report(replaced, "REPLACED: role %s is dropped and made anew, without what it was given", role)
		g.explain("replace", "role")
	default:
		if anew := g.missing(want); len(anew) > 0 {
			report(repaired, "%s", strings.Join(anew, "; "))
		}
	}
	on, off := g.login(role, want, r.sharedLogins()[key], report)
	if len(on) > 0 {
		report(resumed, "%s may log in", strings.Join(on, ", "))
	}
	if len(off) > 0 {
		report(suspended, "no new logins as %s; open sessions go on", strings.Join(off, ", "))
	}
}

// sharedResource tells of a role that does not log in, of memberships and of privileges: roles.go
// makes them.
func (r *review) sharedResource(s *step) {
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
		"grant-role-to-admin":              {nil, "admin", "it reads as the app does, and can hand that on"},
		"grant-all-tenants-admin-to-admin": {nil, "admin", "it can hand on the role of every tenant"},
		"public-on-database":               {nil, database, fmt.Sprintf("%v is closed to PUBLIC", r.database)},
		"public-on-schema-public":          {nil, database, "schema public is closed to PUBLIC"},
		"app-on-database":                  {nil, database, fmt.Sprintf("%v may connect to it", s.input("role"))},
		"admin-on-database":                {nil, database, fmt.Sprintf("%v may connect to it", s.input("role"))},
		"all-tenants-on-database":          {nil, database, fmt.Sprintf("%v may connect to it", s.input("role"))},
		"default-schemas":                  {nil, "app", "it has access to schemas that the admin makes"},
		"default-tables":                   {nil, "app", "it reads tables that the admin makes"},
		"default-sequences":                {nil, "app", "it reads sequences that the admin makes"},
		"default-functions":                {nil, database, "PUBLIC may not execute functions that the admin makes"},
	}
	k, ok := known[s.name]
	if k.want == nil {
		k.want = r.wantOfShared()[s.name]
	}
	for _, closing := range policy.OnClosedDatabases() {
		if closed, found := strings.CutPrefix(s.name, closing.Resource+"-"); found {
			k.want, k.who, k.what = r.wantGrant(closing, map[policy.Role]any{}, nil), "closedDatabases", closed+" is closed to PUBLIC"
			k.want["database"], ok = closed, true
		}
	}
	if !ok {
		return
	}
	switch {
	case s.Op == "create" && s.has(k.want):
		s.explained = true
		r.report(shared, k.who, "%s", k.what)
	case s.Op == "update" && s.has(k.want) && s.takeChange("privileges"):
		r.report(shared, k.who, "%s (again)", k.what)
	case s.Op == "replace" && s.typ == "Role":
		s.explained = true
		r.report(replaced, k.who, "REPLACED: role %s is dropped and made anew, without what it was given", s.input("name"))
	case s.Op == "delete" && k.who == "closedDatabases":
		s.explained = true
		r.report(shared, k.who, "no longer looked after: %s; PUBLIC does not get its rights back", k.what)
	case s.Op == "delete":
		s.explained = true
		r.report(shared, k.who, "no more: %s", k.what)
	}
}

// sharedLogins are the config of the app, the admin and the readers, by key.
func (r *review) sharedLogins() map[string]loginConfig {
	all := maps.Clone(r.roles)
	if all == nil {
		all = map[string]loginConfig{}
	}
	maps.Copy(all, r.readers)
	return all
}

// activeLogins tells where the outputs name the other login of a pair, for which no resource
// changes.
func (r *review) activeLogins(tenants, logins map[string]steps) {
	for output, of := range map[string]struct {
		k      kind
		config map[string]loginConfig
		groups map[string]steps
	}{policy.OutputTenantLogins: {active, r.tenants, tenants}, policy.OutputLogins: {shared, r.sharedLogins(), logins}} {
		for _, key := range slices.Sorted(maps.Keys(of.config)) {
			cfg, was := of.config[key], r.output(output, key)
			group := of.groups[key]
			if of.k == shared && group == nil {
				group = of.groups[map[string]string{"app": "app-service", "admin": "admin-login"}[key]]
			}
			if cfg.Logins == nil || len(was) < 2 || group.is("create", "a-role") {
				continue
			}
			if is := was[:len(was)-1] + cfg.Logins.Active; is != was {
				r.report(of.k, key, "%s instead of %s; both work", is, was)
			}
		}
	}
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
