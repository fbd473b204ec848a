// Package tests deploys the program with the real CLI on a real PostgreSQL, logs in with the
// passwords it exports, and tries what must work and what must not.
package tests

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"

	"tenant-permissions/dev/postgres"
	"tenant-permissions/dev/toolchain"
	"tenant-permissions/internal/launcher"
)

// SQLSTATEs that PostgreSQL refuses with.
const (
	insufficientPrivilege = "42501"
	privilegeNotGranted   = "01007" // a warning: GRANT without the right to grant changes nothing
	privilegeNotRevoked   = "01006" // a warning: REVOKE without the right to revoke changes nothing
	invalidPassword       = "28P01"
	loginNotPermitted     = "28000"
	raisedException       = "P0001"
)

const database = "ai_platform"

// tools are what every test shares: the CLI with its plugins, and the program and tenantctl, compiled
// once.
var tools struct {
	toolchain          *toolchain.Toolchain
	command            auto.PulumiCommand
	program, tenantctl string
	// vault is the address of the server that keeps the keys of the stacks' secrets.
	vault string
	// path is put before PATH for the CLI.
	path string
	// template is the server of which all others are copies.
	template *postgres.Server
}

func TestMain(m *testing.M) {
	code, err := prepareAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func prepareAndRun(m *testing.M) (code int, err error) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tenant-permissions-tests-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	tools.toolchain, err = toolchain.Prepare(ctx, toolchain.Options{Checkout: "..", Progress: os.Stderr})
	if err != nil {
		return 0, err
	}
	tools.command, err = auto.NewPulumiCommand(&auto.PulumiCommandOptions{Root: tools.toolchain.Root})
	if err != nil {
		return 0, err
	}
	tools.program = filepath.Join(dir, "tenant-permissions")
	tools.tenantctl = filepath.Join(dir, "tenantctl")
	for from, to := range map[string]string{"..": tools.program, "../tools/cmd/tenantctl": tools.tenantctl} {
		build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", to, ".")
		build.Dir, build.Stderr = from, os.Stderr
		if err := build.Run(); err != nil {
			return 0, fmt.Errorf("building %s: %w", from, err)
		}
	}
	// As root, servers run as another user.
	if err := os.Chmod(dir, 0o755); err != nil {
		return 0, err
	}
	ofTemplate := filepath.Join(dir, "template")
	defer func() { err = errors.Join(err, postgres.Remove(ofTemplate)) }()
	tools.template, err = postgres.Start(ctx, postgres.Options{Dir: ofTemplate, Version: os.Getenv("POSTGRES"), Progress: os.Stderr})
	if err != nil {
		return 0, err
	}
	if err := tools.template.Stop(); err != nil {
		return 0, err
	}
	tools.path = filepath.Join(dir, "path")
	if err := writeGo(tools.path); err != nil {
		return 0, err
	}
	vault := httptest.NewServer(transit())
	defer vault.Close()
	tools.vault = vault.URL
	return m.Run(), nil
}

// object is a part of a stack's config.
type object map[string]any

// platform is one stack on a server of its own.
type platform struct {
	server *postgres.Server
	// major is the server's major version.
	major string
	stack auto.Stack
	// dir holds the stack's config, backend its state and history; logs is where the CLI logs.
	dir, backend, logs string
	// settings are config keys besides tenants and roles.
	settings map[string]config.Value
	// printed is everything the CLI said.
	printed bytes.Buffer
	// known are the outputs of the state of which knownOf is the hash.
	known   auto.OutputMap
	knownOf [sha256.Size]byte
	// user is whom the provider connects as.
	user, password string
}

// newPlatform starts a server that logs every statement, and makes an empty stack. The provider
// connects as a superuser, or as a login that may create roles and owns the database.
func newPlatform(t *testing.T, superuser bool) *platform {
	t.Helper()
	ctx := t.Context()
	server, err := postgres.Start(ctx, postgres.Options{
		Version:  os.Getenv("POSTGRES"),
		Template: tools.template,
		Settings: map[string]string{"log_statement": "all"},
		Progress: os.Stderr,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	p := &platform{server: server, dir: t.TempDir(), user: server.User, password: server.Password}
	admin := p.superuser(t, "postgres")
	p.major = admin.value(t, "SELECT current_setting('server_version_num')::int / 10000")
	admin.may(t, "CREATE DATABASE "+database)
	if !superuser {
		p.user, p.password = "deployer", "deployer-password"
		if err := p.runSetup(t, p.setup(t, nil), nil); err != nil {
			t.Fatal(err)
		}
		admin.may(t, "ALTER ROLE deployer PASSWORD '"+p.password+"'")
	}
	// The project is the committed one, but its program was compiled before.
	project, err := os.ReadFile("../Pulumi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := launcher.WriteProject(p.dir, project, tools.program); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, compiled), []byte(tools.program+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.backend = t.TempDir()
	// A home of its own keeps the CLI's logs apart; the installed plugins are the user's.
	home, err := pulumiHome()
	if err != nil {
		t.Fatal(err)
	}
	ownHome := t.TempDir()
	if err := os.Symlink(filepath.Join(home, "plugins"), filepath.Join(ownHome, "plugins")); err != nil {
		t.Fatal(err)
	}
	p.logs = filepath.Join(ownHome, "logs")
	env := map[string]string{
		"PULUMI_HOME":              ownHome,
		"PULUMI_BACKEND_URL":       "file://" + p.backend,
		"PULUMI_CONFIG_PASSPHRASE": "for tests", // of stacks that a test makes in another way
		"VAULT_SERVER_URL":         tools.vault,
		"GOGC":                     "off", // the CLI and its plugins end before they need much memory
		"GOMEMLIMIT":               "512MiB",
		"PULUMI_SKIP_UPDATE_CHECK": "true",
		"PGHOST":                   server.Host,
		"PGPORT":                   fmt.Sprint(server.Port),
		"PGUSER":                   p.user,
		"PGPASSWORD":               p.password,
		"PGSSLMODE":                "disable",
		"PGSUPERUSER":              fmt.Sprint(superuser),
	}
	for _, pair := range tools.toolchain.Env() {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	env["PATH"] = tools.path + string(filepath.ListSeparator) + env["PATH"]
	p.stack, err = newStack(ctx, "test", p.dir, env)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pulumiHome is where the user's CLI keeps its plugins.
func pulumiHome() (string, error) {
	if home := os.Getenv("PULUMI_HOME"); home != "" {
		return home, nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".pulumi"), err
}

// beside is another stack in the same backend, on the server of another platform or of this one.
func (p *platform) beside(t *testing.T, name string, on *platform) *platform {
	t.Helper()
	env := maps.Clone(p.stack.Workspace().GetEnvVars())
	env["PGPORT"], env["PGUSER"], env["PGPASSWORD"] = fmt.Sprint(on.server.Port), on.user, on.password
	stack, err := newStack(t.Context(), name, p.dir, env)
	if err != nil {
		t.Fatal(err)
	}
	return &platform{
		server: on.server, major: on.major, user: on.user, password: on.password,
		stack: stack, dir: p.dir, backend: p.backend, logs: p.logs,
	}
}

// configure sets the stack's tenants and roles, and its readers if there are any; nil leaves out what
// it stands for.
func (p *platform) configure(t *testing.T, tenants, roles object, readers ...object) {
	t.Helper()
	ctx, workspace := t.Context(), p.stack.Workspace()
	settings, err := workspace.StackSettings(ctx, p.stack.Name())
	if err != nil {
		t.Fatal(err)
	}
	settings.Config = config.Map{config.MustParseKey("postgresql:database"): config.NewValue(database)}
	for key, value := range p.settings {
		settings.Config[config.MustMakeKey("tenant-permissions", key)] = value
	}
	values := map[string]object{"tenants": tenants, "roles": roles}
	if len(readers) > 0 {
		values["readers"] = readers[0]
	}
	for key, value := range values {
		if value == nil {
			continue
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		settings.Config[config.MustMakeKey("tenant-permissions", key)] = config.NewObjectValue(string(encoded))
	}
	if err := workspace.SaveStackSettings(ctx, p.stack.Name(), settings); err != nil {
		t.Fatal(err)
	}
}

// unprotected is the setting by which tenants may disappear.
func unprotected() map[string]config.Value {
	return map[string]config.Value{"protectTenants": config.NewTypedValue("false", config.TypeBool)}
}

// session is one login's connection to the tenants' database.
type session struct {
	*pgx.Conn
	login string
	// warning is the SQLSTATE of the last statement's warning.
	warning string
}

// connect logs in to the stack's database; it returns PostgreSQL's refusal as an error.
func (p *platform) connect(t *testing.T, login, password string) (*session, error) {
	t.Helper()
	return p.connectTo(t, database, login, password)
}

func (p *platform) connectTo(t *testing.T, database, login, password string) (*session, error) {
	t.Helper()
	return dial(t, login, p.server.DSN(login, password, database))
}

// dial makes a session of the login with a connection string.
func dial(t *testing.T, login, dsn string) (*session, error) {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	s := &session{login: login}
	cfg.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		if notice.Severity == "WARNING" {
			s.warning = notice.Code
		}
	}
	s.Conn, err = pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, nil
}

// login logs in with the exported password.
func (p *platform) login(t *testing.T, login string) *session {
	t.Helper()
	s, err := p.connect(t, login, p.passwords(t)[login])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// loginTo logs in to a database with the exported password.
func (p *platform) loginTo(t *testing.T, database, login string) *session {
	t.Helper()
	s, err := p.connectTo(t, database, login, p.passwords(t)[login])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refuseLogin fails unless the login is refused with the SQLSTATE.
func (p *platform) refuseLogin(t *testing.T, login, password, want string) {
	t.Helper()
	if _, err := p.connect(t, login, password); sqlstate(err) != want {
		t.Errorf("login of %s: got SQLSTATE %q, want %s", login, sqlstate(err), want)
	}
}

// may fails for every statement that is refused, or changes nothing but says so in a warning.
func (s *session) may(t *testing.T, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		s.warning = ""
		if _, err := s.Exec(t.Context(), sql); err != nil || s.warning != "" {
			t.Errorf("%s may not: %s: %v %s", s.login, sql, err, s.warning)
		}
	}
}

// mayNot fails for every statement that is not refused with the SQLSTATE, as an error or, where
// PostgreSQL says no more than that, as a warning.
func (s *session) mayNot(t *testing.T, want string, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		s.warning = ""
		_, err := s.Exec(t.Context(), sql)
		if got := cmp.Or(sqlstate(err), s.warning); got != want {
			t.Errorf("%s: %s: got SQLSTATE %q, want %s", s.login, sql, got, want)
		}
	}
}

// value is the one value that a query returns, as text.
func (s *session) value(t *testing.T, sql string) string {
	t.Helper()
	var value string
	if err := s.QueryRow(t.Context(), "SELECT ("+sql+")::text").Scan(&value); err != nil {
		t.Fatalf("%s: %s: %v", s.login, sql, err)
	}
	return value
}

// superuser is a session of the server's own superuser.
func (p *platform) superuser(t *testing.T, database string) *session {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.server.DSN(p.server.User, p.server.Password, database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &session{Conn: conn, login: p.server.User}
}

// sqlstate is the code of PostgreSQL's error, "" for none.
func sqlstate(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// catalog renders everything that permissions are made of, one fact a line: roles with their
// attributes and settings, memberships, and the owner and ACL of the database, of schemas,
// relations and functions, and default privileges.
func (p *platform) catalog(t *testing.T) []string {
	t.Helper()
	return p.catalogOf(t, database)
}

func (p *platform) catalogOf(t *testing.T, database string) []string {
	t.Helper()
	super := p.superuser(t, database)
	rows, err := super.Query(t.Context(), `
		SELECT format('role %s %s', rolname, concat_ws(' ', rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, rolvaliduntil))
			FROM pg_roles WHERE rolname !~ '^pg_'
		UNION ALL SELECT format('setting %s %s', setrole::regrole, setconfig) FROM pg_db_role_setting
		UNION ALL SELECT format('member %s of %s, admin %s, by %s', member::regrole, roleid::regrole, admin_option, grantor::regrole)
			FROM pg_auth_members WHERE roleid::regrole::text !~ '^pg_'
		UNION ALL SELECT format('database %s %s', datdba::regrole, datacl) FROM pg_database WHERE datname = current_database()
		UNION ALL SELECT format('schema %s %s %s', nspname, nspowner::regrole, nspacl) FROM pg_namespace WHERE nspname !~ '^pg_'
		UNION ALL SELECT format('relation %s %s %s', c.oid::regclass, relowner::regrole, relacl)
			FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname !~ '^(pg_|information_schema)'
		UNION ALL SELECT format('function %s %s %s', p.oid::regprocedure, proowner::regrole, proacl)
			FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname !~ '^(pg_|information_schema)'
		UNION ALL SELECT format('default %s %s %s %s', defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, defaclacl) FROM pg_default_acl
		ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	// A session of a superuser keeps others from dropping the database.
	if err = errors.Join(err, super.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	return facts
}

// sameFacts fails for every fact that is in one catalog only.
func sameFacts(t *testing.T, want, got []string) {
	t.Helper()
	noneOnlyIn(t, "no longer", want, got)
	noneOnlyIn(t, "new", got, want)
}

// sameRights is sameFacts for servers that made their roles in another order, by which PostgreSQL
// sorts some lists of privileges.
func sameRights(t *testing.T, want, got []string) {
	t.Helper()
	list := regexp.MustCompile(`{.*}`)
	sorted := func(facts []string) []string {
		facts = slices.Clone(facts)
		for i, fact := range facts {
			facts[i] = list.ReplaceAllStringFunc(fact, func(list string) string {
				return strings.Join(slices.Sorted(strings.SplitSeq(strings.Trim(list, "{}"), ",")), " ")
			})
		}
		return facts
	}
	sameFacts(t, sorted(want), sorted(got))
}

// noneOnlyIn fails for every fact of the first catalog that the second does not have.
func noneOnlyIn(t *testing.T, problem string, first, second []string) {
	t.Helper()
	for _, fact := range first {
		if !slices.Contains(second, fact) {
			t.Errorf("%s: %s", problem, fact)
		}
	}
}

// modes runs a test with a provider that connects as a superuser, and with one that connects as
// a login that may create roles and owns the database, as managed services have it. Both run side by side
// with all other tests: each platform has a server of its own.
func modes(t *testing.T, test func(*testing.T, *platform)) {
	t.Parallel()
	for name, superuser := range map[string]bool{"superuser": true, "createrole": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newPlatform(t, superuser))
		})
	}
}
