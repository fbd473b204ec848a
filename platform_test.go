package main

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// cellConfig is the config of a cell with the given tenants.
func cellConfig(tenants string) map[string]string {
	cfg := stackConfig(tenants, ``)
	delete(cfg, "tenant-permissions:roles")
	cfg["tenant-permissions:platform"] = "org/tenant-permissions/prod"
	return cfg
}

// platformOutputs are those of a platform stack with roles of its own names and one tenant.
func platformOutputs() resource.PropertyMap {
	return resource.NewPropertyMapFromMap(map[string]any{
		"app_service_role_name":          "reader",
		"admin_service_role_name":        "owner",
		"admin_service_login_name":       "owner_login",
		"all_tenants_role_name":          "everyone",
		"all_tenants_admin_role_name":    "everyone_admin",
		"database_name":                  "platform",
		"role_names":                     map[string]any{"app": "reader", "admin": "owner", "bi": "dashboards"},
		"login_names":                    map[string]any{"app": "reader", "admin": "owner_login", "bi": "dashboards_a"},
		"tenant_role_names":              map[string]any{"hooli": "tenant_hooli"},
		"tenant_login_names":             map[string]any{"hooli": "tenant_hooli_a"},
		"tenant_schema_names":            map[string]any{"hooli": "hooli_data", "umbrella": "umbrella"},
		"retired_role_names":             map[string]any{"umbrella": "tenant_umbrella"},
		"tenant_agent_login_names":       map[string]any{"hooli": map[string]any{"chat": "hooli_chat_b"}},
		"tenant_agents_role_names":       map[string]any{"hooli": "hooli_agents"},
		"tenant_database_names":          map[string]any{"hooli": "hooli_db", "umbrella": "platform"},
		"tenant_previous_database_names": map[string]any{"umbrella": "umbrella_db"},
		"extension_schema_name":          "",
		"extension_versions":             map[string]any{},
		"passwords":                      resource.MakeSecret(resource.NewProperty(resource.PropertyMap{"reader": resource.NewProperty("hush")})),
	})
}

// A cell registers its tenants as the platform would, with the names of the platform's roles, and
// nothing else.
func TestCell(t *testing.T) {
	whole, cell := &mocks{}, &mocks{platform: platformOutputs()}
	roles := `{"app":{"name":"reader"},"admin":{"name":"owner","loginName":"owner_login"},"allTenants":{"name":"everyone"},"allTenantsAdmin":{"name":"everyone_admin"}}`
	const tenants = `{"acme":{"adopt":true,"executeFunctions":true,"agents":{"chat":{"name":"acme_chat"}}},"globex":{"schema":"platform","logins":{"active":"a"}},"initech":{"isolation":"database"}}`
	if _, err := run(t, stackConfig(tenants, roles), whole); err != nil {
		t.Fatal(err)
	}
	exports, err := run(t, cellConfig(tenants), cell)
	if err != nil {
		t.Fatal(err)
	}
	// What comes from a resource of the platform has no edge here, and waits for the reference.
	foreign := strings.NewReplacer("<-app-service-role", "", "<-admin-service-role", "", "<-all-tenants-admin", "", "<-all-tenants", "",
		"after=default-functions", "after=org/tenant-permissions/prod")
	ofTenants := 0
	for urn, args := range whole.resources {
		if !strings.Contains(string(urn), "index:Tenant") {
			continue
		}
		ofTenants++
		if got, want := cell.describe(cell.resources[urn]), foreign.Replace(whole.describe(args)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if urns := cell.urns(); len(urns) != ofTenants+1 || !slices.ContainsFunc(urns, func(urn string) bool { return strings.HasSuffix(urn, "::org/tenant-permissions/prod") }) {
		t.Errorf("not the tenants and the reference alone: %v", urns)
	}

	noLimits := map[string]any{"connectionLimit": -1, "statementTimeout": 0, "idleInTransactionSessionTimeout": 0}
	want := map[string]any{
		"outputs_version":                1,
		"app_service_role_name":          "reader",
		"admin_service_role_name":        "owner",
		"admin_service_login_name":       "owner_login",
		"all_tenants_role_name":          "everyone",
		"all_tenants_admin_role_name":    "everyone_admin",
		"database_name":                  "platform",
		"role_names":                     map[string]string{"app": "reader", "admin": "owner", "bi": "dashboards"},
		"login_names":                    map[string]string{"app": "reader", "admin": "owner_login", "bi": "dashboards_a"},
		"tenant_role_names":              map[string]string{"acme": "tenant_acme", "globex": "tenant_globex", "initech": "tenant_initech"},
		"tenant_login_names":             map[string]string{"acme": "tenant_acme", "globex": "tenant_globex_a", "initech": "tenant_initech"},
		"tenant_schema_names":            map[string]string{"acme": "tenant_acme", "globex": "platform", "initech": "tenant_initech"},
		"retired_role_names":             map[string]string{},
		"tenant_agent_login_names":       map[string]map[string]string{"acme": {"chat": "acme_chat"}},
		"tenant_agents_role_names":       map[string]string{"acme": "tenant_acme_agents"},
		"tenant_database_names":          map[string]string{"acme": "platform", "globex": "platform", "initech": "tenant_initech"},
		"tenant_previous_database_names": map[string]string{},
		"extension_schema_name":          "",
		"extension_versions":             map[string]string{},
		"login_limits":                   map[string]any{"tenant_acme": noLimits, "tenant_globex": noLimits, "tenant_globex_a": noLimits, "tenant_globex_b": noLimits, "acme_chat": noLimits, "tenant_initech": noLimits},
		"passwords": map[string]string{
			"tenant_acme":     generated("acme-password"),
			"acme_chat":       generated("acme-agent-chat-password"),
			"tenant_globex_a": generated("globex-a-password"),
			"tenant_globex_b": generated("globex-b-password"),
			"tenant_initech":  generated("initech-password"),
		},
	}
	if len(exports) != len(want) {
		t.Errorf("%d outputs, want %d", len(exports), len(want))
	}
	for name, wantValue := range want {
		if value, _ := await(t, exports[name]); !reflect.DeepEqual(value, wantValue) {
			t.Errorf("output %s: got %v, want %v", name, value, wantValue)
		}
	}
}

// What does not fit the platform is said at once, and nothing is registered but the reference.
func TestBadCell(t *testing.T) {
	for _, test := range []struct {
		name, tenants, database string
		platform                func(outputs resource.PropertyMap)
		want                    []string
	}{
		{
			name:    "names of the platform",
			tenants: `{"b":{"role":"hooli"},"c":{"schema":"hooli_data"},"d":{"role":"reader"},"e":{"role":"dashboards"},"e2":{"role":"dashboards_a"},"f":{"schema":"everyone"},"g":{"role":"tenant_hooli_a"},"hooli":{},"umbrella":{},"i":{"isolation":"database","database":{"name":"hooli_db"}}}`,
			want: []string{
				`tenants.c.schema: "hooli_data" is already taken by org/tenant-permissions/prod (tenant_schema_names.hooli); choose another name`,
				`tenants.d.role: "reader" is already taken by org/tenant-permissions/prod (role_names.app); choose another name`,
				`tenants.e.role: "dashboards" is already taken by org/tenant-permissions/prod (role_names.bi); choose another name`,
				`tenants.e2.role: "dashboards_a" is already taken by org/tenant-permissions/prod (login_names.bi); choose another name`,
				`tenants.f.schema: "everyone" is already taken by org/tenant-permissions/prod (all_tenants_role_name); choose another name`,
				`tenants.g.role: "tenant_hooli_a" is already taken by org/tenant-permissions/prod (tenant_login_names.hooli); choose another name`,
				`tenants.hooli.role: "tenant_hooli" is already taken by org/tenant-permissions/prod (tenant_role_names.hooli); choose another name`,
				`tenants.i.database.name: "hooli_db" is already taken by org/tenant-permissions/prod (tenant_database_names.hooli); choose another name`,
				`tenants.umbrella.role: "tenant_umbrella" is already taken by org/tenant-permissions/prod (retired_role_names.umbrella); choose another name`,
			},
		},
		{
			name: "another database", tenants: `{}`, database: "elsewhere",
			want: []string{`postgresql:database: "elsewhere" is not the database of org/tenant-permissions/prod; give "platform"`},
		},
		{
			name: "no platform", tenants: `{}`,
			platform: func(outputs resource.PropertyMap) {
				delete(outputs, "all_tenants_role_name")
				outputs["login_names"] = resource.NewProperty(7.0)
				outputs["database_name"] = resource.MakeSecret(resource.NewProperty("hushhush"))
			},
			want: []string{
				`platform: "org/tenant-permissions/prod" has no output all_tenants_role_name; give a stack of this program that is deployed`,
				`platform: "org/tenant-permissions/prod" has no output database_name; give a stack of this program that is deployed`,
				`platform: "org/tenant-permissions/prod" has no output login_names; give a stack of this program that is deployed`,
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, cfg := &mocks{platform: platformOutputs()}, cellConfig(test.tenants)
			if test.platform != nil {
				test.platform(m.platform)
			}
			if test.database != "" {
				maps.Copy(cfg, map[string]string{"postgresql:database": test.database})
			}
			_, err := run(t, cfg, m)
			if err == nil {
				t.Fatal("accepted")
			}
			if len(m.resources) != 1 {
				t.Errorf("registered %v", m.urns())
			}
			_, list, _ := strings.Cut(err.Error(), "nothing was changed:\n  ")
			got := strings.Split(strings.TrimSpace(list), "\n  ")
			for i, line := range got {
				if i >= len(test.want) || !strings.HasPrefix(line, test.want[i]) {
					t.Errorf("got line %d: %s", i, line)
				}
			}
			if len(got) != len(test.want) || strings.Contains(err.Error(), "hushhush") {
				t.Errorf("got %v\nwant %v", err, test.want)
			}
		})
	}
}
