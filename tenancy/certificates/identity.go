// Identity: by which the records of one storage are told from those of another.

package certificates

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"time"

	"go.uber.org/zap"
)

// identityKey is where a storage has the id by which its records are told from those of
// other storages on the same store.
const identityKey = "gatehouse/storage_id"

// identity is the id of the storage of settings.
type identity struct {
	of *Settings // so that a slow answer is not taken for that of another configuration's
	id string
}

// identify reads the storage's id, or gives it one.
func (s *Service) identify(ctx context.Context, settings *Settings) (string, error) {
	if known := s.identity.Load(); known != nil && known.of == settings {
		return known.id, nil
	}
	raw, err := settings.Storage.Load(ctx, identityKey)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = s.nameStorage(ctx, settings)
	}
	if err != nil {
		return "", err
	}
	id := string(raw)
	if _, err := hex.DecodeString(id); err != nil || len(id) != 16 {
		return "", errors.New(identityKey + " of the storage is not an id that Gatehouse has written")
	}
	s.identity.Store(&identity{of: settings, id: id})
	return id, nil
}

// identityEvery is how often it is looked whether the storage has the id that is known.
const identityEvery = 5 * time.Minute

// renamed tells whether the storage has another id than the known one, which is forgotten
// then: it was lost, and another front door has given it a new one. One without any gets
// back what it had, and with it the records.
func (s *Service) renamed(ctx context.Context) bool {
	known, settings := s.identity.Load(), s.settings.Load()
	if known == nil || settings == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	raw, err := settings.Storage.Load(ctx, identityKey)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = s.nameStorage(ctx, settings)
	}
	if err != nil || string(raw) == known.id {
		return false // what cannot be told now is looked at again
	}
	s.Logger.Warn("the storage of certificates has another id than before; was it replaced?", zap.String("before", known.id))
	s.identity.CompareAndSwap(known, nil)
	return true
}

// nameStorage gives the storage an id, unless another front door has meanwhile: the one
// that it is known by here, or a new one.
func (s *Service) nameStorage(ctx context.Context, settings *Settings) ([]byte, error) {
	storage := settings.Storage
	if err := storage.Lock(ctx, "gatehouse_storage_id"); err != nil {
		return nil, err
	}
	defer func() {
		if err := storage.Unlock(context.WithoutCancel(ctx), "gatehouse_storage_id"); err != nil {
			s.Logger.Warn("unlocking the storage of certificates", zap.Error(err))
		}
	}()
	raw, err := storage.Load(ctx, identityKey)
	if !errors.Is(err, fs.ErrNotExist) {
		return raw, err
	}
	if known := s.identity.Load(); known != nil && sameStorage(known.of.Storage, storage) {
		raw = []byte(known.id)
	} else {
		var id [8]byte
		if _, err := io.ReadFull(s.random(), id[:]); err != nil {
			return nil, err
		}
		raw = []byte(hex.EncodeToString(id[:]))
	}
	return raw, storage.Store(ctx, identityKey, raw)
}

// records are those of the storage in use.
func (s *Service) records(ctx context.Context) (records, error) {
	settings := s.settings.Load()
	if settings == nil {
		return records{}, ErrInactive
	}
	return s.recordsOf(ctx, settings)
}

// recordsOf are those of the storage of settings.
func (s *Service) recordsOf(ctx context.Context, settings *Settings) (records, error) {
	id, err := s.identify(ctx, settings)
	return records{cluster: s.Cluster, storage: id}, err
}
