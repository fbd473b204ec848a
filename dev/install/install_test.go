package install

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tenant-permissions/dev/internal/script"
)

func TestOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	broken := errors.New("broken")
	if err := Once(t.Context(), dir, io.Discard, "", func(dir string) error {
		return errors.Join(broken, os.WriteFile(filepath.Join(dir, "half"), nil, 0o600))
	}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there after a failure: %v", err)
	}

	var progress bytes.Buffer
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := Once(t.Context(), dir, &progress, "making it", func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "whole"), nil, 0o600)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if progress.String() != "making it\n" {
		t.Errorf("it was not made exactly once:\n%s", progress.String())
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "whole" {
		t.Errorf("it contains %v, %v", entries, err)
	}
}

func TestLockStopsWaiting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Lock(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	unlock()
	unlock, err = Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestChromium(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	t.Setenv("PATH", dir) // no apt-get and no npm
	if _, err := Chromium(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "Debian's package chromium") {
		t.Errorf("got %v", err)
	}
	script.Write(t, dir, "google-chrome", "")
	if found, err := Chromium(t.Context(), io.Discard); err != nil || found != "" {
		t.Errorf("got %q, %v", found, err)
	}
}

func TestPgBouncer(t *testing.T) {
	dir, debian := t.TempDir(), t.TempDir()
	t.Setenv("PATH", dir) // no apt-get
	if _, err := pgBouncer(t.Context(), io.Discard, filepath.Join(debian, "pgbouncer")); err == nil || !strings.Contains(err.Error(), "Debian's package pgbouncer") {
		t.Errorf("got %v", err)
	}
	for _, place := range []string{debian, dir} { // PATH comes first
		script.Write(t, place, "pgbouncer", "")
		if found, err := pgBouncer(t.Context(), io.Discard, filepath.Join(debian, "pgbouncer")); err != nil || found != filepath.Join(place, "pgbouncer") {
			t.Errorf("got %q, %v", found, err)
		}
	}
}
