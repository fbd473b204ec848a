package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// setup is what the program writes for the superuser who makes the connecting user, for a config
// of no tenants and the given further values by full key.
func (p *platform) setup(t *testing.T, values map[string]string) string {
	t.Helper()
	sql, problem := p.trySetup(t, values)
	if problem != "" {
		t.Fatal(problem)
	}
	return sql
}

func (p *platform) trySetup(t *testing.T, values map[string]string) (sql, problem string) {
	t.Helper()
	type setting struct {
		Value  string `json:"value"`
		Secret bool   `json:"secret"`
	}
	config := map[string]setting{
		"postgresql:database":        {Value: database},
		"postgresql:username":        {Value: p.user},
		"postgresql:password":        {Secret: true}, // as the CLI prints it
		"tenant-permissions:tenants": {Value: "{}"},
	}
	for key, value := range values {
		config[key] = setting{Value: value}
	}
	encoded, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), tools.tenantctl, "setup-sql")
	cmd.Stdin = bytes.NewReader(encoded)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return "", stderr.String()
	}
	return out.String(), ""
}

// runSetup runs the script as a superuser, in the tenants' database; warnings go to warn.
func (p *platform) runSetup(t *testing.T, sql string, warn func(*pgconn.Notice)) error {
	t.Helper()
	cfg, err := pgx.ParseConfig(p.server.DSN(p.server.User, p.server.Password, database))
	if err != nil {
		t.Fatal(err)
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		if warn != nil && notice.Severity == "WARNING" {
			warn(notice)
		}
	}
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), sql)
	return err
}

// The script makes a user with exactly what the config needs, whatever it had before, or says what
// it cannot do. That the user can deploy, all tests show that connect as it.
func TestSetup(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, false)
	super := p.superuser(t, database)
	super.may(t, "CREATE DATABASE other")
	modern := p.major >= "16"
	has := func(want string) {
		t.Helper()
		got := super.value(t, `SELECT concat_ws(' ', CASE WHEN rolcanlogin THEN 'LOGIN' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
				CASE WHEN rolcreatedb THEN 'CREATEDB' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END,
				CASE WHEN rolreplication THEN 'REPLICATION' END, CASE WHEN rolsuper THEN 'SUPERUSER' END,
				(SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datdba = r.oid))
			FROM pg_roles r WHERE rolname = 'deployer'`)
		if got != want {
			t.Errorf("deployer has %s, want %s", got, want)
		}
	}
	const roles = "tenant-permissions:roles"
	if modern {
		has("LOGIN CREATEROLE CREATEDB " + database)
	} else {
		has("LOGIN CREATEROLE " + database)
	}

	all := map[string]string{
		roles:                                `{"app":{"bypassRowLevelSecurity":true},"admin":{"createDatabase":false,"replication":true}}`,
		"tenant-permissions:closedDatabases": `["other"]`,
	}
	err := p.runSetup(t, p.setup(t, all), nil)
	if modern {
		if err != nil {
			t.Fatal(err)
		}
		has("LOGIN CREATEROLE BYPASSRLS REPLICATION " + database + " other")
	} else if sqlstate(err) != raisedException || !strings.Contains(err.Error(), "only a superuser can give bypassRowLevelSecurity") {
		t.Errorf("got error %v", err)
	}

	super.may(t, "ALTER ROLE deployer CREATEDB")
	for createRole, warnings := range map[string]int{"true": 1, "false": 0} {
		got := 0
		script := p.setup(t, map[string]string{roles: `{"admin":{"createDatabase":false,"createRole":` + createRole + `}}`})
		if err := p.runSetup(t, script, func(*pgconn.Notice) { got++ }); err != nil {
			t.Fatal(err)
		}
		if modern {
			warnings = 0
		}
		if got != warnings {
			t.Errorf("createRole %s: %d warnings, want %d", createRole, got, warnings)
		}
	}
	if modern {
		has("LOGIN CREATEROLE " + database + " other")
	} else {
		has("LOGIN CREATEROLE " + database)
	}

	t.Run("refused", func(t *testing.T) {
		before := p.catalog(t)
		for name, refused := range map[string]struct {
			values map[string]string
			want   string
		}{
			"another database": {map[string]string{"postgresql:database": "other"}, "this is the database " + database + "; run it in other"},
			"a superuser":      {map[string]string{"postgresql:username": p.server.User}, "is a superuser and needs no setup"},
		} {
			err := p.runSetup(t, p.setup(t, refused.values), nil)
			if sqlstate(err) != raisedException || !strings.Contains(err.Error(), refused.want) {
				t.Errorf("%s: got error %v", name, err)
			}
		}
		for want, values := range map[string]map[string]string{
			"roles.admin.superuser: true is not accepted here": {roles: `{"admin":{"superuser":true}}`},
			`postgresql:username is not accepted here`:         {"postgresql:username": "o'brien"},
			`roles.amdin: unknown key; did you mean admin?`:    {roles: `{"amdin":{}}`},
			`tenants: [] is not accepted; give an object`:      {"tenant-permissions:tenants": `[]`},
		} {
			if _, problem := p.trySetup(t, values); !strings.Contains(problem, want) {
				t.Errorf("got %q, want %s", problem, want)
			}
		}
		sameFacts(t, before, p.catalog(t))
	})
}

// On a managed service there is no superuser: its administrator has CREATEROLE and CREATEDB, owns the
// database, and is left with nothing of the connecting user's.
func TestSetupByAdministrator(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, true)
	super := p.superuser(t, database)
	super.may(t,
		"CREATE ROLE administrator LOGIN CREATEROLE CREATEDB PASSWORD 'administrator-password'",
		"ALTER DATABASE "+database+" OWNER TO administrator")
	script := p.setup(t, map[string]string{"postgresql:username": "deployer"})
	admin, err := p.connect(t, "administrator", "administrator-password")
	if err != nil {
		t.Fatal(err)
	}
	if p.major == "14" {
		// It would have to own the schema public as well.
		admin.mayNot(t, insufficientPrivilege, script)
		return
	}
	for range 2 { // again after a change of the config
		if _, err := admin.Exec(t.Context(), script); err != nil {
			t.Fatal(err)
		}
	}
	admin.mayNot(t, insufficientPrivilege, "SET ROLE deployer")
	admin.may(t, "ALTER ROLE deployer PASSWORD 'deployer-password'")
	p.user, p.password = "deployer", "deployer-password"
	deployer := p.beside(t, "managed", p)
	if err := deployer.stack.Workspace().SetEnvVars(map[string]string{"PGSUPERUSER": "false"}); err != nil {
		t.Fatal(err)
	}
	deployer.configure(t, object{"acme": object{}}, object{})
	deployer.up(t)
	deployer.clean(t)
	deployer.login(t, "tenant_acme").may(t, "SELECT 1")
}
