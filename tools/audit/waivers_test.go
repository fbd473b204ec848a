package audit

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// writeFile writes a file of a test and returns its path.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const goodWaiver = `
waivers:
- rule: object-owner
  role: purger
  object: function tenant_acme.purge()
  text: purger owns it
  reason: |
    the nightly
      purge
  until: 2026-12-31
`

// A waiver holds through the last day in UTC, for what it names and nothing else.
func TestWaiver(t *testing.T) {
	file := writeFile(t, "waivers.yaml", goodWaiver)
	f := Finding{Rule: "object-owner", Tenant: "acme", Subject: "purger", Object: "tenant_acme.purge()", object: "function tenant_acme.purge()", Text: "purger owns it"}
	for now, ended := range map[string]bool{"2026-11-01T00:00:00Z": false, "2026-12-31T23:59:59Z": false, "2027-01-01T00:00:00Z": true, "2027-01-01T00:30:00+01:00": false} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		w, err := readWaivers(file, at)
		if err != nil {
			t.Fatal(err)
		}
		if found := w.of(f); found == nil || found.Waiver != (Waiver{"the nightly purge", "2026-12-31", ended}) || found.waives() == ended || w.ended() != map[bool]int{true: 1}[ended] {
			t.Errorf("%s: got %+v", now, found)
		}
		for name, change := range map[string]func(*Finding){
			"another rule":       func(f *Finding) { f.Rule = "schema-owner" },
			"another role":       func(f *Finding) { f.Subject = "Purger" },
			"a table":            func(f *Finding) { f.object = `table tenant_acme."purge()"` },
			"without its kind":   func(f *Finding) { f.object = "" },
			"another database":   func(f *Finding) { f.Database = "acme_db" },
			"another text":       func(f *Finding) { f.Text += " and more" },
			"not all that it is": func(f *Finding) { f.vague = true },
		} {
			other := f
			change(&other)
			if found := w.of(other); found != nil {
				t.Errorf("%s: got %+v", name, found)
			}
		}
		if unused := w.unused([]Finding{{Waiver: &w.all[0].Waiver}}); len(unused) > 0 {
			t.Errorf("got %+v", unused)
		}
		want := []Finding{{
			Rule: ruleWaiverUnused, Subject: "purger", Object: "function tenant_acme.purge()",
			Text: file + ":3: no violation of the rule object-owner has this role, object, database and text: purger owns it",
		}}
		if unused := w.unused([]Finding{f}); !slices.Equal(unused, want) {
			t.Errorf("got %+v", unused)
		}
	}
	if w, err := readWaivers("", time.Now()); err != nil || w.of(f) != nil || w.unused(nil) != nil || w.ended() != 0 {
		t.Errorf("without a file: %v, %v", w, err)
	}
	if w, err := readWaivers(writeFile(t, "none.yaml", "waivers: []"), time.Now()); err != nil || w.of(f) != nil {
		t.Errorf("with none: %v, %v", w, err)
	}
}

// All problems of a file are reported at once, with their lines.
func TestBadWaivers(t *testing.T) {
	const rest = "  reason: r\n  until: 2026-12-31\n"
	for _, test := range []struct{ content, want string }{
		{"", ": waivers: missing; give a list, [] for none"},
		{"# nothing", ": waivers: missing; give a list, [] for none"},
		{"a: [", " is not YAML: yaml: line 1: did not find expected node content"},
		{"- x", ":1: the file: a list is not accepted; give a list of waivers under the key waivers"},
		{"waiver: []", ":1: waiver: unknown key; known keys: waivers\n:1: waivers: missing; give a list, [] for none"},
		{"waivers:", ":1: waivers: \"\" is not accepted; give a list, [] for none"},
		{"waivers: []\nwaivers: []", ":2: waivers: the key appears twice; give it once"},
		{"waivers: []\n---\nwaivers: []", ":2: waivers: a second document is not accepted; give one list"},
		{"waivers: [x, {}]", `:1: waivers[0]: "x" is not accepted; give a map with rule, text, reason and until
:1: waivers[1].rule: missing; give the rule of a violation
:1: waivers[1].text: missing; give the text of the violation, as audit --format waivers prints it
:1: waivers[1].reason: missing; give why the violation is accepted
:1: waivers[1].until: missing; give the last day, such as 2026-12-31`},
		{"waivers:\n- rule: objects\n  text: [a]\n  role: 5\n  object: \"\"\n  reson: x\n  reason: ' '\n  until: 2026-02-30\n", `:6: waivers[0].reson: unknown key; known keys: rule, role, object, database, text, reason, until
:4: waivers[0].role: "5" is not accepted; give the name of a role, as audit --format waivers prints it
:5: waivers[0].object: "" is not accepted; give an object, as audit --format waivers prints it
:3: waivers[0].text: a list is not accepted; give the text of the violation, as audit --format waivers prints it
:2: waivers[0].rule: "objects" is not accepted; give a rule that docs/audit-rules.md has for violations
:7: waivers[0].reason: " " is not accepted; give why the violation is accepted
:8: waivers[0].until: "2026-02-30" is not accepted; give the last day, such as 2026-12-31`},
		{"waivers:\n- rule: superuser\n  text: x\n" + rest, ":2: waivers[0].rule: \"superuser\" is not accepted; give a rule that docs/audit-rules.md has for violations"},
		{"waivers:\n- rule: object-owner\n  text: x\n  reason: \"a\\eb\"\n  until: never\n", `:4: waivers[0].reason: "a\x1bb" is not accepted; give a text without control characters
:5: waivers[0].until: "never" is not accepted; give the last day, such as 2026-12-31`},
		{"waivers:\n- rule: object-owner\n  text: x\n" + rest + "- rule: object-owner\n  text: x\n" + rest, ":6: waivers[1]: is the same as that of FILE:2; give it once"},
		{"waivers:\n- &a\n  rule: object-owner\n  text: x\n" + rest + "- *a\n", ":7: waivers[1]: an alias is not accepted; give a map with rule, text, reason and until"},
		{"waivers:\n- rule: object-owner\n  text: x\n  ? [a]\n  : b\n" + rest, ":4: waivers[0][\"\"]: unknown key; known keys: rule, role, object, database, text, reason, until"},
	} {
		file := writeFile(t, "waivers.yaml", test.content)
		_, err := readWaivers(file, time.Now())
		if err == nil {
			t.Errorf("%q: no error", test.content)
			continue
		}
		if got := strings.ReplaceAll(strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n"+file, "\n"), file), file, "FILE"); got != test.want {
			t.Errorf("%q: got\n%s\nwant\n%s", test.content, got, test.want)
		}
	}
	if _, err := readWaivers("/nowhere.yaml", time.Now()); err == nil || !strings.Contains(err.Error(), "--waivers: open /nowhere.yaml: no such file") {
		t.Errorf("got error %v", err)
	}
}

// auditOf is what an audit of the features writes, and whether there are violations.
func auditOf(t *testing.T, options Options) (out string, violations bool) {
	t.Helper()
	return auditOfStack(t, features(), options)
}

// auditOfStack is auditOf of a stack with other outputs.
func auditOfStack(t *testing.T, outputs string, options Options) (out string, violations bool) {
	t.Helper()
	var written strings.Builder
	err := Run(t.Context(), fromStdin(outputs), options, &written)
	if err != nil && !errors.Is(err, ErrViolations) {
		t.Fatal(err)
	}
	return written.String(), err != nil
}

// reportOf is auditOf in the format json.
func reportOf(t *testing.T, options Options) (r Report) {
	t.Helper()
	return reportOfStack(t, features(), options)
}

// reportOfStack is auditOfStack in the format json.
func reportOfStack(t *testing.T, outputs string, options Options) (r Report) {
	t.Helper()
	options.Format = "json"
	out, violations := auditOfStack(t, outputs, options)
	if err := json.Unmarshal([]byte(out), &r); err != nil || violations != (len(r.Violations) > 0) {
		t.Fatalf("%v, violations: %t: %s", err, violations, out)
	}
	return r
}

// deployPurger makes the server what features says, with a function that runs as a narrow owner. It returns
// superusers of both databases, and a function that writes the waivers of it with the given last day.
func deployPurger(t *testing.T) (shared, own *pgx.Conn, until func(day string) Options) {
	t.Helper()
	_, shared, own = deployFeatures(t)
	execute(t, shared, "CREATE ROLE purger", "CREATE ROLE mallory", "GRANT USAGE ON SCHEMA tenant_globex TO purger", "GRANT DELETE ON tenant_globex.docs TO purger", "SET ROLE admin",
		"CREATE FUNCTION tenant_globex.purge() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'DELETE FROM tenant_globex.docs'",
		"RESET ROLE", "ALTER FUNCTION tenant_globex.purge() OWNER TO purger")
	printed, violations := auditOf(t, Options{Format: "waivers"})
	if want := `waivers:
  - rule: object-owner
    role: purger
    object: function tenant_globex.purge()
    text: purger owns tenant_globex.purge(), so the default privileges of the admin were not applied to it
    reason: ""
    until: ""
  - rule: other-role-reaches-tenant
    role: purger
    object: schema tenant_globex
    text: purger has USAGE on tenant_globex
    reason: ""
    until: ""
  - rule: other-role-reaches-tenant
    role: purger
    object: table tenant_globex.docs
    text: purger has DELETE on tenant_globex.docs
    reason: ""
    until: ""
`; !violations || !strings.HasSuffix(printed, "\n"+want) {
		t.Fatalf("got\n%s", printed)
	}
	return shared, own, func(day string) Options {
		return Options{Waivers: writeFile(t, "waivers.yaml", strings.NewReplacer(`reason: ""`, "reason: the nightly purge", `until: ""`, "until: "+day).Replace(printed))}
	}
}

// Waived violations are shown, and make no exit code. They are violations again when the day has passed.
func TestWaived(t *testing.T) {
	_, _, until := deployPurger(t)
	waived := until("9999-12-31")
	if r := reportOf(t, waived); len(r.Waived) != 3 || *r.Waived[0].Waiver != (Waiver{"the nightly purge", "9999-12-31", false}) || len(r.Violations) > 0 {
		t.Errorf("got %+v, %+v", r.Violations, r.Waived)
	}
	for format, wants := range map[string][]string{
		"text":    {": 0 violations and 3 waived in ", "\nWaived\n\nobject-owner (1)\n  globex  purger  tenant_globex.purge()\n", "\n    waived until 9999-12-31: the nightly purge\n"},
		"waivers": {"\nwaivers: []\n"},
	} {
		waived.Format = format
		out, violations := auditOf(t, waived)
		for _, want := range wants {
			if violations || !strings.Contains(out, want) {
				t.Errorf("%q is not in\n%s", want, out)
			}
		}
	}
	ended := until("2026-01-01")
	if r := reportOf(t, ended); len(r.Waived) > 0 || len(r.Violations) != 3 || *r.Violations[0].Waiver != (Waiver{"the nightly purge", "2026-01-01", true}) {
		t.Errorf("got %+v, %+v", r.Violations, r.Waived)
	}
	ended.Format = "text"
	if text, violations := auditOf(t, ended); !violations || !strings.Contains(text, ": 3 violations in ") || !strings.Contains(text, "\n    the waiver ended on 2026-01-01: the nightly purge\n") {
		t.Error(text)
	}
}

// What goes beyond the waivers is found.
func TestWaivers(t *testing.T) {
	shared, own, until := deployPurger(t)
	waived := until("9999-12-31")
	const unused = "note waiver-unused|"
	for _, test := range []struct{ do, undo, want string }{
		{`CREATE TABLE tenant_globex."purge()" (); ALTER TABLE tenant_globex."purge()" OWNER TO purger`, `DROP TABLE tenant_globex."purge()"`, `object-owner|purger|ALTER TABLE tenant_globex."purge()" OWNER TO admin, then GRANT on it what the tenant and the app need`},
		{`CREATE TABLE tenant_globex."x(""'" (); ALTER TABLE tenant_globex."x(""'" OWNER TO purger`, `DROP TABLE tenant_globex."x(""'"`, `object-owner|purger|ALTER TABLE tenant_globex."x(""'" OWNER TO admin, then GRANT on it what the tenant and the app need`},
		{"CREATE FUNCTION tenant_globex.purge(int) RETURNS void LANGUAGE sql AS ''; ALTER FUNCTION tenant_globex.purge(int) OWNER TO purger; REVOKE ALL ON FUNCTION tenant_globex.purge(int) FROM PUBLIC", "DROP FUNCTION tenant_globex.purge(int)", "object-owner|purger|ALTER FUNCTION tenant_globex.purge(integer) OWNER TO admin, then GRANT on it what the tenant and the app need"},
		{`CREATE FUNCTION tenant_globex."purge(); DROP TABLE x"() RETURNS void LANGUAGE sql AS ''; ALTER FUNCTION tenant_globex."purge(); DROP TABLE x"() OWNER TO purger; REVOKE ALL ON FUNCTION tenant_globex."purge(); DROP TABLE x"() FROM PUBLIC`, `DROP FUNCTION tenant_globex."purge(); DROP TABLE x"()`, `object-owner|purger|ALTER FUNCTION tenant_globex."purge(); DROP TABLE x"() OWNER TO admin, then GRANT on it what the tenant and the app need`},
		{"GRANT INSERT ON tenant_globex.docs TO purger", "REVOKE INSERT ON tenant_globex.docs FROM purger", "other-role-reaches-tenant|purger|REVOKE INSERT, DELETE ON tenant_globex.docs FROM purger\n" + unused + "purger"},
		{"GRANT DELETE ON tenant_globex.docs TO purger WITH GRANT OPTION", "REVOKE GRANT OPTION FOR DELETE ON tenant_globex.docs FROM purger", "other-role-reaches-tenant|purger|REVOKE DELETE ON tenant_globex.docs FROM purger\n" + unused + "purger"},
		// Who comes after the waived role is no part of what is waived.
		{"GRANT purger TO mallory", "REVOKE purger FROM mallory", "other-role-reaches-tenant|mallory|REVOKE purger FROM mallory GRANTED BY postgres"},
		{"ALTER FUNCTION tenant_globex.purge() RENAME TO other", "ALTER FUNCTION tenant_globex.other() RENAME TO purge", "object-owner|purger|ALTER FUNCTION tenant_globex.other() OWNER TO admin, then GRANT on it what the tenant and the app need\n" + unused + "purger"},
		{"ALTER FUNCTION tenant_globex.purge() OWNER TO mallory", "ALTER FUNCTION tenant_globex.purge() OWNER TO purger", "object-owner|mallory|ALTER FUNCTION tenant_globex.purge() OWNER TO admin, then GRANT on it what the tenant and the app need\n" + unused + "purger"},
		{"REVOKE USAGE ON SCHEMA tenant_globex FROM purger", "GRANT USAGE ON SCHEMA tenant_globex TO purger", unused + "purger"},
	} {
		execute(t, shared, test.do)
		r := reportOf(t, waived)
		var got []string
		for _, f := range r.Violations {
			got = append(got, strings.Join([]string{f.Rule, f.Subject, f.Fix}, "|"))
		}
		for _, f := range r.Notes {
			if f.Rule == ruleWaiverUnused {
				got = append(got, unused+f.Subject)
			}
		}
		if want := strings.Split(test.want, "\n"); !slices.EqualFunc(got, want, func(got, want string) bool {
			return strings.TrimSuffix(want, " GRANTED BY postgres") == got || want == got
		}) {
			t.Errorf("%s: got %q, want %q", test.do, got, want)
		}
		execute(t, shared, test.undo)
	}

	// One of several objects with the same problem is waived, and the same name in another database is not.
	execute(t, shared, "CREATE TABLE tenant_globex.a (); CREATE TABLE tenant_globex.b (); ALTER TABLE tenant_globex.a OWNER TO purger; ALTER TABLE tenant_globex.b OWNER TO purger")
	r := reportOf(t, waived)
	if len(r.Violations) != 1 || r.Violations[0].Text != "purger owns tenant_globex.a, tenant_globex.b, so the default privileges of the admin were not applied to it" || len(r.Waived) != 3 {
		t.Errorf("got %+v, %+v", r.Violations, r.Waived)
	}
	execute(t, own, "ALTER SCHEMA extensions OWNER TO purger")
	execute(t, shared, "DROP TABLE tenant_globex.a, tenant_globex.b", "ALTER SCHEMA extensions OWNER TO purger")
	waived = Options{Waivers: writeFile(t, "waivers.yaml", "waivers:\n- {rule: extension-schema, role: purger, object: extensions, text: \"purger owns the schema of the extensions, which is in every search path\", reason: r, until: 9999-12-31}\n")}
	r = reportOf(t, waived)
	databases := map[string]bool{}
	for _, f := range slices.Concat(r.Violations, r.Waived) {
		if f.Rule == ruleExtensionSchema {
			databases[f.Database] = f.Waiver != nil
		}
	}
	if want := map[string]bool{"": true, "acme_db": false}; !reflect.DeepEqual(databases, want) {
		t.Errorf("got %v, want %v", databases, want)
	}

	// Who owns much is not named in full, and that cannot be waived.
	execute(t, own, "CREATE TABLE tenant_acme.a (); CREATE TABLE tenant_acme.b (); CREATE TABLE tenant_acme.c (); CREATE TABLE tenant_acme.d ()")
	for _, table := range []string{"a", "b", "c", "d"} {
		execute(t, own, "ALTER TABLE tenant_acme."+table+" OWNER TO tenant_acme")
	}
	if printed, violations := auditOf(t, Options{Format: "waivers"}); !violations || !strings.Contains(printed, "# Not here, because they do not name all that they are about and so cannot be waived: 1 violation.\n") || !strings.Contains(printed, "object: table tenant_acme.b\n") || strings.Contains(printed, "1 more") {
		t.Errorf("got\n%s", printed)
	}
}
