// Package audit reports who can reach what in the database of one or more stacks, by any way, and what
// of it is not as designed. It needs no superuser. Only Settings and Sessions change anything, on
// demand.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"tenant-permissions/tools/audit/page"
	"tenant-permissions/tools/connect"
)

// ErrViolations is the error of a command that did its work and found violations, or settings that stop
// runs.
var ErrViolations = errors.New("the database is not as designed")

// Formats are the forms that a report can have.
func Formats() []string { return []string{"text", "json", "html"} }

// Run writes a report in one of the formats. It returns ErrViolations if it has violations.
func Run(ctx context.Context, source *connect.Source, format string, out io.Writer) error {
	write, ok := map[string]func(io.Writer, Report) error{"text": writeText, "json": writeJSON, "html": func(w io.Writer, r Report) error { return page.Write(w, r) }}[format]
	if !ok {
		return fmt.Errorf("--format %q is not accepted: give text, json or html", format)
	}
	return connected(ctx, source, false, func(_ *pgx.Conn, s *system) error {
		report := s.report(time.Now())
		if err := write(out, report); err != nil {
			return err
		}
		if len(report.Violations) > 0 {
			return fmt.Errorf("%s: %w", count(len(report.Violations), "violation"), ErrViolations)
		}
		return nil
	})
}

// Why answers a question of a role, a verb and an object, such as tenant_acme reads
// tenant_globex.docs.
func Why(ctx context.Context, source *connect.Source, question []string, out io.Writer) error {
	return connected(ctx, source, false, func(_ *pgx.Conn, s *system) error { return s.why(out, question) })
}

// connected reads the outputs, connects, reads the catalog and calls do. Before the first run of a
// stack its outputs are empty. If they may be and all are, do is not called.
func connected(ctx context.Context, source *connect.Source, mayBeEmpty bool, do func(*pgx.Conn, *system) error) (err error) {
	if err := source.Check(); err != nil {
		return err
	}
	stacks, err := readStacks(source, mayBeEmpty)
	if err == nil && mayBeEmpty && stacks.database == "" {
		return nil
	}
	cfg, wrong := source.Settings(stacks.database)
	if err := errors.Join(err, wrong); err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	s, err := readSystem(ctx, conn, stacks, source.Timeout)
	if err != nil {
		return err
	}
	if err := s.readOthers(ctx, source); err != nil {
		return err
	}
	return do(conn, s)
}

// readOthers reads the catalogs of the tenants' own databases, some of them at once. A database that is
// gone, or that lets nobody in, is a finding.
func (s *system) readOthers(ctx context.Context, source *connect.Source) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	systems := make([]*system, len(s.tenants))
	missing := make([]*Finding, len(s.tenants))
	for i, t := range s.tenants {
		if t.Database == "" {
			continue
		}
		group.Go(func() (err error) {
			systems[i], err = readOther(ctx, source, s.declared, t.Database)
			var refused *pgconn.PgError
			if errors.As(err, &refused) && (refused.Code == "3D000" || refused.Code == "55000") {
				missing[i] = &Finding{
					Rule: ruleDatabaseMissing, Tenant: t.Key, Object: t.Database, Text: "the stack has the database " + t.Database + ", but nobody can connect to it: " + refused.Message,
					Fix: "pulumi up --refresh",
				}
				return nil
			}
			if err != nil {
				return fmt.Errorf("reading the database %s: %w", t.Database, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i := range s.tenants {
		if systems[i] != nil {
			s.others = append(s.others, systems[i])
		}
		if missing[i] != nil {
			s.missing = append(s.missing, *missing[i])
		}
	}
	return nil
}

// readOther reads the catalog of one tenant's own database.
func readOther(ctx context.Context, source *connect.Source, stacks declared, database string) (_ *system, err error) {
	stacks.tenants = slices.Clone(stacks.tenants)
	cfg, err := source.SettingsOf(stacks.database, database)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	return readSystem(ctx, conn, stacks, source.Timeout)
}

// readSystem reads the catalog over a connection.
func readSystem(ctx context.Context, conn *pgx.Conn, stacks declared, timeout time.Duration) (*system, error) {
	var schemas []string
	for _, t := range stacks.tenants {
		if t.Database == conn.Config().Database || t.Database == "" && stacks.database == conn.Config().Database {
			schemas = append(schemas, t.Schema)
		}
	}
	c, err := readCatalog(ctx, conn, timeout, slices.Compact(slices.Sorted(slices.Values(schemas))))
	if err != nil {
		return nil, err
	}
	return newSystem(c, stacks), nil
}

func writeJSON(w io.Writer, r Report) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "\t")
	return encoder.Encode(r)
}
