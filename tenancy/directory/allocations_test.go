//go:build !race

// Allocations: what the race detector, which allocates, keeps from being counted.

package directory_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// TestResolveAllocatesNothing holds Resolve, ResolveAt and Decide to it, for hosts as
// browsers send them.
func TestResolveAllocatesNothing(t *testing.T) {
	d := town()
	for _, mode := range []directory.Mode{directory.Nested, directory.Flat, directory.Off} {
		for _, host := range []string{
			"alice.example.com", "alice.org", "drive.alice.example.com", "alice-drive.example.com",
			"bob.localhost:8080", "drive.bob.localhost:8080", "bob-drive.localhost:8080",
			"nobody.example.com", "drive.nobody.example.com:8443", "alice.example.com.", "ALICE.example.com",
			strings.Repeat("long.", 48) + "example.com:65535", "127.0.0.1", "",
		} {
			if n := testing.AllocsPerRun(100, func() { d.Resolve(host, mode) }); n != 0 {
				t.Errorf("Resolve %q %v: %v allocations", host, mode, n)
			}
			if n := testing.AllocsPerRun(100, func() { d.ResolveAt(host, 8080, mode) }); n != 0 {
				t.Errorf("ResolveAt %q %v: %v allocations", host, mode, n)
			}
			if v := d.Decide(host, mode); v.Kind != directory.Redirect {
				if n := testing.AllocsPerRun(100, func() { d.Decide(host, mode) }); n != 0 {
					t.Errorf("Decide %q %v: %v allocations", host, mode, n)
				}
			}
		}
	}
}
