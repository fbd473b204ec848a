package toolchain

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tenant-permissions/dev/internal/script"
)

func TestHasCLI(t *testing.T) {
	path := os.Getenv("PATH")
	for _, test := range []struct {
		name, version string
		host, want    bool
	}{
		{"newer", "v3.300.1", true, true},
		{"the same", "v3.259.0", true, true},
		{"older", "v3.258.9", true, false},
		{"older, as text it is greater", "v3.30.0", true, false},
		{"no version", "oops", true, false},
		{"no language host", "v3.300.1", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			// PATH has nothing else that is called pulumi-language-go.
			var clean []string
			for dir := range strings.SplitSeq(path, ":") {
				if _, err := os.Stat(filepath.Join(dir, "pulumi-language-go")); err != nil {
					clean = append(clean, dir)
				}
			}
			t.Setenv("PATH", strings.Join(clean, ":"))
			real := script.PulumiCLI(t, test.version, "exit 1")
			if test.host {
				script.Write(t, real, "pulumi-language-go", "")
			}
			// The host stands beside the CLI itself, not beside a link to it.
			links := t.TempDir()
			if err := os.Symlink(filepath.Join(real, "pulumi"), filepath.Join(links, "pulumi")); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", strings.Join(append([]string{links}, clean...), ":"))
			if got := hasCLI(t.Context(), "v3.259.0"); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestPlugins(t *testing.T) {
	const works, fails = "exit 0", "echo no such host >&2; exit 1"
	for _, test := range []struct {
		name      string
		mode      string
		installed []string
		download  string
		offline   bool
		fails     string // part of the error
	}{
		{name: "official ones are there", installed: []string{"postgresql-v3.18.0", "random-v4.21.2"}, download: fails},
		{name: "official ones can be had", download: works},
		{name: "one of them can be had", installed: []string{"postgresql-v3.18.0"}, download: works},
		{name: "none can be had", download: fails, offline: true},
		{name: "one is there, the other cannot be had", installed: []string{"random-v4.21.2"}, download: fails, offline: true},
		{name: "another version is there", installed: []string{"postgresql-v3.17.0", "random-v4.21.2"}, download: fails, offline: true},
		{name: "one was interrupted", installed: []string{"postgresql-v3.18.0", "random-v4.21.2", "random-v4.21.2.partial"}, download: fails, offline: true},
		{name: "offline", mode: "offline", installed: []string{"postgresql-v3.18.0", "random-v4.21.2"}, download: works, offline: true},
		{name: "official", mode: "official", installed: []string{"postgresql-v3.18.0", "random-v4.21.2"}, download: fails},
		{name: "official, but none", mode: "official", download: fails, fails: "no such host"},
		{name: "nonsense", mode: "none", fails: "PLUGINS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			t.Setenv("PULUMI_HOME", home)
			t.Setenv("PLUGINS", test.mode)
			for _, plugin := range test.installed {
				name, _, _ := strings.Cut(plugin, "-")
				script.Write(t, filepath.Join(home, "plugins", "resource-"+plugin), "pulumi-resource-"+name, "")
			}
			script.Write(t, script.PulumiCLI(t, "v3.300.0", test.download), "pulumi-language-go", "")
			var progress bytes.Buffer
			tools, err := Prepare(t.Context(), Options{Checkout: "../..", Progress: &progress})
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("got %v, want %s", err, test.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tools.Offline != test.offline {
				t.Errorf("offline is %v", tools.Offline)
			}
			if told := strings.Contains(progress.String(), "offline stand-ins"); told != test.offline {
				t.Errorf("it tells:\n%s", progress.String())
			}
			_, path, _ := strings.Cut(tools.Env()[0], "=")
			first, _, _ := strings.Cut(path, ":")
			for _, name := range []string{"pulumi-resource-postgresql", "pulumi-resource-random"} {
				if _, err := os.Stat(filepath.Join(first, name)); (err == nil) != test.offline {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestPluginDownloadThatHangs(t *testing.T) {
	t.Setenv("PULUMI_HOME", t.TempDir())
	script.PulumiCLI(t, "v3.300.0", "sleep 600")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := new(Toolchain).findPlugins(ctx, []plugin{{"postgresql", "v3.18.0"}, {"random", "v4.21.2"}}, time.Minute, io.Discard)
	if err == nil {
		t.Error("no error")
	}
}

func TestPinnedVersions(t *testing.T) {
	for path, dir := range map[string]string{
		"github.com/pulumi/pulumi/pkg/v3":            "pulumi",
		"github.com/pulumi/pulumi-postgresql/sdk/v3": "../..",
		"github.com/pulumi/pulumi-random/sdk/v4":     "../..",
	} {
		m, err := readModule(dir)
		if err != nil {
			t.Fatal(err)
		}
		if m.version(path) == "" {
			t.Errorf("%s does not require %s", dir, path)
		}
	}
}

// An upgrade of a dependency makes another folder of the CLI, so that it is built anew.
func TestSumsOf(t *testing.T) {
	sums := func(content string) string {
		m := module{dir: t.TempDir()}
		if err := os.WriteFile(filepath.Join(m.dir, "go.sum"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		sums, err := sumsOf(m)
		if err != nil {
			t.Fatal(err)
		}
		return sums
	}
	if before := sums("a v1.0.0 h1:x\n"); before != sums("a v1.0.0 h1:x\n") || before == sums("a v1.0.1 h1:y\n") || len(before) != 8 {
		t.Errorf("got %q", before)
	}
	if _, err := sumsOf(module{dir: t.TempDir()}); err == nil {
		t.Error("a module without go.sum is accepted")
	}
}
