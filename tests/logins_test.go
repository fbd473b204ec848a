package tests

import (
	"maps"
	"strings"
	"testing"
)

// A tenant, the app and the admin get two logins each, one of which is rotated while the other is
// in use; at no step is there a moment without a login that works.
func TestAlternatingLogins(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		p.settings = unprotected()
		one := object{"acme": object{}, "globex": object{}}
		p.configure(t, one, object{})
		p.up(t)
		makeTables(t, p.login(t, "admin_service_login"), "tenant_acme")
		single := p.passwords(t)
		own := map[string]string{"acme": "tenant_acme", "app": "app_service_role", "admin": "admin_service_login"}

		// alternate sets a config in which those three have the same fields.
		alternate := func(fields object) {
			t.Helper()
			p.configure(t, with(one, "acme", fields), object{"app": fields, "admin": fields})
		}
		active := func(want string) {
			t.Helper()
			outputs := p.outputs(t)
			told := maps.Clone(outputs["login_names"].Value.(map[string]any))
			maps.Copy(told, outputs["tenant_login_names"].Value.(map[string]any))
			for key, name := range own {
				if told[key] != name+want {
					t.Errorf("the login of %s is told to be %v, want %s", key, told[key], name+want)
				}
			}
		}
		mayRead := func(login, password string) {
			t.Helper()
			s, err := p.connect(t, login, password)
			if err != nil {
				t.Fatalf("%s: %v", login, err)
			}
			s.may(t, "SELECT * FROM tenant_acme.docs")
		}

		t.Run("the alternating logins come beside the role's own login", func(t *testing.T) {
			active("")
			alternate(object{"logins": object{"active": "a", "roleLogin": true}})
			p.up(t)
			p.clean(t)
			active("_a")
			for _, name := range own {
				mayRead(name, single[name])
				mayRead(name+"_a", p.passwords(t)[name+"_a"])
				mayRead(name+"_b", p.passwords(t)[name+"_b"])
			}
		})
		t.Run("the role's own login ends", func(t *testing.T) {
			alternate(object{"logins": object{"active": "a"}})
			p.up(t)
			p.clean(t)
			for _, name := range own {
				p.refuseLogin(t, name, single[name], loginNotPermitted)
				if _, told := p.passwords(t)[name]; told {
					t.Errorf("the password of %s is still among the outputs", name)
				}
				mayRead(name+"_a", p.passwords(t)[name+"_a"])
			}
		})
		t.Run("an alternating login is its role and nothing else", func(t *testing.T) {
			for _, fact := range p.catalog(t) {
				mine := strings.Contains(fact, "tenant_acme_a") || strings.Contains(fact, "app_service_role_a") || strings.Contains(fact, "admin_service_login_a")
				if mine && !strings.HasPrefix(fact, "role ") && !strings.HasPrefix(fact, "setting ") && !strings.HasPrefix(fact, "member ") {
					t.Errorf("a login has something of its own: %s", fact)
				}
			}
			acme, app, admin := p.login(t, "tenant_acme_a"), p.login(t, "app_service_role_a"), p.login(t, "admin_service_login_a")
			for s, want := range map[*session]string{acme: "tenant_acme", app: "app_service_role", admin: "admin_service_role"} {
				if user := s.value(t, "SELECT current_user"); user != want {
					t.Errorf("%s acts as %s, want %s", s.login, user, want)
				}
			}
			acme.may(t, "INSERT INTO docs (body) VALUES ('x')", "INSERT INTO notes (body) VALUES ('x')", "RESET ROLE", "SELECT * FROM docs")
			acme.mayNot(t, insufficientPrivilege, "SELECT * FROM tenant_globex.docs", "CREATE TABLE mine (id int)", "DROP TABLE docs", "SET ROLE tenant_globex",
				"SET ROLE tenant_acme_b", "ALTER ROLE tenant_acme_b PASSWORD 'x'", "ALTER ROLE tenant_acme LOGIN", "CREATE TEMPORARY TABLE mine (id int)")
			app.mayNot(t, insufficientPrivilege, "INSERT INTO tenant_acme.docs (body) VALUES ('x')", "SET ROLE tenant_acme")
			// What an admin session creates belongs to the admin role, so the login stays free.
			admin.may(t, "CREATE ROLE contractor", "GRANT tenant_acme TO contractor", "CREATE TABLE tenant_acme.later (body text)")
			acme.may(t, "SELECT * FROM later")
			admin.may(t, "DROP ROLE contractor", "DROP TABLE tenant_acme.later")
		})
		t.Run("one is rotated while the other is in use", func(t *testing.T) {
			before, old := p.catalog(t), p.passwords(t)
			alternate(object{"logins": object{"active": "a", "b": object{"passwordVersion": 2}}})
			p.up(t)
			p.clean(t)
			for _, name := range own {
				mayRead(name+"_a", old[name+"_a"])
				p.refuseLogin(t, name+"_b", old[name+"_b"], invalidPassword)
				mayRead(name+"_b", p.passwords(t)[name+"_b"])
			}
			alternate(object{"logins": object{"active": "b", "b": object{"passwordVersion": 2}}})
			unchanged(t, p.up(t))
			active("_b")
			for _, name := range own {
				mayRead(name+"_a", old[name+"_a"])
			}
			sameFacts(t, before, p.catalog(t))
		})
		t.Run("a suspended tenant has no login", func(t *testing.T) {
			p.configure(t, with(one, "acme", object{"suspended": true, "logins": object{"active": "a"}}), object{})
			p.up(t)
			for _, name := range []string{"tenant_acme_a", "tenant_acme_b"} {
				p.refuseLogin(t, name, p.passwords(t)[name], loginNotPermitted)
			}
			p.configure(t, with(one, "acme", object{"logins": object{"active": "a"}}), object{})
			p.up(t)
			p.clean(t)
			mayRead("tenant_acme_b", p.passwords(t)["tenant_acme_b"])
			// The app and the admin are back to one login each.
			mayRead("app_service_role", p.passwords(t)["app_service_role"])
			for _, fact := range p.catalog(t) {
				if strings.Contains(fact, "app_service_role_") || strings.Contains(fact, "admin_service_login_") {
					t.Errorf("left behind: %s", fact)
				}
			}
		})
		t.Run("a tenant with data keeps both", func(t *testing.T) {
			before := p.catalog(t)
			password := p.passwords(t)["tenant_acme_a"]
			p.configure(t, object{"globex": object{}}, object{})
			if _, err := p.tryUp(t); err == nil || !strings.Contains(err.Error(), "acme-schema") {
				t.Errorf("removing acme: got error %v", err)
			}
			sameFacts(t, before, p.catalog(t))
			mayRead("tenant_acme_a", password)
			p.configure(t, with(one, "acme", object{"retire": "drop", "logins": object{"active": "a"}}), object{})
			p.up(t)
			p.configure(t, object{"globex": object{}}, object{})
			p.up(t)
			p.clean(t)
			for _, fact := range p.catalog(t) {
				if strings.Contains(fact, "acme") {
					t.Errorf("left behind: %s", fact)
				}
			}
		})
	})
}
