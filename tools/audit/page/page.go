// Package page writes the audit's report as one HTML file that needs nothing but itself.
package page

import (
	"crypto/sha256"
	_ "embed" // for the page's parts
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/template"
)

var (
	//go:embed page.html
	html string
	//go:embed page.css
	style string
	//go:embed page.js
	script string
)

// Write writes the page of a report, which it takes in its JSON form. The page loads nothing, and runs
// its own script only: its content security policy names script and style by their hash.
func Write(w io.Writer, report any) error {
	// In JSON as Go writes it, <, > and & are escaped, so that no name ends the element it is in.
	encoded, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	parsed, err := template.New("page").Parse(html)
	if err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	policy := []string{"default-src 'none'", "base-uri 'none'", "form-action 'none'", "style-src " + hash(style), "script-src " + hash(script)}
	err = parsed.Execute(w, map[string]string{
		"Policy": strings.Join(policy, "; "), "Style": style, "Script": script, "Report": string(encoded),
	})
	if err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// hash is a text as a content security policy names it.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
