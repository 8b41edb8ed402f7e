// Proof: that a domain points here, before an authority is asked.

package certificates_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// TestProof of each kind, by a real DNS.
func TestProof(t *testing.T) {
	t.Parallel()
	ca := testkit.Pebble(t, testkit.PebbleOptions{HTTPPort: 1, TLSPort: 1})
	ca.SetCNAME(t, "cname.proof.example", "edge.proof.example")
	ca.SetA(t, "edge.proof.example", "192.0.2.1", "192.0.2.2")
	ca.SetA(t, "a.proof.example", "192.0.2.1")
	ca.SetA(t, "both.proof.example", "192.0.2.1")
	ca.SetAAAA(t, "both.proof.example", "2001:db8::1")
	ca.SetA(t, "stale6.proof.example", "192.0.2.1")
	ca.SetAAAA(t, "stale6.proof.example", "2001:db8::bad")
	ca.SetA(t, "mixed.proof.example", "192.0.2.1", "198.51.100.7")
	ca.SetA(t, "txt.proof.example", "198.51.100.7")
	ca.SetTXT(t, "_gatehouse.txt.proof.example", "gatehouse-token")
	ca.SetA(t, "else.proof.example", "198.51.100.7")
	ca.SetA(t, "none.proof.example")
	ca.SetServFail(t, "broken.proof.example", true)
	ca.SetServFail(t, "_gatehouse.broken.proof.example", true)
	byName := &certificates.Proof{Names: []string{"edge.proof.example"}, Resolver: ca.Resolver("udp")}
	byAddress := &certificates.Proof{Addresses: []netip.Addr{
		netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::1"),
	}, Resolver: ca.Resolver("tcp")}
	for _, test := range []struct {
		proof *certificates.Proof
		name  string
		says  string // of what is not proven; empty for proven
	}{
		{byName, "cname", ""},
		{byName, "a", "addresses of its own"},
		{byName, "txt", ""},
		{byAddress, "cname", ""},
		{byAddress, "a", ""},
		{byAddress, "both", ""},
		{byAddress, "txt", ""},
		{byAddress, "stale6", "2001:db8::bad"},
		{byAddress, "mixed", "198.51.100.7"},
		{byAddress, "else", `TXT _gatehouse.else.proof.example "gatehouse-token"`},
		{byAddress, "none", "none.proof.example"},
		{byAddress, "broken", "does not answer"},
	} {
		err := test.proof.Check(t.Context(), test.name+".proof.example", "gatehouse-token")
		switch {
		case test.says == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
			t.Errorf("%s: %v, which does not say %q", test.name, err, test.says)
		}
	}
}

// TestProofByAnAliasOfOurs: a platform's name may itself be an alias, of a load balancer.
func TestProofByAnAliasOfOurs(t *testing.T) {
	t.Parallel()
	z := zone{"tenant.example": "lb.provider.example", "edge.example": "lb.provider.example", "other.example": "elsewhere.example"}
	p := &certificates.Proof{Names: []string{"Edge.example."}, Resolver: z}
	if err := p.Check(t.Context(), "tenant.example", "token"); err != nil {
		t.Error(err)
	}
	if err := p.Check(t.Context(), "other.example", "token"); err == nil {
		t.Error("an alias of something else is a proof")
	}
}

// switchable is a DNS that has a name from some time on.
type switchable struct {
	zone
	on   atomic.Bool
	text atomic.Pointer[string] // the TXT record of _gatehouse.a.later.example
}

func (s *switchable) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if text := s.text.Load(); text != nil && name == "_gatehouse.a.later.example." {
		return []string{*text}, nil
	}
	return s.zone.LookupTXT(ctx, name)
}

func (s *switchable) LookupCNAME(ctx context.Context, host string) (string, error) {
	if !s.on.Load() {
		return "", &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	return s.zone.LookupCNAME(ctx, host)
}

// TestProofFoundLater: no order is made until then; the pauses grow, and the token stays.
func TestProofFoundLater(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a.later.example")
	f.hosts.set("app.a.later.example", certificates.Owner{Instance: "a", Parent: "a.later.example", Slug: "app"})
	dns := &switchable{zone: zone{"a.later.example": "edge.example"}}
	d := f.leader(f.settings(func(s *certificates.Settings) {
		s.Proof = &certificates.Proof{Names: []string{"edge.example"}, Resolver: dns}
	}))
	rec := d.state("a.later.example", certificates.Waiting)
	token := rec.ProofToken
	if !strings.HasPrefix(token, "gatehouse-") || len(token) < 40 || !strings.Contains(rec.Error, "CNAME edge.example") || !strings.Contains(rec.Error, token) {
		t.Errorf("%+v", rec)
	}
	for i, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute} {
		if wait := rec.Next.Sub(f.clock.Now()); wait > want || wait < want-20*time.Second {
			t.Errorf("after %d looks the next is after %s", i+1, wait)
		}
		tries := rec.Tries
		f.clock.advanceTo(rec.Next)
		d.Want("a.later.example")
		f.until("it was looked at again", func() (err error) {
			if rec, err = d.Record(t.Context(), "a.later.example"); err != nil {
				return err
			}
			return is(rec.Tries > tries, "again")
		})
	}
	if n := f.ca.count(); n != 0 {
		t.Fatalf("%d orders without a proof", n)
	}
	dns.on.Store(true)
	f.clock.advanceTo(rec.Next)
	d.Want("a.later.example")
	rec = d.state("a.later.example", certificates.Issued)
	if rec.ProofToken != token || rec.Tries != 0 || rec.Error != "" {
		t.Errorf("%+v", rec)
	}
	// The host of an app has to point here as well, or its instance's name to have the
	// record; and a renewal needs no proof.
	d.Want("app.a.later.example")
	app := d.state("app.a.later.example", certificates.Waiting)
	if app.ProofToken != "" || !strings.Contains(app.Error, "TXT _gatehouse.a.later.example") || !strings.Contains(app.Error, token) {
		t.Errorf("%+v", app)
	}
	dns.text.Store(&token)
	f.clock.advanceTo(app.Next)
	d.Want("app.a.later.example")
	d.state("app.a.later.example", certificates.Issued)
	dns.on.Store(false)
	f.clock.advanceTo(rec.RenewAt)
	d.Want("a.later.example")
	d.renewed("a.later.example", rec.Serial)
}
