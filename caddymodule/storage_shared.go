// Shared storages: what survives a reload of the configuration.

package caddymodule

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
)

// storages has one storage for each store and cache, shared by the configurations
// that name it: so locks that are held, and what is known of whether the store
// answers, survive a reload, and the old configuration can end while the new one runs.
var storages = caddy.NewUsagePool()

// sharedStorage is a storage that is in use.
type sharedStorage struct {
	key        string
	store      *certstore.Store
	closeStore func() error
	connection *Connection // with the credentials
	logger     *zap.Logger

	mu    sync.Mutex
	users []*Storage // the last one is followed
	// Keys of configurations that were taken back: something may be sealed with them.
	retired []*certstore.Key
}

// loadSharedStorage finds the storage of a configuration, or makes it, and has it
// follow that configuration. It connects to nothing.
func loadSharedStorage(s *Storage) (*sharedStorage, error) {
	value, _, err := storages.LoadOrNew(s.key, func() (caddy.Destructor, error) { return newSharedStorage(s) })
	if err != nil {
		return nil, err
	}
	shared := value.(*sharedStorage)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.users = append(shared.users, s)
	if err := shared.follow(); err != nil {
		shared.users = shared.users[:len(shared.users)-1]
		_, e := storages.Delete(s.key)
		return nil, errors.Join(err, e)
	}
	return shared, nil
}

func newSharedStorage(s *Storage) (*sharedStorage, error) {
	cluster, closeStore, err := s.Store.open()
	if err != nil {
		return nil, err
	}
	ring, err := certstore.NewRing(s.current, s.older...)
	if err == nil {
		var store *certstore.Store
		store, err = certstore.New(certstore.Options{
			Cluster: cluster, Ring: ring, Lease: time.Duration(s.Lease), Cache: s.Cache, Reseal: true, Node: nodeName(), Logger: s.logger,
		})
		if err == nil {
			return &sharedStorage{key: s.key, store: store, closeStore: closeStore, connection: &s.Connection, logger: s.logger}, nil
		}
	}
	return nil, errors.Join(err, closeStore())
}

// follow takes up the keys, the credentials and the lease of the last configuration.
// Keys of the others open as well, as long as those run. shared.mu is held.
func (shared *sharedStorage) follow() error {
	last := shared.users[len(shared.users)-1]
	var older []*certstore.Key
	for _, s := range slices.Backward(shared.users) {
		older = append(append(older, s.older...), s.current)
	}
	older = append(older, shared.retired...)
	ring, err := certstore.NewRing(last.current, older...)
	if err != nil {
		return err
	}
	shared.connection.adopt(&last.Connection)
	return shared.store.Use(ring, time.Duration(last.Lease))
}

// leave gives up what a configuration used: one that was replaced, or that a reload
// failed with, after which the one before is followed again.
func (shared *sharedStorage) leave(s *Storage) error {
	shared.mu.Lock()
	if at := slices.Index(shared.users, s); at >= 0 {
		failed := at == len(shared.users)-1 // else it was replaced
		shared.users = slices.Delete(shared.users, at, at+1)
		if failed {
			shared.retired = append(shared.retired, s.current)
		}
		if len(shared.users) > 0 {
			if err := shared.follow(); err != nil {
				shared.logger.Error("going back to the keys before", zap.Error(err))
			}
		}
	}
	shared.mu.Unlock()
	_, err := storages.Delete(shared.key)
	return err
}

// Destruct ends the storage when no configuration uses it any more.
func (shared *sharedStorage) Destruct() error {
	return errors.Join(shared.store.Close(), shared.closeStore())
}

// Interface guards
var (
	_ caddy.Destructor = (*sharedStorage)(nil)
)
