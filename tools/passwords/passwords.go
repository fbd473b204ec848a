// Package passwords finds logins whose password on the server is not the one in the outputs of the stacks.
//
// A provider that is no superuser cannot read what the server has of a password. So no refresh sees a
// password that somebody else has set, or one whose change the server has refused: Pulumi records the new
// one all the same, and the next run finds nothing to do.
package passwords

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tenant-permissions/internal/policy"
	"tenant-permissions/tools/connect"
	"tenant-permissions/tools/userlist"
)

// ErrRefused is the error if the server refuses a password.
var ErrRefused = errors.New("passwords in the outputs are not those of the server")

// PostgreSQL's answers to a login.
const (
	invalidPassword      = "28P01" // also if the password has expired, or if there is no such role
	invalidAuthorization = "28000" // NOLOGIN, or pg_hba.conf
	noPrivilege          = "42501" // no CONNECT, which is looked at after the password
)

// Check logs in once with each password of the outputs and writes a line for each that the server refuses
// or that could not be tried, then how many there were. No password is in it. The error is ErrRefused if
// there is one that the server refuses.
func Check(ctx context.Context, source *connect.Source, out io.Writer) error {
	if err := source.Check(); err != nil {
		return err
	}
	var stacks []userlist.Stack
	for _, file := range source.Outputs {
		outputs, err := source.Read(file)
		if err != nil {
			return err
		}
		stacks = append(stacks, userlist.Stack{File: file, Outputs: outputs})
	}
	all, err := userlist.Passwords(stacks)
	if err != nil {
		return err
	}
	var shared map[string]json.RawMessage
	var database string
	if err := errors.Join(json.Unmarshal(stacks[0].Outputs, &shared), json.Unmarshal(shared[policy.OutputDatabase], &database)); err != nil {
		return fmt.Errorf("%s: the outputs have no %s; deploy the stack", stacks[0].File, policy.OutputDatabase)
	}
	settings, err := source.Settings(database)
	if err != nil {
		return err
	}
	refused, untried := 0, 0
	for _, login := range slices.Sorted(maps.Keys(all)) {
		code, err := try(ctx, settings, login, all[login])
		switch {
		case err == nil || code == noPrivilege:
			// Where pg_hba.conf asks for no password, the right one proves nothing.
			if code, _ := try(ctx, settings, login, all[login]+"x"); code != invalidPassword {
				untried++
				fmt.Fprintf(out, "%s: not tried, because the server accepts another password too; look at pg_hba.conf\n", login)
			}
		case code == invalidPassword:
			refused++
			fmt.Fprintf(out, "%s: the server refuses the password in the outputs; unless it has expired, raise the passwordVersion of this login and run pulumi up\n", login)
		case code == invalidAuthorization:
			untried++
			fmt.Fprintf(out, "%s: not tried, because it cannot log in: it is suspended, or pg_hba.conf refuses it\n", login)
		case code == "":
			return err // the server cannot be reached
		default:
			untried++
			fmt.Fprintf(out, "%s: not tried: SQLSTATE %s\n", login, code)
		}
	}
	fmt.Fprintf(out, "%d passwords, %d refused, %d not tried\n", len(all), refused, untried)
	if refused > 0 {
		return ErrRefused
	}
	return nil
}

// try logs in and returns the SQLSTATE of PostgreSQL's refusal, "" if it is none.
func try(ctx context.Context, settings *pgx.ConnConfig, login, password string) (code string, err error) {
	settings = settings.Copy()
	settings.User, settings.Password = login, password
	conn, err := pgx.ConnectConfig(ctx, settings)
	if err == nil {
		return "", conn.Close(ctx)
	}
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		return refusal.Code, err
	}
	return "", err
}
