// Leading: one front door at a time, for each storage.

package certificates_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// TestTakeOver: where a leader dies, another one leads once its lease is over, and not
// before; where it ends in order, at once. They may have the same node.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	url := testkit.SharedPouchDB(t).URL()
	f := fleetOn(t, func() *couch.Cluster {
		c, err := couch.Open(couch.Config{URLs: []string{url}})
		must(t, err)
		t.Cleanup(func() { _ = c.Close() }) // the test may have closed it
		return c
	}, "a.takeover.example")
	f.lease = 2 * time.Second
	one := f.leader(f.settings())
	one.state("a.takeover.example", certificates.Issued)
	second := f.front("one", f.settings())
	f.hosts.set("b.takeover.example", certificates.Owner{Instance: "b"})
	begun := time.Now()
	must(t, one.cluster.Close()) // it neither renews its lease nor gives it up
	f.until("the second leads", func() error {
		if second.Leads() && time.Since(begun) < time.Second {
			t.Fatal("the second leads before the first's lease is over")
		}
		return is(second.Leads(), "leading")
	})
	if d := time.Since(begun); d > 10*time.Second {
		t.Errorf("it took %s", d)
	}
	second.state("b.takeover.example", certificates.Issued)
	f.until("the first does not lead", func() error { return is(!one.Leads(), "so") })
	third := f.front("three", f.settings())
	f.until("the third has seen the lease", func() error { return is(!third.Leads() && second.Leads(), "so") })
	second.stop()
	f.until("the third leads", func() error { return is(third.Leads(), "leading") })
	if n := f.ca.count(); n != 2 {
		t.Errorf("%d orders", n)
	}
}

// TestLostLease: a leader whose lease is another's, without its doing, stops.
func TestLostLease(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.lost.example")
	f.lease = time.Second
	d := f.leader(f.settings())
	d.state("a.lost.example", certificates.Issued)
	id, err := f.storage.Load(t.Context(), "gatehouse/storage_id")
	must(t, err)
	lease := string(id) + "!leader"
	f.until("the lease is taken", func() error {
		raw, err := d.cluster.Get(t.Context(), "gatehouse/tls", lease)
		if err != nil {
			return err
		}
		_, err = d.cluster.Put(t.Context(), "gatehouse/tls", lease, map[string]any{"_id": lease, "_rev": revision(t, raw), "holder": "somebody", "node": "else", "beat": 1})
		return err
	})
	f.until("it does not lead", func() error { return is(!d.Leads(), "so") })
	f.until("it leads again, since the other says nothing", func() error { return is(d.Leads(), "leading") })
}

// TestTwoStorages on one store: each has its own certificates, records and leader.
func TestTwoStorages(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, open func() *couch.Cluster) {
		a := fleetOn(t, open, "x.storages.example", "a.storages.example")
		b := fleetOn(t, open, "x.storages.example", "b.storages.example")
		one, two := a.leader(a.settings()), b.leader(b.settings())
		one.state("x.storages.example", certificates.Issued)
		one.state("a.storages.example", certificates.Issued)
		two.state("b.storages.example", certificates.Issued)
		if r := two.state("x.storages.example", certificates.Issued); r.Serial == one.state("x.storages.example", certificates.Issued).Serial {
			t.Error("one record for two storages")
		}
		one.noRecord("b.storages.example")
		var names []string
		must(t, two.Walk(t.Context(), func(r *certificates.Record) error {
			names = append(names, r.Name)
			return nil
		}))
		if want := []string{"b.storages.example", "x.storages.example"}; !slices.Equal(names, want) {
			t.Errorf("records of %s", names)
		}
	})
}

// TestNamedOnce: front doors that begin at once give a storage one id.
func TestNamedOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.named.example")
	var ids [4]string
	var working sync.WaitGroup
	for i := range ids {
		d := f.service("node")
		d.Use(f.settings())
		working.Go(func() {
			defer func() {
				ended, end := context.WithCancel(context.Background())
				end()
				d.Run(ended)
			}()
			for range 20 {
				_, _ = d.Record(t.Context(), "a.named.example")
				id, err := f.storage.Load(t.Context(), "gatehouse/storage_id")
				if err != nil || ids[i] != "" && ids[i] != string(id) {
					t.Errorf("%s, then %s (%v)", ids[i], id, err)
				}
				ids[i] = string(id)
			}
		})
	}
	working.Wait()
	if slices.Sort(ids[:]); ids[0] != ids[3] || len(ids[0]) != 16 {
		t.Errorf("%q", ids)
	}
	// What somebody else has written there is not overwritten.
	must(t, f.storage.Store(t.Context(), "gatehouse/storage_id", []byte("something else")))
	d := f.service("node")
	d.Use(f.settings())
	if _, err := d.Record(t.Context(), "a.named.example"); err == nil {
		t.Error("an id that is none")
	}
	d.Use(nil)
}

// TestStorageLost: a storage that has lost its id gets it back, and with it the records;
// one that was given another has others.
func TestStorageLost(t *testing.T) {
	t.Parallel()
	const key, name = "gatehouse/storage_id", "a.lost.example"
	f := newFleet(t, name)
	d := f.leader(f.settings())
	d.state(name, certificates.Issued)
	id, err := f.storage.Load(t.Context(), key)
	must(t, err)
	must(t, f.storage.Delete(t.Context(), "gatehouse"))
	if d.Renamed(t.Context()) {
		t.Error("a new one")
	}
	if again, err := f.storage.Load(t.Context(), key); err != nil || string(again) != string(id) {
		t.Errorf("%s, and then %s (%v)", id, again, err)
	}
	must(t, f.storage.Store(t.Context(), key, []byte("0123456789abcdef")))
	if !d.Renamed(t.Context()) {
		t.Error("the old one")
	}
	if _, err := d.Record(t.Context(), name); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("a record of the new storage: %v", err)
	}
}

// TestStoreMissing: a database that is taken away is made again, and the records come
// back from the storage, without an order.
func TestStoreMissing(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.missing.example", "b.missing.example")
	f.lease = time.Second
	d := f.leader(f.settings())
	d.state("a.missing.example", certificates.Issued)
	d.state("b.missing.example", certificates.Issued)
	_, err := d.cluster.DestroyDB(t.Context(), "gatehouse/tls")
	must(t, err)
	d.state("a.missing.example", certificates.Issued)
	d.state("b.missing.example", certificates.Issued)
	if n := f.ca.count(); n != 2 {
		t.Errorf("%d orders", n)
	}
}

// TestFileStorageOfTwoProcesses: two configurations of one place are one storage.
func TestFileStorageOfTwoProcesses(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.place.example")
	path := f.storage.(*certmagic.FileStorage).Path
	again := func(s *certificates.Settings) { s.Storage = &certmagic.FileStorage{Path: path} }
	one, two := f.front("one", f.settings(again)), f.front("two", f.settings(again))
	one.state("a.place.example", certificates.Issued)
	two.state("a.place.example", certificates.Issued)
	if n := f.ca.count(); n != 1 {
		t.Errorf("%d orders", n)
	}
}
