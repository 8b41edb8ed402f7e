// What keeps a leader from doing too much, too soon, or for nobody.

package certificates_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// TestBrake: where very many names go at once, their certificates go slowly.
func TestBrake(t *testing.T) {
	t.Parallel()
	const all, fast = 30, 10
	var names []string
	for i := range all {
		names = append(names, fmt.Sprintf("n%d.brake.example", i))
	}
	f := newFleet(t, names...)
	d := f.leader(f.settings(func(s *certificates.Settings) {
		s.Limits = certificates.Limits{Removal: certificates.Limit{Orders: fast, Window: time.Hour}}
	}))
	for _, name := range names {
		d.state(name, certificates.Issued)
	}
	for _, name := range names {
		f.hosts.remove(name)
	}
	d.Want(names...)
	removed := func(want int) {
		t.Helper()
		f.until("some are removed", func() error { return is(int(d.Counts().Removed) == want && !d.Busy(), "%d", d.Counts().Removed) })
	}
	removed(fast)
	if n := d.Counts().Braked; n < all-fast {
		t.Errorf("%d had to wait", n)
	}
	left := 0
	for _, name := range names {
		left += len(f.left(authorityKey, name)) / 3
	}
	if left != all-fast {
		t.Errorf("%d certificates are left", left)
	}
	// They were lost, and come back.
	for _, name := range names {
		f.hosts.set(name, certificates.Owner{Instance: "of-" + name})
	}
	f.clock.advance(2 * time.Hour)
	d.Want(names...)
	for _, name := range names {
		d.state(name, certificates.Issued)
	}
	if n := f.ca.count(); n != all+fast {
		t.Errorf("%d orders", n)
	}
	// And in the end those that stay away are removed as well.
	for _, name := range names[:fast+5] {
		f.hosts.remove(name)
	}
	d.Want(names...)
	removed(2 * fast)
	f.clock.advance(2 * time.Hour)
	d.Want(names...)
	removed(2*fast + 5)
}

// TestUninstalled: the certificate of an app that is not installed any more is not renewed,
// and goes.
func TestUninstalled(t *testing.T) {
	t.Parallel()
	const host = "app.a.uninstalled.example"
	f := newFleet(t, "a.uninstalled.example")
	f.hosts.set(host, certificates.Owner{Instance: "a", Parent: "a.uninstalled.example", Slug: "app"})
	d := f.leader(f.settings())
	if _, err := d.Demand(t.Context(), host, visitor); err != nil {
		t.Fatal(err)
	}
	rec := d.state(host, certificates.Issued)
	f.hosts.change(func() { f.hosts.uninstalled["app"] = true })
	d.Want(host)
	f.settle(d)
	d.serves(host) // until it would be renewed
	f.clock.advanceTo(rec.RenewAt)
	d.Want(host)
	d.noRecord(host)
	if keys := f.left(authorityKey, host); len(keys) != 0 || f.ca.asks(host) != 1 {
		t.Errorf("%s, %d orders", keys, f.ca.asks(host))
	}
	d.state("a.uninstalled.example", certificates.Issued)
}

// TestMislaid: hosts of apps that the configuration has elsewhere now stay until they have
// expired.
func TestMislaid(t *testing.T) {
	t.Parallel()
	const host = "app.a.mislaid.example"
	f := newFleet(t, "a.mislaid.example")
	f.hosts.set(host, certificates.Owner{Instance: "a", Parent: "a.mislaid.example", Slug: "app"})
	d := f.leader(f.settings())
	if _, err := d.Demand(t.Context(), host, visitor); err != nil {
		t.Fatal(err)
	}
	rec := d.state(host, certificates.Issued)
	f.hosts.remove(host)
	f.hosts.change(func() {
		f.hosts.gone = func(*certificates.Record) (bool, error) { return false, nil } // its instance is there
	})
	f.clock.advanceTo(rec.RenewAt)
	d.Want(host)
	f.settle(d)
	if len(f.left(authorityKey, host)) != 3 || f.ca.asks(host) != 1 {
		t.Fatalf("it was removed, or renewed (%d orders)", f.ca.asks(host))
	}
	f.clock.advanceTo(rec.NotAfter)
	d.Want(host)
	d.noRecord(host)
}

// TestForlorn: the host of an app that cannot be ordered is not tried for ever.
func TestForlorn(t *testing.T) {
	t.Parallel()
	const host = "app.a.forlorn.example"
	f := newFleet(t, "a.forlorn.example")
	f.hosts.set(host, certificates.Owner{Instance: "a", Parent: "a.forlorn.example", Slug: "app"})
	f.ca.fails(func(name string) error {
		if name == host {
			return acme.Problem{Type: acme.ProblemTypeUnauthorized, Status: 403, Detail: "not here"}
		}
		return nil
	})
	d := f.leader(f.settings())
	if _, err := d.Demand(t.Context(), host, visitor); !errors.Is(err, certificates.ErrNone) {
		t.Fatal(err)
	}
	for range 10 {
		rec, err := d.Record(t.Context(), host)
		if err != nil {
			break
		}
		f.clock.advanceTo(rec.Next)
		d.Want(host)
		f.settle(d)
	}
	d.noRecord(host)
	if n := f.ca.asks(host); n < 3 || n > 5 {
		t.Errorf("%d orders", n)
	}
	// Who comes again begins anew.
	f.ca.fails(nil)
	if _, err := d.Demand(t.Context(), host, visitor); err != nil {
		t.Error(err)
	}
}

// stuck is a DNS that does not answer for a domain.
type stuck struct{ zone }

func (s stuck) LookupCNAME(ctx context.Context, host string) (string, error) {
	if host == "held.lanes.example." {
		return "edge.example.", nil
	}
	<-ctx.Done()
	return "", &net.DNSError{Err: ctx.Err().Error(), IsTimeout: true}
}

// TestLanes: renewals and removals are not behind names whose DNS does not answer.
func TestLanes(t *testing.T) {
	t.Parallel()
	const name = "held.lanes.example"
	f := newFleet(t, name)
	proven := f.settings(func(s *certificates.Settings) {
		s.Proof = &certificates.Proof{Names: []string{"edge.example"}, Resolver: stuck{}}
	})
	d := f.leader(proven)
	rec := d.state(name, certificates.Issued)
	var names []string
	for i := range 300 {
		names = append(names, fmt.Sprintf("n%d.dead.example", i))
		f.hosts.set(names[i], certificates.Owner{Instance: "x"})
	}
	d.Want(names...)
	f.clock.advanceTo(rec.RenewAt)
	begun := time.Now()
	d.Want(name)
	d.renewed(name, rec.Serial)
	f.hosts.remove(name)
	d.Want(name)
	d.noRecord(name)
	if took := time.Since(begun); took > 9*time.Second { // a question to the DNS is given up after ten
		t.Errorf("it took %s", took)
	}
}

// TestInstalledUnknown: where nobody can tell whether an app is installed, its host alone
// waits; one that has a certificate is renewed.
func TestInstalledUnknown(t *testing.T) {
	t.Parallel()
	app := func(slug string) (string, certificates.Owner) {
		return slug + ".a.unknown.example", certificates.Owner{Instance: "of-a.unknown.example", Parent: "a.unknown.example", Slug: slug}
	}
	old, owner := app("old")
	f := newFleet(t, "a.unknown.example")
	f.hosts.set(old, owner)
	d := f.leader(f.settings())
	if _, err := d.Demand(t.Context(), old, visitor); err != nil {
		t.Fatal(err)
	}
	rec := d.state(old, certificates.Issued)
	f.hosts.change(func() { f.hosts.installedErr = errors.New("too many apps are being looked up") })
	fresh, owner := app("fresh")
	f.hosts.set(fresh, owner)
	d.Want(fresh)
	f.until("it was asked for", func() (err error) {
		f.hosts.change(func() { err = is(f.hosts.installedAsks > 0, "asked") })
		return err
	})
	f.hosts.set("b.unknown.example", certificates.Owner{Instance: "b"})
	d.Want("b.unknown.example")
	d.state("b.unknown.example", certificates.Issued) // nobody else waits
	if d.Resting() > 0 {
		t.Error("all work rests")
	}
	f.clock.advanceTo(rec.RenewAt)
	d.Want(old)
	d.renewed(old, rec.Serial)
	if n := f.ca.asks(fresh); n != 0 {
		t.Errorf("%d orders of an app that nobody knows to be installed", n)
	}
}

// undeletable is a storage that does not delete what is of a name.
type undeletable struct {
	certmagic.Storage
	name  string
	tried atomic.Int64
}

func (s *undeletable) Delete(ctx context.Context, key string) error {
	if strings.Contains(key, s.name) {
		s.tried.Add(1)
		return errDown
	}
	return s.Storage.Delete(ctx, key)
}

// TestBrakeCountsRemovals, and no tries of one.
func TestBrakeCountsRemovals(t *testing.T) {
	t.Parallel()
	const bad, good = "bad.counts.example", "good.counts.example"
	f := newFleet(t, bad, good)
	storage := &undeletable{Storage: f.storage, name: bad}
	f.storage = storage
	d := f.leader(f.settings(func(s *certificates.Settings) {
		s.Limits = certificates.Limits{Removal: certificates.Limit{Orders: 1, Window: time.Hour}}
	}))
	d.state(bad, certificates.Issued)
	d.state(good, certificates.Issued)
	f.hosts.remove(bad)
	d.Want(bad)
	f.until("it was tried twice", func() error {
		f.clock.advance(time.Second)
		d.Want(bad)
		return is(storage.tried.Load() > 1, "tried")
	})
	f.hosts.remove(good)
	f.until("the other one is removed", func() error {
		f.clock.advance(time.Second)
		d.Want(good)
		return is(d.Counts().Removed == 1, "so")
	})
	d.noRecord(good)
}

// TestBrakeOfNextLeader: who leads next knows how many were removed, and nobody asks the
// store for those that have to wait.
func TestBrakeOfNextLeader(t *testing.T) {
	t.Parallel()
	const all, limit = 12, 3
	var names []string
	for i := range all {
		names = append(names, fmt.Sprintf("n%d.next.example", i))
	}
	f := newFleet(t, names...)
	settings := f.settings(func(s *certificates.Settings) {
		s.Limits = certificates.Limits{Removal: certificates.Limit{Orders: limit, Window: time.Hour}}
	})
	d := f.leader(settings)
	for _, name := range names {
		d.state(name, certificates.Issued)
	}
	for _, name := range names {
		f.hosts.remove(name)
	}
	total := 0
	for range 3 {
		d.Want(names...)
		f.until("some are removed", func() error { return is(total+int(d.Counts().Removed) >= limit && !d.Busy(), "yet") })
		total += int(d.Counts().Removed)
		d.stop()
		d = f.leader(settings)
		f.settle(d)
	}
	if total != limit {
		t.Errorf("%d removed within seconds", total)
	}
	asked := f.hosts.goneAsked()
	d.Want(names...)
	f.settle(d)
	if n := f.hosts.goneAsked() - asked; n != 0 {
		t.Errorf("the store is asked for %d that have to wait", n)
	}
}
