// Memory: what is freed although something small of it is kept.

package directory

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"weak"
)

func testFacts(id, rev string, size int) *facts {
	return &facts{id: id, rev: rev, domain: id + ".test", key: id + ".test", prefix: "odd", uuid: strings.Repeat("u", size)}
}

// TestEntryKeepsItsChunk and no other, and not the index.
func TestEntryKeepsItsChunk(t *testing.T) {
	t.Parallel()
	kept, index, own, other := func() (Entry, weak.Pointer[index], weak.Pointer[byte], weak.Pointer[byte]) {
		x := newIndex()
		for i := range 3 {
			if _, err := x.apply(testFacts(fmt.Sprint("i", i), "1-a", smallChunk)); err != nil {
				t.Fatal(err)
			}
		}
		e, _ := x.byID("i1")
		last, _ := x.byID("i2")
		return e, weak.Make(x), weak.Make(&e.at.buf[0]), weak.Make(&last.at.buf[0])
	}()
	runtime.GC()
	if index.Value() != nil || other.Value() != nil {
		t.Error("an entry keeps more than its own chunk")
	}
	if own.Value() == nil || kept.Domain() != "i1.test" {
		t.Errorf("a chunk is freed of which %q is kept", kept.Domain())
	}
}

// TestPrefixesKeepNoChunk has two instances share a prefix, of which one is removed.
func TestPrefixesKeepNoChunk(t *testing.T) {
	t.Parallel()
	x := newIndex()
	apply := func(f *facts) {
		t.Helper()
		if _, err := x.apply(f); err != nil {
			t.Fatal(err)
		}
	}
	apply(testFacts("a", "1-a", 0))
	first := func() weak.Pointer[byte] {
		e, _ := x.byID("a")
		return weak.Make(&e.at.buf[0])
	}()
	apply(testFacts("b", "1-a", smallChunk)) // does not fit beside it
	x.remove("a", "2-a")
	runtime.GC()
	if x.records.chunks[1].Load() != nil {
		t.Fatal("the chunk is still in the arena")
	}
	if first.Value() != nil {
		t.Error("a chunk without records is kept")
	}
	if n := x.prefixes[x.prefixHash([]byte("odd"), false)]; n != 1 {
		t.Errorf("%d have the prefix", n)
	}
}
