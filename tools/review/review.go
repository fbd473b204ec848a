// Package review explains the output of `pulumi preview --json` in sentences: what the change means for
// tenants, for the shared roles and for data. It is for the person who reviews the change.
package review

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Refusal is the error of a preview that must not be deployed. Its summary was written.
type Refusal struct{ reason string }

func (r Refusal) Error() string { return r.reason }

// Formats are the formats of a summary.
func Formats() []string { return []string{"text", "markdown"} }

// Run reads a preview and writes its summary in one of the formats. It returns a Refusal, after the
// summary, if the preview failed, or if more tenants than maxRemoved are removed or lose the data that they left when they
// moved.
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
	s, err := explain(p)
	if err != nil {
		return err
	}
	if losses := slices.Sorted(slices.Values(slices.Concat(s.removed, s.left))); len(losses) > maxRemoved {
		what, back := "removed", "put their keys back into the config"
		if len(s.left) > 0 {
			what, back = "removed, or lose the data that they left when they moved", "put their keys, or their previous, back into the config"
		}
		s.tooMany = fmt.Sprintf("too many tenants would be %s: %d (%s), allowed: %d; %s, or raise --max-tenants-removed",
			what, len(losses), strings.Join(losses, ", "), maxRemoved, back)
	}
	if _, err := io.WriteString(out, write(s)); err != nil {
		return err
	}
	var reasons []string
	if len(s.errors) > 0 {
		reasons = append(reasons, fmt.Sprintf("the preview failed with %d error(s); the summary lists them", len(s.errors)))
	}
	if s.tooMany != "" {
		reasons = append(reasons, s.tooMany)
	}
	if len(reasons) > 0 {
		return Refusal{strings.Join(reasons, "\n")}
	}
	return nil
}
