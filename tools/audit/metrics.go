package audit

import (
	"fmt"
	"io"
	"strings"
)

// writeMetrics writes counts as OpenMetrics text. All are gauges without a unit and a time of their own,
// so that it is also the older text format of Prometheus, which the textfile collector reads.
func writeMetrics(w io.Writer, r Report) error {
	var b strings.Builder
	metric := func(name, help string) {
		fmt.Fprintf(&b, "# HELP tenant_permissions_audit_%s %s\n# TYPE tenant_permissions_audit_%s gauge\n", name, help, name)
	}
	of := fmt.Sprintf(`server="%s",database="%s"`, label(r.address), label(r.Database))
	// Rules without findings are there with 0, so that no series comes and goes.
	byRule := func(name, help, level, kind string, findings []Finding) {
		metric(name, help)
		counts := map[string]int{}
		for _, f := range findings {
			counts[f.Rule]++
		}
		for _, rule := range Rules() {
			if rule.Kind == kind || rule.Kind == kindEither {
				fmt.Fprintf(&b, "tenant_permissions_audit_%s{%s,rule=\"%s\",level=\"%s\"} %d\n", name, of, label(rule.Name), level, counts[rule.Name])
			}
		}
	}
	byRule("violations", "Violations by rule, without waived ones.", "error", kindViolation, r.Violations)
	byRule("waived_violations", "Violations by rule that a waiver accepts.", "error", kindViolation, r.Waived)
	byRule("notes", "Notes by rule.", "note", kindNote, r.Notes)
	for _, one := range []struct {
		name, help, format string
		value              any
	}{
		{"ended_waivers", "Waivers whose last day has passed.", "%d", r.ended},
		{"tenants", "Tenants that were audited.", "%d", len(r.Tenants)},
		{"objects", "Objects that were audited.", "%d", len(r.Objects)},
		{"timestamp_seconds", "When the audit ran, as a Unix time.", "%d", r.Taken.Unix()},
		{"duration_seconds", "How long the audit took.", "%.3f", r.took.Seconds()},
	} {
		metric(one.name, one.help)
		fmt.Fprintf(&b, "tenant_permissions_audit_%s{%s} "+one.format+"\n", one.name, of, one.value)
	}
	b.WriteString("# EOF\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// label is the value of a label, without the quotes around it.
func label(value string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value)
}
