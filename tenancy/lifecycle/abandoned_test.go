// Abandoned: what is removed for good is nobody's by the store itself.

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

func TestAbandoned(t *testing.T) {
	t.Parallel()
	eachApart(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		const name, alias, old = "alice.example.com", "al.example.com", "old.example.com"
		inst := d.add(t, name, lifecycle.Change{Aliases: &[]string{alias}, OldDomain: ptr(old)})
		want := func(what string, want bool, keys ...string) {
			t.Helper()
			for _, key := range keys {
				if got, err := d.Abandoned(t.Context(), inst.ID(), key); got != want || err != nil {
					t.Errorf("%s: %s is abandoned: %t (%v)", what, key, got, err)
				}
			}
		}
		want("an instance", false, name, alias, old)
		want("nobody", true, "bob.example.com")
		if got, err := d.Abandoned(t.Context(), "nobody", "bob.example.com", name); got || err != nil {
			t.Errorf("one of two names: %t (%v)", got, err)
		}
		if _, err := d.Modify(t.Context(), name, lifecycle.Change{Aliases: &[]string{}}); err != nil {
			t.Fatal(err)
		}
		want("an alias that was taken off", true, alias)

		// Records that are lost are not abandoned: their claims are there.
		if _, err := f.store.Delete(t.Context(), provision.InstancesDB, inst.ID(), f.records(t)[inst.ID()].Rev()); err != nil {
			t.Fatal(err)
		}
		want("a record that is lost", false, name)
		f.repaired(t, d, "")

		const kept = "kept.example.com"
		inst = d.add(t, kept, lifecycle.Change{})
		if err := d.DestroyWith(t.Context(), kept, lifecycle.DestroyOptions{Quarantine: ptr(time.Hour)}, nil); err != nil {
			t.Fatal(err)
		}
		want("in quarantine", false, kept)
		f.clock.advance(2 * time.Hour)
		want("after it", true, kept)
	})
}
