package review

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/policy"
)

// explainer makes the summary of a preview.
type explainer struct {
	summary
	model
	// outputs are those of the last deployment.
	outputs map[string]any
	// searched is the schema of the extensions at the last deployment, empty for none. newPaths are the
	// logins whose search path changes with it.
	searched string
	newPaths int
	// config is what is to be deployed. It is empty if the preview failed because of it.
	config config.Config
}

// explain makes the summary of a preview. Sentences are about what the policy knows. Whatever is left
// is listed without interpretation.
func explain(p *preview) (summary, error) {
	cfg, err := p.config()
	if err != nil {
		cfg = config.Config{}
	}
	e := explainer{summary: summary{stack: "?", operations: p.ChangeSummary, errors: errorsOf(p, cfg.Tenants), changes: map[kind][]change{}}, config: cfg}
	if err != nil && len(e.errors) == 0 {
		return summary{}, err
	}
	slices.SortStableFunc(p.Steps, func(a, b *step) int { return cmp.Compare(a.URN, b.URN) })
	e.readStack(p)
	e.findNames(p)
	e.findExtensions(p)

	tenants, logins, single := e.group(p.Steps)
	for _, key := range slices.Sorted(maps.Keys(tenants)) {
		e.explainTenant(key, tenants[key])
	}
	for _, key := range slices.Sorted(maps.Keys(logins)) {
		e.explainSharedLogin(key, logins[key])
	}
	for _, s := range single {
		e.explainShared(s)
	}
	e.explainActiveLogins(tenants, logins)
	e.explainSearchPaths()
	for _, s := range p.Steps {
		if !s.done() {
			e.report(other, s.name, "%s", s.plain())
		}
	}
	e.removed = slices.Compact(e.removed)
	e.left = slices.DeleteFunc(slices.Compact(e.left), func(key string) bool { return slices.Contains(e.removed, key) })
	for _, changes := range e.changes {
		slices.SortStableFunc(changes, func(a, b change) int { return cmp.Or(cmp.Compare(a.who, b.who), cmp.Compare(a.what, b.what)) })
	}
	return e.summary, nil
}

// protection matches Pulumi's error for a protected schema or database, with the tenant's key if it is the
// one or the other, and the resource's name. Pulumi's own advice in it, to unprotect the resource, is not the
// way here.
var protection = regexp.MustCompile(`(?s)^(?:Preview failed: )?resource "urn:[^"]*::([^":]+)" cannot be deleted\s+because it is protected\..*$`)

// dataName matches the logical names of a tenant's schemas and of its database, with the tenant's key.
var dataName = regexp.MustCompile(`^(.+?)-(?:database-schema|schema|database)$`)

// errorsOf are the errors of a preview that failed, sorted. tenants are those of the config.
func errorsOf(p *preview, tenants map[string]config.Tenant) (all []string) {
	explain := func(message string) string {
		match := protection.FindStringSubmatch(message)
		if match == nil {
			return message
		}
		advice := "retire its tenant first (retire: drop)"
		if data := dataName.FindStringSubmatch(match[1]); data != nil {
			if _, stays := tenants[data[1]]; stays {
				advice = "a tenant that moves keeps what it leaves (previous: keep), until previous: drop was deployed"
			}
		}
		return match[1] + " cannot be deleted because it is protected: " + advice
	}
	for _, d := range p.Diagnostics {
		if d.Severity == "error" {
			message := strings.TrimPrefix(strings.TrimSpace(d.Message), "error: ")
			all = append(all, explain(message))
		}
	}
	slices.Sort(all)
	return all
}

// readStack reads the name of the stack and its outputs, and whether the preview asked the server. The
// stack's own step is of no interest.
func (e *explainer) readStack(p *preview) {
	for _, s := range p.Steps {
		e.refreshed = e.refreshed || s.Op == "refresh"
		if s.typ != typeStack {
			continue
		}
		e.stack = strings.TrimPrefix(strings.SplitN(s.URN, "::", 2)[0], "urn:pulumi:")
		if s.OldState != nil && len(s.OldState.Outputs) > 0 {
			e.outputs = s.OldState.Outputs
		}
		s.explainWhole()
	}
}

// findNames finds the names of the shared roles in the last outputs. For a first deployment they are in
// the config.
func (e *explainer) findNames(p *preview) {
	e.database = e.outputs[policy.OutputDatabase]
	if name, set := p.Config["postgresql:database"]; set {
		e.database = name
	}
	e.names = map[policy.Role]any{policy.Public: "public"}
	for role, found := range map[policy.Role]struct{ output, configured string }{
		policy.App:             {policy.OutputApp, e.config.App.Name},
		policy.Admin:           {policy.OutputAdmin, e.config.Admin.Name},
		policy.AllTenants:      {policy.OutputAllTenants, e.config.AllTenants},
		policy.AllTenantsAdmin: {policy.OutputAllTenantsAdmin, e.config.AllTenantsAdmin},
	} {
		if name, deployed := e.outputs[found.output]; deployed {
			e.names[role] = name
		} else if found.configured != "" && e.config.Platform == "" {
			e.names[role] = found.configured
		}
	}
	if e.names[policy.AllTenants] == nil {
		e.takeNames(p)
	}
}

// takeNames takes the names of the shared roles from the first tenant, and reports them. The preview of
// a new cell has them nowhere else. Tenants that use other roles then show as other changes.
func (e *explainer) takeNames(p *preview) {
	take := func(role policy.Role, name any) { e.names[role] = cmp.Or(e.names[role], name) }
	for _, s := range p.Steps {
		if s.tenant == "" || s.Op != "create" {
			continue
		}
		inputs := s.last().Inputs
		switch s.typ {
		case typeRole:
			if groups, ok := inputs["roles"].([]any); ok && len(groups) == 1 && s.name == s.tenant+"-role" {
				take(policy.AllTenants, groups[0])
			}
		case typeSchema:
			take(policy.Admin, inputs["owner"])
		case typeGrantRole:
			take(policy.AllTenantsAdmin, inputs["role"])
		case typeGrant:
			if s.name == s.tenant+"-"+databasePrefix+"app-on-database" {
				take(policy.App, inputs["role"])
			}
		}
	}
	name := func(role policy.Role) any { return cmp.Or[any](e.names[role], "nobody") }
	if e.names[policy.AllTenants] != nil {
		e.report(shared, "platform", "new tenants are members of %v, %v has the admin option on them, and %v owns their schemas; another stack makes these roles",
			name(policy.AllTenants), name(policy.AllTenantsAdmin), name(policy.Admin))
	}
	if e.names[policy.App] != nil {
		e.report(shared, "platform", "%v reads the databases that new tenants have for themselves, %v has the admin option on these tenants, and %v owns their schemas; another stack makes these roles",
			name(policy.App), name(policy.AllTenantsAdmin), name(policy.Admin))
	}
}

// group returns the steps that are not done: those of tenants by key, those of shared logins by the key
// of the outputs, and all others.
func (e *explainer) group(all []*step) (tenants, logins map[string]steps, single []*step) {
	tenants, logins = map[string]steps{}, map[string]steps{}
	types := e.tenant(tenantNames{}, config.Tenant{})
	add := func(groups map[string]steps, key, name string, s *step) {
		if groups[key] == nil {
			groups[key] = steps{}
		}
		groups[key][name] = s
	}
	for _, s := range all {
		if s.done() {
			continue
		}
		if s.tenant != "" {
			name := strings.TrimPrefix(strings.TrimPrefix(s.name, s.tenant), "-")
			kind := name
			if agent := agentPattern.FindStringSubmatch(name); agent != nil {
				kind = agent[2] // as those of every login
			}
			if strings.HasPrefix(name, databasePrefix+extensionPrefix) && s.typ == typeExtension {
				add(tenants, s.tenant, name, s)
				continue
			}
			if types[kind].typ == s.typ {
				add(tenants, s.tenant, name, s)
			}
			continue
		}
		if key, name, ok := sharedLogin(s.name); ok && types[name].typ == s.typ {
			add(logins, key, name, s)
		} else {
			single = append(single, s)
		}
	}
	return tenants, logins, single
}

// output is a name among the last outputs, by one or more keys. It is empty if there is none.
func (e *explainer) output(output string, keys ...string) string {
	value := e.outputs[output]
	for _, key := range keys {
		byKey, ok := value.(map[string]any)
		if !ok {
			return ""
		}
		value = byKey[key]
	}
	name, ok := value.(string)
	if !ok {
		return ""
	}
	return name
}

// sharedLogins are the logins of the app, of the admin and of the readers, by their key in the outputs.
func (e *explainer) sharedLogins() map[string]config.Login {
	logins := map[string]config.Login{"app": e.config.App, "admin": e.config.Admin.Login}
	maps.Copy(logins, e.config.Readers)
	return logins
}
