// Installed: what is looked up before a certificate for the host of an app is ordered.

package lifecycle_test

import (
	"errors"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// install writes the document that a stack finds an app by.
func install(t *testing.T, store *couch.Cluster, prefix, doctype, slug string) {
	t.Helper()
	id := doctype + "/" + slug
	_, err := store.Put(t.Context(), provision.DatabaseName(prefix, doctype), id, map[string]any{"_id": id, "slug": slug, "state": "ready"})
	if err != nil {
		t.Fatal(err)
	}
}

func TestInstalled(t *testing.T) {
	t.Parallel()
	eachApart(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		alice, bob := d.add(t, "alice.example.com", lifecycle.Change{}), d.add(t, "bob.example.com", lifecycle.Change{})
		store := f.where(provision.DatabaseName(alice.Prefix(), "io.cozy.apps"))
		install(t, store, alice.Prefix(), "io.cozy.apps", "drive")
		install(t, store, alice.Prefix(), "io.cozy.konnectors", "bank")
		for _, c := range []struct {
			instance, slug string
			want           bool
		}{
			{alice.ID(), "drive", true},
			{alice.ID(), "photos", false},
			{alice.ID(), "bank", false}, // a connector has no host
			{alice.ID(), "", false},
			{bob.ID(), "drive", false},
			{"nobody", "drive", false},
		} {
			if got, err := d.Installed(t.Context(), c.instance, c.slug); got != c.want || err != nil {
				t.Errorf("%q of %s: %t (%v), want %t", c.slug, c.instance, got, err, c.want)
			}
		}
		if _, err := store.DestroyDB(t.Context(), provision.DatabaseName(alice.Prefix(), "io.cozy.apps")); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Installed(t.Context(), alice.ID(), "drive"); got || err != nil {
			t.Errorf("without a database: %t (%v)", got, err)
		}
	})
}

// TestInstalledElsewhere: the instance's own cluster is asked, or nobody.
func TestInstalledElsewhere(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d, clusters := f.spread(t, []lifecycle.Member{{}, {}}, []int{0, 0})
	inst := d.add(t, "alice.example.com", lifecycle.Change{CouchCluster: ptr(1)})
	install(t, clusters[1], inst.Prefix(), "io.cozy.apps", "drive")
	if got, err := d.Installed(t.Context(), inst.ID(), "drive"); !got || err != nil {
		t.Errorf("on another cluster: %t (%v)", got, err)
	}
	if got, err := f.door(t).Installed(t.Context(), inst.ID(), "drive"); got || !errors.Is(err, tenancy.ErrUnavailable) {
		t.Errorf("on a cluster that is not configured: %t (%v)", got, err)
	}
}
