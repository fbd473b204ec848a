package install

import (
	"context"
	"fmt"
	"io"
	"os/exec"
)

// PgBouncer finds or installs PgBouncer, by Debian's package as root. It returns the path of the program.
func PgBouncer(ctx context.Context, progress io.Writer) (string, error) {
	return pgBouncer(ctx, progress, "/usr/sbin/pgbouncer")
}

// pgBouncer takes the path at which Debian's package has the program: often only root has it on PATH.
func pgBouncer(ctx context.Context, progress io.Writer, debian string) (string, error) {
	find := func() string {
		for _, name := range []string{"pgbouncer", debian} {
			if path, err := exec.LookPath(name); err == nil {
				return path
			}
		}
		return ""
	}
	if path := find(); path != "" {
		return path, nil
	}
	err := Apt(ctx, "pgbouncer", progress)
	if err == nil {
		if path := find(); path != "" {
			return path, nil
		}
		err = exec.ErrNotFound
	}
	return "", fmt.Errorf("PgBouncer is missing and could not be installed; install it, for example Debian's package pgbouncer, "+
		"so that pgbouncer is on PATH: %w", err)
}
