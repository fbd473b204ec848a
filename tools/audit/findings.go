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
	violations, waived, notes []Finding
	// many are objects with one and the same problem.
	many map[problem][]affected
	// explained is what a violation names already. A role that reaches a tenant by way of it has no
	// violation of its own. A waived violation explains nothing: it is about the role that it names.
	explained
	// database is the one that the findings are about, none for the stacks' own. waivers are those that
	// apply.
	database string
	waivers  *waivers
	// waivable are the violations that are not waived, as a waiver names them. vague is the number of
	// those that cannot be waived.
	waivable []waived
	vague    int
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

// explanation is a role that reaches too much, or a membership that should not be, which a violation
// names. The zero value is none.
type explanation struct {
	role       oid
	membership edge
}

func (e explained) add(by explanation) {
	if by.role != 0 {
		e.roles[by.role] = true
	}
	if by.membership != (edge{}) {
		e.memberships[by.membership] = true
	}
}

// problem is a finding that may concern many objects: its text and its fix name them.
type problem struct {
	Finding // without Text and Fix
	text    sentence
	fix     sentence
	// together is what the fix names in place of several objects. If it is empty, the fix is that of
	// the first, or names all if listed is true.
	together string
	listed   bool
}

// sentence is a text with a place for objects.
type sentence struct{ before, after string }

func (s sentence) with(objects string) string { return s.before + objects + s.after }

// affected is an object of a problem.
type affected struct {
	// name is how the text names it, target how the fix does.
	name, target string
	// object is how waivers name it, "" for the object of the finding, or else the name.
	object string
	// vague is that of Finding.
	vague    bool
	explains explanation
}

func newFindings(w *waivers, database string) *findings {
	return &findings{
		many:      map[problem][]affected{},
		explained: explained{map[oid]bool{}, map[edge]bool{}},
		database:  database,
		waivers:   w,
	}
}

// findings are those of all databases, sorted.
func (s *system) findings(w *waivers) *findings {
	all := newFindings(w, "")
	for _, missing := range s.missing {
		all.violation(missing)
	}
	run := func(of *system, checks ...func(*findings)) {
		for _, check := range checks {
			found := newFindings(w, of.shownDatabase())
			check(found)
			all.merge(found)
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
	all.notes = append(all.notes, w.unused(slices.Concat(all.violations, all.waived))...)
	all.violations, all.waived, all.notes = sorted(all.violations), sorted(all.waived), sorted(all.notes)
	return all
}

// shownDatabase is the database as findings and objects have it: none for the stacks' own.
func (s *system) shownDatabase() string {
	if s.own == nil {
		return ""
	}
	return s.own.Database
}

// merge adds what another check has found.
func (f *findings) merge(other *findings) {
	for problem, all := range other.many {
		byWaiver := map[*waiver][]affected{}
		for _, one := range all {
			w := f.waivers.of(problem.of(one, other.database))
			byWaiver[w] = append(byWaiver[w], one)
		}
		for w, some := range byWaiver {
			found := problem.finding(some)
			found.Database = other.database
			other.add(found, w)
		}
	}
	f.violations = append(f.violations, other.violations...)
	f.waived = append(f.waived, other.waived...)
	f.notes = append(f.notes, other.notes...)
	f.waivable, f.vague = append(f.waivable, other.waivable...), f.vague+other.vague
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
func (f *findings) violation(v Finding) {
	v.Database = f.database
	f.add(v, f.match(v, v.explains))
}

// match is the waiver of a single violation, nil if it has none. What a violation explains counts unless
// it is waived.
func (f *findings) match(v Finding, by explanation) *waiver {
	w := f.waivers.of(v)
	if !w.waives() {
		f.explained.add(by)
		if v.vague {
			f.vague++
		} else {
			f.waivable = append(f.waivable, waivedBy(v))
		}
	}
	return w
}

// add adds a violation that has a waiver, or none.
func (f *findings) add(v Finding, w *waiver) {
	if w != nil {
		v.Waiver = &w.Waiver
	}
	if w.waives() {
		f.waived = append(f.waived, v)
	} else {
		f.violations = append(f.violations, v)
	}
}

// note adds a note.
func (f *findings) note(n Finding) {
	n.Database = f.database
	f.notes = append(f.notes, n)
}

// affects adds an object to the violation that is the same for it and others.
func (f *findings) affects(p problem, one affected) {
	f.many[p] = append(f.many[p], one)
	f.match(p.of(one, f.database), one.explains)
}

// of is the violation of a problem with one of its objects alone, which is what a waiver is about.
func (p problem) of(one affected, database string) Finding {
	found := p.finding([]affected{one})
	found.Database, found.object, found.vague = database, one.object, found.vague || one.vague
	return found
}

// finding is the violation of a problem with the objects that it affects.
func (p problem) finding(all []affected) Finding {
	names, targets := make([]string, len(all)), make([]string, len(all))
	for i, one := range all {
		names[i], targets[i] = one.name, one.target
	}
	target := targets[0]
	switch {
	case p.listed:
		target = strings.Join(targets, ", ")
	case len(all) > 1 && p.together != "":
		target = p.together
	}
	found := p.Finding
	found.Object = cmp.Or(found.Object, names[0])
	found.Text, found.Fix = p.text.with(abbreviated(names)), p.fix.with(target)
	return found
}

// mostNamed of many objects are in a text.
const mostNamed = 3

// abbreviated names the first of many.
func abbreviated(names []string) string {
	if len(names) <= mostNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNamed], ", "), len(names)-mostNamed)
}
