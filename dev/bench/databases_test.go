package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tenant-permissions/dev/postgres/postgrestest"
)

// Tenants with databases of their own, measured with the smallest numbers. What was measured before stays.
func TestDatabases(t *testing.T) {
	docs := t.TempDir()
	before := figures()
	if err := before.save(docs); err != nil {
		t.Fatal(err)
	}
	o := options(docs)
	o.OwnDatabases, o.Databases, o.Busy = true, 2, true
	var out, progress bytes.Buffer
	if err := Run(t.Context(), o, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.Bytes())
	}
	after, err := loadResults(docs)
	if err != nil {
		t.Fatal(err)
	}
	if len(after.Measurements) != len(before.Measurements) || after.Databases == nil || len(after.Databases.Stacks) != 2 {
		t.Fatalf("got %+v", after)
	}
	for _, m := range after.Databases.Stacks {
		if own := m.Isolation == "database"; own != (m.DatabaseBytes > 5e6) || m.Logins[stepUp] < 10 || m.StateBytes < 10e3 {
			t.Errorf("got %+v", m)
		}
		for _, step := range []string{stepUp, stepPreview, stepAdd} {
			if median(m.Seconds[step]) <= 0 {
				t.Errorf("isolation %s: no time of %s", m.Isolation, step)
			}
		}
	}
	if s := after.Databases.Server; s.Databases != 2 || s.Bytes < 10e6 || s.CreateSeconds <= 0 || s.ConnectBefore <= 0 || s.ConnectFirst <= 0 || s.ConnectAgain <= 0 {
		t.Errorf("got %+v", s)
	}
	page, err := os.ReadFile(filepath.Join(docs, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(page), "\n## Databases of tenants\n", "Other work ran on the machine", "| | 2, schema | 2, database |\n|---|--:|--:|\n| first `up`, seconds |", "PostgreSQL itself makes 2 empty databases in ")
	if strings.Count(string(page), "an engine") != 1 {
		t.Errorf("the figures of before are not as they were:\n%s", page)
	}
}

// The first up of TestDatabases can be over before a connection is seen, so this test holds one.
func TestWatchSessions(t *testing.T) {
	server := postgrestest.Start(t)
	s := &site{server: server, database: "postgres"}
	if err := s.connected(t.Context(), func(*pgx.Conn) error {
		most, err := s.watchSessions(t.Context())
		if err != nil {
			return err
		}
		peak, err := most()
		if peak != 1 {
			t.Errorf("got %d", peak)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}
