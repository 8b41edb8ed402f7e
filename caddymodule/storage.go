// Storage: Caddy's storage in the store, for certificates and their private keys.

package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
)

func init() { caddy.RegisterModule(new(Storage)) }

// Storage keeps certificates, private keys, OCSP staples and ACME accounts in CouchDB,
// or in the embedded store, for all front doors that name it. They are sealed there,
// and locks keep two front doors from ordering one certificate. With a local copy a
// front door serves TLS while CouchDB does not answer.
//
// It connects at its first use. Keys are read when a configuration is loaded, so that
// one without its keys is refused.
type Storage struct {
	// Where it is: `urls`, `username` and `password` of a CouchDB cluster, or the
	// driver "embedded" and the `path` of its folder, which may be that of the
	// tenancy app's store. Default of the driver: "couchdb".
	Store

	// The key that values are sealed with: 32 bytes in base64 or hexadecimal, as
	// `openssl rand -base64 32` makes them. Since GET /config/ shows the
	// configuration, it is a placeholder, as in {file./run/secrets/gatehouse-storage-key}.
	EncryptionKey string `json:"encryption_key,omitempty"`

	// Keys that values were sealed with before, or will be; they open and never seal.
	OldEncryptionKeys []string `json:"old_encryption_keys,omitempty"`

	// The folder of the local copy, which holds what is sealed as it is in the store;
	// "off" for none. Default: a folder in Caddy's data folder, named after the store;
	// none for the embedded store.
	Cache string `json:"cache,omitempty"`

	// How long a lock outlives a front door that dies. Default: 30s.
	Lease caddy.Duration `json:"lease,omitempty"`

	key     string // of the pool
	current *certstore.Key
	older   []*certstore.Key
	shared  *sharedStorage // nil until CertMagicStorage
	logger  *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (*Storage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.couchdb", New: func() caddy.Module { return new(Storage) }}
}

// Provision checks the configuration. It opens and reads nothing.
func (s *Storage) Provision(ctx caddy.Context) error {
	s.logger = ctx.Logger()
	if s.Driver == "" {
		s.Driver = DriverCouchDB
	}
	if err := s.Store.provision(); err != nil {
		return err
	}
	if s.EncryptionKey == "" {
		return errors.New("encryption_key: is missing, and private keys are not stored in clear; make one with\n\topenssl rand -base64 32\nand name where it is, as in\n\tencryption_key {file./run/secrets/gatehouse-storage-key}")
	}
	for option, secret := range s.secrets() {
		if !placeholdersOnly.MatchString(secret) {
			name, _, _ := strings.Cut(option, " ")
			return fmt.Errorf("%s: stands in the configuration, which GET /config/ shows; write a placeholder, as in\n\t%s {file./run/secrets/gatehouse-storage-key}", option, name)
		}
	}
	if lease := time.Duration(s.Lease); lease != 0 && (lease < certstore.MinLease || lease > certstore.MaxLease) {
		return fmt.Errorf("lease: is a time from %s to %s", certstore.MinLease, certstore.MaxLease)
	}
	key, err := s.Store.key()
	if err != nil {
		return err
	}
	folder, err := s.cacheFolder(key)
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	s.Cache = folder
	s.key = key + "\n" + folder
	return nil
}

// secrets are the keys by the names of their options.
func (s *Storage) secrets() map[string]string {
	all := map[string]string{"encryption_key": s.EncryptionKey}
	for i, old := range s.OldEncryptionKeys {
		all[fmt.Sprintf("old_encryption_key %d", i+1)] = old
	}
	return all
}

// cacheFolder is where the local copy of a store is; empty for none.
func (s *Storage) cacheFolder(key string) (string, error) {
	switch {
	case s.Cache == "off" || s.Cache == "" && s.Driver == DriverEmbedded:
		return "", nil
	case s.Cache == "":
		sum := sha256.Sum256([]byte(key))
		return filepath.Join(caddy.AppDataDir(), "gatehouse", "certificates-"+hex.EncodeToString(sum[:6])), nil
	default:
		return realPath(s.Cache)
	}
}

// CertMagicStorage reads the keys, and finds, or makes, the storage that
// configurations of one store share. It does not connect.
func (s *Storage) CertMagicStorage() (certmagic.Storage, error) {
	if s.shared != nil {
		return s.shared.store, nil
	}
	var err error
	if s.current, err = readKey("encryption_key", s.EncryptionKey); err != nil {
		return nil, err
	}
	s.older = nil
	for i, old := range s.OldEncryptionKeys {
		k, err := readKey(fmt.Sprintf("old_encryption_key %d", i+1), old)
		if err != nil {
			return nil, err
		}
		s.older = append(s.older, k)
	}
	if s.shared, err = loadSharedStorage(s); err != nil {
		return nil, err
	}
	return s.shared.store, nil
}

// readKey reads a key from where its placeholder leads.
func readKey(option, placeholder string) (*certstore.Key, error) {
	text := strings.TrimSpace(caddy.NewReplacer().ReplaceAll(placeholder, ""))
	if text == "" {
		return nil, fmt.Errorf("%s: %s has no value, or cannot be read", option, placeholder)
	}
	k, err := certstore.ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", option, placeholder, err)
	}
	return k, nil
}

// Cleanup gives the storage up, which ends with its last user.
func (s *Storage) Cleanup() error {
	if s.shared == nil {
		return nil
	}
	return s.shared.leave(s)
}

// String says where certificates are, without any secret.
func (s *Storage) String() string { return "couchdb:" + s.name() }

// Interface guards
var (
	_ caddy.Module           = (*Storage)(nil)
	_ caddy.Provisioner      = (*Storage)(nil)
	_ caddy.StorageConverter = (*Storage)(nil)
	_ caddy.CleanerUpper     = (*Storage)(nil)
	_ fmt.Stringer           = (*Storage)(nil)
)
