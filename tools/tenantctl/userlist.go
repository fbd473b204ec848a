package tenantctl

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tenant-permissions/tools/connect"
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
whoever has a verifier can pretend to be the server.` + exits(""),
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
			text, err := userlist.Make(stacks)
			if err != nil {
				return err
			}
			if out == "" {
				_, err = cmd.OutOrStdout().Write(text)
				return err
			}
			return replace(out, text)
		},
	}
	cmd.Flags().StringArrayVar(&files, "outputs", nil, "`FILE` with the outputs of a stack (pulumi stack output --json --show-secrets), - for standard input; repeat it for each stack of the server")
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write to, which only its owner can read (default: standard output)")
	required(cmd, "outputs")
	return cmd
}

// replace writes a regular file that only its owner can read. Who reads it meanwhile gets what it was before,
// or all of the new text: PgBouncer reads its userlist whenever it changes.
func replace(file string, text []byte) (err error) {
	if info, err := os.Lstat(file); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("--out: %s is not a regular file; give another name, or leave out --out for standard output", file)
	}
	made, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(made.Name()))
		}
	}()
	_, err = made.Write(text)
	if err = errors.Join(err, made.Close()); err != nil {
		return err
	}
	return os.Rename(made.Name(), file)
}
