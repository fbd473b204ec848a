package standin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	pulumiprovider "github.com/pulumi/pulumi/sdk/v3/go/pulumi/provider"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

const announcement = "postgresql: offline stand-in for the official plugin, for throwaway servers on this machine only"

// ServePostgreSQL runs the stand-in for the postgresql plugin until the engine ends it.
func ServePostgreSQL() error {
	return pulumiprovider.Main("postgresql", func(host *pulumiprovider.HostClient) (pulumirpc.ResourceProviderServer, error) {
		return newPostgreSQL(func(ctx context.Context, message string) error {
			return host.Log(ctx, diag.Info, "", message)
		}), nil
	})
}

func newPostgreSQL(log func(context.Context, string) error) *provider {
	s := &server{}
	return &provider{
		version: "3.18.0",
		types: map[tokens.Type]resourceType{
			"postgresql:index/role:Role":                           roles(s),
			"postgresql:index/grantRole:GrantRole":                 memberships(s),
			"postgresql:index/grant:Grant":                         grants(s),
			"postgresql:index/defaultPrivileges:DefaultPrivileges": defaultPrivileges(s),
			"postgresql:index/schema:Schema":                       schemas(s),
			"postgresql:index/extension:Extension":                 extensions(s),
			"postgresql:index/database:Database":                   databases(s),
		},
		settings: map[string]property{
			"host": {}, "username": {}, "password": {secret: true}, "database": {}, "sslmode": {},
			"port": {kind: setting}, "superuser": {kind: setting}, "connectTimeout": {kind: setting}, "maxConnections": {kind: setting},
			"version": {}, // the version of the plugin that the engine requires
		},
		checkSettings: func(settings object) error {
			_, err := connectionOf(settings)
			return err
		},
		configure: func(ctx context.Context, settings object) error {
			c, err := connectionOf(settings)
			if err != nil {
				return err
			}
			s.connection = c
			if c.maxConnections > 0 {
				s.slots = make(chan struct{}, c.maxConnections)
			}
			return log(ctx, announcement)
		},
	}
}

// connection is how the provider reaches its server.
type connection struct {
	host, username, password, database, sslmode string
	port, connectTimeout, maxConnections        int
	// superuser means that the login may read password hashes. The server is not asked.
	superuser bool
}

// connectionOf takes the settings, and the environment and the official defaults for settings that are
// not given.
func connectionOf(settings object) (connection, error) {
	get := func(name, variable, fallback string) string {
		switch v := settings[name]; {
		case v.IsString() && v.StringValue() != "":
			return v.StringValue()
		case v.IsNumber():
			return strconv.Itoa(int(v.NumberValue()))
		case v.IsBool():
			return strconv.FormatBool(v.BoolValue())
		}
		if value := os.Getenv(variable); value != "" {
			return value
		}
		return fallback
	}
	c := connection{
		host:     get("host", "PGHOST", "localhost"),
		username: get("username", "PGUSER", "postgres"),
		password: get("password", "PGPASSWORD", ""),
		database: get("database", "PGDATABASE", "postgres"),
		// The driver of the official plugin requires TLS by default, even on localhost.
		sslmode: get("sslmode", "PGSSLMODE", "require"),
	}
	var errs [4]error
	c.port, errs[0] = strconv.Atoi(get("port", "PGPORT", "5432"))
	c.connectTimeout, errs[1] = strconv.Atoi(get("connectTimeout", "PGCONNECT_TIMEOUT", "180"))
	c.maxConnections, errs[2] = strconv.Atoi(get("maxConnections", "", "20"))
	c.superuser, errs[3] = strconv.ParseBool(get("superuser", "PGSUPERUSER", "true"))
	if err := errors.Join(errs[:]...); err != nil {
		return c, fmt.Errorf("reading port, connectTimeout, maxConnections and superuser: %w", err)
	}
	if c.host != "localhost" && !isLoopback(c.host) {
		return c, fmt.Errorf("host %q is not this machine: the offline stand-in takes localhost, 127.0.0.0/8 and ::1 only", c.host)
	}
	if _, err := c.config(c.database); err != nil {
		return c, err
	}
	return c, nil
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// config is the driver's form of the connection. Name and password are not part of the text that
// is parsed, or an error could repeat them.
func (c connection) config(database string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d sslmode=%s", c.host, c.port, c.sslmode))
	if err != nil {
		return nil, fmt.Errorf("reading host, port and sslmode: %w", err)
	}
	config.User, config.Password, config.Database = c.username, c.password, database
	// The driver of the official plugin says so, whatever the server's default: times are read as ISO text.
	config.RuntimeParams["datestyle"] = "ISO, MDY"
	config.ConnectTimeout = time.Duration(c.connectTimeout) * time.Second
	dialer := &net.Dialer{}
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		// The machine decides what localhost means, so this checks the address.
		if host, _, err := net.SplitHostPort(address); err != nil || !isLoopback(host) {
			return nil, fmt.Errorf("%s address %s is not this machine", network, address)
		}
		return dialer.DialContext(ctx, network, address)
	}
	return config, nil
}

// server runs SQL on the server the provider is configured for.
type server struct {
	connection
	slots chan struct{} // one for each of maxConnections; nil if there is no limit
}

// transaction runs do in a transaction on a connection of its own: the official plugin keeps no
// connection open either. An empty database is that of the provider.
func (s *server) transaction(ctx context.Context, database string, do func(tx pgx.Tx) error) error {
	if s.slots != nil {
		s.slots <- struct{}{}
		defer func() { <-s.slots }()
	}
	if database == "" {
		database = s.database
	}
	config, err := s.config(database)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// The driver of the official plugin says READ WRITE, and so overrides a default of the server.
	return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadWrite}, do)
}

// execute runs one statement. The driver's errors contain no SQL. They must not, because some
// statements contain passwords.
func execute(ctx context.Context, tx pgx.Tx, purpose, sql string, arguments ...any) error {
	if _, err := tx.Exec(ctx, sql, arguments...); err != nil {
		return fmt.Errorf("%s: %w", purpose, err)
	}
	return nil
}

// ask runs a query that answers yes or no.
func ask(ctx context.Context, tx pgx.Tx, purpose, sql string, arguments ...any) (yes bool, err error) {
	if err := tx.QueryRow(ctx, sql, arguments...).Scan(&yes); err != nil {
		return false, fmt.Errorf("%s: %w", purpose, err)
	}
	return yes, nil
}

// databaseExists looks for a database, from that of the provider.
func (s *server) databaseExists(ctx context.Context, name string) (exists bool, err error) {
	err = s.transaction(ctx, "", func(tx pgx.Tx) error {
		exists, err = ask(ctx, tx, "looking for database "+name, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name)
		return err
	})
	return exists, err
}

func quote(name string) string {
	return pgx.Identifier{name}.Sanitize()
}

// lockRole locks a role and its members until the transaction ends, so that other changes of them wait.
// It takes the members in no particular order, as the official plugin does: two such locks can
// deadlock.
func lockRole(ctx context.Context, tx pgx.Tx, role string) error {
	purpose := "locking role " + role
	if err := execute(ctx, tx, purpose, "SET statement_timeout = 0"); err != nil {
		return err
	}
	if err := execute(ctx, tx, purpose, "SELECT pg_advisory_xact_lock(oid::bigint) FROM pg_roles WHERE rolname = $1", role); err != nil {
		return err
	}
	return execute(ctx, tx, purpose+" and its members", `SELECT pg_advisory_xact_lock(member::bigint)
		FROM pg_auth_members JOIN pg_roles ON roleid = pg_roles.oid WHERE rolname = $1`, role)
}

func lockDatabase(ctx context.Context, tx pgx.Tx, database string) error {
	purpose := "locking database " + database
	if err := execute(ctx, tx, purpose, "SET statement_timeout = 0"); err != nil {
		return err
	}
	return execute(ctx, tx, purpose, "SELECT pg_advisory_xact_lock(oid::bigint) FROM pg_database WHERE datname = $1", database)
}

// asOwners runs do while the connection's user, if it is no superuser, is a member of the owners. If an
// owner is a member of the user, the two memberships would be a loop. So it revokes that one before and
// grants it again after, without options. All this is in one transaction, so that nobody else sees it.
func asOwners(ctx context.Context, tx pgx.Tx, owners []string, do func() error) error {
	var user string
	var superuser bool
	err := tx.QueryRow(ctx, "SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&user, &superuser)
	if err != nil {
		return fmt.Errorf("asking who is connected: %w", err)
	}
	if superuser {
		return do()
	}
	var granted, revoked []string
	for _, owner := range owners {
		superuser, err := ask(ctx, tx, "asking whether "+owner+" is superuser", "SELECT rolsuper FROM pg_roles WHERE rolname = $1", owner)
		if err != nil {
			return err
		}
		if superuser || owner == user {
			continue // nobody can be made a member of a superuser here; the statement then fails or does nothing
		}
		reverse, err := isMember(ctx, tx, owner, user)
		if err != nil {
			return err
		}
		if reverse {
			if err := revokeMembership(ctx, tx, owner, user); err != nil {
				return err
			}
			revoked = append(revoked, owner)
		}
		already, err := isMember(ctx, tx, user, owner)
		if err != nil {
			return err
		}
		if !already {
			if err := grantMembership(ctx, tx, user, owner); err != nil {
				return err
			}
			granted = append(granted, owner)
		}
	}
	if err := do(); err != nil {
		return err
	}
	for _, owner := range granted {
		if err := revokeMembership(ctx, tx, user, owner); err != nil {
			return err
		}
	}
	for _, owner := range revoked {
		if err := grantMembership(ctx, tx, owner, user); err != nil {
			return err
		}
	}
	return nil
}

// isMember asks for a membership that allows SET ROLE; before PostgreSQL 16, which brought
// set_option, every one does.
func isMember(ctx context.Context, tx pgx.Tx, member, role string) (bool, error) {
	return ask(ctx, tx, fmt.Sprintf("asking whether %s is a member of %s", member, role), `SELECT EXISTS (
		SELECT FROM pg_auth_members m
		WHERE pg_get_userbyid(roleid) = $1 AND pg_get_userbyid(member) = $2
			AND coalesce((to_jsonb(m) ->> 'set_option')::boolean, true))`, role, member)
}

func grantMembership(ctx context.Context, tx pgx.Tx, member, role string) error {
	return execute(ctx, tx, fmt.Sprintf("granting role %s to %s", role, member), "GRANT "+quote(role)+" TO "+quote(member))
}

func revokeMembership(ctx context.Context, tx pgx.Tx, member, role string) error {
	return execute(ctx, tx, fmt.Sprintf("revoking role %s from %s", role, member), "REVOKE "+quote(role)+" FROM "+quote(member))
}
