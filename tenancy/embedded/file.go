// The file: opening it, its lock, and its format version.

package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// format is the version of the layout in the package comment. A change that an
// older Gatehouse would misread raises it.
const format = 1

// Buckets and keys at the root of the file.
var (
	bucketStore     = []byte("gatehouse")
	bucketDatabases = []byte("databases")
	keyFormat       = []byte("format")
	keyCreated      = []byte("created")
)

// openFile opens the file, or makes it, with its folder, for this user alone.
// It waits up to timeout for the lock.
func openFile(path string, timeout time.Duration) (*bbolt.DB, error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, unavailable("cannot make the folder of the store: "+err.Error(), err)
	}
	_, err := os.Stat(path)
	fresh := errors.Is(err, os.ErrNotExist)
	bolt, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:      timeout,
		FreelistType: bbolt.FreelistMapType, // the default, an array, slows down with many free pages
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, unavailable("the store "+path+" is in use by another process; stop it, or give this one a store of its own", ErrLocked)
	case err != nil:
		return nil, unavailable("cannot open the store "+path+": "+err.Error(), err)
	}
	if err := prepare(bolt, path); err != nil {
		_ = bolt.Close() // nothing was written; the first error says more
		return nil, err
	}
	if fresh {
		// bbolt syncs the file, not the entry in its folder.
		if err := syncFolder(folder); err != nil {
			_ = bolt.Close()
			return nil, unavailable("cannot sync the folder of the store: "+err.Error(), err)
		}
	}
	return bolt, nil
}

// prepare checks the format of a file, or writes it into an empty one.
func prepare(bolt *bbolt.DB, path string) error {
	found, err := readFormat(bolt, path)
	switch {
	case err != nil:
		return err
	case found > format:
		return unavailable(fmt.Sprintf("the store %s has format %d, and this version knows up to %d; start the newer version that wrote it", path, found, format), ErrNewerFormat)
	case found > 0:
		return nil
	}
	err = bolt.Update(func(tx *bbolt.Tx) error {
		own, err := tx.CreateBucketIfNotExists(bucketStore)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucketIfNotExists(bucketDatabases); err != nil {
			return err
		}
		return own.Put(keyFormat, []byte(strconv.Itoa(format)))
	})
	if err != nil {
		return unavailable("cannot write to the store "+path+": "+err.Error(), err)
	}
	return nil
}

// readFormat gives the version that is written in the file, 0 for an empty one.
func readFormat(bolt *bbolt.DB, path string) (int, error) {
	version := 0
	err := bolt.View(func(tx *bbolt.Tx) error {
		own := tx.Bucket(bucketStore)
		if own == nil {
			if first, _ := tx.Cursor().First(); first != nil {
				return errors.New("it is a bbolt file of another program")
			}
			return nil
		}
		n, err := strconv.Atoi(string(own.Get(keyFormat)))
		if err != nil || n < 1 {
			return errors.New("its format version is not a number")
		}
		version = n
		return nil
	})
	if err != nil {
		return 0, unavailable("cannot use the store "+path+": "+err.Error(), err)
	}
	return version, nil
}

// syncFolder makes a new file's name durable. Windows cannot, and need not.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
