package audit

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/santhosh-tekuri/jsonschema/v5"
)

// hostile is what a name must not be able to do in any format.
const hostile = "[x](https://example.com) \\ ]]> <b>&\"'\x1b[1m\n{0}"

// reported is a report with a violation, one without a tenant, one whose waiver has ended, a waived one and
// a note.
func reported() Report {
	return Report{
		Taken: time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC), address: "db:5432", Database: hostile, Tenants: []Tenant{{Key: "acme"}, {Key: "globex"}}, Objects: []Object{{Kind: "database"}},
		Violations: []Finding{
			{Rule: ruleObjectOwner, Tenant: "globex", Subject: hostile, Object: "tenant_globex.f(text[])", Text: "it owns " + hostile, Fix: "ALTER …"},
			{Rule: ruleObjectOwner, Tenant: "globex", Subject: hostile, Object: "tenant_globex.f(text[])", Text: "another text"},
			{Rule: ruleExpiry, Subject: "oncall", Text: "it does not expire", Waiver: &Waiver{"away", "2026-11-22", true}},
			{Rule: ruleTenantOwns, Tenant: "gone", Subject: "tenant_gone", Database: "gone_db", Text: "tenant_gone owns it"},
		},
		Waived: []Finding{{Rule: ruleObjectOwner, Tenant: "acme", Subject: "purger", Object: "tenant_acme.purge()", Text: "purger owns tenant_acme.purge()", Waiver: &Waiver{"the nightly [purge]", "2026-12-31", false}}},
		Notes:  []Finding{{Rule: ruleSuperuser, Subject: "postgres", Text: "it can do everything"}, {Rule: ruleWaiverUnused, Text: "no violation"}},
		ended:  1, took: 1500 * time.Millisecond,
	}
}

// stackFiles are those of a platform and a cell in a repository.
func stackFiles(t *testing.T) *places {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		".git/HEAD": "", "infra/Pulumi.prod.yaml": "# prod\nconfig:\n  tenant-permissions:tenants:\n    initech: {}\n    \"acme\":\n      schema: globex\n  globex: x\n",
		"infra/Pulumi.prod 001.yaml": "config:\n  tenant-permissions:platform: p\n  tenant-permissions:tenants: '{\"globex\": {}}'\n",
	} {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := readStackFiles([]string{filepath.Join(root, "infra/Pulumi.prod.yaml"), filepath.Join(root, "infra/Pulumi.prod 001.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// noFiles are the places without files of stacks.
func noFiles() *places { return &places{} }

// Findings are at the line of their tenant, others at the first line of the first file.
func TestPlaces(t *testing.T) {
	p := stackFiles(t)
	for tenant, want := range map[string]string{"acme": "infra/Pulumi.prod.yaml:5", "initech": "infra/Pulumi.prod.yaml:4", "globex": "infra/Pulumi.prod 001.yaml:3", "": "infra/Pulumi.prod.yaml:1", "gone": "infra/Pulumi.prod.yaml:1"} {
		if got := p.of(Finding{Tenant: tenant}).String(); got != want {
			t.Errorf("%q: got %s, want %s", tenant, got, want)
		}
	}
	t.Chdir(t.TempDir()) // in no repository
	for name, content := range map[string]string{"a.yaml": "config: {tenant-permissions:tenants: {acme: {}}}", "b.yaml": "config: {tenant-permissions:tenants: {acme: {}}}", "c.yaml": "waivers: []", "d.yaml": "a: [", "e.yaml": "config: {tenant-permissions:tenants: no}"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := readStackFiles([]string{"./a.yaml", "e.yaml"}); err != nil || p.of(Finding{Tenant: "acme"}).String() != "a.yaml:1" {
		t.Errorf("%v: got %+v", err, p)
	}
	_, err := readStackFiles([]string{"a.yaml", "b.yaml", "c.yaml", "d.yaml", "x.yaml"})
	if want := `--stack-file: b.yaml has tenants.acme, which a.yaml:1 has already; give the files of the stacks of one database
--stack-file: c.yaml: not the file of a stack, which has the key config; give Pulumi.<stack>.yaml
--stack-file: d.yaml: not the file of a stack: yaml: line 1: did not find expected node content
--stack-file: x.yaml: open x.yaml: no such file or directory`; err == nil || err.Error() != want {
		t.Errorf("got error %v", err)
	}
	if err := Run(t.Context(), fromStdin("{}"), Options{Format: "sarif", Waivers: "/nowhere"}, t.Output()); err == nil ||
		err.Error() != "--stack-file is missing: the format sarif needs the file Pulumi.<stack>.yaml of each stack, for the lines of the tenants\n--waivers: open /nowhere: no such file or directory" {
		t.Errorf("got error %v", err)
	}
}

// sarifSchema is the schema of SARIF 2.1.0, which a linter of this repository has among its tests.
func sarifSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "github.com/securego/gosec/v2")
	cmd.Dir, cmd.Stderr = "../../dev/toolchain/golangci-lint", t.Output()
	out, err := cmd.Output()
	var module struct{ Dir string }
	if err = errors.Join(err, json.Unmarshal(out, &module)); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(module.Dir, "report/sarif/testdata/sarif-schema-2.1.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat = true
	if err := compiler.AddResource("sarif.json", bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	return compiler.MustCompile("sarif.json")
}

func TestSARIF(t *testing.T) {
	var out bytes.Buffer
	if err := writeSARIF(&out, reported(), stackFiles(t)); err != nil {
		t.Fatal(err)
	}
	var document any
	var log sarifLog
	if err := errors.Join(json.Unmarshal(out.Bytes(), &document), json.Unmarshal(out.Bytes(), &log)); err != nil {
		t.Fatal(err)
	}
	if err := sarifSchema(t).Validate(document); err != nil {
		t.Errorf("%#v", err)
	}
	run := log.Runs[0]
	if len(run.Tool.Driver.Rules) != len(Rules()) || len(run.Results) != 5 || len(run.Invocations[0].Notifications) != 2 {
		t.Errorf("got %s", out.String())
	}
	fingerprints := map[string]bool{}
	var at, waived []string
	for _, result := range run.Results {
		fingerprints[result.Fingerprints["primaryLocationLineHash"]] = true
		location := result.Locations[0].Physical
		at = append(at, place{location.Artifact.URI, location.Region.Line}.String())
		if run.Tool.Driver.Rules[result.RuleIndex].ID != result.RuleID || result.Level != "error" {
			t.Errorf("got %+v", result)
		}
		for _, suppression := range result.Suppressions {
			waived = append(waived, result.RuleID+": "+suppression.Kind+" "+suppression.Status+": "+suppression.Justification)
		}
	}
	if want := []string{"infra/Pulumi.prod%20001.yaml:3", "infra/Pulumi.prod%20001.yaml:3", "infra/Pulumi.prod.yaml:1", "infra/Pulumi.prod.yaml:1", "infra/Pulumi.prod.yaml:5"}; !slices.Equal(at, want) {
		t.Errorf("got %q, want %q", at, want)
	}
	if want := []string{"object-owner: external accepted: waived until 2026-12-31: the nightly [purge]"}; !slices.Equal(waived, want) {
		t.Errorf("got %q, want %q", waived, want)
	}
	if len(fingerprints) != len(run.Results) {
		t.Errorf("got %v", fingerprints)
	}
	if text := run.Results[0].Message.Text; !strings.Contains(text, `tenant_globex.f(text\[\]): it owns \[x\](https://example.com) \\ `) || !strings.HasSuffix(text, ". Fix: ALTER …") {
		t.Errorf("got %s", text)
	}
	if text := run.Results[2].Message.Text; text != "oncall: it does not expire. (the waiver ended on 2026-11-22: away)" {
		t.Errorf("got %s", text)
	}
	if text := run.Results[3].Message.Text; text != "tenant_gone owns it (in the database gone_db)." {
		t.Errorf("got %s", text)
	}
	// The fingerprint of a finding does not depend on others, nor on its text.
	one := reported()
	one.Violations, one.Waived = one.Violations[1:2], nil
	var again bytes.Buffer
	if err := errors.Join(writeSARIF(&again, one, stackFiles(t)), json.Unmarshal(again.Bytes(), &log)); err != nil || log.Runs[0].Results[0].Fingerprints["primaryLocationLineHash"] != run.Results[0].Fingerprints["primaryLocationLineHash"] {
		t.Errorf("%v: got %s", err, again.String())
	}
	// Nothing found is an empty list of results.
	again.Reset()
	if err := errors.Join(writeSARIF(&again, Report{}, noFiles()), json.Unmarshal(again.Bytes(), &document)); err != nil {
		t.Fatal(err)
	}
	if err := sarifSchema(t).Validate(document); err != nil || !strings.Contains(again.String(), `"results": []`) {
		t.Errorf("%#v", err)
	}
}

// A rule is a test, whether it is violated or not. A waived violation is a further test, which is skipped.
func TestJUnit(t *testing.T) {
	var out bytes.Buffer
	if err := writeJUnit(&out, reported(), stackFiles(t)); err != nil {
		t.Fatal(err)
	}
	var suites junitSuites
	if err := xml.Unmarshal(out.Bytes(), &suites); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	rules := 0
	for _, rule := range Rules() {
		if rule.Kind != kindNote {
			rules++
		}
	}
	suite := suites.Suites[0]
	if suite.Tests != rules+1 || len(suite.Cases) != suite.Tests || suite.Failures != 3 || suite.Skipped != 1 || suite.Time != "1.500" || suites.Tests != suite.Tests || suites.Failures != 3 || suites.Skipped != 1 || suite.Timestamp != "2026-11-23T09:30:00" {
		t.Errorf("got %+v", suite)
	}
	failures := map[string]string{}
	for _, test := range suite.Cases {
		if test.Failure != nil {
			failures[test.Name] = test.Failure.Text
		}
	}
	if len(failures) != 3 || failures[ruleExpiry] != "\ninfra/Pulumi.prod.yaml:1: oncall: it does not expire. (the waiver ended on 2026-11-22: away)\n" ||
		!strings.HasPrefix(failures[ruleObjectOwner], "\ninfra/Pulumi.prod 001.yaml:3: tenant globex: ") || strings.Count(failures[ruleObjectOwner], "infra/") != 2 {
		t.Errorf("got %q", failures)
	}
	if last := suite.Cases[rules]; last.Name != "object-owner acme purger tenant_acme.purge()" || last.Skipped.Message != "waived until 2026-12-31: the nightly [purge]" || !strings.Contains(last.Skipped.Text, "infra/Pulumi.prod.yaml:5: tenant acme: purger owns") {
		t.Errorf("got %+v", last)
	}
	// Without the files of stacks there are no places.
	out.Reset()
	if err := writeJUnit(&out, reported(), noFiles()); err != nil || !strings.Contains(out.String(), "\noncall: it does not expire") && !strings.Contains(out.String(), "&#xA;oncall: it does not expire") {
		t.Errorf("%v: %s", err, out.String())
	}
}

// The metrics are OpenMetrics, and what the textfile collector of node_exporter reads.
func TestMetrics(t *testing.T) {
	var out bytes.Buffer
	if err := writeMetrics(&out, reported()); err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation) // the collector's
	families, err := parser.TextToMetricFamilies(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	got := map[string]float64{}
	for name, family := range families {
		if family.GetType().String() != "GAUGE" || family.GetHelp() == "" {
			t.Errorf("%s: got %v", name, family)
		}
		for _, metric := range family.GetMetric() {
			key := strings.TrimPrefix(name, "tenant_permissions_audit_")
			for _, label := range metric.GetLabel() {
				switch {
				case label.GetName() == "rule":
					key += " " + label.GetValue()
				case label.GetName() == "database" && label.GetValue() != hostile || label.GetName() == "server" && label.GetValue() != "db:5432" || metric.TimestampMs != nil:
					t.Errorf("%s: got %v", name, metric)
				}
			}
			got[key] = metric.GetGauge().GetValue()
		}
	}
	for key, want := range map[string]float64{
		"violations object-owner": 2, "violations expiry": 1, "violations tenant-owns": 1, "violations schema-owner": 0, "waived_violations object-owner": 1, "waived_violations expiry": 0,
		"notes superuser": 1, "notes expiry": 0, "notes waiver-unused": 1, "ended_waivers": 1, "tenants": 2, "objects": 1, "timestamp_seconds": 1795426200, "duration_seconds": 1.5,
	} {
		if value, ok := got[key]; !ok || value != want {
			t.Errorf("%s: got %v, want %v", key, value, want)
		}
	}
	if _, ok := got["violations superuser"]; ok {
		t.Error("a rule of notes is counted as one of violations")
	}
	checkOpenMetrics(t, out.String())
}

// checkOpenMetrics checks what OpenMetrics demands beyond the older format: HELP and TYPE of a family once
// and before its samples, which are together, no other comments, no empty lines, and EOF at the end.
func checkOpenMetrics(t *testing.T, text string) {
	t.Helper()
	lines, closed := strings.CutSuffix(text, "\n# EOF\n")
	if !closed {
		t.Errorf("no EOF at the end of %s", text)
	}
	family, seen := "", map[string]bool{}
	for line := range strings.SplitSeq(lines, "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) > 3 && words[0] == "#" && words[1] == "HELP" && !seen[words[2]]:
			family = words[2]
			seen[family] = true
		case line == "# TYPE "+family+" gauge":
		case strings.HasPrefix(line, family+"{"):
		default:
			t.Errorf("unexpected line %q", line)
		}
	}
}
