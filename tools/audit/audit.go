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
	return do(conn, s)
}

// readSystem reads the catalog over a connection.
func readSystem(ctx context.Context, conn *pgx.Conn, stacks declared, timeout time.Duration) (*system, error) {
	var schemas []string
	for _, t := range stacks.tenants {
		schemas = append(schemas, t.Schema)
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
