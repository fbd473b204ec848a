package review

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// agentRole is the role of the agent chat of acme, with these inputs beyond the wanted ones.
func agentRole(extra map[string]any) map[string]any {
	inputs := map[string]any{
		"name": "tenant_acme_chat", "login": true, "password": "[secret]", "connectionLimit": -1, "bypassRowLevelSecurity": false,
		"roles": []string{"all", "tenant_acme_agents"}, "searchPaths": []string{"tenant_acme"},
	}
	maps.Copy(inputs, extra)
	return resource(typeRole, "acme-agent-chat-role", "acme", inputs)
}

func agentPassword() map[string]any {
	return resource(typePassword, "acme-agent-chat-password", "acme", map[string]any{"length": 32, "special": false, "keepers": map[string]any{}})
}

// reader is the role of the reader analyst.
func reader(extra map[string]any) map[string]any {
	inputs := map[string]any{
		"name": "analyst", "login": true, "password": "[secret]", "connectionLimit": -1, "bypassRowLevelSecurity": false,
		"roles": []string{"app"}, "searchPaths": []string{"pg_catalog"}, "validUntil": "infinity",
	}
	maps.Copy(inputs, extra)
	return resource(typeRole, "analyst-role", "", inputs)
}

// becomes is a step on a resource that is another one afterwards.
func becomes(op string, before, after map[string]any, properties ...string) map[string]any {
	s := on(op, after, properties...)
	s["oldState"] = before
	return s
}

func extension(extra map[string]any) map[string]any {
	inputs := map[string]any{"name": "cube", "database": "db", "schema": "extensions", "createCascade": true, "dropCascade": false}
	maps.Copy(inputs, extra)
	return resource(typeExtension, "extension-cube", "", inputs)
}

func onFunctions(typ, name, objectType string, privileges ...string) map[string]any {
	inputs := map[string]any{"database": "db", "objectType": objectType, "schema": "tenant_acme", "role": "tenant_acme", "privileges": privileges}
	if typ == typeDefaultPrivileges {
		inputs["owner"] = "admin"
	}
	return resource(typ, "acme-"+name, "acme", inputs)
}

// What looks like a known change and is not exactly that is listed as it is.
func TestFeatures(t *testing.T) {
	const expires = `{"analyst": {"validUntil": "2040-01-01T01:00:00+01:00", "connectionLimit": 2}}`
	newAgent := func(extra map[string]any) []map[string]any {
		return []map[string]any{on("create", agentRole(extra)), on("create", agentPassword())}
	}
	for name, test := range map[string]struct {
		config       map[string]string // by key
		steps        []map[string]any
		want, unwant string
	}{
		"an agent that is a member of more": {
			nil, newAgent(map[string]any{"roles": []string{"all", "tenant_acme_agents", "app"}}),
			"acme-agent-chat-role: create Role of tenant acme: ", "new login",
		},
		"or of another tenant's agents": {
			nil, newAgent(map[string]any{"roles": []string{"all", "tenant_globex_agents"}}),
			"roles [all tenant_globex_agents]", "new login",
		},
		"or searches elsewhere": {
			nil, newAgent(map[string]any{"searchPaths": []string{"public"}}),
			"searchPaths [public]", "new login",
		},
		"an agent whose tenant's agents have no privileges yet": {
			nil, newAgent(nil),
			"acme: new login tenant_acme_chat; it has other privileges than agents have", "Other changes",
		},
		"an agent that writes": {
			nil,
			[]map[string]any{on("create", resource(typeGrant, "acme-agents-on-tables", "acme", map[string]any{
				"database": "db", "objectType": "table", "schema": "tenant_acme", "role": "tenant_acme_agents", "privileges": []string{"SELECT", "INSERT"},
			}))},
			"acme-agents-on-tables: create Grant of tenant acme: ", "reads schema",
		},
		"an agent that is replaced": {
			nil,
			[]map[string]any{on("replace", agentRole(nil), "name")},
			"acme: REPLACED: role tenant_acme_chat is dropped and created again, ", "Other changes",
		},
		"by one that is more": {
			nil,
			[]map[string]any{on("replace", agentRole(map[string]any{"superuser": true}), "name")},
			"acme-agent-chat-role: replace Role of tenant acme: ", "Repaired",
		},
		"the group role of agents logs in": {
			nil,
			[]map[string]any{on("create", resource(typeRole, "acme-agents", "acme", map[string]any{"name": "tenant_acme_agents", "login": true}))},
			"acme-agents: create Role of tenant acme: login true", "created again",
		},
		"the group role goes, its agents stay": {
			nil,
			[]map[string]any{on("delete", resource(typeRole, "acme-agents", "acme", map[string]any{"name": "tenant_acme_agents", "login": false}))},
			"acme: role tenant_acme_agents, the group role of the tenant's agents, is dropped", "Other changes",
		},
		"a tenant's agent gets a timeout": {
			nil,
			[]map[string]any{becomes("update", agentRole(map[string]any{"statementTimeout": 90_000}), agentRole(map[string]any{"statementTimeout": 7_200_000}), "statementTimeout")},
			"acme: the statement timeout of tenant_acme_chat changes from 90s to 2h", "Other changes",
		},
		"functions on one side only": {
			nil,
			[]map[string]any{on("create", onFunctions(typeGrant, "on-functions", "routine", "EXECUTE"))},
			"acme-on-functions: create Grant of tenant acme: ", "Functions",
		},
		"functions": {
			nil,
			[]map[string]any{on("create", onFunctions(typeGrant, "on-functions", "routine", "EXECUTE")), on("create", onFunctions(typeDefaultPrivileges, "functions", "function", "EXECUTE"))},
			"acme: tenant_acme executes the functions of schema tenant_acme, existing and later ones", "Other changes",
		},
		"privileges that somebody changed": {
			nil,
			[]map[string]any{on("update", onFunctions(typeGrant, "on-functions", "routine", "EXECUTE"), "privileges")},
			"acme: tenant_acme has EXECUTE on each routine of schema tenant_acme again", "Other changes",
		},
		"an expiry, and a limit with it": {
			map[string]string{"readers": expires},
			[]map[string]any{becomes("replace", reader(nil), reader(map[string]any{"validUntil": "2040-01-01 00:00:00Z", "connectionLimit": 2}))},
			"analyst: the connection limit of analyst changes from none to 2\n" +
				"  analyst: the expiry of the password of analyst changes from never to 2040-01-01 00:00:00Z; ", "REPLACED",
		},
		"an expiry that is not that of the config": {
			map[string]string{"readers": expires},
			[]map[string]any{becomes("replace", reader(nil), reader(map[string]any{"validUntil": "2099-01-01 00:00:00Z"}))},
			"analyst-role: replace Role: ", "the expiry",
		},
		"an expiry and an attribute": {
			map[string]string{"readers": expires},
			[]map[string]any{becomes("replace", reader(nil), reader(map[string]any{"validUntil": "2040-01-01 00:00:00Z", "bypassRowLevelSecurity": true}))},
			"bypassRowLevelSecurity true", "the expiry",
		},
		"a reader that is replaced for another reason": {
			map[string]string{"readers": expires},
			[]map[string]any{with(becomes("replace", reader(nil), reader(map[string]any{"validUntil": "2040-01-01 00:00:00Z"})), "replaceReasons", []string{"x"})},
			"analyst: REPLACED: role analyst is dropped", "the expiry",
		},
		"an extension that nobody configured": {
			nil,
			[]map[string]any{on("create", extension(nil))},
			"extension-cube: create Extension: ", "Extensions",
		},
		"an extension elsewhere": {
			map[string]string{"extensions": `{"cube": {}}`},
			[]map[string]any{on("create", extension(map[string]any{"schema": "public"}))},
			"schema public", "Extensions",
		},
		"an extension of another version": {
			map[string]string{"extensions": `{"cube": {"version": "1.4"}}`},
			[]map[string]any{on("create", extension(map[string]any{"version": "1.5"}))},
			"version 1.5", "Extensions",
		},
		"an extension that is replaced": {
			map[string]string{"extensions": `{"cube": {}}`},
			[]map[string]any{on("replace", extension(nil), "database")},
			"cube: REPLACED: extension cube is dropped and created again; the run fails if anything uses it", "Other changes",
		},
		"an extension that goes with what uses it": {
			nil,
			[]map[string]any{on("delete", extension(map[string]any{"dropCascade": true}))},
			"extension-cube: delete Extension: ", "Extensions",
		},
		"a schema of extensions that goes with all in it": {
			nil,
			[]map[string]any{on("delete", resource(typeSchema, "extension-schema", "", map[string]any{"name": "extensions", "dropCascade": true}))},
			"extension-schema: delete Schema: dropCascade true", "Extensions",
		},
		"a schema of extensions of somebody else": {
			map[string]string{"extensions": `{"cube": {}}`},
			[]map[string]any{on("create", resource(typeSchema, "extension-schema", "", map[string]any{"name": "extensions", "database": "db", "owner": "app"}))},
			"owner app", "Extensions",
		},
		"a search path without the extensions": {
			map[string]string{"extensions": `{"cube": {}}`},
			[]map[string]any{on("update", agentRole(nil), "searchPaths")},
			"acme-agent-chat-role: update Role of tenant acme: searchPaths [tenant_acme]", "Extensions",
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := map[string]string{"postgresql:database": "db", "tenant-permissions:tenants": `{"acme": {"agents": {"chat": {}}}}`}
			for key, value := range test.config {
				config["tenant-permissions:"+key] = value
			}
			got, err := reviewed(t, previewOf(t, config, test.steps...), "text")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got, test.want) || strings.Contains(got, test.unwant) {
				t.Errorf("got\n%s\nwant in it: %s\nnot in it: %s", got, test.want, test.unwant)
			}
		})
	}
}

func with(s map[string]any, key string, value any) map[string]any {
	s[key] = value
	return s
}

// Another text anywhere in a resource that is created shows in the summary.
func TestEveryValueShows(t *testing.T) {
	tried := 0
	for name, record := range records(t) {
		var p struct{ Steps []*step }
		if err := json.Unmarshal(record, &p); err != nil {
			t.Fatal(err)
		}
		before, err := reviewed(t, record, "text")
		if err != nil && !errors.As(err, &Refusal{}) {
			t.Fatal(err)
		}
		for i, original := range p.Steps {
			if original.Op != "create" || original.NewState.Type == typePassword {
				continue
			}
			for property, value := range original.NewState.Inputs {
				var other any
				switch value := value.(type) {
				case string:
					other = "surprise"
				case []any:
					other = append(slices.Clone(value), "surprise")
				case bool:
					other = !value
				}
				if other == nil || property == "password" {
					continue
				}
				mutated, state := *original, *original.NewState
				state.Inputs = maps.Clone(state.Inputs)
				state.Inputs[property] = other
				mutated.NewState = &state
				var whole map[string]any
				if err := json.Unmarshal(record, &whole); err != nil {
					t.Fatal(err)
				}
				all := slices.Clone(p.Steps)
				all[i] = &mutated
				whole["steps"] = all
				got, err := reviewed(t, encode(t, whole), "text")
				if err != nil && !errors.As(err, &Refusal{}) {
					t.Fatal(err)
				}
				if got == before {
					t.Errorf("%s: another %s of %s is silent", name, property, original.URN)
				}
				tried++
			}
		}
	}
	if tried < 300 {
		t.Errorf("only %d mutations", tried)
	}
}

func TestDuration(t *testing.T) {
	for timeout, want := range map[any]string{
		nil: "none", 0.0: "none", 1.0: "1ms", 1500.0: "1500ms", 90_000.0: "90s", 60_000.0: "1min", 7_200_000.0: "2h", 172_800_000.0: "2d", 1.5: "1.5", "x": "x",
	} {
		if got := duration(timeout); got != want {
			t.Errorf("%v: got %s, want %s", timeout, got, want)
		}
	}
}
