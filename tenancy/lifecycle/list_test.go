// List, Count, Get and their kin: the questions of the control plane.

package lifecycle_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// TestList: pages of any size give every instance once, in the order of ids, also
// where design documents lie between them.
func TestList(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		ctx := t.Context()
		if n, err := d.Count(ctx); n != 0 || err != nil {
			t.Errorf("before the first use there are %d (%v)", n, err)
		}
		next, err := d.List(ctx, lifecycle.Page{Limit: 5}, func(*tenancy.Instance) error { return errors.New("there is one") })
		if next != "" || err != nil {
			t.Errorf("before the first use the list goes on at %q (%v)", next, err)
		}
		if err := d.Ensure(ctx); err != nil {
			t.Fatal(err)
		}
		var want []string
		var docs []any
		for i := range 12 {
			// Ids before "_" and after it.
			id := fmt.Sprintf("%c%031d", "0123456789abcdef"[i+2], i)
			want = append(want, id)
			docs = append(docs, map[string]any{"_id": id, "domain": fmt.Sprintf("%d.example.com", i), "prefix": "cozy" + id})
		}
		if _, err := f.store.Bulk(ctx, provision.InstancesDB, docs); err != nil {
			t.Fatal(err)
		}
		if n, err := d.Count(ctx); n != int64(len(want)) || err != nil {
			t.Errorf("there are %d (%v), want %d", n, err, len(want))
		}
		for limit := range len(want) + 2 {
			var got []string
			page := lifecycle.Page{Limit: limit}
			for {
				given := 0
				next, err := d.List(ctx, page, func(inst *tenancy.Instance) error {
					given++
					got = append(got, inst.ID())
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if limit > 0 && given > limit || next != "" && given != limit {
					t.Errorf("a page of %d has %d, and goes on at %q", limit, given, next)
				}
				if next == "" {
					break
				}
				page.Cursor = next
			}
			if !slices.Equal(got, want) {
				t.Errorf("pages of %d give %q", limit, got)
			}
		}
		for skip := range len(want) + 2 {
			var got []string
			next, err := d.List(ctx, lifecycle.Page{Limit: 4, Skip: skip}, func(inst *tenancy.Instance) error {
				got = append(got, inst.ID())
				return nil
			})
			from := min(skip, len(want))
			to := min(from+4, len(want))
			if err != nil || !slices.Equal(got, want[from:to]) {
				t.Errorf("after %d there are %q (%v)", skip, got, err)
			}
			if goes := to < len(want); goes != (next != "") || goes && next != want[to] {
				t.Errorf("after %d it goes on at %q", skip, next)
			}
		}
		stop := errors.New("enough")
		if _, err := d.List(ctx, lifecycle.Page{}, func(*tenancy.Instance) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("an error of the reader becomes %v", err)
		}
	})
}

// TestGet: by domain or alias, in each form of the name, whether the directory knows
// it or not.
func TestGet(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d, other := f.door(t), f.door(t)
		inst := d.add(t, "Émile.example.com:8080", lifecycle.Change{Aliases: &[]string{"em.example.com", "straße.example"}})
		f.stackMade(t, d, "0123", `{"domain":"xn--zo-ija.example.com","prefix":"cozy01"}`)
		for _, door := range []*door{d, other} {
			for _, name := range []string{
				"émile.example.com:8080", "ÉMILE.example.com.:8080", "xn--mile-9oa.example.com:8080", "em.example.com", "EM.example.com.",
				"straße.example", "xn--strae-oqa.example",
			} {
				got, err := door.Get(t.Context(), name)
				if err != nil || got.ID() != inst.ID() {
					t.Errorf("%s on %s: %v", name, door.name, err)
				}
			}
			for _, name := range []string{"xn--zo-ija.example.com", "zoë.example.com"} {
				if got, err := door.Get(t.Context(), name); err != nil || got.ID() != "0123" {
					t.Errorf("%s on %s: %v", name, door.name, err)
				}
			}
			for _, name := range []string{"émile.example.com", "em.example.com:8080", "example.com", "", "a b", "..", "em.example.com/x"} {
				_, err := door.Get(t.Context(), name)
				is(t, err, tenancy.ErrNotFound, name)
			}
		}
	})
}

// TestGetPastStaleDirectory: a directory that lags behind does not mislead.
func TestGetPastStaleDirectory(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d, other := f.door(t), f.door(t)
	d.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"al.example.com"}})
	if _, err := other.Modify(t.Context(), "alice.example.com", lifecycle.Change{Aliases: &[]string{}}); err != nil {
		t.Fatal(err)
	}
	_, err := d.Get(t.Context(), "al.example.com")
	is(t, err, tenancy.ErrNotFound, "an alias that was given up elsewhere")
	if err := other.Destroy(t.Context(), "alice.example.com", nil); err != nil {
		t.Fatal(err)
	}
	_, err = d.Get(t.Context(), "alice.example.com")
	is(t, err, tenancy.ErrNotFound, "an instance that was destroyed elsewhere")
	again := other.add(t, "alice.example.com", lifecycle.Change{})
	got, err := d.Get(t.Context(), "alice.example.com")
	if err != nil || got.ID() != again.ID() {
		t.Errorf("the instance made anew: %v", err)
	}
}

// TestDocuments: in the order asked for, without those that are gone.
func TestDocuments(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		collect := func(ids []string) (got []string) {
			t.Helper()
			if err := d.Documents(t.Context(), ids, func(inst *tenancy.Instance) error {
				got = append(got, inst.Domain())
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := collect([]string{"0123"}); len(got) != 0 {
			t.Errorf("before the first use there are %q", got)
		}
		a := d.add(t, "a.example.com", lifecycle.Change{})
		b := d.add(t, "b.example.com", lifecycle.Change{})
		ids := []string{b.ID(), "0123", a.ID()}
		for range 600 { // more than one request
			ids = append(ids, "4567")
		}
		ids = append(ids, b.ID())
		if got := collect(ids); !slices.Equal(got, []string{"b.example.com", "a.example.com", "b.example.com"}) {
			t.Errorf("there are %q", got)
		}
		stop := errors.New("enough")
		if err := d.Documents(t.Context(), ids, func(*tenancy.Instance) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("an error of the reader becomes %v", err)
		}
	})
}

func TestOwnerSettings(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		email := "a@example.com"
		inst := d.add(t, "a.example.com", lifecycle.Change{Email: &email, Settings: map[string]string{"offer": "premium"}})
		got, err := d.OwnerSettings(t.Context(), inst)
		if err != nil || string(got["email"]) != `"a@example.com"` || string(got["offer"]) != `"premium"` || got["_id"] != nil || got["_rev"] != nil {
			t.Errorf("%s (%v)", got, err)
		}
		f.stackMade(t, d, "0123", `{"domain":"b.example.com","prefix":"cozy01"}`)
		made, err := d.Get(t.Context(), "b.example.com")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.OwnerSettings(t.Context(), made); len(got) != 0 || err != nil {
			t.Errorf("without databases: %s (%v)", got, err)
		}
	})
}

// TestFollow: from a place on one front door to what came after it, on another.
func TestFollow(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		here, there := f.door(t), f.door(t)
		here.add(t, "a.example.com", lifecycle.Change{})
		since, err := here.Follow(t.Context(), lifecycle.Now, 0, func(couch.Change) error { return errors.New("there is a change") })
		if err != nil || since == "" {
			t.Fatalf("now is %q (%v)", since, err)
		}
		b := there.add(t, "b.example.com", lifecycle.Change{})
		var got []couch.Change
		follow := func() {
			t.Helper()
			if since, err = there.Follow(t.Context(), since, 0, func(c couch.Change) error {
				got = append(got, c)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		follow()
		if len(got) != 1 || got[0].ID != b.ID() || got[0].Deleted || len(got[0].Doc) == 0 {
			t.Errorf("since then: %+v", got)
		}
		got = nil
		follow()
		if len(got) != 0 {
			t.Errorf("nothing new: %+v", got)
		}
		if err := here.Destroy(t.Context(), "b.example.com", nil); err != nil {
			t.Fatal(err)
		}
		follow()
		if len(got) != 1 || got[0].ID != b.ID() || !got[0].Deleted {
			t.Errorf("after a destroy: %+v", got)
		}
		var all int
		if _, err := here.Follow(t.Context(), "", 0, func(couch.Change) error { all++; return nil }); all != 2 || err != nil {
			t.Errorf("from the beginning there are %d (%v)", all, err)
		}
		stop := errors.New("enough")
		if _, err := here.Follow(t.Context(), "", 0, func(couch.Change) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("an error of the reader becomes %v", err)
		}
		_, err = here.Follow(t.Context(), "999999", 0, func(couch.Change) error { return nil })
		is(t, err, couch.ErrRefused, "a place that the store has not come to")
	})
}
