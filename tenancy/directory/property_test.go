// Properties: whatever happens to a directory, it answers as the naive model.

package directory_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// names are few, so that they meet: parents and children of both modes, ports,
// names beyond ASCII, and one that only looks like it.
var names = []string{
	"a.test", "b.a.test", "a-b.test", "c.b.a.test", "a-b-c.test", "a.test:1", "b.a.test:1", "a-b.test:2",
	"é.test", "é-b.test", "b.é.test", "xn--b.test", "A.test.", "test", "no host",
}

var hosts = func() []string {
	out := slices.Clone(names)
	for _, name := range names {
		out = append(out, name+":1", name+":2", "b."+name, "b-"+name, "B."+name+":1", name+".")
	}
	return append(out, "", ".", "a-.test", "-a.test", "unknown.test")
}()

var modes = []directory.Mode{directory.Nested, directory.Flat, directory.Off}

func genRev(t *rapid.T) string {
	return fmt.Sprintf("%d-%s", rapid.IntRange(1, 12).Draw(t, "generation"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "hash"))
}

func genDoc(t *rapid.T) *tenancy.Instance {
	name := rapid.SampledFrom(names)
	doc := newDoc(rapid.SampledFrom([]string{"1", "2", "3", "4", "5"}).Draw(t, "id"), genRev(t), name.Draw(t, "domain"))
	doc.SetList("domain_aliases", rapid.SliceOfN(name, 0, 3).Draw(t, "aliases"))
	if rapid.Bool().Draw(t, "moved") {
		doc.Set("old_domain", name.Draw(t, "old"))
	}
	if rapid.IntRange(0, 9).Draw(t, "broken") == 0 {
		doc.Set("deleting", "perhaps")
	}
	return doc
}

func TestAnswersAsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, m := fed(), newModel()
		t.Repeat(map[string]func(*rapid.T){
			"apply": func(t *rapid.T) {
				doc := genDoc(t)
				if got, want := d.Apply(doc), m.apply(doc); got != want {
					t.Fatalf("applying %s %s changed %v, want %v", doc.ID(), doc.Rev(), got, want)
				}
			},
			"remove": func(t *rapid.T) {
				id, rev := rapid.SampledFrom([]string{"1", "2", "3", "4", "5"}).Draw(t, "id"), genRev(t)
				if got, want := d.Remove(id, rev), m.remove(id, rev); got != want {
					t.Fatalf("removing %s %s changed %v, want %v", id, rev, got, want)
				}
			},
			"": func(t *rapid.T) { same(t, d, m) },
		})
	})
}

// fataler is what testing.T and rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// same compares everything that a directory tells.
func same(t fataler, d *directory.Directory, m *model) {
	t.Helper()
	for _, mode := range modes {
		for _, host := range hosts {
			if got, want := resolved(d, host, mode), m.resolve(host, mode); got != want {
				t.Fatalf("%q %v: %+v, want %+v", host, mode, got, want)
			}
		}
		for _, name := range names {
			if key, ok := tenancy.HostKey(name); ok {
				sameAmbiguity(t, d, m, key, mode)
			}
		}
	}
	status := d.Status()
	if status.Instances != len(m.live) || status.Hosts != len(m.claims()) || status.Conflicts != m.conflicts() {
		t.Fatalf("%d instances, %d hosts, %d conflicts; want %d, %d, %d", status.Instances, status.Hosts, status.Conflicts,
			len(m.live), len(m.claims()), m.conflicts())
	}
	seen := 0
	for e := range d.All() {
		seen++
		if doc := m.live[e.ID()]; doc == nil || doc.Rev() != e.Rev() {
			t.Fatalf("%s %s is among all", e.ID(), e.Rev())
		}
		if byID, ok := d.ByID(e.ID()); !ok || byID != e {
			t.Fatalf("%s is not found by its id", e.ID())
		}
	}
	if seen != len(m.live) {
		t.Fatalf("all are %d, want %d", seen, len(m.live))
	}
}

func resolved(d *directory.Directory, host string, mode directory.Mode) answer {
	match, ok := d.Resolve(host, mode)
	if !ok {
		return answer{}
	}
	return answer{match.Entry.ID(), match.By, match.Slug}
}

func sameAmbiguity(t fataler, d *directory.Directory, m *model, key string, mode directory.Mode) {
	t.Helper()
	below, above := m.ambiguous(key, mode)
	got, ok := d.Ambiguous(key, mode)
	if ok != (len(below)+len(above) > 0) {
		t.Fatalf("%s %v: ambiguous %v with %+v; want below %v, above %v", key, mode, ok, got, below, above)
	}
	if ok && !slices.Contains(map[bool][]string{true: above, false: below}[got.Above], got.Key) {
		t.Fatalf("%s %v: ambiguous with %s, above %v; want below %v, above %v", key, mode, got.Key, got.Above, below, above)
	}
}

// TestManyInstances grows and empties tables, which few names do not.
func TestManyInstances(t *testing.T) {
	d := fed()
	const n = 20_000
	for i := range n {
		d.Apply(fleetDoc(i, 1))
	}
	for i := range n {
		if i%3 != 0 {
			if !d.Remove(fleetDoc(i, 1).ID(), "2-x") {
				t.Fatalf("instance %d was not there", i)
			}
		}
	}
	for i := range n {
		if _, ok := d.Resolve(fleetName(i), directory.Nested); ok != (i%3 == 0) {
			t.Fatalf("instance %d is found: %v", i, ok)
		}
	}
	for i := range n {
		d.Remove(fleetDoc(i, 1).ID(), "2-x")
	}
	if d.Len() != 0 || d.Hosts() != 0 {
		t.Errorf("%d instances and %d hosts are left", d.Len(), d.Hosts())
	}
	for range d.All() {
		t.Fatal("an instance is left")
	}
}

// TestTombstonesAreBounded has more removals than are remembered: the newest
// still hold.
func TestTombstonesAreBounded(t *testing.T) {
	d := fed()
	const n = 65_536 + 10
	for i := range n {
		d.Remove(fleetDoc(i, 1).ID(), "2-x")
	}
	if d.Apply(fleetDoc(n-1, 1)) || d.Apply(fleetDoc(10, 2)) {
		t.Error("an older revision came back after its removal")
	}
	if !d.Apply(fleetDoc(n-1, 3)) {
		t.Error("a document made again does not live")
	}
	if !d.Apply(fleetDoc(0, 1)) {
		t.Error("more removals are remembered than there is room for")
	}
}

// TestReadersSeeNoGap has readers beside a writer: a host that is there before
// and after a change is there all the time.
func TestReadersSeeNoGap(t *testing.T) {
	d := fed(newDoc("other", "1-a", "other.test"))
	gen := 0
	next := func() {
		gen++
		doc := newDoc("i", fmt.Sprintf("%d-a", gen), []string{"a.test", "b.test"}[gen%2],
			aliases([]string{"a.test", "b.test"}[(gen+1)%2], fmt.Sprintf("n%d.test", gen%100)))
		d.Apply(doc)
	}
	next()
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, host := range []string{"a.test", "b.test", "app.a.test", "other.test"} {
					if m, ok := d.Resolve(host, directory.Nested); !ok || m.Entry.Domain() == "" {
						t.Errorf("%s is gone for a moment", host)
						return
					}
				}
				d.ByID("i")
				d.Status()
				d.Ambiguous("test", directory.Nested)
				for e := range d.All() {
					_ = e.Domain()
				}
			}
		})
	}
	for i := range 5_000 {
		next()
		id := fmt.Sprint("t", i%50)
		d.Apply(newDoc(id, fmt.Sprintf("%d-a", 2*i), id+".test:8080"))
		d.Remove(id, fmt.Sprintf("%d-a", 2*i+1))
	}
	close(stop)
	readers.Wait()
}

// FuzzResolve has any host answered as by the model.
func FuzzResolve(f *testing.F) {
	docs := []*tenancy.Instance{
		newDoc("1", "1-a", "a.test", aliases("b.a.test", "é.test"), with("old_domain", "o.test:1")),
		newDoc("2", "1-a", "a.test:1", aliases("a-b.test")),
		newDoc("3", "1-a", "xn--b.test", with("old_domain", "a.test")),
	}
	d, m := fed(docs...), newModel(docs...)
	for _, host := range hosts {
		f.Add(host, uint8(0))
		f.Add(host, uint8(1))
	}
	f.Fuzz(func(t *testing.T, host string, mode uint8) {
		chosen := modes[int(mode)%len(modes)]
		got, want := resolved(d, host, chosen), m.resolve(host, chosen)
		if got != want {
			t.Fatalf("%q %v: %+v, want %+v", host, chosen, got, want)
		}
		if v := d.Decide(host, chosen); (!v.Match.Entry.IsZero()) != (want.ID != "") {
			t.Fatalf("%q %v: the verdict is %+v", host, chosen, v)
		}
	})
}
