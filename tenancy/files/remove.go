// Remove: the removal of a tree, and the syncing of folders.

package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"syscall"
)

const (
	// removeBatch is how many names of a folder are read, and removed, at a time.
	removeBatch = 512
	// removeTries is how often a folder is emptied again that a stack writes to
	// in the meantime.
	removeTries = 5
)

// removeTree removes name and what is below it; nothing there is no error. It
// asks for ctx before each entry, which os.Root.RemoveAll cannot. Symbolic links
// are removed, not followed.
func removeTree(ctx context.Context, root *os.Root, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	found, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !found.IsDir() {
		return gone(root.Remove(name))
	}
	for range removeTries {
		if err = emptyFolder(ctx, root, name); err != nil {
			return err
		}
		if err = gone(root.Remove(name)); !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return err
}

// emptyFolder removes what is in a folder, a batch at a time: listing goes on
// at the start after a removal, since file systems differ in what an open
// listing then says.
func emptyFolder(ctx context.Context, root *os.Root, name string) error {
	for {
		entries, err := list(root, name, removeBatch)
		if err != nil || len(entries) == 0 {
			return gone(err)
		}
		for _, entry := range entries {
			if err := removeTree(ctx, root, path.Join(name, entry)); err != nil {
				return err
			}
		}
	}
}

// list gives up to n names in a folder, in no order; all of them for -1.
func list(root *os.Root, name string, n int) ([]string, error) {
	folder, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	names, err := folder.Readdirnames(n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}

// gone takes away the error that something is not there any more.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// syncFolder makes the names in a folder durable, where the system can.
func syncFolder(root *os.Root, name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := root.Open(name)
	if err != nil {
		return err
	}
	defer folder.Close()
	err = folder.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil // a file system that cannot sync folders
	}
	return err
}
