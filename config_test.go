package main

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

var (
	longest = strings.Repeat("a", maxNameBytes)
	longKey = strings.Repeat("k", maxKeyBytes)
)

// badConfigs are stack configs with what must be said of each. None may register anything.
var badConfigs = []struct {
	name           string
	tenants, roles string // "" is not set
	other          map[string]string
	want           []string // every line of the error after the first, in order
}{
	{
		name: "tenants forgotten", roles: `{}`,
		want: []string{"tenants: got nothing, want an object, {} for none: a forgotten key must not drop what is there"},
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
		want: []string{"tenants.acme: got the key twice, want it once"},
	},
	{
		name: "a field given twice", tenants: `{"acme":{"suspended":true,"suspended":false}}`,
		want: []string{"tenants.acme.suspended: got the key twice, want it once"},
	},
	{
		name: "unknown fields", tenants: `{"acme":{"conectionLimit":3,"connection_limit":4,"quota":5}}`,
		roles: `{"app":{"superuser":true},"analyst":{"login":true},"allTenants":{"login":true}}`,
		want: []string{
			`roles.allTenants.login: got the unknown key "login", want one of name`,
			`roles.analyst.login: got the unknown key "login", want one of connectionLimit, logins, name, passwordVersion: did you mean logins?`,
			`roles.app.superuser: got the unknown key "superuser", want one of bypassRowLevelSecurity, connectionLimit, logins, name, passwordVersion`,
			`tenants.acme.conectionLimit: got the unknown key "conectionLimit", want one of adopt, connectionLimit, logins, passwordVersion, retire, role, schema, suspended: did you mean connectionLimit?`,
			`tenants.acme.connection_limit: got the unknown key "connection_limit", want one of adopt, connectionLimit, logins, passwordVersion, retire, role, schema, suspended: did you mean connectionLimit?`,
			`tenants.acme.quota: got the unknown key "quota", want one of adopt, connectionLimit, logins, passwordVersion, retire, role, schema, suspended`,
		},
	},
	{
		name: "misspelt roles", tenants: `{}`, roles: `{"amdin":{},"adminn":{},"Admin":{},"all_tenants":{}}`,
		want: []string{
			`roles.Admin: got the unknown key "Admin", want one of admin, allTenants, allTenantsAdmin, app: did you mean admin?`,
			`roles.adminn: got the unknown key "adminn", want one of admin, allTenants, allTenantsAdmin, app: did you mean admin?`,
			`roles.all_tenants: got the unknown key "all_tenants", want one of admin, allTenants, allTenantsAdmin, app: did you mean allTenants?`,
			`roles.amdin: got the unknown key "amdin", want one of admin, allTenants, allTenantsAdmin, app: did you mean admin?`,
		},
	},
	{
		name: "unknown keys of the program", tenants: `{}`,
		other: map[string]string{"tenant-permissions:tenant": "{}", "tenant-permissions:region": "eu", "aws:region": "eu"},
		want: []string{
			`region: got the unknown key "region", want one of closedDatabases, platform, protectTenants, roles, tenants`,
			`tenant: got the unknown key "tenant", want one of closedDatabases, platform, protectTenants, roles, tenants: did you mean tenants?`,
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
		name: "names", roles: `{"app":{"name":"public"},"admin":{"name":"pg_admin","loginName":"none"},"select":{}}`,
		tenants: `{"a":{"role":"Acme"},"b":{"role":"a-b"},"c":{"role":""},"d":{"role":7},"e":{"schema":"information_schema"},
			"f":{"role":"` + longest + `b"},"g":{"role":"o'brien; drop table"},"h":{"role":"\u0430cme"},"i":{"schema":"user"},"j":{"role":"a\nb"}}`,
		want: []string{
			`roles.admin.loginName: got "none", want ` + wantName,
			`roles.admin.name: got "pg_admin", want ` + wantName,
			`roles.app.name: got "public", want ` + wantName,
			`roles.select: got the key "select", want ` + wantName,
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
		name: "keys", tenants: `{"Acme":{},"9x":{},"we ird":{},"":{},"` + longKey + `k":{},"\u0430":{}}`, roles: `{"a b":{}}`,
		want: []string{
			`roles["a b"]: got the key "a b", want ` + wantName,
			`tenants.Acme: got the key "Acme", want a-z, 0-9 and _ after a first letter, at most 56 bytes`,
			`tenants.` + longKey + `k: got the key "` + longKey + `k", want a-z, 0-9 and _ after a first letter, at most 56 bytes`,
			`tenants[""]: got the key "", want a-z, 0-9 and _ after a first letter, at most 56 bytes`,
			`tenants["9x"]: got the key "9x", want a-z, 0-9 and _ after a first letter, at most 56 bytes`,
			`tenants["\u0430"]: got the key "\u0430", want a-z, 0-9 and _ after a first letter, at most 56 bytes`,
			`tenants["we ird"]: got the key "we ird", want a-z, 0-9 and _ after a first letter, at most 56 bytes`,
		},
	},
	{
		name: "names taken", roles: `{"app":{"name":"shared"},"admin":{"name":"shared"},"analyst":{"name":"all_tenants"}}`,
		tenants: `{"a":{},"b":{"role":"tenant_a"},"c":{"role":"shared"},"d":{"role":"admin_service_login"},"e":{"schema":"tenant_a"}}`,
		want: []string{
			`roles.admin.name: got "shared", want a name that roles.app.name does not have already`,
			`roles.analyst.name: got "all_tenants", want a name that roles.allTenants.name does not have already`,
			`tenants.b.role: got "tenant_a", want a name that tenants.a.role does not have already`,
			`tenants.c.role: got "shared", want a name that roles.app.name does not have already`,
			`tenants.d.role: got "admin_service_login", want a name that roles.admin.loginName does not have already`,
			`tenants.e.schema: got "tenant_a", want a name that tenants.a.role does not have already`,
		},
	},
	{
		name: "the provider's own user", tenants: `{"a":{"role":"deployer"}}`, other: map[string]string{"postgresql:username": "deployer"},
		want: []string{`tenants.a.role: got "deployer", want another role than the one the provider connects as`},
	},
	{
		name: "the provider's default user", tenants: `{"a":{"role":"postgres"}}`,
		want: []string{`tenants.a.role: got "postgres", want another role than the one the provider connects as`},
	},
	{
		name: "the database", tenants: `{}`, other: map[string]string{"postgresql:database": "a%41?x"},
		want: []string{`postgresql:database: got "a%41?x", want letters, digits, _ and -, at most 63 bytes`},
	},
	{
		name: "closed databases", tenants: `{}`, other: map[string]string{"tenant-permissions:closedDatabases": `["postgres","platform"]`},
		want: []string{`closedDatabases: got ["postgres","platform"], want a list of other databases, each once: ` + wantDatabase},
	},
	{
		name: "a closed database twice", tenants: `{}`, other: map[string]string{"tenant-permissions:closedDatabases": `["a","a"]`},
		want: []string{`closedDatabases: got ["a","a"], want a list of other databases, each once: ` + wantDatabase},
	},
	{
		name: "no list of databases", tenants: `{}`, other: map[string]string{"tenant-permissions:closedDatabases": `postgres`},
		want: []string{`closedDatabases: got "postgres", want a list of other databases, each once: ` + wantDatabase},
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
		name: "pairs of logins", roles: `{"app":{"logins":{"c":{},"a":{"name":"x"}}},"analyst":{"logins":[]}}`,
		tenants: `{"a":{"logins":{"active":"c"}},"b":{"logins":{"activ":"a"}},"c":{"logins":{"b":{"passwordVersion":0}}},"d":{"role":"` + longest[1:] + `","logins":{}},
			"e":{"logins":{}},"f":{"role":"tenant_e_b"}}`,
		want: []string{
			`roles.analyst.logins: got [], want an object, {} for the defaults`,
			`roles.app.logins.a.name: got the unknown key "name", want one of passwordVersion`,
			`roles.app.logins.c: got the unknown key "c", want one of a, active, b`,
			`tenants.a.logins.active: got "c", want a or b, the login that the outputs name`,
			`tenants.b.logins.activ: got the unknown key "activ", want one of a, active, b: did you mean active?`,
			`tenants.c.logins.b.passwordVersion: got 0, want a whole number from 1`,
			`tenants.d.role: got "` + longest[1:] + `", want at most 61 bytes, which leaves room for the _a and _b of its logins`,
			`tenants.f.role: got "tenant_e_b", want a name that tenants.e.logins.b does not have already`,
		},
	},
	{
		name: "schemas", tenants: `{"a":{"schema":"shared"},"b":{"schema":"shared"},"c":{"schema":"all_tenants"},"d":{"role":"x","schema":"x"}}`,
		want: []string{
			`tenants.b.schema: got "shared", want a name that tenants.a.schema does not have already`,
			`tenants.c.schema: got "all_tenants", want a name that roles.allTenants.name does not have already`,
		},
	},
	{
		name: "a cell", tenants: `{"a":{},"b":{"role":"tenant_a"}}`, roles: `{"app":{}}`,
		other: map[string]string{"tenant-permissions:platform": "org/tenant-permissions/prod", "tenant-permissions:closedDatabases": `["postgres"]`},
		want: []string{
			`closedDatabases: got ["postgres"], want nothing, since it belongs into the config of the platform`,
			`roles: got {"app":{}}, want nothing, since it belongs into the config of the platform`,
			`tenants.b.role: got "tenant_a", want a name that tenants.a.role does not have already`,
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

func TestBadConfig(t *testing.T) {
	for _, test := range badConfigs {
		t.Run(test.name, func(t *testing.T) {
			cfg := map[string]string{"postgresql:database": "platform"}
			for key, value := range map[string]string{"tenants": test.tenants, "roles": test.roles} {
				if value != "" {
					cfg["tenant-permissions:"+key] = value
				}
			}
			maps.Copy(cfg, test.other)
			m := &mocks{}
			exports, err := run(t, cfg, m)
			if err == nil {
				t.Fatal("accepted")
			}
			if len(m.resources) != 0 || len(exports) != 0 {
				t.Errorf("registered %v, exported %v", m.urns(), exports)
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
		path, tenants, roles string // with %s for the value
		bad                  []string
	}{
		{"tenants", `%s`, ``, noObject},
		{"tenants.a", `{"a":%s,"b":{}}`, ``, noObject},
		{"tenants.a.role", `{"a":{"role":%s}}`, ``, noName},
		{"tenants.a.schema", `{"a":{"schema":%s}}`, ``, noName},
		{"tenants.a.connectionLimit", `{"a":{"connectionLimit":%s}}`, ``, noInteger},
		{"tenants.a.passwordVersion", `{"a":{"passwordVersion":%s}}`, ``, append([]string{`0`, `-1`}, noInteger...)},
		{"tenants.a.suspended", `{"a":{"suspended":%s}}`, ``, noFlag},
		{"tenants.a.retire", `{"a":{"retire":%s}}`, ``, noRetirement},
		{"tenants.a.adopt", `{"a":{"adopt":%s}}`, ``, noFlag},
		{"tenants.a.logins", `{"a":{"logins":%s}}`, ``, noObject},
		{"tenants.a.logins.b", `{"a":{"logins":{"b":%s}}}`, ``, noObject},
		{"roles.admin.logins.a.passwordVersion", `{}`, `{"admin":{"logins":{"a":{"passwordVersion":%s}}}}`, noInteger},
		{"roles", `{}`, `%s`, noObject},
		{"roles.app", `{}`, `{"app":%s}`, noObject},
		{"roles.app.name", `{}`, `{"app":{"name":%s}}`, noName},
		{"roles.app.bypassRowLevelSecurity", `{}`, `{"app":{"bypassRowLevelSecurity":%s}}`, noFlag},
		{"roles.admin.loginName", `{}`, `{"admin":{"loginName":%s}}`, noName},
		{"roles.admin.superuser", `{}`, `{"admin":{"superuser":%s}}`, noFlag},
		{"roles.admin.connectionLimit", `{}`, `{"admin":{"connectionLimit":%s}}`, noInteger},
		{"roles.allTenants.name", `{}`, `{"allTenants":{"name":%s}}`, noName},
		{"roles.analyst", `{}`, `{"analyst":%s}`, noObject},
		{"roles.analyst.name", `{}`, `{"analyst":{"name":%s}}`, noName},
	} {
		for _, value := range test.bad {
			tried++
			cfg := stackConfig(strings.Replace(test.tenants, "%s", value, 1), `{}`)
			if test.roles != "" {
				cfg["tenant-permissions:roles"] = strings.Replace(test.roles, "%s", value, 1)
			}
			m := &mocks{}
			_, err := run(t, cfg, m)
			if err == nil {
				t.Errorf("%s accepts %s", test.path, value)
				continue
			}
			_, list, _ := strings.Cut(err.Error(), "nothing was changed:\n  ")
			if strings.Count(strings.TrimSpace(list), "\n") != 0 || !strings.HasPrefix(list, test.path+": got ") || len(m.resources) != 0 {
				t.Errorf("%s with %s: %v, registered %v", test.path, value, err, m.urns())
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
	t.Setenv(pulumi.EnvConfigSecretKeys, `["tenant-permissions:tenants"]`)
	m := &mocks{}
	_, err := run(t, stackConfig(`{"acme":{"role":"hushhush!"}}`, `{}`), m)
	want := "tenants: got a secret, want plain config: it holds no secret, and its names are exported in plain"
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hushhush") {
		t.Errorf("got error %v, want %s", err, want)
	}
	if len(m.resources) != 0 {
		t.Errorf("registered %v", m.urns())
	}
}

func TestDatabase(t *testing.T) {
	cfg := stackConfig(`{}`, `{}`)
	delete(cfg, "postgresql:database")
	if _, err := run(t, cfg, &mocks{}); err == nil || !strings.Contains(err.Error(), "postgresql:database: got nothing") {
		t.Errorf("no database: got error %v", err)
	}
	t.Setenv("PGDATABASE", "from-env")
	exports, err := run(t, cfg, &mocks{})
	if err != nil {
		t.Fatal(err)
	}
	if name, _ := await(t, exports["database_name"]); name != "from-env" {
		t.Errorf("database_name: got %v, want that of PGDATABASE", name)
	}
	t.Setenv("PGDATABASE", "a#b")
	if _, err := run(t, cfg, &mocks{}); err == nil || !strings.Contains(err.Error(), `PGDATABASE: got "a#b"`) {
		t.Errorf("a bad PGDATABASE: got error %v", err)
	}
}

func TestConnectingUserFromEnvironment(t *testing.T) {
	t.Setenv("PGUSER", "app_service_role")
	_, err := run(t, stackConfig(`{}`, `{}`), &mocks{})
	if err == nil || !strings.Contains(err.Error(), `roles.app.name: got "app_service_role", want another role`) {
		t.Errorf("got error %v", err)
	}
}

// Every setting that is accepted arrives where it belongs, and the limits of the ranges are in.
func TestSettingsArrive(t *testing.T) {
	m := &mocks{}
	_, err := run(t, stackConfig(
		`{"`+longKey+`":{"connectionLimit":0},"max":{"connectionLimit":2147483647,"role":"`+longest+`","schema":"s","suspended":true}}`,
		`{"app":{"name":"reader","connectionLimit":9,"bypassRowLevelSecurity":true},
		  "admin":{"name":"owner","loginName":"owner_login","connectionLimit":2,"createDatabase":false,"createRole":false,
		           "superuser":true,"replication":true,"bypassRowLevelSecurity":true,"inherit":false},
		  "allTenants":{"name":"everyone"},"allTenantsAdmin":{"name":"everyone_admin"},"bi":{"name":"dashboard","connectionLimit":3}}`), m)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"app-service-role":   `{"bypassRowLevelSecurity":true,"connectionLimit":9,"login":true,"name":"reader"}`,
		"admin-service-role": `{"bypassRowLevelSecurity":true,"createDatabase":false,"createRole":false,"inherit":false,"login":false,"name":"owner","replication":true,"superuser":true}`,
		"admin-login-role":   `{"assumeRole":"owner","bypassRowLevelSecurity":false,"connectionLimit":2,"login":true,"name":"owner_login","roles":["owner"]}`,
		"all-tenants":        `{"login":false,"name":"everyone"}`,
		"all-tenants-admin":  `{"bypassRowLevelSecurity":false,"createDatabase":false,"createRole":false,"inherit":false,"login":false,"name":"everyone_admin","replication":false,"superuser":false}`,
		"bi-role":            `{"bypassRowLevelSecurity":false,"connectionLimit":3,"login":true,"name":"dashboard","roles":["reader"]}`,
		"max-role":           `{"bypassRowLevelSecurity":false,"connectionLimit":2147483647,"login":false,"name":"` + longest + `","roles":["everyone"],"searchPaths":["s"]}`,
		longKey + "-role":    `{"bypassRowLevelSecurity":false,"connectionLimit":0,"login":true,"name":"tenant_` + longKey + `","roles":["everyone"],"searchPaths":["tenant_` + longKey + `"]}`,
	} {
		inputs := m.named(t, name).Inputs.Copy()
		delete(inputs, "password")
		if got, err := json.Marshal(inputs.Mappable()); err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v\nwant %s", name, got, err, want)
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
		if validName(name) && (!plain.MatchString(name) || strings.HasPrefix(name, "pg_") || name == "public" || name == "none") {
			t.Errorf("accepted %q", name)
		}
		if validKey(name) && !validName("tenant_"+name) {
			t.Errorf("accepted the key %q, which gives no valid name", name)
		}
	})
}

// Whatever the text, the config is refused with a list of problems or gives valid, unique names;
// it never panics.
func FuzzConfig(f *testing.F) {
	for _, bad := range badConfigs {
		f.Add(bad.tenants, bad.roles)
	}
	f.Add(`{"acme":{}}`, `{"app":{},"analyst":{}}`)
	f.Add(strings.Repeat(`{"a":`, 20000), `{"a":`+strings.Repeat(`[`, 20000)+strings.Repeat(`]`, 20000)+`}`)
	f.Fuzz(func(t *testing.T, tenants, roles string) {
		m := &mocks{}
		_, err := run(t, stackConfig(tenants, roles), m)
		if err != nil {
			if !strings.Contains(err.Error(), "bad config, nothing was changed:\n  ") || len(m.resources) != 0 {
				t.Errorf("%v, registered %v", err, m.urns())
			}
			return
		}
		seen := map[string]bool{}
		for _, args := range m.resources {
			name, named := args.Inputs["name"]
			if !named {
				continue
			}
			id := args.TypeToken + name.StringValue()
			if seen[id] || !validName(name.StringValue()) {
				t.Errorf("%s: bad or taken name %q", args.Name, name.StringValue())
			}
			seen[id] = true
		}
	})
}
