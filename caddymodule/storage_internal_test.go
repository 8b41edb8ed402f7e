// Shared storages by themselves: the keys of configurations that come and go.

package caddymodule

import (
	"testing"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// TestKeysOfFailedReload: what was sealed while a reload was under way that fails can be
// opened after it.
func TestKeysOfFailedReload(t *testing.T) {
	t.Setenv("A", "11111111111111111111111111111111aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	t.Setenv("B", "22222222222222222222222222222222bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
	dir := t.TempDir()
	open := func(key string) (*Storage, certmagic.Storage) {
		t.Helper()
		s := &Storage{Store: Store{Driver: DriverEmbedded, Path: dir}, EncryptionKey: key, key: dir, logger: zap.NewNop()}
		storage, err := s.CertMagicStorage()
		if err != nil {
			t.Fatal(err)
		}
		return s, storage
	}
	first, storage := open("{env.A}")
	failed, _ := open("{env.B}")
	if err := storage.Store(t.Context(), "key", []byte("sealed meanwhile")); err != nil {
		t.Fatal(err)
	}
	if err := failed.Cleanup(); err != nil {
		t.Fatal(err)
	}
	if got, err := storage.Load(t.Context(), "key"); err != nil || string(got) != "sealed meanwhile" {
		t.Errorf("%q (%v)", got, err)
	}
	if err := first.Cleanup(); err != nil {
		t.Error(err)
	}
}
