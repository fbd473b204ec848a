package review

import (
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
		} else if len(after) == 0 {
			report(repaired, "%s has the search path of the server again", s.input("name"))
		} else {
			report(repaired, "the search path of %s is %s again", s.input("name"), strings.Join(after, ", "))
		}
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
	want := wanted{typeSchema, map[string]any{"name": e.extensions, "database": e.database, "owner": e.names[policy.Admin]}}
	key, isExtension := strings.CutPrefix(s.name, "extension-")
	isExtension = isExtension && s.typ == typeExtension
	if isExtension {
		want = e.extension(key)
	}
	is := s.is(want)
	switch {
	case s.Op == "create" && is && isExtension:
		e.report(extensions, key, "extension %s%s is created in schema %s, with those that it needs; if it exists, it is taken over", key, version(s.after("version")), e.extensions)
	case s.Op == "create" && is:
		e.report(extensions, "extensions", "schema %s is created; if it exists, it is taken over; %v owns it", e.extensions, e.names[policy.Admin])
	case s.Op == "update" && is && isExtension && s.changes("version") && s.after("version") != nil:
		s.explain("version")
		e.report(extensions, key, "extension %s changes%s to%s", key, strings.Replace(version(s.before("version")), " ", " from ", 1), version(s.after("version")))
		return
	case s.Op == "replace" && is && isExtension:
		e.report(replaced, key, "REPLACED: extension %s is dropped and created again; the run fails if anything uses it, such as a column or an index", key)
	case s.Op == "delete" && isExtension && s.after("dropCascade") != true:
		e.report(extensions, key, "extension %s is dropped; the run fails if anything uses it, such as a column or an index", key)
	case s.Op == "delete" && s.typ == typeSchema && s.after("dropCascade") != true:
		e.report(extensions, "extensions", "%s", dropped(s))
	default:
		return
	}
	s.explainWhole()
}

// extension is an extension of the config. Its version is that of the config, or is left to the server.
func (e *explainer) extension(key string) wanted {
	cfg, configured := e.config.Extensions[key]
	if !configured {
		return wanted{}
	}
	inputs := map[string]any{"name": key, "database": e.database, "schema": e.extensions, "createCascade": true, "dropCascade": false}
	if cfg.Version != "" {
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
