// Aliases: an instance with as many as are taken.

package directory_test

import (
	"fmt"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// TestAllAliasesChange has an instance get 1,000 other aliases at each change, half of
// which another instance has as well.
func TestAllAliasesChange(t *testing.T) {
	t.Parallel()
	names := func(generation, n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("a%d.of%d.test", i, generation))
		}
		return out
	}
	d := fed(newDoc("b", "1-a", "b.test", aliases(append(names(1, 500), names(2, 500)...)...)))
	check := func(generation int, owner string, from, to int) {
		t.Helper()
		for _, name := range names(generation, to)[from:] {
			m, ok := d.Resolve(name, directory.Off)
			if ok != (owner != "") || m.Entry.ID() != owner {
				t.Fatalf("%s is %q's (%t), want %q's", name, m.Entry.ID(), ok, owner)
			}
		}
	}
	for generation := 1; generation <= 4; generation++ {
		if !d.Apply(newDoc("a", fmt.Sprintf("%d-a", generation), "a.test", aliases(names(generation, 1_000)...))) {
			t.Fatal("it is not taken")
		}
		check(generation, "a", 0, 1_000)
		for other := 1; other <= 4; other++ {
			if other == generation {
				continue
			}
			check(other, map[bool]string{true: "b"}[other <= 2], 0, 500)
			check(other, "", 500, 1_000)
		}
		hosts, conflicts := 2+1_000+1_000, 0
		if generation <= 2 {
			hosts, conflicts = hosts-500, 500
		}
		if s := d.Status(); s.Hosts != hosts || s.Conflicts != conflicts {
			t.Fatalf("%d hosts and %d conflicts, want %d and %d", s.Hosts, s.Conflicts, hosts, conflicts)
		}
	}
	d.Remove("a", "9-a")
	d.Remove("b", "9-a")
	if s := d.Status(); s.Hosts != 0 || s.Conflicts != 0 {
		t.Errorf("of nobody, %d hosts and %d conflicts are left", s.Hosts, s.Conflicts)
	}
}
