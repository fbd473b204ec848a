// Package tenantctl is the command tree of tenantctl.
package tenantctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"tenant-permissions/tools/audit"
	"tenant-permissions/tools/passwords"
	"tenant-permissions/tools/progress"
	"tenant-permissions/tools/review"
)

// Exit codes.
const (
	exitFine     = 0
	exitFailed   = 1 // the command did not do its work
	exitFindings = 2 // it did, and found what must not be: violations, blocking settings, refused passwords, a preview not to deploy
)

// Main runs a command, writes its error, and returns its exit code. An interrupt ends the command.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second interrupt ends the process at once.
	context.AfterFunc(ctx, stop)
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitFine
	}
	fmt.Fprintln(stderr, err)
	if errors.Is(err, audit.ErrViolations) || errors.Is(err, passwords.ErrRefused) || errors.As(err, &review.Refusal{}) {
		return exitFindings
	}
	return exitFailed
}

// exits is the end of a command's help; findings is what its exit code 2 stands for, "" if it has none.
func exits(findings string) string {
	text := "\n\nExit codes: 0 success, 1 the command failed"
	if findings != "" {
		text += ", 2 " + findings
	}
	return text + "."
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "tenantctl",
		Short:         "Look after the stacks of tenant-permissions",
		Long:          "Look after the stacks of tenant-permissions.\n\nA FILE called - is standard input. Connections take the usual PG* variables, or --config.\n\nExit codes: 0 success, 1 the command failed, 2 the command found what it looks for, such as a violation.\n`go run` makes 1 of every exit code but 0: build the tool where the code matters (make tool).",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newAudit(), newWhy(), newSettings(), newSessions(), newReview(), newCells(), newSetup(), newNames(), newUserlist(), newPasswords())
	return root
}

// showing calls do and shows a text on a terminal meanwhile, if it takes long.
func showing(cmd *cobra.Command, text string, do func(*progress.Line) error) error {
	file, ok := cmd.ErrOrStderr().(*os.File)
	if !ok {
		return do(nil)
	}
	line := progress.Start(file, text)
	defer line.Stop()
	return do(line)
}

// buffered calls do and then writes what it wrote, even if it failed, to a file, or to standard output
// if the file is "". So no file is made or truncated by a command that has nothing to write.
func buffered(cmd *cobra.Command, file string, do func(io.Writer) error) error {
	var out bytes.Buffer
	err := showing(cmd, reading, func(*progress.Line) error { return do(&out) })
	if out.Len() == 0 {
		return err
	}
	if file == "" {
		_, failed := out.WriteTo(cmd.OutOrStdout())
		return errors.Join(err, failed)
	}
	return errors.Join(err, save(file, out.Bytes()))
}

// required marks flags without which a command refuses to run.
func required(cmd *cobra.Command, flags ...string) {
	for _, flag := range flags {
		if err := cmd.MarkFlagRequired(flag); err != nil {
			panic(err) // a flag that the command does not have
		}
	}
}

// oneOf completes a flag, and is what its help says.
func oneOf(cmd *cobra.Command, flag string, values []string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // a flag that the command does not have
	}
}

func list(values []string) string {
	last := len(values) - 1
	return strings.Join(values[:last], ", ") + " or " + values[last]
}
