package review

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/policy"
)

// tenant is one tenant whose steps are explained.
type tenant struct {
	summary *summary
	key     string
	config  config.Tenant
	names   tenantNames
	// hasAgents is true if the tenant had agents at the last deployment.
	hasAgents bool
	steps     steps
	want      map[string]wanted
	// now is where the tenant is to be, and other the other place. moves is true if it was there at the
	// last deployment. before is as want, with the isolation of then. group is the role of all tenants.
	now, other place
	moves      bool
	before     map[string]wanted
	group      any
}

// turns are what happens to the privileges at one place: the tenant's own, those on functions, and those
// of its agents.
type turns struct{ own, functions, agents turn }

// turn is what happens to a set of privileges: all of them are granted as wanted, or all are revoked.
type turn struct{ granted, revoked bool }

// explainTenant explains what happens to a tenant.
func (e *explainer) explainTenant(key string, g steps) {
	cfg, configured := e.config.Tenants[key]
	isolation, deployed := e.isolationBefore(key)
	if !configured {
		cfg.Isolation = isolation
	}
	g.nameDatabase()
	t := tenant{
		summary: &e.summary, key: key, config: cfg, steps: g,
		moves: deployed && isolation != cfg.Isolation, group: e.names[policy.AllTenants],
		names: tenantNames{
			role:       cmp.Or(g["role"].input("name"), g["usage"].input("role"), e.output(policy.OutputTenantRoles, key), cfg.Login.Name, key),
			schema:     cmp.Or(g["schema"].input("name"), g[databasePrefix+"schema"].input("name"), e.output(policy.OutputTenantSchemas, key), cfg.Schema, key),
			database:   e.ownDatabaseName(key, g, cfg),
			settings:   cfg.Database,
			agentsRole: cmp.Or(cfg.AgentsRole, e.output(policy.OutputAgentRoles, key), g["agents"].input("name"), key),
			agents:     g.agentNames(cfg.Agents),
		},
		hasAgents: e.output(policy.OutputAgentRoles, key) != "",
	}
	t.want = e.tenant(t.names, cfg)
	t.before = t.want
	for _, name := range g.ownExtensions() {
		t.want[databasePrefix+extensionPrefix+name] = e.extension(name, t.names.database)
	}
	if then := cfg; isolation != cfg.Isolation {
		then.Isolation = isolation
		t.before = e.tenant(t.names, then)
	}
	t.now, t.other = e.places(cfg, t.names.database)
	t.explainReplaced()
	e.findNewPaths(g, t.want, t.report)
	switch {
	case g.all("delete", "") || g.all("delete", t.now.prefix+"schema") || t.now.isOwn() && g.all("delete", "database"):
		t.explainRemoved()
	case g.all("create", ""):
		t.explainAdded()
	default:
		t.explainChanged()
		e.explainOwnExtensions(t)
	}
}

func (t tenant) report(k kind, format string, args ...any) {
	t.summary.report(k, t.key, format, args...)
}

func (t tenant) explainReplaced() {
	t.explainReplacedData()
	for _, prefix := range loginPrefixes() {
		if name := prefix + "role"; t.steps.all("replace", name) {
			t.report(replaced, "REPLACED: role %s is dropped and created again, without its privileges on existing tables", t.steps[name].input("name"))
			t.steps.explainAsWanted("replace", t.want, name)
		}
	}
}

func (t tenant) explainRemoved() {
	what := t.steps.droppedLogins()
	for _, agent := range t.steps.agents() {
		what = append(what, below(t.steps, agentPrefix(agent)).droppedLogins()...)
	}
	for _, p := range []place{t.now, t.other} {
		if lost := t.droppedIn(p); lost != "" {
			what = append(what, lost)
		}
	}
	t.report(removed, "%s", cmp.Or(strings.Join(what, "; "), "this stack no longer manages it; what is on the server stays"))
	t.summary.removed = append(t.summary.removed, t.key)
	t.steps.explain("delete", slices.Collect(maps.Keys(t.want))...)
}

// dropped says what happens to the data in a schema that is dropped. in follows its name.
func dropped(schema *step, in string) string {
	if schema.OldState.Inputs["dropCascade"] == true {
		return fmt.Sprintf("schema %v%s and ALL ITS DATA are dropped", schema.OldState.Inputs["name"], in)
	}
	return fmt.Sprintf("schema %v%s is dropped if it is empty, otherwise the run fails", schema.OldState.Inputs["name"], in)
}

func (t tenant) explainAdded() {
	what := "it has no privileges"
	if t.config.Retire != config.NotRetired {
		what += ", because it is retired"
	}
	now := t.turns()
	if now.own.granted {
		what = "it reads and writes " + t.schemaIn(t.now)
	}
	if t.turn(t.now.adoption()).granted {
		what += ", existing tables included"
	}
	what += alsoHeld(now.functions, now.agents)
	logins := t.steps.newLogins(t.names.role)
	if t.now.isOwn() {
		if database := t.newDatabase(); database != "" {
			logins += "; " + database
		}
	}
	t.report(added, "%s; %s", logins, what)
	t.steps[""].explainWhole()
	t.steps.explainAsWanted("create", t.want, append(alternatingResources(), "password", "role", t.now.prefix+"schema", "grant-role")...)
	if !t.now.isOwn() {
		t.steps.explainAsWanted("create", t.want, "schema-claim")
	}
	t.explainOther()
	t.explainAgents(now.own, now.agents)
}

// turns are what happens to the privileges where the tenant is to be, which it explains. CONNECT is not
// among them if only the schema in the tenant's database was missing.
func (t tenant) turns() turns {
	p := t.now
	schemaOnly := p.isOwn() && !t.moves && !t.steps.all("create", "database") && t.steps.created(t.want, p.prefix+"schema")
	changed := func(privileges []string) []string {
		return slices.DeleteFunc(privileges, func(name string) bool {
			return schemaOnly && t.steps[name] == nil && t.want[name].inputs["objectType"] == string(policy.Database)
		})
	}
	all := turns{t.turn(changed(p.privileges())), t.turn(p.functions()), t.turn(changed(p.agentPrivileges()))}
	t.explainHeld(p, all)
	return all
}

// alsoHeld are the privileges beyond a tenant's own that are granted.
func alsoHeld(functions, agents turn) (what string) {
	if functions.granted {
		what += ", and executes the functions there"
	}
	if agents.granted {
		what += "; its agents read it"
	}
	return what
}

// turn is what happens to the privileges of these resources, which it explains.
func (t tenant) turn(privileges []string) turn {
	all := turn{t.steps.created(t.want, privileges...), t.steps.all("delete", privileges...)}
	if all.granted || all.revoked {
		t.steps.explain("create", privileges...)
		t.steps.explain("delete", privileges...)
	}
	return all
}

func (t tenant) explainChanged() {
	now := t.turns()
	own, functions, agents := now.own, now.functions, now.agents
	if own.revoked {
		t.steps.explain("delete", t.now.adoption()...)
	}
	t.explainOther()
	if t.moves {
		t.explainMove(now)
	}
	again := t.explainRecreatedDatabase()
	again = append(again, t.steps.explainRecreated(t.want)...)
	if len(again) > 0 {
		if own.granted {
			again = append(again, fmt.Sprintf("it reads and writes %s again%s", t.schemaIn(t.now), alsoHeld(functions, agents)))
		}
		t.report(repaired, "%s", strings.Join(again, "; "))
	}
	t.explainFunctions(own, functions)
	t.explainRestored()
	on, off := login{role: t.names.role, config: t.config.Login, steps: t.steps, want: t.want, report: t.report}.explain()
	agentsOn, agentsOff := t.explainAgents(own, agents)
	switch {
	case len(on) > 0:
		on = append(on, agentsOn...)
	case len(agentsOn) > 0:
		t.report(agentsAdded, "%s can log in again with the old password", strings.Join(agentsOn, ", "))
	}
	switch {
	case len(off) > 0:
		off = append(off, agentsOff...)
	case len(agentsOff) > 0:
		t.report(agentsLost, "%s can no longer log in; open sessions continue", strings.Join(agentsOff, ", "))
	}
	access := own
	access.granted = own.granted && len(again) == 0 && !t.moves
	t.explainAccess(access, functions, agents, strings.Join(on, ", "), strings.Join(off, ", "))
	t.explainProtection()
	t.explainAdoption(own.revoked)
	t.explainDatabase()
}

// explainFunctions explains that a tenant that is neither retired nor restored may execute functions from
// now on, or no longer.
func (t tenant) explainFunctions(own, held turn) {
	switch {
	case held.granted && !own.granted:
		t.report(functions, "%s executes the functions of %s, existing and later ones", t.names.role, t.schemaIn(t.now))
	case held.revoked && !own.revoked:
		t.report(functions, "%s no longer executes the functions of %s", t.names.role, t.schemaIn(t.now))
	}
}

// explainRestored explains privileges and memberships that somebody changed on the server.
func (t tenant) explainRestored() {
	for _, name := range t.roles() {
		if s := t.steps[name]; s.changes("roles") && !s.explained["roles"] && sameRoles(s.after("roles"), t.want[name].inputs["roles"]) {
			var what []string
			if missing := without(s.after("roles"), s.before("roles")); missing != "" {
				what = append(what, "is a member of "+missing+" again")
			}
			if further := without(s.before("roles"), s.after("roles")); further != "" {
				what = append(what, "is no longer a member of "+further)
			}
			if len(what) > 0 {
				s.explain("roles")
				t.report(repaired, "%s %s", s.input("name"), strings.Join(what, ", and "))
			}
		}
	}
	p := t.now
	for _, name := range slices.Concat(p.privileges(), p.functions(), p.agentPrivileges(), p.adoption(), p.closing(), p.onExtensions()) {
		if s := t.steps[name]; s.changes("privileges") && s.is(t.want[name]) {
			s.explain("privileges")
			where := ""
			if p.isOwn() && s.input("objectType") != string(policy.Database) {
				where = " in database " + t.names.database
			}
			t.report(repaired, "%s%s again", s.means(), where)
		}
	}
}

// explainAccess explains retirement and suspension, and their ends. own are the privileges of the tenant,
// which those on functions and those of its agents follow. on and off name the logins that can log in
// again, and those that no longer can.
func (t tenant) explainAccess(own, functions, agents turn, on, off string) {
	where := t.schemaIn(t.now)
	ends := "it loses its privileges in " + where
	if agents.revoked {
		ends = "it and its agents lose their privileges in " + where
	}
	if off != "" {
		ends = off + " can no longer log in; " + ends
	}
	begins := "it reads and writes " + where + " again" + alsoHeld(functions, agents)
	if on != "" {
		begins = on + " can log in again with the old password; " + begins
	}
	schema, database := t.steps[t.now.prefix+"schema"], t.steps["database"]
	cascade := schema.changes("dropCascade")
	drop := cascade && schema.after("dropCascade") == true
	if cascade {
		schema.explain("dropCascade")
		if t.now.isOwn() && database.changes("protect") && database.NewState.Protect == !drop {
			database.explain("protect")
		}
	}
	switch {
	case drop && own.revoked:
		t.report(droppable, "%s; the app reads its data until its key is removed from the config, and then ALL OF IT IS DROPPED", ends)
	case drop:
		t.report(droppable, "%s and ALL ITS DATA ARE DROPPED when its key is removed from the config", t.dataIn(t.now))
	case own.revoked:
		t.report(retired, "%s; its data stays, and the app reads it", ends)
	case own.granted:
		t.report(restored, "%s", begins)
	case cascade && t.moves:
		t.report(protected, "%s is no longer dropped with its data", t.dataIn(t.now))
	case cascade:
		t.report(retired, "%s is no longer dropped with its data when its key is removed from the config", t.dataIn(t.now))
	case off != "":
		t.report(suspended, "%s can no longer log in; open sessions continue", off)
	case on != "":
		t.report(resumed, "%s can log in again with the old password", on)
	}
}

// explainProtection explains whether a schema is dropped when its key is removed. A schema that is to be
// dropped with its data, or no longer is, has a sentence about that.
func (t tenant) explainProtection() {
	schema := t.steps[t.now.prefix+"schema"]
	if t.now.isOwn() && !schema.changes("dropCascade") {
		t.explainDatabaseProtection("when its key is removed from the config")
	}
	if !schema.changes("protect") {
		return
	}
	schema.explain("protect")
	switch {
	case t.now.isOwn() && !schema.changes("dropCascade") && !schema.NewState.Protect:
		t.report(unprotected, "%s; its database stays protected", t.schemaIn(t.now))
	case schema.changes("dropCascade"):
	case schema.NewState.Protect:
		t.report(protected, "the run fails if its key is removed from the config, unless retire: drop was deployed before; %s stays", t.schemaIn(t.now))
	default:
		t.report(unprotected, "schema %s is dropped when its key is removed from the config, if it is empty", t.names.schema)
	}
}

func (t tenant) explainAdoption(revoked bool) {
	adoption := t.now.adoption()
	if t.steps.created(t.want, adoption...) && !t.steps[adoption[0]].whole {
		t.report(adopted, "it reads and writes the existing tables of %s, the app reads them, and PUBLIC has no privileges on the schema", t.schemaIn(t.now))
		t.steps.explain("create", adoption...)
	} else if t.steps.all("delete", adoption...) && !revoked {
		t.report(adopted, "the privileges on the existing tables of %s stay, but the stack no longer manages them", t.schemaIn(t.now))
		t.steps.explain("delete", adoption...)
	}
}
