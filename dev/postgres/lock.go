package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const pollInterval = 50 * time.Millisecond

// tryLock opens the file, made if missing, and locks it. It returns nil without an error if
// another process has the lock. The server's processes inherit the lock, so the lock is free if
// none of them lives, also after a crash. The process id in postmaster.pid may then be another
// program's. lockedfile, which install.Lock uses, cannot try a lock and cannot pass it on.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, file.Close()
	case err != nil:
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), file.Close())
	}
	return file, nil
}

// pause lets one poll interval pass; it returns the context's error if that ends first.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pollInterval):
		return nil
	}
}
