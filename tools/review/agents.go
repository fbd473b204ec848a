package review

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tenant-permissions/internal/config"
)

// agentPattern splits what follows a tenant's key in the logical name of an agent's role or password into
// the agent's key and the rest.
var agentPattern = regexp.MustCompile(`^agent-([a-z][a-z0-9_]*)-((?:[a-z]-)?(?:role|password))$`)

// agentPrefix precedes the rest.
func agentPrefix(agent string) string { return "agent-" + agent + "-" }

// agents are the keys of the agents that a tenant's steps are about, sorted.
func (g steps) agents() []string {
	keys := map[string]bool{}
	for name := range g {
		if match := agentPattern.FindStringSubmatch(name); match != nil {
			keys[match[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// agentNames are the names in PostgreSQL of a tenant's agents, by their keys in its steps.
func (g steps) agentNames(agents map[string]config.Login) map[string]string {
	names := map[string]string{}
	for _, key := range g.agents() {
		names[key] = cmp.Or(g[agentPrefix(key)+"role"].input("name"), agents[key].Name, key)
	}
	return names
}

// explainAgents explains what happens to the agents of a tenant that stays or is new. Of privileges it
// explains those that are due to the agents: own are those of the tenant, which come and go with its
// retirement. It returns the agents that can log in from now on, and those that no longer can.
func (t tenant) explainAgents(own, held turn) (on, off []string) {
	added := false
	for _, key := range t.steps.agents() {
		g, want := below(t.steps, agentPrefix(key)), below(t.want, agentPrefix(key))
		role := t.names.agents[key]
		switch {
		case g.created(want, "password", "role"):
			t.report(agentsAdded, "%s; it %s", g.newLogins(role), t.agentReads(held))
			g.explainAsWanted("create", want, slices.Collect(maps.Keys(g))...)
			added = true
			continue
		case g.all("delete", "role"):
			t.report(agentsLost, "%s; it no longer reads %s", strings.Join(g.droppedLogins(), "; "), t.schemaIn(t.now))
			g.explain("delete", slices.Collect(maps.Keys(g))...)
			continue
		case g.all("replace", "role"):
			t.report(replaced, "REPLACED: role %s is dropped and created again, without the memberships and privileges that others granted to it", role)
			g.explainAsWanted("replace", want, "role")
		}
		if again := g.explainRecreated(want); len(again) > 0 {
			t.report(repaired, "%s", strings.Join(again, "; "))
		}
		nowOn, nowOff := login{role: role, config: t.config.Agents[key], steps: g, want: want, report: t.report}.explain()
		on, off = append(on, nowOn...), append(off, nowOff...)
	}
	t.explainAgentsRole(added)
	switch {
	case held.granted && !own.granted && !added:
		t.report(repaired, "%s reads %s again", t.names.agentsRole, t.schemaIn(t.now))
	case held.revoked && !own.revoked && !t.steps.all("delete", "agents"):
		t.report(agentsLost, "%s no longer reads %s", t.names.agentsRole, t.schemaIn(t.now))
	}
	return on, off
}

// agentReads says what a new agent does. held are the privileges of all agents of its tenant.
func (t tenant) agentReads(held turn) string {
	unchanged := !slices.ContainsFunc(t.now.agentPrivileges(), func(name string) bool { return t.steps[name] != nil })
	switch {
	case t.config.Retire != config.NotRetired:
		return "has no privileges, because the tenant is retired"
	case held.granted || unchanged && t.hasAgents:
		return "reads " + t.schemaIn(t.now)
	}
	return "has other privileges than agents have"
}

// explainAgentsRole explains that the group role of the agents comes or goes. It comes with the first
// agent, which added says there is.
func (t tenant) explainAgentsRole(added bool) {
	switch {
	case t.steps.created(t.want, "agents"):
		t.steps.explain("create", "agents")
		if !added || t.hasAgents {
			t.report(repaired, "role %s, the group role of the tenant's agents, is created again", t.names.agentsRole)
		}
	case t.steps.all("delete", "agents"):
		t.steps.explain("delete", "agents")
		t.report(agentsLost, "role %s, the group role of the tenant's agents, is dropped", t.names.agentsRole)
	case t.steps.all("replace", "agents"):
		t.report(replaced, "REPLACED: role %s, the group role of the tenant's agents, is dropped and created again, without its members and privileges", t.names.agentsRole)
		t.steps.explainAsWanted("replace", t.want, "agents")
	}
}
