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
}

// turn is what happens to a set of privileges: all of them are granted as wanted, or all are revoked.
type turn struct{ granted, revoked bool }

// explainTenant explains what happens to a tenant.
func (e *explainer) explainTenant(key string, g steps) {
	cfg := e.config.Tenants[key]
	t := tenant{
		summary: &e.summary, key: key, config: cfg, steps: g,
		names: tenantNames{
			role:       cmp.Or(g["role"].input("name"), g["usage"].input("role"), e.output(policy.OutputTenantRoles, key), cfg.Login.Name, key),
			schema:     cmp.Or(g["schema"].input("name"), e.output(policy.OutputTenantSchemas, key), cfg.Schema, key),
			agentsRole: cmp.Or(cfg.AgentsRole, e.output(policy.OutputAgentRoles, key), g["agents"].input("name"), key),
			agents:     g.agentNames(cfg.Agents),
		},
		hasAgents: e.output(policy.OutputAgentRoles, key) != "",
	}
	t.want = e.tenant(t.names, cfg.Retire == config.RetireDrop)
	t.explainReplaced()
	e.findNewPaths(g, t.want, t.report)
	switch {
	case g.all("delete", "") || g.all("delete", "schema"):
		t.explainRemoved()
	case g.all("create", ""):
		t.explainAdded()
	default:
		t.explainChanged()
	}
}

func (t tenant) report(k kind, format string, args ...any) {
	t.summary.report(k, t.key, format, args...)
}

// privileges are the resources of the tenant's own privileges in its schema.
func (t tenant) privileges() []string {
	return resources(slices.Concat(policy.OnTenantSchema(), policy.TenantDefaults()))
}

// functions are the resources of the tenant's privileges on functions.
func (t tenant) functions() []string {
	return resources(slices.Concat(policy.OnFunctions(), policy.FunctionDefaults()))
}

// adoption are the resources of privileges on the objects of an adopted schema.
func (t tenant) adoption() []string { return resources(onAdopted()) }

func (t tenant) explainReplaced() {
	if t.steps.all("replace", "schema") {
		t.report(replaced, "REPLACED by an empty schema: %s", dropped(t.steps["schema"]))
		t.steps.explainAsWanted("replace", t.want, slices.Concat(t.privileges(), t.functions(), t.agentPrivileges(), []string{"schema"})...)
		t.summary.removed = append(t.summary.removed, t.key)
	}
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
	if t.steps.all("delete", "schema") {
		what = append(what, dropped(t.steps["schema"]))
	}
	t.report(removed, "%s", cmp.Or(strings.Join(what, "; "), "this stack no longer manages it; what is on the server stays"))
	t.summary.removed = append(t.summary.removed, t.key)
	t.steps.explain("delete", slices.Collect(maps.Keys(t.want))...)
}

// dropped says what happens to the data in a schema that is dropped.
func dropped(schema *step) string {
	if schema.OldState.Inputs["dropCascade"] == true {
		return fmt.Sprintf("schema %v and ALL ITS DATA are dropped", schema.OldState.Inputs["name"])
	}
	return fmt.Sprintf("schema %v is dropped if it is empty, otherwise the run fails", schema.OldState.Inputs["name"])
}

func (t tenant) explainAdded() {
	what := "it has no privileges"
	if t.config.Retire != config.NotRetired {
		what += ", because it is retired"
	}
	own, functions, agents := t.turn(t.privileges()), t.turn(t.functions()), t.turn(t.agentPrivileges())
	if own.granted {
		what = "it reads and writes schema " + t.names.schema
	}
	if t.turn(t.adoption()).granted {
		what += ", existing tables included"
	}
	what += alsoHeld(functions, agents)
	t.report(added, "%s; %s", t.steps.newLogins(t.names.role), what)
	t.steps[""].explainWhole()
	t.steps.explainAsWanted("create", t.want, append(alternatingResources(), "password", "role", "schema", "schema-claim", "grant-role")...)
	t.explainAgents(own, agents)
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
	own, functions, agents := t.turn(t.privileges()), t.turn(t.functions()), t.turn(t.agentPrivileges())
	if own.revoked {
		t.steps.explain("delete", t.adoption()...)
	}
	again := t.steps.explainRecreated(t.want)
	if len(again) > 0 {
		if own.granted {
			again = append(again, fmt.Sprintf("it reads and writes schema %s again%s", t.names.schema, alsoHeld(functions, agents)))
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
	access.granted = own.granted && len(again) == 0
	t.explainAccess(access, functions, agents, strings.Join(on, ", "), strings.Join(off, ", "))
	t.explainProtection()
	t.explainAdoption(own.revoked)
}

// explainFunctions explains that a tenant that is neither retired nor restored may execute functions from
// now on, or no longer.
func (t tenant) explainFunctions(own, held turn) {
	switch {
	case held.granted && !own.granted:
		t.report(functions, "%s executes the functions of schema %s, existing and later ones", t.names.role, t.names.schema)
	case held.revoked && !own.revoked:
		t.report(functions, "%s no longer executes the functions of schema %s", t.names.role, t.names.schema)
	}
}

// explainRestored explains privileges that somebody changed on the server.
func (t tenant) explainRestored() {
	for _, name := range slices.Concat(t.privileges(), t.functions(), t.agentPrivileges(), t.adoption()) {
		if s := t.steps[name]; s.changes("privileges") && s.is(t.want[name]) {
			s.explain("privileges")
			t.report(repaired, "%s again", s.means())
		}
	}
}

// explainAccess explains retirement and suspension, and their ends. own are the privileges of the tenant,
// which those on functions and those of its agents follow. on and off name the logins that can log in
// again, and those that no longer can.
func (t tenant) explainAccess(own, functions, agents turn, on, off string) {
	ends := "it loses its privileges in schema " + t.names.schema
	if agents.revoked {
		ends = "it and its agents lose their privileges in schema " + t.names.schema
	}
	if off != "" {
		ends = off + " can no longer log in; " + ends
	}
	begins := "it reads and writes schema " + t.names.schema + " again" + alsoHeld(functions, agents)
	if on != "" {
		begins = on + " can log in again with the old password; " + begins
	}
	schema := t.steps["schema"]
	cascade := schema.changes("dropCascade")
	drop := cascade && schema.after("dropCascade") == true
	if cascade {
		schema.explain("dropCascade")
	}
	switch {
	case drop && own.revoked:
		t.report(droppable, "%s; the app reads its data until its key is removed from the config, and then ALL OF IT IS DROPPED", ends)
	case drop:
		t.report(droppable, "schema %s and ALL ITS DATA ARE DROPPED when its key is removed from the config", t.names.schema)
	case own.revoked:
		t.report(retired, "%s; its data stays, and the app reads it", ends)
	case own.granted:
		t.report(restored, "%s", begins)
	case cascade:
		t.report(retired, "schema %s is no longer dropped with its data when its key is removed from the config", t.names.schema)
	case off != "":
		t.report(suspended, "%s can no longer log in; open sessions continue", off)
	case on != "":
		t.report(resumed, "%s can log in again with the old password", on)
	}
}

// explainProtection explains whether a schema is dropped when its key is removed. A schema that is to be
// dropped with its data, or no longer is, has a sentence about that.
func (t tenant) explainProtection() {
	schema := t.steps["schema"]
	if !schema.changes("protect") {
		return
	}
	schema.explain("protect")
	switch {
	case schema.changes("dropCascade"):
	case schema.NewState.Protect:
		t.report(protected, "the run fails if its key is removed from the config, unless retire: drop was deployed before; schema %s stays", t.names.schema)
	default:
		t.report(unprotected, "schema %s is dropped when its key is removed from the config, if it is empty", t.names.schema)
	}
}

func (t tenant) explainAdoption(revoked bool) {
	if t.steps.created(t.want, t.adoption()...) {
		t.report(adopted, "it reads and writes the existing tables of schema %s, the app reads them, and PUBLIC has no privileges on the schema", t.names.schema)
		t.steps.explain("create", t.adoption()...)
	} else if t.steps.all("delete", t.adoption()...) && !revoked {
		t.report(adopted, "the privileges on the existing tables of schema %s stay, but the stack no longer manages them", t.names.schema)
		t.steps.explain("delete", t.adoption()...)
	}
}
