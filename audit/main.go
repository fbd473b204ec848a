// Command audit says who can reach what in the database of one or more stacks, by whatever way, and
// what of it is not as designed. It only reads, and needs no superuser.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"tenant-permissions/audit/page"
)

// errViolations is what an audit ends with that has found some.
var errViolations = errors.New("the database is not as designed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errViolations):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// run is the command without its process.
func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) (err error) {
	if len(args) > 0 {
		switch args[0] {
		case "settings":
			return runSettings(ctx, args[1:], stdin, stdout)
		case "sessions":
			return runSessions(ctx, args[1:], stdin, stdout)
		}
	}
	var files []string
	flags := flag.NewFlagSet("audit", flag.ContinueOnError)
	flags.Func("outputs", "file with the outputs of a stack, as `pulumi stack output --json` prints them, - for standard input; once for each stack of the database (required)", func(file string) error {
		files = append(files, file)
		return nil
	})
	format := flags.String("format", "text", "text, json or html")
	file := flags.String("o", "", "file to write to (default: standard output)")
	timeout := flags.Duration("timeout", time.Minute, "the longest that a query may take")
	if err := flags.Parse(args); err != nil {
		return err
	}
	write, ok := map[string]func(io.Writer, Report) error{"text": writeText, "json": writeJSON, "html": func(w io.Writer, r Report) error { return page.Write(w, r) }}[*format]
	var problems []error
	if !ok {
		problems = append(problems, fmt.Errorf("-format: got %q, want text, json or html", *format))
	}
	if len(files) == 0 {
		problems = append(problems, errors.New("-outputs: got nothing, want a file with the outputs of a stack"))
	}
	question := flags.Args()
	if len(question) > 0 && question[0] != "why" {
		problems = append(problems, fmt.Errorf("arguments: got %q, want nothing, or why and a question", strings.Join(question, " ")))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	stacks, err := readStacks(files, stdin)
	cfg, wrong := connection(stacks)
	if err := errors.Join(err, wrong); err != nil {
		return err
	}
	s, err := look(ctx, cfg, stacks, *timeout)
	if err != nil {
		return err
	}
	if *file != "" {
		out, err := os.Create(*file)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, out.Close()) }()
		stdout = out
	}
	if len(question) > 0 {
		return s.why(stdout, question[1:])
	}
	report := s.report(time.Now())
	if err := write(stdout, report); err != nil {
		return err
	}
	if len(report.Violations) > 0 {
		return fmt.Errorf("%s: %w", count(len(report.Violations), "violation"), errViolations)
	}
	return nil
}

// connection is the one of the usual PG* variables, to the stacks' database.
func connection(stacks declared) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig("application_name=tenant-permissions-audit")
	if err != nil {
		return nil, err
	}
	if stacks.database != "" && cfg.Database != "" && cfg.Database != stacks.database {
		return nil, fmt.Errorf("PGDATABASE: got %q, want %q, as in the outputs, or nothing", cfg.Database, stacks.database)
	}
	cfg.Database = stacks.database
	return cfg, nil
}

// look reads the catalog, and says which role is what.
func look(ctx context.Context, cfg *pgx.ConnConfig, stacks declared, timeout time.Duration) (_ *system, err error) {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	return readSystem(ctx, conn, stacks, timeout)
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
