package audit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tenant-permissions/tools/connect"
)

// stack are the outputs of a stack with one tenant, changed by the test.
func stack(change func(record)) string {
	outputs := record{
		"outputs_version": 1, "database_name": "postgres",
		"app_service_role_name": "app", "admin_service_role_name": "admin", "all_tenants_role_name": "everyone", "all_tenants_admin_role_name": "everyone_admin",
		"role_names": record{"app": "app", "admin": "admin"}, "login_names": record{"app": "app", "admin": "admin_login"},
		"tenant_role_names": record{"acme": "tenant_acme"}, "tenant_login_names": record{"acme": "tenant_acme"}, "tenant_schema_names": record{"acme": "tenant_acme"},
		"retired_role_names": record{}, "passwords": "[secret]",
	}
	change(outputs)
	encoded, err := json.Marshal(outputs)
	if err != nil {
		panic(err) // a mistake in the test
	}
	return string(encoded)
}

type record = map[string]any

// All problems of the arguments and the outputs are reported at once, before the tool connects.
func TestBadInput(t *testing.T) {
	for _, test := range []struct {
		name     string
		files    []string
		want     []string
		database string // PGDATABASE
	}{
		{name: "no file", want: []string{"--outputs is missing"}},
		{name: "no JSON", files: []string{"Outputs:"}, want: []string{"0.json is not what `pulumi stack output --json` prints"}},
		{
			name: "other shapes",
			files: []string{stack(func(o record) {
				o["tenant_role_names"] = []string{}
				o["app_service_role_name"] = 1
				o["role_names"] = nil
			})},
			want: []string{
				"0.json: tenant_role_names: [] is not accepted; give the outputs of a deployed stack, which have names by key here", "0.json: app_service_role_name: 1 is not accepted; give the outputs of a deployed stack, which have a name here",
				"0.json: role_names: missing; give the outputs of a deployed stack, which have names by key here",
			},
		},
		{
			name:  "missing outputs",
			files: []string{stack(func(o record) { delete(o, "login_names"); o["outputs_version"] = 2; o["database_name"] = "" })},
			want:  []string{"0.json: outputs_version: 2 is not accepted; this tool reads version 1", `0.json: database_name: "" is not accepted; give the outputs of a deployed stack, which have a name here`, "0.json: login_names: missing; give the outputs of a deployed stack, which have names by key here"},
		},
		{
			name: "outputs that do not fit each other",
			files: []string{stack(func(o record) {
				o["tenant_schema_names"] = record{"acme": "tenant_acme", "globex": "tenant_globex", "hooli": "tenant_hooli"}
				o["tenant_role_names"] = record{"acme": "tenant_acme", "hooli": "tenant_hooli", "initech": "tenant_initech"}
				o["tenant_login_names"], o["retired_role_names"] = record{"acme": "tenant_acme"}, record{"acme": "tenant_acme"}
			})},
			want: []string{
				"0.json: retired_role_names.globex: missing, although tenant_role_names does not have the tenant; deploy the stack, then write its outputs again",
				"0.json: tenant_login_names.hooli: missing, although tenant_role_names has the tenant;",
				`0.json: retired_role_names.acme: "tenant_acme" is the role of a tenant that tenant_role_names has, so it is not retired;`,
				`0.json: tenant_role_names.initech: "tenant_initech" is of a tenant that tenant_schema_names does not have;`,
			},
		},
		{
			name: "agents and databases that do not fit the tenants",
			files: []string{stack(func(o record) {
				o["tenant_agent_login_names"], o["tenant_agents_role_names"] = record{"acme": record{"chat": "acme_chat"}}, record{"globex": "tenant_globex_agents"}
				o["tenant_database_names"] = record{"acme": "postgres", "hooli": "hooli_db"}
			})},
			want: []string{
				"0.json: tenant_agents_role_names.acme: missing, although tenant_agent_login_names has agents of the tenant;",
				`0.json: tenant_agents_role_names.globex: "tenant_globex_agents" is of a tenant that tenant_schema_names does not have;`,
				`0.json: tenant_database_names.hooli: "hooli_db" is of a tenant that tenant_schema_names does not have;`,
			},
		},
		{
			name: "other shapes of the newer outputs",
			files: []string{stack(func(o record) {
				o["extension_schema_name"], o["tenant_agent_login_names"], o["login_limits"] = 1, record{"acme": "acme_chat"}, []string{}
			})},
			want: []string{
				"0.json: extension_schema_name: 1 is not accepted; give the outputs of a deployed stack, which have a name, or an empty text here",
				"which have names by tenant and agent here", "which have the limits of logins by name here",
			},
		},
		{
			name: "two stacks",
			files: []string{
				stack(func(o record) {
					o["role_names"], o["login_names"] = record{"analyst": "analyst"}, record{"analyst": "analyst"}
				}),
				stack(func(o record) {
					o["role_names"], o["login_names"] = record{"analyst": "other"}, record{"analyst": "analyst"}
					o["database_name"] = "other"
				}),
			},
			want: []string{
				`1.json: database_name: "other" is not "postgres", which the files before have; give only stacks of one database and one platform`,
				`0.json has the tenant "acme" already; give each stack once`,
				`1.json: role_names.analyst: "other" is not "analyst", which the files before have; give only stacks of one platform`,
			},
		},
		{name: "another database", files: []string{stack(func(record) {})}, database: "other", want: []string{`PGDATABASE is "other", but the outputs are of the database "postgres"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("PGDATABASE", test.database)
			dir := t.TempDir()
			source := connect.Source{Timeout: time.Minute}
			for i, text := range test.files {
				file := filepath.Join(dir, fmt.Sprint(i, ".json"))
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				source.Outputs = append(source.Outputs, file)
			}
			err := Run(t.Context(), &source, Options{Format: "text"}, t.Output())
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
			}
		})
	}
}

// A cell that has not run since the platform has changed has fewer outputs of the shared roles, or older
// ones, and is accepted.
func TestStacks(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for i, text := range []string{
		stack(func(o record) {
			delete(o, "outputs_version")
			delete(o, "role_names")
			delete(o, "retired_role_names")
			o["login_names"] = record{"app": "app", "admin": "admin_login", "analyst": "analyst"}
		}),
		stack(func(o record) {
			o["role_names"] = record{"app": "app", "admin": "admin", "analyst": "analyst", "dashboard": "board"}
			o["login_names"] = record{"app": "app_b", "admin": "admin_login", "analyst": "analyst", "dashboard": "board_a"}
			o["tenant_schema_names"], o["retired_role_names"] = record{"globex": "globex", "hooli": "tenant_hooli"}, record{"globex": "tenant_globex"}
			o["tenant_role_names"], o["tenant_login_names"] = record{"hooli": "tenant_hooli"}, record{"hooli": "tenant_hooli"}
			o["tenant_database_names"] = record{"globex": "postgres", "hooli": "hooli_db"}
			o["tenant_agent_login_names"], o["tenant_agents_role_names"] = record{"hooli": record{"chat": "hooli_chat_b"}}, record{"hooli": "tenant_hooli_agents"}
			o["extension_schema_name"], o["extension_versions"] = "extensions", record{"cube": "1.5"}
			o["login_limits"] = record{"board": record{"connectionLimit": 3, "statementTimeout": 1000, "idleInTransactionSessionTimeout": 0, "validUntil": "2030-01-01T00:00:00Z"}}
		}),
	} {
		file := filepath.Join(dir, fmt.Sprint(i, ".json"))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	got, err := readStacks(&connect.Source{Outputs: files}, false)
	if err != nil {
		t.Fatal(err)
	}
	want := declared{
		database: "postgres", app: "app", admin: "admin", allTenants: "everyone", allTenantsAdmin: "everyone_admin",
		readers: map[string]string{"analyst": "analyst", "dashboard": "board"},
		logins:  map[string][]string{"app": {"app", "app_b"}, "admin": {"admin_login"}, "analyst": {"analyst"}, "dashboard": {"board_a"}},
		tenants: []Tenant{
			{Key: "acme", Role: "tenant_acme", Login: "tenant_acme", Schema: "tenant_acme", Stack: files[0]},
			{Key: "globex", Retired: "tenant_globex", Schema: "globex", Stack: files[1]},
			{
				Key: "hooli", Role: "tenant_hooli", Login: "tenant_hooli", Schema: "tenant_hooli", Stack: files[1], Database: "hooli_db",
				Agents: map[string]string{"chat": "hooli_chat_b"}, AgentsRole: "tenant_hooli_agents",
			},
		},
		extensionSchema: "extensions", extensions: map[string]string{"cube": "1.5"},
		limits: map[string]limits{"board": {ConnectionLimit: 3, StatementTimeout: 1000, ValidUntil: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
