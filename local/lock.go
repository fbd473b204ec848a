package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const pollInterval = 50 * time.Millisecond

// tryLock opens the file, made if missing, and locks it. It returns nil without an error if
// another process has the lock. The lock ends when the file is closed in every process that it
// was handed to, so no crash leaves one behind.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return file, nil
}

// lock waits for the lock.
func lock(ctx context.Context, path string) (*os.File, error) {
	for {
		file, err := tryLock(path)
		if file != nil || err != nil {
			return file, err
		}
		if err := pause(ctx); err != nil {
			return nil, fmt.Errorf("waiting for the lock %s: %w", path, err)
		}
	}
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

// once makes the folder if it is not there: make fills another one that then gets its name, so
// that the folder is there whole or not at all. Of several processes one makes it and the others
// wait. Progress is told what is being done.
func once(ctx context.Context, dir string, progress io.Writer, what string, fill func(dir string) error) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	held, err := lock(ctx, dir+".lock")
	if err != nil {
		return err
	}
	defer held.Close()
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	fmt.Fprintln(progress, what)
	unfinished := dir + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		return err
	}
	if err := fill(unfinished); err != nil {
		return err
	}
	return os.Rename(unfinished, dir)
}

// cacheDir is where things that are made once are kept.
func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "tenant-permissions"), nil
}
