package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"tenant-permissions/dev/install"
)

// makeData makes the data if there is none yet. The data is there whole or not at all.
func (s *Server) makeData(ctx context.Context, o Options, binDir string, who account) error {
	if isDir(s.file("data")) {
		return nil
	}
	fmt.Fprintf(o.Progress, "making a PostgreSQL server in %s\n", s.dir)
	unfinished := s.file("data.unfinished")
	password := []byte(rand.Text())
	command := []string{
		filepath.Join(binDir, "initdb"), "--pgdata", unfinished,
		"--username", s.User, "--pwfile", s.file("password"), "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", "C", "--no-sync",
	}
	if o.Template != nil {
		password = []byte(o.Template.Password)
		command = []string{"cp", "-R", o.Template.file("data") + "/.", unfinished}
	}
	if err := os.WriteFile(s.file("password"), password, 0o600); err != nil {
		return err
	}
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return err
	}
	if err := errors.Join(give(s.file("password"), who), give(unfinished, who)); err != nil {
		return err
	}
	if err := install.Run(commandAs(ctx, who, s.dir, command[0], command[1:]...)); err != nil {
		return err
	}
	s.Fresh = true
	return os.Rename(unfinished, s.file("data"))
}
