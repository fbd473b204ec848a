package audit

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tenant-permissions/internal/config"
)

// verbs are the questions.
var verbs = []string{"reads", "writes", "uses", "creates-in", "owns"}

// needs are the privileges that answer a question about a kind of object, besides USAGE of its schema;
// "" is owning it. A question about everything in a schema needs no further privilege on the schema.
// ok is false if the verb does not apply to the kind.
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

// verbsFor are the verbs that apply to a kind of object.
func verbsFor(kind string) []string {
	return slices.DeleteFunc(slices.Clone(verbs), func(verb string) bool {
		_, ok := needs(verb, kind)
		return !ok
	})
}

// why answers `why ROLE VERB OBJECT` with the chain of grants behind each privilege that it takes,
// or with the first that is missing and who has it.
func (s *system) why(w io.Writer, question []string) error {
	if len(question) == 4 && question[1] == "creates" && question[2] == "in" {
		question = []string{question[0], "creates-in", question[3]}
	}
	if len(question) != 3 {
		return fmt.Errorf("why: %s is no question; give a role, a verb and an object, such as tenant_acme reads tenant_globex.docs", config.Show(strings.Join(question, " ")))
	}
	var problems []error
	who, verb := s.byName[question[0]], question[1]
	if who == nil {
		problems = append(problems, fmt.Errorf("why: the server has no role %s", config.Show(question[0])))
	}
	known := slices.Contains(verbs, verb)
	if !known {
		problems = append(problems, fmt.Errorf("why: %s is no verb; give one of %s", config.Show(verb), strings.Join(verbs, ", ")))
	}
	s, o := s.find(question[2], verb)
	if o == nil {
		problems = append(problems, fmt.Errorf("why: %s is no object that the audit reads; give the database, a schema, or schema.name in a tenant's schema", config.Show(question[2])))
	} else if kind := o.kind; known && !slices.Contains(verbsFor(kind), verb) {
		problems = append(problems, fmt.Errorf("why: %s does not apply to a %s; give one of %s", verb, kind, strings.Join(verbsFor(kind), ", ")))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	answer, lines := s.answer(who, verb, o)
	_, err := fmt.Fprintf(w, "%s %s %s: %s\n  %s\n", question[0], verb, question[2], answer, strings.Join(lines, "\n  "))
	return err
}

// find is the object of this name, and the system of its database. o is nil if there is none. Of several
// with the name it is the one that the verb applies to. A schema comes before a database of its name, and
// the tenant's schema before one that the tenant has left.
func (s *system) find(name, verb string) (of *system, o *object) {
	of, best := s, -1
	for _, system := range s.databases() {
		for _, found := range system.objects {
			if found.String() != name {
				continue
			}
			rank := 0
			if slices.Contains(verbsFor(found.kind), verb) {
				rank += 4
			}
			if tenant := system.tenantBySchema[found.schema]; tenant == nil || tenant.movedTo == "" {
				rank += 2
			}
			if found.kind != "database" {
				rank++
			}
			if rank > best {
				of, o, best = system, found, rank
			}
		}
	}
	return of, o
}

// answer is yes, in part or no, and why.
func (s *system) answer(who *role, verb string, o *object) (answer string, lines []string) {
	if who.super {
		return "yes", []string{who.name + " is a superuser and may do everything"}
	}
	if o.kind != "database" && who.login && verb != "owns" {
		line, ok := s.chain(who, s.itself, "CONNECT")
		if !ok {
			return "no", []string{line}
		}
		if s.own != nil {
			lines = []string{line}
		}
	}
	whole := o.kind == "schema" && (verb == "reads" || verb == "writes")
	if whole || o.schema != "" && o.kind != "schema" && verb != "owns" {
		line, ok := s.chain(who, s.schemas[o.schema], "USAGE")
		if lines = append(lines, line); !ok {
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
	const most = 6 // lines are enough for a schema
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

// chain is how a role has a privilege on an object, "" for owning it. ok is false if it does not, and
// the line then names those who do.
func (s *system) chain(who *role, o *object, privilege string) (line string, ok bool) {
	what := privilege + " on " + o.kind + " " + o.String()
	if privilege == "" {
		what = "owner of " + o.kind + " " + o.String()
	}
	var best *granted
	others := map[string]bool{}
	for _, own := range s.ownRights(o) {
		owns := own.right == rightOwn
		if privilege == "" && !owns || privilege != "" && !owns && own.privilege.name != privilege {
			continue
		}
		if s.kinds[own.role] != KindPredefined || len(s.memberships(own.role)) > 0 {
			others[s.name(own.role)] = true
		}
		way, reached := reach{}, own.role == 0
		if !reached {
			way, reached = s.membersOf(own.role)[who.oid]
		}
		if reached && (best == nil || way.strength < best.strength || way.strength == best.strength && len(way.path) < len(best.path)) {
			best = &granted{way, own}
		}
	}
	if best == nil {
		return fmt.Sprintf("%s: missing. %s is neither one of these roles, which have it, nor a member of one: %s", what, who.name, strings.Join(sortedKeys(others), ", ")), false
	}
	how := "granted to " + s.name(best.role)
	switch {
	case best.right == rightOwn:
		how = s.name(best.role) + " owns it"
	case best.role == 0:
		how = "granted to PUBLIC"
	case s.kinds[best.role] == KindPredefined:
		how = "every member of " + s.name(best.role) + " has it"
	}
	if best.privilege.column != "" {
		how += ", for the column " + best.privilege.column
	}
	if len(best.path) > 0 {
		how += "; " + who.name + ": " + s.describe(best.path)
	}
	return what + ": " + how, true
}
