// Certificates before the first visit: obtained once, whatever happens meanwhile.

package certificates_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// TestObtained by one of two front doors, without a visit; both serve them.
func TestObtained(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, open func() *couch.Cluster) {
		names := []string{"one.obtain.example", "two.obtain.example", "three.obtain.example"}
		f := fleetOn(t, open, names...)
		f.hosts.set("localhost", certificates.Owner{Instance: "x"}) // no name of a certificate
		f.hosts.set("a.wild.example", certificates.Owner{Instance: "y"})
		wildcard := func(s *certificates.Settings) { s.Wildcards = []string{"*.wild.example"} }
		one, two := f.front("one", f.settings(wildcard)), f.front("two", f.settings(wildcard))
		for _, name := range names {
			rec := two.state(name, certificates.Issued)
			leaf := two.serves(name)
			if rec.Serial != serial(leaf) || !rec.NotAfter.Equal(leaf.NotAfter) || rec.Instance != "of-"+name || rec.Issuer != authorityKey {
				t.Errorf("%+v", rec)
			}
			if left := rec.NotAfter.Sub(rec.RenewAt); left > 30*24*time.Hour || left < 15*24*time.Hour {
				t.Errorf("renewed with %s left", left)
			}
			if serial(one.serves(name)) != rec.Serial {
				t.Error("two certificates of one name")
			}
		}
		later := "later.obtain.example"
		f.hosts.set(later, certificates.Owner{Instance: "z"})
		one.Want(later)
		two.Want(later)
		one.state(later, certificates.Issued)
		if n := f.ca.count(); n != 4 {
			t.Errorf("%d orders", n)
		}
		if one.Leads() == two.Leads() {
			t.Error("not one of them leads")
		}
		if n := one.Counts().Orders + two.Counts().Orders; n != 4 {
			t.Errorf("%d orders are counted", n)
		}
		for _, name := range []string{"localhost", "a.wild.example"} {
			one.noRecord(name)
		}
	})
}

// TestMoved: certificates that were in the storage before, as stock Caddy has left them,
// are no reason for an order, but for one that is near its end.
func TestMoved(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "good.moved.example", "ending.moved.example", "torn.moved.example", "lost.moved.example", "bad.moved.example")
	stock := certmagic.New(certmagicCache(t), certmagic.Config{Storage: f.storage, Issuers: []certmagic.Issuer{f.ca}, Logger: zap.NewNop()})
	obtain := func(name string) {
		t.Helper()
		must(t, stock.ObtainCertSync(t.Context(), name))
	}
	for _, name := range []string{"good", "torn", "lost", "bad"} {
		obtain(name + ".moved.example")
	}
	f.ca.set(func() { f.ca.age = 80 * 24 * time.Hour })
	obtain("ending.moved.example")
	f.ca.set(func() { f.ca.age = 0 })
	keys := certmagic.StorageKeys
	// The writer of one has died between its key and its certificate, of another something
	// is missing, and of a third nothing is right.
	other, err := f.storage.Load(t.Context(), keys.SitePrivateKey(authorityKey, "good.moved.example"))
	must(t, err)
	must(t, f.storage.Store(t.Context(), keys.SitePrivateKey(authorityKey, "torn.moved.example"), other))
	must(t, f.storage.Delete(t.Context(), keys.SiteMeta(authorityKey, "lost.moved.example")))
	must(t, f.storage.Store(t.Context(), keys.SiteCert(authorityKey, "bad.moved.example"), []byte("nothing")))

	refusing := f.settings(func(s *certificates.Settings) {
		// A proof that fails does not keep what is there from being renewed.
		s.Proof = &certificates.Proof{Names: []string{"edge.example"}, Resolver: zone{"torn.moved.example": "edge.example", "lost.moved.example": "edge.example", "bad.moved.example": "edge.example"}}
	})
	d := f.leader(refusing)
	for name, asks := range map[string]int{"good": 1, "ending": 2, "torn": 2, "lost": 2, "bad": 2} {
		name += ".moved.example"
		rec := d.state(name, certificates.Issued)
		if n := f.ca.asks(name); n != asks {
			t.Errorf("%s was ordered %d times", name, n)
		}
		if leaf := d.serves(name); serial(leaf) != rec.Serial {
			t.Errorf("%s: another certificate is served", name)
		}
	}
}

// TestNotLoaded: a directory that does not know the fleet yet is no reason to do anything.
func TestNotLoaded(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.unloaded.example")
	d := f.leader(f.settings())
	d.state("a.unloaded.example", certificates.Issued)
	d.stop()
	f.hosts.change(func() { f.hosts.unloaded, f.hosts.owners = true, map[string]certificates.Owner{} })
	d = f.leader(f.settings())
	d.Want("a.unloaded.example", "b.unloaded.example")
	f.hosts.set("a.unloaded.example", certificates.Owner{Instance: "of-a"})
	f.hosts.set("b.unloaded.example", certificates.Owner{Instance: "of-b"})
	f.hosts.change(func() { f.hosts.unloaded = false })
	d.state("b.unloaded.example", certificates.Issued)
	d.state("a.unloaded.example", certificates.Issued)
	if n := f.hosts.goneAsked(); n != 0 || f.ca.count() != 2 {
		t.Errorf("asked %d times whether a name is gone, %d orders", n, f.ca.count())
	}
}

// TestDeleting: no order for what is being deleted, until that is given up.
func TestDeleting(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.hosts.set("a.deleting.example", certificates.Owner{Instance: "a", Deleting: true})
	d := f.leader(f.settings())
	d.Want("a.deleting.example")
	f.settle(d)
	d.noRecord("a.deleting.example")
	f.hosts.set("a.deleting.example", certificates.Owner{Instance: "a"})
	d.Want("a.deleting.example")
	d.state("a.deleting.example", certificates.Issued)
}

// TestStorageDown: the queue waits, without haste, and finishes.
func TestStorageDown(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.down.example", "b.down.example", "c.down.example")
	storage := &faulty{Storage: f.storage}
	f.storage = storage
	d := f.leader(f.settings())
	for _, name := range []string{"a.down.example", "b.down.example", "c.down.example"} {
		d.state(name, certificates.Issued)
	}
	storage.down.Store(true)
	f.hosts.set("d.down.example", certificates.Owner{Instance: "d"})
	f.hosts.set("e.down.example", certificates.Owner{Instance: "e"})
	d.Want("d.down.example", "e.down.example")
	f.until("it was tried", func() error { return is(storage.tried.Load() > 0, "tried") })
	if _, err := d.Certificate(t.Context(), "d.down.example"); err == nil || errors.Is(err, certificates.ErrNone) {
		t.Errorf("what cannot be told: %v", err)
	}
	d.serves("a.down.example") // from memory
	tried := storage.tried.Load()
	begun := time.Now()
	f.until("some time has passed", func() error { return is(time.Since(begun) > 2*time.Second, "yet") })
	if n := storage.tried.Load() - tried; n > 20 {
		t.Errorf("%d attempts in 2 s", n)
	}
	storage.down.Store(false)
	for _, name := range []string{"d.down.example", "e.down.example"} {
		d.state(name, certificates.Issued)
	}
	if n := f.ca.count(); n != 5 {
		t.Errorf("%d orders", n)
	}
}
