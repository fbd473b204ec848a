package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tenant-permissions/internal/policy"
)

var update = flag.Bool("update", false, "write the generated files in docs")

// nested is the JSON text of an object that has only the value at the path, and the other keys that
// are required beside it. <key> in the path becomes k.
func nested(t *testing.T, path, value string) map[string]string {
	t.Helper()
	words := strings.Split(strings.ReplaceAll(path, "<key>", "k"), ".")
	for i := len(words) - 1; i > 0; i-- {
		required := ""
		if i == 2 && len(words) > 3 && words[0] == "tenants" && words[i] == "database" {
			required = `"isolation":"database",`
		}
		if words[i-1] == "logins" && words[i] != "active" {
			required = `"active":"a",`
		}
		value = fmt.Sprintf("{%s%q:%s}", required, words[i], value)
	}
	return map[string]string{words[0]: value}
}

// isParent says whether the key is an object or a map, under which others are.
func isParent(k Key) bool { return k.Type == Object || k.Type == Map }

// Every key that Load knows is described, and every key that is described is known.
func TestKeysAreThoseOfTheDecoder(t *testing.T) {
	children := map[string][]string{}
	for _, key := range Keys() {
		parent, name := "", key.Path
		if i := strings.LastIndexByte(key.Path, '.'); i >= 0 {
			parent, name = key.Path[:i], key.Path[i+1:]
		}
		if strings.Contains(key.Path, ":") || name == "<key>" {
			continue
		}
		children[parent] = append(children[parent], name)
	}
	for parent, names := range children {
		slices.Sort(names)
		others := map[string]string{"no such key": "{}"}
		if parent != "" {
			others = nested(t, parent+".no such key", "{}")
		}
		_, err := Load(valuesOf(`{}`, others), noEnv)
		if err == nil || !strings.Contains(err.Error(), "known keys: "+strings.Join(names, ", ")+"\n") && !strings.HasSuffix(err.Error(), "known keys: "+strings.Join(names, ", ")) {
			t.Errorf("%s: described %v, but %v", parent, names, err)
		}
	}
}

// A default that is given makes the same config as one that is not, and the values that a description
// accepts or refuses are those that Load does.
func TestDescriptionsAreTrue(t *testing.T) {
	for _, key := range Keys() {
		if strings.Contains(key.Path, ":") {
			continue
		}
		var good, bad []string
		switch key.Type {
		case Boolean:
			good, bad = []string{"true", "false"}, []string{`"yes"`, "0"}
		case Integer:
			good, bad = []string{fmt.Sprint(key.Least), fmt.Sprint(math.MaxInt32)}, []string{fmt.Sprint(key.Least - 1), fmt.Sprint(math.MaxInt32 + 1), "1.5"}
		case Word:
			good, bad = quoted(key.Words...), []string{`"neither"`, `""`}
		case Name:
			good, bad = quoted("x", "x9_"), quoted("9x", "select", "pg_x", "X", longest+"b")
		case List:
			good, bad = []string{`["x", "y-Z"]`}, []string{`["-x"]`, `"x"`}
		case Text:
			good, bad = quoted("UTF8", "a-b_c"), []string{"1.6", `""`, `"1'"`, "null"}
		case Duration:
			good, bad = []string{"0", "1500", `"0s"`, `"15s"`, `"5min"`, `"24d"`, fmt.Sprint(math.MaxInt32)}, []string{"-1", "1.5", `"15"`, `"25d"`, `"-1s"`, `"1m"`, `" 1s"`, fmt.Sprint(math.MaxInt32 + 1), "null"}
		case Time:
			good, bad = quoted("2030-12-31T18:00:00Z", "2030-12-31T18:00:00+05:30"), quoted("2030-12-31", "2030-12-31T18:00:00", "2030-12-31 18:00:00Z", "2030-12-31T18:00:00.5Z", "infinity", "")
		case Platform:
			good, bad = []string{"a/b/c"}, []string{"a/b", "a/b/c/d"}
		case Object, Map:
			if !strings.HasSuffix(key.Path, ".logins") {
				good = []string{"{}"}
			}
			bad = []string{"[]", "null", `"x"`}
		case Database:
			good, bad = quoted("x", "X-9_"), quoted("-x", "", "a b", longest+"b")
		}
		load := func(value string) (Config, error) {
			if key.Type == Name && !strings.Contains(key.Path, ".") {
				value = strings.Trim(value, `"`) // a plain word and not JSON
			}
			return Load(valuesOf(`{}`, nested(t, key.Path, value)), noEnv)
		}
		for _, value := range good {
			if _, err := load(value); err != nil {
				t.Errorf("%s: does not accept %s: %v", key.Path, value, err)
			}
		}
		for _, value := range bad {
			if _, err := load(value); err == nil {
				t.Errorf("%s: accepts %s", key.Path, value)
			}
		}
		if key.Required && key.Path != "tenants" {
			if _, err := Load(valuesOf(`{}`, nested(t, strings.TrimSuffix(key.Path, ".active"), "{}")), noEnv); err == nil || !strings.Contains(err.Error(), "active: missing") {
				t.Errorf("%s: not required: %v", key.Path, err)
			}
		}
		if key.Default == "" || isParent(key) && strings.HasSuffix(key.Path, "<key>") {
			continue
		}
		value := strings.ReplaceAll(key.Default, "<key>", "k")
		if key.Type == Word || key.Type == Database || key.Type == Name && strings.Contains(key.Path, ".") {
			value = quoted(value)[0]
		}
		given, err := load(value)
		if err != nil {
			t.Errorf("%s: the default %s: %v", key.Path, value, err)
		}
		values := valuesOf(`{}`, nil)
		if i := strings.LastIndexByte(key.Path, '.'); i >= 0 {
			parent := key.Path[:i]
			empty := "{}"
			if strings.HasSuffix(parent, ".database") {
				parent, empty = strings.TrimSuffix(parent, ".database"), `{"isolation":"database"}`
			}
			if strings.HasSuffix(parent, ".logins") {
				empty = `{"active":"a"}`
			}
			values = valuesOf(`{}`, nested(t, parent, empty))
		}
		unset, err := Load(values, noEnv)
		given.ClosedDatabases, unset.ClosedDatabases = slices.Concat(given.ClosedDatabases), slices.Concat(unset.ClosedDatabases) // nil if empty
		if err != nil || !reflect.DeepEqual(given, unset) {
			t.Errorf("%s: with the default %+v\nwithout %+v, %v", key.Path, given, unset, err)
		}
	}
}

func quoted(words ...string) []string {
	var texts []string
	for _, word := range words {
		texts = append(texts, `"`+word+`"`)
	}
	return texts
}

// The tables of the reference and the JSON schema are generated: go test ./internal/config -update
// writes them.
func TestGeneratedFiles(t *testing.T) {
	const reference, schema = "../../docs/reference.md", "../../docs/config.schema.json"
	page, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	text := replaceTable(t, string(page), "config keys", keyTable())
	text = replaceTable(t, text, "outputs", outputTable())
	encoded, err := schemaText()
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{reference: text, schema: encoded} {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s is stale (%v): run go test ./internal/config -update", file, err)
		}
	}
}

// replaceTable puts a table between the lines of a page that mark its place.
func replaceTable(t *testing.T, page, name, table string) string {
	t.Helper()
	begin, end := "<!-- "+name+": begin -->\n", "<!-- "+name+": end -->\n"
	before, rest, hasBegin := strings.Cut(page, begin)
	_, after, hasEnd := strings.Cut(rest, end)
	if !hasBegin || !hasEnd {
		t.Fatalf("the reference has no lines %s and %s", begin, end)
	}
	return before + begin + table + end + after
}

// outputTable is the table of the stack's outputs.
func outputTable() string {
	var b strings.Builder
	b.WriteString("| output | value | meaning |\n|---|---|---|\n")
	for _, output := range policy.Outputs() {
		value := "name"
		switch {
		case output.Name == policy.OutputVersion:
			value = fmt.Sprintf("`%d`", policy.OutputsVersion)
		case output.ByKey:
			value = "object"
		}
		if output.Secret {
			value = "secret " + value
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", output.Name, value, output.Meaning)
	}
	return b.String()
}

// keyTable is the table of the config keys.
func keyTable() string {
	var b strings.Builder
	b.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
	for _, key := range Keys() {
		path := key.Path
		if !strings.ContainsAny(path, ".:") {
			path = Namespace + ":" + path
		}
		def := "none"
		switch {
		case key.Required:
			def = "required"
		case key.Default != "":
			def = "`" + key.Default + "`"
		}
		value := map[Type]string{
			Map: "object by key", List: "list of databases", Integer: fmt.Sprintf("whole number from %d", key.Least), Boolean: "`true` or `false`",
			Duration: "milliseconds, or a text such as `15s` or `5min`", Time: "a time such as `2030-12-31T18:00:00Z`", Text: "text",
			Platform: "`<organization>/<project>/<stack>`", Word: "`" + strings.Join(key.Words, "` or `") + "`",
		}[key.Type]
		if value == "" {
			value = string(key.Type)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", path, value, def, key.Meaning)
	}
	return b.String()
}

type record = map[string]any

// schemaText is the JSON schema of a stack's file for editors: strict for the program's own keys, open
// for those of Pulumi and of providers.
func schemaText() (string, error) {
	byPath := map[string]record{}
	config := record{"type": "object", "properties": record{}}
	var own []string
	for _, key := range Keys() {
		property := schemaOf(key)
		property["description"] = strings.ReplaceAll(key.Meaning, "`", "")
		byPath[key.Path] = property
		i := strings.LastIndexByte(key.Path, '.')
		if i < 0 {
			full := key.Path
			if !strings.Contains(full, ":") {
				full = Namespace + ":" + full
				own = append(own, full)
			}
			config["properties"].(record)[full] = property
			if full == Namespace+":tenants" {
				config["required"] = []string{full}
			}
			continue
		}
		parent, name := byPath[key.Path[:i]], key.Path[i+1:]
		if name == "<key>" {
			parent["additionalProperties"] = property
			continue
		}
		parent["properties"].(record)[name] = property
		if key.Required {
			parent["required"] = []string{name}
		}
	}
	config["propertyNames"] = record{"anyOf": []record{{"enum": own}, {"not": record{"pattern": "^" + Namespace + ":"}}}}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(record{
		"$schema":     "http://json-schema.org/draft-07/schema#",
		"title":       "Pulumi.<stack>.yaml of " + Namespace,
		"description": "Generated from internal/config. The program checks more than this, for instance that each name is taken once.",
		"type":        "object",
		"properties":  record{"config": config},
	})
	return b.String(), err
}

// schemaOf is the JSON schema of a key's value.
func schemaOf(key Key) record {
	name := record{"type": "string", "pattern": namePattern, "maxLength": MaxNameBytes, "not": record{"anyOf": []record{{"pattern": "^pg_"}, {"enum": strings.Fields(reservedNames)}}}}
	database := record{"type": "string", "pattern": databasePattern, "maxLength": MaxNameBytes}
	var schema record
	switch key.Type {
	case Object:
		schema = record{"type": "object", "additionalProperties": false, "properties": record{}}
	case Map:
		keys := record{"pattern": namePattern, "maxLength": MaxKeyBytes}
		if key.Path == "readers" {
			keys = record{"pattern": namePattern, "maxLength": MaxNameBytes, "not": record{"anyOf": []record{{"pattern": "^pg_"}, {"enum": append(strings.Fields(reservedNames), "app", "admin")}}}}
		}
		switch {
		case key.Path == "extensions":
			keys = record{"pattern": extensionPattern, "maxLength": MaxNameBytes}
		case strings.HasSuffix(key.Path, ".agents"):
			keys = name
		}
		schema = record{"type": "object", "propertyNames": keys}
	case List:
		schema = record{"type": "array", "uniqueItems": true, "items": database}
	case Boolean:
		schema = record{"type": "boolean"}
		if !strings.Contains(key.Path, ".") {
			// pulumi config set writes text.
			schema = record{"enum": []any{true, false, "true", "false"}}
		}
	case Integer:
		schema = record{"type": "integer", "minimum": key.Least, "maximum": math.MaxInt32}
	case Word:
		schema = record{"type": "string", "enum": key.Words}
	case Name:
		schema = name
	case Database:
		schema = database
	case Text:
		schema = record{"type": "string", "pattern": key.Pattern}
	case Duration:
		schema = record{"anyOf": []record{{"type": "integer", "minimum": 0, "maximum": math.MaxInt32}, {"type": "string", "pattern": durationRegexp.String()}}}
	case Time:
		schema = record{"type": "string", "format": "date-time"}
	case Platform:
		schema = record{"type": "string", "pattern": "^$|" + platformPattern}
	}
	var def any
	if key.Default != "" && !strings.Contains(key.Default, "<key>") {
		if err := json.Unmarshal([]byte(key.Default), &def); err != nil {
			def = key.Default // a name
		}
		schema["default"] = def
	}
	return schema
}
