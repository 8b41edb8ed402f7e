// Certificates of names that are nobody's any more.

package certificates_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// left are the keys of a name's certificates in the storage.
func (f *fleet) left(issuer, name string) []string {
	f.t.Helper()
	keys, err := f.storage.List(f.t.Context(), certmagic.StorageKeys.CertsSitePrefix(issuer, name), true)
	if err != nil {
		return nil // there is no such folder
	}
	slices.Sort(keys)
	return keys
}

// TestRemoved: with the name goes its certificate, from the storage and the memory, and
// its record. It is revoked where that is wanted.
func TestRemoved(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, open func() *couch.Cluster) {
		f := fleetOn(t, open, "a.removed.example", "b.removed.example")
		revoking := func(s *certificates.Settings) { s.Revoke = true }
		one, two := f.leader(f.settings(revoking)), f.front("two", f.settings(revoking))
		a := one.state("a.removed.example", certificates.Issued)
		one.state("b.removed.example", certificates.Issued)
		two.serves("a.removed.example")
		if keys := f.left(authorityKey, "a.removed.example"); len(keys) != 3 {
			t.Fatalf("in the storage: %s", keys)
		}
		f.hosts.remove("a.removed.example")
		for _, d := range []*front{one, two} {
			d.Forget("a.removed.example")
			d.Want("a.removed.example")
		}
		one.noRecord("a.removed.example")
		if keys := f.left(authorityKey, "a.removed.example"); len(keys) != 0 {
			t.Errorf("left in the storage: %s", keys)
		}
		if reason := f.ca.reason(a.Serial); reason != 5 {
			t.Errorf("revoked for reason %d", reason)
		}
		for _, d := range []*front{one, two} {
			if _, err := d.Certificate(t.Context(), "a.removed.example"); !errors.Is(err, certificates.ErrNone) {
				t.Errorf("it is served: %v", err)
			}
			d.serves("b.removed.example")
		}
		f.until("it is counted", func() error {
			c := one.Counts()
			return is(c.Removed == 1 && c.Revoked == 1, "counted: %+v", c)
		})
	})
}

// TestDoubt: what the directory does not know, and the store has or cannot tell, stays.
func TestDoubt(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.doubt.example")
	d := f.leader(f.settings())
	d.state("a.doubt.example", certificates.Issued)
	answers := []func(*certificates.Record) (bool, error){
		func(*certificates.Record) (bool, error) { return false, errors.New("the store is down") },
		func(*certificates.Record) (bool, error) { return false, nil },
	}
	f.hosts.remove("a.doubt.example")
	for _, answer := range answers {
		f.hosts.change(func() { f.hosts.gone = answer })
		asked := f.hosts.goneAsked()
		d.Want("a.doubt.example")
		f.until("it was asked again by itself", func() error { return is(f.hosts.goneAsked() > asked+1, "asked") })
		if _, err := d.Record(t.Context(), "a.doubt.example"); err != nil || len(f.left(authorityKey, "a.doubt.example")) != 3 {
			t.Fatalf("it was removed (%v)", err)
		}
	}
	// Quarantine keeps it without asking the store.
	f.hosts.change(func() { f.hosts.quarantined["a.doubt.example"] = true })
	d.Want("a.doubt.example")
	f.settle(d)
	f.settle(d)
	f.hosts.change(func() { f.hosts.gone = nil })
	if _, err := d.Record(t.Context(), "a.doubt.example"); err != nil {
		t.Fatal("it was removed from quarantine")
	}
	f.hosts.change(func() { f.hosts.quarantined["a.doubt.example"] = false })
	f.clock.advance(11 * time.Minute)
	d.Want("a.doubt.example")
	d.noRecord("a.doubt.example")
}

// TestRevocationFails: that is no reason to keep a certificate; but one that is revoked
// already is no failure.
func TestRevocationFails(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.revoke.example", "b.revoke.example")
	d := f.leader(f.settings(func(s *certificates.Settings) { s.Revoke = true }))
	a := d.state("a.revoke.example", certificates.Issued)
	d.state("b.revoke.example", certificates.Issued)
	f.ca.set(func() {
		f.ca.refuse = func(serial string) error {
			if serial == a.Serial {
				return acme.Problem{Type: acme.ProblemTypeAlreadyRevoked, Status: 400}
			}
			return errors.New("no")
		}
	})
	for _, name := range []string{"a.revoke.example", "b.revoke.example"} {
		f.hosts.remove(name)
		d.Want(name)
		d.noRecord(name)
		if keys := f.left(authorityKey, name); len(keys) != 0 {
			t.Errorf("left of %s: %s", name, keys)
		}
	}
	f.until("both are counted", func() error { return is(d.Counts().Removed == 2, "both") })
	if c := d.Counts(); c.Revoked != 0 {
		t.Errorf("%+v", c)
	}
}

// TestRemovedOfAnIssuerBefore: also the certificate of an issuer that is not configured
// any more goes.
func TestRemovedOfAnIssuerBefore(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.former.example")
	d := f.leader(f.settings())
	d.state("a.former.example", certificates.Issued)
	other := newAuthority(t, "other", f.clock)
	other.fails(func(string) error { return errors.New("no") })
	d.Use(f.settings(func(s *certificates.Settings) { s.Issuers = []certmagic.Issuer{other} }))
	d.state("a.former.example", certificates.Failed)
	f.hosts.remove("a.former.example")
	f.until("it leads again", func() error { return is(d.Leads(), "leading") })
	d.Want("a.former.example")
	d.noRecord("a.former.example")
	if keys := f.left(authorityKey, "a.former.example"); len(keys) != 0 {
		t.Errorf("left in the storage: %s", keys)
	}
}
