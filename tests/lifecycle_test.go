package tests

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
)

// One stack's life: deployed, unchanged, grown, shrunk, rotated, suspended and destroyed.
func TestLifecycle(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		untouched := p.catalog(t)
		seen := map[string]bool{} // every password there ever was
		note := func() {
			for _, password := range p.passwords(t) {
				seen[password] = true
			}
		}

		p.configure(t, threeTenants, object{})
		p.up(t)
		note()
		admin := p.login(t, "admin_service_login")
		makeTables(t, admin, "tenant_acme")

		t.Run("a second up changes nothing", func(t *testing.T) {
			unchanged(t, p.up(t))
			p.clean(t)
		})
		t.Run("an added tenant leaves the others alone", func(t *testing.T) {
			before := p.catalog(t)
			p.configure(t, with(threeTenants, "umbrella", object{}), object{})
			changes := p.up(t)
			if changes["create"] == 0 || changes["update"]+changes["replace"]+changes["delete"] != 0 {
				t.Errorf("adding a tenant: %v", changes)
			}
			note()
			noneOnlyIn(t, "no longer", before, p.catalog(t))
			p.login(t, "tenant_umbrella").mayNot(t, insufficientPrivilege, "SELECT * FROM tenant_acme.docs")
			p.clean(t)
		})
		t.Run("a tenant that disappears stops the preview", func(t *testing.T) {
			before := p.catalog(t)
			p.configure(t, threeTenants, object{})
			for what, run := range map[string]func() error{
				"preview": func() error { _, err := p.run(t, "preview"); return err },
				"up":      func() error { _, err := p.tryUp(t); return err },
			} {
				if err := run(); err == nil || !strings.Contains(err.Error(), "umbrella-schema") || !strings.Contains(err.Error(), "protected") {
					t.Errorf("%s: got error %v", what, err)
				}
			}
			sameFacts(t, before, p.catalog(t))
			p.settings = unprotected()
			p.configure(t, with(threeTenants, "umbrella", object{}), object{})
			p.up(t)
		})
		t.Run("an empty tenant goes whole", func(t *testing.T) {
			// Its role has been handed on meanwhile, which PostgreSQL 16+ counts as dependent.
			admin.may(t, "CREATE ROLE contractor", "GRANT tenant_umbrella TO contractor")
			p.configure(t, threeTenants, object{})
			p.up(t)
			for _, fact := range p.catalog(t) {
				if strings.Contains(fact, "umbrella") {
					t.Errorf("left behind: %s", fact)
				}
			}
			admin.may(t, "DROP ROLE contractor")
			p.clean(t)
		})
		t.Run("a tenant with data stays", func(t *testing.T) {
			// Without protection, PostgreSQL itself refuses.
			before := p.catalog(t)
			without := maps.Clone(threeTenants)
			delete(without, "acme")
			p.configure(t, without, object{})
			if _, err := p.tryUp(t); err == nil || !strings.Contains(err.Error(), "acme") {
				t.Errorf("removing acme: got error %v", err)
			}
			sameFacts(t, before, p.catalog(t))
			p.configure(t, threeTenants, object{})
			p.up(t)
			note()
			sameFacts(t, before, p.catalog(t))
			acme := p.login(t, "tenant_acme")
			acme.may(t, "INSERT INTO docs (body) VALUES ('x')")
			p.clean(t)
		})
		t.Run("rotation keeps every membership", func(t *testing.T) {
			before, old := p.catalog(t), p.passwords(t)
			plan := filepath.Join(p.dir, "plan.json")
			p.configure(t, with(threeTenants, "acme", object{"passwordVersion": 2}), object{
				"admin": object{"passwordVersion": 2}, "app": object{"passwordVersion": 2},
			})
			if _, err := p.run(t, "preview", "--save-plan", plan); err != nil {
				t.Fatal(err)
			}
			p.up(t)
			note()
			sameFacts(t, before, p.catalog(t))
			for _, login := range []string{"tenant_acme", "admin_service_login", "app_service_role"} {
				p.refuseLogin(t, login, old[login], invalidPassword)
				p.login(t, login).may(t, "SELECT * FROM tenant_acme.docs")
			}
			if p.passwords(t)["tenant_globex"] != old["tenant_globex"] {
				t.Error("the password of globex changed as well")
			}
			p.clean(t)
		})
		t.Run("a suspended tenant cannot log in", func(t *testing.T) {
			before := p.passwords(t)["tenant_globex"]
			p.configure(t, with(threeTenants, "globex", object{"suspended": true}), object{})
			p.up(t)
			note()
			p.refuseLogin(t, "tenant_globex", before, loginNotPermitted)
			p.configure(t, threeTenants, object{})
			p.up(t)
			if after := p.passwords(t)["tenant_globex"]; after != before {
				t.Error("the password of globex changed")
			}
			p.login(t, "tenant_globex").may(t, "SELECT 1")
			p.clean(t)
		})
		t.Run("retirement is step by step", func(t *testing.T) {
			p.settings = nil
			p.configure(t, with(threeTenants, "hooli", object{}), object{})
			p.up(t)
			note()
			makeTables(t, admin, "tenant_hooli")
			p.login(t, "tenant_hooli").may(t, "INSERT INTO notes (body) VALUES ('x')")

			password := p.passwords(t)["tenant_hooli"]
			p.configure(t, with(threeTenants, "hooli", object{"retire": "keep"}), object{})
			p.up(t)
			p.clean(t)
			p.refuseLogin(t, "tenant_hooli", password, loginNotPermitted)
			if _, told := p.passwords(t)["tenant_hooli"]; told {
				t.Error("the password is still among the outputs")
			}
			reader := p.login(t, "app_service_role")
			if rows := reader.value(t, "SELECT count(*) FROM tenant_hooli.notes"); rows != "1" {
				t.Errorf("%s rows are kept, want 1", rows)
			}
			if usage := reader.value(t, "SELECT has_schema_privilege('tenant_hooli', 'tenant_hooli', 'USAGE')"); usage != "false" {
				t.Error("the role still has USAGE on the schema")
			}

			// Until the data is dropped there is a way back.
			p.configure(t, with(threeTenants, "hooli", object{}), object{})
			p.up(t)
			if p.passwords(t)["tenant_hooli"] != password {
				t.Error("the password is another one")
			}
			p.login(t, "tenant_hooli").may(t, "INSERT INTO notes (body) VALUES ('x')")

			p.configure(t, with(threeTenants, "hooli", object{"retire": "drop"}), object{})
			p.up(t)
			reader.may(t, "SELECT * FROM tenant_hooli.notes")
			p.configure(t, threeTenants, object{})
			p.up(t)
			p.clean(t)
			for _, fact := range p.catalog(t) {
				if strings.Contains(fact, "hooli") {
					t.Errorf("left behind: %s", fact)
				}
			}
		})
		t.Run("a deployed name stays", func(t *testing.T) {
			before := p.catalog(t)
			for path, changed := range map[string][2]object{
				"tenants.acme.role":      {with(threeTenants, "acme", object{"role": "acme"}), {}},
				"tenants.acme.schema":    {with(threeTenants, "acme", object{"schema": "acme"}), {}},
				"roles.app.name":         {threeTenants, {"app": object{"name": "reader"}}},
				"roles.admin.createRole": {threeTenants, {"admin": object{"createRole": false}}},
			} {
				p.configure(t, changed[0], changed[1])
				_, err := p.run(t, "preview")
				if err == nil || !strings.Contains(err.Error(), path+" cannot change after deployment: deployed ") {
					t.Errorf("%s: got error %v", path, err)
				}
			}
			sameFacts(t, before, p.catalog(t))
			p.configure(t, threeTenants, object{})
			p.clean(t)
		})
		t.Run("an attribute of admin is changed by hand", func(t *testing.T) {
			p.superuser(t, database).may(t, "ALTER ROLE admin_service_role NOCREATEDB")
			p.refresh(t)
			p.configure(t, threeTenants, object{"admin": object{"createDatabase": false}})
			unchanged(t, p.up(t))
			p.login(t, "admin_service_login").may(t, "SELECT * FROM tenant_acme.docs")
			p.clean(t)
		})
		t.Run("destroy leaves nothing", func(t *testing.T) {
			admin.may(t,
				"DROP TABLE tenant_acme.docs, tenant_acme.notes CASCADE",
				"DROP SEQUENCE tenant_acme.tickets",
				"DROP FUNCTION tenant_acme.answer()")
			p.settings = unprotected()
			p.configure(t, threeTenants, object{"admin": object{"createDatabase": false}})
			p.up(t)
			p.destroy(t)
			left := slices.DeleteFunc(p.catalog(t), func(fact string) bool { return slices.Contains(untouched, fact) })
			// PUBLIC's rights are not given back: closed is the safe state to leave behind.
			left = slices.DeleteFunc(left, func(fact string) bool {
				return strings.HasPrefix(fact, "database ") || strings.HasPrefix(fact, "schema public ")
			})
			if len(left) > 0 {
				t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
			}
		})
		t.Run("no password is told", func(t *testing.T) {
			if len(seen) < 5 {
				t.Fatalf("only %d passwords to look for", len(seen))
			}
			p.tellsNone(t, slices.Collect(maps.Keys(seen)))
		})
	})
}

// tellsNone fails for every password that stands in what is left of a stack's runs.
func (p *platform) tellsNone(t *testing.T, passwords []string) {
	t.Helper()
	for where, text := range map[string][]byte{
		"the server's log":  everyFile(t, p.server.LogFile()),
		"the CLI's output":  p.printed.Bytes(),
		"the CLI's logs":    everyFile(t, p.logs),
		"the backend":       everyFile(t, p.backend),
		"the stack's files": everyFile(t, p.dir),
	} {
		if !bytes.Contains(text, []byte("tenant")) && where != "the CLI's logs" {
			t.Errorf("%s is not what it should be", where)
		}
		for _, password := range passwords {
			if tells(text, password) {
				t.Errorf("a password stands in %s", where)
			}
		}
	}
}

// with is a config in which one key has another value than before.
func with(config object, key string, value any) object {
	config = maps.Clone(config)
	config[key] = value
	return config
}

func unchanged(t *testing.T, changes map[string]int) {
	t.Helper()
	if len(changes) != 1 || changes["same"] == 0 {
		t.Errorf("changes: %v", changes)
	}
}

// everyFile is the content of a file, or of all files below a folder, one after the other.
func everyFile(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all = append(all, text...)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}

// tells reports whether the text holds the secret in any usual spelling.
func tells(text []byte, secret string) bool {
	for _, spelling := range []string{
		secret, url.QueryEscape(secret), hex.EncodeToString([]byte(secret)),
		strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
	} {
		if bytes.Contains(text, []byte(spelling)) {
			return true
		}
	}
	return false
}

// Bad config stops at the CLI: nothing reaches the server.
func TestBadConfig(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, true)
	before := p.catalog(t)
	p.configure(t, object{"acme": object{"conectionLimit": 3}, "Globex": object{}}, object{"amdin": object{}})
	_, err := p.tryUp(t)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		`roles.amdin: unknown key; did you mean admin?`,
		`tenants.Globex: the key "Globex" is not accepted; give `,
		`tenants.acme.conectionLimit: unknown key; did you mean connectionLimit?`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not said: %s\n%v", want, err)
		}
	}
	sameFacts(t, before, p.catalog(t))
}

// Every word that this server reserves is refused as a name.
func TestReservedWords(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, true)
	rows, err := p.superuser(t, database).Query(t.Context(), "SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')")
	if err != nil {
		t.Fatal(err)
	}
	words, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if len(words) < 90 {
		t.Fatalf("only %d reserved words", len(words))
	}
	tenants := object{}
	for _, word := range words {
		tenants["t_"+word] = object{"role": word}
	}
	p.configure(t, tenants, object{})
	_, err = p.tryUp(t)
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), `tenants.t_`+word+`.role: "`+word+`" is not accepted`) {
			t.Errorf("%s is accepted", word)
		}
	}
}

// A role that somebody else made is not taken over, and the error names the tenant.
func TestForeignRoleIsNotTakenOver(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, true)
	p.superuser(t, database).may(t, "CREATE ROLE tenant_acme LOGIN PASSWORD 'theirs'")
	p.configure(t, object{"acme": object{}}, object{})
	_, err := p.tryUp(t)
	if err == nil || !strings.Contains(err.Error(), "acme-role") || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("got error %v", err)
	}
	theirs, err := p.connect(t, "tenant_acme", "theirs")
	if sqlstate(err) != insufficientPrivilege {
		t.Errorf("their login: %v %v", theirs, err)
	}
}

// A database that is named is closed to logins that would have got in through PUBLIC.
func TestClosedDatabases(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		super := p.superuser(t, "postgres")
		super.may(t, "CREATE DATABASE other OWNER "+p.user)
		p.configure(t, threeTenants, object{})
		p.up(t)
		connect := func() error {
			conn, err := pgx.Connect(t.Context(), p.server.DSN("tenant_acme", p.passwords(t)["tenant_acme"], "other"))
			if err != nil {
				return err
			}
			return conn.Close(t.Context())
		}
		if err := connect(); err != nil {
			t.Fatalf("before it is closed: %v", err)
		}
		p.settings = map[string]config.Value{"closedDatabases": config.NewObjectValue(`["other"]`)}
		p.configure(t, threeTenants, object{})
		p.up(t)
		if err := connect(); sqlstate(err) != insufficientPrivilege {
			t.Errorf("after it is closed: %v", err)
		}
		p.clean(t)
	})
}
