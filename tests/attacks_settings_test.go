package tests

import (
	"bytes"
	"maps"
	"strings"
	"testing"
)

// settingAttack is what a tenant does to settings and privileges of its own.
type settingAttack struct {
	name, tenant string
	statements   []string
	// steps are what a preview with refresh wants to do about it; `up --refresh` does it.
	steps map[string]string
}

// someVerifier is the SCRAM-SHA-256 form of "pencil" (RFC 7677).
const someVerifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

const (
	alterOwn           = "ALTER ROLE CURRENT_USER "
	alterOwnInDatabase = alterOwn + "IN DATABASE " + database + " SET "
)

// settingAttacks are attacks on settings and privileges, each by another tenant.
func settingAttacks(major string) []settingAttack {
	attacks := []settingAttack{
		{
			name: "settings that the provider does not read", tenant: "victim",
			statements: []string{
				alterOwn + "SET work_mem = '1GB'", alterOwn + "SET lock_timeout = '1h'", alterOwn + "SET client_encoding = 'SQL_ASCII'",
				alterOwn + "SET default_transaction_read_only = on", alterOwn + "SET session_authorization = tenant_globex",
				alterOwn + `SET application_name = E'\x1b[2J, "x"'`,
				alterOwnInDatabase + "statement_timeout = '15s'", alterOwnInDatabase + "idle_in_transaction_session_timeout = '1min'",
				alterOwnInDatabase + "search_path = tenant_globex", alterOwnInDatabase + "role = all_tenants",
				alterOwnInDatabase + `application_name = 'a\bcd'`,
			},
		},
		{
			name: "timeouts without a unit, another role, quotes and commas in the search path", tenant: "willing",
			statements: []string{
				alterOwn + "SET statement_timeout = 1", alterOwn + "SET idle_in_transaction_session_timeout = 1",
				alterOwn + "SET role = all_tenants", alterOwn + `SET search_path = "a, b", "c""d", ''`,
			},
			steps: map[string]string{"willing-role": "update assumeRole idleInTransactionSessionTimeout searchPaths statementTimeout"},
		},
		{
			name: "terminal codes and a byte that is no UTF-8 in the search path", tenant: "screen",
			statements: []string{alterOwn + `SET search_path = E'\x1b[2J\x1b]0;owned\x07', '\377'`},
			steps:      map[string]string{"screen-role": "update searchPaths"},
		},
		{
			name: "its default privileges dropped", tenant: "dropped",
			statements: []string{"DROP OWNED BY CURRENT_USER"},
			steps:      map[string]string{"dropped-tables": "create", "dropped-sequences": "create"},
		},
	}
	if major == "14" {
		attacks = append(attacks, settingAttack{
			name: "its role for another tenant", tenant: "screen",
			statements: []string{"GRANT tenant_screen TO tenant_dropped"},
			steps:      map[string]string{"dropped-role": "update roles"},
		})
	}
	return attacks
}

// passwordAttack changes the password of a login.
type passwordAttack struct {
	// by is the login that does it, login the one that it is done to, by resource.
	name, by, login, resource, statement string
	// password is what the attacker logs in with from then on, empty if nobody can.
	password string
}

func passwordAttacks() []passwordAttack {
	own := func(name, tenant, form, password string) passwordAttack {
		return passwordAttack{name, "tenant_" + tenant, "tenant_" + tenant, tenant + "-role", alterOwn + "PASSWORD " + form, password}
	}
	return []passwordAttack{
		own("a password", "acme", "'theirs'", "theirs"),
		own("a SCRAM verifier", "globex", "'"+someVerifier+"'", "pencil"),
		own("an MD5 hash", "initech", "'md5"+strings.Repeat("0", 32)+"'", ""),
		own("no password", "limited", "NULL", ""),
		// A member may act as the role that it is a member of, and that one logs in.
		{
			"a reader gives the app a password", "analyst", "app_service_role", "app-service-role",
			"SET ROLE app_service_role; ALTER ROLE app_service_role PASSWORD 'theirs'", "theirs",
		},
	}
}

// settings are set back by `up --refresh` where the provider sees them, and concern the login alone
// where not. A password that nobody sees ends with a rotation.
func (s *siege) settings(t *testing.T) {
	deployed, steps, superuser := s.passwords(t), map[string]string{}, s.user == s.server.User
	for _, attack := range settingAttacks(s.major) {
		attacker := s.login(t, "tenant_"+attack.tenant)
		for _, sql := range attack.statements {
			attacker.exec(t, sql)
		}
		maps.Copy(steps, attack.steps)
	}
	for _, attack := range passwordAttacks() {
		s.login(t, attack.by).exec(t, attack.statement)
		// Only a superuser can read what the server stores of a password.
		if superuser {
			steps[attack.resource] = "update password"
		}
	}
	s.wants(t, steps)
	if err := s.repair(t); err != nil {
		t.Error(err)
	}
	s.clean(t)
	for _, codes := range []string{"\x1b[2J", "\x1b]0;"} {
		if bytes.Contains(s.printed.Bytes(), []byte(codes)) {
			t.Errorf("a tenant's terminal codes %q reach the operator's terminal", codes)
		}
	}

	for _, attack := range passwordAttacks() {
		if superuser {
			s.login(t, attack.login).may(t, "SELECT 1")
			continue
		}
		s.refuseLogin(t, attack.login, deployed[attack.login], invalidPassword)
		if attack.password != "" {
			if _, err := s.connect(t, attack.login, attack.password); err != nil {
				t.Errorf("%s, before a rotation: %v", attack.name, err)
			}
		}
		if key, isTenant := strings.CutPrefix(attack.login, "tenant_"); isTenant {
			s.tenants[key] = with(s.tenants[key].(object), "passwordVersion", 2)
		}
	}
	s.roles["app"] = object{"passwordVersion": 2}
	noFailures(t, s.change(t, nil))
	for _, attack := range passwordAttacks() {
		s.refuseLogin(t, attack.login, attack.password, invalidPassword)
		s.login(t, attack.login).may(t, "SELECT 1")
		if s.passwords(t)[attack.login] == deployed[attack.login] && !superuser {
			t.Errorf("%s has not been rotated", attack.login)
		}
	}

	operator := s.operator(t)
	operator.may(t, "ALTER ROLE tenant_victim IN DATABASE "+database+" RESET ALL", "ALTER ROLE tenant_victim RESET ALL",
		"ALTER ROLE tenant_victim SET search_path = tenant_victim")
	if left := operator.value(t, "SELECT count(*) FROM pg_db_role_setting WHERE setdatabase <> 0"); left != "0" {
		t.Errorf("%s roles have settings in the database", left)
	}
}

// exec fails if the statement is refused. Warnings are ignored: DROP OWNED warns of what it cannot take
// from the login, and PostgreSQL 18 of MD5.
func (s *session) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := s.Exec(t.Context(), sql); err != nil {
		t.Errorf("%s: %s: %v", s.login, sql, err)
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
	for resource, role := range map[string]string{"all-tenants": "all_tenants", "app-service-role": "app_service_role"} {
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
	t.Run("a suspension", func(t *testing.T) {
		passwords := s.passwords(t)
		// Each ends in an error, after it has taken effect; and so does each run after it.
		for range 2 {
			failures := s.change(t, suspended)
			for _, key := range []string{"acme", "globex", "initech"} {
				wantFailure(t, failures, key+"-role", unreadableSettings[key+"-role"].message)
				s.refuseLogin(t, "tenant_"+key, passwords["tenant_"+key], loginNotPermitted)
			}
		}
	})
	t.Run("recovery", func(t *testing.T) {
		reset("tenant_acme", "tenant_globex", "tenant_initech")
		noFailures(t, s.change(t, nil))
	})
}
