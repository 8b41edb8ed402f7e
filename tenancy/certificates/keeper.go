// Keeper: the certificates in a front door's memory, loaded at their first use.

package certificates

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
)

const (
	// loadTime bounds the loading of one certificate from the storage.
	loadTime = 10 * time.Second
	// loads bounds how many are loaded at a time.
	loads = 64
	// reloadEvery is how often at most a certificate that is near its end is looked for
	// anew, since another front door renews it.
	reloadEvery = time.Minute
)

// ErrNone: there is no certificate for a name yet.
var ErrNone = errors.New("there is no certificate for this name yet")

// magic is one configuration in use, with what is in memory of it.
type magic struct {
	settings *Settings
	config   *certmagic.Config
	cache    *certmagic.Cache
}

// keeper has the certificates of this front door. Caddy's own cache cannot be evicted
// from outside, so there is another one.
type keeper struct {
	log   *zap.Logger
	now   func() time.Time
	magic atomic.Pointer[magic]

	flight  singleflight.Group
	loading chan struct{}

	mu     sync.Mutex
	looked map[string]time.Time // when names near their end were looked for anew; bounded by what is kept
}

func newKeeper(log *zap.Logger, now func() time.Time) *keeper {
	return &keeper{log: log, now: now, loading: make(chan struct{}, loads), looked: map[string]time.Time{}}
}

func (k *keeper) options(capacity int) certmagic.CacheOptions {
	return certmagic.CacheOptions{
		// Maintenance staples OCSP. It renews nothing that is on demand: that is the leader's.
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) {
			m := k.magic.Load()
			if m == nil {
				return nil, errors.New("no configuration asks for certificates")
			}
			return m.config, nil
		},
		Capacity: capacity,
		Logger:   k.log,
	}
}

// use takes up a configuration. What other issuers have made, or is in another storage,
// is let go of. It is not for concurrent use.
func (k *keeper) use(s *Settings) {
	capacity := s.Capacity
	if capacity <= 0 {
		capacity = DefaultCapacity
	}
	before := k.magic.Load()
	m := &magic{settings: s}
	if before != nil && before.settings.Storage == s.Storage && sameIssuers(before.settings.Issuers, s.Issuers) {
		m.cache = before.cache
		m.cache.SetOptions(k.options(capacity))
	} else {
		m.cache = certmagic.NewCache(k.options(capacity))
	}
	issuers := make([]certmagic.Issuer, len(s.Issuers))
	for i, issuer := range s.Issuers {
		issuers[i] = quiet{issuer}
	}
	m.config = certmagic.New(m.cache, certmagic.Config{
		Storage: s.Storage, Issuers: issuers, Logger: k.log,
		KeySource:          certmagic.StandardKeyGenerator{KeyType: s.KeyType},
		RenewalWindowRatio: s.RenewalWindowRatio, ReusePrivateKeys: s.ReusePrivateKeys, MustStaple: s.MustStaple,
		OCSP:                certmagic.OCSPConfig{DisableStapling: s.DisableOCSPStapling},
		DisableStorageCheck: s.DisableStorageCheck,
		// On demand, so that the cache's maintenance leaves the renewal alone.
		OnDemand: &certmagic.OnDemandConfig{DecisionFunc: func(context.Context, string) error { return ErrNone }},
	})
	if s.Bind != nil {
		s.Bind(m.config)
	}
	k.magic.Store(m)
	if before != nil && before.cache != m.cache {
		before.cache.Stop()
	}
}

func sameIssuers(a, b []certmagic.Issuer) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].IssuerKey() != b[i].IssuerKey() {
			return false
		}
	}
	return true
}

// get is the certificate of a name: from memory, or from the storage. ErrNone says that
// there is none, any other error that it cannot be told.
func (k *keeper) get(ctx context.Context, name string) (*tls.Certificate, error) {
	if cert, ok := k.kept(name); ok {
		if k.nearEnd(cert) {
			return k.again(ctx, name, cert)
		}
		return &cert.Certificate, nil
	}
	return k.load(ctx, name)
}

// kept is the newest certificate in memory.
func (k *keeper) kept(name string) (best certmagic.Certificate, ok bool) {
	m := k.magic.Load()
	if m == nil {
		return best, false
	}
	for _, cert := range m.cache.AllMatchingCertificates(name) {
		if cert.Leaf != nil && (!ok || cert.Leaf.NotAfter.After(best.Leaf.NotAfter)) {
			best, ok = cert, true
		}
	}
	return best, ok
}

// nearEnd tells whether a certificate is to have been renewed by now.
func (k *keeper) nearEnd(cert certmagic.Certificate) bool {
	life := cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)
	return k.now().After(cert.Leaf.NotAfter.Add(-life / 3))
}

// again looks for a certificate that another front door has renewed: beside the
// handshake, but for one that has expired.
func (k *keeper) again(ctx context.Context, name string, cert certmagic.Certificate) (*tls.Certificate, error) {
	now := k.now()
	k.mu.Lock()
	if now.Sub(k.looked[name]) < reloadEvery {
		k.mu.Unlock()
		return &cert.Certificate, nil
	}
	if len(k.looked) > 4*DefaultCapacity { // names that are long gone
		clear(k.looked)
	}
	k.looked[name] = now
	k.mu.Unlock()
	if now.Before(cert.Leaf.NotAfter) {
		go func() { _, _ = k.load(context.WithoutCancel(ctx), name) }() // what fails is tried in a minute
		return &cert.Certificate, nil
	}
	if fresh, err := k.load(ctx, name); err == nil {
		return fresh, nil
	}
	return &cert.Certificate, nil // a browser says more of it than a handshake that fails
}

// load takes a certificate from the storage into memory, in place of an older one.
func (k *keeper) load(ctx context.Context, name string) (*tls.Certificate, error) {
	found := k.flight.DoChan(name, func() (any, error) {
		// Not with the first one's context: others wait for the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTime)
		defer cancel()
		select {
		case k.loading <- struct{}{}:
			defer func() { <-k.loading }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		m := k.magic.Load()
		if m == nil {
			return nil, ErrNone
		}
		before := m.cache.AllMatchingCertificates(name)
		cert, err := m.config.CacheManagedCertificate(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNone
		}
		if err != nil {
			return nil, err
		}
		m.discard(before, cert.Hash())
		return &cert.Certificate, nil
	})
	select {
	case r := <-found:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*tls.Certificate), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// discard lets go of certificates but for one.
func (m *magic) discard(certs []certmagic.Certificate, but string) {
	var hashes []string
	for _, cert := range certs {
		if hash := cert.Hash(); hash != "" && hash != but {
			hashes = append(hashes, hash)
		}
	}
	if len(hashes) > 0 {
		m.cache.Remove(hashes)
	}
}

// forget lets go of the certificates of names.
func (k *keeper) forget(names ...string) {
	m := k.magic.Load()
	if m == nil {
		return
	}
	for _, name := range names {
		m.discard(m.cache.AllMatchingCertificates(name), "")
		k.mu.Lock()
		delete(k.looked, name)
		k.mu.Unlock()
	}
}

// close ends the cache's maintenance. Nothing may be asked of it any more.
func (k *keeper) close() {
	if m := k.magic.Swap(nil); m != nil {
		m.cache.Stop()
	}
}
