package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tenant-permissions/dev/internal/script"
)

// The real PgBouncer runs in the end-to-end tests.
func TestPooler(t *testing.T) {
	// As root the pooler runs as another user, who cannot enter the test's own folder.
	programs, err := os.MkdirTemp("", "tenant-permissions-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(programs); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(programs, 0o755); err != nil {
		t.Fatal(err)
	}
	script.Write(t, programs, "good", `
		trap 'echo re-reading config' HUP
		trap 'exit 1' TERM
		echo "process up, port $(cat "$1")"
		while :; do sleep 0.05; done`)
	script.Write(t, programs, "bad", "echo no such setting >&2; exit 1")
	s := &Server{Host: "127.0.0.1", dir: programs}
	configure := func(dir string, _ int) string {
		if content, err := os.ReadFile(filepath.Join(dir, "userlist.txt")); err != nil || string(content) != "logins" {
			t.Errorf("the userlist is %q, %v", content, err)
		}
		return "12345"
	}
	p, err := s.StartPooler(t.Context(), filepath.Join(programs, "good"), []byte("logins"), configure)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Reload(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if log, err := os.ReadFile(p.LogFile()); err != nil || string(log) != "process up, port 12345\nre-reading config\nre-reading config\n" {
		t.Errorf("got %v\n%s", err, log)
	}
	if err := p.Stop(); err == nil {
		t.Error("it stopped twice")
	}
	if _, err := s.StartPooler(t.Context(), filepath.Join(programs, "bad"), []byte("logins"), configure); err == nil || !strings.Contains(err.Error(), "no such setting") {
		t.Errorf("got %v", err)
	}
}
