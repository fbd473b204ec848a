package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// declared is what the stacks of one database have deployed, by their outputs.
type declared struct {
	database string
	// Names of the shared roles.
	app, admin, allTenants, allTenantsAdmin string
	// readers are the roles of further readers, by key; logins are what app, admin and readers log
	// in with.
	readers, logins map[string]string
	tenants         []Tenant // by key
}

// outputs are what one stack exports, as far as it matters here.
type outputs struct {
	Version         any               `json:"outputs_version"`
	Database        string            `json:"database_name"`
	App             string            `json:"app_service_role_name"`
	Admin           string            `json:"admin_service_role_name"`
	AllTenants      string            `json:"all_tenants_role_name"`
	AllTenantsAdmin string            `json:"all_tenants_admin_role_name"`
	Roles           map[string]string `json:"role_names"`
	Logins          map[string]string `json:"login_names"`
	TenantRoles     map[string]string `json:"tenant_role_names"`
	TenantLogins    map[string]string `json:"tenant_login_names"`
	TenantSchemas   map[string]string `json:"tenant_schema_names"`
	RetiredRoles    map[string]string `json:"retired_role_names"`
}

// readStacks reads the outputs of all stacks of a database: the platform and its cells. The file
// "-" is standard input. All problems are told at once.
func readStacks(files []string, stdin io.Reader) (declared, error) {
	d := declared{readers: map[string]string{}, logins: map[string]string{}}
	var problems []error
	claimed := map[string]string{} // by tenant key, role and schema: the path that has it
	var first outputs
	for i, file := range files {
		o, err := readOutputs(file, stdin)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if i == 0 {
			first = o
			d.database, d.app, d.admin, d.allTenants, d.allTenantsAdmin = o.Database, o.App, o.Admin, o.AllTenants, o.AllTenantsAdmin
			d.logins = o.Logins
			for key, name := range o.Roles {
				if key != "app" && key != "admin" {
					d.readers[key] = name
				}
			}
		}
		for _, same := range []struct{ output, got, want string }{
			{"database_name", o.Database, first.Database},
			{"app_service_role_name", o.App, first.App},
			{"admin_service_role_name", o.Admin, first.Admin},
			{"all_tenants_role_name", o.AllTenants, first.AllTenants},
			{"all_tenants_admin_role_name", o.AllTenantsAdmin, first.AllTenantsAdmin},
		} {
			if same.got != same.want {
				problems = append(problems, fmt.Errorf("%s: %s: got %q, want %q, as in %s: one audit is of one database", file, same.output, same.got, same.want, files[0]))
			}
		}
		for _, key := range slices.Sorted(maps.Keys(o.TenantSchemas)) {
			tenant := Tenant{Key: key, Role: o.TenantRoles[key], Login: o.TenantLogins[key], Schema: o.TenantSchemas[key], Stack: file}
			tenant.Retired = o.RetiredRoles[key]
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

func readOutputs(file string, stdin io.Reader) (o outputs, err error) {
	in := stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return o, err
		}
		defer opened.Close()
		in = opened
	}
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return o, fmt.Errorf("%s: got %w, want what `pulumi stack output --json` prints", file, err)
	}
	var problems []error
	if o.Version != 1.0 {
		problems = append(problems, fmt.Errorf("%s: outputs_version: got %v, want 1", file, o.Version))
	}
	for _, required := range []struct {
		output  string
		missing bool
	}{
		{"database_name", o.Database == ""},
		{"app_service_role_name", o.App == ""},
		{"admin_service_role_name", o.Admin == ""},
		{"all_tenants_role_name", o.AllTenants == ""},
		{"all_tenants_admin_role_name", o.AllTenantsAdmin == ""},
		{"role_names", o.Roles == nil},
		{"login_names", o.Logins == nil},
		{"tenant_role_names", o.TenantRoles == nil},
		{"tenant_login_names", o.TenantLogins == nil},
		{"tenant_schema_names", o.TenantSchemas == nil},
		{"retired_role_names", o.RetiredRoles == nil},
	} {
		if required.missing {
			problems = append(problems, fmt.Errorf("%s: %s: got nothing, want that output of a deployed stack", file, required.output))
		}
	}
	return o, errors.Join(problems...)
}
