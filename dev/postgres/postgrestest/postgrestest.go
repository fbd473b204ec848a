// Package postgrestest has PostgreSQL servers for tests.
package postgrestest

import (
	"os"
	"testing"

	"tenant-permissions/dev/postgres"
)

// Start starts a server of the version in the environment variable POSTGRES. It stops when the test ends.
func Start(t testing.TB) *postgres.Server {
	t.Helper()
	server, err := postgres.Start(t.Context(), postgres.Options{Version: os.Getenv("POSTGRES"), Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}
