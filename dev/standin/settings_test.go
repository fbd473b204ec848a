package standin

import (
	"strings"
	"testing"
)

// unreadable are settings that a role may give itself and the official plugin cannot read, each with
// the plugin's message.
var unreadable = map[string]struct{ set, message string }{
	"a statement_timeout with a unit": {
		"statement_timeout = '15s'", `error reading statement_timeout: strconv.Atoi: parsing "15s": invalid syntax`,
	},
	// The message names the other setting.
	"an idle_in_transaction_session_timeout with a unit": {
		"idle_in_transaction_session_timeout = '1min'", `error reading statement_timeout: strconv.Atoi: parsing "1min": invalid syntax`,
	},
	"a statement_timeout in hexadecimal": {
		"statement_timeout = '0x10'", `error reading statement_timeout: strconv.Atoi: parsing "0x10": invalid syntax`,
	},
	"a backslash": {
		`application_name = 'a\bcd'`,
		`error reading ROLE: sql: Scan error on column index 9, name "rolconfig": could not parse bytea array index 0: ` +
			`could not parse bytea value: strconv.ParseUint: parsing "bcd": invalid syntax`,
	},
	"a backslash near the end": {
		`application_name = '\1'`, "could not parse bytea array index 0: invalid bytea sequence [92 49]",
	},
	"a backslash and too large a number": {
		`application_name = '\777'`, `parsing "777": value out of range`,
	},
	"a backslash in a search path": {
		`search_path = 'C:\new'`, `parsing "new": invalid syntax`,
	},
}

func TestEveryReadOfARoleFailsOnASettingItCannotParse(t *testing.T) {
	for name, bad := range unreadable {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			inputs := values{"name": "slow", "login": true, "connectionLimit": 3, "password": verifier}
			role := w.create(roleType, inputs)
			other := w.create(roleType, values{"name": "other"})
			w.sql("ALTER ROLE slow SET " + bad.set)

			_, err := role.tryRefresh()
			wantError(t, err, bad.message)
			_, err = w.tryImport(roleType, "slow")
			wantError(t, err, bad.message)

			// An update is done, all the same, and recorded as done. It wipes a search path.
			inputs["login"] = false
			err = role.tryUpdate(inputs)
			if strings.HasPrefix(bad.set, "search_path") {
				check(t, err)
			} else {
				wantError(t, err, bad.message)
				if recorded := decode(t, initFailure(t, err).GetProperties()); recorded["login"].BoolValue() {
					t.Errorf("recorded %v, want what was planned", recorded)
				}
			}
			w.ask("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'slow'", "false")

			// Another role is not concerned, and neither is a removal.
			other.refresh()
			role.delete()
			w.ask("SELECT count(*) FROM pg_roles WHERE rolname = 'slow'", "0")
		})
	}
}

func TestRoleCreateFailsInTheReadOfASettingThatTheServerGives(t *testing.T) {
	w := newWorld(t)
	w.create(roleType, values{"name": `back\slash`})
	_, err := w.try(roleType, values{"name": "member", "roles": []string{`back\slash`}})
	wantError(t, err, `error reading ROLE: sql: Scan error on column index 0, name "array": could not parse bytea array index 0: `)
	if failure := initFailure(t, err); failure.GetId() != "member" {
		t.Errorf("the engine hears of %q", failure.GetId())
	}
	w.ask(`SELECT count(*) FROM pg_auth_members WHERE member = 'member'::regrole`, "1")
}

// What can be read is not always read as PostgreSQL reads it.
func TestRoleSettingsAreReadLikeTheOfficialPluginDoes(t *testing.T) {
	for name, setting := range map[string]struct {
		set  string
		want values
	}{
		"a timeout in milliseconds":   {"statement_timeout = '15000'", values{"statementTimeout": 15000}},
		"the other timeout":           {"idle_in_transaction_session_timeout = 60000", values{"idleInTransactionSessionTimeout": 60000}},
		"a comma and a space":         {`search_path = "a, b", c`, values{"searchPaths": []string{"a", "b", "c"}}},
		"quotes":                      {`search_path = "a""b", """"`, values{"searchPaths": []string{`a""b`, ""}}},
		"an empty path":               {"search_path = ''", values{"searchPaths": []string{""}}},
		"control characters":          {"search_path = E'a\x1b[2J\n'", values{"searchPaths": []string{"a\x1b[2J\n"}}},
		"a backslash doubled":         {`search_path = '\\'`, values{"searchPaths": []string{`\`}}},
		"a byte as an octal number":   {`search_path = '\141'`, values{"searchPaths": []string{"a"}}},
		"a byte that is no UTF-8":     {`search_path = '\377'`, values{"searchPaths": []string{"\uFFFD"}}},
		"a role":                      {"role = other", values{"assumeRole": "other"}},
		"a role by an octal number":   {`role = '\157ther'`, values{"assumeRole": "other"}},
		"what the plugin has no word": {"work_mem = '1GB'", values{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			inputs := values{"name": "setter"}
			role := w.create(roleType, inputs)
			w.sql(`CREATE ROLE other; CREATE ROLE "\157ther"; ALTER ROLE setter SET ` + setting.set)
			role.refresh()
			var differing []string
			for property := range setting.want {
				differing = append(differing, property)
				inputs[property] = setting.want[property]
			}
			role.wantDiff(values{"name": "setter"}, nil, differing...)
			role.wantDiff(inputs, nil)
			// IN DATABASE, no setting is seen.
			w.sql(`ALTER ROLE setter RESET ALL; ALTER ROLE setter IN DATABASE "` + w.name + `" SET ` + setting.set)
			role.refresh()
			role.wantDiff(values{"name": "setter"}, nil)
		})
	}
}
