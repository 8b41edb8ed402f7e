// Handshakes that wait for a certificate: none asks in vain again and again, and none is in the way of others.

package certificates_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// TestFruitless: handshakes for a name that cannot have a certificate now do not ask the
// storage each time; news end that at once.
func TestFruitless(t *testing.T) {
	t.Parallel()
	const name = "a.fruitless.example"
	f := newFleet(t, name)
	f.ca.fails(func(string) error { return acme.Problem{Type: acme.ProblemTypeUnauthorized, Status: 403} })
	storage := &faulty{Storage: f.storage}
	f.storage = storage
	d := f.leader(f.settings())
	rec := d.state(name, certificates.Failed)
	f.settle(d)
	handshake := func() error {
		_, err := d.Certificate(t.Context(), name)
		if errors.Is(err, certificates.ErrNone) {
			_, err = d.Demand(t.Context(), name, visitor)
		}
		return err
	}
	if err := handshake(); !errors.Is(err, certificates.ErrNone) {
		t.Fatal(err)
	}
	loads, calls := storage.loads.Load(), d.cluster.Calls()
	for range 100 {
		if err := handshake(); !errors.Is(err, certificates.ErrNone) {
			t.Fatal(err)
		}
	}
	if n := storage.loads.Load() - loads; n > 10 { // of the leader's own
		t.Errorf("%d loads", n)
	}
	if n := d.cluster.Calls() - calls; n > 20 {
		t.Errorf("%d calls", n)
	}
	f.ca.fails(nil)
	f.clock.advanceTo(rec.Next)
	d.Want(name)
	d.state(name, certificates.Issued)
	if err := handshake(); err != nil {
		t.Error(err)
	}
}

// TestWaiters: one client cannot take all places of those who wait.
func TestWaiters(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.waiters.example")
	open := f.ca.block()
	defer open()
	d := f.leader(f.settings())
	f.ca.next(t)
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()
	busy := make(chan error, 300)
	for range 300 {
		waiting.Go(func() {
			_, err := d.Demand(ctx, "a.waiters.example", visitor)
			busy <- err
		})
	}
	for range 300 - 256 {
		if err := <-busy; !errors.Is(err, certificates.ErrBusy) {
			t.Fatal(err)
		}
	}
	other := make(chan error, 1)
	waiting.Go(func() {
		_, err := d.Demand(ctx, "a.waiters.example", netip.MustParseAddr("198.51.100.9"))
		other <- err
	})
	open()
	if err := <-other; err != nil {
		t.Errorf("another client: %v", err)
	}
}

// TestGoneVisitor: whose handshake has been given up does not keep others from waiting.
func TestGoneVisitor(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.visitor.example")
	open := f.ca.block()
	defer open()
	d := f.leader(f.settings())
	f.ca.next(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := d.Demand(ctx, "a.visitor.example", visitor); err == nil {
		t.Fatal("a certificate")
	}
	next := make(chan error, 1)
	go func() {
		_, err := d.Demand(t.Context(), "a.visitor.example", visitor)
		next <- err
	}()
	open()
	if err := <-next; err != nil {
		t.Error(err)
	}
}
