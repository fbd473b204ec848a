package review

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tenant-permissions/internal/policy"
)

// loginPattern splits the logical name of a role, or of a password, into the name of its shared login
// and the rest.
var loginPattern = regexp.MustCompile(`^(app-service|admin-login|[a-z][a-z0-9_]*)-((?:[a-z]-)?(?:role|password))$`)

// sharedLogin is the key in the outputs of the shared login that the resource belongs to, and what
// follows the login's name in the logical name.
func sharedLogin(resource string) (key, name string, ok bool) {
	match := loginPattern.FindStringSubmatch(resource)
	if match == nil {
		return "", "", false
	}
	switch key = match[1]; key {
	case "app-service":
		key = "app"
	case "admin-login":
		key = "admin"
	case "app", "admin": // no reader has these keys
		return "", "", false
	}
	return key, match[2], true
}

// explainSharedLogin explains what happens to the login of the app, of the admin or of a reader.
func (e *explainer) explainSharedLogin(key string, g steps) {
	cfg := e.sharedLogins()[key]
	role := cmp.Or(g["role"].input("name"), e.output(policy.OutputRoles, key), cfg.Name, key)
	can, kindOf, inputs := "reads the data of every tenant", policy.Reader, map[string]any{}
	switch key {
	case "app":
		kindOf = policy.App
		if g["role"] != nil && g["role"].last().Inputs["bypassRowLevelSecurity"] == true {
			can += ", also rows that policies hide"
		}
	case "admin":
		// The output for the admin is the role that owns the schemas, and not that of the login.
		kindOf = policy.AdminLogin
		role = cmp.Or(g["role"].input("name"), strings.TrimSuffix(g["a-role"].input("name"), "_a"), cfg.Name, key)
		can = fmt.Sprintf("acts as %v, which owns the schema of every tenant", cmp.Or[any](e.names[policy.Admin], "the admin role"))
		inputs["assumeRole"] = e.names[policy.Admin]
	}
	report := func(k kind, format string, args ...any) {
		if k != replaced && k != repaired {
			k = shared
		}
		e.report(k, key, format, args...)
	}
	maps.Copy(inputs, e.searchPath())
	if kindOf == policy.Reader {
		inputs["validUntil"] = validUntil(cfg)
	}
	want := e.login(kindOf, role, policy.MemberOf(kindOf), inputs)
	all := login{role: role, config: cfg, steps: g, want: want, report: report}
	all.explainExpiry()
	e.findNewPaths(g, want, report)
	switch {
	case g.all("create", "password", "role"):
		report(added, "%s; it %s", g.newLogins(role), can)
		g.explainAsWanted("create", want, slices.Collect(maps.Keys(g))...)
		return
	case g.all("delete", "role"):
		report(removed, "%s; it no longer %s", strings.Join(g.droppedLogins(), "; "), can)
		g.explain("delete", slices.Collect(maps.Keys(g))...)
		return
	case g.all("replace", "role") && !g["role"].recreated:
		report(replaced, "REPLACED: role %s is dropped and created again, without the memberships and privileges that others granted to it", role)
		g.explainAsWanted("replace", want, "role")
	default:
		if again := g.explainRecreated(want); len(again) > 0 {
			report(repaired, "%s", strings.Join(again, "; "))
		}
	}
	on, off := all.explain()
	if len(on) > 0 {
		report(resumed, "%s can log in", strings.Join(on, ", "))
	}
	if len(off) > 0 {
		report(suspended, "%s can no longer log in; open sessions continue", strings.Join(off, ", "))
	}
}

// explainShared explains a shared resource that belongs to no login: a group role, a membership, or
// privileges.
func (e *explainer) explainShared(s *step) {
	want, known := e.shared()[s.name]
	who, closed := e.whose(s), false
	for _, grant := range policy.OnClosedDatabases() {
		if database, found := strings.CutPrefix(s.name, grant.Resource+"-"); found {
			want, known, closed = e.grant(grant, ""), true, true
			want.inputs["database"], who = database, "closedDatabases"
		}
	}
	if s.typ == typeExtension || s.name == "extension-schema" {
		e.explainExtension(s)
		return
	}
	if !known || want.typ != s.typ {
		return
	}
	k := shared
	if who == "extensions" {
		k = extensions
	}
	role := s.input("name")
	switch {
	case s.Op == "create" && s.is(want):
		s.explainWhole()
		e.report(k, who, "%s", s.means())
	case s.Op == "update" && s.is(want) && s.changes("privileges"):
		s.explain("privileges")
		e.report(k, who, "%s (restored)", s.means())
	case s.Op == "replace" && s.typ == typeRole:
		if s.is(want) {
			s.explainWhole()
		}
		e.report(replaced, who, "REPLACED: role %s is dropped and created again, without the memberships and privileges that others granted to it", role)
	case s.Op == "delete" && s.typ == typeRole:
		s.explainWhole()
		e.report(shared, who, "role %s is dropped", role)
	case s.Op == "delete" && closed:
		s.explainWhole()
		e.report(shared, who, "the stack no longer closes %s to PUBLIC; PUBLIC does not get its privileges back", s.object())
	case s.Op == "delete":
		s.explainWhole()
		e.report(k, who, "no longer in force: %s", s.means())
	}
}

// whose is the key, in the config, of what a shared resource is about.
func (e *explainer) whose(s *step) string {
	keys := map[policy.Role]string{
		policy.App: "app", policy.Admin: "admin", policy.AllTenants: "allTenants", policy.AllTenantsAdmin: "allTenantsAdmin",
	}
	grants := slices.Concat(policy.OnDatabase(), policy.OnSchemaPublic(), policy.Defaults())
	for _, grant := range grants {
		if grant.Resource == s.name {
			return cmp.Or(keys[grant.Role], "database")
		}
	}
	for _, grant := range policy.OnExtensionSchema() {
		if grant.Resource == s.name {
			return "extensions"
		}
	}
	for _, membership := range policy.SharedMemberships() {
		if membership.Resource == s.name {
			return keys[membership.Member]
		}
	}
	return map[string]string{"admin-service-role": "admin", "all-tenants": "allTenants", "all-tenants-admin": "allTenantsAdmin"}[s.name]
}

// means says what a shared resource means while it is in force.
func (s *step) means() string {
	inputs := s.last().Inputs
	switch s.typ {
	case typeRole:
		return s.meansOfRole()
	case typeGrantRole:
		what := fmt.Sprintf("%v is a member of %v", inputs["role"], inputs["grantRole"])
		if inputs["withAdminOption"] == true {
			what += ", with the admin option"
		}
		return what
	}
	role := s.input("role")
	if role == string(policy.Public) {
		role = "PUBLIC"
	}
	var privileges []string
	if list, ok := inputs["privileges"].([]any); ok {
		for _, privilege := range list {
			privileges = append(privileges, fmt.Sprint(privilege))
		}
	}
	return fmt.Sprintf("%s has %s on %s", role, cmp.Or(strings.Join(privileges, ", "), "no privileges"), s.object())
}

func (s *step) meansOfRole() string {
	role := s.input("name")
	switch s.name {
	case "all-tenants":
		return "every tenant is a member of role " + role
	case "all-tenants-admin":
		return "role " + role + " has the admin option on the role of every tenant"
	}
	var has []string
	for _, a := range attributes() {
		if s.last().Inputs[a.input] == true {
			has = append(has, a.name)
		}
	}
	if s.last().Inputs["inherit"] == false {
		has = append(has, "NOINHERIT")
	}
	return fmt.Sprintf("role %s owns the schema of every tenant; its attributes: %s", role, cmp.Or(strings.Join(has, ", "), "none"))
}

// object is the object of a grant, or the objects of default privileges.
func (s *step) object() string {
	on := s.input("objectType")
	switch {
	case s.typ == typeDefaultPrivileges:
		return fmt.Sprintf("each %s that %s creates", on, s.input("owner"))
	case on == string(policy.Database):
		return "database " + s.input("database")
	case on != string(policy.Schema):
		return fmt.Sprintf("each %s of schema %s", on, s.input("schema"))
	}
	return on + " " + s.input("schema")
}
