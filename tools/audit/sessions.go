package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tenant-permissions/tools/connect"
)

// Ending is what Sessions does besides listing.
type Ending int

const (
	// EndNothing ends no session.
	EndNothing Ending = iota
	// EndSessions ends the sessions.
	EndSessions
	// EndLogins takes LOGIN away and ends the sessions.
	EndLogins
)

// Sessions lists the sessions of one role and of its logins, and ends them on demand.
func Sessions(ctx context.Context, source *connect.Source, role string, ending Ending, out io.Writer) error {
	if role == "" {
		return errors.New("--role is missing: give the name of a role, such as tenant_acme")
	}
	return connected(ctx, source, false, func(conn *pgx.Conn, s *system) error {
		ids, err := s.withLogins(role)
		if err != nil {
			return fmt.Errorf("--role: %w", err)
		}
		var names []string
		for _, id := range ids {
			if s.noLogin[id] && !slices.Contains([]string{KindTenant, KindTenantLogin, KindAgent}, s.kinds[id]) {
				return fmt.Errorf("--role: %s never logs in; give a role that does", s.name(id))
			}
			names = append(names, s.name(id))
		}
		if err := listSessions(ctx, conn, out, names); err != nil {
			return err
		}
		if ending == EndNothing {
			return nil
		}
		return lockOut(ctx, conn, source.Timeout, out, names, ending == EndLogins)
	})
}

// listSessions writes a line for each session of the roles, in all databases. PostgreSQL shows where a
// session comes from, since when and what it does to members of the role and of pg_read_all_stats only.
func listSessions(ctx context.Context, conn *pgx.Conn, stdout io.Writer, names []string) error {
	rows, err := conn.Query(ctx, `SELECT pid, usename, datname, coalesce(host(client_addr), CASE WHEN backend_start IS NULL THEN 'hidden' ELSE 'local' END),
			coalesce(to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), 'hidden'), coalesce(state, 'hidden'), (SELECT count(*) FROM pg_locks WHERE pg_locks.pid = pg_stat_activity.pid AND granted)
		FROM pg_stat_activity WHERE usename = ANY ($1) ORDER BY usename, backend_start, pid`, names)
	if err != nil {
		return err
	}
	var pid, locks int
	var role, database, from, since, state string
	n := 0
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	if _, err := pgx.ForEachRow(rows, []any{&pid, &role, &database, &from, &since, &state, &locks}, func() error {
		if n++; n == 1 {
			fmt.Fprintln(table, "pid\trole\tdatabase\tfrom\tsince (UTC)\tstate\tlocks")
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%d\n", pid, role, database, from, since, state, locks)
		return nil
	}); err != nil {
		return err
	}
	if n == 0 {
		fmt.Fprintf(table, "%s has no session.\n", strings.Join(names, ", "))
	}
	return table.Flush()
}

// lockOut ends the sessions of roles, and takes LOGIN away from them if it is asked to.
//
// A session of a role can block ALTER ROLE: an uncommitted ALTER ROLE CURRENT_USER locks the role's
// row. So LOGIN is taken away on a second connection, which waits in the queue for that lock, while
// this connection ends one session after the other: the next in the queue gets the lock.
func lockOut(ctx context.Context, conn *pgx.Conn, timeout time.Duration, stdout io.Writer, names []string, lock bool) (err error) {
	revoke, err := becomeMember(ctx, conn, names)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, revoke(context.WithoutCancel(ctx))) }()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	altered := make(chan error, 1)
	if lock {
		altering, err := pgx.ConnectConfig(ctx, conn.Config())
		if err != nil {
			cancel()
			return err
		}
		go func() {
			err := noLogin(ctx, altering, names)
			altered <- errors.Join(err, altering.Close(context.WithoutCancel(ctx)))
			close(altered)
		}()
	} else {
		close(altered)
	}
	defer func() {
		cancel()
		for range altered { // the goroutine has ended once it is closed
		}
	}()
	ended := map[int]bool{}
	for canLogIn := lock; ; {
		select {
		case err := <-altered: // nil as well once it is closed
			if err != nil {
				return fmt.Errorf("taking LOGIN away: %w", err)
			}
			canLogIn = false
		case <-time.After(20 * time.Millisecond):
		}
		found, err := endSessions(ctx, conn, names, ended)
		if err != nil {
			return fmt.Errorf("ending sessions: %w", err)
		}
		if !canLogIn && (found == 0 || !lock) {
			break
		}
	}
	if lock {
		if _, err := fmt.Fprintf(stdout, "%s cannot log in until the next `pulumi up --refresh`.\n", strings.Join(names, ", ")); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(stdout, "%s ended.\n", count(len(ended), "session"))
	return err
}

func noLogin(ctx context.Context, conn *pgx.Conn, names []string) error {
	for _, name := range names {
		if _, err := conn.Exec(ctx, "ALTER ROLE "+quoted(name)+" NOLOGIN"); err != nil {
			return err
		}
	}
	return nil
}

// endSessions asks all sessions of the roles to end, adds their process IDs to ended, and returns how
// many there were. A session that is just beginning or ending has no role yet or any more, and
// PostgreSQL refuses to end it (42501); the next call ends it.
func endSessions(ctx context.Context, conn *pgx.Conn, names []string, ended map[int]bool) (found int, err error) {
	rows, err := conn.Query(ctx, `SELECT pid FROM pg_stat_activity WHERE usename = ANY ($1) AND pid <> pg_backend_pid()`, names)
	if err != nil {
		return 0, err
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		var signalled bool
		err := conn.QueryRow(ctx, "SELECT pg_terminate_backend($1)", pid).Scan(&signalled)
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == "42501" {
			continue
		}
		if err != nil {
			return 0, err
		}
		if signalled {
			ended[pid] = true
		}
	}
	return len(pids), nil
}

// becomeMember makes the connected user a member of the roles whose sessions it could not end
// otherwise: PostgreSQL lets only a member of a role end its sessions. revoke ends these memberships.
func becomeMember(ctx context.Context, conn *pgx.Conn, names []string) (revoke func(context.Context) error, err error) {
	var missing []string
	rows, err := conn.Query(ctx, `SELECT name FROM unnest($1::text[]) AS name WHERE NOT pg_has_role(name, 'USAGE')`, names)
	if err != nil {
		return nil, err
	}
	if missing, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, err
	}
	var joined []string
	revoke = func(ctx context.Context) error {
		for _, name := range slices.Backward(joined) {
			if _, err := conn.Exec(ctx, "REVOKE "+quoted(name)+" FROM CURRENT_USER"); err != nil {
				return fmt.Errorf("revoking the membership in %s: %w", name, err)
			}
		}
		return nil
	}
	for _, name := range missing {
		if _, err := conn.Exec(ctx, "GRANT "+quoted(name)+" TO CURRENT_USER"); err != nil {
			return nil, errors.Join(fmt.Errorf("%s may not end the sessions of %s: connect as the user that deploys, or as a superuser: %w", conn.Config().User, name, err), revoke(ctx))
		}
		joined = append(joined, name)
	}
	return revoke, nil
}
