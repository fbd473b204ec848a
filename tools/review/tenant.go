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
	// role and schema are names in PostgreSQL.
	role, schema string
	steps        steps
	want         map[string]wanted
}

// explainTenant explains what happens to a tenant.
func (e *explainer) explainTenant(key string, g steps) {
	cfg := e.config.Tenants[key]
	t := tenant{
		summary: &e.summary, key: key, config: cfg, steps: g,
		role:   cmp.Or(g["role"].input("name"), g["usage"].input("role"), e.output(policy.OutputTenantRoles, key), cfg.Login.Name, key),
		schema: cmp.Or(g["schema"].input("name"), e.output(policy.OutputTenantSchemas, key), cfg.Schema, key),
	}
	t.want = e.tenant(t.role, t.schema, cfg.Retire == config.RetireDrop)
	t.explainReplaced()
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

// adoption are the resources of privileges on the objects of an adopted schema.
func (t tenant) adoption() []string { return resources(onAdopted()) }

func (t tenant) explainReplaced() {
	if t.steps.all("replace", "schema") {
		t.report(replaced, "REPLACED by an empty schema: %s", dropped(t.steps["schema"]))
		t.steps.explain("replace", append(t.privileges(), "schema")...)
		t.summary.removed = append(t.summary.removed, t.key)
	}
	for _, prefix := range loginPrefixes() {
		if name := prefix + "role"; t.steps.all("replace", name) {
			t.report(replaced, "REPLACED: role %s is dropped and created again, without its privileges on existing tables", t.steps[name].input("name"))
			t.steps.explain("replace", name)
		}
	}
}

func (t tenant) explainRemoved() {
	what := t.steps.droppedLogins()
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
	if t.steps.created(t.want, t.privileges()...) {
		what = "it reads and writes schema " + t.schema
	}
	if t.steps.created(t.want, t.adoption()...) {
		what += ", existing tables included"
	}
	t.report(added, "%s; %s", t.steps.newLogins(t.role), what)
	t.steps[""].explainWhole()
	for name, s := range t.steps {
		if s.Op == "create" && s.is(t.want[name]) {
			s.explainWhole()
		}
	}
}

func (t tenant) explainChanged() {
	granted, revoked := t.steps.created(t.want, t.privileges()...), t.steps.all("delete", t.privileges()...)
	if granted {
		t.steps.explain("create", t.privileges()...)
	}
	if revoked {
		t.steps.explain("delete", append(t.adoption(), t.privileges()...)...)
	}
	if again := t.steps.explainRecreated(t.want); len(again) > 0 {
		t.report(repaired, "%s", strings.Join(again, "; "))
		granted = false // the privileges go with what was missing
	}
	on, off := login{role: t.role, config: t.config.Login, steps: t.steps, want: t.want, report: t.report}.explain()
	t.explainAccess(granted, revoked, strings.Join(on, ", "), strings.Join(off, ", "))
	t.explainProtection()
	t.explainAdoption(revoked)
}

// explainAccess explains retirement and suspension, and their ends. granted and revoked are about all
// privileges of the tenant, on and off name the logins that can log in again, and those that no longer
// can.
func (t tenant) explainAccess(granted, revoked bool, on, off string) {
	ends := "it loses its privileges in schema " + t.schema
	if off != "" {
		ends = off + " can no longer log in; " + ends
	}
	begins := "it reads and writes schema " + t.schema + " again"
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
	case drop && revoked:
		t.report(droppable, "%s; the app reads its data until its key is removed from the config, and then ALL OF IT IS DROPPED", ends)
	case drop:
		t.report(droppable, "schema %s and ALL ITS DATA ARE DROPPED when its key is removed from the config", t.schema)
	case revoked:
		t.report(retired, "%s; its data stays, and the app reads it", ends)
	case granted:
		t.report(restored, "%s", begins)
	case cascade:
		t.report(retired, "schema %s is no longer dropped with its data when its key is removed from the config", t.schema)
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
		t.report(protected, "the run fails if its key is removed from the config, unless retire: drop was deployed before; schema %s stays", t.schema)
	default:
		t.report(unprotected, "schema %s is dropped when its key is removed from the config, if it is empty", t.schema)
	}
}

func (t tenant) explainAdoption(revoked bool) {
	if t.steps.created(t.want, t.adoption()...) {
		t.report(adopted, "it reads and writes the existing tables of schema %s, the app reads them, and PUBLIC has no privileges on the schema", t.schema)
		t.steps.explain("create", t.adoption()...)
	} else if t.steps.all("delete", t.adoption()...) && !revoked {
		t.report(adopted, "the privileges on the existing tables of schema %s stay, but the stack no longer manages them", t.schema)
		t.steps.explain("delete", t.adoption()...)
	}
}
