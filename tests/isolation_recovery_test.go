package tests

import (
	"strings"
	"testing"
)

// What stops a run at a tenant's database if the provider is no superuser, and how to go on.
func TestOwnDatabaseRecovery(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		if p.user == p.server.User {
			return // A superuser may create every extension and end every session.
		}
		p.prepareDatabases(t)
		p.settings = withExtensions(`{"dblink":{}}`)
		shared := p.setup(t, map[string]string{"tenant-permissions:extensions": `{"dblink":{}}`, "tenant-permissions:tenants": `{"acme":{"isolation":"database"}}`})
		if err := p.runSetup(t, shared, nil); err != nil {
			t.Fatal(err)
		}
		kept, dropped := object{"acme": own(object{})}, object{"acme": own(object{"retire": "drop"})}

		// setup-sql cannot prepare a database that does not exist.
		p.configure(t, kept, object{})
		if _, err := p.tryUp(t); err == nil || !strings.Contains(err.Error(), insufficientPrivilege) {
			t.Errorf("got error %v", err)
		}
		p.superuser(t, "tenant_acme").may(t, "CREATE EXTENSION dblink SCHEMA extensions")
		p.up(t)
		p.closePublic(t, "tenant_acme")
		p.clean(t)
		admin := p.loginTo(t, "tenant_acme", "admin_service_login")
		makeTables(t, admin, "tenant_acme")

		// The limit of a database holds for the provider too.
		p.configure(t, object{"acme": own(object{"database": object{"connectionLimit": 20}})}, object{})
		p.up(t)
		password := p.passwords(t)["tenant_acme"]
		for err := error(nil); err == nil; {
			_, err = p.connectTo(t, "tenant_acme", "tenant_acme", password)
		}
		p.configure(t, object{"acme": own(object{"database": object{"connectionLimit": 20}, "executeFunctions": true})}, object{})
		if _, err := p.tryUp(t); err == nil || !strings.Contains(err.Error(), tooManyConnections) {
			t.Errorf("got error %v", err)
		}
		p.superuser(t, database).may(t, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'tenant_acme'")
		p.up(t)
		p.clean(t)

		// Only a superuser ends the session of a superuser, here that of above.
		p.configure(t, dropped, object{})
		p.up(t)
		p.configure(t, object{}, object{})
		if _, err := p.tryUp(t); err == nil || !strings.Contains(err.Error(), insufficientPrivilege) {
			t.Errorf("got error %v", err)
		}
		operator, err := p.connectTo(t, database, p.user, p.password)
		if err != nil {
			t.Fatal(err)
		}
		if allowed := operator.value(t, "SELECT datallowconn FROM pg_database WHERE datname = 'tenant_acme'"); allowed != "false" {
			t.Errorf("the database allows connections: %s", allowed)
		}
		// Back.
		operator.may(t, "ALTER DATABASE tenant_acme ALLOW_CONNECTIONS true")
		p.configure(t, kept, object{})
		p.up(t)
		p.clean(t)
		p.loginTo(t, "tenant_acme", "tenant_acme").may(t, "SELECT * FROM docs")
		// Forward.
		p.configure(t, dropped, object{})
		p.up(t)
		p.configure(t, object{}, object{})
		if _, err := p.tryUp(t); err == nil {
			t.Error("the database went")
		}
		p.superuser(t, database).may(t, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'tenant_acme'")
		p.up(t)
		p.clean(t)
		if left := operator.value(t, "SELECT count(*) FROM pg_database WHERE datname = 'tenant_acme'"); left != "0" {
			t.Error("the database is left")
		}
	})
}
