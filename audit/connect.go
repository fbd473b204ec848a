package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// connectAsProvider makes a connection the one that a stack's config has for the provider. What the
// config leaves out stays as the PG* variables have it, like with the provider. The config is that of
// `pulumi config --json --show-secrets`; a password that is not shown there comes from PGPASSWORD.
func connectAsProvider(cfg *pgx.ConnConfig, file string, stdin io.Reader) (err error) {
	in := stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, opened.Close()) }()
		in = opened
	}
	var values map[string]struct{ Value string }
	if err := json.NewDecoder(in).Decode(&values); err != nil {
		return fmt.Errorf("-config: %s is not what `pulumi config --json --show-secrets` prints: %w", file, err)
	}
	value := func(key string) string { return values["postgresql:"+key].Value }
	port := cfg.Port
	if text := value("port"); text != "" {
		number, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return fmt.Errorf("-config: postgresql:port: %q is no port", text)
		}
		port = uint16(number)
	}
	// The TLS settings depend on host and mode, so pgx works them out anew.
	made, err := pgx.ParseConfig(fmt.Sprintf("application_name=%s host=%s port=%d sslmode=%s",
		cfg.RuntimeParams["application_name"], cmp.Or(value("host"), cfg.Host), port,
		cmp.Or(value("sslmode"), os.Getenv("PGSSLMODE"), "prefer")))
	if err != nil {
		return errors.New("-config: postgresql:host or postgresql:sslmode is not accepted by the driver")
	}
	made.Database = cfg.Database
	made.User = cmp.Or(value("username"), cfg.User)
	made.Password = cmp.Or(value("password"), cfg.Password)
	*cfg = *made
	return nil
}

// deployedOnly leaves out files with the outputs of a stack that was never deployed, which are empty.
func deployedOnly(files []string) (deployed []string, err error) {
	for _, file := range files {
		if file != "-" {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			var values map[string]json.RawMessage
			if json.Unmarshal(text, &values) == nil && len(values) == 0 {
				continue
			}
		}
		deployed = append(deployed, file)
	}
	return deployed, nil
}
