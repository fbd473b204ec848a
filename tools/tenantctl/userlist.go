package tenantctl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"tenant-permissions/tools/connect"
	"tenant-permissions/tools/passwords"
	"tenant-permissions/tools/userlist"
)

func newUserlist() *cobra.Command {
	var files []string
	var out string
	cmd := &cobra.Command{
		Use:   "userlist --outputs FILE...",
		Short: "Write PgBouncer's userlist.txt",
		Long: `Write PgBouncer's userlist.txt: a line for each login that has a password in the stacks' outputs,
with the same SCRAM verifier that the server has. No password is in it. Keep it secret all the same:
whoever has a verifier can pretend to be the server. With --out, a login that was in the file and is
in no stack any more stays there, locked: PgBouncer accepts an empty password for one that disappears.` + exits(""),
		Example: "  pulumi stack output --json --show-secrets | tenantctl userlist --outputs - --out userlist.txt",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var stacks []userlist.Stack
			stdin := false
			for _, file := range files {
				if file == "-" && stdin {
					return errors.New("--outputs is standard input twice: write the outputs of each stack to a file")
				}
				stdin = stdin || file == "-"
				outputs, err := connect.Read(file, cmd.InOrStdin())
				if err != nil {
					return err
				}
				stacks = append(stacks, userlist.Stack{File: file, Outputs: outputs})
			}
			if out != "" {
				return update(out, stacks)
			}
			text, err := userlist.Make(stacks, nil)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().StringArrayVar(&files, "outputs", nil, "`FILE` with the outputs of a stack (pulumi stack output --json --show-secrets), - for standard input; repeat it for each stack of the server")
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write to, which only its owner can read; the owner of one that exists stays (default: standard output)")
	required(cmd, "outputs")
	return cmd
}

func newPasswords() *cobra.Command {
	var source connect.Source
	cmd := &cobra.Command{
		Use:   "passwords --outputs FILE...",
		Short: "Log in with every password of the outputs",
		Long: `Log in once with every password of the stacks' outputs, and list those that the server refuses.
Run it after a run in which the update of a role failed. Of a stack without a superuser, no refresh
sees that the server has another password.` + exits("the server refuses a password"),
		Example: "  pulumi stack output --json --show-secrets | tenantctl passwords --outputs -",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			source.Stdin = cmd.InOrStdin()
			return buffered(cmd, "", func(out io.Writer) error { return passwords.Check(cmd.Context(), &source, out) })
		},
	}
	source.AddFlags(cmd.Flags())
	cmd.Flag("outputs").Usage = "`FILE` with the outputs of a stack (pulumi stack output --json --show-secrets), - for standard input; repeat it for each stack of the database"
	return cmd
}

// update writes the userlist of the stacks to a regular file.
func update(file string, stacks []userlist.Stack) error {
	before, err := os.Lstat(file)
	var previous []byte
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !before.Mode().IsRegular():
		return fmt.Errorf("--out: %s is not a regular file; give another name, or leave out --out for standard output", file)
	default:
		if previous, err = os.ReadFile(file); err != nil {
			return err
		}
	}
	text, err := userlist.Make(stacks, previous)
	if err != nil {
		return err
	}
	return replace(file, text, 0o600, before)
}
