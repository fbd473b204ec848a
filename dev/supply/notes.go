package supply

import (
	"fmt"
	"strings"

	"golang.org/x/mod/semver"
)

// notes is the section of a version in a changelog, without its heading. The heading is "## v1.2.3",
// and may have more after the version, such as a date. A pre-release that has no section of its own
// gets the section "## Unreleased".
func notes(changelog, version string) (string, error) {
	if text, ok := section(changelog, version); ok {
		return text, nil
	}
	if semver.Prerelease(version) != "" {
		if text, ok := section(changelog, "Unreleased"); ok {
			return text, nil
		}
	}
	return "", fmt.Errorf("CHANGELOG.md has no notes under \"## %s\": rename the section \"## Unreleased\", and begin a new one", version)
}

// section is what stands below the heading whose first word is the title; ok is false if there is none
// or nothing below it.
func section(changelog, title string) (text string, ok bool) {
	var lines []string
	inside := false
	for line := range strings.Lines(changelog) {
		if heading, isHeading := strings.CutPrefix(line, "## "); isHeading {
			words := strings.Fields(heading)
			inside = len(words) > 0 && words[0] == title
			continue
		}
		if inside {
			lines = append(lines, line)
		}
	}
	text = strings.TrimSpace(strings.Join(lines, ""))
	return text + "\n", text != ""
}
