package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// account is the user that the server runs as, nil for the caller. PostgreSQL refuses to run as root.
type account = *syscall.Credential

func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(found.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and this machine has no user postgres or nobody: make one of them")
}

// commandAs is a command of the account, in a folder that it can enter. It does not get the
// caller's environment, which may have secrets and PostgreSQL's own settings.
func commandAs(ctx context.Context, who account, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return !strings.HasPrefix(pair, "PATH=") && !strings.HasPrefix(pair, "LD_LIBRARY_PATH=")
	})
	cmd.Env = append(cmd.Env, "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	return cmd
}

// give makes the account the file's owner.
func give(path string, who account) error {
	if who == nil {
		return nil
	}
	return os.Chown(path, int(who.Uid), int(who.Gid))
}

// reachable makes the folder and returns it. If the account cannot enter it, as in a checkout below
// root's home, it makes and returns the folder's substitute and prints that.
func reachable(ctx context.Context, dir string, who account, progress io.Writer) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if who == nil || commandAs(ctx, who, dir, "true").Run() == nil {
		return dir, nil
	}
	other := substitute(dir)
	if err := os.Mkdir(other, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	// Everybody may write to /var/tmp, so somebody else may have made this folder.
	info, err := os.Lstat(other)
	if err != nil {
		return "", err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || !ok || stat.Uid != 0 {
		return "", fmt.Errorf("%s does not belong to root: remove it", other)
	}
	if err := os.Chmod(other, 0o755); err != nil {
		return "", err
	}
	fmt.Fprintf(progress, "PostgreSQL's user cannot enter %s: using %s\n", dir, other)
	return other, nil
}

// substitute is the folder to use instead of one that the server's account cannot enter.
func substitute(dir string) string {
	return filepath.Join("/var/tmp", fmt.Sprintf("tenant-permissions-%.8x", sha256.Sum256([]byte(dir))))
}
