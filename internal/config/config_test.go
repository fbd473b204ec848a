package config

import (
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	longest = strings.Repeat("a", MaxNameBytes)
	longKey = strings.Repeat("k", MaxKeyBytes)
)

// valuesOf are the values of a config with the given JSON for tenants and others of the program's keys.
func valuesOf(tenants string, others map[string]string) Values {
	values := Values{"postgresql:database": {Value: "platform"}, "tenant-permissions:tenants": {Value: tenants}}
	for key, value := range others {
		if !strings.Contains(key, ":") {
			key = Namespace + ":" + key
		}
		values[key] = Value{Value: value}
	}
	return values
}

// noEnv is an environment without variables.
func noEnv(string) (string, bool) { return "", false }

// problemsOf are the lines of an error after the first.
func problemsOf(err error) []string {
	_, list, _ := strings.Cut(err.Error(), "\n  ")
	return strings.Split(list, "\n  ")
}

// badConfigs are stack configs with what must be said of each. None may register anything.
var badConfigs = []struct {
	name           string
	tenants, roles string // "" is not set
	other          map[string]string
	want           []string // every line of the error after the first, in order
}{
	{
		name: "tenants forgotten", roles: `{}`,
		want: []string{"tenants: missing; give an object of tenants by key, {} for none"},
	},
	{
		name: "no object", tenants: `[]`, roles: `"app"`,
		want: []string{`roles: "app" is not accepted; give an object, {} for the defaults`, "tenants: [] is not accepted; give an object, {} for the defaults"},
	},
	{
		name: "null", tenants: `null`, roles: `{"app":null}`,
		want: []string{"roles.app: null is not accepted; give an object, {} for the defaults", "tenants: null is not accepted; give an object, {} for the defaults"},
	},
	{
		name: "no JSON", tenants: `{"acme":`,
		want: []string{`tenants: "{\"acme\":" is not accepted; give an object, {} for the defaults`},
	},
	{
		name: "empty", tenants: ``, roles: `{}`, other: map[string]string{"tenant-permissions:tenants": ""},
		want: []string{`tenants: "" is not accepted; give an object, {} for the defaults`},
	},
	{
		name: "two objects", tenants: `{} {}`,
		want: []string{`tenants: "{} {}" is not accepted; give an object, {} for the defaults`},
	},
	{
		name: "a tenant that is null", tenants: `{"acme":null}`,
		want: []string{"tenants.acme: null is not accepted; give an object, {} for the defaults"},
	},
	{
		name: "a tenant that is a list", tenants: `{"acme":[1,
			2]}`,
		want: []string{"tenants.acme: [1, 2] is not accepted; give an object, {} for the defaults"},
	},
	{
		name: "a tenant given twice", tenants: `{"acme":{},"acme":{"connectionLimit":3}}`,
		want: []string{"tenants.acme: the key appears twice; give it once"},
	},
	{
		name: "a field given twice", tenants: `{"acme":{"suspended":true,"suspended":false}}`,
		want: []string{"tenants.acme.suspended: the key appears twice; give it once"},
	},
	{
		name: "unknown fields", tenants: `{"acme":{"conectionLimit":3,"connection_limit":4,"quota":5}}`,
		roles: `{"app":{"superuser":true},"analyst":{"login":true},"allTenants":{"login":true}}`,
		other: map[string]string{"readers": `{"analyst":{"login":true}}`},
		want: []string{
			`readers.analyst.login: unknown key; did you mean logins? Known keys: connectionLimit, idleInTransactionSessionTimeout, logins, name, passwordVersion, statementTimeout, validUntil`,
			`roles.allTenants.login: unknown key; known keys: name`,
			`roles.analyst: unknown key; known keys: admin, allTenants, allTenantsAdmin, app`,
			`roles.app.superuser: unknown key; known keys: bypassRowLevelSecurity, connectionLimit, idleInTransactionSessionTimeout, logins, name, passwordVersion, statementTimeout`,
			`tenants.acme.conectionLimit: unknown key; did you mean connectionLimit? Known keys: adopt, agents, connectionLimit, database, executeFunctions, idleInTransactionSessionTimeout, isolation, logins, passwordVersion, previous, retire, role, schema, statementTimeout, suspended`,
			`tenants.acme.connection_limit: unknown key; did you mean connectionLimit? Known keys: adopt, agents, connectionLimit, database, executeFunctions, idleInTransactionSessionTimeout, isolation, logins, passwordVersion, previous, retire, role, schema, statementTimeout, suspended`,
			`tenants.acme.quota: unknown key; known keys: adopt, agents, connectionLimit, database, executeFunctions, idleInTransactionSessionTimeout, isolation, logins, passwordVersion, previous, retire, role, schema, statementTimeout, suspended`,
		},
	},
	{
		name: "misspelt roles", tenants: `{}`, roles: `{"amdin":{},"adminn":{},"Admin":{},"all_tenants":{}}`,
		want: []string{
			`roles.Admin: unknown key; did you mean admin? Known keys: admin, allTenants, allTenantsAdmin, app`,
			`roles.adminn: unknown key; did you mean admin? Known keys: admin, allTenants, allTenantsAdmin, app`,
			`roles.all_tenants: unknown key; did you mean allTenants? Known keys: admin, allTenants, allTenantsAdmin, app`,
			`roles.amdin: unknown key; did you mean admin? Known keys: admin, allTenants, allTenantsAdmin, app`,
		},
	},
	{
		name: "unknown keys of the program", tenants: `{}`,
		other: map[string]string{"tenant-permissions:tenant": "{}", "tenant-permissions:region": "eu", "aws:region": "eu"},
		want: []string{
			`region: unknown key; known keys: closedDatabases, extensionSchema, extensions, platform, protectTenants, readers, roles, tenantDefaults, tenants`,
			`tenant: unknown key; did you mean tenants? Known keys: closedDatabases, extensionSchema, extensions, platform, protectTenants, readers, roles, tenantDefaults, tenants`,
		},
	},
	{
		name: "limits", tenants: `{"a":{"connectionLimit":-2},"b":{"connectionLimit":2147483648},"c":{"connectionLimit":1.5},"d":{"connectionLimit":"5"},"e":{"connectionLimit":null},"f":{"connectionLimit":1e99}}`,
		roles: `{"app":{"connectionLimit":[]}}`,
		want: []string{
			"roles.app.connectionLimit: [] is not accepted; give a whole number of sessions, -1 for no limit",
			"tenants.a.connectionLimit: -2 is not accepted; give a whole number of sessions, -1 for no limit",
			"tenants.b.connectionLimit: 2147483648 is not accepted; give a whole number of sessions, -1 for no limit",
			"tenants.c.connectionLimit: 1.5 is not accepted; give a whole number of sessions, -1 for no limit",
			`tenants.d.connectionLimit: "5" is not accepted; give a whole number of sessions, -1 for no limit`,
			"tenants.e.connectionLimit: null is not accepted; give a whole number of sessions, -1 for no limit",
			"tenants.f.connectionLimit: 1e99 is not accepted; give a whole number of sessions, -1 for no limit",
		},
	},
	{
		name: "timeouts", tenants: `{"a":{"statementTimeout":"15"},"b":{"agents":{"chat":{"idleInTransactionSessionTimeout":"1m"}}}}`,
		roles: `{"app":{"statementTimeout":-1}}`,
		other: map[string]string{"tenantDefaults": `{"statementTimeout":1.5,"suspended":true}`},
		want: []string{
			"roles.app.statementTimeout: -1 is not accepted; give milliseconds as a whole number, or a text such as 500ms, 15s, 5min, 2h or 1d; 0 for no limit",
			"tenantDefaults.statementTimeout: 1.5 is not accepted; give milliseconds as a whole number, or a text such as 500ms, 15s, 5min, 2h or 1d; 0 for no limit",
			"tenantDefaults.suspended: unknown key; known keys: connectionLimit, executeFunctions, idleInTransactionSessionTimeout, statementTimeout",
			`tenants.a.statementTimeout: "15" is not accepted; give milliseconds as a whole number, or a text such as 500ms, 15s, 5min, 2h or 1d; 0 for no limit`,
			`tenants.b.agents.chat.idleInTransactionSessionTimeout: "1m" is not accepted; give milliseconds as a whole number, or a text such as 500ms, 15s, 5min, 2h or 1d; 0 for no limit`,
		},
	},
	{
		name: "agents", tenants: `{"a":{"agents":{"chat":{"role":"x"},"select":{},"b":{"name":"tenant_a"}}},"` + longKey + `":{"agents":{"chat":{}}},"c":{"agents":{"agents":{}}},"d":{"agents":[]}}`,
		want: []string{
			`tenants.a.agents.b.name: "tenant_a" is already taken by tenants.a.role; choose another name`,
			`tenants.a.agents.chat.role: unknown key; known keys: connectionLimit, idleInTransactionSessionTimeout, logins, name, passwordVersion, statementTimeout, suspended`,
			`tenants.a.agents.select: the key "select" is not accepted; give a key of a-z, 0-9 and _ that begins with a letter, not pg_… and not a word reserved by SQL`,
			`tenants.c.agents.agents.name: "tenant_c_agents" is already taken by tenants.c.agents; choose another name`,
			"tenants.d.agents: [] is not accepted; give an object, {} for the defaults",
			"tenants." + longKey + `.agents.chat: the name "tenant_` + longKey + `_chat" is too long; give a shorter key, or set tenants.` + longKey + ".agents.chat.name",
			"tenants." + longKey + `.role: "tenant_` + longKey + `" is too long; give at most 56 bytes, because the group role of its agents adds _agents`,
		},
	},
	{
		name: "extensions", tenants: `{"a":{"schema":"extensions"}}`,
		other: map[string]string{"extensions": `{"vector":{"version":1},"Vector":{},"pg_trgm":{"schema":"x"}}`},
		want: []string{
			`extensionSchema: "extensions" is already taken by tenants.a.schema; choose another name`,
			`extensions.Vector: the key "Vector" is not accepted; give the name of an extension: a-z, 0-9, _ and -, beginning with a letter, at most 63 bytes`,
			"extensions.pg_trgm.schema: unknown key; known keys: version",
			`extensions.vector.version: 1 is not accepted; give a version as a text of letters, digits, ., _ and -, such as "1.6"`,
		},
	},
	{
		name: "the schema of extensions", tenants: `{}`,
		other: map[string]string{"extensionSchema": "public", "readers": `{"oncall":{"validUntil":"2030-12-31"}}`},
		want: []string{
			`extensionSchema: "public" is not accepted; give a name of a-z, 0-9 and _ that begins with a letter and has at most 63 bytes, not pg_… and not a word reserved by SQL`,
			`readers.oncall.validUntil: "2030-12-31" is not accepted; give a time with its zone, to the second, such as 2030-12-31T18:00:00Z or 2030-12-31T18:00:00+01:00`,
		},
	},
	{
		name: "databases", tenants: `{"a":{"isolation":"server"},"b":{"database":{"name":"b"}},"c":{"isolation":"database","database":{"name":"platform"}},"d":{"isolation":"database","database":{"name":"x y","encoding":"","owner":"d","connectionLimit":-2}},
			"e":{"isolation":"database","database":{"name":"twice"}},"f":{"previous":"drop","database":{"name":"twice"}},"g":{"previous":"gone"},"h":{"isolation":"database","database":{"name":"other"}},"i":{"isolation":"database","database":{"name":"template1"}}}`,
		other: map[string]string{"closedDatabases": `["other"]`},
		want: []string{
			`tenants.a.isolation: "server" is not accepted; give schema or database`,
			"tenants.b.database: the tenant has no database of its own; set isolation to database, or remove this key",
			`tenants.c.database.name: "platform" is already taken by postgresql:database; choose another name`,
			"tenants.d.database.connectionLimit: -2 is not accepted; give a whole number of sessions, -1 for no limit",
			`tenants.d.database.encoding: "" is not accepted; give the name of an encoding, such as UTF8`,
			`tenants.d.database.name: "x y" is not accepted; give a name of letters, digits, _ and - that does not begin with - and has at most 63 bytes`,
			"tenants.d.database.owner: unknown key; known keys: connectionLimit, encoding, lcCollate, name, tablespace",
			`tenants.f.database.name: "twice" is already taken by tenants.e.database.name; choose another name`,
			`tenants.g.previous: "gone" is not accepted; give keep or drop`,
			`tenants.h.database.name: "other" is already taken by closedDatabases; choose another name`,
			`tenants.i.database.name: "template1" is already taken by PostgreSQL; choose another name`,
		},
	},
	{
		name: "extensions in a cell", tenants: `{}`,
		other: map[string]string{"platform": "a/b/c", "extensions": `{"vector":{}}`, "extensionSchema": "other"},
		want: []string{
			`extensionSchema: "other" belongs in the config of the platform; remove it from this cell`,
			`extensions: {"vector":{}} belongs in the config of the platform; remove it from this cell`,
		},
	},
	{
		name: "versions and switches", tenants: `{"a":{"passwordVersion":0,"suspended":"yes"}}`,
		roles: `{"admin":{"passwordVersion":-1,"superuser":1,"createRole":"true"}}`,
		want: []string{
			`roles.admin.createRole: "true" is not accepted; give true or false`,
			"roles.admin.passwordVersion: -1 is not accepted; give a whole number from 1",
			"roles.admin.superuser: 1 is not accepted; give true or false",
			"tenants.a.passwordVersion: 0 is not accepted; give a whole number from 1",
			`tenants.a.suspended: "yes" is not accepted; give true or false`,
		},
	},
	{
		name: "names", roles: `{"app":{"name":"public"},"admin":{"name":"pg_admin","loginName":"none"}}`, other: map[string]string{"readers": `{"select":{}}`},
		tenants: `{"a":{"role":"Acme"},"b":{"role":"a-b"},"c":{"role":""},"d":{"role":7},"e":{"schema":"information_schema"},
			"f":{"role":"` + longest + `b"},"g":{"role":"o'brien; drop table"},"h":{"role":"\u0430cme"},"i":{"schema":"user"},"j":{"role":"a\nb"}}`,
		want: []string{
			`readers.select: the key "select" is not accepted; give ` + acceptedName,
			`roles.admin.loginName: "none" is not accepted; give ` + acceptedName,
			`roles.admin.name: "pg_admin" is not accepted; give ` + acceptedName,
			`roles.app.name: "public" is not accepted; give ` + acceptedName,
			`tenants.a.role: "Acme" is not accepted; give ` + acceptedName,
			`tenants.b.role: "a-b" is not accepted; give ` + acceptedName,
			`tenants.c.role: "" is not accepted; give ` + acceptedName,
			`tenants.d.role: 7 is not accepted; give ` + acceptedName,
			`tenants.e.schema: "information_schema" is not accepted; give ` + acceptedName,
			`tenants.f.role: "` + longest + `b" is not accepted; give ` + acceptedName,
			`tenants.g.role: "o'brien; drop table" is not accepted; give ` + acceptedName,
			`tenants.h.role: "\u0430cme" is not accepted; give ` + acceptedName,
			`tenants.i.schema: "user" is not accepted; give ` + acceptedName,
			`tenants.j.role: "a\nb" is not accepted; give ` + acceptedName,
		},
	},
	{
		name: "keys", tenants: `{"Acme":{},"9x":{},"we ird":{},"":{},"` + longKey + `k":{},"\u0430":{}}`,
		other: map[string]string{"readers": `{"a b":{},"app":{},"admin":{"name":"x"}}`},
		want: []string{
			`readers.admin: the outputs use the key admin for the shared role; choose another key`,
			`readers.app: the outputs use the key app for the shared role; choose another key`,
			`readers["a b"]: the key "a b" is not accepted; give ` + acceptedName,
			`tenants.Acme: the key "Acme" is not accepted; give ` + acceptedKey,
			`tenants.` + longKey + `k: the key "` + longKey + `k" is not accepted; give ` + acceptedKey,
			`tenants[""]: the key "" is not accepted; give ` + acceptedKey,
			`tenants["9x"]: the key "9x" is not accepted; give ` + acceptedKey,
			`tenants["\u0430"]: the key "\u0430" is not accepted; give ` + acceptedKey,
			`tenants["we ird"]: the key "we ird" is not accepted; give ` + acceptedKey,
		},
	},
	{
		name: "names taken", roles: `{"app":{"name":"shared"},"admin":{"name":"shared"}}`, other: map[string]string{"readers": `{"analyst":{"name":"all_tenants"}}`},
		tenants: `{"a":{},"b":{"role":"tenant_a"},"c":{"role":"shared"},"d":{"role":"admin_service_login"},"e":{"schema":"tenant_a"}}`,
		want: []string{
			`readers.analyst.name: "all_tenants" is already taken by roles.allTenants.name; choose another name`,
			`roles.admin.name: "shared" is already taken by roles.app.name; choose another name`,
			`tenants.b.role: "tenant_a" is already taken by tenants.a.role; choose another name`,
			`tenants.c.role: "shared" is already taken by roles.app.name; choose another name`,
			`tenants.d.role: "admin_service_login" is already taken by roles.admin.loginName; choose another name`,
			`tenants.e.schema: "tenant_a" is already taken by tenants.a.role; choose another name`,
		},
	},
	{
		name: "the provider's own user", tenants: `{"a":{"role":"deployer"}}`, other: map[string]string{"postgresql:username": "deployer"},
		want: []string{`tenants.a.role: this is the user that the provider connects as; choose another name`},
	},
	{
		name: "the provider's default user", tenants: `{"a":{"role":"postgres"}}`,
		want: []string{`tenants.a.role: this is the user that the provider connects as; choose another name`},
	},
	{
		name: "the database", tenants: `{}`, other: map[string]string{"postgresql:database": "a%41?x"},
		want: []string{`postgresql:database: "a%41?x" is not accepted; give ` + acceptedDatabase},
	},
	{
		name: "closed databases", tenants: `{}`, other: map[string]string{"tenant-permissions:closedDatabases": `["postgres","platform"]`},
		want: []string{`closedDatabases: ["postgres","platform"] is not accepted; give a list of databases other than postgresql:database, each once: ` + acceptedDatabase},
	},
	{
		name: "a closed database twice", tenants: `{}`, other: map[string]string{"tenant-permissions:closedDatabases": `["a","a"]`},
		want: []string{`closedDatabases: ["a","a"] is not accepted; give a list of databases other than postgresql:database, each once: ` + acceptedDatabase},
	},
	{
		name: "no list of databases", tenants: `{}`, other: map[string]string{"tenant-permissions:closedDatabases": `postgres`},
		want: []string{`closedDatabases: "postgres" is not accepted; give a list of databases other than postgresql:database, each once: ` + acceptedDatabase},
	},
	{
		name: "protection and retirement", tenants: `{"a":{"retire":"now"},"b":{"retire":true},"c":{"retire":""}}`,
		other: map[string]string{"tenant-permissions:protectTenants": "no"},
		want: []string{
			`protectTenants: "no" is not accepted; give true or false`,
			`tenants.a.retire: "now" is not accepted; give keep or drop`,
			`tenants.b.retire: true is not accepted; give keep or drop`,
			`tenants.c.retire: "" is not accepted; give keep or drop`,
		},
	},
	{
		name: "alternating logins", roles: `{"app":{"logins":{"active":"a","c":{},"a":{"name":"x"}}}}`, other: map[string]string{"readers": `{"analyst":{"logins":[]}}`},
		tenants: `{"a":{"logins":{"active":"c"}},"b":{"logins":{"activ":"a"}},"c":{"logins":{"active":"b","b":{"passwordVersion":0}}},
			"d":{"role":"` + longest[1:] + `","logins":{"active":"a"}},"e":{"logins":{"active":"a","roleLogin":"yes"}},"f":{"role":"tenant_e_b"},"g":{"logins":{}}}`,
		want: []string{
			`readers.analyst.logins: [] is not accepted; give an object, {} for the defaults`,
			`roles.app.logins.a.name: unknown key; known keys: passwordVersion`,
			`roles.app.logins.c: unknown key; known keys: a, active, b, roleLogin`,
			`tenants.a.logins.active: "c" is not accepted; give a or b, the login that the outputs name`,
			`tenants.b.logins.activ: unknown key; did you mean active? Known keys: a, active, b, roleLogin`,
			`tenants.b.logins.active: missing; give a or b, the login that the outputs name`,
			`tenants.c.logins.b.passwordVersion: 0 is not accepted; give a whole number from 1`,
			`tenants.d.role: "` + longest[1:] + `" is too long; give at most 61 bytes, because its alternating logins add _a and _b`,
			`tenants.e.logins.roleLogin: "yes" is not accepted; give true or false`,
			`tenants.f.role: "tenant_e_b" is already taken by tenants.e.logins.b; choose another name`,
			`tenants.g.logins.active: missing; give a or b, the login that the outputs name`,
		},
	},
	{
		name: "schemas", tenants: `{"a":{"schema":"shared"},"b":{"schema":"shared"},"c":{"schema":"all_tenants"},"d":{"role":"x","schema":"x"}}`,
		want: []string{
			`tenants.b.schema: "shared" is already taken by tenants.a.schema; choose another name`,
			`tenants.c.schema: "all_tenants" is already taken by roles.allTenants.name; choose another name`,
		},
	},
	{
		name: "a cell", tenants: `{"a":{},"b":{"role":"tenant_a"}}`, roles: `{"app":{}}`,
		other: map[string]string{"tenant-permissions:platform": "org/tenant-permissions/prod", "tenant-permissions:closedDatabases": `["postgres"]`, "readers": `{"bi":{}}`},
		want: []string{
			`closedDatabases: ["postgres"] belongs in the config of the platform; remove it from this cell`,
			`readers: {"bi":{}} belongs in the config of the platform; remove it from this cell`,
			`roles: {"app":{}} belongs in the config of the platform; remove it from this cell`,
			`tenants.b.role: "tenant_a" is already taken by tenants.a.role; choose another name`,
		},
	},
	{
		name: "no stack", tenants: `{}`, other: map[string]string{"tenant-permissions:platform": "prod"},
		want: []string{`platform: "prod" is not accepted; give ` + acceptedPlatform},
	},
	{
		name: "a long value", tenants: `{"a":{"role":"` + strings.Repeat("x", 5000) + `"}}`,
		want: []string{`tenants.a.role: "` + strings.Repeat("x", 125) + `… (5002 bytes) is not accepted; give ` + acceptedName},
	},
}

func TestBadConfig(t *testing.T) {
	for _, test := range badConfigs {
		t.Run(test.name, func(t *testing.T) {
			values := valuesOf(test.tenants, test.other)
			if _, set := test.other["tenant-permissions:tenants"]; test.tenants == "" && !set {
				delete(values, "tenant-permissions:tenants")
			}
			if test.roles != "" {
				values["tenant-permissions:roles"] = Value{Value: test.roles}
			}
			_, err := Load(values, noEnv)
			if err == nil {
				t.Fatal("accepted")
			}
			if got := problemsOf(err); !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// Every value of the wrong type, out of range or with a letter that breaks something is one
// problem, on one line that names its path, whichever field it is in.
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
		path, key, json string // with %s for the value
		bad             []string
	}{
		{"tenants", "tenants", `%s`, noObject},
		{"tenants.a", "tenants", `{"a":%s,"b":{}}`, noObject},
		{"tenants.a.role", "tenants", `{"a":{"role":%s}}`, noName},
		{"tenants.a.schema", "tenants", `{"a":{"schema":%s}}`, noName},
		{"tenants.a.connectionLimit", "tenants", `{"a":{"connectionLimit":%s}}`, noInteger},
		{"tenants.a.passwordVersion", "tenants", `{"a":{"passwordVersion":%s}}`, append([]string{`0`, `-1`}, noInteger...)},
		{"tenants.a.suspended", "tenants", `{"a":{"suspended":%s}}`, noFlag},
		{"tenants.a.retire", "tenants", `{"a":{"retire":%s}}`, noRetirement},
		{"tenants.a.adopt", "tenants", `{"a":{"adopt":%s}}`, noFlag},
		{"tenants.a.logins", "tenants", `{"a":{"logins":%s}}`, noObject},
		{"tenants.a.logins.active", "tenants", `{"a":{"logins":{"active":%s}}}`, noName},
		{"tenants.a.logins.roleLogin", "tenants", `{"a":{"logins":{"active":"a","roleLogin":%s}}}`, noFlag},
		{"tenants.a.logins.b", "tenants", `{"a":{"logins":{"active":"a","b":%s}}}`, noObject},
		{"roles.admin.logins.a.passwordVersion", "roles", `{"admin":{"logins":{"active":"a","a":{"passwordVersion":%s}}}}`, noInteger},
		{"roles", "roles", `%s`, noObject},
		{"roles.app", "roles", `{"app":%s}`, noObject},
		{"roles.app.name", "roles", `{"app":{"name":%s}}`, noName},
		{"roles.app.bypassRowLevelSecurity", "roles", `{"app":{"bypassRowLevelSecurity":%s}}`, noFlag},
		{"roles.admin.loginName", "roles", `{"admin":{"loginName":%s}}`, noName},
		{"roles.admin.superuser", "roles", `{"admin":{"superuser":%s}}`, noFlag},
		{"roles.admin.connectionLimit", "roles", `{"admin":{"connectionLimit":%s}}`, noInteger},
		{"roles.allTenants.name", "roles", `{"allTenants":{"name":%s}}`, noName},
		{"readers", "readers", `%s`, noObject},
		{"readers.analyst", "readers", `{"analyst":%s}`, noObject},
		{"readers.analyst.name", "readers", `{"analyst":{"name":%s}}`, noName},
	} {
		for _, value := range test.bad {
			tried++
			_, err := Load(valuesOf(`{}`, map[string]string{test.key: strings.Replace(test.json, "%s", value, 1)}), noEnv)
			if err == nil {
				t.Errorf("%s accepts %s", test.path, value)
				continue
			}
			if lines := problemsOf(err); len(lines) != 1 || !strings.HasPrefix(lines[0], test.path+": ") || !strings.Contains(lines[0], " is not accepted; give ") {
				t.Errorf("%s with %s: %v", test.path, value, err)
			}
		}
	}
	if tried < 300 {
		t.Errorf("only %d bad values", tried)
	}
}

// Names and tenants are exported in plain text, so a secret among them would become public. No error
// contains a value that is secret, whichever key it is.
func TestSecretsAreNotShown(t *testing.T) {
	for key, test := range map[string]struct{ value, want string }{
		"tenant-permissions:tenants":  {`{"acme":{"role":"hushhush!"}}`, "tenants: the value is secret; set it without --secret, because the outputs show its names in plain text"},
		"tenant-permissions:hushhush": {`{}`, "hushhush: the value is secret"},
		"postgresql:database":         {`hush hush hushhush`, "postgresql:database: the secret value is not accepted; give "},
		"postgresql:username":         {`all_tenants`, "roles.allTenants.name: this is the user that the provider connects as"},
	} {
		values := valuesOf(`{"a":{}}`, nil)
		values[key] = Value{Value: test.value, Secret: true}
		_, err := Load(values, noEnv)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), test.value) || strings.Contains(err.Error(), "hushhush!") {
			t.Errorf("%s: got error %v, want %s", key, err, test.want)
		}
	}
}

func TestDatabase(t *testing.T) {
	values := valuesOf(`{}`, nil)
	delete(values, "postgresql:database")
	if _, err := Load(values, noEnv); err == nil || !strings.Contains(err.Error(), "postgresql:database: missing; give the name") {
		t.Errorf("no database: got error %v", err)
	}
	if cfg, err := Load(values, envOf("PGDATABASE", "from-env")); err != nil || cfg.Database != "from-env" {
		t.Errorf("got the database %q and error %v, want from-env of PGDATABASE", cfg.Database, err)
	}
	if _, err := Load(values, envOf("PGDATABASE", "a#b")); err == nil || !strings.Contains(err.Error(), `PGDATABASE: "a#b" is not accepted; give `) {
		t.Errorf("a bad PGDATABASE: got error %v", err)
	}
}

// envOf is an environment of one variable.
func envOf(name, value string) func(string) (string, bool) {
	return func(asked string) (string, bool) {
		if asked != name {
			return "", false
		}
		return value, true
	}
}

func TestConnectingUserFromEnvironment(t *testing.T) {
	_, err := Load(valuesOf(`{}`, nil), envOf("PGUSER", "app_service_role"))
	if err == nil || !strings.Contains(err.Error(), "roles.app.name: this is the user that the provider connects as; choose another name") {
		t.Errorf("got error %v", err)
	}
}

// Whether alternating logins exist, which one is active and who can log in is said by keys with values.
// A project of another name puts keys without a namespace where the program does not look.
func TestKeysInTheNamespaceOfTheProject(t *testing.T) {
	values := valuesOf(`{}`, map[string]string{"acme-db:protectTenants": "false", "acme-db:other": "x", "postgresql:host": "x"})
	for project, want := range map[string][]string{
		"acme-db":            {"acme-db:protectTenants: the program does not read this key; use tenant-permissions:protectTenants"},
		"tenant-permissions": nil,
		"postgresql":         nil,
		"":                   nil,
	} {
		_, err := Load(values, func(name string) (string, bool) { return project, name == "PULUMI_PROJECT" && project != "" })
		if want == nil && err == nil {
			continue
		}
		if err == nil || !slices.Equal(problemsOf(err), want) {
			t.Errorf("project %q: got %v, want %q", project, err, want)
		}
	}
}

func TestAlternatingLogins(t *testing.T) {
	login := func(name string, canLogin bool, passwordVersion int) Login {
		return Login{Name: name, CanLogin: canLogin, Limits: noLimits(), PasswordVersion: passwordVersion, Active: name}
	}
	for config, want := range map[string]Login{
		`{}`: login("tenant_x", true, 1),
		`{"logins":{"active":"b","a":{"passwordVersion":3}},"passwordVersion":2}`: {
			Name: "tenant_x", Limits: noLimits(), PasswordVersion: 2, Active: "tenant_x_b",
			Alternating: []Login{login("tenant_x_a", true, 3), login("tenant_x_b", true, 1)},
		},
		`{"logins":{"active":"a","roleLogin":true}}`: {
			Name: "tenant_x", CanLogin: true, Limits: noLimits(), PasswordVersion: 1, Active: "tenant_x_a",
			Alternating: []Login{login("tenant_x_a", true, 1), login("tenant_x_b", true, 1)},
		},
		`{"logins":{"active":"a","roleLogin":true},"suspended":true}`: {
			Name: "tenant_x", Limits: noLimits(), PasswordVersion: 1, Active: "tenant_x_a",
			Alternating: []Login{login("tenant_x_a", false, 1), login("tenant_x_b", false, 1)},
		},
	} {
		cfg, err := Load(valuesOf(`{"x":`+config+`}`, nil), noEnv)
		if got := cfg.Tenants["x"].Login; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", config, got, err, want)
		}
	}
}

// Limits of tenants come from tenantDefaults where a tenant has none. Agents have their own.
func TestLimits(t *testing.T) {
	cfg, err := Load(valuesOf(`{"x":{"agents":{"chat":{"connectionLimit":3}}},"y":{"statementTimeout":0,"connectionLimit":-1,"executeFunctions":false,"logins":{"active":"a"}}}`, map[string]string{
		"tenantDefaults": `{"connectionLimit":20,"statementTimeout":"1min","idleInTransactionSessionTimeout":"10s","executeFunctions":true}`,
	}), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	x, y := cfg.Tenants["x"], cfg.Tenants["y"]
	yLimits := Limits{ConnectionLimit: -1, IdleInTransactionSessionTimeout: 10_000}
	for what, limits := range map[string][2]Limits{
		"x":       {x.Login.Limits, {ConnectionLimit: 20, StatementTimeout: 60_000, IdleInTransactionSessionTimeout: 10_000}},
		"x, chat": {x.Agents["chat"].Limits, {ConnectionLimit: 3}},
		"y":       {y.Login.Limits, yLimits},
		"y_a":     {y.Login.Alternating[0].Limits, yLimits},
		"app":     {cfg.App.Limits, noLimits()},
	} {
		if limits[0] != limits[1] {
			t.Errorf("%s: got %+v, want %+v", what, limits[0], limits[1])
		}
	}
	if !x.ExecuteFunctions || y.ExecuteFunctions {
		t.Errorf("executeFunctions: x %t, y %t", x.ExecuteFunctions, y.ExecuteFunctions)
	}
}

// An agent logs in unless it, or its tenant, may not.
func TestAgents(t *testing.T) {
	cfg, err := Load(valuesOf(`{"x":{"agents":{"chat":{},"sql":{"name":"sql","suspended":true}}},"y":{"suspended":true,"agents":{"chat":{}}},"z":{"retire":"keep","agents":{"chat":{"logins":{"active":"a"}}}}}`, nil), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tenant, agent, name string
		canLogin            bool
	}{{"x", "chat", "tenant_x_chat", true}, {"x", "sql", "sql", false}, {"y", "chat", "tenant_y_chat", false}, {"z", "chat", "tenant_z_chat", false}} {
		agent := cfg.Tenants[c.tenant].Agents[c.agent]
		if agent.Name != c.name || agent.CanLogin != c.canLogin {
			t.Errorf("%s, %s: got %+v", c.tenant, c.agent, agent)
		}
	}
	if alternating := cfg.Tenants["z"].Agents["chat"].Alternating; alternating[0].CanLogin || alternating[1].CanLogin {
		t.Error("an agent of a retired tenant can log in")
	}
	if role := cfg.Tenants["x"].AgentsRole; role != "tenant_x_agents" {
		t.Errorf("the group role is %s", role)
	}
	for name, path := range map[string]string{"tenant_x_agents": "tenants.x.agents", "sql": "tenants.x.agents.sql.name", "tenant_z_chat_b": "tenants.z.agents.chat.logins.b"} {
		if got := Names(cfg)[name]; got != path {
			t.Errorf("%s is claimed by %q", name, got)
		}
	}
}

// A time is the same whatever the zone it is given in.
func TestValidUntil(t *testing.T) {
	for _, text := range []string{"2030-12-31T18:00:00Z", "2030-12-31T19:00:00+01:00"} {
		cfg, err := Load(valuesOf(`{}`, map[string]string{"readers": `{"oncall":{"validUntil":"` + text + `","logins":{"active":"a"}}}`}), noEnv)
		oncall := cfg.Readers["oncall"]
		want := time.Date(2030, 12, 31, 18, 0, 0, 0, time.UTC)
		if err != nil || oncall.ValidUntil != want || oncall.Alternating[1].ValidUntil != want {
			t.Errorf("%s: got %+v, %v", text, oncall, err)
		}
	}
}

func TestFromEnvironment(t *testing.T) {
	if values, err := FromEnvironment(noEnv); err != nil || len(values) != 0 {
		t.Errorf("no variables: got %v, %v", values, err)
	}
	for _, name := range []string{"PULUMI_CONFIG", "PULUMI_CONFIG_SECRET_KEYS"} {
		_, err := FromEnvironment(envOf(name, "hushhush"))
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hushhush") {
			t.Errorf("%s: got error %v", name, err)
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
		f.Add(bad.tenants, bad.roles)
	}
	f.Add(`{"acme":{}}`, `{"app":{},"analyst":{}}`)
	f.Add(strings.Repeat(`{"a":`, 20000), `{"a":`+strings.Repeat(`[`, 20000)+strings.Repeat(`]`, 20000)+`}`)
	f.Fuzz(func(t *testing.T, tenants, others string) {
		for _, key := range []string{"roles", "readers"} {
			cfg, err := Load(valuesOf(tenants, map[string]string{key: others}), noEnv)
			if err != nil {
				if len(problemsOf(err)) == 0 || problemsOf(err)[0] == "" {
					t.Errorf("no list of problems: %v", err)
				}
				continue
			}
			names := Names(cfg)
			taken := 5
			for _, login := range slices.Concat(slices.Collect(maps.Values(cfg.Readers)), []Login{cfg.App, cfg.Admin.Login}) {
				taken += len(login.Alternating)
			}
			taken += len(cfg.Readers)
			for _, tenant := range cfg.Tenants {
				taken += 1 + len(tenant.Login.Alternating)
				if tenant.Schema != tenant.Login.Name {
					taken++
				}
			}
			if len(names) != taken {
				t.Errorf("%d names of %d: %v", len(names), taken, names)
			}
			for name := range names {
				if !ValidName(name) {
					t.Errorf("bad name %q of %s", name, names[name])
				}
			}
		}
	})
}
