// Renewal, without any visit.

package certificates_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// renewed waits until a name has another certificate than it had.
func (d *front) renewed(name, before string) (rec *certificates.Record) {
	d.t.Helper()
	until(d.t, name+" is renewed", func() (err error) {
		if rec, err = d.Record(d.t.Context(), name); err != nil {
			return err
		}
		return is(rec.State == certificates.Issued && rec.Serial != before, "renewed: %+v", rec)
	})
	return rec
}

// TestRenewed in its time, and not before; the other front door, which has the old one
// in memory, hears of it.
func TestRenewed(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, open func() *couch.Cluster) {
		f := fleetOn(t, open, "a.renewed.example")
		one, two := f.leader(f.settings()), f.front("two", f.settings())
		first := one.state("a.renewed.example", certificates.Issued)
		two.serves("a.renewed.example")
		f.clock.advanceTo(first.RenewAt.Add(-time.Hour))
		one.Want("a.renewed.example")
		f.settle(one)
		f.settle(one)
		if n := f.ca.count(); n != 1 {
			t.Fatalf("%d orders before the time", n)
		}
		f.clock.advanceTo(first.RenewAt)
		one.Want("a.renewed.example")
		rec := one.renewed("a.renewed.example", first.Serial)
		for _, d := range []*front{one, two} {
			f.until("it is served", func() error {
				return is(serial(d.serves("a.renewed.example")) == rec.Serial, "the new one")
			})
		}
		if n := f.ca.count(); n != 2 {
			t.Errorf("%d orders", n)
		}
	})
}

// TestRenewalFails: the old one is served, and it is tried again.
func TestRenewalFails(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.fails.example")
	d := f.leader(f.settings())
	first := d.state("a.fails.example", certificates.Issued)
	f.ca.fails(func(string) error { return acme.Problem{Type: acme.ProblemTypeUnauthorized, Status: 403} })
	f.clock.advanceTo(first.RenewAt)
	d.Want("a.fails.example")
	rec := d.state("a.fails.example", certificates.Failed)
	if wait := rec.Next.Sub(f.clock.Now()); rec.Tries != 1 || wait > time.Minute || wait < 50*time.Second || !rec.Held() {
		t.Errorf("%+v", rec)
	}
	if serial(d.serves("a.fails.example")) != first.Serial {
		t.Error("another certificate")
	}
	f.ca.fails(nil)
	d.Want("a.fails.example")
	f.settle(d)
	if n := f.ca.asks("a.fails.example"); n != 2 {
		t.Errorf("%d orders before the pause is over", n)
	}
	f.clock.advanceTo(rec.Next)
	d.Want("a.fails.example")
	d.renewed("a.fails.example", first.Serial)
}

// TestAdvice of the authority is followed, sooner and later; not where it comes too late.
func TestAdvice(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "sooner.advice.example", "later.advice.example", "late.advice.example", "silent.advice.example", "none.advice.example")
	var pulled atomic.Bool
	now := f.clock.Now()
	ca := &advising{f.ca, func(cert certmagic.Certificate) (acme.RenewalInfo, error) {
		day := 24 * time.Hour
		switch cert.Names[0] {
		case "sooner.advice.example":
			if pulled.Load() {
				return window(now.Add(-2*time.Hour), now.Add(-time.Hour)), nil // it will be revoked
			}
			return window(now.Add(10*day), now.Add(11*day)), nil
		case "later.advice.example":
			return window(now.Add(80*day), now.Add(81*day)), nil
		case "late.advice.example":
			return window(now.Add(100*day), now.Add(101*day)), nil
		case "silent.advice.example":
			return acme.RenewalInfo{}, errors.New("no answer")
		default:
			return acme.RenewalInfo{}, acme.ErrUnsupported
		}
	}}
	d := f.leader(f.settings(func(s *certificates.Settings) { s.Issuers = []certmagic.Issuer{ca} }))
	day := 24 * time.Hour
	for name, want := range map[string]struct{ renewLeast, renewMost, ask time.Duration }{
		"sooner": {10*day - time.Hour, 10*day + time.Hour, day},
		"later":  {80*day - time.Hour, 80*day + time.Hour, day},
		"late":   {60*day - time.Hour, 75 * day, day},
		"silent": {60*day - time.Hour, 75 * day, time.Hour},
		"none":   {60*day - time.Hour, 75 * day, day},
	} {
		rec := d.state(name+".advice.example", certificates.Issued)
		if after := rec.RenewAt.Sub(now); after < want.renewLeast || after > want.renewMost {
			t.Errorf("%s is renewed after %s", name, after)
		}
		if after := rec.ARI.Sub(f.clock.Now()); after > want.ask || after < want.ask-time.Minute {
			t.Errorf("%s is asked for after %s", name, after)
		}
	}
	first := d.state("sooner.advice.example", certificates.Issued)
	pulled.Store(true)
	f.clock.advanceTo(first.ARI)
	d.Want("sooner.advice.example")
	second := d.renewed("sooner.advice.example", first.Serial)
	// An authority that goes on advising it does not have it renewed again and again.
	d.Want("sooner.advice.example")
	f.settle(d)
	f.settle(d)
	if n := f.ca.asks("sooner.advice.example"); n != 2 || second.RenewAt.Sub(f.clock.Now()) < 5*time.Hour {
		t.Errorf("%d orders, and again at %s", n, second.RenewAt)
	}
}

// TestNoAdviceAnyMore: an issuer that once gave advice and does not now is not asked
// without end.
func TestNoAdviceAnyMore(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.noadvice.example")
	ca := &advising{f.ca, func(certmagic.Certificate) (acme.RenewalInfo, error) {
		return window(f.clock.Now().Add(24*time.Hour), f.clock.Now().Add(48*time.Hour)), nil
	}}
	d := f.leader(f.settings(func(s *certificates.Settings) { s.Issuers = []certmagic.Issuer{ca} }))
	rec := d.state("a.noadvice.example", certificates.Issued)
	d.Use(f.settings())
	f.until("it leads again", func() error { return is(d.Leads(), "leading") })
	f.clock.advanceTo(rec.ARI.Add(-time.Hour))
	rec, err := d.Record(t.Context(), rec.Name)
	must(t, err)
	rec.ARI, rec.RenewAt = f.clock.Now().Add(-time.Minute), f.clock.Now().Add(24*time.Hour)
	f.write(rec)
	d.Want(rec.Name)
	f.until("the advice is gone", func() error {
		rec, err := d.Record(t.Context(), rec.Name)
		if err != nil {
			return err
		}
		return is(rec.ARI.IsZero(), "gone: %s", rec.ARI)
	})
}

// TestShortLives: of an authority whose certificates have hardly any time left when they
// come, or none, they are not ordered without end.
func TestShortLives(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.short.example")
	f.ca.set(func() { f.ca.life, f.ca.age = 2*time.Hour, 119*time.Minute })
	d := f.leader(f.settings())
	rec := d.state("a.short.example", certificates.Issued)
	if left := rec.RenewAt.Sub(f.clock.Now()); left < 20*time.Second || left > 31*time.Second {
		t.Errorf("renewed after %s", left)
	}
	f.ca.set(func() { f.ca.age = 3 * time.Hour })
	f.hosts.set("b.short.example", certificates.Owner{Instance: "b"})
	d.Want("b.short.example")
	d.state("b.short.example", certificates.Failed)
	f.settle(d)
	if n := f.ca.asks("b.short.example"); n != 1 {
		t.Errorf("%d orders", n)
	}
}

// TestRevoked: what OCSP says is revoked is renewed by the leader, once, whichever front
// door has heard of it; and the front doors themselves order nothing.
func TestRevoked(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.ocsp.example")
	one, two := f.leader(f.settings()), f.front("two", f.settings())
	first := one.state("a.ocsp.example", certificates.Issued)
	// As the maintenance of certmagic's cache does.
	done := make(chan error, 1)
	go func() { done <- two.Maintain(t.Context(), "a.ocsp.example") }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a front door that does not lead has ordered")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the maintenance is kept from going on")
	}
	second := one.renewed("a.ocsp.example", first.Serial)
	two.Revoked("nobody.ocsp.example")
	f.until("the other has it as well", func() error {
		return is(serial(two.serves("a.ocsp.example")) == second.Serial, "yet")
	})
	if n := f.ca.count(); n != 2 {
		t.Errorf("%d orders", n)
	}
}
