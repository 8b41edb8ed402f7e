// Tests of the names that the CA resolves.

package testkit_test

import (
	"slices"
	"testing"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
)

// TestNames: the CA and whoever else asks its DNS see what was set.
func TestNames(t *testing.T) {
	t.Parallel()
	f := newFront(t, testkit.PebbleOptions{}, nil)
	look := func(host string, want ...string) {
		t.Helper()
		for _, network := range []string{"udp", "tcp"} {
			// What is not found is an error, and no addresses.
			got, _ := f.Resolver(network).LookupHost(t.Context(), host+".")
			if !slices.Equal(got, want) {
				t.Errorf("%s over %s: %v, want %v", host, network, got, want)
			}
		}
	}
	look("any.example.test", "127.0.0.1")
	f.SetA(t, "Away.example.test", "192.0.2.1", "192.0.2.2")
	look("away.example.test", "192.0.2.1", "192.0.2.2")
	f.SetA(t, "away.example.test", "192.0.2.3")
	look("away.example.test", "192.0.2.3")
	f.SetA(t, "away.example.test")
	look("away.example.test")
	f.SetCNAME(t, "www.example.test", "away.example.test")
	look("www.example.test")
	f.SetCNAME(t, "www.example.test", "")
	look("www.example.test", "127.0.0.1")
	f.SetServFail(t, "broken.example.test", true)
	look("broken.example.test")
	f.SetServFail(t, "broken.example.test", false)
	look("broken.example.test", "127.0.0.1")
	f.SetAAAA(t, "six.example.test", "2001:db8::1")
	f.SetA(t, "six.example.test")
	look("six.example.test", "2001:db8::1")
	f.SetTXT(t, "_acme-challenge.example.test", "one", "two")
	if got, err := f.Resolver("udp").LookupTXT(t.Context(), "_acme-challenge.example.test."); err != nil || !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("%q, %v", got, err)
	}
	if err := f.obtain(t, "away.example.test"); err == nil {
		t.Error("a certificate for a name without an address")
	}
	f.ClearA(t, "away.example.test")
	look("away.example.test", "127.0.0.1")
	f.must(t, "away.example.test")
	f.SetDefaultA(t, "")
	look("any.example.test")
}
