package config

import (
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	longest = strings.Repeat("a", maxNameBytes)
	longKey = strings.Repeat("k", maxKeyBytes)
)

// badConfigs are stack configs with what must be said of each. None may register anything.
var badConfigs = []struct {
	name           string
	tenants, roles string // "" is not set
	readers        string
	other          map[string]string
	want           []string // every line of the error after the first, in order
}{
	{
		name: "tenants forgotten", roles: `{}`,
		want: []string{"tenants: not set: give an object, {} for none, since a forgotten key must not drop what is there"},
	},
	{
		name: "no object", tenants: `[]`, roles: `"app"`,
		want: []string{`roles: got "app", want an object, {} for the defaults`, "tenants: got [], want an object, {} for the defaults"},
	},
	{
		name: "null", tenants: `null`, roles: `{"app":null}`,
		want: []string{"roles.app: got null, want an object, {} for the defaults", "tenants: got null, want an object, {} for the defaults"},
	},
	{
		name: "no JSON", tenants: `{"acme":`,
		want: []string{`tenants: got "{\"acme\":", want an object, {} for the defaults`},
	},
	{
		name: "empty", tenants: ``, roles: `{}`, other: map[string]string{"tenant-permissions:tenants": ""},
		want: []string{`tenants: got "", want an object, {} for the defaults`},
	},
	{
		name: "two objects", tenants: `{} {}`,
		want: []string{`tenants: got "{} {}", want an object, {} for the defaults`},
	},
	{
		name: "a tenant that is null", tenants: `{"acme":null}`,
		want: []string{"tenants.acme: got null, want an object, {} for the defaults"},
	},
	{
		name: "a tenant that is a list", tenants: `{"acme":[1,
			2]}`,
		want: []string{"tenants.acme: got [1, 2], want an object, {} for the defaults"},
	},
	{
		name: "a tenant given twice", tenants: `{"acme":{},"acme":{"connectionLimit":3}}`,
		want: []string{"tenants.acme: the key is given twice: give it once"},
	},
	{
		name: "a field given twice", tenants: `{"acme":{"suspended":true,"suspended":false}}`,
		want: []string{"tenants.acme.suspended: the key is given twice: give it once"},
	},
	{
		name: "unknown fields", tenants: `{"acme":{"conectionLimit":3,"connection_limit":4,"quota":5}}`,
		roles: `{"app":{"superuser":true},"allTenants":{"login":true}}`, readers: `{"analyst":{"login":true}}`,
		want: []string{
			`readers.analyst.login: unknown key, did you mean logins? known are connectionLimit, logins, name, passwordVersion`,
			`roles.allTenants.login: unknown key: known are name`,
			`roles.app.superuser: unknown key: known are bypassRowLevelSecurity, connectionLimit, logins, name, passwordVersion`,
			`tenants.acme.conectionLimit: unknown key, did you mean connectionLimit? known are adopt, connectionLimit, logins, passwordVersion, retire, role, schema, suspended`,
			`tenants.acme.connection_limit: unknown key, did you mean connectionLimit? known are adopt, connectionLimit, logins, passwordVersion, retire, role, schema, suspended`,
			`tenants.acme.quota: unknown key: known are adopt, connectionLimit, logins, passwordVersion, retire, role, schema, suspended`,
		},
	},
	{
		name: "misspelt roles", tenants: `{}`, roles: `{"amdin":{},"adminn":{},"Admin":{},"all_tenants":{}}`,
		want: []string{
			`roles.Admin: unknown key, did you mean admin? known are admin, allTenants, allTenantsAdmin, app`,
			`roles.adminn: unknown key, did you mean admin? known are admin, allTenants, allTenantsAdmin, app`,
			`roles.all_tenants: unknown key, did you mean allTenants? known are admin, allTenants, allTenantsAdmin, app`,
			`roles.amdin: unknown key, did you mean admin? known are admin, allTenants, allTenantsAdmin, app`,
		},
	},
	{
		name: "unknown keys of the program", tenants: `{}`,
		other: map[string]string{"tenant-permissions:tenant": "{}", "tenant-permissions:region": "eu", "aws:region": "eu"},
		want: []string{
			`region: unknown key: known are closedDatabases, platform, protectTenants, readers, roles, tenants`,
			`tenant: unknown key, did you mean tenants? known are closedDatabases, platform, protectTenants, readers, roles, tenants`,
		},
	},
	{
		name: "limits", tenants: `{"a":{"connectionLimit":-2},"b":{"connectionLimit":2147483648},"c":{"connectionLimit":1.5},"d":{"connectionLimit":"5"},"e":{"connectionLimit":null},"f":{"connectionLimit":1e99}}`,
		roles: `{"app":{"connectionLimit":[]}}`,
		want: []string{
			"roles.app.connectionLimit: got [], want a whole number of sessions, -1 for no limit",
			"tenants.a.connectionLimit: got -2, want a whole number of sessions, -1 for no limit",
			"tenants.b.connectionLimit: got 2147483648, want a whole number of sessions, -1 for no limit",
			"tenants.c.connectionLimit: got 1.5, want a whole number of sessions, -1 for no limit",
			`tenants.d.connectionLimit: got "5", want a whole number of sessions, -1 for no limit`,
			"tenants.e.connectionLimit: got null, want a whole number of sessions, -1 for no limit",
			"tenants.f.connectionLimit: got 1e99, want a whole number of sessions, -1 for no limit",
		},
	},
	{
		name: "versions and switches", tenants: `{"a":{"passwordVersion":0,"suspended":"yes"}}`,
		roles: `{"admin":{"passwordVersion":-1,"superuser":1,"createRole":"true"}}`,
		want: []string{
			`roles.admin.createRole: got "true", want true or false`,
			"roles.admin.passwordVersion: got -1, want a whole number from 1",
			"roles.admin.superuser: got 1, want true or false",
			"tenants.a.passwordVersion: got 0, want a whole number from 1",
			`tenants.a.suspended: got "yes", want true or false`,
		},
	},
	{
		name: "names", roles: `{"app":{"name":"public"},"admin":{"name":"pg_admin","loginName":"none"}}`, readers: `{"select":{},"app":{}}`,
		tenants: `{"a":{"role":"Acme"},"b":{"role":"a-b"},"c":{"role":""},"d":{"role":7},"e":{"schema":"information_schema"},
			"f":{"role":"` + longest + `b"},"g":{"role":"o'brien; drop table"},"h":{"role":"\u0430cme"},"i":{"schema":"user"},"j":{"role":"a\nb"}}`,
		want: []string{
			`readers.app: the key "app" is not accepted: give ` + wantName,
			`readers.select: the key "select" is not accepted: give ` + wantName,
			`roles.admin.loginName: got "none", want ` + wantName,
			`roles.admin.name: got "pg_admin", want ` + wantName,
			`roles.app.name: got "public", want ` + wantName,
			`tenants.a.role: got "Acme", want ` + wantName,
			`tenants.b.role: got "a-b", want ` + wantName,
			`tenants.c.role: got "", want ` + wantName,
			`tenants.d.role: got 7, want ` + wantName,
			`tenants.e.schema: got "information_schema", want ` + wantName,
			`tenants.f.role: got "` + longest + `b", want ` + wantName,
			`tenants.g.role: got "o'brien; drop table", want ` + wantName,
			`tenants.h.role: got "\u0430cme", want ` + wantName,
			`tenants.i.schema: got "user", want ` + wantName,
			`tenants.j.role: got "a\nb", want ` + wantName,
		},
	},
	{
		name: "keys", tenants: `{"Acme":{},"9x":{},"we ird":{},"":{},"` + longKey + `k":{},"\u0430":{}}`, readers: `{"a b":{}}`,
		want: []string{
			`readers["a b"]: the key "a b" is not accepted: give ` + wantName,
			`tenants.Acme: the key "Acme" is not accepted: give a-z, 0-9 and _ after a first letter, at most 56 bytes`,
			`tenants.` + longKey + `k: the key "` + longKey + `k" is not accepted: give a-z, 0-9 and _ after a first letter, at most 56 bytes`,
			`tenants[""]: the key "" is not accepted: give a-z, 0-9 and _ after a first letter, at most 56 bytes`,
			`tenants["9x"]: the key "9x" is not accepted: give a-z, 0-9 and _ after a first letter, at most 56 bytes`,
			`tenants["\u0430"]: the key "\u0430" is not accepted: give a-z, 0-9 and _ after a first letter, at most 56 bytes`,
			`tenants["we ird"]: the key "we ird" is not accepted: give a-z, 0-9 and _ after a first letter, at most 56 bytes`,
		},
	},
	{
		name: "names taken", roles: `{"app":{"name":"shared"},"admin":{"name":"shared"}}`, readers: `{"analyst":{"name":"all_tenants"}}`,
		tenants: `{"a":{},"b":{"role":"tenant_a"},"c":{"role":"shared"},"d":{"role":"admin_service_login"},"e":{"schema":"tenant_a"}}`,
		want: []string{
			`readers.analyst.name: "all_tenants" is the name of roles.allTenants.name already: give another name`,
			`roles.admin.name: "shared" is the name of roles.app.name already: give another name`,
			`tenants.b.role: "tenant_a" is the name of tenants.a.role already: give another name`,
			`tenants.c.role: "shared" is the name of roles.app.name already: give another name`,
			`tenants.d.role: "admin_service_login" is the name of roles.admin.loginName already: give another name`,
			`tenants.e.schema: "tenant_a" is the name of tenants.a.role already: give another name`,
		},
	},
	{
		name: "the provider's own user", tenants: `{"a":{"role":"deployer"}}`, other: map[string]string{"postgresql:username": "deployer"},
		want: []string{`tenants.a.role: "deployer" is the user that the provider connects as: give another name`},
	},
	{
		name: "the provider's default user", tenants: `{"a":{"role":"postgres"}}`,
		want: []string{`tenants.a.role: "postgres" is the user that the provider connects as: give another name`},
	},
	{
		name: "the database", tenants: `{}`, other: map[string]string{"postgresql:database": "a%41?x"},
		want: []string{`postgresql:database: got "a%41?x", want letters, digits, _ and -, at most 63 bytes`},
	},
	{
		name: "closed databases", tenants: `{}`, other: map[string]string{"tenant-permissions:closedDatabases": `["postgres","platform"]`},
		want: []string{`closedDatabases: got ["postgres","platform"], want a list of other databases, each once: ` + WantDatabase},
	},
	{
		name: "a closed database twice", tenants: `{}`, other: map[string]string{"tenant-permissions:closedDatabases": `["a","a"]`},
		want: []string{`closedDatabases: got ["a","a"], want a list of other databases, each once: ` + WantDatabase},
	},
	{
		name: "no list of databases", tenants: `{}`, other: map[string]string{"tenant-permissions:closedDatabases": `postgres`},
		want: []string{`closedDatabases: got "postgres", want a list of other databases, each once: ` + WantDatabase},
	},
	{
		name: "protection and retirement", tenants: `{"a":{"retire":"now"},"b":{"retire":true},"c":{"retire":""}}`,
		other: map[string]string{"tenant-permissions:protectTenants": "no"},
		want: []string{
			`protectTenants: got "no", want true or false`,
			`tenants.a.retire: got "now", want keep or drop`,
			`tenants.b.retire: got true, want keep or drop`,
			`tenants.c.retire: got "", want keep or drop`,
		},
	},
	{
		name: "alternating logins", roles: `{"app":{"logins":{"active":"a","c":{},"a":{"name":"x"}}}}`, readers: `{"analyst":{"logins":[]}}`,
		tenants: `{"a":{"logins":{"active":"c"}},"b":{"logins":{"active":"a","activ":"a"}},"c":{"logins":{"active":"a","b":{"passwordVersion":0}}},"d":{"role":"` + longest[1:] + `","logins":{"active":"a"}},
			"e":{"logins":{"active":"b"}},"f":{"role":"tenant_e_b"},"g":{"logins":{}},"h":{"logins":{"active":"a","roleLogin":1}}}`,
		want: []string{
			`readers.analyst.logins.active: not set: give a or b, the login that the outputs name`,
			`readers.analyst.logins: got [], want an object, {} for the defaults`,
			`roles.app.logins.a.name: unknown key: known are passwordVersion`,
			`roles.app.logins.c: unknown key: known are a, active, b, roleLogin`,
			`tenants.a.logins.active: got "c", want a or b, the login that the outputs name`,
			`tenants.b.logins.activ: unknown key, did you mean active? known are a, active, b, roleLogin`,
			`tenants.c.logins.b.passwordVersion: got 0, want a whole number from 1`,
			`tenants.d.role: got "` + longest[1:] + `", want at most 61 bytes, which leaves room for the _a and _b of its logins`,
			`tenants.f.role: "tenant_e_b" is the name of tenants.e.logins.b already: give another name`,
			`tenants.g.logins.active: not set: give a or b, the login that the outputs name`,
			`tenants.h.logins.roleLogin: got 1, want true or false`,
		},
	},
	{
		name: "schemas", tenants: `{"a":{"schema":"shared"},"b":{"schema":"shared"},"c":{"schema":"all_tenants"},"d":{"role":"x","schema":"x"}}`,
		want: []string{
			`tenants.b.schema: "shared" is the name of tenants.a.schema already: give another name`,
			`tenants.c.schema: "all_tenants" is the name of roles.allTenants.name already: give another name`,
		},
	},
	{
		name: "a cell", tenants: `{"a":{},"b":{"role":"tenant_a"}}`, roles: `{"app":{}}`, readers: `{"bi":{}}`,
		other: map[string]string{"tenant-permissions:platform": "org/tenant-permissions/prod", "tenant-permissions:closedDatabases": `["postgres"]`},
		want: []string{
			`closedDatabases: ["postgres"] belongs into the config of the platform: remove it here`,
			`readers: {"bi":{}} belongs into the config of the platform: remove it here`,
			`roles: {"app":{}} belongs into the config of the platform: remove it here`,
			`tenants.b.role: "tenant_a" is the name of tenants.a.role already: give another name`,
		},
	},
	{
		name: "no stack", tenants: `{}`, other: map[string]string{"tenant-permissions:platform": "prod"},
		want: []string{`platform: got "prod", want <organization>/<project>/<stack>`},
	},
	{
		name: "a long value", tenants: `{"a":{"role":"` + strings.Repeat("x", 5000) + `"}}`,
		want: []string{`tenants.a.role: got "` + strings.Repeat("x", 125) + `… (5002 bytes), want ` + wantName},
	},
}

// values are a config of the program with the given JSON, "" for what is not set.
func values(tenants, roles, readers string, other map[string]string) Values {
	all := map[string]string{"postgresql:database": "platform"}
	for key, value := range map[string]string{"tenants": tenants, "roles": roles, "readers": readers} {
		if value != "" {
			all["tenant-permissions:"+key] = value
		}
	}
	maps.Copy(all, other)
	values := Values{}
	for key, value := range all {
		values[key] = Value{Value: value}
	}
	return values
}

func TestBadConfig(t *testing.T) {
	for _, test := range badConfigs {
		t.Run(test.name, func(t *testing.T) {
			cfg, err := Load(values(test.tenants, test.roles, test.readers, test.other))
			if err == nil {
				t.Fatal("accepted")
			}
			if !reflect.DeepEqual(cfg, Config{}) {
				t.Errorf("a config beside the error: %v", cfg)
			}
			_, list, _ := strings.Cut(err.Error(), "bad config, nothing was changed:\n  ")
			got := strings.Split(strings.TrimSpace(list), "\n  ")
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// Every value of the wrong type, out of range or with a letter that breaks something is one
// problem, said in one line that names its path, whichever field it is in.
func TestEveryBadValue(t *testing.T) {
	noInteger := []string{`null`, `true`, `"5"`, `""`, `[]`, `[5]`, `{}`, `1.5`, `5e-1`, `1e3`, `-2`, `-99999999999999999999`, `2147483648`, `9223372036854775808`}
	noFlag := []string{`null`, `0`, `1`, `"true"`, `"yes"`, `""`, `[]`, `[true]`, `{}`}
	noObject := []string{`null`, `true`, `5`, `""`, `"acme"`, `[]`, `[{}]`}
	noName := []string{
		`null`, `true`, `7`, `[]`, `["acme"]`, `{}`, `""`, `" "`, `"Acme"`, `"9lives"`, `"_acme"`, `"acme "`, `"a-b"`, `"a.b"`, `"a b"`, `"public"`, `"none"`,
		`"pg_acme"`, `"select"`, `"current_user"`, `"` + longest + `b"`, `"\u0430cme"`, `"acm\u00e9"`, `"acme\u200b"`, `"\u0000"`, `"\ud800"`, `"a\nb"`,
	}
	for _, letter := range `'"\%?#=;:,/$@&()<>*+|~^!{}[]` + "`\t" {
		encoded, err := json.Marshal("a" + string(letter) + "b")
		if err != nil {
			t.Fatal(err)
		}
		noName = append(noName, string(encoded))
	}
	noRetirement := []string{`null`, `true`, `1`, `""`, `"Keep"`, `"dropped"`, `[]`, `{}`}

	tried := 0
	for _, test := range []struct {
		path, tenants, roles, readers string // with %s for the value
		bad                           []string
	}{
		{"tenants", `%s`, ``, ``, noObject},
		{"tenants.a", `{"a":%s,"b":{}}`, ``, ``, noObject},
		{"tenants.a.role", `{"a":{"role":%s}}`, ``, ``, noName},
		{"tenants.a.schema", `{"a":{"schema":%s}}`, ``, ``, noName},
		{"tenants.a.connectionLimit", `{"a":{"connectionLimit":%s}}`, ``, ``, noInteger},
		{"tenants.a.passwordVersion", `{"a":{"passwordVersion":%s}}`, ``, ``, append([]string{`0`, `-1`}, noInteger...)},
		{"tenants.a.suspended", `{"a":{"suspended":%s}}`, ``, ``, noFlag},
		{"tenants.a.retire", `{"a":{"retire":%s}}`, ``, ``, noRetirement},
		{"tenants.a.adopt", `{"a":{"adopt":%s}}`, ``, ``, noFlag},
		{"tenants.a.logins.active", `{"a":{"logins":{"active":%s}}}`, ``, ``, []string{`null`, `true`, `1`, `""`, `"A"`, `"c"`, `"ab"`, `[]`, `{}`}},
		{"tenants.a.logins.roleLogin", `{"a":{"logins":{"active":"a","roleLogin":%s}}}`, ``, ``, noFlag},
		{"tenants.a.logins.b", `{"a":{"logins":{"active":"a","b":%s}}}`, ``, ``, noObject},
		{"roles.admin.logins.a.passwordVersion", `{}`, `{"admin":{"logins":{"active":"a","a":{"passwordVersion":%s}}}}`, ``, noInteger},
		{"roles", `{}`, `%s`, ``, noObject},
		{"roles.app", `{}`, `{"app":%s}`, ``, noObject},
		{"roles.app.name", `{}`, `{"app":{"name":%s}}`, ``, noName},
		{"roles.app.bypassRowLevelSecurity", `{}`, `{"app":{"bypassRowLevelSecurity":%s}}`, ``, noFlag},
		{"roles.admin.loginName", `{}`, `{"admin":{"loginName":%s}}`, ``, noName},
		{"roles.admin.superuser", `{}`, `{"admin":{"superuser":%s}}`, ``, noFlag},
		{"roles.admin.connectionLimit", `{}`, `{"admin":{"connectionLimit":%s}}`, ``, noInteger},
		{"roles.allTenants.name", `{}`, `{"allTenants":{"name":%s}}`, ``, noName},
		{"readers.analyst", `{}`, ``, `{"analyst":%s}`, noObject},
		{"readers.analyst.name", `{}`, ``, `{"analyst":{"name":%s}}`, noName},
	} {
		for _, value := range test.bad {
			tried++
			with := func(text string) string { return strings.Replace(text, "%s", value, 1) }
			_, err := Load(values(with(test.tenants), with(test.roles), with(test.readers), nil))
			if err == nil {
				t.Errorf("%s accepts %s", test.path, value)
				continue
			}
			_, list, _ := strings.Cut(err.Error(), "nothing was changed:\n  ")
			if strings.Count(strings.TrimSpace(list), "\n") != 0 || !strings.HasPrefix(list, test.path+": got ") {
				t.Errorf("%s with %s: %v", test.path, value, err)
			}
		}
	}
	if tried < 300 {
		t.Errorf("only %d bad values", tried)
	}
}

// Names and tenants are exported in plain, so a secret among them would come out. The error must
// not show it either.
func TestSecretConfigIsRefused(t *testing.T) {
	_, err := Load(Values{"tenant-permissions:tenants": {Value: `{"acme":{"role":"hushhush!"}}`, Secret: true}})
	want := "tenants: is a secret: give it as plain config"
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hushhush") {
		t.Errorf("got error %v, want %s", err, want)
	}
}

func TestDatabase(t *testing.T) {
	cfg := values(`{}`, ``, ``, nil)
	delete(cfg, "postgresql:database")
	if _, err := Load(cfg); err == nil || !strings.Contains(err.Error(), "postgresql:database: not set") {
		t.Errorf("no database: got error %v", err)
	}
	t.Setenv("PGDATABASE", "from-env")
	loaded, err := Load(cfg)
	if err != nil || loaded.Database != "from-env" {
		t.Errorf("got %v, %v, want the database of PGDATABASE", loaded.Database, err)
	}
	t.Setenv("PGDATABASE", "a#b")
	if _, err := Load(cfg); err == nil || !strings.Contains(err.Error(), `PGDATABASE: got "a#b"`) {
		t.Errorf("a bad PGDATABASE: got error %v", err)
	}
}

func TestConnectingUserFromEnvironment(t *testing.T) {
	t.Setenv("PGUSER", "app_service_role")
	_, err := Load(values(`{}`, ``, ``, nil))
	if err == nil || !strings.Contains(err.Error(), `roles.app.name: "app_service_role" is the user that the provider connects as`) {
		t.Errorf("got error %v", err)
	}
}

func TestNames(t *testing.T) {
	cell := values(`{"acme":{"schema":"a","logins":{"active":"a"}},"globex":{"retire":"keep"}}`, ``, ``, map[string]string{"tenant-permissions:platform": "org/project/prod"})
	for _, test := range []struct {
		values Values
		want   Claims
	}{
		{cell, Claims{
			"a": "tenants.acme.schema", "tenant_acme": "tenants.acme.role", "tenant_acme_a": "tenants.acme.logins.a",
			"tenant_acme_b": "tenants.acme.logins.b", "tenant_globex": "tenants.globex.role",
		}},
		{values(`{}`, ``, `{"bi":{}}`, nil), Claims{
			"app_service_role": "roles.app.name", "admin_service_role": "roles.admin.name", "admin_service_login": "roles.admin.loginName",
			"all_tenants": "roles.allTenants.name", "all_tenants_admin": "roles.allTenantsAdmin.name", "bi": "readers.bi.name",
		}},
	} {
		cfg, err := Load(test.values)
		if got := Names(cfg); err != nil || !maps.Equal(got, test.want) {
			t.Errorf("got %v, %v\nwant %v", got, err, test.want)
		}
	}
}

func FuzzValidName(f *testing.F) {
	for _, seed := range []string{"", "a", "tenant_acme", "pg_x", "public", "Acme", "a b", `a"b`, "a\\b", "a'b", "a=b", "\u0430", "a\x00", longest, longest + "a"} {
		f.Add(seed)
	}
	plain := regexp.MustCompile(`\A[a-z][0-9_a-z]{0,62}\z`)
	f.Fuzz(func(t *testing.T, name string) {
		// Written again in another way: what passes needs no quotes, is not cut or folded by the
		// server, and is nobody else's.
		if ValidName(name) && (!plain.MatchString(name) || strings.HasPrefix(name, "pg_") || name == "public" || name == "none") {
			t.Errorf("accepted %q", name)
		}
		if ValidKey(name) && !ValidName("tenant_"+name) {
			t.Errorf("accepted the key %q, which gives no valid name", name)
		}
	})
}

// Whatever the text, the config is refused with a list of problems or gives valid, unique names;
// it never panics.
func FuzzConfig(f *testing.F) {
	for _, bad := range badConfigs {
		f.Add(bad.tenants, bad.roles, bad.readers)
	}
	f.Add(`{"acme":{}}`, `{"app":{}}`, `{"analyst":{}}`)
	f.Add(strings.Repeat(`{"a":`, 20000), `{"a":`+strings.Repeat(`[`, 20000)+strings.Repeat(`]`, 20000)+`}`, `{}`)
	f.Fuzz(func(t *testing.T, tenants, roles, readers string) {
		cfg, err := Load(values(tenants, roles, readers, nil))
		if err != nil {
			if !strings.Contains(err.Error(), "bad config, nothing was changed:\n  ") {
				t.Error(err)
			}
			return
		}
		p := &Problems{}
		for name := range claimsOf(p, cfg) {
			if !ValidName(name) {
				t.Errorf("a bad name %q", name)
			}
		}
		if p.Err() != nil {
			t.Error(p.Err())
		}
	})
}
