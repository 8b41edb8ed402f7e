// What counts in the budgets, and which leader after this one knows of it.

package certificates_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// TestLedger: orders that failed, and those of names that have gone, count for the next
// leader as well.
func TestLedger(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, open func() *couch.Cluster) {
		f := fleetOn(t, open, "a.ledger.example", "b.ledger.example")
		f.ca.fails(func(name string) error {
			if strings.HasPrefix(name, "b.") {
				return acme.Problem{Type: acme.ProblemTypeUnauthorized, Status: 403}
			}
			return nil
		})
		three := f.settings(func(s *certificates.Settings) {
			s.Limits = certificates.Limits{Account: certificates.Limit{Orders: 3, Window: time.Hour}}
		})
		d := f.leader(three)
		d.state("a.ledger.example", certificates.Issued)
		d.state("b.ledger.example", certificates.Failed)
		f.hosts.remove("a.ledger.example")
		d.Want("a.ledger.example")
		d.noRecord("a.ledger.example")
		d.stop()
		f.hosts.set("c.ledger.example", certificates.Owner{Instance: "c"})
		d = f.leader(three)
		d.state("c.ledger.example", certificates.Issued)
		f.hosts.set("d.ledger.example", certificates.Owner{Instance: "d"})
		d.Want("d.ledger.example")
		rec := d.state("d.ledger.example", certificates.Pending)
		if wait := rec.Next.Sub(f.clock.Now()); !strings.Contains(rec.Error, "budget of its account") || wait > time.Hour || wait < 58*time.Minute {
			t.Errorf("%q, for %s", rec.Error, wait)
		}
		f.hosts.remove("b.ledger.example") // else it would have the first turn
		f.clock.advanceTo(rec.Next)
		d.Want("d.ledger.example")
		d.state("d.ledger.example", certificates.Issued)
	})
}

// TestLedgerHolds what the authority has asked for.
func TestLedgerHolds(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.holds.example")
	until := f.clock.Now().Add(2 * time.Hour).UTC().Truncate(time.Second)
	f.ca.fails(func(string) error {
		return acme.Problem{Type: acme.ProblemTypeRateLimited, Status: 429, Detail: "too many new orders, retry after " + until.Format(time.DateTime) + " UTC"}
	})
	d := f.leader(f.settings())
	d.state("a.holds.example", certificates.Failed)
	d.stop()
	f.ca.fails(nil)
	f.hosts.set("b.other.example", certificates.Owner{Instance: "b"})
	d = f.leader(f.settings())
	if rec := d.state("b.other.example", certificates.Pending); !rec.Next.Equal(until) && rec.Next.Sub(until) > time.Hour {
		t.Errorf("it waits until %s, and not %s", rec.Next, until)
	}
	f.settle(d)
	if n := f.ca.asks("b.other.example"); n != 0 {
		t.Errorf("%d orders", n)
	}
	f.clock.advanceTo(until)
	d.Want("b.other.example")
	d.state("b.other.example", certificates.Issued)
}

// TestReloadKeepsBudgets: other limits hold for what was counted before.
func TestReloadKeepsBudgets(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.keeps.example", "b.keeps.example")
	limit := func(orders int) func(*certificates.Settings) {
		return func(s *certificates.Settings) {
			s.Limits = certificates.Limits{Account: certificates.Limit{Orders: orders, Window: time.Hour}}
		}
	}
	d := f.leader(f.settings(limit(2)))
	for name := range f.hosts.Names() {
		d.state(name, certificates.Issued)
	}
	d.Use(f.settings(limit(3)))
	for i := range 2 {
		f.hosts.set(fmt.Sprintf("n%d.keeps.example", i), certificates.Owner{Instance: "n"})
	}
	d.Want("n0.keeps.example")
	d.state("n0.keeps.example", certificates.Issued)
	d.Want("n1.keeps.example")
	d.state("n1.keeps.example", certificates.Pending)
	if n := f.ca.count(); n != 3 {
		t.Errorf("%d orders", n)
	}
}
