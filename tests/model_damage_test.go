//go:build model

package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// scene is what there is to damage.
type scene struct {
	config modelConfig
	// user is whom the provider connects as.
	user string
	// roles are those of the stack, and the outsider.
	roles []string
	// memberships are group, member and grantor.
	memberships [][3]string
	places      []scenePlace
}

// scenePlace is a tenant's schema, and the database that it is in.
type scenePlace struct{ database, schema string }

// damaged is SQL that runs in a database.
type damaged struct {
	database string
	sql      []string
}

// A damager chooses what to do. It returns nothing if there is nothing to damage.
type damager func(s *scene, first, second int) []damaged

func choose[T any](n int, all ...T) T { return all[n%len(all)] }

// sharedDamage runs in the stack's database.
func sharedDamage(sql ...string) []damaged { return []damaged{{database, sql}} }

// mutable are the roles that the program may update. Of the others the docs say that attributes are
// changed back by hand.
func (s *scene) mutable() []string {
	return slices.DeleteFunc(slices.Clone(s.roles), func(name string) bool {
		return name == "admin_service_role" || name == "all_tenants_admin" || name == outsider
	})
}

// grantee is a role, or PUBLIC.
func (s *scene) grantee(n int) string { return choose(n, append([]string{"PUBLIC"}, s.roles...)...) }

// grantable are objects in the words of GRANT, each with privileges.
var grantable = [][]string{
	{"SCHEMA <schema>", "USAGE", "CREATE", "ALL"},
	{"TABLE <schema>.docs", "SELECT", "INSERT", "TRUNCATE", "SELECT (body)", "UPDATE (body)", "ALL"},
	{"TABLE <schema>.titles", "SELECT", "DELETE"},
	{"SEQUENCE <schema>.tickets", "USAGE", "UPDATE", "SELECT"},
	{"FUNCTION <schema>.answer()", "EXECUTE"},
	{"DATABASE <database>", "CONNECT", "CREATE", "TEMPORARY"},
	{"SCHEMA public", "USAGE", "CREATE"},
	{"SCHEMA extensions", "USAGE", "CREATE"},
}

// inPlace runs in the database of a tenant's schema, whose names are put into the SQL.
func inPlace(p scenePlace, sql string) []damaged {
	return []damaged{{p.database, []string{strings.NewReplacer("<schema>", p.schema, "<database>", p.database).Replace(sql)}}}
}

// modelDamages are all kinds of damage by name.
var modelDamages = map[string]damager{
	"grant": func(s *scene, first, second int) []damaged {
		to, object := s.grantee(second), choose(first, grantable...)
		privilege := choose(first/8, object[1:]...)
		trusted := to == "all_tenants_admin" || strings.HasPrefix(to, "admin_service_")
		if !strings.Contains(object[0], "<schema>") && (privilege == "USAGE" || trusted) {
			to = "PUBLIC" // What is no tenant's the audit lets the admin create in, and single roles use.
		}
		sql := "GRANT " + privilege + " ON " + object[0] + " TO " + to
		if to != "PUBLIC" && second%4 == 0 {
			sql += " WITH GRANT OPTION"
		}
		return inPlace(choose(first/5, s.places...), sql)
	},
	"revoke": func(s *scene, first, second int) []damaged {
		object, from := choose(first, grantable...)[0], s.grantee(second)
		if from == "admin_service_role" && !strings.HasPrefix(object, "DATABASE") {
			return nil // It owns the rest, and can give itself what it lacks. The audit does not look at that.
		}
		return inPlace(choose(first/5, s.places...), "REVOKE ALL ON "+object+" FROM "+from)
	},
	"member": func(s *scene, first, second int) []damaged {
		return sharedDamage("GRANT " + choose(first, append([]string{"pg_read_all_data", "pg_write_all_data", "pg_signal_backend", s.user}, s.roles...)...) +
			" TO " + choose(second, s.roles...) + choose(second/8, "", " WITH ADMIN OPTION"))
	},
	"no member": func(s *scene, first, second int) []damaged {
		m := choose(first, s.memberships...)
		return sharedDamage("REVOKE " + choose(second, "", "ADMIN OPTION FOR ") + m[0] + " FROM " + m[1] + " GRANTED BY " + m[2] + " CASCADE")
	},
	"attribute": func(s *scene, first, second int) []damaged {
		return sharedDamage("ALTER ROLE " + choose(first, s.mutable()...) + " " + choose(second,
			"LOGIN", "NOLOGIN", "CREATEDB", "CREATEROLE", "BYPASSRLS", "REPLICATION", "CONNECTION LIMIT 1", "VALID UNTIL '2000-01-01'", "NOINHERIT", "SUPERUSER"))
	},
	"setting": func(s *scene, first, second int) []damaged {
		return sharedDamage("ALTER ROLE " + choose(first, s.mutable()...) + choose(second/8, "", " IN DATABASE "+database) + " SET " + choose(second,
			"search_path = public", `search_path = "$user", public`, "statement_timeout = '15s'", "statement_timeout = 5000", "role = none",
			"idle_in_transaction_session_timeout = 7", "work_mem = '1GB'", `application_name = 'a\b'`))
	},
	"defaults": func(s *scene, first, second int) []damaged {
		verb, grantee := choose(first/2, "GRANT %s TO ", "REVOKE %s FROM "), s.grantee(second/2)
		if grantee == "admin_service_role" {
			return nil // as with revoke
		}
		what := choose(first/4, "ALL ON TABLES", "SELECT ON TABLES", "ALL ON SEQUENCES", "EXECUTE ON FUNCTIONS", "INSERT ON TABLES")
		return inPlace(choose(second, s.places...), "ALTER DEFAULT PRIVILEGES FOR ROLE admin_service_role "+choose(first, "", "IN SCHEMA <schema> ")+
			fmt.Sprintf(verb, what)+grantee)
	},
	"owner": func(s *scene, first, second int) []damaged {
		what := choose(first, "SCHEMA <schema>", "TABLE <schema>.docs", "VIEW <schema>.titles", "SEQUENCE <schema>.tickets", "FUNCTION <schema>.answer()")
		return inPlace(choose(first/5, s.places...), "ALTER "+what+" OWNER TO "+choose(second, s.roles...))
	},
	"database owner": func(s *scene, first, second int) []damaged {
		place := choose(first, s.places...)
		if place.database == database {
			return nil
		}
		return inPlace(place, "ALTER DATABASE <database> OWNER TO "+choose(second, s.roles...))
	},
	"drop role": func(s *scene, first, _ int) (all []damaged) {
		role := choose(first, s.mutable()...)
		if role == "app_service_role" || role == "all_tenants" {
			return nil
		}
		databases := map[string]bool{database: true}
		for _, place := range s.places {
			databases[place.database] = true
		}
		for _, name := range sortedKeys(databases) {
			all = append(all, damaged{name, []string{"DROP OWNED BY " + role}})
		}
		return append(all, damaged{database, []string{"DROP ROLE " + role}})
	},
	"drop schema": func(s *scene, first, _ int) []damaged {
		return inPlace(choose(first, s.places...), "DROP SCHEMA <schema> CASCADE")
	},
	"drop database": func(s *scene, first, _ int) []damaged {
		place := choose(first, s.places...)
		if place.database == database {
			return nil
		}
		return sharedDamage("DROP DATABASE " + place.database)
	},
	"drop extension": func(s *scene, first, second int) []damaged {
		if len(s.config.Extensions) == 0 {
			return nil
		}
		return inPlace(choose(first, s.places...), "DROP EXTENSION "+choose(second, s.config.Extensions...))
	},
}

// damage does one damage as a superuser. What PostgreSQL refuses, a membership in a circle for instance,
// damages nothing.
func (r *modelRun) damage(t *testing.T, d modelDamage) {
	t.Helper()
	do := modelDamages[d.Do]
	if do == nil {
		t.Fatalf("there is no damage %q", d.Do)
	}
	s := &scene{config: r.config, user: r.user, roles: sortedKeys(r.config.serverRoles())}
	at := r.config.places()
	for _, in := range sortedKeys(at) {
		for _, schema := range sortedKeys(at[in]) {
			s.places = append(s.places, scenePlace{in, schema})
		}
	}
	for _, line := range r.lines(t, database, "SELECT format('%s %s %s', roleid::regrole, member::regrole, grantor::regrole) FROM pg_auth_members WHERE roleid >= 16384 ORDER BY 1") {
		if f := strings.Fields(line); slices.Contains(s.roles, f[1]) {
			s.memberships = append(s.memberships, [3]string(f))
		}
	}
	if len(s.places) == 0 || len(s.memberships) == 0 {
		return
	}
	for _, each := range do(s, d.First, d.Second) {
		super, err := r.connectTo(t, each.database, r.server.User, r.server.Password)
		if err != nil {
			t.Logf("damage: no connection to %s: %v", each.database, err)
			continue
		}
		for _, sql := range each.sql {
			_, err := super.Exec(t.Context(), sql)
			t.Logf("damage in %s: %s: %v", each.database, sql, err)
		}
		if err := super.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *modelRun) tryDeploy(t *testing.T) error { _, err := r.tryUp(t); return err }

func (r *modelRun) tryRepair(t *testing.T) error { return r.repair(t) }

// again runs a command until it succeeds. It repeats one that failed for a reason for which the docs say
// so: locks, and after a broken run roles that it made and did not record, which are dropped first.
func (r *modelRun) again(t *testing.T, run func(*testing.T) error) {
	t.Helper()
	if err := r.tryAgain(t, run); err != nil {
		t.Fatal(err)
	}
}

func (r *modelRun) tryAgain(t *testing.T, run func(*testing.T) error) (err error) {
	t.Helper()
	for range 5 {
		if err = run(t); err == nil {
			return nil
		}
		switch text := err.Error(); {
		case strings.Contains(text, "deadlock detected"), strings.Contains(text, "tuple concurrently updated"):
			t.Log("repeated after: ", errorLines(err))
		case r.broken && existingRole.MatchString(text):
			r.clearWay(t, text)
		default:
			return err
		}
	}
	return err
}

// breakOff runs up and stops it halfway, then does what the docs say about broken runs.
func (r *modelRun) breakOff(t *testing.T, b modelBreak) {
	t.Helper()
	r.broken = true
	cmd := exec.CommandContext(t.Context(), tools.toolchain.Pulumi(), "up", "--yes", "--skip-preview", "--non-interactive", "--parallel", "8", "--stack", r.stack.Name())
	cmd.Dir, cmd.Env = r.dir, os.Environ()
	for name, value := range r.stack.Workspace().GetEnvVars() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stopped error
	progress := &counter{left: b.After, act: func() {
		if b.How == "shutdown" {
			r.signalServer(t, syscall.SIGINT)
		} else {
			stopped = killTree(cmd.Process.Pid)
		}
	}}
	both := io.MultiWriter(progress, &r.printed)
	cmd.Stdout, cmd.Stderr = both, both
	err := cmd.Run()
	t.Logf("the run that breaks off: %v, %d more resources until it is stopped", err, max(0, progress.left))
	if stopped != nil {
		t.Fatal(stopped)
	}
	if progress.left <= 0 && b.How == "shutdown" {
		r.startServer(t)
	}
	if progress.left <= 0 && b.How != "shutdown" {
		r.unlock(t)
	}
	r.refresh(t, "--clear-pending-creates")
}

// counter acts once, as soon as the CLI has reported so many resources as created, updated or deleted.
type counter struct {
	left int
	act  func()
}

func (c *counter) Write(text []byte) (int, error) {
	before := c.left
	c.left -= bytes.Count(text, []byte("ed ("))
	if before > 0 && c.left <= 0 {
		c.act()
	}
	return len(text), nil
}

// repairAll does what the docs say about drift: up with refresh, and what the audit says about the rest.
func (r *modelRun) repairAll(t *testing.T) {
	t.Helper()
	var found []modelFinding
	var err error
	for range 5 {
		err = r.tryAgain(t, r.tryRepair)
		if err == nil {
			r.closeSchemasPublic(t)
			r.saveOutputs(t, r.outputsFile)
		}
		found = r.audit(t)
		if err == nil && len(found) == 0 {
			return
		}
		if err != nil {
			t.Logf("up --refresh fails: %s", errorLines(err))
		}
		for _, f := range found {
			t.Logf("the audit finds %+v", f)
			for _, sql := range sqlFixes([]finding{{Fix: f.Fix}}) {
				super, err := r.connectTo(t, f.in(), r.server.User, r.server.Password)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := super.Exec(t.Context(), sql); err != nil {
					t.Logf("the fix %s: %v", sql, err)
				}
				if err := super.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	t.Fatalf("five times up --refresh and the fixes of the audit do not repair the damage: %v\n%+v", err, found)
}

// modelFinding is a violation that the audit finds.
type modelFinding struct{ Rule, Tenant, Subject, Object, Database, Text, Fix string }

func (f modelFinding) in() string {
	if f.Database == "" {
		return database
	}
	return f.Database
}

// setPasswords does what the docs say about passwords that did not change: it raises the versions of
// those that the server refuses.
func (r *modelRun) setPasswords(t *testing.T) {
	t.Helper()
	secret := r.pulumi(t, "stack", "output", "--json", "--show-secrets", "--stack", r.stack.Name())
	refused := map[string]bool{}
	for line := range strings.Lines(r.tenantctlWith(t, secret, "passwords", "--outputs", "-")) {
		if login, what, _ := strings.Cut(line, ": "); strings.HasPrefix(what, "the server refuses") {
			refused[login] = true
		}
	}
	if len(refused) == 0 {
		return
	}
	t.Log("passwords that the server refuses: ", sortedKeys(refused))
	for name, login := range r.config.logins() {
		raise(refused[name], &login.Version)
		raise(refused[name+"_a"], &login.A)
		raise(refused[name+"_b"], &login.B)
	}
	r.write(t)
	r.again(t, r.tryDeploy)
	r.saveOutputs(t, r.outputsFile)
}

func raise(refused bool, version *int) {
	if refused {
		*version = max(1, *version) + 1
	}
}

// tenantctl runs a command of it on the stack as a superuser.
func (r *modelRun) tenantctl(t *testing.T, args ...string) string {
	t.Helper()
	return r.tenantctlWith(t, "", append(args, "--outputs", r.outputsFile)...)
}

func (r *modelRun) tenantctlWith(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tools.tenantctl, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "PGHOST="+r.server.Host, fmt.Sprint("PGPORT=", r.server.Port), "PGUSER="+r.server.User,
		"PGPASSWORD="+r.server.Password, "PGSSLMODE=disable", "PGDATABASE="+database)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 2 {
		err = nil
	}
	if err != nil {
		t.Fatalf("tenantctl %v: %v\n%s", args, err, stderr.String())
	}
	return string(out)
}

func (r *modelRun) audit(t *testing.T) []modelFinding {
	t.Helper()
	var report struct{ Violations []modelFinding }
	if err := json.Unmarshal([]byte(r.tenantctl(t, "audit", "--format", "json")), &report); err != nil {
		t.Fatal(err)
	}
	return report.Violations
}

func (r *modelRun) resetSettings(t *testing.T) {
	t.Helper()
	r.tenantctl(t, "settings", "--reset", "all")
}

// closeSchemasPublic gives the schema public of tenants' databases to the provider's user where only a
// superuser can close it: on PostgreSQL 14, if the provider is none.
func (r *modelRun) closeSchemasPublic(t *testing.T) {
	t.Helper()
	if r.major != "14" || r.user == r.server.User {
		return
	}
	again := false
	for _, in := range sortedKeys(r.config.places()) {
		const owner = "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'"
		if slices.Equal(r.lines(t, in, owner), []string{r.user}) {
			continue
		}
		again = true
		super := r.superuser(t, in)
		super.may(t, "ALTER SCHEMA public OWNER TO "+r.user)
		if err := super.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if again {
		r.again(t, r.tryRepair)
	}
}

// migrate makes what is missing of a tenant's objects, as the admin, and grants what the tenant may write:
// the audit says only where it cannot read. There are no migrations of retired tenants, nor of those that
// are empty.
func (r *modelRun) migrate(t *testing.T) {
	t.Helper()
	at, login := r.config.places(), "admin_service_login"
	if active := r.config.Admin.Active; active != "" {
		login += "_" + active
	}
	for _, in := range sortedKeys(at) {
		for _, schema := range sortedKeys(at[in]) {
			where := at[in][schema]
			tenant := r.config.Tenants[where.key]
			if where.kept || tenant.Empty || tenant.Retire != "" {
				continue
			}
			exists := r.lines(t, in, "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = $1::regnamespace", schema)
			var statements []string
			for _, object := range []struct{ name, sql string }{
				{"docs", "CREATE TABLE %s.docs (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text)"},
				{"titles", "CREATE VIEW %[1]s.titles AS SELECT body FROM %[1]s.docs"},
				{"tickets", "CREATE SEQUENCE %s.tickets"},
				{"answer", "CREATE FUNCTION %s.answer() RETURNS int LANGUAGE sql AS 'SELECT 42'"},
			} {
				if !slices.Contains(exists, object.name) {
					statements = append(statements, fmt.Sprintf(object.sql, schema))
				}
			}
			role, _, _ := tenant.names(where.key)
			statements = append(statements, fmt.Sprintf("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %s TO %s", schema, role))
			admin := r.loginTo(t, in, login)
			admin.may(t, statements...)
			if err := admin.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
