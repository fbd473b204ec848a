package main

import (
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	sdkconfig "github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
)

// devConfig is the committed dev stack's config, as the CLI hands it over.
func devConfig(t *testing.T) map[string]string {
	t.Helper()
	project, err := workspace.LoadProject("Pulumi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	stack, err := workspace.LoadProjectStack(nil, project, "Pulumi.dev.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if stack.Config.HasSecureValue() {
		t.Fatal("Pulumi.dev.yaml holds a secret; its passphrase is public")
	}
	values, err := stack.Config.Decrypt(sdkconfig.NopDecrypter)
	if err != nil {
		t.Fatal(err)
	}
	cfg := map[string]string{}
	for key, value := range values {
		cfg[key.String()] = value
	}
	return cfg
}

var update = flag.Bool("update", false, "write testdata/graph.txt anew")

// The committed dev stack registers exactly what testdata/graph.txt lists: every resource with
// its inputs, the resource each input comes from, and its options. `go test . -update` writes it anew.
func TestDevStackGraph(t *testing.T) {
	m := &mocks{}
	if _, err := run(t, devConfig(t), m); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/graph.txt", []byte(m.describeAll()+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/graph.txt")
	if err != nil {
		t.Fatal(err)
	}
	got, listed := strings.Split(m.describeAll(), "\n"), strings.Split(strings.TrimSpace(string(want)), "\n")
	for _, line := range got {
		if !slices.Contains(listed, line) {
			t.Errorf("registered, not listed:\n%s", line)
		}
	}
	for _, line := range listed {
		if !slices.Contains(got, line) {
			t.Errorf("listed, not registered:\n%s", line)
		}
	}
}

// A role, schema or owner is always the output of the resource that makes it. A literal would
// have no edge, and the engine would not know what must exist first. PUBLIC is no resource, and
// the schema public is PostgreSQL's own.
func TestNamesComeFromResources(t *testing.T) {
	m := &mocks{}
	if _, err := run(t, stackConfig(`{"acme":{},"globex":{}}`, `{}`, `{"analyst":{}}`), m); err != nil {
		t.Fatal(err)
	}
	edges := 0
	for _, args := range m.resources {
		for _, input := range []string{"role", "grantRole", "owner", "schema", "roles", "assumeRole", "password"} {
			value, set := args.Inputs[resource.PropertyKey(input)]
			if !set || value.IsString() && value.StringValue() == "public" {
				continue
			}
			edges++
			if len(args.RegisterRPC.GetPropertyDependencies()[input].GetUrns()) == 0 {
				t.Errorf("%s: %s does not come from a resource", args.Name, input)
			}
		}
	}
	if edges < 40 {
		t.Errorf("checked %d inputs only", edges)
	}
}

// The contract with other stacks, of outputsVersion 1: these names and shapes. An output more is one
// line more here; anything else needs another version.
func TestOutputs(t *testing.T) {
	cfg := stackConfig(
		`{"acme":{"connectionLimit":7,"idleInTransactionSessionTimeout":"1min","agents":{"chat":{"statementTimeout":"15s"}}},"globex":{"role":"g_login","schema":"g","isolation":"database","database":{"name":"globex_db"}}}`,
		`{}`, `{"analyst":{"validUntil":"2030-01-01T00:00:00Z"}}`)
	cfg["tenant-permissions:extensions"] = `{"vector":{},"pg_trgm":{"version":"1.6"}}`
	exports, err := run(t, cfg, &mocks{})
	if err != nil {
		t.Fatal(err)
	}
	limits := func(connections, statement, idle int) map[string]any {
		return map[string]any{"connectionLimit": connections, "statementTimeout": statement, "idleInTransactionSessionTimeout": idle}
	}
	want := map[string]any{
		"outputs_version":                1,
		"app_service_role_name":          "app_service_role",
		"admin_service_role_name":        "admin_service_role",
		"admin_service_login_name":       "admin_service_login",
		"all_tenants_role_name":          "all_tenants",
		"all_tenants_admin_role_name":    "all_tenants_admin",
		"role_names":                     map[string]string{"app": "app_service_role", "admin": "admin_service_role", "analyst": "analyst"},
		"login_names":                    map[string]string{"app": "app_service_role", "admin": "admin_service_login", "analyst": "analyst"},
		"tenant_role_names":              map[string]string{"acme": "tenant_acme", "globex": "g_login"},
		"tenant_login_names":             map[string]string{"acme": "tenant_acme", "globex": "g_login"},
		"tenant_schema_names":            map[string]string{"acme": "tenant_acme", "globex": "g"},
		"retired_role_names":             map[string]string{},
		"tenant_agent_login_names":       map[string]map[string]string{"acme": {"chat": "tenant_acme_chat"}},
		"tenant_agents_role_names":       map[string]string{"acme": "tenant_acme_agents"},
		"tenant_database_names":          map[string]string{"acme": "platform", "globex": "globex_db"},
		"tenant_previous_database_names": map[string]string{},
		"extension_schema_name":          "extensions",
		"extension_versions":             map[string]string{"vector": "", "pg_trgm": "1.6"},
		"login_limits": map[string]any{
			"app_service_role":    limits(-1, 0, 0),
			"admin_service_login": limits(-1, 0, 0),
			"analyst":             map[string]any{"connectionLimit": -1, "statementTimeout": 0, "idleInTransactionSessionTimeout": 0, "validUntil": "2030-01-01T00:00:00Z"},
			"tenant_acme":         limits(7, 0, 60_000),
			"tenant_acme_chat":    limits(-1, 15_000, 0),
			"g_login":             limits(-1, 0, 0),
		},
		"database_name": "platform",
		"passwords": map[string]string{
			"app_service_role":    generated("app-service-password"),
			"admin_service_login": generated("admin-login-password"),
			"analyst":             generated("analyst-password"),
			"tenant_acme":         generated("acme-password"),
			"tenant_acme_chat":    generated("acme-agent-chat-password"),
			"g_login":             generated("globex-password"),
		},
	}
	for name, wantValue := range want {
		value, secret := await(t, exports[name])
		if !reflect.DeepEqual(value, wantValue) {
			t.Errorf("output %s: got %v, want %v", name, value, wantValue)
		}
		if wantSecret := name == "passwords"; secret != wantSecret {
			t.Errorf("output %s: secret is %t, want %t", name, secret, wantSecret)
		}
	}
	if len(exports) != len(want) {
		t.Errorf("%d outputs, want %d: %v", len(exports), len(want), exports)
	}
}

// The maps of an empty stack are there all the same, so that a consumer need not ask.
func TestNoTenants(t *testing.T) {
	exports, err := run(t, stackConfig(`{}`, `{}`), &mocks{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tenant_role_names", "tenant_login_names", "tenant_schema_names", "retired_role_names", "tenant_agents_role_names"} {
		if value, _ := await(t, exports[name]); !reflect.DeepEqual(value, map[string]string{}) {
			t.Errorf("output %s: got %v, want an empty map", name, value)
		}
	}
}

func TestOrderOfConfigChangesNothing(t *testing.T) {
	var described []string
	for _, tenants := range []string{
		`{"acme":{"passwordVersion":2},"globex":{},"initech":{}}`,
		`{"initech":{},"globex":{},"acme":{"passwordVersion":2}}`,
	} {
		m := &mocks{}
		if _, err := run(t, stackConfig(tenants, `{}`), m); err != nil {
			t.Fatal(err)
		}
		described = append(described, strings.Join(m.urns(), "\n")+m.describeAll())
	}
	if described[0] != described[1] {
		t.Errorf("another order of tenants:\n%s\n\n%s", described[0], described[1])
	}
}

// Nothing is registered if the config has a problem.
func TestBadConfigRegistersNothing(t *testing.T) {
	m := &mocks{}
	exports, err := run(t, stackConfig(`{"acme":{"connectionLimit":"ten"}}`, `{}`), m)
	want := `tenants.acme.connectionLimit: "ten" is not accepted; give a whole number of sessions, -1 for no limit`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %s", err, want)
	}
	if len(m.resources) != 0 || len(exports) != 0 {
		t.Errorf("registered %v, exported %v", m.urns(), exports)
	}
}

// The names of the variables that internal/config reads are the SDK's.
func TestVariablesOfTheSDK(t *testing.T) {
	t.Setenv(pulumi.EnvConfig, `{"tenant-permissions:tenants":"{}","postgresql:password":"hush"}`)
	t.Setenv(pulumi.EnvConfigSecretKeys, `["postgresql:password"]`)
	values, err := config.FromEnvironment(os.LookupEnv)
	want := config.Values{"tenant-permissions:tenants": {Value: "{}"}, "postgresql:password": {Value: "hush", Secret: true}}
	if err != nil || !reflect.DeepEqual(values, want) {
		t.Errorf("got %d values, %v", len(values), err)
	}
}

// Adding a tenant leaves the URNs and inputs of everything else as they were.
func TestAddedTenantTouchesNoOther(t *testing.T) {
	before, after := &mocks{}, &mocks{}
	if _, err := run(t, stackConfig(`{"acme":{},"globex":{}}`, `{}`), before); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, stackConfig(`{"aaron":{},"acme":{},"globex":{}}`, `{}`), after); err != nil {
		t.Fatal(err)
	}
	if len(after.resources) <= len(before.resources) {
		t.Fatalf("%d resources with a tenant more, %d without", len(after.resources), len(before.resources))
	}
	for urn, args := range before.resources {
		if before.describe(args) != after.describe(after.resources[urn]) {
			t.Errorf("changed:\n%s\n%s", before.describe(args), after.describe(after.resources[urn]))
		}
	}
}

// Whatever resource fails, the run fails, and the error names the tenant it belongs to.
func TestFailureNamesTheTenant(t *testing.T) {
	m := &mocks{}
	cfg := stackConfig(`{"acme":{"agents":{"chat":{}},"isolation":"database"}}`, `{}`, `{"analyst":{}}`)
	cfg["tenant-permissions:extensions"] = `{"vector":{}}`
	if _, err := run(t, cfg, m); err != nil {
		t.Fatal(err)
	}
	types := map[string]bool{}
	for _, args := range m.resources {
		types[args.TypeToken] = true
		_, err := run(t, cfg, &mocks{fail: args.Name})
		if err == nil || !strings.Contains(err.Error(), args.Name) {
			t.Errorf("%s failed, but the error is %v", args.Name, err)
		}
		inTenant := strings.HasSuffix(args.RegisterRPC.GetParent(), "::acme")
		if named := args.Name == "acme" || strings.HasPrefix(args.Name, "acme-"); inTenant && !named {
			t.Errorf("%s does not name its tenant", args.Name)
		}
	}
	if len(types) != 9 {
		t.Errorf("failed %d types, want the eight of the providers and the component: %v", len(types), types)
	}
}

// What cannot change once it is deployed is said to be so, whichever part of the config asks.
func TestDeployedSettingsStay(t *testing.T) {
	for path, deployed := range map[string]map[string]resource.PropertyMap{
		"roles.app.name":             {"app-service-role": {"name": resource.NewProperty("old")}},
		"roles.admin.name":           {"admin-service-role": {"name": resource.NewProperty("old")}},
		"roles.admin.loginName":      {"admin-login-role": {"name": resource.NewProperty("old")}},
		"roles.admin.createRole":     {"admin-service-role": {"createRole": resource.NewProperty(false)}},
		"roles.admin.createDatabase": {"admin-service-role": {"createDatabase": resource.NewProperty(false)}},
		"roles.admin.superuser":      {"admin-service-role": {"superuser": resource.NewProperty(true)}},
		"roles.admin.replication":    {"admin-service-role": {"replication": resource.NewProperty(true)}},
		"roles.admin.inherit":        {"admin-service-role": {"inherit": resource.NewProperty(false)}},
		"roles.admin.bypassRowLevelSecurity": {
			"admin-service-role": {"bypassRowLevelSecurity": resource.NewProperty(true)},
		},
		"roles.admin.login":               {"admin-service-role": {"login": resource.NewProperty(true)}},
		"roles.allTenantsAdmin.superuser": {"all-tenants-admin": {"superuser": resource.NewProperty(true)}},
		"roles.allTenants.name":           {"all-tenants": {"name": resource.NewProperty("old")}},
		"roles.allTenantsAdmin.name":      {"all-tenants-admin": {"name": resource.NewProperty("old")}},
		"readers.analyst.name":            {"analyst-role": {"name": resource.NewProperty("old")}},
		"tenants.acme.agents":             {"acme-agents": {"name": resource.NewProperty("old")}},
		"tenants.acme.agents.chat.name":   {"acme-agent-chat-role": {"name": resource.NewProperty("old")}},
		"extensionSchema":                 {"extension-schema": {"name": resource.NewProperty("old")}},
		"tenants.acme.role":               {"acme-role": {"name": resource.NewProperty("old")}},
		"tenants.acme.schema":             {"acme-schema": {"name": resource.NewProperty("old")}},
		"tenants.globex.schema":           {"globex-database-schema": {"name": resource.NewProperty("old")}},
		"tenants.globex.database.name":    {"globex-database": {"name": resource.NewProperty("old")}},
		"tenants.globex.database.encoding": {
			"globex-database": {"encoding": resource.NewProperty("LATIN1")},
		},
		"tenants.globex.database.lcCollate": {"globex-database": {"lcCollate": resource.NewProperty("de_DE.UTF-8")}},
		"readers.board.name":                {"board-b-role": {"name": resource.NewProperty("old")}}, // not the one to log in with
	} {
		cfg := stackConfig(`{"acme":{"agents":{"chat":{}}},"globex":{"isolation":"database","database":{"encoding":"utf-8","lcCollate":"C"}}}`, `{}`, `{"analyst":{},"board":{"logins":{"active":"a"}}}`)
		cfg["tenant-permissions:extensions"] = `{"vector":{}}`
		_, err := run(t, cfg, &mocks{deployed: deployed})
		if err == nil || !strings.Contains(err.Error(), path+" cannot change after deployment: deployed ") {
			t.Errorf("%s: got error %v", path, err)
		}
	}
}

// Every setting that is accepted arrives where it belongs, and the limits of the ranges are in.
func TestSettingsArrive(t *testing.T) {
	longest, longKey := strings.Repeat("a", config.MaxNameBytes), strings.Repeat("k", config.MaxKeyBytes)
	m := &mocks{}
	_, err := run(t, stackConfig(
		`{"`+longKey+`":{"connectionLimit":0},"max":{"connectionLimit":2147483647,"role":"`+longest+`","schema":"s","suspended":true}}`,
		`{"app":{"name":"reader","connectionLimit":9,"bypassRowLevelSecurity":true},
		  "admin":{"name":"owner","loginName":"owner_login","connectionLimit":2,"createDatabase":false,"createRole":false,
		           "superuser":true,"replication":true,"bypassRowLevelSecurity":true,"inherit":false},
		  "allTenants":{"name":"everyone"},"allTenantsAdmin":{"name":"everyone_admin"}}`,
		`{"bi":{"name":"dashboard","connectionLimit":3}}`), m)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"app-service-role":   `{"bypassRowLevelSecurity":true,"connectionLimit":9,"login":true,"name":"reader","searchPaths":["pg_catalog"]}`,
		"admin-service-role": `{"bypassRowLevelSecurity":true,"createDatabase":false,"createRole":false,"inherit":false,"login":false,"name":"owner","replication":true,"superuser":true}`,
		"admin-login-role":   `{"assumeRole":"owner","bypassRowLevelSecurity":false,"connectionLimit":2,"login":true,"name":"owner_login","roles":["owner"],"searchPaths":["pg_catalog"]}`,
		"all-tenants":        `{"login":false,"name":"everyone"}`,
		"all-tenants-admin":  `{"bypassRowLevelSecurity":false,"createDatabase":false,"createRole":false,"inherit":false,"login":false,"name":"everyone_admin","replication":false,"superuser":false}`,
		"bi-role":            `{"bypassRowLevelSecurity":false,"connectionLimit":3,"login":true,"name":"dashboard","roles":["reader"],"searchPaths":["pg_catalog"],"validUntil":"infinity"}`,
		"max-role":           `{"bypassRowLevelSecurity":false,"connectionLimit":2147483647,"login":false,"name":"` + longest + `","roles":["everyone"],"searchPaths":["s"]}`,
		longKey + "-role":    `{"bypassRowLevelSecurity":false,"connectionLimit":0,"login":true,"name":"tenant_` + longKey + `","roles":["everyone"],"searchPaths":["tenant_` + longKey + `"]}`,
	} {
		inputs := m.named(t, name).Inputs.Copy()
		delete(inputs, "password")
		if got, err := json.Marshal(inputs.Mappable()); err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v\nwant %s", name, got, err, want)
		}
	}
}
