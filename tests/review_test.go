package tests

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"gopkg.in/yaml.v3"
)

var record = flag.Bool("record", false, "write the records of previews that the tests of tools/review read")

// previewJSON is the JSON that the CLI prints for a preview. It reports whether the preview succeeded.
func (p *platform) previewJSON(t *testing.T, args ...string) ([]byte, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tools.toolchain.Pulumi(), append([]string{"preview", "--json", "--stack", p.stack.Name()}, args...)...)
	cmd.Dir, cmd.Env = p.dir, os.Environ()
	for name, value := range p.stack.Workspace().GetEnvVars() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stderr = &p.printed
	out, err := cmd.Output()
	if !errors.As(err, new(*exec.ExitError)) && err != nil {
		t.Fatal(err)
	}
	return out, err == nil
}

// reviewed fails unless the compiled tool makes the summary of the record with this name of a preview.
func (p *platform) reviewed(t *testing.T, name string, succeeds bool, args ...string) {
	t.Helper()
	preview, ok := p.previewJSON(t, args...)
	if ok != succeeds {
		t.Errorf("%s: the preview succeeds: got %v, want %v", name, ok, succeeds)
	}
	p.printed.Write(preview)
	if *record {
		if err := os.WriteFile("../tools/review/testdata/"+name+".json", recorded(t, preview), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile("../tools/review/testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), tools.tenantctl, "review")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(preview), &said
	got, err := cmd.Output()
	if refused := strings.Contains(string(want), "DO NOT DEPLOY"); refused != (cmd.ProcessState.ExitCode() == 2) || !refused && err != nil {
		t.Errorf("%s: got error %v %s", name, err, &said)
	}
	if string(got) != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// recorded is a preview without what differs between runs and machines: times, source positions, IDs of
// providers, dependencies, and diagnostics that are not errors. Each step has its own line.
func recorded(t *testing.T, preview []byte) []byte {
	t.Helper()
	var p struct {
		Config        map[string]string `json:"config"`
		Steps         []map[string]any  `json:"steps"`
		Diagnostics   []map[string]any  `json:"diagnostics"`
		ChangeSummary map[string]int    `json:"changeSummary"`
	}
	if err := json.Unmarshal(preview, &p); err != nil {
		t.Fatal(err)
	}
	for _, step := range p.Steps {
		delete(step, "provider")
		if step["op"] == "refresh" {
			delete(step, "newState") // as the old
		}
		for _, state := range []string{"oldState", "newState"} {
			if state, ok := step[state].(map[string]any); ok {
				for _, volatile := range []string{"created", "modified", "sourcePosition", "stackTrace", "provider", "dependencies", "propertyDependencies"} {
					delete(state, volatile)
				}
			}
		}
	}
	slices.SortFunc(p.Steps, func(a, b map[string]any) int {
		return cmp.Or(strings.Compare(a["urn"].(string), b["urn"].(string)), strings.Compare(a["op"].(string), b["op"].(string)))
	})
	p.Diagnostics = slices.DeleteFunc(p.Diagnostics, func(d map[string]any) bool { return d["severity"] != "error" })
	slices.SortFunc(p.Diagnostics, func(a, b map[string]any) int {
		return strings.Compare(a["message"].(string), b["message"].(string))
	})
	encode := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	lines := func(of []map[string]any) string {
		var texts []string
		for _, v := range of {
			texts = append(texts, "\n"+encode(v))
		}
		return "[" + strings.Join(texts, ",") + "\n]"
	}
	return []byte(`{"config": ` + encode(p.Config) + `,` + "\n" + `"steps": ` + lines(p.Steps) + `,` + "\n" +
		`"diagnostics": ` + lines(p.Diagnostics) + `,` + "\n" + `"changeSummary": ` + encode(p.ChangeSummary) + "}\n")
}

// TestReview checks the summary of every kind of change, with previews of the real CLI. The unit tests
// of tools/review read records of the same previews. To renew them, run this test with -record, and then
// those tests with -update, which writes the summaries.
func TestReview(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, true)
	reviewed := func(name string, succeeds bool, args ...string) {
		t.Helper()
		p.reviewed(t, name, succeeds, args...)
	}

	t.Run("the committed stack", func(t *testing.T) {
		dev := p.beside(t, "dev", p)
		file := filepath.Join(p.dir, "Pulumi.dev.yaml")
		own, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		committed, err := os.ReadFile("../Pulumi.dev.yaml")
		if err != nil {
			t.Fatal(err)
		}
		salt := regexp.MustCompile(`(?m)^encryptionsalt: .*\n`) // of another passphrase
		if err := os.WriteFile(file, slices.Concat(salt.ReplaceAll(committed, nil), salt.Find(own)), 0o600); err != nil {
			t.Fatal(err)
		}
		dev.reviewed(t, "first", true)
	})

	deployed := object{
		"acme": object{}, "globex": object{}, "hooli": object{"suspended": true},
		"initech": object{"role": "initech_login", "schema": "initech"}, "stark": object{"retire": "drop"},
		"umbrella": object{"logins": object{"active": "a"}}, "wayne": object{"retire": "keep"}, "wonka": object{},
	}
	readers := object{"analyst": object{}, "dashboard": object{}}
	p.configure(t, deployed, object{}, readers)
	p.up(t)
	reviewed("unchanged", true)

	cell := p.beside(t, "cell", p)
	cell.settings = map[string]config.Value{"platform": config.NewValue("organization/tenant-permissions/test")}
	cell.configure(t, object{"soylent": object{}}, nil)
	cell.reviewed(t, "cell", true)

	p.settings = map[string]config.Value{"closedDatabases": config.NewObjectValue(`["postgres"]`)}
	p.configure(t, object{
		"acme": object{"passwordVersion": 2}, "globex": object{"suspended": true}, "hooli": object{},
		"initech": object{"role": "initech_login", "schema": "initech", "connectionLimit": 20}, "oscorp": object{"role": "oscorp", "schema": "its_data", "logins": object{"active": "a"}},
		"soylent": object{}, "umbrella": object{"logins": object{"active": "a", "b": object{"passwordVersion": 2}}}, "wayne": object{},
		"wonka": object{"logins": object{"active": "a", "roleLogin": true}},
	}, object{"app": object{"passwordVersion": 2}}, object{"dashboard": object{"connectionLimit": 3}, "report": object{}})
	// Even so no secret is shown.
	reviewed("changes", true, "--show-secrets")

	p.settings = nil
	p.configure(t, object{
		"acme": object{"retire": "keep"}, "globex": object{"retire": "drop"}, "hooli": object{"suspended": true},
		"initech": object{"role": "initech_login", "schema": "initech", "adopt": true}, "stark": object{},
		"umbrella": object{"logins": object{"active": "b"}}, "wayne": object{"retire": "drop"}, "wonka": object{"logins": object{"active": "a"}},
	}, object{"admin": object{"logins": object{"active": "a"}}}, readers)
	reviewed("more-changes", true)

	p.configure(t, with(deployed, "umbrella", object{}), object{}, readers)
	reviewed("one-login", true)

	p.configure(t, with(deployed, "acme", object{"conectionLimit": 1}), object{}, readers)
	reviewed("bad-config", false)

	without := maps.Clone(deployed)
	delete(without, "acme")
	delete(without, "stark")
	p.configure(t, without, object{}, readers)
	reviewed("protected", false)

	p.configure(t, deployed, object{}, readers)
	p.superuser(t, database).may(t,
		"ALTER ROLE tenant_acme CONNECTION LIMIT 3",
		"DROP SCHEMA tenant_globex",
		"REVOKE CONNECT ON DATABASE "+database+" FROM app_service_role",
		"ALTER ROLE tenant_wonka PASSWORD 'x'")
	reviewed("drift", true, "--refresh")

	p.settings = unprotected()
	p.configure(t, deployed, object{}, readers)
	reviewed("unprotected", true)
	p.up(t)
	p.configure(t, without, object{}, readers)
	reviewed("unprotected-gone", true)

	p.settings = nil
	p.configure(t, deployed, object{}, readers)
	p.pulumi(t, "config", "set", "--stack", p.stack.Name(), "postgresql:database", "another")
	p.pulumi(t, "config", "set", "--stack", p.stack.Name(), "--secret", "postgresql:password", p.password)
	reviewed("another-database", true, "--show-secrets")

	t.Run("nothing to read", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), tools.tenantctl, "review")
		if out, err := cmd.Output(); err == nil || cmd.ProcessState.ExitCode() != 1 || len(out) > 0 {
			t.Errorf("got error %v\n%s", err, out)
		}
	})
	t.Run("no password is shown", func(t *testing.T) {
		p.tellsNone(t, append(slices.Collect(maps.Values(p.passwords(t))), p.password))
		if bytes.Contains(p.printed.Bytes(), []byte("SCRAM-SHA-256$")) {
			t.Error("a verifier stands in the CLI's output")
		}
	})
}

// workflowScript is what the step of this name runs in a workflow.
func workflowScript(t *testing.T, workflow, step string) string {
	t.Helper()
	text, err := os.ReadFile("../.github/workflows/" + workflow + ".yml")
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Jobs map[string]struct{ Steps []struct{ Name, Run string } }
	}
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		t.Fatal(err)
	}
	for _, job := range parsed.Jobs {
		for _, s := range job.Steps {
			if strings.Contains(s.Run, "${{") {
				t.Errorf("%s: a value gets into a script as text: %s", workflow, s.Run)
			}
			if s.Name == step {
				return s.Run
			}
		}
	}
	t.Fatalf("%s has no step %s", workflow, step)
	return ""
}

// runner is a job's place: the checkout, and a folder for its files.
type runner struct {
	p    *platform
	temp string
	path string
}

// run runs a step's script as GitHub does, and returns what it printed, and whether it succeeded.
func (r runner) run(t *testing.T, script string, env ...string) (string, bool) {
	t.Helper()
	vars := r.p.stack.Workspace().GetEnvVars()
	cmd := exec.CommandContext(t.Context(), "bash", "-e", "-c", script)
	cmd.Dir, cmd.Env = r.p.dir, os.Environ()
	for name, value := range vars {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	path := r.path + ":" + vars["PATH"]
	if tools.toolchain.Root != "" {
		path = r.path + ":" + filepath.Dir(tools.toolchain.Pulumi()) + ":" + vars["PATH"]
	}
	cmd.Env = append(append(cmd.Env, "PATH="+path, "RUNNER_TEMP="+r.temp, "STACK=test", "MAX_TENANTS_REMOVED=0"), env...)
	out, err := cmd.CombinedOutput()
	r.p.printed.Write(out)
	return string(out), err == nil
}

// write makes a file below the checkout.
func (r runner) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(r.p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// The scripts of the workflows, with the real CLI and server, and a gh that notes its arguments.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, true)
	r := runner{p, t.TempDir(), t.TempDir()}
	linkTool(t, p.dir)
	const noServer = "PGPORT=1"
	fails := func(script string, wants []string, env ...string) {
		t.Helper()
		out, ok := r.run(t, script, env...)
		if ok {
			t.Error("the script succeeded")
		}
		contains(t, out, wants...)
	}
	succeeds := func(script string, wants []string, env ...string) {
		t.Helper()
		out, ok := r.run(t, script, env...)
		if !ok {
			t.Error("the script failed")
		}
		contains(t, out, wants...)
	}
	tenants := object{"acme": object{}, "globex": object{"retire": "drop"}}
	preview, deploy, drift := workflowScript(t, "preview", "preview"), workflowScript(t, "deploy", "deploy"), workflowScript(t, "drift", "drift")

	p.configure(t, tenants, nil)
	succeeds(preview, []string{"### Stack test", "- **acme**: new login tenant\\_acme"}, noServer)
	succeeds(deploy, []string{"Stack test\nTenants added: 2", "acme: new login tenant_acme", "Resources:\n    + "})
	succeeds(drift, []string{"Nothing changes for anybody"})

	t.Run("a tenant goes", func(t *testing.T) {
		p.configure(t, object{"acme": object{}}, nil)
		before := p.catalog(t)
		refused := "too many tenants would be removed: 1 (globex), allowed: 0"
		fails(preview, []string{"**DO NOT DEPLOY**", refused}, noServer)
		fails(deploy, []string{"DO NOT DEPLOY", refused})
		sameFacts(t, before, p.catalog(t))
		succeeds(deploy, []string{"schema tenant_globex and ALL ITS DATA are dropped"}, "MAX_TENANTS_REMOVED=1")
	})
	t.Run("a preview that fails", func(t *testing.T) {
		p.configure(t, object{"acme": object{"conectionLimit": 1}}, nil)
		fails(preview, []string{"**DO NOT DEPLOY**", "did you mean connectionLimit?"}, noServer)
		fails(preview, []string{"There is no preview of none: the log of its job says why."}, noServer, "STACK=none")
		comment, err := os.ReadFile(filepath.Join(r.temp, "comment.md"))
		if err != nil {
			t.Fatal(err)
		}
		contains(t, string(comment), "<!-- preview of none -->\nThere is no preview of none")
		fails(deploy, []string{"DO NOT DEPLOY", "did you mean connectionLimit?"})
		p.configure(t, object{"acme": object{}}, nil)
	})
	t.Run("drift", func(t *testing.T) {
		p.superuser(t, database).may(t, "ALTER ROLE tenant_acme CONNECTION LIMIT 3")
		fails(drift, []string{"acme: the connection limit of tenant_acme changes from 3 to none"})
		p.superuser(t, database).may(t, "ALTER ROLE tenant_acme CONNECTION LIMIT -1")
	})
	t.Run("a setting that stops runs", func(t *testing.T) {
		p.login(t, "tenant_acme").may(t, "ALTER ROLE CURRENT_USER SET statement_timeout = '15s'")
		fails(drift, []string{"1 setting stops runs"})
		succeeds(deploy, []string{"reset: the config does not give statement_timeout"})
		succeeds(drift, []string{"Every setting of the stacks' roles is as the config has it."})
	})
	t.Run("an audit", func(t *testing.T) {
		audit := workflowScript(t, "drift", "audit")
		succeeds(audit, nil)
		page := filepath.Join(r.temp, "audit.html")
		contains(t, read(t, page), "<!doctype html>", "tenant_acme")
		p.superuser(t, database).may(t, "GRANT USAGE ON SCHEMA tenant_acme TO PUBLIC")
		fails(audit, nil, "CELLS=none")
		fails(audit, []string{"1 violation: the database is not as designed"})
		contains(t, read(t, page), "public-on-tenant-schema")
		p.superuser(t, database).may(t, "REVOKE USAGE ON SCHEMA tenant_acme FROM PUBLIC")
	})
	t.Run("comments", func(t *testing.T) {
		// There is a comment on prod from before, and none on dev.
		calls := filepath.Join(r.temp, "calls")
		if err := os.WriteFile(filepath.Join(r.path, "gh"), []byte(`#!/bin/bash
printf '%s ' "$@" | tr '\n' ' ' >>`+calls+`; echo >>`+calls+`
if [ "$2" = --paginate ] && [ "$MARKER" = '<!-- preview of prod -->' ]; then echo 7; echo 9; fi
`), 0o700); err != nil {
			t.Fatal(err)
		}
		for i, stack := range []string{"dev", "prod"} {
			r.write(t, fmt.Sprintf("comments/comment-%d/comment.md", i), "<!-- preview of "+stack+" -->\n### Stack "+stack+"\n", 0o600)
		}
		succeeds(workflowScript(t, "preview", "comment"), nil, "REPOSITORY=o/r", "PULL_REQUEST=3")
		text, err := os.ReadFile(calls)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		if len(lines) != 5 {
			t.Fatalf("got the calls %q", lines)
		}
		contains(t, lines[0], "api --paginate repos/o/r/issues/3/comments --jq .[] | select(")
		contains(t, lines[1], "api --silent --method POST repos/o/r/issues/3/comments --field body=@comments/comment-0/comment.md")
		contains(t, lines[3], "api --silent --method PATCH repos/o/r/issues/comments/7 --field body=@comments/comment-1/comment.md")
	})
	t.Run("no password is shown", func(t *testing.T) {
		p.tellsNone(t, append(slices.Collect(maps.Values(p.passwords(t))), p.password))
		for _, password := range p.passwords(t) {
			if tells(everyFile(t, r.temp), password) {
				t.Error("a password stands in a file of the runner")
			}
		}
	})
}
