package main

import (
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

// Databases are closed one after the other, behind the stack's own, in an order of their own.
func TestClosedDatabases(t *testing.T) {
	cfg := stackConfig(`{}`, `{}`)
	cfg["tenant-permissions:closedDatabases"] = `["postgres","other"]`
	m := &mocks{}
	if _, err := run(t, cfg, m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"public-on-database-postgres": "Grant public-on-database-postgres database=postgres objectType=database privileges=[] role=public after=public-on-database-other deleteBeforeReplace",
		"public-on-database-other":    "Grant public-on-database-other database=other objectType=database privileges=[] role=public after=public-on-schema-public deleteBeforeReplace",
	} {
		if got := describe(m.named(t, name)); got != want {
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
	privileges := " after=acme-sequences after=acme-tables after=globex-sequences after=globex-tables after=hooli-sequences after=hooli-tables" +
		" after=acme-public-on-adopted after=globex-public-on-adopted after=hooli-usage"
	for name, want := range map[string]string{
		"acme-adopted-tables":           on + "table privileges=[SELECT INSERT UPDATE DELETE] role=tenant_acme<-acme-role" + schema + " after=acme-usage" + stays,
		"acme-adopted-sequences":        on + "sequence privileges=[USAGE SELECT] role=tenant_acme<-acme-role" + schema + " after=acme-adopted-tables" + stays,
		"acme-public-on-adopted":        on + "schema privileges=[] role=public" + schema + " after=acme-adopted-sequences" + stays,
		"acme-app-on-adopted":           on + "schema privileges=[USAGE] role=app_service_role<-app-service-role" + schema + privileges + stays,
		"acme-app-on-adopted-tables":    on + "table privileges=[SELECT] role=app_service_role<-app-service-role" + schema + " after=acme-app-on-adopted" + stays,
		"acme-app-on-adopted-sequences": on + "sequence privileges=[SELECT] role=app_service_role<-app-service-role" + schema + " after=acme-app-on-adopted-tables" + stays,
		"globex-app-on-adopted":         " parent=globex database=platform objectType=schema privileges=[USAGE] role=app_service_role<-app-service-role schema=tenant_globex<-globex-schema after=acme-app-on-adopted-sequences" + stays,
	} {
		if got := describe(m.named(t, name)); got != "Grant "+name+want {
			t.Errorf("got  %s\nwant Grant %s", got, name+want)
		}
	}
}
