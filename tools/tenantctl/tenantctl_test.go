package tenantctl

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// run runs a command and returns what it printed, and its exit code.
func run(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, problems strings.Builder
	code = Main(args, strings.NewReader(stdin), &out, &problems)
	return out.String(), problems.String(), code
}

const (
	unchanged     = `{"steps": [], "changeSummary": {}}`
	withPasswords = `{"passwords": {"tenant_acme": "acme-password"}}`
	failed        = `{"steps": [], "diagnostics": [{"severity": "error", "message": "no"}]}`
)

func TestExitCodes(t *testing.T) {
	t.Setenv("PGPORT", "1")
	for name, test := range map[string]struct {
		args   []string
		stdin  string
		code   int
		stdout string
		stderr string
	}{
		"help":                    {args: []string{"--help"}, stdout: "Exit codes: 0 success"},
		"version":                 {args: []string{"--version"}, stdout: "tenantctl version development build"},
		"completion":              {args: []string{"completion", "bash"}, stdout: "tenantctl"},
		"fine":                    {args: []string{"review"}, stdin: unchanged, stdout: "Nothing changes for anybody"},
		"findings":                {args: []string{"review", "--format", "markdown"}, stdin: failed, code: 2, stdout: "DO NOT DEPLOY", stderr: "the preview failed with 1 error(s)"},
		"failed":                  {args: []string{"review"}, stdin: "no", code: 1, stderr: "reading the output of pulumi preview --json"},
		"no command":              {args: []string{"audits"}, code: 1, stderr: "unknown command"},
		"no such flag":            {args: []string{"audit", "-outputs", "x"}, code: 1, stderr: "-outputs"},
		"no outputs":              {args: []string{"audit"}, code: 1, stderr: "--outputs is missing"},
		"an argument":             {args: []string{"audit", "why"}, code: 1, stderr: `unknown command "why"`},
		"no such format":          {args: []string{"audit", "--outputs", "-", "--format", "pdf", "--waivers", "/nowhere"}, code: 1, stderr: "--format \"pdf\" is not accepted: give one of text, json, html, sarif, junit, openmetrics, waivers\n--waivers: open /nowhere"},
		"no file":                 {args: []string{"audit", "--outputs", "/nowhere"}, code: 1, stderr: "no such file"},
		"standard input twice":    {args: []string{"settings", "--outputs", "-", "--config", "-"}, code: 1, stderr: "cannot both be standard input"},
		"no question":             {args: []string{"why", "--outputs", "-"}, code: 1, stderr: "requires at least 1 arg"},
		"no such reset":           {args: []string{"settings", "--outputs", "-", "--reset", "some"}, code: 1, stderr: `--reset "some" is not accepted: give blocking or all`},
		"not deployed":            {args: []string{"settings", "--outputs", "-"}, stdin: "{}"},
		"no role":                 {args: []string{"sessions", "--outputs", "-"}, code: 1, stderr: `required flag(s) "role" not set`},
		"no platform":             {args: []string{"cells", "check"}, code: 1, stderr: `required flag(s) "platform" not set`},
		"no tenants":              {args: []string{"cells", "split", "--platform", "prod"}, code: 1, stderr: `required flag(s) "tenants" not set`},
		"no repository":           {args: []string{"cells", "manifests", "--platform", "prod"}, code: 1, stderr: `required flag(s) "repo" not set`},
		"no such platform":        {args: []string{"cells", "check", "--platform", "nowhere"}, code: 1, stderr: `--platform "nowhere" is not accepted`},
		"help of a command":       {args: []string{"cells", "deploy", "--help"}, stdout: "Exit codes: 0 success, 1 the command failed."},
		"help of one that finds":  {args: []string{"audit", "--help"}, stdout: "2 there are violations"},
		"completion of a format":  {args: []string{"__complete", "audit", "--format", ""}, stdout: "html"},
		"no passwords":            {args: []string{"passwords"}, code: 1, stderr: "--outputs is missing"},
		"passwords of no stack":   {args: []string{"passwords", "--outputs", "-"}, stdin: `{"passwords": {"a": "b"}}`, code: 1, stderr: "the outputs have no database_name"},
		"passwords masked":        {args: []string{"passwords", "--outputs", "-"}, stdin: `{"passwords": "[secret]"}`, code: 1, stderr: "-: the passwords are masked"},
		"a userlist":              {args: []string{"userlist", "--outputs", "-"}, stdin: withPasswords, stdout: `"tenant_acme" "SCRAM-SHA-256$4096:`},
		"masked passwords":        {args: []string{"userlist", "--outputs", "-"}, stdin: `{"passwords": "[secret]"}`, code: 1, stderr: "-: the passwords are masked"},
		"no outputs to list":      {args: []string{"userlist"}, code: 1, stderr: `required flag(s) "outputs" not set`},
		"outputs twice":           {args: []string{"userlist", "--outputs", "-", "--outputs", "-"}, stdin: withPasswords, code: 1, stderr: "--outputs is standard input twice"},
		"no outputs file":         {args: []string{"userlist", "--outputs", "/nowhere"}, code: 1, stderr: "no such file"},
		"a userlist in a folder":  {args: []string{"userlist", "--outputs", "-", "--out", "."}, stdin: withPasswords, code: 1, stderr: "--out: . is not a regular file"},
		"a number where none may": {args: []string{"review", "--max-tenants-removed", "-1"}, stdin: unchanged, code: 1, stderr: "--max-tenants-removed -1"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := run(t, test.stdin, test.args...)
			if code != test.code || !strings.Contains(stdout, test.stdout) || !strings.Contains(stderr, test.stderr) {
				t.Errorf("exit code %d, want %d\n%s\n%s", code, test.code, stdout, stderr)
			}
		})
	}
}

// A file that nothing is written to stays as it was.
func TestOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report")
	if _, _, code := run(t, "no", "audit", "--outputs", "-", "--out", file); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("got error %v", err)
	}
}

// A report replaces a file as a whole: a new one has the user's umask, and one that exists keeps its
// permissions and the links to it. What is no regular file stays.
func TestSave(t *testing.T) {
	dir := t.TempDir()
	file, link, open := filepath.Join(dir, "audit.prom"), filepath.Join(dir, "link"), filepath.Join(dir, "new")
	if err := errors.Join(os.WriteFile(file, []byte("before"), 0o640), os.Symlink("audit.prom", link)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o646); err != nil { // which no usual umask allows
		t.Fatal(err)
	}
	reader, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := save(link, []byte("after")); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(reader); err != nil || string(text) != "before" {
		t.Errorf("who reads it meanwhile gets %q, %v", text, err)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "after" {
		t.Errorf("got %q, %v", text, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("got %v, %v", info, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o646 {
		t.Errorf("got %v, %v", info, err)
	}
	for _, out := range []string{open, os.DevNull} {
		if err := save(out, []byte("new")); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("got %v, %v", info, err)
	}
	if info, err := os.Stat(open); err != nil || info.Mode()&0o600 != 0o600 || info.Mode()&0o111 != 0 {
		t.Errorf("got %v, %v", info, err)
	}
	if err := save(filepath.Join(dir, "nowhere", "x"), nil); !os.IsNotExist(err) {
		t.Errorf("got error %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}

// Only its owner can read a userlist, also if others could read the one before. One that cannot be
// made leaves that as it was.
func TestUserlistFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "userlist.txt")
	if err := os.WriteFile(file, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, code := run(t, "{}", "userlist", "--outputs", "-", "--out", file); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "before" {
		t.Errorf("got %v\n%s", err, text)
	}
	stdout, stderr, code := run(t, withPasswords, "userlist", "--outputs", "-", "--out", file)
	if code != exitFine || stdout != "" {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), `"tenant_acme" "SCRAM-SHA-256$`) || strings.Contains(string(text), "acme-password") {
		t.Errorf("got %v\n%s", err, text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
	const user, group = 65534, 65533
	if os.Geteuid() == 0 {
		if err := os.Chown(file, user, group); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, code := run(t, `{"passwords": {}}`, "userlist", "--outputs", "-", "--out", file); code != exitFine {
		t.Errorf("exit code %d", code)
	}
	if text, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(text), `"tenant_acme" "SCRAM-SHA-256$4096:AAAA`) {
		t.Errorf("a login that is gone: got %v\n%s", err, text)
	}
	if os.Geteuid() == 0 {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != user || owner.Gid != group || info.Mode() != 0o600 {
			t.Errorf("the file has another owner or mode: %v %v", owner, info.Mode())
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}
