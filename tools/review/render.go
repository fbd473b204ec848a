package review

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// headline counts changes by kind in one line, and resources by operation in another.
func (s summary) headline() (tenants, resources string) {
	var counts, operations []string
	for k, h := range headings() {
		if changes := s.changes[kind(k)]; len(changes) > 0 {
			counts = append(counts, fmt.Sprintf("%s: %d", h.title, len(changes)))
		}
	}
	tenants = strings.Join(counts, " · ")
	if len(s.errors) > 0 {
		tenants = "Incomplete, because the preview failed: " + cmp.Or(tenants, "no changes")
	}
	tenants = cmp.Or(tenants, "Nothing changes for anybody")
	for _, operation := range slices.Sorted(maps.Keys(s.operations)) {
		operations = append(operations, fmt.Sprintf("%s %d", operation, s.operations[operation]))
	}
	resources = "Resources: " + cmp.Or(strings.Join(operations, ", "), "none")
	if s.refreshed {
		resources += "; compared with the server as it is now"
	}
	return tenants, resources
}

// refusals are the reasons not to deploy.
func (s summary) refusals() []string {
	if s.tooMany == "" {
		return s.errors
	}
	return append([]string{s.tooMany}, s.errors...)
}

// text is the whole summary for a terminal or a log.
func text(s summary) string {
	var out strings.Builder
	tenants, resources := s.headline()
	fmt.Fprintf(&out, "Stack %s\n", s.stack)
	if refusals := s.refusals(); len(refusals) > 0 {
		fmt.Fprint(&out, "\nDO NOT DEPLOY\n")
		for _, refusal := range refusals {
			fmt.Fprintf(&out, "  %s\n", strings.ReplaceAll(printable(refusal), "\n", "\n  "))
		}
		fmt.Fprintln(&out)
	}
	fmt.Fprintf(&out, "%s\n%s\n", tenants, resources)
	for k, h := range headings() {
		if changes := s.changes[kind(k)]; len(changes) > 0 {
			fmt.Fprintf(&out, "\n%s: %d\n", h, len(changes))
			for _, c := range changes {
				fmt.Fprintf(&out, "  %s: %s\n", printable(c.who), printable(c.what))
			}
		}
	}
	return out.String()
}

const (
	// maxComment is the limit of a comment on GitHub in characters, less room for a marker.
	maxComment = 65_536 - 1_000
	// A comment shows maxRefusal characters of each error, at most maxRefusals errors, and maxSentence
	// characters of each change.
	maxRefusal, maxRefusals, maxSentence = 2_000, 10, 400
)

// markdown is the summary for a comment. Its lists are cut until they fit.
func markdown(s summary) string {
	out := ""
	for _, most := range []int{50, 20, 5, 0} {
		if out = markdownLists(s, most); utf8.RuneCountInString(out) <= maxComment {
			break
		}
	}
	return out
}

// markdownLists is the summary with at most so many changes of each kind.
func markdownLists(s summary, most int) string {
	var out strings.Builder
	tenants, resources := s.headline()
	fmt.Fprintf(&out, "### Stack %s\n\n", escape(short(s.stack, maxSentence)))
	refusals := s.refusals()
	for i, refusal := range refusals {
		if i == 0 {
			fmt.Fprint(&out, "**DO NOT DEPLOY**\n\n")
		}
		if i == maxRefusals {
			fmt.Fprintf(&out, "and %d more\n\n", len(refusals)-i)
			break
		}
		block := "    " + strings.ReplaceAll(printable(refusal), "\n", "\n    ")
		fmt.Fprintf(&out, "%s\n\n", short(block, maxRefusal))
	}
	fmt.Fprintf(&out, "%s\n\n%s\n", escape(tenants), escape(resources))
	for k, h := range headings() {
		changes := s.changes[kind(k)]
		if len(changes) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n#### %s: %d\n\n", escape(h.String()), len(changes))
		shown := changes[:min(most, len(changes))]
		for _, c := range shown {
			fmt.Fprintf(&out, "- **%s**: %s\n", escape(short(c.who, maxSentence)), escape(short(c.what, maxSentence)))
		}
		if more := len(changes) - len(shown); more > 0 {
			fmt.Fprintf(&out, "- and %d more\n", more)
		}
	}
	return out.String()
}

// short is the text, cut to so many characters.
func short(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// printable is the text with spaces for control characters other than line ends. A terminal would
// obey them.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// escape makes one line of Markdown that shows the text as it is. It mentions no GitHub user.
func escape(text string) string {
	var out strings.Builder
	for _, r := range printable(text) {
		switch {
		case r == '\n':
			r = ' '
		case r == '@':
			out.WriteString("@\u200b")
			continue
		case strings.ContainsRune("\\`*_[]<>|~&:.", r):
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	return out.String()
}
