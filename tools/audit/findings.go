package audit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// findings are what one check has found. The checks do not depend on each other, and their findings are
// merged. Only checkReach gets to know what the others have explained.
type findings struct {
	violations, notes []Finding
	// many are objects with one and the same problem.
	many map[problem]*affected
	// explained is what a violation names already. A role that reaches a tenant by way of it has no
	// violation of its own.
	explained
}

// explained are roles that reach too much, and memberships that should not be.
type explained struct {
	roles       map[oid]bool
	memberships map[edge]bool
}

// covers reports whether a violation names a membership of a way, or a role on it.
func (e explained) covers(path []membership) bool {
	return slices.ContainsFunc(path, func(m membership) bool { return e.memberships[edge{m.role, m.member}] || e.roles[m.role] })
}

func (e explained) clone() explained {
	return explained{maps.Clone(e.roles), maps.Clone(e.memberships)}
}

// problem is a finding that may concern many objects: its text and its fix name them.
type problem struct {
	Finding // without Text and Fix
	text    sentence
	fix     sentence
	// together is what the fix names in place of several objects. If it is empty, the fix is that of
	// the first.
	together string
}

// sentence is a text with a place for objects.
type sentence struct{ before, after string }

func (s sentence) with(objects string) string { return s.before + objects + s.after }

// affected are the objects of a problem, as the text and as the fix name them.
type affected struct{ names, targets []string }

func newFindings() *findings {
	return &findings{
		many:      map[problem]*affected{},
		explained: explained{map[oid]bool{}, map[edge]bool{}},
	}
}

// findings are all violations and notes in all databases, sorted.
func (s *system) findings() (violations, notes []Finding) {
	all := newFindings()
	all.violations = append(all.violations, s.missing...)
	run := func(of *system, checks ...func(*findings)) {
		for _, check := range checks {
			found := newFindings()
			check(found)
			all.merge(found, of.shownDatabase())
		}
	}
	// What the server has once.
	run(s, s.checkAttributes, s.checkMemberships, s.checkSettings, s.checkLimits, s.noteServer, s.noteConnect)
	for _, of := range s.databases() {
		run(of, of.checkOwned, of.checkObjects, of.checkExtensions, of.checkDefaults)
	}
	run(s, func(f *findings) { s.checkUnlimited(f, all.explained) })
	for _, of := range s.databases() {
		run(of, func(f *findings) { of.checkReach(f, all.explained) })
	}
	return sorted(all.violations), sorted(all.notes)
}

// shownDatabase is the database as findings and objects have it: none for the stacks' own.
func (s *system) shownDatabase() string {
	if s.own == nil {
		return ""
	}
	return s.own.Database
}

// merge adds what another check has found in a database.
func (f *findings) merge(other *findings, database string) {
	for problem, affected := range other.many {
		other.violation(problem.finding(affected))
	}
	for _, found := range other.violations {
		found.Database = database
		f.violation(found)
	}
	for _, found := range other.notes {
		found.Database = database
		f.note(found)
	}
	maps.Copy(f.roles, other.roles)
	maps.Copy(f.memberships, other.memberships)
}

func sorted(all []Finding) []Finding {
	slices.SortFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Database, b.Database), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Text, b.Text))
	})
	return append([]Finding{}, all...) // [] in JSON, not null
}

// violation adds a violation.
func (f *findings) violation(v Finding) { f.violations = append(f.violations, v) }

// note adds a note.
func (f *findings) note(n Finding) { f.notes = append(f.notes, n) }

// affects adds an object to the violation that is the same for it and others. The text names it by
// name, the fix by target.
func (f *findings) affects(p problem, name, target string) {
	if f.many[p] == nil {
		f.many[p] = &affected{}
	}
	f.many[p].names = append(f.many[p].names, name)
	f.many[p].targets = append(f.many[p].targets, target)
}

// finding is the violation of a problem with the objects that it affects.
func (p problem) finding(a *affected) Finding {
	target := a.targets[0]
	if len(a.targets) > 1 && p.together != "" {
		target = p.together
	}
	found := p.Finding
	found.Object = cmp.Or(found.Object, a.names[0])
	found.Text, found.Fix = p.text.with(abbreviated(a.names)), p.fix.with(target)
	return found
}

// abbreviated names the first of many.
func abbreviated(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
