// Destroy, late: what is left of one that came far, and who writes while it is at work.

package lifecycle_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// TestDestroyLeavesOnlyClaims: after a crash that left the claims alone, an add of
// the name clears them, and so does a destroy.
func TestDestroyLeavesOnlyClaims(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *fleet) {
		for _, again := range []string{"destroy", "add", "add of the alias"} {
			victim, heir := f.door(t), f.door(t)
			victim.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"al.example.com"}})
			dead := false
			victim.line.fails(func(_ int, r *http.Request) verdict {
				switch {
				case dead:
					return lose
				case r.Method == http.MethodDelete && strings.HasPrefix(r.URL.Path, "/global/instances/"):
					dead = true
				}
				return pass
			})
			if err := victim.Destroy(t.Context(), "alice.example.com", nil); err == nil {
				t.Fatal("the destroy came to its end")
			}
			if len(f.claims(t)) != 2 || len(f.records(t)) != 0 {
				t.Fatalf("claims: %v, records: %v", f.claims(t), f.records(t))
			}
			is(t, heir.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrConflict, "before the end of the lease")
			_, err := heir.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{}, nil)
			is(t, err, tenancy.ErrConflict, "an add before the end of the lease")
			f.clock.advance(expiry)
			switch again {
			case "destroy":
				if err := heir.Destroy(t.Context(), "al.example.com", nil); err != nil {
					t.Fatal(err)
				}
			case "add":
				heir.add(t, "alice.example.com", lifecycle.Change{})
				f.whole(t, "alice.example.com")
			default:
				heir.add(t, "al.example.com", lifecycle.Change{})
				f.whole(t, "al.example.com")
			}
			for _, inst := range f.records(t) {
				if err := heir.Destroy(t.Context(), inst.Domain(), nil); err != nil {
					t.Fatal(err)
				}
			}
			f.whole(t)
		}
	})
}

// TestDestroyWritesThrough: somebody who changes the record during the deletion does
// not keep it.
func TestDestroyWritesThrough(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	inst := d.add(t, "alice.example.com", lifecycle.Change{})
	err := d.Destroy(t.Context(), "alice.example.com", func(step string, n, _ int) {
		if step != "record" || n != 0 {
			return
		}
		raw, err := f.store.Get(t.Context(), provision.InstancesDB, inst.ID())
		if err != nil {
			t.Error(err)
			return
		}
		doc := map[string]json.RawMessage{}
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Error(err)
		}
		doc["tos"] = json.RawMessage(`"1.0.0-20240131"`)
		if _, err := f.store.Put(t.Context(), provision.InstancesDB, inst.ID(), doc); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	f.whole(t)
}
