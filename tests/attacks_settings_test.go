package tests

import (
	"bytes"
	"maps"
	"strings"
	"testing"
)

// ownAttack is what a tenant does to its own role. Each has a tenant of its own.
type ownAttack struct {
	name       string
	statements []string
	// steps are what a preview with refresh wants to do about it; `up --refresh` does it.
	steps map[string]string
	// password is true if the password that was deployed is no longer the login's.
	password bool
}

// someVerifier is the SCRAM-SHA-256 form of "pencil" (RFC 7677).
const someVerifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

// ownTenants are the attacks by the key of their tenant.
func ownTenants(p *platform) map[string]ownAttack {
	const alter = "ALTER ROLE CURRENT_USER "
	inDatabase := alter + "IN DATABASE " + database + " SET "
	attacks := map[string]ownAttack{
		"quiet": {
			name: "settings that the provider does not read",
			statements: []string{
				alter + "SET work_mem = '1GB'", alter + "SET lock_timeout = '1h'", alter + "SET client_encoding = 'SQL_ASCII'",
				alter + "SET default_transaction_read_only = on", alter + "SET session_authorization = tenant_globex",
				alter + `SET application_name = E'\x1b[2J, "x"'`,
			},
		},
		"within": {
			name: "settings in the database",
			statements: []string{
				inDatabase + "statement_timeout = '15s'", inDatabase + "idle_in_transaction_session_timeout = '1min'",
				inDatabase + "search_path = tenant_globex", inDatabase + "role = all_tenants", inDatabase + `application_name = 'a\bcd'`,
			},
		},
		"timed": {
			name:       "timeouts without a unit",
			statements: []string{alter + "SET statement_timeout = 1", alter + "SET idle_in_transaction_session_timeout = 1"},
			steps:      map[string]string{"timed-role": "update idleInTransactionSessionTimeout statementTimeout"},
		},
		"quoted": {
			name:       "a search path with quotes and commas",
			statements: []string{alter + `SET search_path = "a, b", "c""d", ''`},
			steps:      map[string]string{"quoted-role": "update searchPaths"},
		},
		"screen": {
			name:       "a search path with terminal codes",
			statements: []string{alter + `SET search_path = E'\x1b[2J\x1b]0;owned\x07'`},
			steps:      map[string]string{"screen-role": "update searchPaths"},
		},
		"assumed": {
			name:       "another role from the next login on",
			statements: []string{alter + "SET role = all_tenants"},
			steps:      map[string]string{"assumed-role": "update assumeRole"},
		},
		"dropped": {
			name:       "its default privileges dropped",
			statements: []string{"DROP OWNED BY CURRENT_USER"},
			steps:      map[string]string{"dropped-tables": "create", "dropped-sequences": "create"},
		},
		"plaintext": {name: "a password of its own", statements: []string{alter + "PASSWORD 'theirs'"}, password: true},
		"md5": {
			name:       "the MD5 form of a password of its own",
			statements: []string{alter + "PASSWORD 'md5" + strings.Repeat("0", 32) + "'"}, password: true,
		},
		"scram":  {name: "the SCRAM form of a password of its own", statements: []string{alter + "PASSWORD '" + someVerifier + "'"}, password: true},
		"nobody": {name: "no password", statements: []string{alter + "PASSWORD NULL"}, password: true},
	}
	if p.major == "14" {
		attacks["sharing"] = ownAttack{
			name:       "its role for another tenant",
			statements: []string{"GRANT tenant_sharing TO tenant_willing"},
			steps:      map[string]string{"willing-role": "update roles"},
		}
	}
	superuser := p.user == p.server.User
	for key, attack := range attacks {
		// Only a superuser can read what the server stores of a password.
		if attack.password && superuser {
			attack.steps = map[string]string{key + "-role": "update password"}
			attacks[key] = attack
		}
	}
	return attacks
}

// settings are set back by `up --refresh` where the provider sees them, and concern the login alone
// where not. A password of its own that nobody sees ends with a rotation.
func (s *siege) settings(t *testing.T) {
	attacks, steps := ownTenants(s.platform), map[string]string{}
	deployed := s.passwords(t)
	for key, attack := range attacks {
		attacker := s.attacker(t, key)
		// DROP OWNED warns of what it cannot take from the login.
		for _, sql := range attack.statements {
			if _, err := attacker.Exec(t.Context(), sql); err != nil {
				t.Errorf("%s: %s: %v", attack.name, sql, err)
			}
		}
		maps.Copy(steps, attack.steps)
	}
	s.login(t, "tenant_globex").may(t, "SELECT 1")
	s.wants(t, steps)
	if err := s.repair(t); err != nil {
		t.Error(err)
	}
	s.clean(t)
	if bytes.Contains(s.printed.Bytes(), []byte("\x1b[2J")) || bytes.Contains(s.printed.Bytes(), []byte("\x1b]0;")) {
		t.Error("a tenant's terminal codes reach the operator's terminal")
	}

	// What refresh does not see of passwords, a rotation ends.
	theirs := map[string]string{"plaintext": "theirs", "scram": "pencil"}
	superuser := s.user == s.server.User
	rotated := object{}
	for key, attack := range attacks {
		if !attack.password {
			continue
		}
		login := "tenant_" + key
		if superuser {
			s.login(t, login).may(t, "SELECT 1")
		} else {
			s.refuseLogin(t, login, deployed[login], invalidPassword)
		}
		if password, ok := theirs[key]; ok && !superuser {
			if _, err := s.connect(t, login, password); err != nil {
				t.Errorf("%s, before a rotation: %v", attack.name, err)
			}
		}
		rotated[key] = object{"passwordVersion": 2}
	}
	maps.Copy(s.tenants, rotated)
	noFailures(t, s.change(t, nil))
	for key := range rotated {
		login := "tenant_" + key
		for _, password := range []string{deployed[login], theirs[key]} {
			s.refuseLogin(t, login, password, invalidPassword)
		}
		s.login(t, login).may(t, "SELECT 1")
	}

	// Settings in the database are the operator's to reset.
	operator := s.operator(t)
	operator.may(t, "ALTER ROLE tenant_within IN DATABASE "+database+" RESET ALL", "ALTER ROLE tenant_quiet RESET ALL",
		"ALTER ROLE tenant_quiet SET search_path = tenant_quiet")
	if left := operator.value(t, "SELECT count(*) FROM pg_db_role_setting WHERE setdatabase <> 0"); left != "0" {
		t.Errorf("%s roles have settings in the database", left)
	}
}

// unreadableSettings are settings that the provider cannot read: by resource, who sets it and how, and
// the provider's message.
var unreadableSettings = map[string]struct{ login, set, message string }{
	"acme-role": {
		"tenant_acme", "ALTER ROLE CURRENT_USER SET statement_timeout = '15s'", `error reading statement_timeout: strconv.Atoi: parsing "15s": invalid syntax`,
	},
	"globex-role": { // the message names the wrong setting
		"tenant_globex", "ALTER ROLE CURRENT_USER SET idle_in_transaction_session_timeout = '1min'",
		`error reading statement_timeout: strconv.Atoi: parsing "1min": invalid syntax`,
	},
	"initech-role": {
		"tenant_initech", `ALTER ROLE CURRENT_USER SET application_name = 'a\bcd'`, "could not parse bytea array",
	},
	"limited-role": {
		"tenant_limited", `ALTER ROLE CURRENT_USER SET search_path = '\377'`, "non-UTF8 bytes",
	},
	"victim-role": {
		"tenant_victim", "ALTER ROLE CURRENT_USER SET statement_timeout = '0x10'", `parsing "0x10": invalid syntax`,
	},
	// A member may act as the role that it is a member of.
	"all-tenants": {
		"tenant_willing", "SET ROLE all_tenants; ALTER ROLE all_tenants SET statement_timeout = '15s'", `parsing "15s": invalid syntax`,
	},
	"app-service-role": {
		"analyst", "SET ROLE app_service_role; ALTER ROLE app_service_role SET statement_timeout = '15s'", `parsing "15s": invalid syntax`,
	},
}

// unreadable settings stop whatever reads the role.
func (s *siege) unreadable(t *testing.T) {
	operator := s.operator(t)
	reset := func(roles ...string) {
		for _, role := range roles {
			operator.may(t, "ALTER ROLE "+role+" RESET ALL")
			if key, isTenant := strings.CutPrefix(role, "tenant_"); isTenant {
				operator.may(t, "ALTER ROLE "+role+" SET search_path = tenant_"+key)
			}
		}
	}
	attack := func(resource string) {
		attack := unreadableSettings[resource]
		s.login(t, attack.login).may(t, attack.set)
	}
	for resource, role := range map[string]string{"all-tenants": "all_tenants", "limited-role": "tenant_limited"} {
		t.Run("a preview of "+resource, func(t *testing.T) {
			attack(resource)
			wantFailure(t, s.preview(t), resource, unreadableSettings[resource].message)
			reset(role)
		})
	}
	suspended := object{}
	for _, key := range []string{"acme", "globex", "initech"} {
		attack(key + "-role")
		suspended[key] = object{"suspended": true}
	}
	t.Run("a run that changes and removes others", func(t *testing.T) {
		attack("victim-role")
		noFailures(t, s.change(t, object{"limited": object{"connectionLimit": 4}, "victim": nil}))
	})
	t.Run("up with refresh", func(t *testing.T) {
		if err := s.repair(t); err == nil || !strings.Contains(err.Error(), "invalid syntax") {
			t.Errorf("got error %v", err)
		}
	})
	t.Run("a suspension and a rotation", func(t *testing.T) {
		attack("limited-role")
		attack("app-service-role")
		suspended["limited"] = object{"connectionLimit": 3}
		passwords := s.passwords(t)
		s.roles["app"] = object{"passwordVersion": 2}
		// Each ends in an error, after it has taken effect; and so does each run after it.
		for range 2 {
			failures := s.change(t, suspended)
			for resource, attack := range unreadableSettings {
				if resource != "all-tenants" && resource != "victim-role" && resource != "limited-role" {
					wantFailure(t, failures, resource, attack.message)
				}
			}
			// An update wipes the search path.
			if failures["limited-role"] != "" {
				t.Errorf("limited-role: %s", failures["limited-role"])
			}
			for _, key := range []string{"acme", "globex", "initech"} {
				s.refuseLogin(t, "tenant_"+key, passwords["tenant_"+key], loginNotPermitted)
			}
			s.refuseLogin(t, "app_service_role", passwords["app_service_role"], invalidPassword)
		}
	})
	t.Run("recovery", func(t *testing.T) {
		reset("tenant_acme", "tenant_globex", "tenant_initech", "app_service_role")
		noFailures(t, s.change(t, nil))
		s.clean(t)
	})
}

// reader shows what every member of a role that logs in can do: give that role a password. It ends with
// the next rotation of that role, or, where the provider sees it, with `up --refresh`.
func (s *siege) reader(t *testing.T) {
	s.login(t, "analyst").may(t, "SET ROLE app_service_role; ALTER ROLE app_service_role PASSWORD 'theirs'")
	theirs, err := s.connect(t, "app_service_role", "theirs")
	if err != nil {
		t.Fatal(err)
	}
	theirs.may(t, "SELECT 1")
	deployed := s.passwords(t)["app_service_role"]
	s.refuseLogin(t, "app_service_role", deployed, invalidPassword)
	if s.user == s.server.User {
		s.wants(t, map[string]string{"app-service-role": "update password"})
	} else {
		s.clean(t)
	}
	s.roles["app"] = object{"passwordVersion": 3}
	noFailures(t, s.change(t, nil))
	s.refuseLogin(t, "app_service_role", "theirs", invalidPassword)
	s.login(t, "app_service_role").may(t, "SELECT 1")
}
