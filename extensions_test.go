package main

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// extensionConfig is the config of a stack with a tenant and two extensions.
func extensionConfig() map[string]string {
	cfg := stackConfig(`{"acme":{"agents":{"chat":{}}}}`, `{}`, `{"analyst":{}}`)
	cfg["tenant-permissions:extensions"] = `{"vector":{},"pg_trgm":{"version":"1.6"}}`
	return cfg
}

// Extensions are in a schema of the admin, where others have USAGE and nothing else. All search paths
// end with it.
func TestExtensions(t *testing.T) {
	m := &mocks{}
	if _, err := run(t, extensionConfig(), m); err != nil {
		t.Fatal(err)
	}
	on := " database=platform objectType=schema privileges="
	in, after := " schema=extensions<-extension-schema", " after=logins"
	for _, want := range []string{
		"Schema extension-schema database=platform name=extensions owner=admin_service_role<-admin-service-role after=logins after=default-functions ignores=name",
		"Grant public-on-extensions" + on + "[] role=public" + in + after + " deleteBeforeReplace",
		"Grant all-tenants-on-extensions" + on + "[USAGE] role=all_tenants<-all-tenants" + in + after + " after=public-on-extensions deleteBeforeReplace",
		"Grant app-on-extensions" + on + "[USAGE] role=app_service_role<-app-service-role" + in + after + " after=all-tenants-on-extensions deleteBeforeReplace",
		"Extension extension-pg_trgm createCascade=true database=platform dropCascade=false name=pg_trgm" + in + " version=1.6" + after + " after=app-on-extensions ignores=schema",
		"Extension extension-vector createCascade=true database=platform dropCascade=false name=vector" + in + after + " after=extension-pg_trgm ignores=schema",
	} {
		if got := m.describe(m.named(t, strings.Fields(want)[1])); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for name, path := range map[string]string{
		"acme-role": "[tenant_acme extensions]", "acme-agent-chat-role": "[tenant_acme extensions]", "analyst-role": "[pg_catalog extensions]",
		"app-service-role": "[pg_catalog extensions]", "admin-login-role": "[pg_catalog extensions]",
	} {
		if got := m.describe(m.named(t, name)); !strings.Contains(got, " searchPaths="+path+" ") {
			t.Errorf("%s: got %s", name, got)
		}
	}
	if got := m.describe(m.named(t, "acme-role")); !strings.Contains(got, " after=extension-vector ") {
		t.Errorf("got %s", got)
	}
}

// An extension in another schema stays there, and the run fails, also in a tenant's own database and in
// the one that a tenant leaves.
func TestExtensionElsewhere(t *testing.T) {
	for name, tenant := range map[string]string{
		"extension-vector": `{}`, "acme-database-extension-vector": `{"isolation":"database"}`, "acme-database-extension-pg_trgm": `{"previous":"keep"}`,
	} {
		cfg := extensionConfig()
		cfg["tenant-permissions:tenants"] = `{"acme":` + tenant + `}`
		_, err := run(t, cfg, &mocks{deployed: map[string]resource.PropertyMap{name: {"schema": resource.NewProperty("public")}}})
		key := name[strings.LastIndex(name, "-")+1:]
		want := "extensions." + key + `: the extension is in the schema public; run ALTER EXTENSION "` + key + `" SET SCHEMA extensions, then pulumi up --refresh`
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

// A cell has the schema of the extensions in its search paths.
func TestExtensionsOfThePlatform(t *testing.T) {
	outputs := platformOutputs()
	outputs["extension_schema_name"] = resource.NewProperty("ext")
	m := &mocks{platform: outputs}
	exports, err := run(t, cellConfig(`{"acme":{}}`), m)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.describe(m.named(t, "acme-role")); !strings.Contains(got, " searchPaths=[tenant_acme ext] ") {
		t.Errorf("got %s", got)
	}
	if name, _ := await(t, exports["extension_schema_name"]); name != "ext" {
		t.Errorf("extension_schema_name: got %v", name)
	}
	_, err = run(t, cellConfig(`{"acme":{"schema":"ext"}}`), &mocks{platform: outputs})
	if err == nil || !strings.Contains(err.Error(), `tenants.acme.schema: "ext" is already taken by org/tenant-permissions/prod (extension_schema_name)`) {
		t.Errorf("got error %v", err)
	}
}
