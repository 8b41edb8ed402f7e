// Tables: each size that there is, and what is in them as they grow and shrink.

package directory

import (
	"fmt"
	"slices"
	"testing"
	"unsafe"
)

// TestGroups has groups of each size begin a cache line, and come back from the one
// pointer that is served of them.
func TestGroups(t *testing.T) {
	t.Parallel()
	if serve(nil) != nil {
		t.Error("something is served of no groups")
	}
	before := 0
	for kind, n := range groupCounts {
		if n <= before {
			t.Fatalf("kind %d has %d groups, and the one before it %d", kind, n, before)
		}
		for _, wanted := range []int{before + 1, n} {
			groups := makeGroups(wanted)
			if len(groups) != n || uintptr(unsafe.Pointer(&groups[0]))%uintptr(groupBytes) != 0 {
				t.Fatalf("for %d there are %d groups at %p, want %d", wanted, len(groups), &groups[0], n)
			}
			groups[n-1].refs[groupSize-1] = 1 // all of it can be written
			back := groupsOf(serve(groups))
			if len(back) != n || &back[0] != &groups[0] {
				t.Fatalf("of %d groups at %p, %d at %p come back", n, &groups[0], len(back), &back[0])
			}
		}
		before = n
	}
	const names = 1 << 32 / 4 // as many of 12 letters fill all that references can tell apart
	if most := shardCount * before * groupSize * 5 / 6; most < names {
		t.Errorf("the largest tables have room for %d references", most)
	}
}

// TestTable fills a table and empties it, through all of its sizes: nothing is lost, it is
// never fuller than 5/6, and what has been published is not written.
func TestTable(t *testing.T) {
	t.Parallel()
	for _, inPlace := range []bool{false, true} {
		t.Run(fmt.Sprint(inPlace), func(t *testing.T) {
			t.Parallel()
			const n = 1_000
			hash := func(r ref) uint64 { return uint64(r) * 0x9e3779b97f4a7c15 }
			var tab table
			has := func(when string, want ref, from ref) {
				t.Helper()
				got := slices.Sorted(refs(tab.groups))
				for i, r := range got {
					if r != from+ref(i) {
						t.Fatalf("%s: reference %d is %d, want %d", when, i, r, from+ref(i))
					}
				}
				slots := len(tab.groups) * groupSize
				if len(got) != int(want) || int(tab.used) != len(got) || int(tab.used+tab.was)*6 > slots*5 {
					t.Fatalf("%s: %d references, %d in use, %d freed, of %d slots; want %d", when, len(got), tab.used, tab.was, slots, want)
				}
				if slots > 0 && groupsOf(serve(tab.groups))[0] != tab.groups[0] {
					t.Fatalf("%s: what is served is something else", when)
				}
			}
			// change makes a change, and looks at the groups that were there before.
			change := func(make func()) {
				t.Helper()
				published, copied := tab.groups, slices.Clone(tab.groups)
				make()
				if !inPlace && !slices.Equal(published, copied) {
					t.Fatal("published groups are written")
				}
			}
			most := 0
			for r := ref(1); r <= n; r++ {
				change(func() { tab.put(hash(r), 0, r, inPlace, hash) })
				has(fmt.Sprintf("with %d", r), r, 1)
				most = max(most, len(tab.groups))
			}
			if most*groupSize > 2*n {
				t.Errorf("%d groups for %d references", most, n)
			}
			change(func() { tab.put(hash(7), 7, 7, inPlace, hash) }) // in its own place
			for r := ref(1); r <= n; r++ {
				change(func() { tab.delete(hash(r), r, inPlace, hash) })
				has(fmt.Sprintf("without %d", r), n-r, r+1)
				if groups := len(tab.groups); groups > 1 && (n-int(r))*4 < groups*groupSize {
					t.Fatalf("%d groups are left for %d references", groups, n-r)
				}
			}
			if tab.groups != nil || tab.counts != (counts{}) {
				t.Errorf("of an empty table is left %+v", tab.counts)
			}
		})
	}
}
