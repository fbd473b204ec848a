// Package review says in plain sentences what a `pulumi preview --json` would change in who may do
// what, for the person who reviews the change.
package review

import (
	"fmt"
	"io"
	"strings"
)

// Refusal is the error of a preview that was read and is not to be deployed.
type Refusal struct{ reason string }

func (r Refusal) Error() string { return r.reason }

// Formats are the forms that a summary can have.
func Formats() []string { return []string{"text", "markdown"} }

// Run reads a preview and writes its summary in one of the formats. It returns a Refusal, after the
// summary, if the preview failed or if by it more tenants would go than maxRemoved.
func Run(preview io.Reader, format string, maxRemoved int, out io.Writer) error {
	write, ok := map[string]func(summary) string{"text": text, "markdown": markdown}[format]
	switch {
	case !ok:
		return fmt.Errorf("--format %q is not accepted: give text or markdown", format)
	case maxRemoved < 0:
		return fmt.Errorf("--max-tenants-removed %d is not accepted: give a whole number from 0", maxRemoved)
	}
	p, err := readPreview(preview)
	if err != nil {
		return err
	}
	s, err := summarise(p)
	if err != nil {
		return err
	}
	if len(s.removed) > maxRemoved {
		s.tooMany = fmt.Sprintf("tenants removed: got %d (%s), want at most %d", len(s.removed), strings.Join(s.removed, ", "), maxRemoved)
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
		return Refusal{strings.Join(reasons, "\n")}
	}
	return nil
}
