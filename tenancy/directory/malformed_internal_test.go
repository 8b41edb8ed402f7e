// Documents that cannot be read, or for which there is no room, and how they are counted.

package directory

import (
	"errors"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

func testDoc(id, rev, domain string) *tenancy.Instance {
	doc := tenancy.NewInstance()
	doc.Set("_id", id)
	doc.Set("_rev", rev)
	doc.Set("domain", domain)
	return doc
}

// TestGoneIsNotMalformed: a document that is gone is not counted among those that cannot
// be read, whatever the revision of its removal.
func TestGoneIsNotMalformed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		gone func(*Directory)
		left int
	}{
		"forgotten":                  {func(d *Directory) { d.forget("a") }, 0},
		"removed at a newer one":     {func(d *Directory) { d.Remove("a", "7-x") }, 0},
		"removed at the bad one":     {func(d *Directory) { d.Remove("a", "6-x") }, 0},
		"removed at the readable":    {func(d *Directory) { d.Remove("a", "5-a") }, 0},
		"not removed by an old news": {func(d *Directory) { d.Remove("a", "4-a") }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := New(Options{})
			d.Apply(testDoc("a", "5-a", "a.test"))
			d.unreadable("a", "6-x", errors.New("no document"))
			if n := d.Status().Malformed; n != 1 {
				t.Fatalf("%d are malformed before", n)
			}
			c.gone(d)
			if s := d.Status(); s.Malformed != c.left || s.Instances != c.left {
				t.Errorf("%d instances, %d malformed, want %d of both", s.Instances, s.Malformed, c.left)
			}
		})
	}
}

// TestNoRoomWhileLoading: that the index which is being loaded is full is told of, though
// the one that is served has taken the change.
func TestNoRoomWhileLoading(t *testing.T) {
	t.Parallel()
	d := New(Options{})
	d.mu.Lock()
	d.loading = newIndex()
	d.loading.records.limit = 1 // of chunks, of which the first is never used
	d.mu.Unlock()
	if !d.Apply(testDoc("a", "1-a", "a.test")) {
		t.Error("the change is not served")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if rev := d.loading.malformed["a"]; rev != "1-a" || len(d.served.Load().malformed) != 0 {
		t.Errorf("what has no room is told of as %q", rev)
	}
}
