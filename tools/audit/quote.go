package audit

import (
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// quoted is a name as SQL takes it.
func quoted(name string) string {
	if plainName.MatchString(name) || name == "PUBLIC" {
		return name
	}
	return pgx.Identifier{name}.Sanitize()
}

// quotedObject is an object as GRANT and REVOKE take it.
func quotedObject(o *object) string {
	switch o.kind {
	case "database":
		return "DATABASE " + quoted(o.name)
	case "schema":
		return "SCHEMA " + quoted(o.schema)
	case "function":
		// PostgreSQL quotes the types of the arguments.
		return "FUNCTION " + quoted(o.schema) + "." + quoted(o.function) + strings.TrimPrefix(o.name, o.function)
	case "sequence":
		return "SEQUENCE " + quoted(o.schema) + "." + quoted(o.name)
	default:
		return quoted(o.schema) + "." + quoted(o.name)
	}
}

// identity is what no other object of the database is called: the kind, and the name as SQL takes it.
func (o *object) identity() string {
	_, name, _ := strings.Cut(altered(o), strings.ToUpper(o.kind)+" ")
	return o.kind + " " + name
}

// quotedAll are names as SQL takes them.
func quotedAll(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = quoted(name)
	}
	return all
}

// altered is an object as ALTER takes it.
func altered(o *object) string {
	if kindGroup(o.kind) == "table" {
		return strings.ToUpper(o.kind) + " " + quotedObject(o)
	}
	return quotedObject(o)
}
