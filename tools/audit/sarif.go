package audit

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The part of SARIF 2.1.0 that a report takes.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Automation  sarifID           `json:"automationDetails"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
		ColumnKind  string            `json:"columnKind"`
	}
	sarifID struct {
		ID string `json:"id"`
	}
	sarifTool struct {
		Driver struct {
			Name  string      `json:"name"`
			Rules []sarifRule `json:"rules"`
		} `json:"driver"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifRule struct {
		ID               string              `json:"id"`
		ShortDescription sarifText           `json:"shortDescription"`
		FullDescription  sarifText           `json:"fullDescription"`
		Help             sarifHelp           `json:"help"`
		Default          sarifLevel          `json:"defaultConfiguration"`
		Properties       map[string][]string `json:"properties"`
	}
	sarifHelp struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Start         time.Time           `json:"startTimeUtc"`
		Notifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
		Rule    sarifID   `json:"associatedRule"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact struct {
				URI  string `json:"uri"`
				Base string `json:"uriBaseId"`
			} `json:"artifactLocation"`
			Region struct {
				Line int `json:"startLine"`
			} `json:"region"`
		} `json:"physicalLocation"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)

// writeSARIF writes the violations as results, waived ones as suppressed. Notes are notifications of the
// run: they need no action, and a result would ask for one.
func writeSARIF(w io.Writer, r Report, places *places) error {
	run := sarifRun{ColumnKind: "utf16CodeUnits", Results: []sarifResult{}, Automation: sarifID{"tenantctl-audit/" + r.Database + "/"}}
	run.Tool.Driver.Name = "tenantctl audit"
	index := map[string]int{}
	for i, rule := range Rules() {
		index[rule.Name] = i
		level := "error"
		if rule.Kind == kindNote {
			level = "note"
		}
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: rule.Name, ShortDescription: sarifText{rule.Meaning}, FullDescription: sarifText{rule.Meaning},
			Help:    sarifHelp{strings.ReplaceAll(rule.Action, "`", ""), rule.Action},
			Default: sarifLevel{level}, Properties: map[string][]string{"tags": {"security"}},
		})
	}
	seen := map[string]int{}
	for _, f := range slices.Concat(r.Violations, r.Waived) {
		result := sarifResult{
			RuleID: f.Rule, RuleIndex: index[f.Rule], Level: "error", Message: sarifText{sarifEscaped(f.sentences())},
			Locations: make([]sarifLocation, 1), Suppressions: []sarifSuppression{},
		}
		// Each result has its own fingerprint: several can be on one line.
		fingerprint, err := f.fingerprint()
		if err != nil {
			return err
		}
		seen[fingerprint]++
		result.Fingerprints = map[string]string{"primaryLocationLineHash": fmt.Sprintf("%s:%d", fingerprint, seen[fingerprint])}
		place, physical := places.of(f), &result.Locations[0].Physical
		physical.Artifact.URI, physical.Artifact.Base, physical.Region.Line = (&url.URL{Path: place.file}).String(), "%SRCROOT%", place.line
		if f.Waiver != nil && !f.Waiver.Ended {
			result.Suppressions = []sarifSuppression{{"external", "accepted", f.Waiver.String()}}
		}
		run.Results = append(run.Results, result)
	}
	notes := []sarifNotification{}
	for _, f := range r.Notes {
		notes = append(notes, sarifNotification{"note", sarifText{sarifEscaped(f.sentences())}, sarifID{f.Rule}})
	}
	run.Invocations = []sarifInvocation{{true, r.Taken, notes}}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "\t")
	return encoder.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// sentences are a finding without its tenant and rule: where it is, what is wrong and what to do.
func (f Finding) sentences() string {
	var b strings.Builder
	var head []string
	for _, part := range []string{f.Subject, f.Object} {
		if part != "" && !strings.Contains(f.Text, part) {
			head = append(head, part)
		}
	}
	if len(head) > 0 {
		b.WriteString(strings.Join(head, ", ") + ": ")
	}
	b.WriteString(f.Text)
	if f.Database != "" {
		b.WriteString(" (in the database " + f.Database + ")")
	}
	b.WriteString(".")
	if f.Fix != "" {
		b.WriteString(" Fix: " + f.Fix)
	}
	if f.Waiver != nil && f.Waiver.Ended {
		b.WriteString(" (" + f.Waiver.String() + ")")
	}
	return b.String()
}

// fingerprint stays the same while the text of a finding changes, and its place.
func (f Finding) fingerprint() (string, error) {
	encoded, err := json.Marshal([]string{f.Rule, f.Tenant, f.Subject, f.Object, f.Database})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sha256.Sum256(encoded))[:32], nil
}

// sarifEscaped is a text in which no name makes a link.
func sarifEscaped(text string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`).Replace(text)
}
