// Budgets: orders wait for them, without one look and one write after the other.

package certificates_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

func limits(l certificates.Limits) func(*certificates.Settings) {
	return func(s *certificates.Settings) { s.Limits = l }
}

// issued is how many of the names have a certificate, and waiting those that wait for a
// budget, by the name of the budget.
func (d *front) issued() (issued int, waiting map[string]int, next time.Time) {
	d.t.Helper()
	waiting = map[string]int{}
	must(d.t, d.Walk(d.t.Context(), func(rec *certificates.Record) error {
		if rec.State == certificates.Issued {
			issued++
		} else if _, of, ok := strings.Cut(rec.Error, "budget of its "); ok && rec.State == certificates.Pending {
			waiting[of]++
			if next.IsZero() || rec.Next.Before(next) {
				next = rec.Next
			}
		}
		return nil
	}))
	return issued, waiting, next
}

// TestAccountBudget paces all names, each of which is written once for it; what was
// ordered before counts for the next leader as well.
func TestAccountBudget(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprintf("n%d.account.example", i))
	}
	f := newFleet(t, names...)
	paced := f.settings(limits(certificates.Limits{Account: certificates.Limit{Orders: 4, Window: time.Hour}}))
	d := f.leader(paced)
	all := func(want int) (next time.Time) {
		t.Helper()
		f.until("all were looked at", func() error {
			issued, waiting, at := d.issued()
			next = at
			return is(issued == want && waiting["account"] == len(names)-want, "%d issued, %v waiting", issued, waiting)
		})
		return next
	}
	next := all(4)
	if wait := next.Sub(f.clock.Now()); wait < 59*time.Minute || wait > time.Hour+time.Minute {
		t.Errorf("the first waits for %s", wait)
	}
	// A second leader counts what the first has ordered.
	d.stop()
	d = f.leader(paced)
	d.Want(names...)
	f.settle(d)
	all(4)
	// Each hour has four, a quarter of an hour apart.
	f.clock.advanceTo(next)
	d.Want(names...)
	next = all(5)
	for i := 6; i <= 8; i++ {
		f.clock.advanceTo(next)
		d.Want(names...)
		next = all(i)
	}
	if n := f.ca.count(); n != 8 {
		t.Errorf("%d orders", n)
	}
	must(t, d.Walk(t.Context(), func(rec *certificates.Record) error {
		generation, _, _ := strings.Cut(rec.Rev, "-")
		if n, _ := strconv.Atoi(generation); n > 4 {
			t.Errorf("%s was written %d times", rec.Name, n)
		}
		return nil
	}))
}

// TestDomainBudget counts first certificates by the registered domain, and no renewals.
func TestDomainBudget(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.one.co.uk", "b.one.co.uk", "c.one.co.uk", "a.two.co.uk", "b.two.co.uk", "a.github.io", "b.github.io", "c.github.io")
	d := f.leader(f.settings(limits(certificates.Limits{Domain: certificates.Limit{Orders: 2, Window: 7 * 24 * time.Hour}})))
	f.until("all were looked at", func() error {
		issued, waiting, _ := d.issued()
		return is(issued == 7 && waiting["domain"] == 1, "%d issued, %v waiting", issued, waiting)
	})
	first := d.state("a.two.co.uk", certificates.Issued)
	f.clock.advanceTo(first.RenewAt)
	d.Want("a.two.co.uk")
	d.renewed("a.two.co.uk", first.Serial)
}

// TestNameBudget bounds what is ordered for one name, whoever takes its certificate away.
func TestNameBudget(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.name.example")
	d := f.leader(f.settings(limits(certificates.Limits{Name: certificates.Limit{Orders: 2, Window: 7 * 24 * time.Hour}})))
	d.state("a.name.example", certificates.Issued)
	for want := range 2 {
		must(t, f.storage.Delete(t.Context(), "certificates"))
		rec, err := d.Record(t.Context(), "a.name.example")
		must(t, err)
		rec.State, rec.Serial, rec.NotAfter, rec.Next = certificates.Pending, "", time.Time{}, time.Time{}
		rec.Node = "other"
		f.write(rec)
		if want == 0 {
			d.state("a.name.example", certificates.Issued)
		}
	}
	f.until("it waits", func() error {
		_, waiting, _ := d.issued()
		return is(waiting["name"] == 1, "%v", waiting)
	})
	if n := f.ca.asks("a.name.example"); n != 2 {
		t.Errorf("%d orders", n)
	}
}

// TestRateLimited: what the authority says of limits holds for those that they are of.
func TestRateLimited(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		detail  string
		waiting map[string]int // beside the name that was refused
		least   time.Duration
	}{
		"account": {"too many new orders (300) from this account in the last 3h0m0s, retry after %s UTC: see https://example.com/", map[string]int{"account": 2}, 2 * time.Hour},
		"domain":  {`too many certificates (50) already issued for "one.example" in the last 168h0m0s, retry after %s UTC: see`, map[string]int{"domain": 1}, 2 * time.Hour},
		"name":    {"too many failed authorizations (5) for \"a.one.example\" in the last 1h0m0s, retry after %s UTC", map[string]int{}, 2 * time.Hour},
		"no time": {"slow down", map[string]int{"account": 2}, time.Minute},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, "a.one.example")
			until := f.clock.Now().Add(3 * time.Hour).UTC().Format("2006-01-02 15:04:05")
			f.ca.fails(func(name string) error {
				if name != "a.one.example" {
					return nil
				}
				return fmt.Errorf("creating new order: %w", acme.Problem{Type: acme.ProblemTypeRateLimited, Status: 429, Detail: strings.Replace(test.detail, "%s", until, 1)})
			})
			d := f.leader(f.settings())
			rec := d.state("a.one.example", certificates.Failed)
			if wait := rec.Next.Sub(f.clock.Now()); wait < test.least-time.Minute || wait > 3*time.Hour {
				t.Errorf("again after %s", wait)
			}
			for _, name := range []string{"b.one.example", "a.other.example"} {
				f.hosts.set(name, certificates.Owner{Instance: name})
				d.Want(name)
			}
			f.until("the others were looked at", func() error {
				issued, waiting, _ := d.issued()
				return is(fmt.Sprint(waiting) == fmt.Sprint(test.waiting) && issued == 2-test.waiting["account"]-test.waiting["domain"], "%d issued, %v waiting", issued, waiting)
			})
		})
	}
}
