package audit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenant-permissions/tools/connect"
)

// declared is what the stacks of one database have deployed, by their outputs.
type declared struct {
	database string
	// Names of the shared roles.
	app, admin, allTenants, allTenantsAdmin string
	// readers are the roles of further readers by key, "" where outputs tell their login only.
	readers map[string]string
	// logins are what app, admin and readers log in with, by key: more than one where a cell has not
	// run since the platform has changed.
	logins  map[string][]string
	tenants []Tenant // by key
}

// outputs are what one stack exports, as far as it matters here.
type outputs struct {
	database, app, admin, allTenants, allTenantsAdmin                     string
	roles, logins, tenantRoles, tenantLogins, tenantSchemas, retiredRoles map[string]string
}

// readStacks reads the outputs of all stacks of a database: the platform and its cells. All problems
// are reported at once. If outputs may be empty, such a stack counts as not deployed.
func readStacks(source *connect.Source, mayBeEmpty bool) (declared, error) {
	d := declared{readers: map[string]string{}, logins: map[string][]string{}}
	var problems []error
	claimed := map[string]string{} // by tenant key, role and schema: the file that has it
	var first outputs
	for _, file := range source.Outputs {
		var values map[string]json.RawMessage
		if err := source.ReadTo(file, &values); err != nil {
			problems = append(problems, fmt.Errorf("%s is not what `pulumi stack output --json` prints: %w", file, err))
			continue
		}
		if mayBeEmpty && len(values) == 0 {
			continue
		}
		o, err := readOutputs(file, values)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if first.database == "" {
			first = o
			d.database, d.app, d.admin, d.allTenants, d.allTenantsAdmin = o.database, o.app, o.admin, o.allTenants, o.allTenantsAdmin
		}
		for _, same := range []struct{ output, got, want string }{
			{"database_name", o.database, first.database},
			{"app_service_role_name", o.app, first.app},
			{"admin_service_role_name", o.admin, first.admin},
			{"all_tenants_role_name", o.allTenants, first.allTenants},
			{"all_tenants_admin_role_name", o.allTenantsAdmin, first.allTenantsAdmin},
		} {
			if same.got != same.want {
				problems = append(problems, fmt.Errorf("%s: %s: got %q, want %q, as in the files before: one audit is of one database", file, same.output, same.got, same.want))
			}
		}
		for _, key := range sortedKeys(o.logins) {
			if !slices.Contains(d.logins[key], o.logins[key]) {
				d.logins[key] = append(d.logins[key], o.logins[key])
			}
			if key == "app" || key == "admin" {
				continue
			}
			if role := d.readers[key]; role != "" && o.roles[key] != "" && role != o.roles[key] {
				problems = append(problems, fmt.Errorf("%s: role_names.%s: got %q, want %q, as in the files before", file, key, o.roles[key], role))
			}
			d.readers[key] = cmp.Or(d.readers[key], o.roles[key])
		}
		for _, key := range sortedKeys(o.tenantSchemas) {
			tenant := Tenant{Key: key, Role: o.tenantRoles[key], Login: o.tenantLogins[key], Retired: o.retiredRoles[key], Schema: o.tenantSchemas[key], Stack: file}
			for _, claim := range []string{"the tenant " + key, "the role " + tenant.Role + tenant.Retired, "the schema " + tenant.Schema} {
				if other, taken := claimed[claim]; taken {
					problems = append(problems, fmt.Errorf("%s: tenant_schema_names.%s: got %s, which %s has already: want each stack once", file, key, claim, other))
				}
				claimed[claim] = file
			}
			d.tenants = append(d.tenants, tenant)
		}
	}
	slices.SortFunc(d.tenants, func(a, b Tenant) int { return strings.Compare(a.Key, b.Key) })
	return d, errors.Join(problems...)
}

// readOutputs reads those of one stack. What has been added to the outputs since their first
// version may be missing.
func readOutputs(file string, values map[string]json.RawMessage) (o outputs, err error) {
	var problems []error
	problem := func(output, got, want string) {
		problems = append(problems, fmt.Errorf("%s: %s: got %s, want %s", file, output, got, want))
	}
	if version, ok := values["outputs_version"]; ok && string(version) != "1" {
		problem("outputs_version", string(version), "1")
	}
	for _, name := range []struct {
		output string
		to     *string
	}{
		{"database_name", &o.database},
		{"app_service_role_name", &o.app},
		{"admin_service_role_name", &o.admin},
		{"all_tenants_role_name", &o.allTenants},
		{"all_tenants_admin_role_name", &o.allTenantsAdmin},
	} {
		if json.Unmarshal(values[name.output], name.to) != nil || *name.to == "" {
			problem(name.output, show(values[name.output]), "a name, as a deployed stack has it")
		}
	}
	for _, names := range []struct {
		output   string
		to       *map[string]string
		optional bool
	}{
		{"role_names", &o.roles, true},
		{"login_names", &o.logins, false},
		{"tenant_role_names", &o.tenantRoles, false},
		{"tenant_login_names", &o.tenantLogins, false},
		{"tenant_schema_names", &o.tenantSchemas, false},
		{"retired_role_names", &o.retiredRoles, true},
	} {
		raw, ok := values[names.output]
		if !ok && names.optional {
			continue
		}
		if json.Unmarshal(raw, names.to) != nil || *names.to == nil {
			problem(names.output, show(raw), "names by key, as a deployed stack has them")
		}
	}
	if len(problems) > 0 {
		return o, errors.Join(problems...)
	}
	for _, key := range sortedKeys(o.tenantSchemas) {
		switch role, login, retired := o.tenantRoles[key], o.tenantLogins[key], o.retiredRoles[key]; {
		case role == "" && retired == "":
			problem("retired_role_names."+key, "nothing", "the role of a tenant that has a schema and is not among tenant_role_names; deploy the stack anew if it has no such output")
		case (role == "") != (login == ""):
			problem("tenant_login_names."+key, fmt.Sprintf("%q", login), "a name if tenant_role_names has one")
		case role != "" && retired != "":
			problem("retired_role_names."+key, fmt.Sprintf("%q", retired), "nothing, for tenant_role_names has the tenant")
		}
	}
	for output, names := range map[string]map[string]string{"tenant_role_names": o.tenantRoles, "tenant_login_names": o.tenantLogins, "retired_role_names": o.retiredRoles} {
		for key := range names {
			if o.tenantSchemas[key] == "" {
				problem(output+"."+key, fmt.Sprintf("%q", names[key]), "only tenants that tenant_schema_names has")
			}
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return o, errors.Join(problems...)
}

// show is a value of the outputs in an error.
func show(raw json.RawMessage) string {
	const most = 60
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return "nothing"
	case len(raw) > most:
		return string(raw[:most]) + "…"
	default:
		return string(raw)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
