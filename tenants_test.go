package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Each step of a retirement takes away what it says and no more.
func TestRetirement(t *testing.T) {
	retired := []string{"acme", "acme-grant-role", "acme-password", "acme-role", "acme-schema"}
	for _, test := range []struct {
		tenant, protect      string
		resources            []string
		protected, dropsData bool
	}{
		{`{}`, "true", []string{"acme", "acme-grant-role", "acme-password", "acme-role", "acme-schema", "acme-sequences", "acme-tables", "acme-usage"}, true, false},
		{`{"retire":"keep"}`, "true", retired, true, false},
		{`{"retire":"drop"}`, "true", retired, false, true},
		{`{"retire":"keep"}`, "false", retired, false, false},
	} {
		cfg := stackConfig(`{"acme":`+test.tenant+`,"globex":{}}`, `{}`)
		cfg["tenant-permissions:protectTenants"] = test.protect
		m := &mocks{}
		exports, err := run(t, cfg, m)
		if err != nil {
			t.Fatal(err)
		}
		var resources []string
		for _, args := range m.resources {
			if strings.HasPrefix(args.Name, "acme") {
				resources = append(resources, args.Name)
			}
		}
		slices.Sort(resources)
		if !slices.Equal(resources, test.resources) {
			t.Errorf("%s: registered %v, want %v", test.tenant, resources, test.resources)
		}
		schema := m.named(t, "acme-schema")
		if protected := schema.RegisterRPC.GetProtect(); protected != test.protected {
			t.Errorf("%s: protected is %t", test.tenant, protected)
		}
		if drops := schema.Inputs["dropCascade"]; drops != resource.NewProperty(test.dropsData) {
			t.Errorf("%s: dropCascade is %v", test.tenant, drops)
		}
		if login := m.named(t, "acme-role").Inputs["login"].BoolValue(); login != (test.tenant == `{}`) {
			t.Errorf("%s: login is %t", test.tenant, login)
		}
		wantRoles := map[string]string{"acme": "tenant_acme", "globex": "tenant_globex"}
		if test.tenant != `{}` {
			delete(wantRoles, "acme")
		}
		if roles, _ := await(t, exports["tenant_role_names"]); !reflect.DeepEqual(roles, wantRoles) {
			t.Errorf("%s: tenant_role_names is %v", test.tenant, roles)
		}
		wantRetired := map[string]string{}
		if test.tenant != `{}` {
			wantRetired["acme"] = "tenant_acme"
		}
		if roles, _ := await(t, exports["retired_role_names"]); !reflect.DeepEqual(roles, wantRetired) {
			t.Errorf("%s: retired_role_names is %v", test.tenant, roles)
		}
		if schemas, _ := await(t, exports["tenant_schema_names"]); schemas.(map[string]string)["acme"] != "tenant_acme" {
			t.Errorf("%s: tenant_schema_names is %v", test.tenant, schemas)
		}
		if passwords, _ := await(t, exports["passwords"]); len(passwords.(map[string]string)) != len(wantRoles)+2 {
			t.Errorf("%s: %d passwords", test.tenant, len(passwords.(map[string]string)))
		}
	}
}

// Databases are closed one after the other, before the stack's own, in an order of their own.
func TestClosedDatabases(t *testing.T) {
	cfg := stackConfig(`{}`, `{}`)
	cfg["tenant-permissions:closedDatabases"] = `["postgres","other"]`
	m := &mocks{}
	if _, err := run(t, cfg, m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"public-on-database-postgres": "Grant public-on-database-postgres database=postgres objectType=database privileges=[] role=public after=logins after=public-on-database-other deleteBeforeReplace",
		"public-on-database":          "Grant public-on-database database=platform objectType=database privileges=[] role=public after=logins after=public-on-database-postgres deleteBeforeReplace",
		"public-on-database-other":    "Grant public-on-database-other database=other objectType=database privileges=[] role=public after=logins after=grant-all-tenants-admin-to-admin after=grant-role-to-admin deleteBeforeReplace",
	} {
		if got := m.describe(m.named(t, name)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// What is in adopted schemas is granted one after the other, to the app after all other privileges, and
// stays granted without adopt.
func TestAdopt(t *testing.T) {
	m := &mocks{}
	if _, err := run(t, stackConfig(`{"acme":{"adopt":true,"schema":"legacy"},"globex":{"adopt":true},"hooli":{},"umbrella":{"adopt":true,"retire":"keep"}}`, `{}`), m); err != nil {
		t.Fatal(err)
	}
	on := " parent=acme database=platform objectType="
	schema, stays := " schema=legacy<-acme-schema", " retainOnDelete deleteBeforeReplace"
	privileges := " after=logins after=acme-sequences after=globex-sequences after=hooli-sequences"
	for name, want := range map[string]string{
		"acme-adopted-tables":           on + "table privileges=[SELECT INSERT UPDATE DELETE] role=tenant_acme<-acme-role" + schema + " after=logins after=acme-usage" + stays,
		"acme-adopted-sequences":        on + "sequence privileges=[USAGE SELECT] role=tenant_acme<-acme-role" + schema + " after=logins after=acme-adopted-tables" + stays,
		"acme-public-on-adopted":        on + "schema privileges=[] role=public" + schema + " after=logins after=acme-adopted-sequences" + stays,
		"acme-app-on-adopted":           on + "schema privileges=[USAGE] role=app_service_role<-app-service-role" + schema + privileges + stays,
		"acme-app-on-adopted-tables":    on + "table privileges=[SELECT] role=app_service_role<-app-service-role" + schema + " after=logins after=acme-app-on-adopted" + stays,
		"acme-app-on-adopted-sequences": on + "sequence privileges=[SELECT] role=app_service_role<-app-service-role" + schema + " after=logins after=acme-app-on-adopted-tables" + stays,
		"globex-app-on-adopted":         " parent=globex database=platform objectType=schema privileges=[USAGE] role=app_service_role<-app-service-role schema=tenant_globex<-globex-schema after=logins after=acme-app-on-adopted-sequences" + stays,
	} {
		if got := m.describe(m.named(t, name)); got != "Grant "+name+want {
			t.Errorf("got  %s\nwant Grant %s", got, name+want)
		}
	}
	for _, args := range m.resources {
		if strings.HasPrefix(args.Name, "umbrella-") && strings.Contains(args.Name, "adopted") {
			t.Errorf("a retired tenant has %s", args.Name)
		}
	}
}

// Agents have their privileges by a group role, on what is in the schema and on what will be. The
// grants come after the agents. The schema goes before the agents, and without their privileges.
func TestAgents(t *testing.T) {
	m := &mocks{}
	exports, err := run(t, stackConfig(`{"acme":{"agents":{"sql":{"suspended":true},"chat":{"connectionLimit":3,"statementTimeout":"15s","logins":{"active":"a"}}}},"globex":{"retire":"keep","agents":{"chat":{}}}}`, `{}`), m)
	if err != nil {
		t.Fatal(err)
	}
	in := " schema=tenant_acme<-acme-schema"
	defaults := "parent=acme database=platform objectType=%s owner=admin_service_role<-admin-service-role privileges=[SELECT] role=tenant_acme_agents<-acme-agents" + in + " after=logins after=%s deletedWith=acme-schema deleteBeforeReplace"
	grants := "parent=acme database=platform objectType=%s privileges=[%s] role=tenant_acme_agents<-acme-agents" + in
	for _, want := range []string{
		"Role acme-agents parent=acme login=false name=tenant_acme_agents after=default-functions ignores=name",
		"Role acme-agent-sql-role parent=acme bypassRowLevelSecurity=false connectionLimit=-1 login=false name=tenant_acme_sql password=secret<-acme-agent-sql-password " +
			"roles=[all_tenants tenant_acme_agents]<-all-tenants<-acme-agents searchPaths=[tenant_acme] after=default-functions ignores=name",
		"Role acme-agent-chat-a-role parent=acme assumeRole=tenant_acme_chat<-acme-agent-chat-role bypassRowLevelSecurity=false connectionLimit=3 login=true name=tenant_acme_chat_a " +
			"password=secret<-acme-agent-chat-a-password roles=[tenant_acme_chat]<-acme-agent-chat-role searchPaths=[tenant_acme] statementTimeout=15000 after=default-functions ignores=name",
		"Grant acme-agents-usage " + fmt.Sprintf(grants, "schema", "USAGE") + " after=logins after=acme-usage deletedWith=acme-schema deleteBeforeReplace",
		"Grant acme-agents-on-tables " + fmt.Sprintf(grants, "table", "SELECT") + " after=logins after=acme-agents-usage deletedWith=acme-schema deleteBeforeReplace",
		"Grant acme-agents-on-sequences " + fmt.Sprintf(grants, "sequence", "SELECT") + " after=logins after=acme-agents-on-tables deletedWith=acme-schema deleteBeforeReplace",
		"DefaultPrivileges acme-agents-tables " + fmt.Sprintf(defaults, "table", "acme-sequences"),
		"DefaultPrivileges acme-agents-sequences " + fmt.Sprintf(defaults, "sequence", "acme-agents-tables"),
	} {
		if got := m.describe(m.named(t, strings.Fields(want)[1])); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for _, name := range []string{"acme-schema", "acme-usage"} {
		if got := m.describe(m.named(t, name)); !strings.Contains(got, "after=logins after=acme-agents") {
			t.Errorf("got %s", got)
		}
	}
	for _, args := range m.resources {
		if strings.HasPrefix(args.Name, "globex-agents-") {
			t.Errorf("the agents of a retired tenant have %s", args.Name)
		}
	}
	if got := m.describe(m.named(t, "globex-agent-chat-role")); !strings.Contains(got, " login=false ") {
		t.Errorf("got %s", got)
	}
	if agents, _ := await(t, exports["tenant_agent_login_names"]); !reflect.DeepEqual(agents, map[string]map[string]string{"acme": {"sql": "tenant_acme_sql", "chat": "tenant_acme_chat_a"}}) {
		t.Errorf("tenant_agent_login_names: got %v", agents)
	}
}

// Functions are the tenant's to execute only where the config says so, those that exist and later ones.
func TestExecuteFunctions(t *testing.T) {
	m := &mocks{}
	cfg := stackConfig(`{"acme":{},"globex":{"executeFunctions":false}}`, `{}`)
	cfg["tenant-permissions:tenantDefaults"] = `{"executeFunctions":true}`
	if _, err := run(t, cfg, m); err != nil {
		t.Fatal(err)
	}
	common := "parent=acme database=platform objectType=%s%s privileges=[EXECUTE] role=tenant_acme<-acme-role schema=tenant_acme<-acme-schema%s deletedWith=acme-schema deleteBeforeReplace"
	for _, want := range []string{
		"Grant acme-on-functions " + fmt.Sprintf(common, "routine", "", " after=logins after=acme-usage"),
		"DefaultPrivileges acme-functions " + fmt.Sprintf(common, "function", " owner=admin_service_role<-admin-service-role", " after=logins after=acme-sequences"),
	} {
		if got := m.describe(m.named(t, strings.Fields(want)[1])); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for _, args := range m.resources {
		if args.Name == "globex-on-functions" || args.Name == "globex-functions" {
			t.Errorf("%s is registered", args.Name)
		}
	}
}
