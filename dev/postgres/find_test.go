package postgres

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tenant-permissions/dev/internal/script"
)

// fakeBinDir is a folder with an initdb and a postgres that tells a version.
func fakeBinDir(t *testing.T, version string) string {
	t.Helper()
	dir := openDir(t)
	script.Write(t, dir, "initdb", "exit 1")
	script.Write(t, dir, "pg_ctl", "exit 1")
	script.Write(t, dir, "postgres", "echo 'postgres (PostgreSQL) "+version+"'")
	return dir
}

func TestFindPostgres(t *testing.T) {
	who, err := serverAccount()
	if err != nil {
		t.Fatal(err)
	}
	find := func(version string) (string, error) { return findPostgres(t.Context(), version, who, io.Discard) }
	t.Setenv("PG_BINDIR", "")
	real, err := find("")
	if err != nil {
		t.Fatal(err)
	}
	client := openDir(t) // as client packages leave it: pg_config without a server
	script.Write(t, client, "pg_config", "echo "+client)
	path := os.Getenv("PATH")

	t.Run("a pg_config without a server is passed over", func(t *testing.T) {
		t.Setenv("PATH", client+":"+path)
		if dir, err := find(""); err != nil || dir == client {
			t.Errorf("got %s, %v", dir, err)
		}
	})
	t.Run("pg_config comes before PATH", func(t *testing.T) {
		server := fakeBinDir(t, "16.2 (Debian 16.2-1)")
		script.Write(t, client, "pg_config", "echo "+server)
		t.Setenv("PATH", client+":"+fakeBinDir(t, "17.1")+":"+path)
		if dir, err := find(""); err != nil || dir != server {
			t.Errorf("got %s, %v, want %s", dir, err, server)
		}
	})
	t.Run("PATH is followed to where postgres is", func(t *testing.T) {
		server, links := fakeBinDir(t, "18beta1"), openDir(t)
		if err := os.Symlink(filepath.Join(server, "postgres"), filepath.Join(links, "postgres")); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", links+":"+path)
		if dir, err := find("18"); err != nil || dir != server {
			t.Errorf("got %s, %v, want %s", dir, err, server)
		}
	})
	t.Run("PG_BINDIR decides", func(t *testing.T) {
		t.Setenv("PG_BINDIR", real)
		t.Setenv("PATH", fakeBinDir(t, "16.2"))
		if dir, err := find(""); err != nil || dir != real {
			t.Errorf("got %s, %v, want %s", dir, err, real)
		}
		for version, dir := range map[string]string{"13": real, "15": fakeBinDir(t, "16.2"), "": fakeBinDir(t, "13.4"), "16": client} {
			t.Setenv("PG_BINDIR", dir)
			if dir, err := find(version); err == nil {
				t.Errorf("version %q: got %s", version, dir)
			}
		}
	})
	t.Run("it has the wanted version, or says what to do", func(t *testing.T) {
		t.Setenv("PATH", openDir(t)) // neither npm nor apt-get
		for major := oldest; major <= newest; major++ {
			version := strconv.Itoa(major)
			dir, err := find(version)
			if err == nil {
				err = checkBinDir(t.Context(), dir, version, who)
			} else if strings.Contains(err.Error(), "set PG_BINDIR") {
				err = nil
			}
			if err != nil {
				t.Errorf("PostgreSQL %s: %v", version, err)
			}
		}
	})
}
