package tenantctl

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// save writes a report to a file. One that exists keeps its permissions. What is no regular file, such as
// /dev/stdout, is written to.
func save(file string, content []byte) error {
	before, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return replace(file, content, 0o666, nil) // with the user's umask
	case err != nil:
		return err
	case !before.Mode().IsRegular():
		return os.WriteFile(file, content, 0o666) //nolint:gosec // it exists
	}
	if file, err = filepath.EvalSymlinks(file); err != nil {
		return err
	}
	return replace(file, content, before.Mode().Perm(), before)
}

// replace writes a file, whose owner stays the same if there was one before. A process that reads it
// meanwhile gets what it was before, or all of the new content.
func replace(file string, content []byte, mode fs.FileMode, before fs.FileInfo) (err error) {
	// Collectors of files look at the ending, and pass over names that begin with a dot.
	temporary := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+"-"+rand.Text()+".tmp")
	made, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary))
		}
	}()
	_, err = made.Write(content)
	if before != nil {
		if owner, ok := before.Sys().(*syscall.Stat_t); ok {
			err = errors.Join(err, made.Chown(int(owner.Uid), int(owner.Gid)))
		}
		err = errors.Join(err, made.Chmod(mode)) // whatever the umask is
	}
	if err = errors.Join(err, made.Close()); err != nil {
		return err
	}
	return os.Rename(temporary, file)
}
