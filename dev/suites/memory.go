package suites

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

const (
	// roomInMemory is how many bytes must be free for the tests to keep their temporary files in memory.
	roomInMemory = 4 << 30
	// noExec is the flag of a file system from which no program runs: ST_NOEXEC in Linux's statfs(2).
	noExec = 8
)

// inMemory makes a folder for temporary files in parent, which is in memory. The tests of stacks start
// about a hundred servers, and the CLI saves the state after each step; on a disk, making so many files
// takes a tenth of their time. It returns "" if parent is missing or not fit for it.
func inMemory(parent string, room uint64) (string, error) {
	var about syscall.Statfs_t
	err := syscall.Statfs(parent, &about)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !fit(about, room) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("room in %s: %w", parent, err)
	}
	dir, err := os.MkdirTemp(parent, "tenant-permissions-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // as root, servers run as another user
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// fit is true for a file system that has as many free bytes and runs programs. That of most containers
// has 64 MiB and runs none.
func fit(about syscall.Statfs_t, room uint64) bool {
	return about.Bavail*uint64(about.Bsize) >= room && uint64(about.Flags)&noExec == 0
}
