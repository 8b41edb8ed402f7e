// What changes while an order is under way, and between a certificate and its record.

package certificates_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// TestReload in the middle of an order: it goes on, and so does the leader's term; what is
// new in the configuration holds at once.
func TestReload(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.reload.example", "b.covered.example")
	open := f.ca.block()
	d := f.leader(f.settings(func(s *certificates.Settings) { s.Wildcards = []string{"*.covered.example"} }))
	f.ca.next(t)
	for range 3 {
		d.Use(f.settings())
		if !d.Leads() {
			t.Error("the term has ended")
		}
	}
	d.Want("b.covered.example") // by no wildcard any more
	if name := f.ca.next(t); name != "b.covered.example" {
		t.Errorf("%s is ordered", name)
	}
	open()
	d.state("b.covered.example", certificates.Issued)
	rec := d.state("a.reload.example", certificates.Issued)
	if d.Counts().Failures != 0 || f.ca.count() != 2 || f.ca.asks("a.reload.example") != 1 || rec.Tries != 0 {
		t.Errorf("%+v, %d certificates, asked %d times", d.Counts(), f.ca.count(), f.ca.asks("a.reload.example"))
	}
	// What is in memory outlives a reload.
	must(t, f.storage.Delete(t.Context(), "certificates"))
	d.serves("a.reload.example")
	d.Use(nil)
	if _, err := d.Certificate(t.Context(), "a.reload.example"); !errors.Is(err, certificates.ErrNone) || d.Active() {
		t.Errorf("without a configuration: %v", err)
	}
	d.Use(f.settings())
	d.stop()
	d.Use(f.settings()) // begins nothing that nobody would end
}

// TestReloadBreaksOff what cannot go on with the configuration that follows: it is made
// anew at once, with no failure counted, though with both orders.
func TestReloadBreaksOff(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.break.example")
	open := f.ca.block()
	d := f.leader(f.settings())
	f.ca.next(t)
	d.Use(f.settings(func(s *certificates.Settings) { s.Parallel = 3 }))
	f.ca.next(t)
	open()
	rec := d.state("a.break.example", certificates.Issued)
	if d.Counts().Failures != 0 || f.ca.count() != 1 || rec.Tries != 0 || len(rec.Orders) != 2 {
		t.Errorf("%+v, %d certificates, %+v", d.Counts(), f.ca.count(), rec)
	}
}

// TestNameMoves from one instance to another while it is ordered.
func TestNameMoves(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.moves.example")
	open := f.ca.block()
	d := f.leader(f.settings())
	f.ca.next(t)
	f.hosts.remove("a.moves.example")
	d.Want("a.moves.example")
	f.hosts.set("a.moves.example", certificates.Owner{Instance: "another"})
	d.Want("a.moves.example")
	open()
	if rec := d.state("a.moves.example", certificates.Issued); rec.Instance != "another" {
		t.Errorf("it is of %s", rec.Instance)
	}
	// And after it is there.
	f.hosts.set("a.moves.example", certificates.Owner{Instance: "third"})
	d.Want("a.moves.example")
	f.until("the record has the owner", func() error {
		rec, err := d.Record(t.Context(), "a.moves.example")
		if err != nil {
			return err
		}
		return is(rec.Instance == "third", "the third's but %s", rec.Instance)
	})
	if n := f.ca.asks("a.moves.example"); n != 1 {
		t.Errorf("%d orders", n)
	}
}

// TestGoneMeanwhile: what was ordered for a name that has gone is not kept.
func TestGoneMeanwhile(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.late.example")
	open := f.ca.block()
	d := f.leader(f.settings())
	f.ca.next(t)
	f.hosts.remove("a.late.example")
	open()
	d.noRecord("a.late.example")
	if f.storage.Exists(t.Context(), certmagic.StorageKeys.CertsSitePrefix(authorityKey, "a.late.example")) {
		t.Error("its certificate is there")
	}
}

// write puts a record into the store, as another front door would.
func (f *fleet) write(rec *certificates.Record) {
	f.t.Helper()
	id, err := f.storage.Load(f.t.Context(), "gatehouse/storage_id")
	must(f.t, err)
	rec.ID = string(id) + ":" + rec.Name
	_, err = f.open().Put(f.t.Context(), provision.TLSDB, rec.ID, rec)
	must(f.t, err)
}

// TestDiedBeforeTheRecord: a certificate that a leader has ordered, without a word of it
// in the record, is found.
func TestDiedBeforeTheRecord(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, open func() *couch.Cluster) {
		f := fleetOn(t, open, "a.died.example")
		d := f.leader(f.settings())
		rec := d.state("a.died.example", certificates.Issued)
		d.stop()
		rec.State, rec.Node, rec.Next = certificates.Ordered, "dead", f.clock.Now().Add(time.Second)
		rec.Serial, rec.NotBefore, rec.NotAfter, rec.RenewAt = "", time.Time{}, time.Time{}, time.Time{}
		f.write(rec)
		d = f.leader(f.settings())
		if now := d.state("a.died.example", certificates.Issued); now.Serial != serial(d.serves("a.died.example")) || !now.Next.IsZero() {
			t.Errorf("%+v", now)
		}
		if n := f.ca.count(); n != 1 {
			t.Errorf("%d orders", n)
		}
	})
}

// TestRecordsOfOthers: what is no record of ours, or a broken one, harms nothing else.
func TestRecordsOfOthers(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.others.example")
	d := f.leader(f.settings())
	d.state("a.others.example", certificates.Issued)
	id, err := f.storage.Load(t.Context(), "gatehouse/storage_id")
	must(t, err)
	for key, doc := range map[string]string{
		string(id) + ":broken.others.example": `{"name":7}`,
		"ffffffffffffffff:b.others.example":   `{"name":"b.others.example","state":"issued"}`,
	} {
		_, err = d.cluster.Put(t.Context(), provision.TLSDB, key, json.RawMessage(doc))
		must(t, err)
	}
	f.hosts.set("broken.others.example", certificates.Owner{Instance: "x"})
	f.hosts.set("c.others.example", certificates.Owner{Instance: "c"})
	d.Want("broken.others.example", "c.others.example")
	d.state("c.others.example", certificates.Issued)
	d.noRecord("b.others.example")
	n := 0
	must(t, d.Walk(t.Context(), func(*certificates.Record) error { n++; return nil }))
	if n != 2 {
		t.Errorf("%d records", n)
	}
}

// TestConflict: a record that others write while it is ordered.
func TestConflict(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.conflict.example")
	open := f.ca.block()
	d := f.leader(f.settings())
	f.ca.next(t)
	rec := d.state("a.conflict.example", certificates.Ordered)
	rec.Node = "other"
	f.write(rec)
	open()
	f.clock.advance(4 * time.Minute) // what the other has written says that an order is under way
	d.Want("a.conflict.example")
	d.state("a.conflict.example", certificates.Issued)
	if n := f.ca.count(); n != 1 {
		t.Errorf("%d orders", n)
	}
}

// TestIssuersChange: a certificate of an issuer that is not configured any more is none,
// and is one again when the configuration goes back.
func TestIssuersChange(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.change.example")
	d := f.leader(f.settings())
	first := d.state("a.change.example", certificates.Issued)
	other := newAuthority(t, "other", f.clock)
	d.Use(f.settings(func(s *certificates.Settings) { s.Issuers = []certmagic.Issuer{other} }))
	f.until("the other one has issued it", func() error {
		rec, err := d.Record(t.Context(), "a.change.example")
		if err != nil {
			return err
		}
		return is(rec.State == certificates.Issued && rec.Issuer == "other", "issued: %+v", rec)
	})
	if issuer := d.serves("a.change.example").Issuer.CommonName; issuer != "other" {
		t.Errorf("the certificate is of %s", issuer)
	}
	d.Use(f.settings())
	f.until("the first one's is used again", func() error {
		rec, err := d.Record(t.Context(), "a.change.example")
		if err != nil {
			return err
		}
		return is(rec.Serial == first.Serial, "the first: %+v", rec)
	})
	if f.ca.count() != 1 || other.count() != 1 {
		t.Errorf("%d and %d orders", f.ca.count(), other.count())
	}
}

// TestBound: issuers are told the configuration that they issue for.
func TestBound(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	bound := 0
	d := f.leader(f.settings(func(s *certificates.Settings) {
		s.Bind = func(c *certmagic.Config) {
			if c.Storage == f.storage && len(c.Issuers) == 1 {
				bound++
			}
		}
	}))
	d.stop()
	if bound != 1 {
		t.Errorf("bound %d times", bound)
	}
}

// module is a storage of one configuration, which is closed with it.
type module struct {
	certmagic.Storage
	closed atomic.Bool
}

var errClosed = errors.New("the storage is closed")

func (m *module) String() string { return "module:here" }

func (m *module) Load(ctx context.Context, key string) ([]byte, error) {
	if m.closed.Load() {
		return nil, errClosed
	}
	return m.Storage.Load(ctx, key)
}

func (m *module) Store(ctx context.Context, key string, value []byte) error {
	if m.closed.Load() {
		return errClosed
	}
	return m.Storage.Store(ctx, key, value)
}

// TestReloadMendsStorage: what a configuration could not use is asked no more after the
// next one.
func TestReloadMendsStorage(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.mends.example")
	base := f.storage
	old := &module{Storage: base}
	old.closed.Store(true)
	f.storage = old
	d := f.front("one", f.settings())
	f.storage = &module{Storage: base}
	d.Use(f.settings())
	f.until("it leads", func() error { return is(d.Leads(), "so") })
	d.state("a.mends.example", certificates.Issued)
}

// TestReloadOfStorage in the middle of an order: nothing goes on with a storage that is
// closed.
func TestReloadOfStorage(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.closes.example")
	base := f.storage
	old := &module{Storage: base}
	f.storage = old
	open := f.ca.block()
	d := f.leader(f.settings())
	f.ca.next(t)
	f.storage = &module{Storage: base}
	d.Use(f.settings())
	f.ca.next(t) // anew
	old.closed.Store(true)
	open()
	d.state("a.closes.example", certificates.Issued)
	if d.Counts().Failures != 0 || f.ca.count() != 1 {
		t.Errorf("%+v, %d certificates", d.Counts(), f.ca.count())
	}
	// And the storage in use is the one whose id is looked at.
	must(t, base.Store(t.Context(), "gatehouse/storage_id", []byte("0123456789abcdef")))
	if !d.Renamed(t.Context()) {
		t.Error("another id is not seen")
	}
}
