package review

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/policy"
)

// schemaIn is the tenant's schema at a place, in words.
func (t tenant) schemaIn(p place) string { return "schema " + t.names.schema + t.in(p) }

// in names the database of a place. It is empty for that of the stack, if the tenant has only ever to do
// with that.
func (t tenant) in(p place) string {
	if !p.isOwn() && (p.isolation == t.now.isolation && !t.moves || p.database == nil) {
		return ""
	}
	return fmt.Sprintf(" of database %v", p.database)
}

// dataIn is what is dropped with all data at a place.
func (t tenant) dataIn(p place) string {
	if p.isOwn() {
		return "database " + t.names.database
	}
	return t.schemaIn(p)
}

// droppedIn says what data is dropped at a place, empty for none. A database goes with all that is in it,
// whoever uses it.
func (t tenant) droppedIn(p place) string {
	schema := t.steps[p.prefix+"schema"]
	switch {
	case p.isOwn() && t.steps.all("delete", "database"):
		return fmt.Sprintf("database %s and ALL ITS DATA are dropped, also what is not in the tenant's schema; its sessions end", t.names.database)
	case !t.steps.all("delete", p.prefix+"schema"):
		return ""
	case p.isOwn():
		return dropped(schema, t.in(p)) + "; the database stays"
	}
	return dropped(schema, t.in(p))
}

// explainReplacedData explains schemas and databases that are replaced. All data is lost.
func (t tenant) explainReplacedData() {
	for _, p := range []place{t.now, t.other} {
		var what string
		all := slices.Concat(p.privileges(), p.functions(), p.agentPrivileges(), p.closing(), p.onExtensions(), []string{p.prefix + "schema"})
		switch {
		case p.isOwn() && t.steps.all("replace", "database"):
			what = fmt.Sprintf("REPLACED by an empty database: database %s and ALL ITS DATA are dropped", t.names.database)
			all = append(all, "database")
			for _, name := range t.steps.ownExtensions() {
				all = append(all, databasePrefix+extensionPrefix+name)
			}
		case t.steps.all("replace", p.prefix+"schema"):
			what = "REPLACED by an empty schema: " + dropped(t.steps[p.prefix+"schema"], t.in(p))
		default:
			continue
		}
		t.report(replaced, "%s", what)
		t.steps.explainAsWanted("replace", t.want, all...)
		t.summary.removed = append(t.summary.removed, t.key)
	}
}

// newDatabase describes the tenant's own database if it is new, and explains all in it that others than
// the tenant have to do with. It is empty otherwise.
func (t tenant) newDatabase() string {
	if !t.steps.created(t.want, "database") {
		return ""
	}
	t.steps.explain("create", "database")
	s := t.steps["database"]
	var settings []string
	if limit := sessions(s.after("connectionLimit")); limit != "none" {
		settings = append(settings, "connection limit "+limit)
	}
	for _, setting := range []struct{ input, title string }{{"encoding", "encoding"}, {"lcCollate", "collation"}, {"tablespaceName", "tablespace"}} {
		if value := s.input(setting.input); value != "" {
			settings = append(settings, setting.title+" "+value)
		}
	}
	what := "new database " + t.names.database
	if len(settings) > 0 {
		what += " (" + strings.Join(settings, ", ") + ")"
	}
	p := place{isolation: config.IsolationDatabase, prefix: databasePrefix}
	if t.turn(p.closing()).granted {
		what += ", closed to PUBLIC; " + t.mayConnect() + " may connect to it"
	} else {
		what += ", with other privileges than such a database has"
	}
	t.steps.explainAsWanted("create", t.want, append(p.names(policy.OnTenantExtensionSchema()...), p.prefix+"extension-schema")...)
	var all []string
	for _, name := range t.steps.ownExtensions() {
		resource := databasePrefix + extensionPrefix + name
		if t.steps.created(t.want, resource) {
			t.steps.explain("create", resource)
			all = append(all, name+version(t.steps[resource].after("version")))
		}
	}
	if len(all) > 0 {
		what += "; it has the extensions " + strings.Join(all, ", ")
	}
	return what
}

// explainRecreatedDatabase explains that the database of a tenant that stays in it is missing and created
// again. It returns a sentence, none if it is not.
func (t tenant) explainRecreatedDatabase() []string {
	if !t.now.isOwn() || t.moves || !t.steps.created(t.want, "database") {
		return nil
	}
	return []string{fmt.Sprintf("database %s was missing and is created again, empty: %s", t.names.database, t.newDatabase())}
}

// mayConnect names who may connect to the tenant's own database beside the tenant.
func (t tenant) mayConnect() string {
	var roles []string
	for _, grant := range policy.OnTenantDatabase() {
		if slices.Contains(grant.Privileges, "CONNECT") {
			roles = append(roles, fmt.Sprint(t.want[databasePrefix+grant.Resource].inputs["role"]))
		}
	}
	return strings.Join(roles, " and ")
}

// explainHeld explains what the tenant and its agents hold on extensions in its own database, where it
// comes and goes with their other privileges.
func (t tenant) explainHeld(p place, all turns) {
	agents, own := ofAgents(policy.OnOwnExtensionSchema(true))
	for _, held := range []struct {
		turn  turn
		names []string
	}{{all.own, p.names(own...)}, {all.agents, p.names(agents...)}} {
		switch {
		case !p.isOwn():
		case held.turn.granted:
			t.steps.explainAsWanted("create", t.want, held.names...)
		case held.turn.revoked:
			t.steps.explain("delete", held.names...)
		}
	}
}

// explainDatabase explains changes of the tenant's own database and of what is in it, where these are not
// a part of a change of the tenant.
func (t tenant) explainDatabase() {
	s := t.steps["database"]
	if s.changes("connectionLimit") {
		s.explain("connectionLimit")
		t.report(limits, "the connection limit of database %s changes from %s to %s", t.names.database, sessions(s.before("connectionLimit")), sessions(s.after("connectionLimit")))
	}
	if s.changes("tablespaceName") && s.after("tablespaceName") != nil {
		s.explain("tablespaceName")
		t.report(databases, "database %s moves from tablespace %v to tablespace %v; the run fails while anybody else is connected to it",
			t.names.database, s.before("tablespaceName"), s.after("tablespaceName"))
	}
	p := place{isolation: config.IsolationDatabase, prefix: databasePrefix}
	forExtensions := p.onExtensions()
	for _, name := range slices.Sorted(maps.Keys(below(t.steps, databasePrefix))) {
		name = databasePrefix + name
		s, k := t.steps[name], repaired
		extension := slices.Contains(forExtensions, name)
		if extension {
			k = extensions
		}
		switch {
		case s.done() || s.typ != typeGrant && s.typ != typeDefaultPrivileges || !extension && !slices.Contains(p.closing(), name):
		case s.Op == "create" && s.is(t.want[name]):
			s.explainWhole()
			t.report(k, "%s in database %s", s.means(), t.names.database)
		case s.Op == "delete" && extension:
			s.explainWhole()
			t.report(k, "no longer in force in database %s: %s", t.names.database, s.means())
		}
	}
}

// explainMemberships explains that the tenant's role and those of its agents are no longer members of the
// role of all tenants because they have moved, or are from now on. It returns a clause, empty for none.
func (t tenant) explainMemberships() string {
	var members []string
	for _, name := range t.roles() {
		s := t.steps[name]
		if s.changes("roles") && sameRoles(s.before("roles"), t.before[name].inputs["roles"]) && sameRoles(s.after("roles"), t.want[name].inputs["roles"]) {
			s.explain("roles")
			members = append(members, s.input("name"))
		}
	}
	if len(members) == 0 {
		return ""
	}
	verb, group := "become members of", t.group
	if t.now.isOwn() {
		verb = "are no longer members of"
	}
	if len(members) == 1 {
		verb = map[bool]string{true: "is no longer a member of", false: "becomes a member of"}[t.now.isOwn()]
	}
	return fmt.Sprintf("; %s %s %v", strings.Join(members, ", "), verb, group)
}

// roles are the logical names of the tenant's role and of those of its agents.
func (t tenant) roles() []string {
	names := []string{"role"}
	for _, agent := range t.steps.agents() {
		names = append(names, agentPrefix(agent)+"role")
	}
	return names
}

// without are the words of a list that are not in another one.
func without(list, other any) string {
	others := words(other)
	return strings.Join(slices.DeleteFunc(words(list), func(word string) bool { return slices.Contains(others, word) }), ", ")
}

// sameRoles reports whether two lists have the same roles. No list is an empty one. A list of which a
// name is unknown is the same as none.
func sameRoles(a, b any) bool {
	if b == nil {
		return false
	}
	first, second := words(a), words(b)
	slices.Sort(first)
	slices.Sort(second)
	return slices.Equal(first, second)
}

// explainMove explains that the tenant has another place from now on.
func (t tenant) explainMove(now turns) {
	var what []string
	add := func(clause string) {
		if clause != "" {
			what = append(what, clause)
		}
	}
	add(t.newDatabase())
	if t.steps.created(t.want, t.now.prefix+"schema") {
		t.steps.explain("create", t.now.prefix+"schema")
		add("new " + t.schemaIn(t.now))
	}
	t.steps.explainAsWanted("create", t.want, "schema-claim")
	switch {
	case now.own.granted:
		adopted := ""
		if t.turn(t.now.adoption()).granted {
			adopted = ", existing tables included"
		}
		add("it reads and writes " + t.schemaIn(t.now) + adopted + alsoHeld(now.functions, now.agents))
	case t.config.Retire != config.NotRetired:
		add("it has no privileges there, because it is retired")
	default:
		add("it has other privileges there than a tenant has")
	}
	add(t.leaves())
	switch lost := t.droppedIn(t.other); {
	case lost != "":
	case t.config.Previous == config.PreviousKeep:
		add("all data stays there (previous: keep), and the app reads it")
	case t.config.Previous == config.PreviousDrop:
		add("all data stays there until previous is removed from the config")
	}
	t.report(moved, "%s; this run copies no data%s", strings.Join(what, "; "), t.explainMemberships())
}

// leaves explains that the tenant has no privileges any more where it was. It returns a clause, empty if
// it had none there.
func (t tenant) leaves() string {
	p := t.other
	if !t.steps.all("delete", p.privileges()...) {
		return ""
	}
	who := "it loses its"
	if t.steps.all("delete", p.agentPrivileges()...) {
		who = "it and its agents lose their"
	}
	t.steps.explain("delete", slices.Concat(p.privileges(), p.functions(), p.agentPrivileges(), p.adoption(), p.names(policy.OnOwnExtensionSchema(true)...))...)
	return who + " privileges in " + t.schemaIn(p)
}

// explainOther explains what happens at the place where the tenant is not: what it has left goes, or a
// place is prepared to which it will move.
func (t tenant) explainOther() {
	p := t.other
	schema, database := t.steps[p.prefix+"schema"], t.steps["database"]
	if lost := t.droppedIn(p); lost != "" {
		t.report(emptied, "%s; the tenant is not there any more", lost)
		t.summary.left = append(t.summary.left, t.key)
		t.steps.explain("delete", p.prefix+"schema")
		if p.isOwn() && t.steps.all("delete", "database") {
			t.steps.explain("delete", t.inPlace(p)...)
		} else if !p.isOwn() {
			t.steps.explain("delete", "schema-claim")
		}
	}
	if what := t.prepared(); what != "" {
		t.report(databases, "%s; the tenant has no privileges in it", what)
	}
	cascade := schema.changes("dropCascade")
	const removes = "when previous is removed from the config"
	switch {
	case cascade && schema.after("dropCascade") == true:
		t.report(droppable, "%s, where the tenant is not any more, and ALL ITS DATA ARE DROPPED %s", t.dataIn(p), removes)
	case cascade:
		t.report(protected, "%s is no longer dropped %s", t.dataIn(p), removes)
	case schema.changes("protect") && schema.NewState.Protect:
		t.report(protected, "the run fails %s, unless previous: drop was deployed before; %s stays", removes, t.schemaIn(p))
	case schema.changes("protect") && p.isOwn():
		t.report(unprotected, "%s; its database stays protected", t.schemaIn(p))
	case schema.changes("protect"):
		t.report(unprotected, "%s is dropped %s, if it is empty", t.schemaIn(p), removes)
	case p.isOwn():
		t.explainDatabaseProtection(removes)
	}
	if cascade {
		schema.explain("dropCascade")
		if p.isOwn() && database.changes("protect") && database.NewState.Protect == !p.drops {
			database.explain("protect")
		}
	}
	if schema.changes("protect") {
		schema.explain("protect")
	}
}

// prepared describes a place that is new and that the tenant is not in, empty for none.
func (t tenant) prepared() string {
	p := t.other
	var what []string
	if p.isOwn() {
		if database := t.newDatabase(); database != "" {
			what = append(what, database)
		}
	}
	if t.steps.created(t.want, p.prefix+"schema") {
		t.steps.explain("create", p.prefix+"schema")
		what = append(what, "new "+t.schemaIn(p))
		if !p.isOwn() {
			t.steps.explainAsWanted("create", t.want, "schema-claim")
		}
	}
	return strings.Join(what, "; ")
}

// explainDatabaseProtection explains that the database alone is protected, or no longer.
func (t tenant) explainDatabaseProtection(removes string) {
	database := t.steps["database"]
	if !database.changes("protect") {
		return
	}
	database.explain("protect")
	if database.NewState.Protect {
		t.report(protected, "the run fails instead of dropping database %s %s", t.names.database, removes)
		return
	}
	t.report(droppable, "database %s and ALL ITS DATA ARE DROPPED %s", t.names.database, removes)
}

// inPlace are the logical names of all that may be at a place of the tenant's own.
func (t tenant) inPlace(p place) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(t.want)) {
		if name == "database" || strings.HasPrefix(name, p.prefix) {
			names = append(names, name)
		}
	}
	return names
}

// isolationBefore is where the tenant was at the last deployment. deployed is false for a tenant that was
// not there.
func (e *explainer) isolationBefore(key string) (isolation config.Isolation, deployed bool) {
	if e.ownDatabaseBefore(key) != "" {
		return config.IsolationDatabase, true
	}
	return config.IsolationSchema, e.output(policy.OutputTenantSchemas, key) != ""
}
