package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tenant-permissions/internal/policy"
	"tenant-permissions/internal/scram"
)

// crowd is a server that gets more and more tenants.
type crowd struct {
	*site
	// deployer makes the tenants: the superuser, or a user with CREATEROLE.
	deployer  string
	superuser bool
	// creatorsAreMembers is true from PostgreSQL 16 on: who makes a role and is no superuser gets the admin
	// option on it.
	creatorsAreMembers bool
	tenants            int
	// checkout is the program's folder, and tenantctl the tool compiled.
	checkout, tenantctl string
	progress            io.Writer
}

const (
	crowdDatabase = "crowd"
	// member is a login without privileges, whose memberships change.
	member = "somebody"
	// chunk is how many tenants are made in one transaction. Each takes locks.
	chunk = 200
	// queried is the table that each tenant has.
	queried = "docs"
)

// prepare makes the database, the deployer and the shared roles.
func (c *crowd) prepare(ctx context.Context) error {
	if err := c.server.CreateDatabase(ctx, c.database); err != nil {
		return err
	}
	setup := []string{"CREATE ROLE " + member + " LOGIN"}
	if !c.superuser {
		c.deployer = "deployer"
		setup = append(setup, "CREATE ROLE deployer LOGIN CREATEROLE CREATEDB", "ALTER DATABASE "+c.database+" OWNER TO deployer",
			"ALTER SCHEMA public OWNER TO deployer") // which the owner of the database is from version 15 on anyway
	}
	if err := c.as(ctx, c.server.User, c.transaction(setup...)); err != nil {
		return err
	}
	if err := c.allowLogin(ctx, c.deployer); err != nil {
		return err
	}
	shared := append(sharedRolesSQL(), c.owning(sharedPrivilegesSQL(c.database)...)...)
	if err := c.as(ctx, c.deployer, c.transaction(shared...)); err != nil {
		return err
	}
	return c.allowLogin(ctx, roleNames("")[policy.App], roleNames("")[policy.AdminLogin])
}

// owning runs statements that the owner of the schemas must run. Who is no superuser becomes a member of
// it for that time, as the provider does.
func (c *crowd) owning(statements ...string) []string {
	if c.superuser {
		return statements
	}
	admin := roleNames("")[policy.Admin]
	return slices.Concat([]string{"GRANT " + admin + " TO " + c.deployer}, statements, []string{"REVOKE " + admin + " FROM " + c.deployer})
}

// allowLogin gives logins the superuser's password.
func (c *crowd) allowLogin(ctx context.Context, logins ...string) error {
	verifier, err := scram.Derive(c.server.Password, []byte(c.server.Password[:16]), 4096)
	if err != nil {
		return err
	}
	var statements []string
	for _, login := range logins {
		statements = append(statements, "ALTER ROLE "+login+" PASSWORD '"+verifier+"'")
	}
	return c.as(ctx, c.server.User, c.transaction(statements...))
}

// as connects as a login that has the superuser's password.
func (c *crowd) as(ctx context.Context, login string, do func(context.Context, *pgconn.PgConn) error) error {
	conn, err := c.open(ctx, login)
	if err != nil {
		return err
	}
	return errors.Join(do(ctx, conn), conn.Close(context.WithoutCancel(ctx)))
}

// open connects without the statements that pgx prepares, so that a query is one round trip.
func (c *crowd) open(ctx context.Context, login string) (*pgconn.PgConn, error) {
	return pgconn.Connect(ctx, c.server.DSN(login, c.server.Password, c.database))
}

// transaction runs statements one by one in one transaction.
func (c *crowd) transaction(statements ...string) func(context.Context, *pgconn.PgConn) error {
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		return run(ctx, conn, slices.Concat([]string{"BEGIN"}, statements, []string{"COMMIT"})...)
	}
}

func run(ctx context.Context, conn *pgconn.PgConn, statements ...string) error {
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// grow makes tenants until there are n, and a table for each. The superuser makes them: from PostgreSQL 16
// on it takes another user longer with each tenant. The deployer gets the admin option on each, which this
// version gives to the user that makes a role.
func (c *crowd) grow(ctx context.Context, n int) error {
	start, admin := time.Now(), roleNames("")[policy.Admin]
	for ; c.tenants < n; c.tenants = min(n, c.tenants+chunk) {
		var statements, tables []string
		for i := c.tenants; i < min(n, c.tenants+chunk); i++ {
			name := "tenant_" + tenantKey(i)
			statements = append(statements, tenantSQL(tenantKey(i))...)
			if c.creatorsAreMembers {
				statements = append(statements, "GRANT "+name+" TO "+c.deployer+" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
			}
			tables = append(tables, "CREATE TABLE "+name+"."+queried+" (id bigint PRIMARY KEY, body text)")
		}
		statements = slices.Concat(statements, []string{"SET LOCAL ROLE " + admin}, tables)
		if err := c.as(ctx, c.server.User, c.transaction(statements...)); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.progress, "%d tenants after %s\n", n, duration(time.Since(start).Seconds()))
	return c.as(ctx, c.server.User, func(ctx context.Context, conn *pgconn.PgConn) error { return run(ctx, conn, "VACUUM ANALYZE") })
}
