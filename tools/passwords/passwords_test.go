package passwords

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tenant-permissions/dev/postgres/postgrestest"
	"tenant-permissions/tools/connect"
)

const outputs = `{"database_name": "platform", "passwords": {"good": "good-password", "good_elsewhere": "elsewhere-password",
	"other": "other-password", "suspended": "suspended-password", "trusted": "trusted-password", "dropped": "dropped-password"}}`

const want = `dropped: the server refuses the password in the outputs; unless it has expired, raise the passwordVersion of this login and run pulumi up
other: the server refuses the password in the outputs; unless it has expired, raise the passwordVersion of this login and run pulumi up
suspended: not tried, because it cannot log in: it is suspended, or pg_hba.conf refuses it
trusted: not tried, because the server accepts another password too; look at pg_hba.conf
6 passwords, 2 refused, 2 not tried
`

func TestCheck(t *testing.T) {
	server := postgrestest.Start(t)
	conn, err := pgx.Connect(t.Context(), server.DSN(server.User, server.Password, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range []string{
		"CREATE DATABASE platform", "REVOKE CONNECT ON DATABASE platform FROM PUBLIC",
		"CREATE ROLE good LOGIN PASSWORD 'good-password'", "GRANT CONNECT ON DATABASE platform TO good",
		"CREATE ROLE good_elsewhere LOGIN PASSWORD 'elsewhere-password'", // a tenant with a database of its own
		"CREATE ROLE other LOGIN PASSWORD 'of the server'", "CREATE ROLE suspended PASSWORD 'suspended-password'",
		"CREATE ROLE trusted LOGIN PASSWORD 'of the server'", "GRANT CONNECT ON DATABASE platform TO trusted",
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	var hba string
	if err := conn.QueryRow(t.Context(), "SHOW hba_file").Scan(&hba); err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile(hba)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hba, append([]byte("host all trusted 127.0.0.1/32 trust\n"), rules...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT pg_reload_conf()"); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"PGHOST": server.Host, "PGPORT": fmt.Sprint(server.Port), "PGSSLMODE": "disable"} {
		t.Setenv(name, value)
	}
	source := func(outputs string) *connect.Source {
		return &connect.Source{Outputs: []string{"-"}, Stdin: strings.NewReader(outputs), Timeout: time.Minute}
	}
	for wait := time.Millisecond; ; wait *= 2 { // until the server has read its rules
		settings, err := source("").Settings("platform")
		if err != nil {
			t.Fatal(err)
		}
		code, err := try(t.Context(), settings, "trusted", "any")
		if err != nil {
			t.Fatal(err)
		}
		if code == accepted {
			break
		}
		if wait > 10*time.Second {
			t.Fatal("the server does not read pg_hba.conf")
		}
		time.Sleep(wait)
	}
	var out strings.Builder
	if err := Check(t.Context(), source(outputs), &out); !errors.Is(err, ErrRefused) || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	if err := Check(t.Context(), source(`{"database_name": "platform", "passwords": {"good": "good-password"}}`), &out); err != nil || out.String() != "1 passwords, 0 refused, 0 not tried\n" {
		t.Errorf("%v\n%s", err, out.String())
	}
	t.Setenv("PGPORT", "1")
	if err := Check(t.Context(), source(outputs), &out); err == nil || errors.Is(err, ErrRefused) || strings.Contains(err.Error(), "-password") {
		t.Errorf("without a server: got error %v", err)
	}
}
