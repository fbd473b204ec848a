// Command review says in plain sentences what a `pulumi preview --json` would change in who may
// do what, for the person who reviews the change.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	err := run(os.Args[1:], os.Stdin, os.Stdout)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	if errors.As(err, &refusal{}) {
		os.Exit(1)
	}
	os.Exit(2)
}

// refusal is the error of a preview that was read and is not to be deployed: exit code 1. Every
// other error is 2. (`go run` makes 1 of both.)
type refusal struct{ reason string }

func (r refusal) Error() string { return r.reason }

// run is the command without its process. A refused preview is summarised before the error.
func run(args []string, stdin io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("review", flag.ContinueOnError)
	file := flags.String("preview", "", "file with the output of pulumi preview --json (default: standard input)")
	most := flags.Int("max-tenants-removed", 0, "how many tenants, or schemas of tenants, may go")
	format := flags.String("format", "text", "text or markdown")
	if err := flags.Parse(args); err != nil {
		return err
	}
	write, ok := map[string]func(summary) string{"text": text, "markdown": markdown}[*format]
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("arguments: got %q, want nothing behind the flags", flags.Args())
	case !ok:
		return fmt.Errorf("-format: got %q, want text or markdown", *format)
	case *most < 0:
		return fmt.Errorf("-max-tenants-removed: got %d, want a whole number from 0", *most)
	}
	if *file != "" {
		opened, err := os.Open(*file)
		if err != nil {
			return err
		}
		defer opened.Close()
		stdin = opened
	}
	p, err := readPreview(stdin)
	if err != nil {
		return err
	}
	s, err := summarise(p)
	if err != nil {
		return err
	}
	if len(s.removed) > *most {
		s.tooMany = fmt.Sprintf("tenants removed: got %d (%s), want at most %d", len(s.removed), strings.Join(s.removed, ", "), *most)
	}
	if _, err := io.WriteString(out, write(s)); err != nil {
		return err
	}
	var reasons []string
	if len(s.errors) > 0 {
		reasons = append(reasons, fmt.Sprintf("preview: got %d errors, want none", len(s.errors)))
	}
	if s.tooMany != "" {
		reasons = append(reasons, s.tooMany)
	}
	if len(reasons) > 0 {
		return refusal{strings.Join(reasons, "\n")}
	}
	return nil
}
