package audit

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// writeText writes a report for a terminal: what is wrong first.
func writeText(w io.Writer, r Report) error {
	var b strings.Builder
	databases := "the database " + r.Database
	if own := r.ownDatabases(); own > 0 {
		databases += " and " + count(own, "database") + " of tenants"
	}
	found := count(len(r.Violations), "violation")
	if len(r.Waived) > 0 {
		found += fmt.Sprintf(" and %d waived", len(r.Waived))
	}
	fmt.Fprintf(&b, "%s: %s in %s, PostgreSQL %s: %s, %s\n",
		r.Taken.Format("2006-01-02 15:04 UTC"), found, databases, r.Server, count(len(r.Tenants), "tenant"), count(len(r.Objects), "object"))
	if err := writeFindings(&b, r.Violations); err != nil {
		return err
	}
	if len(r.Waived) > 0 {
		fmt.Fprintln(&b, "\nWaived")
		if err := writeFindings(&b, r.Waived); err != nil {
			return err
		}
	}
	if rows := summary(r); len(rows) > 0 {
		table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "\nwho\tis\tcan")
		for _, row := range rows {
			fmt.Fprintln(table, strings.Join(row, "\t"))
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	if len(r.Notes) > 0 {
		fmt.Fprintln(&b, "\nNotes")
		if err := writeFindings(&b, r.Notes); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ownDatabases is the number of databases of single tenants.
func (r Report) ownDatabases() (n int) {
	for _, o := range r.Objects {
		if o.Kind == "database" && o.Database != "" {
			n++
		}
	}
	return n
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}

// writeFindings writes findings by their rule. Each has a line with its tenant, role and object, aligned
// with the others of the rule, then what is wrong and what to do.
func writeFindings(b *strings.Builder, findings []Finding) error {
	for len(findings) > 0 {
		n := 1
		for n < len(findings) && findings[n].Rule == findings[0].Rule {
			n++
		}
		fmt.Fprintf(b, "\n%s (%d)\n", findings[0].Rule, n)
		heads, err := aligned(findings[:n])
		if err != nil {
			return err
		}
		for i, f := range findings[:n] {
			if heads[i] != "" {
				fmt.Fprintf(b, "  %s\n", heads[i])
			}
			fmt.Fprintf(b, "    %s\n", wrapped(f.Text, "    "))
			if f.Fix != "" {
				fmt.Fprintf(b, "    fix: %s\n", f.Fix)
			}
			if f.Waiver != nil {
				fmt.Fprintf(b, "    %s\n", wrapped(f.Waiver.String(), "    "))
			}
		}
		findings = findings[n:]
	}
	return nil
}

// aligned is a table of the findings' tenants, roles and objects, by line, without empty columns.
func aligned(findings []Finding) ([]string, error) {
	rows := make([][]string, len(findings))
	for _, column := range []func(Finding) string{
		func(f Finding) string { return f.Tenant },
		func(f Finding) string { return f.Subject },
		func(f Finding) string { return f.Database },
		func(f Finding) string { return f.Object },
	} {
		if !slices.ContainsFunc(findings, func(f Finding) bool { return column(f) != "" }) {
			continue
		}
		for i, f := range findings {
			rows[i] = append(rows[i], cmp.Or(column(f), "-"))
		}
	}
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	if err := table.Flush(); err != nil {
		return nil, err
	}
	return strings.Split(b.String(), "\n"), nil
}

// wrapped breaks a text into lines of 100 columns where its words allow.
func wrapped(text, indent string) string {
	var b strings.Builder
	width := len(indent)
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case width+1+len(word) > 100:
			b.WriteString("\n" + indent)
			width = len(indent)
		default:
			b.WriteString(" ")
			width++
		}
		b.WriteString(word)
		width += len(word)
	}
	return b.String()
}

// summary has, for each role and PUBLIC, its rights and the number of schemas or tables on which it has
// them. All tenants share the rows of what each has in its own schema.
func summary(r Report) (rows [][]string) {
	kinds := map[string]Principal{}
	for _, p := range r.Principals {
		kinds[p.Name] = p
	}
	type row struct{ who, is, can string }
	schemas := map[row]int{}
	var order []row
	for _, o := range r.Objects {
		if o.Kind != "schema" && o.Kind != "table" {
			continue
		}
		seen := map[row]bool{}
		for _, a := range r.AccessLists[o.Access] {
			p := kinds[a.Who]
			who := row{a.Who, p.Kind, strings.Join(a.Rights, ", ") + " " + o.Kind + "s"}
			if a.Expected && p.Tenant != "" && p.Tenant == o.Tenant {
				who.who = "each tenant"
				who.can += " of its own"
			} else if !a.Expected {
				who.can += " (UNEXPECTED)"
			}
			if seen[who] {
				continue
			}
			seen[who] = true
			if schemas[who] == 0 {
				order = append(order, who)
			}
			schemas[who]++
		}
	}
	for _, who := range order {
		rows = append(rows, []string{who.who, who.is, fmt.Sprintf("%s: %d", who.can, schemas[who])})
	}
	return rows
}
