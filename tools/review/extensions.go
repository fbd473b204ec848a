package review

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenant-permissions/internal/policy"
)

// findExtensions finds the schema of the extensions, which all search paths end with. A preview of a cell
// has its name in the search paths only. If it is not that of the last deployment, it is reported.
func (e *explainer) findExtensions(p *preview) {
	e.searched = e.output(policy.OutputExtensionSchema)
	e.extensions = e.searched
	if e.config.Platform == "" {
		e.extensions = ""
		if len(e.config.Extensions) > 0 {
			e.extensions = e.config.ExtensionSchema
		}
		return
	}
	for _, s := range p.Steps {
		if s.tenant == "" || s.name != s.tenant+"-role" || s.typ != typeRole || s.Op == "delete" {
			continue
		}
		path := words(s.after("searchPaths"))
		if len(path) == 1 {
			e.extensions = ""
		} else if len(path) == 2 {
			e.extensions = path[1]
		}
		break
	}
	if e.extensions != e.searched && e.extensions != "" {
		e.report(extensions, "platform", "the search path of each tenant ends with schema %s; another stack makes this schema", e.extensions)
	}
}

// findNewPaths explains changes of search paths. It counts those that follow from extensions that come or
// go, and reports the others, which are repairs. Search paths that are not as wanted it leaves alone.
func (e *explainer) findNewPaths(g steps, want map[string]wanted, report func(k kind, format string, args ...any)) {
	for _, name := range slices.Sorted(maps.Keys(g)) {
		s := g[name]
		after := words(s.after("searchPaths"))
		if !s.changes("searchPaths") || !slices.Equal(after, words(want[name].inputs["searchPaths"])) {
			continue
		}
		s.explain("searchPaths")
		was := model{extensions: e.searched}
		var schemas []string
		if s.tenant != "" {
			schemas = after[:min(1, len(after))]
		}
		if e.searched != e.extensions && slices.Equal(words(s.before("searchPaths")), words(was.searchPath(schemas...)["searchPaths"])) {
			e.newPaths++
			continue
		}
		report(repaired, "the search path of %s is %s again", s.input("name"), strings.Join(after, ", "))
	}
}

// explainSearchPaths reports the changes of search paths that findNewPaths has counted.
func (e *explainer) explainSearchPaths() {
	switch {
	case e.newPaths == 0:
	case e.extensions == "":
		e.report(extensions, "extensions", "the search path of existing logins (%d) no longer ends with schema %s", e.newPaths, e.searched)
	default:
		e.report(extensions, "extensions", "the search path of existing logins (%d) ends with schema %s", e.newPaths, e.extensions)
	}
}

// explainExtension explains what happens to an extension, or to the schema of the extensions.
func (e *explainer) explainExtension(s *step) {
	key, isExtension := strings.CutPrefix(s.name, extensionPrefix)
	isExtension = isExtension && s.typ == typeExtension
	want := e.extension(key, e.database)
	if !isExtension {
		key, want = "", e.extensionSchema()
	}
	e.explainExtensionIn("", s, want, key, isExtension)
}

// explainOwnExtensions explains extensions in a database of a tenant's own, and their schema, where they are
// not a part of a change of the tenant.
func (e *explainer) explainOwnExtensions(t tenant) {
	for _, key := range t.steps.ownExtensions() {
		name := databasePrefix + extensionPrefix + key
		e.explainExtensionIn(t.key, t.steps[name], t.want[name], key, true)
	}
	const name = databasePrefix + "extension-schema"
	if s := t.steps[name]; s != nil {
		e.explainExtensionIn(t.key, s, t.want[name], "", false)
	}
}

// explainExtensionIn explains what happens to an extension, or to the schema of the extensions if
// isExtension is false. owner is the key of the tenant whose database it is in, empty for that of the stack.
func (e *explainer) explainExtensionIn(owner string, s *step, want wanted, key string, isExtension bool) {
	if s.done() {
		return
	}
	who, where := cmp.Or(owner, key, "extensions"), ""
	if owner != "" {
		where = fmt.Sprintf(" of database %v", s.last().Inputs["database"])
	}
	is := s.is(want)
	switch {
	case s.Op == "create" && is && isExtension:
		e.report(extensions, who, "extension %s%s is created in schema %s%s, with those that it needs; if it exists, it is taken over", key, version(s.after("version")), e.extensions, where)
	case s.Op == "create" && is:
		e.report(extensions, who, "schema %s%s is created; if it exists, it is taken over; %v owns it", e.extensions, where, e.names[policy.Admin])
	case s.Op == "update" && is && isExtension && s.changes("version") && s.after("version") != nil:
		s.explain("version")
		e.report(extensions, who, "extension %s%s changes%s to%s", key, where, strings.Replace(version(s.before("version")), " ", " from ", 1), version(s.after("version")))
		return
	case s.Op == "replace" && is && isExtension:
		e.report(replaced, who, "REPLACED: extension %s%s is dropped and created again; the run fails if anything uses it, such as a column or an index", key, where)
	case s.Op == "delete" && isExtension && s.after("dropCascade") != true:
		e.report(extensions, who, "extension %s%s is dropped; the run fails if anything uses it, such as a column or an index", key, where)
	case s.Op == "delete" && s.typ == typeSchema && s.after("dropCascade") != true:
		e.report(extensions, who, "%s", dropped(s, where))
	default:
		return
	}
	s.explainWhole()
}

// extension is an extension of the config in a database. Its version is that of the config, or is left to
// the server. The extensions of a cell are those of the platform, which its preview does not know.
func (e *explainer) extension(key string, database any) wanted {
	cfg, configured := e.config.Extensions[key]
	inputs := map[string]any{"name": key, "database": database, "schema": e.extensions, "createCascade": true, "dropCascade": false}
	switch {
	case e.config.Platform != "" && e.extensions != "":
		inputs["version"] = nil
	case !configured:
		return wanted{}
	case cfg.Version != "":
		inputs["version"] = cfg.Version
	}
	return wanted{typeExtension, inputs}
}

// version is a version after a space, or nothing.
func version(of any) string {
	if of == nil {
		return ""
	}
	return fmt.Sprintf(" version %v", of)
}

// words are the strings of a list.
func words(values any) (all []string) {
	list, ok := values.([]any)
	if !ok {
		return nil
	}
	for _, value := range list {
		all = append(all, fmt.Sprint(value))
	}
	return all
}
