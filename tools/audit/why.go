package audit

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// verbs are the questions.
var verbs = []string{"reads", "writes", "uses", "creates-in", "owns"}

// needs are the privileges that answer a question about a kind of object, besides USAGE of its schema;
// "" is owning it. A question about all that a schema holds needs none of the schema's own.
func needs(verb, kind string) (privileges []string, ok bool) {
	switch {
	case verb == "owns":
		return []string{""}, true
	case verb == "creates-in":
		return []string{"CREATE"}, kind == "schema" || kind == "database"
	case verb == "uses":
		privilege, ok := map[string]string{"schema": "USAGE", "sequence": "USAGE", "function": "EXECUTE", "database": "CONNECT"}[kind]
		return []string{privilege}, ok
	case kind == "schema":
		return nil, true
	case verb == "reads":
		return []string{"SELECT"}, kind != "function" && kind != "database"
	case kind == "sequence":
		return []string{"UPDATE"}, true
	default:
		return []string{"INSERT", "UPDATE", "DELETE"}, kind != "function" && kind != "database"
	}
}

// why answers `why ROLE VERB OBJECT` with the chain of grants behind each privilege that it takes,
// or with the first that is missing and who has it.
func (s *system) why(w io.Writer, question []string) error {
	if len(question) == 4 && question[1] == "creates" && question[2] == "in" {
		question = []string{question[0], "creates-in", question[3]}
	}
	if len(question) != 3 {
		return fmt.Errorf("why: got %q, want a role, a verb and an object, such as tenant_acme reads tenant_globex.docs", strings.Join(question, " "))
	}
	var problems []error
	who, verb := s.byName[question[0]], question[1]
	if who == nil {
		problems = append(problems, fmt.Errorf("why: got the role %q, want one that the server has", question[0]))
	}
	known := slices.Contains(verbs, verb)
	if !known {
		problems = append(problems, fmt.Errorf("why: got the verb %q, want one of %s", verb, strings.Join(verbs, ", ")))
	}
	i := slices.IndexFunc(s.objects, func(o *object) bool { return o.String() == question[2] })
	if i < 0 {
		problems = append(problems, fmt.Errorf("why: got the object %q, want the database, a schema, or schema.name in a tenant's", question[2]))
	} else if _, ok := needs(verb, s.objects[i].kind); known && !ok {
		problems = append(problems, fmt.Errorf("why: got the verb %q for a %s, want another", verb, s.objects[i].kind))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	answer, lines := s.answer(who, verb, s.objects[i])
	_, err := fmt.Fprintf(w, "%s %s %s: %s\n  %s\n", question[0], verb, question[2], answer, strings.Join(lines, "\n  "))
	return err
}

// answer is yes, in part or no, and why.
func (s *system) answer(who *role, verb string, o *object) (answer string, lines []string) {
	if who.super {
		return "yes", []string{who.name + " is a superuser, whom nothing is refused"}
	}
	whole := o.kind == "schema" && (verb == "reads" || verb == "writes")
	if whole || o.schema != "" && o.kind != "schema" && verb != "owns" {
		line, ok := s.chain(who, s.schemas[o.schema], "USAGE")
		if lines = []string{line}; !ok {
			return "no", lines
		}
	}
	objects := []*object{o}
	if whole {
		objects = slices.DeleteFunc(slices.Clone(s.objects), func(of *object) bool {
			_, ok := needs(verb, of.kind)
			return of.schema != o.schema || of.kind == "schema" || of.kind == "sequence" || !ok
		})
	}
	var has, lacks []string
	for _, o := range objects {
		privileges, _ := needs(verb, o.kind)
		for _, privilege := range privileges {
			if line, ok := s.chain(who, o, privilege); ok {
				has = append(has, line)
			} else {
				lacks = append(lacks, line)
			}
		}
	}
	const most = 6 // lines tell enough of a schema
	switch {
	case len(lacks) == 0:
		return "yes", append(lines, short(has, most)...)
	case len(has) == 0:
		return "no", append(lines, lacks[0])
	default:
		return "in part", slices.Concat(lines, short(has, most), short(lacks, most))
	}
}

// short is the first of many lines.
func short(lines []string, most int) []string {
	if len(lines) <= most {
		return lines
	}
	return append(slices.Clone(lines[:most]), fmt.Sprintf("and %d more", len(lines)-most))
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
