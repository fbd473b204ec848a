package audit

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The part of JUnit's XML that a report takes.
type (
	junitSuites struct {
		XMLName xml.Name `xml:"testsuites"`
		junitCounts
		Suites []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		junitCounts
		Timestamp string      `xml:"timestamp,attr"`
		Cases     []junitCase `xml:"testcase"`
	}
	junitCounts struct {
		Name     string `xml:"name,attr"`
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Errors   int    `xml:"errors,attr"`
		Skipped  int    `xml:"skipped,attr"`
		Time     string `xml:"time,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Skipped *junitMessage `xml:"skipped"`
		Failure *junitMessage `xml:"failure"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes a test for each rule that can be violated, which fails with all its violations. So the
// tests of two runs can be compared. Each waived violation is a further test, which is skipped.
func writeJUnit(w io.Writer, r Report, places *places) error {
	suite := junitSuite{junitCounts: junitCounts{Name: "audit of " + r.Database, Time: fmt.Sprintf("%.3f", r.took.Seconds())}, Timestamp: r.Taken.Format("2006-01-02T15:04:05")}
	add := func(one junitCase) {
		one.Class, one.Time = "audit."+r.Database, "0"
		suite.Cases = append(suite.Cases, one)
		suite.Tests++
		if one.Failure != nil {
			suite.Failures++
		}
		if one.Skipped != nil {
			suite.Skipped++
		}
	}
	byRule := map[string][]Finding{}
	for _, f := range r.Violations {
		byRule[f.Rule] = append(byRule[f.Rule], f)
	}
	for _, rule := range Rules() {
		if rule.Kind == kindNote {
			continue
		}
		test := junitCase{Name: rule.Name}
		if violations := byRule[rule.Name]; len(violations) > 0 {
			var lines strings.Builder
			for _, f := range violations {
				lines.WriteString("\n" + places.line(f))
			}
			test.Failure = &junitMessage{count(len(violations), "violation") + ": " + rule.Meaning, rule.Name, lines.String() + "\n"}
		}
		add(test)
	}
	for _, f := range r.Waived {
		name := []string{f.Rule}
		for _, part := range []string{f.Tenant, f.Subject, f.Database, f.Object} {
			if part != "" {
				name = append(name, part)
			}
		}
		add(junitCase{Name: strings.Join(name, " "), Skipped: &junitMessage{Message: f.Waiver.String(), Text: "\n" + places.line(f) + "\n"}})
	}
	all := suite.junitCounts
	all.Name = "tenantctl audit"
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "\t")
	if err := encoder.Encode(junitSuites{junitCounts: all, Suites: []junitSuite{suite}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// line is a finding with its place, if there are files, and its tenant.
func (p *places) line(f Finding) string {
	text := f.sentences()
	if f.Tenant != "" {
		text = "tenant " + f.Tenant + ": " + text
	}
	if place := p.of(f); place != (places{}).first {
		text = place.String() + ": " + text
	}
	return text
}
