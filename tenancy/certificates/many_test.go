// Many names: nothing grows with the fleet but what is counted.

package certificates_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// testkitCluster opens an embedded store of its own.
func testkitCluster(t *testing.T) func() *couch.Cluster {
	cluster := testkit.EmbeddedStore(t).Cluster
	return func() *couch.Cluster { return cluster }
}

// TestManyNames: all are looked at, in pages; the queue keeps those that are due soon,
// and each that waits for its budget is written once.
func TestManyNames(t *testing.T) {
	t.Parallel()
	count := 1_200
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("n%d.many%d.example", i, i)
	}
	f := newFleet(t, names...)
	f.lease = time.Minute
	d := f.leader(f.settings(limits(certificates.Limits{Account: certificates.Limit{Orders: 20, Window: 3 * time.Hour}}), func(s *certificates.Settings) {
		s.Parallel = 64 // the store writes many at once as quickly as one
	}))
	calls, begun := d.cluster.Calls(), time.Now()
	f.until("all were looked at", func() error {
		c := d.Counts()
		return is(int(c.Orders+c.Paced) >= count && d.Queue() == 0, "%d orders, %d paced, %d in the queue", c.Orders, c.Paced, d.Queue())
	})
	t.Logf("%d names: %s, %d calls", count, time.Since(begun).Round(time.Millisecond), d.cluster.Calls()-calls)
	if c := d.Counts(); c.Orders != 20 || int(c.Paced) != count-20 {
		t.Errorf("%+v", c)
	}
	// A sweep of a fleet of which nothing is due asks in pages.
	d.stop()
	calls = d.cluster.Calls()
	d = f.leader(d.Settings())
	f.until("the sweep is over", func() error {
		sum := d.Sum()
		return is(sum != nil && sum.States[certificates.Pending] == count-20 && sum.Held == 20, "%+v", sum)
	})
	f.settle(d)
	if n := d.cluster.Calls() - calls; n > int64(count/1000*2+100) {
		t.Errorf("%d calls for a sweep of %d names", n, count)
	}
	if n := d.Queue(); n > 50 {
		t.Errorf("%d names in the queue, of which none is due", n)
	}
}

// TestIdleNames: what a wildcard has come to cover, and what is being deleted, takes no
// place in the queue, is not ordered, and is not told as not renewed.
func TestIdleNames(t *testing.T) {
	t.Parallel()
	names := []string{"a.idle.example", "b.idle.example", "c.elsewhere.example"}
	f := newFleet(t, names...)
	d := f.leader(f.settings())
	var last time.Time
	for _, name := range names {
		if rec := d.state(name, certificates.Issued); rec.NotAfter.After(last) {
			last = rec.NotAfter
		}
	}
	owner, _ := f.hosts.Owner("c.elsewhere.example")
	owner.Deleting = true
	f.hosts.set("c.elsewhere.example", owner)
	d.stop()
	f.clock.advanceTo(last.Add(-time.Hour)) // long past the time to renew
	d = f.leader(f.settings(func(s *certificates.Settings) { s.Wildcards = []string{"*.idle.example"} }))
	f.until("the sweep is over", func() error {
		sum := d.Sum()
		return is(sum != nil && sum.States[certificates.Issued] == 3, "%+v", sum)
	})
	f.settle(d)
	if sum := d.Sum(); sum.Held != 0 || sum.Left[1] != 0 || d.Queue() != 0 {
		t.Errorf("%+v, and %d names in the queue", sum, d.Queue())
	}
	if n := f.ca.count(); n != len(names) {
		t.Errorf("%d orders", n)
	}
}
