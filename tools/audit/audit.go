// Package audit reports who can reach what in the database of one or more stacks, by any way, and what
// of it is not as designed. It needs no superuser. Only Settings and Sessions change anything, on
// demand.
package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
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

// Options are what a report is like.
type Options struct {
	// Format is one of Formats.
	Format string
	// Waivers is a file with waivers of violations, "" for none.
	Waivers string
	// StackFiles are the files Pulumi.<stack>.yaml of the stacks. In sarif and junit each finding is at its
	// tenant's line of one of them.
	StackFiles []string
}

// Formats are the forms that a report can have.
func Formats() []string {
	return []string{"text", "json", "html", "sarif", "junit", "openmetrics", "waivers"}
}

// Run writes a report in one of the formats. It returns ErrViolations if it has violations that are not
// waived.
func Run(ctx context.Context, source *connect.Source, options Options, out io.Writer) error {
	started := time.Now()
	var problems []error
	if !slices.Contains(Formats(), options.Format) {
		problems = append(problems, fmt.Errorf("--format %q is not accepted: give one of %s", options.Format, strings.Join(Formats(), ", ")))
	}
	if options.Format == "sarif" && len(options.StackFiles) == 0 {
		problems = append(problems, errors.New("--stack-file is missing: the format sarif needs the file Pulumi.<stack>.yaml of each stack, for the lines of the tenants"))
	}
	waivers, err := readWaivers(options.Waivers, started)
	problems = append(problems, err)
	places, err := readStackFiles(options.StackFiles)
	problems = append(problems, err)
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return audited(ctx, source, func(s *system) error {
		report := s.report(started, waivers)
		report.took = time.Since(started)
		if err := write(out, options.Format, report, places); err != nil {
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
	return audited(ctx, source, func(s *system) error { return s.why(out, question) })
}

// audited is connected, and reads the catalogs of the tenants' own databases too.
func audited(ctx context.Context, source *connect.Source, do func(*system) error) error {
	return connected(ctx, source, false, func(conn *pgx.Conn, s *system) error {
		if err := s.readOthers(ctx, conn.Config(), source.Timeout); err != nil {
			return err
		}
		return do(s)
	})
}

// connected reads the outputs, connects to the stacks' database, reads its catalog and calls do. Before
// the first run of a stack its outputs are empty. If they may be and all are, do is not called.
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
	var schemas, elsewhere []string
	for _, t := range stacks.tenants {
		schemas = append(schemas, t.Schema) // also where it was before a move
		for _, database := range []string{t.Database, t.Previous} {
			if database != "" {
				elsewhere = append(elsewhere, database)
			}
		}
	}
	c, err := readCatalog(ctx, conn, source.Timeout, nil, slices.Compact(slices.Sorted(slices.Values(schemas))), elsewhere)
	if err != nil {
		return err
	}
	return do(conn, newSystem(c, stacks))
}

// most databases are read at once.
const most = 4

// What PostgreSQL answers to who connects to a database that is missing, or that lets nobody in.
const (
	noDatabase    = "3D000"
	noConnections = "55000"
)

// readOthers reads the catalogs of the tenants' own databases, also of those that they have left, some of
// them at once. A database that nobody can connect to is a finding. cfg is the connection to the stacks'
// database.
func (s *system) readOthers(ctx context.Context, cfg *pgx.ConnConfig, timeout time.Duration) error {
	var tenants []*Tenant
	for i := range s.tenants {
		t := &s.tenants[i]
		if t.Database != "" {
			tenants = append(tenants, t)
		}
		if t.Previous != "" {
			tenants = append(tenants, t.left(t.Previous, cmp.Or(t.Database, s.declared.database)))
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(most)
	catalogs, missing := make([]*catalog, len(tenants)), make([]string, len(tenants))
	for i, t := range tenants {
		group.Go(func() (err error) {
			own := cfg.Copy()
			own.Database = t.Database
			catalogs[i], err = readOther(ctx, own, timeout, s.cluster, t.Schema)
			var refused *pgconn.PgError
			if errors.As(err, &refused) && (refused.Code == noDatabase || refused.Code == noConnections) {
				missing[i] = refused.Message
				return nil
			}
			if err != nil {
				return fmt.Errorf("the database %s of the tenant %s: %w", t.Database, t.Key, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, t := range tenants {
		if catalogs[i] != nil {
			s.others = append(s.others, s.ofTenant(t, catalogs[i]))
		}
		if missing[i] != "" {
			s.missing = append(s.missing, Finding{
				Rule: ruleDatabaseMissing, Tenant: t.Key, Object: t.Database, Text: "the stack has the database " + t.Database + ", but nobody can connect to it: " + missing[i],
				Fix: "pulumi up --refresh",
			})
		}
	}
	return nil
}

// readOther reads the catalog of one tenant's own database.
func readOther(ctx context.Context, cfg *pgx.ConnConfig, timeout time.Duration, known *cluster, schema string) (_ *catalog, err error) {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	return readCatalog(ctx, conn, timeout, known, []string{schema}, nil)
}

// write writes a report in a format.
func write(w io.Writer, format string, r Report, places *places) error {
	switch format {
	case "json":
		return writeJSON(w, r)
	case "html":
		return page.Write(w, r)
	case "sarif":
		return writeSARIF(w, r, places)
	case "junit":
		return writeJUnit(w, r, places)
	case "openmetrics":
		return writeMetrics(w, r)
	case "waivers":
		return writeWaivable(w, r)
	default:
		return writeText(w, r)
	}
}

func writeJSON(w io.Writer, r Report) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "\t")
	return encoder.Encode(r)
}
