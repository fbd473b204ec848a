package supply

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const checkout = "../.."

// Dependabot looks at every module of the checkout.
func TestDependabot(t *testing.T) {
	modules, err := findModules(checkout)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, module := range modules {
		want = append(want, strings.TrimSuffix("/"+module.dir, "."))
	}
	text, err := os.ReadFile(filepath.Join(checkout, ".github", "dependabot.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directories []string
		}
	}
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		t.Fatal(err)
	}
	for _, update := range parsed.Updates {
		if update.Ecosystem == "gomod" {
			slices.Sort(update.Directories)
			if !slices.Equal(update.Directories, want) {
				t.Errorf("dependabot.yml has %q, the checkout %q", update.Directories, want)
			}
			return
		}
	}
	t.Error("dependabot.yml has nothing for modules")
}

func TestNotes(t *testing.T) {
	const changelog = "# Changelog\n\n## Unreleased\n\n- new\n\n## v1.10.0 (2026-01-02)\n\n- ten\n\n### More\n\n- text\n\n## v1.1.0\n\n- one\n\n## v1.0.0\n"
	for version, want := range map[string]string{
		"v1.10.0":     "- ten\n\n### More\n\n- text\n",
		"v1.1.0":      "- one\n",
		"v0.0.0-test": "- new\n",
		"v1.0.0":      "", // it has nothing to say
		"v1.1":        "",
		"v2.0.0":      "",
	} {
		got, err := notes(changelog, version)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v", version, got, err)
		}
	}
}

// The notes of the next release are there.
func TestChangelog(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(checkout, "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := notes(string(text), "v0.0.0-test"); err != nil {
		t.Error(err)
	}
}

func TestReleaseVersion(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "release")
	for _, version := range []string{"", "1.2.3", "v1.2", "v1.2.3 -X a=b", "v99.0.0"} {
		err := Release(t.Context(), ReleaseOptions{Checkout: checkout, Version: version, Dir: dir, Out: t.Output()})
		if err == nil {
			t.Errorf("%q is accepted", version)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a refused release wrote something: %v", err)
	}
}

func TestChecksums(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "b"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := checksums(dir)
	want := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  b\n"
	if err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
}

// Without the database nothing is checked, which is an error only where the database is required.
func TestDatabaseThatIsAway(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for _, required := range []bool{true, false} {
		var out bytes.Buffer
		err := CheckVulnerabilities(t.Context(), VulnerabilityOptions{Checkout: t.TempDir(), Database: server.URL, Required: required, Out: &out})
		if (err != nil) != required {
			t.Errorf("required %v: got %v", required, err)
		}
		if !required && !strings.Contains(out.String(), "known vulnerabilities were not checked") {
			t.Errorf("it says %q", out.String())
		}
	}
}
