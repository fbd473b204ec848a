// Package connect reads the files that the commands take, and connects to the server of the stacks
// that the files describe.
package connect

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/pflag"

	"tenant-permissions/internal/config"
)

// Source says which stacks a command is about, and how it connects to their server.
type Source struct {
	// Outputs are files with the outputs of stacks, as `pulumi stack output --json` prints them: one
	// for each stack of the database.
	Outputs []string
	// Config is a file with the config of a stack, as `pulumi config --json --show-secrets` prints it,
	// "" for none. Its connection comes before the PG* variables.
	Config string
	// Timeout is the longest that a query may take.
	Timeout time.Duration
	// Stdin is what the file - stands for.
	Stdin io.Reader
}

// AddFlags adds the flags by which a user sets everything but Stdin.
func (s *Source) AddFlags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&s.Outputs, "outputs", nil, "`FILE` with the outputs of a stack (pulumi stack output --json), - for standard input; repeat it for each stack of the database")
	flags.StringVar(&s.Config, "config", "", "`FILE` with the config of a stack (pulumi config --json --show-secrets), - for standard input; its connection comes before the PG* variables")
	flags.DurationVar(&s.Timeout, "timeout", time.Minute, "the longest that a query may take")
}

// Check returns an error if files are missing, or if more than one is standard input.
func (s *Source) Check() error {
	if len(s.Outputs) == 0 {
		return errors.New("--outputs is missing: give a file with the outputs of each stack of the database (pulumi stack output --json)")
	}
	if s.Config == "-" && slices.Contains(s.Outputs, "-") {
		return errors.New("--config and --outputs cannot both be standard input: write one of them to a file")
	}
	return nil
}

// Read returns what is in a file.
func (s *Source) Read(file string) ([]byte, error) { return Read(file, s.Stdin) }

// Read returns what is in a file, or what can be read from standard input if the file is called -.
func Read(file string, stdin io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(file)
}

// Open is Read for a file that need not be in memory as a whole. The caller closes it.
func Open(file string, stdin io.Reader) (io.ReadCloser, error) {
	if file == "-" {
		return io.NopCloser(stdin), nil
	}
	return os.Open(file)
}

// ReadTo decodes a file of one JSON value.
func (s *Source) ReadTo(file string, to any) error {
	content, err := s.Read(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(content, to)
}

// Settings are the settings of a connection to a database of the stacks' server.
func (s *Source) Settings(database string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig("application_name=tenantctl")
	if err != nil {
		return nil, err
	}
	if database != "" && cfg.Database != "" && cfg.Database != database {
		return nil, fmt.Errorf("PGDATABASE is %q, but the outputs are of the database %q; unset PGDATABASE", cfg.Database, database)
	}
	cfg.Database = database
	if s.Config == "" {
		return cfg, nil
	}
	return s.asProvider(cfg)
}

// Connect connects to a database of the stacks' server.
func (s *Source) Connect(ctx context.Context, database string) (*pgx.Conn, error) {
	cfg, err := s.Settings(database)
	if err != nil {
		return nil, err
	}
	return pgx.ConnectConfig(ctx, cfg)
}

// asProvider is the connection that the stack's config has for the provider. As with the provider, the
// PG* variables give what the config does not.
func (s *Source) asProvider(cfg *pgx.ConnConfig) (*pgx.ConnConfig, error) {
	var values config.Values
	if err := s.ReadTo(s.Config, &values); err != nil {
		return nil, fmt.Errorf("--config: %s is not what `pulumi config --json --show-secrets` prints: %w", s.Config, err)
	}
	value := func(key string) string { return values["postgresql:"+key].Value }
	port := cfg.Port
	if text := value("port"); text != "" {
		number, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("--config: postgresql:port: %s is not accepted; give a whole number from 0 to 65535", config.Show(text))
		}
		port = uint16(number)
	}
	// The TLS settings depend on host and mode, so pgx computes them again.
	made, err := pgx.ParseConfig(fmt.Sprintf("application_name=%s host=%s port=%d sslmode=%s",
		cfg.RuntimeParams["application_name"], cmp.Or(value("host"), cfg.Host), port,
		cmp.Or(value("sslmode"), os.Getenv("PGSSLMODE"), "prefer")))
	if err != nil {
		return nil, errors.New("--config: postgresql:host or postgresql:sslmode is not accepted; give a host name and a mode such as require")
	}
	made.Database = cfg.Database
	made.User = cmp.Or(value("username"), cfg.User)
	made.Password = cmp.Or(value("password"), cfg.Password)
	return made, nil
}
