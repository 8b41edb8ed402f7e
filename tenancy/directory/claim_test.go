// Claims: names that many documents have at once.

package directory_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// crowdNames are the only names of a crowd.
var crowdNames = []string{"a.test", "b.test", "a.test:1", "é.test", "c.test"}

// crowdDoc has any of these names in any roles. Half of the ids are packed.
func crowdDoc(random *rand.Rand, members, generation int) *tenancy.Instance {
	member := random.IntN(members)
	id := strconv.Itoa(member)
	if member%2 == 0 {
		id = fmt.Sprintf("%032x", member)
	}
	name := func() string { return crowdNames[random.IntN(len(crowdNames))] }
	doc := newDoc(id, fmt.Sprintf("%d-a", generation), name())
	switch random.IntN(4) {
	case 0:
		doc.Set("domain", "own"+id+".test") // else few would be found by anything but a domain
		doc.Set("old_domain", name())
	case 1:
		doc.SetList("domain_aliases", []string{name(), name()})
	case 2:
		doc.Set("domain", "own"+id+".test")
		doc.SetList("domain_aliases", []string{name()})
		doc.Set("old_domain", name())
	}
	return doc
}

// TestCrowd has many documents share few names, change their roles, leave and come back:
// who is found is whom the model finds, and no claim is lost or left.
func TestCrowd(t *testing.T) {
	t.Parallel()
	for _, members := range []int{3, 12, 80} {
		t.Run(strconv.Itoa(members), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(members), 1))
			d, m := fed(), newModel()
			for i := range 2_000 {
				doc := crowdDoc(random, members, i+1)
				change := fmt.Sprintf("change %d: of %s", i, doc.ID())
				switch {
				case random.IntN(4) == 0:
					if got, want := d.Remove(doc.ID(), doc.Rev()), m.remove(doc.ID(), doc.Rev()); got != want {
						t.Fatalf("%s: it is removed: %v, want %v", change, got, want)
					}
				default:
					if got, want := d.Apply(doc), m.apply(doc); got != want {
						t.Fatalf("%s: it is applied: %v, want %v", change, got, want)
					}
				}
				for _, name := range crowdNames {
					if got, want := resolved(d, name, directory.Off), m.resolve(name, directory.Off); got != want {
						t.Fatalf("%s: %s is %+v, want %+v", change, name, got, want)
					}
				}
				if s := d.Status(); s.Conflicts != m.conflicts() || s.Hosts != len(m.claims()) {
					t.Fatalf("%s: %d conflicts of %d hosts, want %d of %d", change, s.Conflicts, s.Hosts, m.conflicts(), len(m.claims()))
				}
			}
			for id := range m.live {
				d.Remove(id, "9999-z")
			}
			if s := d.Status(); s.Conflicts != 0 || s.Hosts != 0 {
				t.Errorf("of nobody, %d conflicts and %d hosts are left", s.Conflicts, s.Hosts)
			}
		})
	}
}

// TestLineOfRivals has each of a thousand take over when the one before it leaves, in the
// order of ids, whatever the order in which they came.
func TestLineOfRivals(t *testing.T) {
	t.Parallel()
	const n = 1000
	d := fed()
	order := rand.New(rand.NewPCG(1, 1)).Perm(n)
	for _, i := range order {
		d.Apply(newDoc(fmt.Sprintf("%04d", i), "1-a", fmt.Sprintf("own%d.test", i), aliases("www.test")))
	}
	slices.Sort(order)
	for _, i := range order {
		m, ok := d.Resolve("www.test", directory.Off)
		if want := fmt.Sprintf("%04d", i); !ok || m.Entry.ID() != want || m.By != directory.ByAlias {
			t.Fatalf("it is %q (%t), want %q", m.Entry.ID(), ok, want)
		}
		d.Remove(m.Entry.ID(), "2-a")
	}
	if _, ok := d.Resolve("www.test", directory.Off); ok || d.Hosts() != 0 {
		t.Errorf("%d hosts are left", d.Hosts())
	}
}

// BenchmarkSharedName has so many documents with one alias come in any order, and go.
func BenchmarkSharedName(b *testing.B) {
	for _, n := range []int{2_000, 20_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			docs := make([]*tenancy.Instance, n)
			for at, i := range rand.New(rand.NewPCG(1, 1)).Perm(n) {
				docs[at] = newDoc(fmt.Sprintf("%032x", i), "1-a", fmt.Sprintf("own%d.test", i), aliases("www.test"))
			}
			for b.Loop() {
				d := fed(docs...)
				for _, doc := range docs {
					d.Remove(doc.ID(), "2-a")
				}
				if d.Hosts() != 0 {
					b.Fatal("hosts are left")
				}
			}
		})
	}
}
