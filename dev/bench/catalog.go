package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tenant-permissions/dev/postgres"
	"tenant-permissions/internal/policy"
)

// catalog is what a server with this number of tenants costs. Each tenant has one table.
type catalog struct {
	Date        string      `json:"date"`
	Environment environment `json:"environment"`
	// Busy is true if other work ran on the machine at the same time.
	Busy bool `json:"busy,omitempty"`
	// Superuser is true if a superuser made the tenants, and false if a user with CREATEROLE did.
	Superuser bool `json:"superuser"`
	Tenants   int  `json:"tenants"`
	// Memberships are the rows of pg_auth_members.
	Memberships int `json:"memberships"`
	// Seconds by what was measured, the median of the samples.
	Seconds map[string]float64 `json:"seconds"`
	samples map[string][]float64
	// Bytes by what has them.
	Bytes map[string]int64 `json:"bytes"`
	// DumpVersion is the major version of the pg_dumpall that was measured, if there was one.
	DumpVersion string `json:"dumpVersion,omitempty"`
	// Tools are commands of tenantctl, by name. They do not depend on who made the tenants.
	Tools map[string]*toolCost `json:"tools,omitempty"`
}

// What is measured in seconds.
const (
	loginApp     = "log in as the app"
	loginTenant  = "log in as a tenant"
	loginAdmin   = "log in as the admin"
	firstApp     = "first query of the app"
	firstTenant  = "first query of a tenant"
	firstAdmin   = "first query of the admin"
	changeApp    = "query of the app after a change of memberships"
	changeTenant = "query of a tenant after a change of memberships"
	changeAdmin  = "query of the admin after a change of memberships"
	setRole      = "SET ROLE of the admin"
	changeSet    = "SET ROLE of the admin after a change of memberships"
	adminGrants  = "admin grants a tenant's role"
	addTenant    = "add a tenant"
	dropTenant   = "drop a tenant"
	lockMembers  = "lock the members of all_tenants"
	dumpRoles    = "pg_dumpall --roles-only"
)

// What is measured in bytes.
const (
	sizeMemberships = "pg_auth_members"
	sizeDefaults    = "pg_default_acl"
	sizeSchemas     = "pg_namespace"
	sizeDatabaseACL = "access list of the database"
	sizeSchemaACL   = "largest access list of a schema"
	sizeDump        = "pg_dumpall --roles-only"
	memoryTenant    = "memory of a tenant's session"
	memoryAdmin     = "memory of the admin's session"
)

// measureCatalogs measures a server whose tenants a superuser makes, then one without a superuser. The
// results take the place of those of the same version.
func measureCatalogs(ctx context.Context, o Options, results *results, progress io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "tenant-permissions-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	tenantctl, err := compileTool(ctx, o.Checkout, dir, progress)
	if err != nil {
		return err
	}
	for _, superuser := range []bool{true, false} {
		measured, err := measureServer(ctx, o, superuser, tenantctl, progress)
		if err != nil {
			return err
		}
		results.addCatalogs(measured)
		if err := results.save(o.Docs); err != nil {
			return err
		}
	}
	return nil
}

// addCatalogs takes in all figures of one server, in place of those of the same version and the same
// deployer.
func (r *results) addCatalogs(measured []*catalog) {
	r.Catalogs = slices.DeleteFunc(r.Catalogs, func(c *catalog) bool {
		return slices.ContainsFunc(measured, func(m *catalog) bool {
			return c.Superuser == m.Superuser && c.Environment.major() == m.Environment.major()
		})
	})
	r.Catalogs = append(r.Catalogs, measured...)
}

// major is the major version of PostgreSQL.
func (env environment) major() string {
	major, _, _ := strings.Cut(env.PostgreSQL, ".")
	return major
}

// measureServer measures one server with every number of tenants.
func measureServer(ctx context.Context, o Options, superuser bool, tenantctl string, progress io.Writer) (all []*catalog, err error) {
	server, err := postgres.Start(ctx, postgres.Options{Version: os.Getenv("POSTGRES"), Progress: progress})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	c := &crowd{
		site: &site{server: server, database: crowdDatabase}, deployer: server.User, superuser: superuser,
		checkout: o.Checkout, tenantctl: tenantctl, progress: progress,
	}
	if err := c.prepare(ctx); err != nil {
		return nil, err
	}
	env := machine()
	if env.PostgreSQL, err = c.version(ctx); err != nil {
		return nil, err
	}
	c.creatorsAreMembers = !superuser && env.major() >= "16"
	for _, n := range slices.Sorted(slices.Values(o.Tenants)) {
		if err := c.grow(ctx, n); err != nil {
			return nil, fmt.Errorf("%d tenants: %w", n, err)
		}
		m := &catalog{
			Date: time.Now().UTC().Format(time.DateOnly), Environment: env, Busy: o.Busy, Superuser: superuser,
			Tenants: n, Seconds: map[string]float64{}, samples: map[string][]float64{}, Bytes: map[string]int64{}, Tools: map[string]*toolCost{},
		}
		if err := c.measure(ctx, m); err != nil {
			return nil, fmt.Errorf("%d tenants: %w", n, err)
		}
		fmt.Fprintf(progress, "%d tenants, superuser %t: %s\n", n, superuser, m)
		all = append(all, m)
	}
	return all, nil
}

func (m *catalog) String() string {
	words := []string{fmt.Sprintf("%d memberships", m.Memberships)}
	for _, name := range sortedKeys(m.Seconds) {
		words = append(words, fmt.Sprintf("%s %s", name, duration(m.Seconds[name])))
	}
	for _, name := range sortedKeys(m.Bytes) {
		words = append(words, fmt.Sprintf("%s %d bytes", name, m.Bytes[name]))
	}
	return strings.Join(words, ", ")
}

// measure measures everything.
func (c *crowd) measure(ctx context.Context, m *catalog) error {
	var some []string
	for i := range samples {
		some = append(some, "tenant_"+tenantKey(i*c.tenants/samples))
	}
	if err := c.allowLogin(ctx, slices.Compact(slices.Clone(some))...); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return c.measureLogins(ctx, m, some) },
		func() error { return c.measureChanges(ctx, m, some) },
		func() error { return c.measureDeployer(ctx, m) },
		func() error { return c.measureSizes(ctx, m) },
		func() error { return c.measureDump(ctx, m) },
		func() error {
			if !c.superuser {
				return nil
			}
			return c.measureTools(ctx, m)
		},
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// timed measures the statements in a session.
func (m *catalog) timed(ctx context.Context, conn *pgconn.PgConn, name string, statements ...string) error {
	start := time.Now()
	err := run(ctx, conn, statements...)
	m.sample(name, start)
	return err
}

// sample adds a sample that began at a time and ends now.
func (m *catalog) sample(name string, start time.Time) {
	m.samples[name] = append(m.samples[name], time.Since(start).Seconds())
	m.Seconds[name] = median(m.samples[name])
}

// query is a query of a tenant's table.
func query(tenant string) string { return "SELECT count(*) FROM " + tenant + "." + queried }

// measureLogins measures new sessions: the login, and their first statements.
func (c *crowd) measureLogins(ctx context.Context, m *catalog, some []string) error {
	names := roleNames("")
	for _, tenant := range some {
		for _, login := range []struct{ name, login, first, memory string }{
			{names[policy.App], loginApp, firstApp, ""},
			{tenant, loginTenant, firstTenant, memoryTenant},
			{names[policy.AdminLogin], loginAdmin, firstAdmin, memoryAdmin},
		} {
			start := time.Now()
			conn, err := c.open(ctx, login.name)
			if err != nil {
				return err
			}
			m.sample(login.login, start)
			err = m.timed(ctx, conn, login.first, query(tenant))
			if login.login == loginAdmin && err == nil {
				err = errors.Join(m.timed(ctx, conn, setRole, "SET ROLE "+tenant), run(ctx, conn, "SET ROLE "+names[policy.Admin]))
			}
			if login.memory != "" {
				m.Bytes[login.memory] = max(m.Bytes[login.memory], statusBytes(int(conn.PID()), "RssAnon"))
			}
			if err := errors.Join(err, conn.Close(context.WithoutCancel(ctx))); err != nil {
				return err
			}
		}
	}
	return nil
}

// measureChanges measures open sessions after another one has changed a membership, which empties what
// PostgreSQL remembers of memberships in every session.
func (c *crowd) measureChanges(ctx context.Context, m *catalog, some []string) error {
	names := roleNames("")
	sessions := map[string]*pgconn.PgConn{}
	for _, login := range []string{c.server.User, names[policy.App], some[0], names[policy.AdminLogin]} {
		conn, err := c.open(ctx, login)
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		sessions[login] = conn
	}
	somebody, admin := sessions[c.server.User], sessions[names[policy.AdminLogin]]
	change := func() error {
		return run(ctx, somebody, "GRANT "+names[policy.App]+" TO "+member, "REVOKE "+names[policy.App]+" FROM "+member)
	}
	for _, session := range []string{names[policy.App], some[0], names[policy.AdminLogin]} {
		if err := run(ctx, sessions[session], query(some[0])); err != nil {
			return err
		}
	}
	for _, tenant := range some {
		for _, step := range []struct{ name, session, statement string }{
			{changeApp, names[policy.App], query(some[0])},
			{changeTenant, some[0], query(some[0])},
			{changeAdmin, names[policy.AdminLogin], query(some[0])},
			{changeSet, names[policy.AdminLogin], "SET ROLE " + tenant},
		} {
			if err := errors.Join(change(), m.timed(ctx, sessions[step.session], step.name, step.statement)); err != nil {
				return err
			}
		}
		if err := errors.Join(
			run(ctx, admin, "SET ROLE "+names[policy.Admin]),
			m.timed(ctx, admin, adminGrants, "GRANT "+tenant+" TO "+member),
			run(ctx, admin, "REVOKE "+tenant+" FROM "+member),
		); err != nil {
			return err
		}
	}
	return nil
}

// measureDeployer measures what the deployer does with one more tenant, and how long it takes to lock all
// members of all_tenants, as the provider does before it grants that role anything.
func (c *crowd) measureDeployer(ctx context.Context, m *catalog) error {
	return c.as(ctx, c.deployer, func(ctx context.Context, conn *pgconn.PgConn) error {
		for range samples {
			add := tenantRoleSQL("added")
			for _, sql := range tenantSchemaSQL("added") {
				add = append(add, c.owning(sql)...) // each is a resource of its own
			}
			drop := dropTenantSQL("added")
			drop = append(c.owning(drop[0]), drop[1:]...)
			lock := "SELECT count(pg_advisory_xact_lock(member::bigint)) FROM pg_auth_members WHERE roleid = 'all_tenants'::regrole"
			if err := errors.Join(
				m.timed(ctx, conn, addTenant, add...), m.timed(ctx, conn, dropTenant, drop...), m.timed(ctx, conn, lockMembers, lock),
			); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *crowd) measureSizes(ctx context.Context, m *catalog) error {
	return c.connected(ctx, func(conn *pgx.Conn) error {
		var sizes [5]int64
		err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_auth_members),
			pg_total_relation_size('pg_auth_members'), pg_total_relation_size('pg_default_acl'), pg_total_relation_size('pg_namespace'),
			(SELECT pg_column_size(datacl) FROM pg_database WHERE datname = current_database()),
			(SELECT max(pg_column_size(nspacl)) FROM pg_namespace WHERE starts_with(nspname, 'tenant_'))`).
			Scan(&m.Memberships, &sizes[0], &sizes[1], &sizes[2], &sizes[3], &sizes[4])
		for i, name := range []string{sizeMemberships, sizeDefaults, sizeSchemas, sizeDatabaseACL, sizeSchemaACL} {
			m.Bytes[name] = sizes[i]
		}
		return err
	})
}

// measureDump dumps the roles, if there is a pg_dumpall that is not older than the server.
func (c *crowd) measureDump(ctx context.Context, m *catalog) error {
	program, err := postgres.FindClient(ctx, "pg_dumpall")
	if err != nil {
		return nil //nolint:nilerr // packages of servers do not all have it; the page then has no figure
	}
	version, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return err
	}
	client := regexp.MustCompile(`\d+`).FindString(string(version))
	if client < m.Environment.major() {
		return nil
	}
	m.DumpVersion = client
	for range 3 {
		cmd := exec.CommandContext(ctx, program, "--roles-only", "--dbname", c.server.DSN(c.server.User, c.server.Password, c.database))
		start := time.Now()
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("pg_dumpall: %w", err)
		}
		m.sample(dumpRoles, start)
		m.Bytes[sizeDump] = int64(len(out))
	}
	return nil
}

// statusBytes is a field of a process's status in bytes; 0 where there is no Linux /proc.
func statusBytes(pid int, field string) int64 {
	kib, err := strconv.ParseInt(firstMatch(fmt.Sprintf("/proc/%d/status", pid), `(?m)^`+field+`:\s*(\d+) kB`), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
