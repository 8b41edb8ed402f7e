// This file holds the tests of the limits by instance and by address.

package onboarding_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/caddymodule/onboarding"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	p, time1 := newPlane(), newClock()
	b := newBrowser(t, newPage(t, onboarding.Options{
		Backend: p, Now: time1.Now,
		AddressLimit: onboarding.Limit{Burst: 3, Every: 10 * time.Second}, HostLimit: onboarding.Limit{Burst: 5, Every: time.Minute},
	}))
	status := func(want int) *httptest.ResponseRecorder {
		t.Helper()
		w := b.get(link)
		if w.Code != want {
			t.Errorf("%d, want %d", w.Code, want)
		}
		return w
	}
	for range 3 {
		status(200)
	}
	w := status(429)
	if w.Header().Get("Retry-After") != "10" || !strings.Contains(w.Body.String(), "TOO_MANY_REQUESTS") {
		t.Errorf("Retry-After %q: %s", w.Header().Get("Retry-After"), w.Body)
	}
	if w := b.send(http.MethodPost, link, "passphrase=x"); w.Code != 429 {
		t.Errorf("a form: %d", w.Code)
	}
	// What costs no look-up has no limit.
	if w := b.get("https://alice.example.com/"); w.Code != 403 {
		t.Errorf("another request: %d", w.Code)
	}
	time1.advance(10 * time.Second)
	status(200)
	status(429)

	// Another address: the instance's own limit is next, which the refused ones did not use up.
	b.addr = netip.MustParseAddr("192.0.2.2")
	status(200)
	if w := status(429); w.Header().Get("Retry-After") != "50" {
		t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
	}
	time1.advance(time.Minute)
	status(200)
	if checks := p.checks; checks != 6 {
		t.Errorf("the control plane was asked %d times", checks)
	}
	b.inst.ID = "bob" // another instance is not concerned
	b.addr = netip.MustParseAddr("192.0.2.3")
	status(404)
}

func TestAddressesOfOneClient(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newPage(t, onboarding.Options{Backend: newPlane(), AddressLimit: onboarding.Limit{Burst: 1, Every: time.Minute}}))
	for _, c := range []struct {
		addr string
		want int
	}{
		{"2001:db8::1", 200}, {"2001:db8::ffff", 429}, {"2001:db8:0:1::1", 200}, {"fe80::1%eth0", 200}, {"fe80::1%eth1", 429},
		{"192.0.2.7", 200}, {"::ffff:192.0.2.7", 429}, {"192.0.2.8", 200},
	} {
		b.addr = netip.MustParseAddr(c.addr)
		if w := b.get(link); w.Code != c.want {
			t.Errorf("%s: %d, want %d", c.addr, w.Code, c.want)
		}
	}
	b.addr = netip.Addr{}
	if first, second := b.get(link).Code, b.get(link).Code; first != 200 || second != 429 {
		t.Errorf("without an address: %d, then %d", first, second)
	}
}

// TestLimitsForget: of more addresses than are kept, the one asked least recently begins anew.
func TestLimitsForget(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newPage(t, onboarding.Options{
		Backend: newPlane(), AddressLimit: onboarding.Limit{Burst: 1, Every: time.Hour}, HostLimit: onboarding.Limit{Burst: 1 << 20, Every: time.Second},
	}))
	first := netip.MustParseAddr("10.0.0.0")
	b.addr = first
	bad := "https://alice.example.com/?registerToken=x"
	for range 8192 {
		if w := b.get(bad); w.Code != 403 {
			t.Fatal(w.Code)
		}
		b.addr = b.addr.Next()
	}
	last := b.addr
	b.addr = first
	if w := b.get(bad); w.Code != 429 {
		t.Errorf("the first of 8,192: %d", w.Code)
	}
	b.addr = last // the 8,193rd: the second one goes, as the first was asked just now
	b.get(bad)
	for addr, want := range map[netip.Addr]int{first: 429, first.Next(): 403} {
		b.addr = addr
		if w := b.get(bad); w.Code != want {
			t.Errorf("%s: %d, want %d", addr, w.Code, want)
		}
	}
}
