// Embedded stores: one open file for all who use it within this process.

package caddymodule

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/embedded"
)

// embeddedStores has each embedded store once, by the real path of its file, which
// can be open once: the tenancy app and the storage may both be on it.
var embeddedStores = caddy.NewUsagePool()

// embeddedStore is one that is in use.
type embeddedStore struct{ *embedded.Store }

// Destruct closes the file when nobody uses it any more.
func (e embeddedStore) Destruct() error { return e.Close() }

// openEmbedded makes a client of an embedded store; it opens the file at first use.
// closeStore ends the client, and with the last one the store.
func openEmbedded(file string) (cluster *couch.Cluster, closeStore func() error, err error) {
	key, err := realPath(file)
	if err != nil {
		return nil, nil, err
	}
	value, _, err := embeddedStores.LoadOrNew(key, func() (caddy.Destructor, error) {
		return embeddedStore{embedded.New(file)}, nil
	})
	if err != nil {
		return nil, nil, err
	}
	cluster = couch.Wrap(file, value.(embeddedStore).Client())
	return cluster, func() error {
		err := cluster.Close()
		_, e := embeddedStores.Delete(key)
		return errors.Join(err, e)
	}, nil
}

// realPath is where a path leads, whether there is something yet or not: the part
// of it that exists is followed through its links, so that making the rest does not
// change it.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for there, rest := path, ""; ; {
		real, err := filepath.EvalSymlinks(there)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		parent := filepath.Dir(there)
		if parent == there || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
			return path, nil // whoever opens it says what is wrong
		}
		there, rest = parent, filepath.Join(filepath.Base(there), rest)
	}
}

// Interface guards
var (
	_ caddy.Destructor = embeddedStore{}
)
