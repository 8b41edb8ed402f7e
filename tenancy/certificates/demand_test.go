// Demand: handshakes that wait for a certificate.

package certificates_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

var visitor = netip.MustParseAddr("192.0.2.9")

// TestDemanded at the leader and at another front door: the host of an app, which no
// sweep knows.
func TestDemanded(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, open func() *couch.Cluster) {
		f := fleetOn(t, open, "alice.demand.example")
		app := certificates.Owner{Instance: "alice", Parent: "alice.demand.example", Slug: "drive"}
		f.hosts.set("drive.alice.demand.example", app)
		f.hosts.set("mail.alice.demand.example", app)
		leader, other := f.leader(f.settings()), f.front("two", f.settings())
		for name, d := range map[string]*front{"drive.alice.demand.example": leader, "mail.alice.demand.example": other} {
			if _, err := d.Certificate(t.Context(), name); !errors.Is(err, certificates.ErrNone) {
				t.Fatal(err)
			}
			var waiting sync.WaitGroup
			for range 5 {
				waiting.Go(func() {
					if cert, err := d.Demand(t.Context(), name, visitor); err != nil {
						t.Errorf("%s: %v", name, err)
					} else if err := cert.Leaf.VerifyHostname(name); err != nil {
						t.Error(err)
					}
				})
			}
			waiting.Wait()
			rec := d.state(name, certificates.Issued)
			if rec.Parent != "alice.demand.example" || rec.Instance != "alice" {
				t.Errorf("%+v", rec)
			}
			if n := f.ca.asks(name); n != 1 {
				t.Errorf("%s: %d orders", name, n)
			}
		}
	})
}

// TestDemandOfWhatWasDeleted: a certificate that somebody has deleted from the storage
// comes back by a visit, to the leader or another.
func TestDemandOfWhatWasDeleted(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.deleted.example")
	leader, other := f.leader(f.settings()), f.front("two", f.settings())
	for i, d := range []*front{leader, other} {
		leader.state("a.deleted.example", certificates.Issued)
		leader.Forget("a.deleted.example")
		other.Forget("a.deleted.example")
		must(t, f.storage.Delete(t.Context(), "certificates"))
		if _, err := d.Demand(t.Context(), "a.deleted.example", visitor); err != nil {
			t.Fatal(err)
		}
		if n := f.ca.asks("a.deleted.example"); n != i+2 {
			t.Errorf("%d orders", n)
		}
	}
}

// TestDemandRefused without waiting: for names that are nobody's, or fail, or wait for a
// budget, and for clients that have asked for too many.
func TestDemandRefused(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "fails.refused.example")
	app := func(instance string) certificates.Owner {
		return certificates.Owner{Instance: instance, Parent: instance + ".refused.example", Slug: "app"}
	}
	f.hosts.set("deleting.refused.example", certificates.Owner{Instance: "d", Deleting: true})
	f.ca.fails(func(name string) error {
		if strings.HasPrefix(name, "fails.") {
			return acme.Problem{Type: acme.ProblemTypeUnauthorized, Status: 403, Detail: "no such thing"}
		}
		return nil
	})
	d := f.leader(f.settings(limits(certificates.Limits{Client: certificates.Limit{Orders: 2, Window: time.Hour}, Name: certificates.Limit{Orders: 1, Window: time.Hour}})))
	d.state("fails.refused.example", certificates.Failed)
	begun := time.Now()
	refused := func(name string, from netip.Addr, want error, says string) {
		t.Helper()
		if _, err := d.Demand(t.Context(), name, from); !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("fails.refused.example", visitor, certificates.ErrNone, "no such thing")
	refused("nobody.refused.example", visitor, certificates.ErrNone, "")
	refused("deleting.refused.example", visitor, certificates.ErrNone, "")
	refused("localhost", visitor, certificates.ErrNone, "")
	// A network of IPv6 is one client, and an IPv4 address in IPv6 is that address.
	for i, from := range []string{"2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff::3", "2001:db8:1:3::1", "192.0.2.77", "::ffff:192.0.2.77", "192.0.2.77"} {
		name := fmt.Sprintf("app%d.refused.example", i)
		f.hosts.set(name, app("alice"))
		_, err := d.Demand(t.Context(), name, netip.MustParseAddr(from))
		if denied := i == 2 || i == 6; denied != errors.Is(err, certificates.ErrBusy) || !denied && err != nil {
			t.Errorf("%d, from %s: %v", i, from, err)
		}
		if denied := i == 2 || i == 6; denied && f.ca.asks(name) != 0 {
			t.Errorf("%s was ordered all the same", name)
		}
	}
	if n := d.Counts().Denied; n != 2 {
		t.Errorf("%d denied", n)
	}
	// One that waits for a budget.
	must(t, f.storage.Delete(t.Context(), "certificates"))
	d.Forget("app0.refused.example")
	refused("app0.refused.example", netip.MustParseAddr("198.51.100.1"), certificates.ErrNone, "budget of its name")
	refused("app0.refused.example", netip.MustParseAddr("198.51.100.1"), certificates.ErrNone, "budget of its name")
	if d := time.Since(begun); d > 15*time.Second {
		t.Errorf("it took %s", d)
	}
	d.Use(nil)
	refused("app0.refused.example", visitor, certificates.ErrNone, "")
}

// TestDemandCrowd: handshakes that wait are bounded, and end with their context.
func TestDemandCrowd(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.crowd.example")
	open := f.ca.block()
	defer open()
	d := f.leader(f.settings())
	f.ca.next(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	results := make(chan error, 300)
	var waiting sync.WaitGroup
	for range 300 {
		waiting.Go(func() {
			_, err := d.Demand(ctx, "a.crowd.example", visitor)
			results <- err
		})
	}
	for range 44 {
		if err := <-results; !errors.Is(err, certificates.ErrBusy) {
			t.Fatal(err)
		}
	}
	cancel()
	waiting.Wait()
	close(results)
	n := 0
	for err := range results {
		if n++; err == nil {
			t.Error("a certificate")
		}
	}
	if n != 256 {
		t.Errorf("%d have waited", n)
	}
}

// TestDemandAfterAFailure: one whose pause is over is tried again, and not refused for
// what was.
func TestDemandAfterAFailure(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.again.example")
	f.ca.fails(func(string) error { return errors.New("for now") })
	d := f.leader(f.settings())
	rec := d.state("a.again.example", certificates.Failed)
	f.ca.fails(nil)
	f.clock.advanceTo(rec.Next)
	if _, err := d.Demand(t.Context(), "a.again.example", visitor); err != nil {
		t.Error(err)
	}
}
