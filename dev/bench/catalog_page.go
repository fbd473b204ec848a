package bench

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// catalogFigure is a row of the table of catalogs.
type catalogFigure struct {
	title string
	// superuser is whether the tenants were made by one. Most figures do not depend on it.
	superuser bool
	// value is what the row has, empty if it was not measured.
	value func(*catalog) string
}

// catalogFigures are the rows of the table.
func catalogFigures() []catalogFigure {
	took := func(superuser bool, title, name string) catalogFigure {
		return catalogFigure{title, superuser, func(c *catalog) string {
			if c.Seconds[name] == 0 {
				return ""
			}
			return duration(c.Seconds[name])
		}}
	}
	has := func(superuser bool, title, name string) catalogFigure {
		return catalogFigure{title, superuser, func(c *catalog) string {
			if c.Bytes[name] == 0 {
				return ""
			}
			return size(c.Bytes[name])
		}}
	}
	memberships := func(c *catalog) string { return number(float64(c.Memberships)) }
	return []catalogFigure{
		took(true, "log in as the app", loginApp),
		took(true, "log in as a tenant", loginTenant),
		took(true, "log in as the admin", loginAdmin),
		took(true, "first query of the app", firstApp),
		took(true, "first query of a tenant", firstTenant),
		took(true, "first query of the admin", firstAdmin),
		took(true, "the app's query after a change of memberships", changeApp),
		took(true, "a tenant's query after a change of memberships", changeTenant),
		took(true, "the admin's query after a change of memberships", changeAdmin),
		took(true, "`SET ROLE` of the admin to a tenant", setRole),
		took(true, "`SET ROLE` after a change of memberships", changeSet),
		took(true, "the admin makes a login a member of a tenant", adminGrants),
		took(true, "add a tenant, as a superuser", addTenant),
		took(false, "add a tenant, without a superuser", addTenant),
		took(true, "drop a tenant, as a superuser", dropTenant),
		took(false, "drop a tenant, without a superuser", dropTenant),
		took(true, "locks for a grant to `all_tenants`", lockMembers),
		took(true, "`pg_dumpall --roles-only`", dumpRoles),
		has(true, "its output", sizeDump),
		{"memberships, deployed by a superuser", true, memberships},
		{"memberships, deployed without a superuser", false, memberships},
		has(false, "`pg_auth_members`, deployed without a superuser", sizeMemberships),
		has(true, "`pg_default_acl`", sizeDefaults),
		has(true, "`pg_namespace`", sizeSchemas),
		has(true, "access list of the database", sizeDatabaseACL),
		has(true, "access list of a schema", sizeSchemaACL),
		has(true, "memory of a tenant's session", memoryTenant),
		has(true, "memory of the admin's session", memoryAdmin),
	}
}

// writeCatalogs writes the section of the page, if anything was measured.
func (r *results) writeCatalogs(w io.Writer) {
	all := r.Catalogs
	if len(all) == 0 {
		return
	}
	fmt.Fprint(w, "\n## Many tenants on one server\n\nWhat the roles and privileges of many tenants cost PostgreSQL itself. They are made in plain SQL, the same as a stack makes, "+
		"with a table for each tenant. Times are medians of "+fmt.Sprint(samples)+" samples. `make bench-catalog` measures it.\n")
	for _, sentence := range measuredCatalogs(all) {
		fmt.Fprintf(w, "%s\n", sentence)
	}
	columns := catalogColumns(all)
	fmt.Fprint(w, "\n| PostgreSQL, tenants ")
	for _, c := range columns {
		fmt.Fprintf(w, "| %s, %s ", c.Environment.major(), number(float64(c.Tenants)))
	}
	fmt.Fprint(w, "|\n|---"+strings.Repeat("|--:", len(columns))+"|\n")
	for _, figure := range catalogFigures() {
		fmt.Fprintf(w, "| %s ", figure.title)
		for _, column := range columns {
			value := ""
			if i := slices.IndexFunc(all, func(c *catalog) bool {
				return c.Superuser == figure.superuser && c.Tenants == column.Tenants && c.Environment.major() == column.Environment.major()
			}); i >= 0 {
				value = figure.value(all[i])
			}
			fmt.Fprintf(w, "| %s ", cmp.Or(value, "–"))
		}
		fmt.Fprintln(w, "|")
	}
	fmt.Fprint(w, "\nPostgreSQL remembers in each session what the session's role is a member of, and forgets it when any session changes a membership. "+
		"\"After a change\" is the next statement of an open session. Relations are counted with their indexes. "+dumpVersions(all)+
		"[What follows for the number of tenants](cells.md#how-many-tenants) is on the page of cells.\n")
	r.writeTools(w)
}

// dumpVersions says with what roles were dumped.
func dumpVersions(all []*catalog) string {
	var versions []string
	for _, c := range all {
		if c.DumpVersion != "" && !slices.Contains(versions, c.DumpVersion) {
			versions = append(versions, c.DumpVersion)
		}
	}
	if len(versions) == 0 {
		return ""
	}
	return "Roles were dumped with `pg_dumpall` of version " + strings.Join(slices.Sorted(slices.Values(versions)), " and ") + ", which cannot dump newer servers. "
}

// measuredCatalogs says when, where and on which versions figures were measured, in a sentence each.
func measuredCatalogs(all []*catalog) (sentences []string) {
	for _, c := range all {
		env := c.Environment
		sentence := fmt.Sprintf("PostgreSQL %s was measured %s on %d cores of %s, %d GiB, %s.", env.PostgreSQL, c.Date, env.Cores, env.CPU, env.MemoryGiB, env.System)
		if c.Busy {
			sentence += " Other work ran on the machine at the same time."
		}
		if !slices.Contains(sentences, sentence) {
			sentences = append(sentences, sentence)
		}
	}
	slices.Sort(sentences)
	if slices.ContainsFunc(all, func(c *catalog) bool { return c.Busy }) {
		sentences = append(sentences, "So compare numbers of tenants with each other, and not versions.")
	}
	return sentences
}

// catalogColumns has one catalog of each version and number of tenants, sorted.
func catalogColumns(all []*catalog) []*catalog {
	compare := func(a, b *catalog) int {
		return cmp.Or(cmp.Compare(a.Environment.major(), b.Environment.major()), cmp.Compare(a.Tenants, b.Tenants))
	}
	sorted := slices.SortedStableFunc(slices.Values(all), compare)
	return slices.CompactFunc(sorted, func(a, b *catalog) bool { return compare(a, b) == 0 })
}

// size is a number of bytes with a unit.
func size(bytes int64) string {
	switch {
	case bytes < 1000:
		return number(float64(bytes)) + " B"
	case bytes < 1e6:
		return number(float64(bytes)/1e3) + " kB"
	default:
		return number(float64(bytes)/1e6) + " MB"
	}
}
