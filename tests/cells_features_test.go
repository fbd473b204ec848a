package tests

import (
	"maps"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
)

// Agents, extensions, limits, functions and own databases of a cell's tenants are what one stack would
// have made. The cell has the extensions from its platform.
func TestCellFeatures(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		agents := object{"agents": object{"chat": object{"statementTimeout": "15s", "connectionLimit": 3}}}
		tenants := object{"acme": with(agents, "executeFunctions", true), "globex": own(agents)}
		defaults := config.NewObjectValue(`{"statementTimeout":"1min"}`)

		p.prepareDatabases(t)
		p.settings = withExtensions(`{"cube":{}}`)
		p.configure(t, object{}, object{}, object{"analyst": object{}})
		p.up(t)
		cell := p.cell(t, "one", p)
		cell.settings["tenantDefaults"] = defaults
		cell.configure(t, tenants, nil)
		cell.up(t)
		cell.closePublic(t, "tenant_globex")
		p.clean(t)
		cell.clean(t)

		whole := newPlatform(t, p.user == p.server.User)
		whole.prepareDatabases(t)
		whole.settings = maps.Clone(p.settings)
		whole.settings["tenantDefaults"] = defaults
		whole.configure(t, tenants, object{}, object{"analyst": object{}})
		whole.up(t)
		whole.closePublic(t, "tenant_globex")
		sameRights(t, whole.catalog(t), p.catalog(t))
		sameRights(t, whole.catalogOf(t, "tenant_globex"), p.catalogOf(t, "tenant_globex"))

		admin := p.loginTo(t, "tenant_globex", "admin_service_login")
		admin.may(t, "CREATE TABLE tenant_globex.items (v cube)")
		cell.loginTo(t, "tenant_globex", "tenant_globex").may(t, "INSERT INTO items VALUES ('(1,2)')")
		chat := cell.loginTo(t, "tenant_globex", "tenant_globex_chat")
		chat.may(t, "SELECT v <-> cube '(1,3)' FROM items")
		chat.mayNot(t, insufficientPrivilege, "INSERT INTO items VALUES ('(1,2)')")
		p.loginTo(t, "tenant_globex", "analyst").may(t, "SELECT v <-> cube '(1,3)' FROM tenant_globex.items")
		if timeout := cell.login(t, "tenant_acme").value(t, "SELECT current_setting('statement_timeout')"); timeout != "1min" {
			t.Errorf("the statement timeout is %s", timeout)
		}
		_, err := cell.connectTo(t, database, "tenant_globex", cell.passwords(t)["tenant_globex"])
		if sqlstate(err) != insufficientPrivilege {
			t.Errorf("a tenant with a database of its own can connect to the shared one: %v", err)
		}
	})
}
