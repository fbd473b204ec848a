package main

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// A tenant's own database has what the shared one has, without the role that all tenants are members of.
// Everything in it goes with it.
func TestOwnDatabase(t *testing.T) {
	m := &mocks{}
	cfg := stackConfig(`{"acme":{"isolation":"database","database":{"connectionLimit":9,"encoding":"UTF8","lcCollate":"C","tablespace":"fast"},"agents":{"chat":{}}},"globex":{}}`, `{}`)
	cfg["tenant-permissions:extensions"] = `{"vector":{}}`
	if _, err := run(t, cfg, m); err != nil {
		t.Fatal(err)
	}
	in := " database=tenant_acme<-acme-database "
	end := " after=acme-agents deletedWith=acme-database deleteBeforeReplace"
	for _, want := range []string{
		"Database acme-database parent=acme connectionLimit=9 encoding=UTF8 lcCollate=C name=tenant_acme tablespaceName=fast template=template0 " +
			"after=extension-vector after=acme-agent-chat-role after=acme-agents after=acme-role protected ignores=name,template,encoding,lcCollate,lcCtype",
		"Grant acme-database-public-on-database parent=acme" + in + "objectType=database privileges=[] role=public after=logins" + end,
		"Grant acme-database-app-on-database parent=acme" + in + "objectType=database privileges=[CONNECT] role=app_service_role<-app-service-role after=logins after=acme-database-public-on-database" + end,
		"Grant acme-database-public-on-schema-public parent=acme" + in + "objectType=schema privileges=[] role=public schema=public after=logins after=acme-database-admin-on-database" + end,
		"DefaultPrivileges acme-database-default-functions parent=acme" + in + "objectType=function owner=admin_service_role<-admin-service-role privileges=[] role=public after=logins after=acme-database-default-sequences" + end,
		"Schema acme-database-schema parent=acme" + in + "dropCascade=false name=tenant_acme owner=admin_service_role<-admin-service-role after=logins after=acme-database-extension-vector after=acme-agents deletedWith=acme-database protected ignores=name",
		"Extension acme-database-extension-vector parent=acme createCascade=true" + in + "dropCascade=false name=vector schema=extensions<-acme-database-extension-schema after=logins after=acme-database-app-on-extensions after=acme-agents deletedWith=acme-database ignores=schema",
		"Schema acme-database-extension-schema parent=acme" + in + "name=extensions owner=admin_service_role<-admin-service-role after=logins after=acme-database-default-functions after=acme-agents deletedWith=acme-database ignores=name",
		"Grant acme-database-connect parent=acme" + in + "objectType=database privileges=[CONNECT] role=tenant_acme<-acme-role " +
			"after=logins after=acme-agents after=acme-database-schema deletedWith=acme-database deleteBeforeReplace",
		"Grant acme-database-agents-on-extensions parent=acme" + in + "objectType=schema privileges=[USAGE] role=tenant_acme_agents<-acme-agents schema=extensions<-acme-database-extension-vector<-acme-database-extension-schema after=logins after=acme-database-on-extensions deletedWith=acme-database deleteBeforeReplace",
	} {
		if got := m.describe(m.named(t, strings.Fields(want)[1])); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for _, args := range m.resources {
		got := m.describe(args)
		if strings.HasPrefix(args.Name, "acme-") && strings.Contains(got, "all_tenants") && args.Name != "acme-grant-role" {
			t.Errorf("a tenant with a database of its own has to do with the others: %s", got)
		}
		if inDatabase := strings.HasPrefix(args.Name, "acme-database-"); inDatabase && !strings.Contains(got, "deletedWith=acme-database") {
			t.Errorf("stays when the database goes: %s", got)
		}
	}
}

// A database is protected, whatever protectTenants says, until the tenant is retired with drop or has moved.
func TestProtectedDatabase(t *testing.T) {
	for tenant, protected := range map[string]bool{
		`{"isolation":"database"}`:                   true,
		`{"isolation":"database","retire":"keep"}`:   true,
		`{"isolation":"database","retire":"drop"}`:   false,
		`{"isolation":"database","previous":"drop"}`: true,
		`{"previous":"keep"}`:                        true,
		`{"previous":"drop"}`:                        false,
		`{"previous":"drop","retire":"keep"}`:        false,
	} {
		m := &mocks{}
		cfg := stackConfig(`{"acme":`+tenant+`}`, `{}`)
		cfg["tenant-permissions:protectTenants"] = "false"
		if _, err := run(t, cfg, m); err != nil {
			t.Fatal(err)
		}
		if got := m.named(t, "acme-database").RegisterRPC.GetProtect(); got != protected {
			t.Errorf("%s: protected is %t", tenant, got)
		}
	}
}

// While a tenant moves, the schema of before stays without its privileges, and goes in two steps.
func TestMove(t *testing.T) {
	for _, test := range []struct {
		tenant, previous, current string
	}{
		{`{"isolation":"database","previous":"keep"}`, "acme-schema", "acme-database-schema"},
		{`{"isolation":"database","previous":"drop"}`, "acme-schema", "acme-database-schema"},
		{`{"previous":"keep"}`, "acme-database-schema", "acme-schema"},
		{`{"previous":"drop"}`, "acme-database-schema", "acme-schema"},
	} {
		// The config leaves the encoding and the locale to the server.
		m := &mocks{deployed: map[string]resource.PropertyMap{"acme-database": {"encoding": resource.NewProperty("UTF8"), "lcCollate": resource.NewProperty("C")}}}
		exports, err := run(t, stackConfig(`{"acme":`+test.tenant+`}`, `{}`), m)
		if err != nil {
			t.Fatal(err)
		}
		drop := strings.Contains(test.tenant, "drop")
		for name, drops := range map[string]bool{test.previous: drop, test.current: false} {
			schema := m.named(t, name)
			if schema.RegisterRPC.GetProtect() == drops || schema.Inputs["dropCascade"] != resource.NewProperty(drops) {
				t.Errorf("%s: got %s", test.tenant, m.describe(schema))
			}
		}
		prefix := strings.TrimSuffix(test.previous, "schema")
		for _, args := range m.resources {
			if args.Name == prefix+"usage" || args.Name == prefix+"tables" || prefix == "acme-database-" && args.Name == prefix+"connect" {
				t.Errorf("%s: the tenant still has %s", test.tenant, args.Name)
			}
			if strings.HasSuffix(args.Name, "on-extensions") {
				t.Errorf("%s: there are no extensions, but %s", test.tenant, args.Name)
			}
		}
		m.named(t, strings.TrimSuffix(test.current, "schema")+"usage")
		database := map[string]string{"acme-schema": "platform", "acme-database-schema": "tenant_acme"}[test.current]
		if names, _ := await(t, exports["tenant_database_names"]); names.(map[string]string)["acme"] != database {
			t.Errorf("%s: tenant_database_names is %v", test.tenant, names)
		}
		left := map[string]string{"acme-schema": "platform", "acme-database-schema": "tenant_acme"}[test.previous]
		if names, _ := await(t, exports["tenant_previous_database_names"]); names.(map[string]string)["acme"] != left {
			t.Errorf("%s: tenant_previous_database_names is %v", test.tenant, names)
		}
	}
}
