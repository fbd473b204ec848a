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

// login is a role that logs in, with its alternating logins, and the steps of their resources.
type login struct {
	// role is the name in PostgreSQL.
	role   string
	config config.Login
	steps  steps
	want   map[string]wanted
	report func(k kind, format string, args ...any)
}

// explain explains changes of passwords, of limits and of alternating logins. It returns the names of
// the logins that can log in from now on, and of those that no longer can.
func (l login) explain() (on, off []string) {
	for _, prefix := range loginPrefixes() {
		s := l.steps[prefix+"role"]
		name := cmp.Or(s.input("name"), strings.TrimSuffix(l.role+"_"+strings.TrimSuffix(prefix, "-"), "_"))
		l.explainPassword(name, prefix, s)
		for _, limit := range loginLimits() {
			if s.changes(limit.input) {
				s.explain(limit.input)
				l.report(limits, "the %s of %s changes from %s to %s", limit.title, name, limit.text(s.before(limit.input)), limit.text(s.after(limit.input)))
			}
		}
		switch {
		case !s.changes("login"):
			continue
		case s.after("login") == true:
			on = append(on, name)
		default:
			off = append(off, name)
		}
		s.explain("login")
	}
	return l.explainAlternating(on, off)
}

func (l login) explainPassword(name, prefix string, role *step) {
	password := l.steps[prefix+"password"]
	rotates := password != nil && password.Op == "replace" && password.is(l.want[prefix+"password"])
	changes := role.changes("password")
	switch {
	case rotates && changes && role.after("login") != true:
		l.report(rotated, "new password for %s, which cannot log in", name)
	case rotates:
		l.report(rotated, "new password for %s; the old one stops working at once, open sessions continue", name)
	case changes:
		l.report(repaired, "the password of %s is set again", name)
	}
	if rotates {
		password.explainWhole()
	}
	if changes {
		role.explain("password")
	}
}

// explainAlternating explains that alternating logins are added or dropped, or that the role itself
// logs in or no longer does. It returns the logins that are left to explain.
func (l login) explainAlternating(on, off []string) (stillOn, stillOff []string) {
	itself := func(names []string) bool { return slices.Equal(names, []string{l.role}) }
	configured := len(l.config.Alternating) > 0
	locked := configured && !l.config.Alternating[0].CanLogin // the tenant is suspended or retired
	var logins []string
	for _, suffix := range config.AlternatingSuffixes() {
		logins = append(logins, l.role+"_"+suffix)
	}
	both := strings.Join(logins, " and ")
	resources := alternatingResources()
	switch {
	case l.steps.created(l.want, resources...):
		l.steps.explain("create", resources...)
		what := fmt.Sprintf("new logins %s, which act as %s", both, l.role)
		what += l.steps.withoutLogin()
		if itself(off) && !locked {
			l.report(alternating, "%s; %s itself can no longer log in", what, l.role)
			return on, nil
		}
		l.report(alternating, "%s; %s itself stays as it is", what, l.role)
	case l.steps.all("delete", resources...):
		l.steps.explain("delete", resources...)
		if itself(on) {
			l.report(alternating, "logins %s are dropped; %s itself can log in again", both, l.role)
			return nil, off
		}
		l.report(alternating, "logins %s are dropped; %s itself stays as it is", both, l.role)
	case configured && itself(off) && !locked:
		l.report(alternating, "%s itself can no longer log in; %s can", l.role, both)
		return on, nil
	case configured && itself(on):
		l.report(alternating, "%s itself can log in again, as %s can", l.role, both)
		return nil, off
	}
	return on, off
}

// newLogins describes a role that is new, with its alternating logins and their limits.
func (g steps) newLogins(role string) string {
	what := "new login " + role + g["role"].limits()
	if g["role"] != nil && g["role"].after("login") != true {
		what = "new role " + role + ", which cannot log in"
	}
	if g.all("create", "a-role", "b-role") {
		what += fmt.Sprintf("; new logins %s%s and %s%s, which act as it", g["a-role"].input("name"), g["a-role"].limits(), g["b-role"].input("name"), g["b-role"].limits())
		what += g.withoutLogin()
	}
	return what
}

// withoutLogin says of new alternating logins which of them cannot log in.
func (g steps) withoutLogin() string {
	var names []string
	for _, prefix := range alternatingPrefixes() {
		if s := g[prefix+"role"]; s.after("login") != true {
			names = append(names, s.input("name"))
		}
	}
	switch len(names) {
	case 0:
		return ""
	case len(alternatingPrefixes()):
		return " and cannot log in"
	}
	return "; " + strings.Join(names, ", ") + " cannot log in"
}

// droppedLogins are sentences about the logins that are dropped.
func (g steps) droppedLogins() (what []string) {
	for _, prefix := range loginPrefixes() {
		if name := prefix + "role"; g.all("delete", name) {
			what = append(what, "login "+g[name].input("name")+" is dropped")
		}
	}
	return what
}

// explainRecreated explains roles, schemas and memberships that are missing and created again although
// the tenant or login exists. It returns a sentence for each.
func (g steps) explainRecreated(want map[string]wanted) (what []string) {
	for _, m := range []struct{ name, input, what string }{
		{"password", "", "there is a new random password (%s)"},
		{"role", "name", "role %s is created again, without its privileges on existing tables"},
		{"schema-claim", "name", "role %s, which reserves the name of the schema, is created again"},
		{"grant-role", "grantRole", "the admin can grant %s to other roles again"},
		{"schema", "name", "schema %s is created again, empty"},
		{databasePrefix + "schema", "name", "schema %s in the tenant's database is created again, empty"},
	} {
		if g.created(want, m.name) && !g[m.name].whole {
			g[m.name].explainWhole()
			what = append(what, fmt.Sprintf(m.what, cmp.Or(g[m.name].input(m.input), g[m.name].name)))
		}
	}
	return what
}

// explainActiveLogins explains that the outputs name other alternating logins, for which no resource
// changes. tenants and logins are the steps of tenants and of shared logins, by key.
func (e *explainer) explainActiveLogins(tenants, logins map[string]steps) {
	for _, key := range slices.Sorted(maps.Keys(e.config.Tenants)) {
		tenant := e.config.Tenants[key]
		e.explainActive(active, key, tenant.Login, e.output(policy.OutputTenantLogins, key), tenants[key])
		for _, agent := range slices.Sorted(maps.Keys(tenant.Agents)) {
			e.explainActive(active, key, tenant.Agents[agent], e.output(policy.OutputTenantAgents, key, agent), below(tenants[key], agentPrefix(agent)))
		}
	}
	all := e.sharedLogins()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		e.explainActive(shared, key, all[key], e.output(policy.OutputLogins, key), logins[key])
	}
}

// explainActive explains that the outputs name another login than before.
func (e *explainer) explainActive(k kind, key string, login config.Login, was string, g steps) {
	if len(login.Alternating) == 0 || was == "" || was == login.Active || g.all("create", "a-role") {
		return
	}
	what := fmt.Sprintf("the outputs name %s instead of %s", login.Active, was)
	if login.Alternating[0].CanLogin {
		what += "; both can log in"
	}
	e.report(k, key, "%s", what)
}
