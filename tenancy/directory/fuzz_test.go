// Fuzzing: any course of changes leaves a directory that answers as the naive model.

package directory_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// course makes changes of bytes.
type course []byte

// next is a number below n; 0 at the end.
func (c *course) next(n int) int {
	if len(*c) == 0 {
		return 0
	}
	b := (*c)[0]
	*c = (*c)[1:]
	return int(b) % n
}

// courseIDs are ids that are packed, and others, some of which look as if they were.
var courseIDs = []string{
	"1", "2", "00112233445566778899aabbccddeeff", "00112233445566778899AABBCCDDEEFF", "00112233445566778899aabbccddee",
	"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", "ffffffffffffffffffffffffffffffff", "é",
}

func (c *course) rev(generation int) string {
	hash := []string{"a", "00112233445566778899aabbccddeeff", "", "0A112233445566778899aabbccddeeff"}[c.next(4)]
	return fmt.Sprintf("%d-%s", generation, hash)
}

// doc is a document that may be of any kind: names that others have, in any role,
// fields that are packed, shared, long or missing, and now and then a broken one.
func (c *course) doc(generation int) *tenancy.Instance {
	name := func() string { return names[c.next(len(names))] }
	doc := newDoc(courseIDs[c.next(len(courseIDs))], c.rev(generation), name())
	var more []string
	for range c.next(4) {
		more = append(more, name())
	}
	doc.SetList("domain_aliases", more)
	text := func(field string, values ...string) {
		if at := c.next(len(values) + 1); at > 0 {
			doc.Set(field, values[at-1])
		}
	}
	text("old_domain", names...)
	text("prefix", "cozy00112233445566778899aabbccddeeff", "cozy0011", "00112233445566778899aabbccddeeff", doc.Domain())
	text("uuid", "00112233-4455-6677-8899-aabbccddeeff", "00112233-4455-6677-8899-AABBCCDDEEFF", "00112233445566778899aabbccddeeff0000")
	text("context", "default", "", fmt.Sprint("context ", generation), fmt.Sprintf("%0300d", generation))
	text("locale", "fr", "en")
	text("blocking_reason", "PAYMENT_FAILED", "a reason")
	doc.Set("blocked", c.next(3) == 0)
	doc.Set("deleting", c.next(5) == 0)
	doc.Set("onboarding_finished", c.next(2) == 0)
	doc.Set("couch_cluster", c.next(3)-1)
	if c.next(16) == 15 {
		doc.Set("domain_aliases", "not a list")
	}
	return doc
}

// run makes the changes of a course on both, and compares.
func (c course) run(t *testing.T, every int) {
	d, m := directory.New(directory.Options{}), newModel()
	generation := 1
	for i := 1; len(c) > 0; i++ {
		switch what := c.next(8); {
		case what < 6:
			generation += c.next(3)
			doc := c.doc(max(1, generation-c.next(3)))
			if got, want := d.Apply(doc), m.apply(doc); got != want {
				t.Fatalf("change %d: applying %q %s changed %v, want %v", i, doc.ID(), doc.Rev(), got, want)
			}
		default:
			id, rev := courseIDs[c.next(len(courseIDs))], c.rev(max(1, generation-c.next(3)))
			if got, want := d.Remove(id, rev), m.remove(id, rev); got != want {
				t.Fatalf("change %d: removing %q %s changed %v, want %v", i, id, rev, got, want)
			}
		}
		if i%every == 0 || len(c) == 0 {
			same(t, d, m)
			sameEntries(t, d, m)
		}
	}
}

// sameEntries compares every field of every entry with what its document says.
func sameEntries(t *testing.T, d *directory.Directory, m *model) {
	t.Helper()
	for id, doc := range m.live {
		want, err := directory.EntryOf(doc)
		got, ok := d.ByID(id)
		if err != nil || !ok || !sameEntry(got, want) || !got.Is(want) || got.ID() != id ||
			got.Rev() != doc.Rev() || got.Domain() != doc.Domain() || got.Prefix() != doc.Prefix() ||
			got.UUID() != doc.Text("uuid") || got.Context() != doc.Text("context") || got.Locale() != doc.Locale() ||
			got.Cluster() != doc.Cluster() || got.State() != doc.State() || got.Onboarded() != doc.Bool("onboarding_finished") {
			t.Fatalf("%q is not as its document %v: %v", id, doc, err)
		}
	}
}

// FuzzIndex has any course of changes answered as by the model. The seeds are long
// enough for chunks to be emptied, and for there to be more texts than are shared.
func FuzzIndex(f *testing.F) {
	f.Add([]byte{})
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 1))
		bytes := make([]byte, 200<<(2*(seed%4)))
		for i := range bytes {
			bytes[i] = byte(random.Uint32())
		}
		f.Add(bytes)
	}
	f.Fuzz(func(t *testing.T, changes []byte) {
		if len(changes) > 100_000 {
			t.Skip("longer than the seeds")
		}
		course(changes).run(t, max(1, len(changes)/400))
	})
}
