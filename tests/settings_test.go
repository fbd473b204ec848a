package tests

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// adminShutdown is the SQLSTATE by which a session learns that it was ended.
const adminShutdown = "57P01"

// as is the auditor as another user.
func (a *auditor) as(user, password string) *auditor {
	other := *a
	other.env = append(slices.Clone(a.env), "PGUSER="+user, "PGPASSWORD="+password)
	return &other
}

// command runs a command of the audit that takes the outputs, such as settings. It returns all that was
// printed, and the exit code.
func (a *auditor) command(t *testing.T, name string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tools.tenantctl, slices.Concat([]string{name}, a.outputs, args)...)
	cmd.Env = a.env
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return both.String(), cmd.ProcessState.ExitCode()
}

// says fails unless a command has this exit code and prints these texts.
func (a *auditor) says(t *testing.T, code int, wants []string, name string, args ...string) {
	t.Helper()
	out, got := a.command(t, name, args...)
	if got != code {
		t.Errorf("%s %v: exit code %d, want %d:\n%s", name, args, got, code, out)
	}
	contains(t, out, wants...)
}

// Settings that roles gave themselves stop runs. The audit names them, one command resets them without
// a superuser, and its fixes are SQL that whoever deploys may run.
func TestSettings(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		p.configure(t, object{"acme": object{}, "globex": object{"logins": object{"active": "a"}}, "initech": object{}}, object{}, object{"analyst": object{}})
		p.up(t)
		before := p.catalog(t)
		a := newAuditor(t, p)
		deployer := a.as(p.user, p.password)
		const asConfigured = "Every setting of the stacks' roles is as the config has it."
		a.says(t, 0, []string{asConfigured}, "settings")
		if found := a.violations(t); len(found) > 0 {
			t.Fatalf("found %v", found)
		}

		changed := map[string][]string{
			"tenant_acme":      {"SET statement_timeout = '15s'", "SET work_mem = '8MB'", "IN DATABASE " + database + " SET search_path = public", "IN DATABASE postgres SET work_mem = '9MB'"},
			"tenant_globex_a":  {`SET application_name = 'a\b'`},
			"tenant_globex_b":  {"RESET ALL"},
			"app_service_role": {"SET idle_in_transaction_session_timeout = '1min'"},
			"analyst":          {"SET statement_timeout = 15000"},
			"tenant_initech":   {"SET search_path = public, tenant_initech", `IN DATABASE ` + database + ` SET application_name = 'a\b'`},
		}
		alter := func(t *testing.T) {
			t.Helper()
			for login, settings := range changed {
				s := p.login(t, login)
				s.may(t, "SET ROLE NONE")
				for _, setting := range settings {
					s.may(t, "ALTER ROLE SESSION_USER "+setting)
				}
				if err := s.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
		alter(t)
		stopped := []string{
			"setting-other-role|globex|tenant_globex_b|role",
			"setting-stops-runs||app_service_role|idle_in_transaction_session_timeout",
			"setting-stops-runs|acme|tenant_acme|statement_timeout",
			"setting-stops-runs|globex|tenant_globex_a|application_name",
		}
		found, notes := a.findings(t)
		if got := names(found); !slices.Equal(got, stopped) {
			t.Errorf("found %v, want %v", got, stopped)
		}
		noted := slices.DeleteFunc(names(notes), func(note string) bool { return !strings.HasPrefix(note, "setting|") })
		want := []string{
			"setting||analyst|statement_timeout",
			"setting|acme|tenant_acme|search_path",
			"setting|acme|tenant_acme|work_mem", "setting|acme|tenant_acme|work_mem",
			"setting|globex|tenant_globex_b|search_path",
			"setting|initech|tenant_initech|application_name", "setting|initech|tenant_initech|search_path",
		}
		if !slices.Equal(noted, want) {
			t.Errorf("noted %v, want %v", noted, want)
		}
		for _, v := range append(found, notes...) {
			if strings.Contains(v.Text, "15s") || strings.Contains(v.Text, "15000") {
				t.Errorf("a finding shows a value: %s", v.Text)
			}
		}
		if _, err := p.steps(t); err == nil || !regexp.MustCompile(`parsing "(15s|1min)"|could not parse bytea`).MatchString(err.Error()) {
			t.Errorf("a preview with refresh: got error %v", err)
		}

		t.Run("fixes of the audit", func(t *testing.T) {
			s, err := p.connect(t, p.user, p.password)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range slices.Concat(found, notes) {
				if strings.HasPrefix(v.Rule, "setting") {
					s.may(t, v.Fix)
				}
			}
			sameRights(t, before, withoutAuditor(p.catalog(t)))
			alter(t)
		})
		t.Run("a login without the right", func(t *testing.T) {
			a.says(t, 2, []string{"3 settings stop runs"}, "settings")
			a.says(t, 1, []string{"3 settings could not be reset", "NOT reset: the config does not give statement_timeout", "42501"}, "settings", "--reset", "blocking")
		})
		t.Run("what blocks", func(t *testing.T) {
			deployer.says(t, 0, []string{"reset: the config does not give statement_timeout"}, "settings", "--reset", "blocking")
			steps, err := p.steps(t)
			if err == nil || steps["acme-role"] != "" {
				t.Errorf("got error %v, steps %v", err, steps)
			}
			p.superuser(t, database).may(t, "SET ROLE tenant_acme", "RESET ROLE")
			if got := p.superuser(t, database).value(t, "SELECT count(*) FROM pg_db_role_setting WHERE 'work_mem=8MB' = ANY (setconfig)"); got != "1" {
				t.Error("a setting that stops nothing was reset")
			}
		})
		t.Run("one role", func(t *testing.T) {
			deployer.says(t, 0, []string{"tenant_globex_b", "reset: the config gives role another value"}, "settings", "--reset", "all", "--role", "tenant_globex")
			deployer.says(t, 0, []string{asConfigured}, "settings", "--role", "tenant_globex")
			deployer.says(t, 1, []string{`"nobody" is not a role of these stacks`}, "settings", "--role", "nobody")
		})
		t.Run("all", func(t *testing.T) {
			deployer.says(t, 0, nil, "settings", "--reset", "all")
			sameRights(t, before, withoutAuditor(p.catalog(t)))
			p.clean(t)
		})
		t.Run("what only a superuser resets", func(t *testing.T) {
			p.superuser(t, database).may(t, "ALTER ROLE tenant_acme SET session_preload_libraries = ''", "ALTER ROLE tenant_acme SET work_mem = '8MB'")
			if p.user != p.server.User {
				deployer.says(t, 1, []string{"1 setting could not be reset; reset them as a superuser", "session_preload_libraries", "reset: the config does not give work_mem"}, "settings", "--reset", "all")
			}
			a.as(p.server.User, p.server.Password).says(t, 0, nil, "settings", "--reset", "all")
			a.says(t, 0, []string{asConfigured}, "settings")
		})
		a.says(t, 1, []string{`--reset "some" is not accepted: give blocking or all`}, "settings", "--reset", "some")
	})
}

// withoutAuditor is a catalog without the role that the audit connects as.
func withoutAuditor(facts []string) []string {
	var without []string
	for _, fact := range facts {
		if strings.HasPrefix(fact, "role auditor ") {
			continue
		}
		without = append(without, strings.NewReplacer(",auditor=c/postgres", "", ",auditor=c/deployer", "").Replace(fact))
	}
	return without
}

// A login is in the wrong hands, and its holder does what it can to keep it and to stop the operator.
// The procedure of docs/operating.md ends that, also while the stack's runs fail.
func TestLoginInWrongHands(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		first := object{"acme": object{}, "globex": object{"logins": object{"active": "a"}}}
		p.configure(t, first, object{})
		p.up(t)
		a := newAuditor(t, p)
		deployer := a.as(p.user, p.password)
		stolen := p.passwords(t)
		for role, login := range map[string]string{"tenant_acme": "tenant_acme", "tenant_globex": "tenant_globex_b", "app_service_role": "app_service_role"} {
			thief := p.login(t, login)
			thief.may(t, "SET ROLE NONE", "ALTER ROLE SESSION_USER SET statement_timeout = '15s'", "ALTER ROLE SESSION_USER SET work_mem = '8MB'", "SELECT lo_create(0)")
			// An uncommitted change of its own locks the role's row, and the holder comes back at once
			// whenever a session is ended.
			held := p.login(t, login)
			held.may(t, "SET ROLE NONE", "BEGIN", "ALTER ROLE SESSION_USER PASSWORD 'theirs'")
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for ctx.Err() == nil {
					p.keepComingBack(ctx, login, stolen[login])
				}
			}()
			if role == "tenant_acme" {
				if _, err := p.steps(t); err == nil {
					t.Error("a preview with refresh succeeds")
				}
			}
			a.says(t, 0, []string{login, "hidden"}, "sessions", "--role", role)
			a.says(t, 1, []string{"may not end the sessions of"}, "sessions", "--role", role, "--end")
			deployer.says(t, 0, []string{"cannot log in until the next", "ended."}, "sessions", "--role", role, "--lock")
			p.refuseLogin(t, login, stolen[login], loginNotPermitted)
			held.mayNot(t, adminShutdown, "SELECT 1")
			a.says(t, 0, []string{"has no session."}, "sessions", "--role", role)
			stop()
			<-ended
			deployer.says(t, 0, []string{"statement_timeout"}, "settings", "--role", role, "--reset", "all")
		}

		logins := object{"active": "a", "a": object{"passwordVersion": 2}, "b": object{"passwordVersion": 2}}
		p.configure(t, object{"acme": object{"passwordVersion": 2}, "globex": object{"logins": logins}}, object{"app": object{"passwordVersion": 2}})
		if err := p.repair(t); err != nil {
			t.Fatal(err)
		}
		p.clean(t)
		for login, password := range stolen {
			if login == "admin_service_login" {
				continue
			}
			p.refuseLogin(t, login, password, invalidPassword)
			p.refuseLogin(t, login, "theirs", invalidPassword)
			p.login(t, login)
		}
		found, _ := a.findings(t)
		if got := names(found); len(got) != 3 || !strings.Contains(strings.Join(got, "\n"), "tenant-owns|acme|tenant_acme|large object") {
			t.Errorf("the audit finds %v", got)
		}
		p.tellsNone(t, slices.Concat(slices.Collect(maps.Values(p.passwords(t))), slices.Collect(maps.Values(stolen))))
	})
}

// keepComingBack logs in and locks the role's row until the session is ended.
func (p *platform) keepComingBack(ctx context.Context, login, password string) {
	conn, err := pgx.Connect(ctx, p.server.DSN(login, password, database))
	if err != nil {
		return // refused, or the test is over
	}
	// Whatever comes of this, the session is closed next.
	if _, err := conn.Exec(ctx, "SET ROLE NONE; BEGIN; ALTER ROLE SESSION_USER PASSWORD 'theirs'; SELECT pg_sleep(600)"); err != nil {
		ctx = context.WithoutCancel(ctx)
	}
	if err := conn.Close(ctx); err != nil {
		return
	}
}
