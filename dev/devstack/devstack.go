// Package devstack deploys the dev stack, which make up makes on this machine, and connects to it.
package devstack

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"tenant-permissions/dev/install"
	"tenant-permissions/dev/postgres"
	"tenant-permissions/dev/toolchain"
)

// Passphrase encrypts the secrets of the dev stack. The config of that stack is Pulumi.dev.yaml.
const Passphrase = "dev-only, never for real stacks"

// devStack is the name of the dev stack.
const devStack = "dev"

// Stack is the dev stack of a checkout, on a server of its own. Both live in the checkout's folder
// .local. Its methods use this process's standard streams.
type Stack struct {
	checkout string
	server   *postgres.Server
	tools    *toolchain.Toolchain
}

// New returns the dev stack of the checkout.
func New(checkout string) (*Stack, error) {
	checkout, err := filepath.Abs(checkout)
	if err != nil {
		return nil, err
	}
	_, err = os.Stat(filepath.Join(checkout, "Pulumi.yaml"))
	return &Stack{checkout: checkout}, err
}

// Up starts the server, deploys the stack and prints how to connect as a tenant.
func (d *Stack) Up(ctx context.Context) error {
	if err := d.prepare(ctx); err != nil {
		return err
	}
	if err := d.interact(ctx, "up", "--yes", "--skip-preview", "--parallel", "8"); err != nil {
		return err
	}
	out, err := d.outputs(ctx)
	if err != nil {
		return err
	}
	tenants := slices.Sorted(maps.Keys(out.TenantLoginNames))
	if len(tenants) == 0 {
		return nil
	}
	fmt.Println("\nConnect as a tenant, for instance:")
	fmt.Printf("    make psql TENANT=%s\n", tenants[0])
	fmt.Printf("    PGPASSWORD=\"$(make password TENANT=%s)\" psql -h %s -p %d -U %s %s\n",
		tenants[0], d.server.Host, d.server.Port, out.TenantLoginNames[tenants[0]], out.databaseOf(tenants[0]))
	return nil
}

// Preview starts the server and shows what Up would change.
func (d *Stack) Preview(ctx context.Context) error {
	if err := d.prepare(ctx); err != nil {
		return err
	}
	return d.interact(ctx, "preview", "--parallel", "8")
}

// Down stops the server and deletes it with everything in it, and the stack's state. It does not
// run pulumi destroy, which would refuse to drop schemas with tables.
func (d *Stack) Down() error {
	if err := postgres.Remove(d.path("postgres")); err != nil {
		return err
	}
	return os.RemoveAll(d.path())
}

// Login is one of the stack's logins, by its own name or by its tenant.
type Login struct{ Tenant, Name string }

// Password returns the login's password.
func (d *Stack) Password(ctx context.Context, login Login) (string, error) {
	out, err := d.open(ctx)
	if err != nil {
		return "", err
	}
	found, err := out.find(login)
	return found.password, err
}

// Psql turns this process into a psql session of the login, in the database of its tenant if it has one.
// It starts the server if need be.
func (d *Stack) Psql(ctx context.Context, login Login, args ...string) error {
	psql, err := postgres.FindPsql(ctx)
	if err != nil {
		return err
	}
	out, err := d.open(ctx)
	if err != nil {
		return err
	}
	found, err := out.find(login)
	if err != nil {
		return err
	}
	if d.server, err = d.startServer(ctx); err != nil {
		return err
	}
	if err := os.Chdir(d.checkout); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, psql, args...)
	cmd.Env = append(d.env(), "PGUSER="+found.name, "PGPASSWORD="+found.password, "PGDATABASE="+found.database)
	return syscall.Exec(cmd.Path, cmd.Args, cmd.Environ())
}

func (d *Stack) path(elements ...string) string {
	return filepath.Join(append([]string{d.checkout, ".local"}, elements...)...)
}

func (d *Stack) startServer(ctx context.Context) (*postgres.Server, error) {
	return postgres.Start(ctx, postgres.Options{Dir: d.path("postgres"), Progress: os.Stderr})
}

// prepare makes what the CLI needs: itself and its plugins, the server, the stack, the database.
func (d *Stack) prepare(ctx context.Context) (err error) {
	if d.tools, err = toolchain.Prepare(ctx, toolchain.Options{Checkout: d.checkout, Progress: os.Stderr}); err != nil {
		return err
	}
	if d.server, err = d.startServer(ctx); err != nil {
		return err
	}
	if d.server.Fresh {
		fmt.Fprintln(os.Stderr, "compiling the program comes next; the first time, this takes up to 4 minutes on 2 cores")
		// The server of a state that is still there is gone.
		if err := os.RemoveAll(d.path("state")); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(d.path("state"), 0o700); err != nil {
		return err
	}
	if !d.deployed() {
		// --no-select: the user's own pulumi commands go on with the stack that they have selected.
		if _, err := d.ask(ctx, "stack", "init", devStack, "--no-select"); err != nil {
			return err
		}
	}
	database, err := d.database(ctx)
	if err != nil {
		return err
	}
	return d.server.CreateDatabase(ctx, database)
}

// deployed reports whether there is a stack.
func (d *Stack) deployed() bool {
	found, err := filepath.Glob(d.path("state/.pulumi/stacks/*", devStack+".json"))
	return err == nil && len(found) > 0
}

// database is the name in the stack's config, which must not name another server: the provider
// would prefer it to the environment.
func (d *Stack) database(ctx context.Context) (string, error) {
	out, err := d.ask(ctx, "config", "--json", "--stack", devStack)
	if err != nil {
		return "", err
	}
	var config map[string]struct{ Value string }
	if err := json.Unmarshal(out, &config); err != nil {
		return "", fmt.Errorf("the config of the stack %s: %w", devStack, err)
	}
	for _, name := range []string{"host", "port", "username", "password"} {
		if _, ok := config["postgresql:"+name]; ok {
			return "", fmt.Errorf("the stack %s has a server of its own, but its config sets postgresql:%s: use another stack for another server", devStack, name)
		}
	}
	if database := config["postgresql:database"].Value; database != "" {
		return database, nil
	}
	return "", fmt.Errorf("the config of the stack %s does not set postgresql:database", devStack)
}

// env is the environment of the CLI and of psql. The connection is in the environment, so that no
// file changes when it does.
func (d *Stack) env() []string {
	env := slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "PG") })
	env = append(env,
		"PULUMI_BACKEND_URL=file://"+d.path("state"),
		"PULUMI_CONFIG_PASSPHRASE="+Passphrase,
	)
	if d.tools != nil {
		env = append(env, d.tools.Env()...)
	}
	if d.server != nil {
		env = append(env,
			"PGHOST="+d.server.Host,
			"PGPORT="+strconv.Itoa(d.server.Port),
			"PGUSER="+d.server.User,
			"PGPASSWORD="+d.server.Password,
			"PGSSLMODE=disable",
		)
	}
	return env
}

func (d *Stack) pulumi(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.tools.Pulumi(), args...)
	cmd.Dir, cmd.Env = d.checkout, d.env()
	return cmd
}

// interact runs a command of the CLI on the stack, in the user's terminal.
func (d *Stack) interact(ctx context.Context, verb string, args ...string) error {
	cmd := d.pulumi(ctx, append([]string{verb, "--stack", devStack}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error {
		// A terminal has sent its Ctrl-C to the CLI as well, which ends at once on a second one
		// and would not save what it has done.
		if terminal, err := os.Open("/dev/tty"); err == nil {
			return terminal.Close()
		}
		return cmd.Process.Signal(os.Interrupt)
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pulumi %s: %w", verb, err)
	}
	return nil
}

// ask runs a command of the CLI and returns what it prints.
func (d *Stack) ask(ctx context.Context, args ...string) ([]byte, error) {
	cmd := d.pulumi(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("pulumi %s: %w\n%s", strings.Join(args, " "), err, install.LastLines(stderr.Bytes()))
	}
	return out, nil
}

// outputs are those of the stack that are of use here.
type outputs struct {
	DatabaseName          string                       `json:"database_name"`
	TenantDatabaseNames   map[string]string            `json:"tenant_database_names"`
	TenantLoginNames      map[string]string            `json:"tenant_login_names"`
	TenantAgentLoginNames map[string]map[string]string `json:"tenant_agent_login_names"`
	Passwords             map[string]string            `json:"passwords"`
}

// databaseOf is the database of a tenant, and the stack's for no tenant.
func (o outputs) databaseOf(tenant string) string {
	return cmp.Or(o.TenantDatabaseNames[tenant], o.DatabaseName)
}

// tenantOf is the tenant that a login is of, or one of whose agents it is, "" if there is none.
func (o outputs) tenantOf(login string) string {
	for tenant, name := range o.TenantLoginNames {
		if name == login || slices.Contains(slices.Collect(maps.Values(o.TenantAgentLoginNames[tenant])), login) {
			return tenant
		}
	}
	return ""
}

func (d *Stack) outputs(ctx context.Context) (outputs, error) {
	var out outputs
	content, err := d.ask(ctx, "stack", "output", "--stack", devStack, "--json", "--show-secrets")
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(content, &out); err != nil {
		return out, fmt.Errorf("the outputs of the stack %s: %w", devStack, err)
	}
	return out, nil
}

// open reads the outputs of the stack that Up has deployed.
func (d *Stack) open(ctx context.Context) (out outputs, err error) {
	if !d.deployed() {
		return out, errors.New("there is no dev stack yet: run make up")
	}
	if d.tools, err = toolchain.PrepareCLI(ctx, d.checkout, os.Stderr); err != nil {
		return out, err
	}
	if out, err = d.outputs(ctx); err == nil && out.DatabaseName == "" {
		err = errors.New("the dev stack is not deployed: run make up")
	}
	return out, err
}

// Audit reports who can reach what on the server of the stack that Up has deployed. args are further
// flags of tenantctl audit, or another command, such as why, with its arguments.
func (d *Stack) Audit(ctx context.Context, args ...string) error {
	if _, err := d.open(ctx); err != nil {
		return err
	}
	outputs, err := d.ask(ctx, "stack", "output", "--stack", devStack, "--json")
	if err != nil {
		return err
	}
	if d.server, err = d.startServer(ctx); err != nil {
		return err
	}
	command := "audit"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"run", "./cmd/tenantctl", command, "--outputs", "-"}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = filepath.Join(d.checkout, "tools"), d.env(), bytes.NewReader(outputs), os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// connection is what a login connects with, and to.
type connection struct{ name, password, database string }

// find returns what a login connects with.
func (o outputs) find(login Login) (found connection, err error) {
	name := login.Name
	switch {
	case (login.Tenant == "") == (login.Name == ""):
		return found, errors.New("give either a tenant (TENANT=acme) or a login (LOGIN=admin_service_login)")
	case login.Tenant != "":
		var ok bool
		if name, ok = o.TenantLoginNames[login.Tenant]; !ok {
			return found, fmt.Errorf("there is no tenant %q; there are: %s",
				login.Tenant, strings.Join(slices.Sorted(maps.Keys(o.TenantLoginNames)), ", "))
		}
	}
	password, ok := o.Passwords[name]
	if !ok {
		return found, fmt.Errorf("there is no login %q; there are: %s",
			name, strings.Join(slices.Sorted(maps.Keys(o.Passwords)), ", "))
	}
	return connection{name, password, o.databaseOf(o.tenantOf(name))}, nil
}
