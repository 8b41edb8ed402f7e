// What a front door has in memory.

package certificates_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// stocked is a storage with certificates, of a front door that never leads.
func stocked(t *testing.T, names ...string) (*fleet, *faulty, *front) {
	t.Helper()
	f := newFleet(t)
	f.stock(names...)
	storage := &faulty{Storage: f.storage}
	f.storage = storage
	d := f.service("one")
	t.Cleanup(func() { // lets go of its memory
		ended, end := context.WithCancel(context.Background())
		end()
		d.Run(ended)
	})
	return f, storage, d
}

// stock obtains certificates, as another front door would.
func (f *fleet) stock(names ...string) {
	f.t.Helper()
	config := certmagic.New(certmagicCache(f.t), certmagic.Config{Storage: f.storage, Issuers: []certmagic.Issuer{f.ca}, Logger: zap.NewNop(), DisableStorageCheck: true})
	for _, name := range names {
		if f.ca.asks(name) == 0 {
			must(f.t, config.ObtainCertSync(f.t.Context(), name))
		} else {
			must(f.t, config.RenewCertSync(f.t.Context(), name, true))
		}
	}
}

// TestLoadedOnce: at first use, for all who ask meanwhile; and not again.
func TestLoadedOnce(t *testing.T) {
	t.Parallel()
	f, storage, d := stocked(t, "a.once.example")
	if _, err := d.Certificate(t.Context(), "a.once.example"); !errors.Is(err, certificates.ErrNone) {
		t.Errorf("without a configuration: %v", err)
	}
	d.Use(f.settings())
	gate := make(chan struct{})
	storage.gate.Store(&gate)
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() {
			if _, err := d.Certificate(t.Context(), "a.once.example"); err != nil {
				t.Error(err)
			}
		})
	}
	// Who goes away does not end it for the others.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Certificate(gone, "a.once.example"); !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone: %v", err)
	}
	f.until("it is being loaded", func() error { return is(storage.loads.Load() > 0, "yet") })
	storage.gate.Store(nil)
	close(gate)
	asking.Wait()
	if n := storage.loads.Load(); n != 3 { // key, certificate, metadata
		t.Errorf("%d loads", n)
	}
	d.serves("a.once.example")
	if n := storage.loads.Load(); n != 3 {
		t.Errorf("%d loads after it was in memory", n)
	}
	if _, err := d.Certificate(t.Context(), "b.once.example"); !errors.Is(err, certificates.ErrNone) {
		t.Errorf("what there is not: %v", err)
	}
	storage.down.Store(true)
	d.serves("a.once.example")
	if _, err := d.Certificate(t.Context(), "b.once.example"); err == nil || errors.Is(err, certificates.ErrNone) {
		t.Errorf("what cannot be told: %v", err)
	}
}

// TestCapacity bounds the memory; what was let go of is loaded again.
func TestCapacity(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("n%d.capacity.example", i))
	}
	f, storage, d := stocked(t, names...)
	d.Use(f.settings(func(s *certificates.Settings) { s.Capacity = 4 }))
	for range 3 {
		for _, name := range names {
			d.serves(name)
		}
	}
	if n := storage.loads.Load(); n < 3*3*8 {
		t.Errorf("%d loads: more is kept than was allowed", n)
	}
}

// TestReplaced: a certificate that another front door has renewed is taken up near the
// end of the old one, beside a handshake; and in it, where the old one has expired.
func TestReplaced(t *testing.T) {
	t.Parallel()
	f, storage, d := stocked(t, "a.replaced.example")
	d.Use(f.settings())
	first := d.serves("a.replaced.example")
	f.stock("a.replaced.example")
	if serial(d.serves("a.replaced.example")) != serial(first) {
		t.Error("it was looked for long before its end")
	}
	f.clock.advanceTo(first.NotAfter.Add(-20 * 24 * time.Hour))
	d.serves("a.replaced.example")
	var second = first
	f.until("the new one is served", func() error {
		second = d.serves("a.replaced.example")
		return is(serial(second) != serial(first), "yet")
	})
	// Expired, with nothing newer: it is served, and looked for once in a minute.
	f.clock.advanceTo(second.NotAfter.Add(time.Hour))
	d.serves("a.replaced.example")
	loads := storage.loads.Load()
	for range 10 {
		d.serves("a.replaced.example")
	}
	if n := storage.loads.Load() - loads; n != 0 {
		t.Errorf("%d loads within a minute", n)
	}
	f.clock.advance(61 * time.Second)
	storage.down.Store(true)
	d.serves("a.replaced.example")
	storage.down.Store(false)
	f.stock("a.replaced.example")
	f.clock.advance(61 * time.Second)
	if leaf := d.serves("a.replaced.example"); !leaf.NotAfter.After(f.clock.Now()) {
		t.Error("the expired one is served")
	}
}

// TestForgotten: what is forgotten while it is loaded is not kept.
func TestForgotten(t *testing.T) {
	t.Parallel()
	f, storage, d := stocked(t, "a.forgotten.example")
	d.Use(f.settings())
	d.serves("a.forgotten.example")
	d.Forget("a.forgotten.example", "b.forgotten.example")
	gate := make(chan struct{})
	storage.gate.Store(&gate)
	loads := storage.loads.Load()
	done := make(chan error, 1)
	go func() {
		_, err := d.Certificate(t.Context(), "a.forgotten.example")
		done <- err
	}()
	f.until("it is being loaded", func() error { return is(storage.loads.Load() > loads, "yet") })
	d.Forget("a.forgotten.example")
	storage.gate.Store(nil)
	close(gate)
	must(t, <-done)
	must(t, f.storage.Delete(t.Context(), "certificates"))
	if _, err := d.Certificate(t.Context(), "a.forgotten.example"); !errors.Is(err, certificates.ErrNone) {
		t.Errorf("it is in memory: %v", err)
	}
}

// TestOtherStorage: what was in another storage, or of other issuers, is let go of; and
// configurations that follow quickly, while certificates are loaded, do no harm.
func TestOtherStorage(t *testing.T) {
	t.Parallel()
	f, _, d := stocked(t, "a.storage.example")
	d.Use(f.settings())
	d.serves("a.storage.example")
	d.Use(f.settings(func(s *certificates.Settings) { s.Storage = &certmagic.FileStorage{Path: t.TempDir()} }))
	if _, err := d.Certificate(t.Context(), "a.storage.example"); !errors.Is(err, certificates.ErrNone) {
		t.Errorf("of another storage: %v", err)
	}
	other := newAuthority(t, "other", f.clock)
	d.Use(f.settings())
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for range 50 {
				if _, err := d.Certificate(t.Context(), "a.storage.example"); err != nil && !errors.Is(err, certificates.ErrNone) {
					t.Error(err)
				}
				d.Forget("a.storage.example")
			}
		})
	}
	for i := range 30 {
		issuer := []certmagic.Issuer{f.ca, other}[i%2]
		d.Use(f.settings(func(s *certificates.Settings) { s.Issuers = []certmagic.Issuer{issuer} }))
	}
	asking.Wait()
	d.Use(f.settings())
	d.serves("a.storage.example")
}
