package tests

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
)

// withExtensions are settings with the extensions, as JSON.
func withExtensions(extensions string) map[string]config.Value {
	settings := unprotected()
	settings["extensions"] = config.NewObjectValue(extensions)
	return settings
}

// Types, operators and indexes of extensions work without a schema's name for everybody, and nobody
// can do anything else in their schema.
func TestExtensions(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		tenants := object{"acme": object{"agents": object{"chat": object{}}}, "globex": object{}}
		readers := object{"analyst": object{}}
		p.settings = withExtensions(`{"cube":{},"hstore":{"version":"1.4"},"pg_trgm":{},"citext":{}}`)
		p.configure(t, tenants, object{}, readers)
		p.up(t)
		p.clean(t)
		admin, super := p.login(t, "admin_service_login"), p.superuser(t, database)
		admin.may(t,
			"CREATE TABLE tenant_acme.items (id int PRIMARY KEY, v cube, tags hstore, name text)",
			"CREATE INDEX ON tenant_acme.items USING gist (v)",
			"CREATE INDEX ON tenant_acme.items USING gin (name gin_trgm_ops)",
			"SET enable_seqscan = off")
		acme := p.login(t, "tenant_acme")
		acme.may(t, "INSERT INTO items VALUES (1, '(1,2,3)', 'colour => red', 'vector')", "UPDATE items SET tags = tags || 'size => 1'")
		for _, login := range []string{"tenant_acme", "tenant_acme_chat", "app_service_role", "analyst", "admin_service_login"} {
			s := p.login(t, login)
			s.may(t, "SELECT id FROM tenant_acme.items WHERE name % 'vectors' ORDER BY v <-> cube '(1,2,4)' LIMIT 1", "SELECT tags -> 'size' FROM tenant_acme.items")
			if login == "admin_service_login" {
				continue
			}
			s.mayNot(t, insufficientPrivilege, "CREATE TABLE extensions.mine (id int)", "CREATE FUNCTION extensions.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
				"DROP EXTENSION cube", "ALTER EXTENSION hstore UPDATE", "CREATE EXTENSION fuzzystrmatch", "CREATE TABLE mine (id int)")
		}
		// What the admin makes without a schema's name does not come to lie among the extensions.
		admin.mayNot(t, insufficientPrivilege, "CREATE TABLE mine (id int)", "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'")

		t.Run("versions", func(t *testing.T) {
			p.settings = withExtensions(`{"cube":{},"hstore":{"version":"1.8"},"pg_trgm":{},"citext":{}}`)
			p.configure(t, tenants, object{}, readers)
			p.up(t)
			p.clean(t)
			if version := super.value(t, "SELECT extversion FROM pg_extension WHERE extname = 'hstore'"); version != "1.8" {
				t.Errorf("version %s", version)
			}
		})
		t.Run("one that is in use does not go", func(t *testing.T) {
			p.settings = withExtensions(`{"cube":{},"pg_trgm":{}}`)
			p.configure(t, tenants, object{}, readers)
			if _, err := p.tryUp(t); err == nil || !strings.Contains(err.Error(), dependentObjects) {
				t.Errorf("hstore went: %v", err)
			}
			acme.may(t, "SELECT tags -> 'size' FROM items")
			if left := super.value(t, "SELECT string_agg(extname, ' ' ORDER BY extname) FROM pg_extension WHERE extname IN ('citext', 'hstore')"); left != "hstore" {
				t.Errorf("left: %s", left)
			}
			p.settings = withExtensions(`{"cube":{},"hstore":{},"pg_trgm":{}}`)
			p.configure(t, tenants, object{}, readers)
			p.up(t)
			p.clean(t)
		})
		t.Run("one that is elsewhere stays there", func(t *testing.T) {
			super.may(t, "CREATE EXTENSION seg SCHEMA public")
			p.settings = withExtensions(`{"cube":{},"hstore":{},"pg_trgm":{},"seg":{}}`)
			p.configure(t, tenants, object{}, readers)
			for range 2 {
				if _, err := p.tryUp(t); err == nil || !strings.Contains(err.Error(), "extensions.seg: the extension is in the schema public") {
					t.Errorf("got error %v", err)
				}
				if schema := super.value(t, "SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'seg'"); schema != "public" {
					t.Errorf("it was moved to %s", schema)
				}
			}
			super.may(t, "ALTER EXTENSION seg SET SCHEMA extensions")
			p.refresh(t)
			p.up(t)
			p.clean(t)
			super.may(t, "DROP EXTENSION seg")
			p.settings = withExtensions(`{"cube":{},"hstore":{},"pg_trgm":{}}`)
			p.refresh(t)
			p.configure(t, tenants, object{}, readers)
			p.up(t)
			p.clean(t)
		})
		t.Run("one for superusers only", func(t *testing.T) {
			p.settings = withExtensions(`{"cube":{},"hstore":{},"pg_trgm":{},"dblink":{}}`)
			p.configure(t, tenants, object{}, readers)
			if p.user == p.server.User {
				p.up(t)
				p.clean(t)
				return
			}
			if _, err := p.tryUp(t); err == nil || !strings.Contains(err.Error(), insufficientPrivilege) {
				t.Errorf("got error %v", err)
			}
			if err := p.runSetup(t, p.setup(t, map[string]string{"tenant-permissions:extensions": `{"cube":{},"dblink":{}}`}), nil); err != nil {
				t.Fatal(err)
			}
			p.up(t)
			p.clean(t)
			super.may(t, "DROP EXTENSION dblink") // only its owner can
			p.refresh(t)
		})
		t.Run("nothing is left", func(t *testing.T) {
			p.settings = withExtensions(`{"cube":{},"hstore":{},"pg_trgm":{}}`)
			p.configure(t, object{"acme": object{"retire": "drop"}}, object{}, readers)
			p.up(t)
			p.settings = unprotected()
			p.configure(t, object{}, object{}, readers)
			p.up(t)
			p.clean(t)
			if left := super.value(t, "SELECT count(*) FROM pg_extension WHERE extname <> 'plpgsql'"); left != "0" {
				t.Errorf("%s extensions are left", left)
			}
			for _, fact := range p.catalog(t) {
				if strings.Contains(fact, "extensions") {
					t.Errorf("left behind: %s", fact)
				}
			}
		})
	})
}

// A server that has the schema and an extension before the stack: they are taken over, and nothing is
// left open in it.
func TestExtensionsThatExist(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		super := p.superuser(t, database)
		super.may(t, "CREATE SCHEMA extensions", "CREATE EXTENSION cube SCHEMA extensions", "GRANT ALL ON SCHEMA extensions TO PUBLIC")
		if p.user != p.server.User {
			super.may(t, "ALTER SCHEMA extensions OWNER TO "+p.user)
		}
		p.settings = withExtensions(`{"cube":{}}`)
		p.configure(t, object{"acme": object{}}, object{})
		p.up(t)
		p.clean(t)
		acme := p.login(t, "tenant_acme")
		acme.may(t, "SELECT cube '(1,2)' <-> cube '(1,3)'")
		acme.mayNot(t, insufficientPrivilege, "CREATE TABLE extensions.mine (id int)")
		p.login(t, "app_service_role").may(t, "SELECT cube '(1,2)'")
	})
}
