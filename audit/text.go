package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// writeText writes a report for a terminal: what is wrong first.
func writeText(w io.Writer, r Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s in the database %s, PostgreSQL %s: %s, %s\n",
		r.Taken.Format("2006-01-02 15:04 UTC"), count(len(r.Violations), "violation"), r.Database, r.Server, count(len(r.Tenants), "tenant"), count(len(r.Objects), "object"))
	writeFindings(&b, r.Violations)
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
		writeFindings(&b, r.Notes)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}

func writeFindings(b *strings.Builder, findings []Finding) {
	for i, f := range findings {
		if i == 0 || findings[i-1].Rule != f.Rule {
			fmt.Fprintf(b, "\n%s\n", f.Rule)
		}
		var of []string
		for _, part := range []string{f.Tenant, f.Subject, f.Object} {
			if part != "" && (len(of) == 0 || of[len(of)-1] != part) {
				of = append(of, part)
			}
		}
		if len(of) > 0 {
			f.Text = strings.Join(of, ", ") + ": " + f.Text
		}
		fmt.Fprintf(b, "  %s\n", f.Text)
		if f.Fix != "" {
			fmt.Fprintf(b, "    fix: %s\n", f.Fix)
		}
	}
}

// summary is, for each who is not a tenant, in how many tenants' schemas it has which rights; all
// tenants are one row, unless one has something else than its own.
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
