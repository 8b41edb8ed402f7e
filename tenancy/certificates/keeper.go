// Keeper: the certificates in a front door's memory, loaded at their first use.

package certificates

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
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
	config   *certmagic.Config // loads, and issues nothing
	orders   *certmagic.Config // of the leader
	cache    *certmagic.Cache
	flight   singleflight.Group
}

// keeper has the certificates of this front door. Caddy's own cache cannot be evicted
// from outside, so there is another one.
type keeper struct {
	log     *zap.Logger
	now     func() time.Time
	revoked func(name string) // is told of certificates that OCSP says are revoked
	magic   atomic.Pointer[magic]
	loading chan struct{}
	forgets atomic.Int64 // goes up before names are forgotten

	using    sync.Mutex
	closed   bool
	stopping sync.WaitGroup // caches that are not used any more

	mu     sync.Mutex
	looked map[string]time.Time // when names near their end were looked for anew; bounded by what is kept
}

func newKeeper(log *zap.Logger, now func() time.Time, revoked func(string)) *keeper {
	return &keeper{log: log, now: now, revoked: revoked, loading: make(chan struct{}, loads), looked: map[string]time.Time{}}
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

// use takes up a configuration; nil for none. What other issuers have made, or is in
// another storage, is let go of.
func (k *keeper) use(s *Settings) {
	k.using.Lock()
	defer k.using.Unlock()
	before := k.magic.Load()
	var m *magic
	if s != nil && !k.closed {
		m = k.newMagic(s, before)
	}
	k.magic.Store(m)
	if before != nil && (m == nil || before.cache != m.cache) {
		k.stopping.Go(before.cache.Stop) // it may be at something that takes long
	}
}

func (k *keeper) newMagic(s *Settings, before *magic) *magic {
	capacity := s.Capacity
	if capacity <= 0 {
		capacity = DefaultCapacity
	}
	if before != nil && before.settings == s { // a reload has failed
		return before
	}
	m := &magic{settings: s}
	if before != nil && sameStorage(before.settings.Storage, s.Storage) && sameIssuers(before.settings.Issuers, s.Issuers) {
		m.cache = before.cache
		m.cache.SetOptions(k.options(capacity))
	} else {
		m.cache = certmagic.NewCache(k.options(capacity))
	}
	loud, silent := make([]certmagic.Issuer, len(s.Issuers)), make([]certmagic.Issuer, len(s.Issuers))
	for i, issuer := range s.Issuers {
		loud[i], silent[i] = quiet{issuer}, mute{issuer, k.revoked}
	}
	config := certmagic.Config{
		Storage: s.Storage, Logger: k.log,
		KeySource:          certmagic.StandardKeyGenerator{KeyType: s.KeyType},
		RenewalWindowRatio: s.RenewalWindowRatio, ReusePrivateKeys: s.ReusePrivateKeys, MustStaple: s.MustStaple,
		OCSP:                certmagic.OCSPConfig{DisableStapling: s.DisableOCSPStapling},
		DisableStorageCheck: s.DisableStorageCheck,
		// On demand, so that the cache's maintenance leaves the renewal alone.
		OnDemand: &certmagic.OnDemandConfig{DecisionFunc: func(context.Context, string) error { return ErrNone }},
	}
	config.Issuers = silent
	m.config = certmagic.New(m.cache, config)
	config.Issuers = loud
	m.orders = certmagic.New(m.cache, config)
	if s.Bind != nil {
		s.Bind(m.orders)
	}
	return m
}

// sameStorage tells whether two storages are the same. A reload makes a new one for the
// same place; as certmagic's own, many say by String where that is.
func sameStorage(a, b certmagic.Storage) bool {
	kind := reflect.TypeOf(a)
	if kind != reflect.TypeOf(b) {
		return false
	}
	if kind.Comparable() && a == b {
		return true
	}
	first, ok := a.(fmt.Stringer)
	return ok && first.String() == b.(fmt.Stringer).String()
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
	fresh, err := k.load(ctx, name)
	if err == nil {
		return fresh, nil
	}
	if errors.Is(err, ErrNone) { // it was removed
		k.forget(name)
		return nil, err
	}
	return &cert.Certificate, nil // a browser says more of it than a handshake that fails
}

// load takes a certificate from the storage into memory, in place of an older one.
func (k *keeper) load(ctx context.Context, name string) (*tls.Certificate, error) {
	m := k.magic.Load()
	if m == nil {
		return nil, ErrNone
	}
	found := m.flight.DoChan(name, func() (any, error) {
		// Not with the first one's context: others wait for the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTime)
		defer cancel()
		select {
		case k.loading <- struct{}{}:
			defer func() { <-k.loading }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		forgets := k.forgets.Load()
		before := m.cache.AllMatchingCertificates(name)
		cert, err := m.config.CacheManagedCertificate(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNone
		}
		if err != nil {
			return nil, err
		}
		m.discard(before, cert.Hash())
		if k.forgets.Load() != forgets { // perhaps this name; another one's is loaded again
			m.discard([]certmagic.Certificate{cert}, "")
		}
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

// renewed loads a certificate of which an older one is in memory, beside its caller.
func (k *keeper) renewed(name, serial string) {
	if cert, ok := k.kept(name); ok && serialOf(cert.Leaf) != serial {
		go func() { _, _ = k.load(context.Background(), name) }() // else near its end
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
	k.forgets.Add(1) // before, so that a load under way sees it or is undone here
	for _, name := range names {
		m.discard(m.cache.AllMatchingCertificates(name), "")
		k.mu.Lock()
		delete(k.looked, name)
		k.mu.Unlock()
	}
}

// close ends the cache's maintenance. Nothing is in memory after it.
func (k *keeper) close() {
	k.using.Lock()
	k.closed = true
	if m := k.magic.Swap(nil); m != nil {
		k.stopping.Go(m.cache.Stop)
	}
	k.using.Unlock()
	k.stopping.Wait()
}
