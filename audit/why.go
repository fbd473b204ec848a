package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// verbs are the questions, with the privileges that answer them on a kind of object.
var verbs = map[string]func(kind string) []string{
	"reads": func(string) []string { return []string{"SELECT"} },
	"writes": func(kind string) []string {
		if kind == "sequence" {
			return []string{"UPDATE"}
		}
		return []string{"INSERT", "UPDATE", "DELETE"}
	},
	"creates-in": func(string) []string { return []string{"CREATE"} },
	"uses": func(kind string) []string {
		if kind == "function" {
			return []string{"EXECUTE"}
		}
		return []string{"USAGE"}
	},
	"owns": nil,
}

// why answers `why ROLE VERB OBJECT` with the chain of grants behind each privilege that it takes,
// or with the first that is missing and who has it.
func (s *system) why(w io.Writer, question []string) error {
	if len(question) != 3 {
		return errors.New("why: want a role, a verb and an object, such as tenant_acme reads tenant_globex.docs")
	}
	var problems []error
	who := s.byName[question[0]]
	if who == nil {
		problems = append(problems, fmt.Errorf("why: got the role %q, want one that the server has", question[0]))
	}
	privileges, known := verbs[question[1]]
	if !known {
		problems = append(problems, fmt.Errorf("why: got the verb %q, want one of %s", question[1], strings.Join(slices.Sorted(maps.Keys(verbs)), ", ")))
	}
	i := slices.IndexFunc(s.objects, func(o *object) bool { return o.String() == question[2] })
	if i < 0 {
		problems = append(problems, fmt.Errorf("why: got the object %q, want the database, a schema, or schema.name in a tenant's", question[2]))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	o := s.objects[i]
	answer, lines := "yes", []string{}
	tell := func(o *object, privilege string) bool {
		line, ok := s.chain(who, o, privilege)
		lines = append(lines, line)
		return ok
	}
	switch {
	case who.super:
		lines = []string{who.name + " is a superuser, whom nothing is refused"}
	case privileges == nil:
		if !tell(o, "") {
			answer = "no"
		}
	default:
		needs := privileges(o.kind)
		if o.name != "" && o.kind != "database" && !tell(s.schemas[o.schema], "USAGE") {
			answer, needs = "no", nil
		}
		for _, privilege := range needs {
			if !tell(o, privilege) {
				answer = "no"
				break
			}
		}
	}
	_, err := fmt.Fprintf(w, "%s %s %s: %s\n  %s\n", question[0], question[1], question[2], answer, strings.Join(lines, "\n  "))
	return err
}

// chain is how a role comes by a privilege on an object, "" for owning it, or who has it instead.
func (s *system) chain(who *role, o *object, privilege string) (line string, ok bool) {
	what := privilege + " on " + o.kind + " " + o.String()
	if privilege == "" {
		what = "owner of " + o.kind + " " + o.String()
	}
	var best *granted
	holders := map[string]bool{}
	for _, h := range s.holds(o) {
		owns := h.right == rightOwn
		if privilege == "" && !owns || privilege != "" && !owns && h.privilege.name != privilege {
			continue
		}
		if s.kinds[h.holder] != KindPredefined || len(s.edges[h.holder]) > 0 {
			holders[s.name(h.holder)] = true
		}
		way, reached := reach{}, h.holder == 0
		if !reached {
			way, reached = s.membersOf(h.holder)[who.oid]
		}
		if reached && (best == nil || way.strength < best.strength || way.strength == best.strength && len(way.path) < len(best.path)) {
			best = &granted{way, h}
		}
	}
	if best == nil {
		return fmt.Sprintf("%s: missing. %s is none of those who have it, nor a member: %s", what, who.name, strings.Join(sortedKeys(holders), ", ")), false
	}
	how := "granted to " + s.name(best.holder)
	switch {
	case best.right == rightOwn:
		how = s.name(best.holder) + " owns it"
	case best.holder == 0:
		how = "granted to PUBLIC"
	case s.kinds[best.holder] == KindPredefined:
		how = "everybody in " + s.name(best.holder) + " has it"
	}
	if best.privilege.column != "" {
		how += ", for the column " + best.privilege.column
	}
	if len(best.path) > 0 {
		how += "; " + who.name + ": " + s.describe(best.path)
	}
	return what + ": " + how, true
}
