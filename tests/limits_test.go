package tests

import (
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
)

// Limits reach every kind of login and its alternating logins. Timeouts are defaults; the limit of
// connections binds.
func TestLimits(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		p.settings = unprotected()
		p.settings["tenantDefaults"] = config.NewObjectValue(`{"connectionLimit":2,"statementTimeout":"2min","idleInTransactionSessionTimeout":1500,"executeFunctions":true}`)
		p.configure(t,
			object{"acme": object{"logins": object{"active": "a"}}, "globex": object{"statementTimeout": 0, "connectionLimit": -1, "executeFunctions": false}},
			object{"app": object{"statementTimeout": "1h"}, "admin": object{"idleInTransactionSessionTimeout": "1d"}},
			object{"analyst": object{"statementTimeout": "10s", "logins": object{"active": "b"}}})
		p.up(t)
		p.clean(t)
		for _, want := range []struct{ login, statement, idle string }{
			{"tenant_acme_a", "2min", "1500ms"},
			{"tenant_acme_b", "2min", "1500ms"},
			{"tenant_globex", "0", "1500ms"},
			{"app_service_role", "1h", "0"},
			{"admin_service_login", "0", "1d"},
			{"analyst_b", "10s", "0"},
		} {
			s := p.login(t, want.login)
			statement := s.value(t, "SELECT current_setting('statement_timeout')")
			idle := s.value(t, "SELECT current_setting('idle_in_transaction_session_timeout')")
			if statement != want.statement || idle != want.idle {
				t.Errorf("%s: got %s and %s, want %s and %s", want.login, statement, idle, want.statement, want.idle)
			}
		}
		p.login(t, "tenant_acme_b")
		p.refuseLogin(t, "tenant_acme_b", p.passwords(t)["tenant_acme_b"], tooManyConnections)

		// The functions of before and after, where tenants may execute them.
		admin := p.login(t, "admin_service_login")
		for _, schema := range []string{"tenant_acme", "tenant_globex"} {
			admin.may(t, "CREATE FUNCTION "+schema+".answer() RETURNS int LANGUAGE sql AS 'SELECT 42'", "CREATE PROCEDURE "+schema+".act() LANGUAGE sql AS 'SELECT 1'")
		}
		acme, globex := p.login(t, "tenant_acme_a"), p.login(t, "tenant_globex")
		acme.may(t, "SELECT answer()", "CALL act()")
		acme.mayNot(t, insufficientPrivilege, "SELECT tenant_globex.answer()")
		globex.mayNot(t, insufficientPrivilege, "SELECT answer()", "CALL act()", "SELECT tenant_acme.answer()")

		// A login that changes its own timeout shows as drift, and gets it back.
		acme.may(t, "SET ROLE NONE", "ALTER ROLE tenant_acme_a RESET statement_timeout")
		p.settings["tenantDefaults"] = config.NewObjectValue(`{"executeFunctions":true}`)
		p.configure(t, object{"acme": object{"statementTimeout": "3min"}, "globex": object{}}, object{}, object{"analyst": object{}})
		p.refresh(t)
		p.up(t)
		p.clean(t)
		globex.may(t, "SELECT answer()", "CALL act()")
		for _, fact := range p.catalog(t) {
			if strings.HasPrefix(fact, "setting ") && strings.Contains(fact, "timeout") && !strings.Contains(fact, "tenant_acme {") {
				t.Errorf("left behind: %s", fact)
			}
		}
		if statement := p.login(t, "tenant_acme").value(t, "SELECT current_setting('statement_timeout')"); statement != "3min" {
			t.Errorf("got %s", statement)
		}
		// Without it the privilege goes from what exists, too.
		p.settings = unprotected()
		p.configure(t, object{"acme": object{}, "globex": object{}}, object{}, object{"analyst": object{}})
		p.up(t)
		p.clean(t)
		globex.mayNot(t, insufficientPrivilege, "SELECT answer()", "CALL act()")
	})
}

// A reader's login ends by itself, and stays clean whatever the server's time zone and style of dates.
func TestValidUntil(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		super := p.superuser(t, "postgres")
		expires := func(until string) {
			t.Helper()
			p.configure(t, object{"acme": object{}}, object{}, object{"oncall": object{"validUntil": until, "logins": object{"active": "a", "roleLogin": true}}})
			p.up(t)
			p.clean(t)
		}
		future := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
		expires(future.Format(time.RFC3339))
		password := p.passwords(t)
		for _, zone := range []string{"Asia/Kolkata", "America/New_York", "Europe/Berlin"} {
			super.may(t, "ALTER DATABASE "+database+" SET timezone = '"+zone+"'", "ALTER DATABASE "+database+" SET datestyle = 'German, DMY'")
			p.clean(t)
			// The same time in another zone is no change.
			expires(future.In(time.FixedZone("", 5*3600+1800)).Format(time.RFC3339))
			until := super.value(t, "SELECT extract(epoch FROM rolvaliduntil)::bigint = "+super.value(t, "SELECT extract(epoch FROM timestamptz '"+future.Format(time.RFC3339)+"')::bigint")+" FROM pg_roles WHERE rolname = 'oncall_a'")
			if until != "true" {
				t.Errorf("%s: the server has another time", zone)
			}
		}
		for _, login := range []string{"oncall", "oncall_a", "oncall_b"} {
			p.login(t, login).may(t, "SELECT 1")
		}

		// Another time: the role is made anew, with its password.
		expires(future.Add(time.Hour).Format(time.RFC3339))
		if now := p.passwords(t); now["oncall_a"] != password["oncall_a"] || now["oncall"] != password["oncall"] {
			t.Error("another time made another password")
		}
		reader := p.login(t, "oncall_a")
		if role := reader.value(t, "SELECT current_user"); role != "oncall" {
			t.Errorf("the session acts as %s", role)
		}

		// A time that has passed. Open sessions stay.
		expires(time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))
		p.refuseLogin(t, "oncall_a", password["oncall_a"], invalidPassword)
		reader.may(t, "SELECT 1")

		// None at all, and then one again.
		p.configure(t, object{"acme": object{}}, object{}, object{"oncall": object{}})
		p.up(t)
		p.clean(t)
		p.login(t, "oncall").may(t, "SELECT 1")
		expires(future.Format(time.RFC3339))
		p.login(t, "oncall").may(t, "SELECT 1")

		// What somebody extends by hand is found.
		super.may(t, "ALTER ROLE oncall VALID UNTIL 'infinity'")
		p.refresh(t)
		if _, err := p.tryUp(t); err == nil || !strings.Contains(err.Error(), "readers.oncall.validUntil: the password is valid until infinity on the server") {
			t.Errorf("got error %v", err)
		}
	})
}
