package review

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden summaries anew")

// reviewed is a summary of a preview that is allowed to remove all tenants.
func reviewed(t *testing.T, p []byte, format string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Run(bytes.NewReader(p), format, 9999, &out)
	return out.String(), err
}

// records are the previews of real runs: tests/review_test.go records them.
func records(t *testing.T) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) < 8 {
		t.Fatalf("got %d records, %v", len(paths), err)
	}
	found := map[string][]byte{}
	for _, path := range paths {
		if found[strings.TrimSuffix(filepath.Base(path), ".json")], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// golden fails unless the file has the text.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

func TestRecords(t *testing.T) {
	for name, record := range records(t) {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := Run(bytes.NewReader(record), "text", 0, &out)
			golden(t, "testdata/"+name+".txt", out.String())
			refused := strings.Contains(out.String(), "DO NOT DEPLOY")
			if errors.As(err, &Refusal{}) != refused {
				t.Errorf("got error %v, refused in the text: %v", err, refused)
			}
			if name == "changes" || name == "protected" {
				md, err := reviewed(t, record, "markdown")
				if (err == nil) != (name == "changes") {
					t.Errorf("got error %v", err)
				}
				golden(t, "testdata/"+name+".md", md)
			}
			if found := regexp.MustCompile(`/(root|home|tmp|usr|work|Users)/|SCRAM-SHA-256\$|"ciphertext"`).Find(record); found != nil {
				t.Errorf("the record has %s in it", found)
			}
		})
	}
}

// Whatever is done to a record's steps that no sentence is about shows under other changes.
func TestNothingIsSilent(t *testing.T) {
	tried := 0
	for name, record := range records(t) {
		var p struct{ Steps []*step }
		if err := json.Unmarshal(record, &p); err != nil {
			t.Fatal(err)
		}
		for i, original := range p.Steps {
			kind := original.last().Type
			if kind == typeStack || kind == typeTenant || !slices.Contains([]string{"create", "update", "replace", "delete"}, original.Op) {
				continue
			}
			for what, change := range map[string]func(*step){
				"property": func(s *step) {
					if s.Op == "delete" {
						s.Op = "discard"
						return
					}
					s.DiffReasons = append(s.DiffReasons, "surprise")
					inputs := map[string]any{}
					maps.Copy(inputs, s.NewState.Inputs)
					inputs["surprise"] = true
					changed := *s.NewState
					s.NewState, changed.Inputs = &changed, inputs
				},
				"operation": func(s *step) { s.Op = "import" },
			} {
				mutated := *original
				change(&mutated)
				all := slices.Clone(p.Steps)
				all[i] = &mutated
				var whole map[string]any
				if err := json.Unmarshal(record, &whole); err != nil {
					t.Fatal(err)
				}
				whole["steps"] = all
				got, err := reviewed(t, encode(t, whole), "text")
				if err != nil && !errors.As(err, &Refusal{}) {
					t.Fatal(err)
				}
				_, others, _ := strings.Cut(got, headings()[other].String())
				if !strings.Contains(others, "surprise") && !strings.Contains(others, "import ") && !strings.Contains(others, "discard ") {
					t.Errorf("%s: another %s of %s is silent", name, what, original.URN)
				}
				tried++
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d mutations", tried)
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const urn = "urn:pulumi:prod::tenant-permissions::"

// resource is a step's state: of a tenant if the parent is its key, else of the stack.
func resource(typ, name, tenant string, inputs map[string]any) map[string]any {
	parent := urn + typeStack + "::tenant-permissions-prod"
	if tenant != "" {
		parent = urn + typeTenant + "::" + tenant
	}
	return map[string]any{"urn": urn + typ + "::" + name, "type": typ, "parent": parent, "inputs": inputs}
}

// component is the component of a tenant.
func component(key string) map[string]any { return resource(typeTenant, key, "", nil) }

// on is a step on a resource that was and is to be the same but for the properties.
func on(op string, state map[string]any, properties ...string) map[string]any {
	s := map[string]any{"op": op, "urn": state["urn"], "diffReasons": properties}
	if op != "create" {
		s["oldState"] = state
	}
	if op != "delete" {
		s["newState"] = state
	}
	return s
}

// protects is the step with protection that begins.
func protects(s map[string]any) map[string]any {
	after := maps.Clone(s["newState"].(map[string]any))
	after["protect"] = true
	s["newState"] = after
	return s
}

func previewOf(t *testing.T, config map[string]string, steps ...map[string]any) []byte {
	t.Helper()
	stack := resource(typeStack, "tenant-permissions-prod", "", nil)
	stack["outputs"] = map[string]any{
		"app_service_role_name": "app", "admin_service_role_name": "admin", "all_tenants_role_name": "all", "all_tenants_admin_role_name": "all_admin",
		"database_name": "db", "tenant_role_names": map[string]any{"acme": "tenant_acme"}, "tenant_schema_names": map[string]any{"acme": "tenant_acme"},
		"tenant_login_names": map[string]any{"acme": "tenant_acme_a"}, "login_names": map[string]any{"app": "app_b", "admin": "login", "analyst": "analyst_a"},
	}
	return encode(t, map[string]any{"config": config, "steps": append([]map[string]any{on("same", stack)}, steps...), "changeSummary": map[string]any{}})
}

func TestOddShapes(t *testing.T) {
	acme := func(extra map[string]any) map[string]any {
		inputs := map[string]any{
			"name": "tenant_acme", "login": true, "password": "[secret]", "connectionLimit": -1, "bypassRowLevelSecurity": false,
			"roles": []string{"all"}, "searchPaths": []string{"tenant_acme"},
		}
		maps.Copy(inputs, extra)
		return resource(typeRole, "acme-role", "acme", inputs)
	}
	itsSchema := resource(typeSchema, "acme-schema", "acme", map[string]any{"name": "tenant_acme", "database": "db", "owner": "admin", "dropCascade": false})
	withData := resource(typeSchema, "acme-schema", "acme", map[string]any{"name": "tenant_acme", "dropCascade": true})
	usage := func(privileges ...string) map[string]any {
		return resource(typeGrant, "acme-usage", "acme", map[string]any{"database": "db", "objectType": "schema", "schema": "tenant_acme", "role": "tenant_acme", "privileges": privileges})
	}
	for name, test := range map[string]struct {
		config string // of the tenants
		steps  []map[string]any
		want   []string
	}{
		"a role is replaced": {
			"",
			[]map[string]any{on("replace", acme(nil), "name")},
			[]string{"Replaced: 1", "acme: REPLACED: role tenant_acme is dropped and created again, without its privileges on existing tables"},
		},
		"and the parts of the replacement are shown": {
			"",
			[]map[string]any{on("create-replacement", acme(nil)), on("replace", acme(nil), "name"), on("delete-replaced", acme(nil))},
			[]string{"Stack prod\nReplaced: 1\n"},
		},
		"a schema is replaced": {
			"",
			[]map[string]any{on("replace", itsSchema, "database"), on("replace", usage("USAGE"))},
			[]string{"Stack prod\nReplaced: 1\n", "acme: REPLACED by an empty schema: schema tenant_acme is dropped if it is empty, otherwise the run fails"},
		},
		"with all data": {
			"",
			[]map[string]any{on("replace", withData, "database")},
			[]string{"acme: REPLACED by an empty schema: schema tenant_acme and ALL ITS DATA are dropped"},
		},
		"a shared role is replaced": {
			"",
			[]map[string]any{on("replace", resource(typeRole, "app-service-role", "", map[string]any{"name": "app"}), "name"), on("replace", resource(typeRole, "all-tenants", "", map[string]any{"name": "all"}), "name")},
			[]string{"Replaced: 2", "app: REPLACED: role app is dropped", "allTenants: REPLACED: role all is dropped"},
		},
		"a schema goes, its tenant stays": {
			"",
			[]map[string]any{on("delete", itsSchema)},
			[]string{"Tenants removed: 1", "acme: schema tenant_acme is dropped if it is empty, otherwise the run fails\n"},
		},
		"a tenant goes from the state only": {
			"",
			[]map[string]any{on("delete", component("acme"))},
			[]string{"acme: this stack no longer manages it; what is on the server stays"},
		},
		"a new tenant's role has more": {
			"",
			[]map[string]any{on("create", component("acme")), on("create", acme(map[string]any{"superuser": true}))},
			[]string{"Other changes: 1", "acme-role: create Role of tenant acme: ", "superuser true", "acme: new login tenant_acme; it has no privileges\n"},
		},
		"or is member of another": {
			"",
			[]map[string]any{on("create", component("acme")), on("create", acme(map[string]any{"roles": []string{"app"}}))},
			[]string{"Other changes: 1", "roles [app]"},
		},
		"or has more privileges": {
			"",
			[]map[string]any{on("create", component("acme")), on("create", acme(nil)), on("create", usage("USAGE", "CREATE"))},
			[]string{"Other changes: 1", "acme-usage: create Grant of tenant acme: ", "privileges [USAGE CREATE]"},
		},
		"a tenant goes with more than it came with": {
			"",
			[]map[string]any{on("delete", component("acme")), on("delete", itsSchema), on("delete", resource("postgresql:index/function:Function", "acme-role", "acme", nil))},
			[]string{"Tenants removed: 1", "acme-role: delete Function of tenant acme"},
		},
		"a membership nobody knows": {
			"",
			[]map[string]any{on("create", resource(typeGrantRole, "acme-reads-all", "acme", map[string]any{"role": "tenant_acme", "grantRole": "app"}))},
			[]string{"acme-reads-all: create GrantRole of tenant acme: grantRole app, role tenant_acme"},
		},
		"a tenant that comes while its role goes": {
			"",
			[]map[string]any{on("create", component("acme")), on("delete", acme(nil))},
			[]string{"acme-role: delete Role of tenant acme"},
		},
		"a type of another provider": {
			"",
			[]map[string]any{on("create", component("acme")), on("create", resource("other:index/role:Role", "acme-role", "acme", map[string]any{"name": "tenant_acme"}))},
			[]string{"Other changes: 1", "acme-role: create Role of tenant acme: name\n"},
		},
		"a schema that is protected": {
			"",
			[]map[string]any{protects(on("same", itsSchema))},
			[]string{"acme: the run fails if its key is removed from the config, unless retire: drop was deployed before; schema tenant_acme stays"},
		},
		"a setting": {
			"",
			[]map[string]any{on("update", acme(map[string]any{"searchPaths": []string{"other"}}), "searchPaths", "password")},
			[]string{"acme-role: update Role of tenant acme: searchPaths [other], was [other]\n", "acme: the password of tenant_acme is set again\n"},
		},
		"an update of nothing": {
			"",
			[]map[string]any{on("update", acme(nil))},
			[]string{"acme-role: update Role of tenant acme: unknown properties"},
		},
		"a resource of another kind": {
			"",
			[]map[string]any{on("create", resource("aws:s3/bucket:Bucket", "x", "", map[string]any{"acl": "value"}))},
			[]string{"x: create Bucket: acl\n"},
		},
		"a group role that goes": {
			"",
			[]map[string]any{on("delete", resource(typeRole, "all-tenants", "", map[string]any{"name": "all"}))},
			[]string{"allTenants: role all is dropped"},
		},
		"a database that is no longer closed": {
			"",
			[]map[string]any{on("delete", resource(typeGrant, "public-on-database-x", "", map[string]any{"objectType": "database", "database": "x"}))},
			[]string{"closedDatabases: the stack no longer closes database x to PUBLIC; PUBLIC does not get its privileges back"},
		},
		"a rotation without LOGIN": {`{"acme": {"suspended": true}}`, []map[string]any{
			on("replace", resource(typePassword, "acme-password", "acme", map[string]any{"length": 32, "special": false, "keepers": map[string]any{}}), "keepers"), on("update", acme(map[string]any{"login": false}), "password"),
		}, []string{"acme: new password for tenant_acme, which cannot log in"}},
		"a role with alternating logins no longer logs in itself": {
			`{"acme": {"logins": {"active": "a"}}}`,
			[]map[string]any{on("update", acme(map[string]any{"login": false}), "login")},
			[]string{"acme: tenant_acme itself can no longer log in; tenant_acme_a and tenant_acme_b can"},
		},
		"and logs in again": {
			`{"acme": {"logins": {"active": "a"}}}`,
			[]map[string]any{on("update", acme(nil), "login")},
			[]string{"acme: tenant_acme itself can log in again, as tenant_acme_a and tenant_acme_b can"},
		},
		"a suspended tenant with alternating logins": {
			`{"acme": {"logins": {"active": "a"}, "suspended": true}}`,
			[]map[string]any{on("update", acme(map[string]any{"login": false}), "login")},
			[]string{"Tenants suspended: 1"},
		},
		"the outputs name the other login": {
			`{"acme": {"logins": {"active": "b"}}}`, nil,
			[]string{"acme: the outputs name tenant_acme_b instead of tenant_acme_a; both can log in"},
		},
		"a name with a terminal's codes": {
			"",
			[]map[string]any{on("create", resource(typeGrant, "x\x1b[31m", "", nil))},
			[]string{"x [31m: create Grant"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := reviewed(t, previewOf(t, map[string]string{"tenant-permissions:tenants": cmp.Or(test.config, "{}")}, test.steps...), "text")
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("the summary lacks: %s\n%s", want, got)
				}
			}
		})
	}
}

// The preview of a new cell does not name the shared roles. The summary reports those of the first
// tenant, and tenants that differ.
func TestNewCell(t *testing.T) {
	var steps []map[string]any
	for key, group := range map[string]string{"acme": "all_tenants", "globex": "app_service_role"} {
		steps = append(steps, on("create", component(key)),
			on("create", resource(typeRole, key+"-role", key, map[string]any{"password": "[secret]", "bypassRowLevelSecurity": false, "roles": []string{group}, "searchPaths": []string{"tenant_" + key}})))
	}
	got, err := reviewed(t, encode(t, map[string]any{"steps": steps, "config": map[string]string{
		"tenant-permissions:platform": "organization/tenant-permissions/prod", "tenant-permissions:tenants": `{"acme": {}, "globex": {}}`,
	}}), "text")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"platform: new tenants are members of all_tenants, ", "globex-role: create Role of tenant globex: ", "roles [app_service_role]"} {
		if !strings.Contains(got, want) || strings.Contains(got, "acme-role: ") {
			t.Errorf("the summary lacks: %s\n%s", want, got)
		}
	}
}

// The outputs' names of shared logins change as those of tenants do.
func TestActiveSharedLogin(t *testing.T) {
	got, err := reviewed(t, previewOf(t, map[string]string{"tenant-permissions:roles": `{"app": {"name": "app", "logins": {"active": "b"}}}`, "tenant-permissions:readers": `{"analyst": {"logins": {"active": "b"}}}`, "tenant-permissions:tenants": "{}"}), "text")
	if want := "Shared roles and databases: 1\n  analyst: the outputs name analyst_b instead of analyst_a; both can log in\n"; err != nil || !strings.HasSuffix(got, want) {
		t.Errorf("got %v\n%s", err, got)
	}
}

func TestThreshold(t *testing.T) {
	gone := func(key string) map[string]any {
		return on("delete", resource(typeSchema, key+"-schema", key, map[string]any{"name": "tenant_" + key}))
	}
	p := previewOf(t, nil, gone("globex"), gone("acme"))
	for most, refused := range map[int]bool{0: true, 1: true, 2: false} {
		for _, format := range []string{"text", "markdown"} {
			var out bytes.Buffer
			err := Run(bytes.NewReader(p), format, most, &out)
			got, want := out.String(), fmt.Sprintf("too many tenants would be removed: 2 (acme, globex), allowed: %d; ", most)
			if refused != errors.As(err, &Refusal{}) || refused != strings.Contains(got, want) || refused && !strings.HasPrefix(err.Error(), want) {
				t.Errorf("at most %d: got error %v\n%s", most, err, got)
			}
		}
	}
}

func TestBadInput(t *testing.T) {
	bare := map[string]any{"op": "delete", "urn": urn + typeRole + "::x"}
	for name, test := range map[string]struct {
		input, want string
	}{
		"nothing":           {"", "reading the output of pulumi preview --json: EOF"},
		"no JSON":           {"error: no stack selected", "reading the output of pulumi preview --json: "},
		"another JSON":      {`{"version": 3}`, "the input is JSON, but not the output of pulumi preview --json"},
		"more than one":     {`{"steps": []} {}`, "the input is JSON, but not the output of"},
		"a step of nothing": {`{"steps": [null]}`, "steps[0]: there is no operation on a resource with its states; give "},
		"no state":          {string(encode(t, map[string]any{"steps": []any{bare}})), "steps[0]: there is no operation"},
		"no new state":      {string(encode(t, map[string]any{"steps": []any{map[string]any{"op": "create", "urn": bare["urn"], "oldState": map[string]any{}}}})), "steps[0]: there is no operation"},
		"bad config":        {`{"config": {"tenant-permissions:tenants": "["}, "steps": []}`, "the config has problems, and nothing was changed:\n  tenants: "},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := reviewed(t, []byte(test.input), "text")
			if err == nil || errors.As(err, &Refusal{}) || !strings.HasPrefix(err.Error(), test.want) || got != "" {
				t.Errorf("got error %v\n%s", err, got)
			}
		})
	}
	var out bytes.Buffer
	for want, err := range map[string]error{
		`--format "html" is not accepted: give text or markdown`:               Run(strings.NewReader("{}"), "html", 0, &out),
		"--max-tenants-removed -1 is not accepted: give a whole number from 0": Run(strings.NewReader("{}"), "text", -1, &out),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("got error %v, want %s", err, want)
		}
	}
}

// Whatever it is given, it says something: a summary, or what is wrong.
func FuzzReview(f *testing.F) {
	f.Add([]byte(`{"steps": [{"op": "create", "urn": "urn:pulumi:x::y::z::a-a-role", "newState": {"inputs": {"login": []}}}]}`))
	for _, name := range []string{"bad-config", "one-login", "unprotected-gone"} {
		record, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(record)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		for _, format := range []string{"text", "markdown"} {
			got, err := reviewed(t, input, format)
			unreadable := err != nil && !errors.As(err, &Refusal{})
			if unreadable == (got != "") || utf8.RuneCountInString(got) > 65_536 && format == "markdown" {
				t.Errorf("got error %v and %d bytes", err, len(got))
			}
		}
	})
}

// A comment has room for 65,536 characters, a terminal for everything.
func TestManyChanges(t *testing.T) {
	var steps []map[string]any
	for i := range 1000 {
		steps = append(steps, on("create", component(fmt.Sprintf("t%04d", i))))
	}
	p := previewOf(t, nil, steps...)
	all, err := reviewed(t, p, "text")
	if err != nil || !strings.Contains(all, "t0999: new login t0999") || !strings.Contains(all, "Tenants added: 1000") {
		t.Errorf("got %v, %d bytes", err, len(all))
	}
	md, err := reviewed(t, p, "markdown")
	if err != nil || !strings.Contains(md, "t0049") || strings.Contains(md, "t0050") || !strings.Contains(md, "- and 950 more\n") {
		t.Errorf("got %v\n%s", err, md)
	}

	s := summary{changes: map[kind][]change{}}
	for k := range headings() {
		for range 100 {
			s.report(kind(k), strings.Repeat("ä@", 1000), "%s", strings.Repeat("_|", 1000))
		}
	}
	for range 100 {
		s.errors = append(s.errors, strings.Repeat("\n", 100_000))
	}
	if got := markdown(s); utf8.RuneCountInString(got) > 65_536 || !strings.Contains(got, "and 90 more") || !strings.Contains(got, headings()[other].String()) {
		t.Errorf("got %d bytes", len(got))
	}
}

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"tenant_acme":           `tenant\_acme`,
		"<img src=x> [a](b)":    `\<img src=x\> \[a\](b)`,
		"`x` | *y*\n# z":        "\\`x\\` \\| \\*y\\* # z",
		"@everybody":            "@\u200beverybody",
		"www.x.org https://x\r": `www\.x\.org https\://x `,
	} {
		if got := escape(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
