// Clients: what a visit costs, and whom.

package caddymodule

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

var (
	anHour = certificates.Limit{Orders: 10, Window: time.Hour}
	never  = func() bool { return false }
)

func TestNetwork(t *testing.T) {
	for client, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := certificates.Network(netip.MustParseAddr(client)); got.String() != want {
			t.Errorf("%s: %v, want %s", client, got, want)
		}
	}
	if certificates.Network(netip.Addr{}).IsValid() {
		t.Error("no address has a network")
	}
}

func TestClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClients(time.Now)
		one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		visit := func(client netip.Addr, from, to int) (admitted int) {
			for i := from; i < to; i++ {
				if c.admits(client, fmt.Sprint(i), anHour, never) {
					admitted++
				}
			}
			return admitted
		}
		if n := visit(one, 0, 20); n != 10 {
			t.Errorf("%d of 20 names are admitted", n)
		}
		if n := visit(one, 0, 20); n != 10 {
			t.Errorf("once more: %d; the same name costs nothing, and a refused one is refused", n)
		}
		if n := visit(other, 0, 20); n != 10 {
			t.Errorf("from another address: %d", n)
		}
		if !c.admits(one, "stored", anHour, func() bool { return true }) {
			t.Error("what makes no order is not admitted")
		}
		if !c.admits(one, "stored", anHour, func() bool { t.Error("it is looked up twice"); return false }) {
			t.Error("what made no order is not admitted any more")
		}
		if !c.admits(netip.Addr{}, "x", anHour, never) || !c.admits(one, "y", certificates.Limit{}, never) {
			t.Error("there is a budget without an address, or without a limit")
		}
		time.Sleep(6 * time.Minute) // a tenth of an hour
		if n := visit(one, 10, 12); n != 1 {
			t.Errorf("after a tenth of the time: %d", n)
		}
		time.Sleep(visitTime)
		if n := visit(one, 0, 20); n != 10 {
			t.Errorf("after the whole time: %d", n)
		}
		// A visit that is counted no more costs again; it has filled up meanwhile.
		if n := visit(one, 100, 101); n != 0 {
			t.Error("there was more than the limit")
		}
	})
}

// TestClientsLook: a name that was refused is not looked up at each handshake.
func TestClientsLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClients(time.Now)
		client := netip.MustParseAddr("2001:db8::1")
		limit := certificates.Limit{Orders: 1, Window: time.Hour}
		looks := 0
		count := func() bool { looks++; return false }
		c.admits(client, "first", limit, never)
		for range 5 {
			if c.admits(netip.MustParseAddr("2001:db8::2"), "second", limit, count) {
				t.Error("another address of the network has a budget of its own")
			}
		}
		if looks != 1 {
			t.Errorf("%d look-ups", looks)
		}
		time.Sleep(refuseTime)
		if !c.admits(client, "second", limit, func() bool { return true }) {
			t.Error("what is there by now is refused")
		}
		// Another configuration counts from then on.
		wide := certificates.Limit{Orders: 100, Window: time.Second}
		time.Sleep(time.Second)
		c.admits(client, "third", wide, never)
		time.Sleep(time.Second)
		if !c.admits(client, "fourth", wide, never) {
			t.Error("a wider limit is not taken up")
		}
	})
}

func TestClientsBounds(t *testing.T) {
	c := newClients(time.Now)
	for i := range 3 * maxClients {
		client := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if !c.admits(client, "alice.example.com", anHour, never) {
			t.Fatalf("client %d is refused", i)
		}
	}
	if n := c.budgets.Len(); n > maxClients {
		t.Errorf("%d budgets", n)
	}
	if n := c.visits.Len(); n > maxVisits {
		t.Errorf("%d visits", n)
	}
}
