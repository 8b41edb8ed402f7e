// With Let's Encrypt's test CA, and certmagic's own issuer and solver.

package certificates_test

import (
	"context"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// acmeFleet is a fleet with a CA, and what answers its challenges.
type acmeFleet struct {
	*fleet
	*testkit.CA
	issuer *certmagic.ACMEIssuer
}

func newACMEFleet(t *testing.T, options testkit.PebbleOptions, names ...string) *acmeFleet {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	options.HTTPPort, options.TLSPort = listener.Addr().(*net.TCPAddr).Port, 1
	f := &acmeFleet{fleet: newFleet(t, names...), CA: testkit.Pebble(t, options)}
	config := certmagic.New(certmagicCache(t), certmagic.Config{Storage: f.storage, Logger: zap.NewNop()})
	f.issuer = certmagic.NewACMEIssuer(config, certmagic.ACMEIssuer{
		CA: f.Directory, TrustedRoots: f.Trust, Agreed: true, // and no e-mail address, for which nobody is asked
		ListenHost: "127.0.0.1", AltHTTPPort: options.HTTPPort, DisableTLSALPNChallenge: true, Logger: zap.NewNop(),
	})
	server := &http.Server{Handler: f.issuer.HTTPChallengeHandler(http.NotFoundHandler()), ErrorLog: log.New(io.Discard, "", 0)}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) }) // it ends with ErrServerClosed
	t.Cleanup(func() {
		_ = server.Close()
		running.Wait()
	})
	return f
}

func (f *acmeFleet) acme(s *certificates.Settings) {
	s.Issuers, s.Revoke = []certmagic.Issuer{f.issuer}, true
}

// TestACME from the first order to the revocation.
func TestACME(t *testing.T) {
	t.Parallel()
	f := newACMEFleet(t, testkit.PebbleOptions{RenewalRetryAfter: 2 * time.Hour}, "a.acme.example")
	d := f.leader(f.settings(f.acme))
	rec := d.state("a.acme.example", certificates.Issued)
	leaf := d.serves("a.acme.example")
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "a.acme.example", Roots: f.Roots, Intermediates: f.Intermediates}); err != nil {
		t.Fatal(err)
	}
	// Pebble's advice is a window of two days around the last third of the life.
	if left := rec.NotAfter.Sub(rec.RenewAt); left < 28*24*time.Hour || left > 32*24*time.Hour {
		t.Errorf("renewed with %s left", left)
	}
	if wait := rec.ARI.Sub(f.clock.Now()); wait > 2*time.Hour || wait < 119*time.Minute {
		t.Errorf("asked again after %s", wait)
	}
	// It may have to be revoked: the advice becomes an earlier one.
	now := f.clock.Now()
	f.SetRenewalInfo(t, leaf, now.Add(-2*time.Hour), now.Add(-time.Hour))
	f.clock.advance(7 * time.Hour)
	d.Want("a.acme.example")
	second := d.renewed("a.acme.example", rec.Serial)
	f.until("it is served", func() error { return is(serial(d.serves("a.acme.example")) == second.Serial, "yet") })
	f.hosts.remove("a.acme.example")
	d.Forget("a.acme.example")
	d.Want("a.acme.example")
	d.noRecord("a.acme.example")
	number, _ := new(big.Int).SetString(second.Serial, 16)
	if got := f.CertStatus(t, number); !got.Revoked || got.Reason != 5 {
		t.Errorf("%+v", got)
	}
}

// TestACMEDown: the queue waits, and finishes when the CA is there again; nothing that
// was obtained is ordered twice.
func TestACMEDown(t *testing.T) {
	t.Parallel()
	names := []string{"a.acmedown.example", "b.acmedown.example", "c.acmedown.example"}
	f := newACMEFleet(t, testkit.PebbleOptions{}, names...)
	f.Down()
	d := f.leader(f.settings(f.acme))
	for _, name := range names {
		rec := d.state(name, certificates.Failed)
		if wait := rec.Next.Sub(f.clock.Now()); wait > 6*time.Second {
			t.Errorf("%s waits for %s: %s", name, wait, rec.Error)
		}
	}
	f.Up()
	for _, name := range names {
		d.state(name, certificates.Issued)
		d.serves(name)
	}
	if n := f.Count(testkit.ACMEFinalize); n != len(names) {
		t.Errorf("%d certificates", n)
	}
}

// TestACMERateLimited: an answer of 429 with a time holds all orders until then; one
// without is tried again after a minute.
func TestACMERateLimited(t *testing.T) {
	t.Parallel()
	f := newACMEFleet(t, testkit.PebbleOptions{}, "a.acmelimit.example")
	at := f.clock.Now().Add(time.Hour)
	f.Fail(func(req *http.Request) *http.Response {
		if testkit.EndpointOf(req) != testkit.ACMENewOrder {
			return nil
		}
		return testkit.ACMEProblem(429, "rateLimited", "too many new orders (300) from this account in the last 3h0m0s, retry after "+at.UTC().Format(time.DateTime)+" UTC: see https://letsencrypt.org/docs/rate-limits/")
	})
	d := f.leader(f.settings(f.acme))
	rec := d.state("a.acmelimit.example", certificates.Failed)
	if off := rec.Next.Sub(at); off > time.Second || off < -time.Second {
		t.Errorf("again at %s, and not at %s: %s", rec.Next, at, rec.Error)
	}
	f.hosts.set("b.acmelimit.example", certificates.Owner{Instance: "b"})
	d.Want("b.acmelimit.example")
	if rec := d.state("b.acmelimit.example", certificates.Pending); rec.Error != "waits for the budget of its account" {
		t.Errorf("%+v", rec)
	}
	if n := f.Count(testkit.ACMENewOrder); n != 1 {
		t.Errorf("%d orders", n)
	}
	f.Fail(nil)
	f.clock.advanceTo(at.Add(time.Minute))
	d.Want("a.acmelimit.example", "b.acmelimit.example")
	d.state("a.acmelimit.example", certificates.Issued)
	d.state("b.acmelimit.example", certificates.Issued)
}

// TestACMEReload: an order that a reload cuts is made anew, with the account that is there.
func TestACMEReload(t *testing.T) {
	t.Parallel()
	f := newACMEFleet(t, testkit.PebbleOptions{}, "a.acmereload.example")
	began := make(chan struct{}, 10)
	f.Fail(func(req *http.Request) *http.Response {
		if testkit.EndpointOf(req) == testkit.ACMEChallenge {
			began <- struct{}{}
			select {
			case <-req.Context().Done():
			case <-time.After(30 * time.Second):
			}
		}
		return nil
	})
	d := f.leader(f.settings(f.acme))
	<-began
	f.Fail(nil)
	d.Use(f.settings(f.acme, func(s *certificates.Settings) { s.Parallel = 3 })) // so that it is cut
	d.state("a.acmereload.example", certificates.Issued)
	if d.Counts().Failures != 0 || f.Count(testkit.ACMENewAccount) != 1 {
		t.Errorf("%+v, %d accounts", d.Counts(), f.Count(testkit.ACMENewAccount))
	}
}

// TestTwoFrontDoorsOneOrder: certificates are obtained once, also when both front doors
// take themselves for the leader.
func TestTwoFrontDoorsOneOrder(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.twice.example")
	open := f.ca.block()
	one := f.leader(f.settings())
	f.ca.next(t)
	// The other one has a store of its own, as the other half of a divided cluster.
	other := fleetOn(t, testkitCluster(t), "a.twice.example")
	other.storage, other.ca, other.clock = f.storage, f.ca, f.clock
	two := other.leader(f.settings())
	two.state("a.twice.example", certificates.Ordered)
	open()
	first := one.state("a.twice.example", certificates.Issued)
	two.state("a.twice.example", certificates.Issued)
	if n := f.ca.count(); n != 1 {
		t.Fatalf("%d orders", n)
	}
	// And renewed once: the second finds that it has been.
	open = f.ca.block()
	f.clock.advanceTo(first.RenewAt)
	one.Want("a.twice.example")
	f.ca.next(t)
	two.Want("a.twice.example")
	f.until("the second is at it", func() error {
		rec, err := two.Record(context.WithoutCancel(t.Context()), "a.twice.example")
		if err != nil {
			return err
		}
		return is(!rec.Next.IsZero(), "yet")
	})
	open()
	second := one.renewed("a.twice.example", first.Serial)
	if rec := two.renewed("a.twice.example", first.Serial); rec.Serial != second.Serial {
		t.Error("two certificates")
	}
	if n := f.ca.asks("a.twice.example"); n != 2 {
		t.Errorf("%d orders", n)
	}
}
