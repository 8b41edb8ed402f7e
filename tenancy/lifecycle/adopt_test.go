// Adopt: the claims of a fleet that stacks have made.

package lifecycle_test

import (
	"fmt"
	"testing"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// stackFleet writes n records as stacks do, each with an alias; the alias of those at
// conflicts is the domain of the next one.
func (f *fleet) stackFleet(t testing.TB, d *door, n int, conflicts ...int) {
	t.Helper()
	if err := d.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	aliases := map[int]string{}
	for _, i := range conflicts {
		aliases[i] = fmt.Sprintf("u%d.example.com", i+1)
	}
	var docs []any
	for i := range n {
		name := fmt.Sprintf("u%d.example.com", i)
		alias := aliases[i]
		if alias == "" {
			alias = fmt.Sprintf("u%d.example.org", i)
		}
		docs = append(docs, map[string]any{
			"_id": fmt.Sprintf("%032x", i*7919), "domain": name, "domain_aliases": []string{alias}, "prefix": domain(t, name).Prefix(), "indexes_version": 38,
		})
	}
	results, err := f.store.Bulk(t.Context(), provision.InstancesDB, docs)
	for _, r := range results {
		if r.Err != nil {
			err = r.Err
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestAdopt: more records than are looked at together, of which two have a name of
// another one: those names are claimed for nobody, and told of once each.
func TestAdopt(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		n, conflicts := 450, []int{100, 300}
		if f.kind == testkit.KindPouchDB { // which is slow
			n, conflicts = 230, []int{100, 210}
		}
		f.stackFleet(t, d, n, conflicts...)
		f.stackMade(t, d, "zz", `{"domain":"zz.example.com","couch_cluster":"1"}`)
		var refused []lifecycle.Finding
		last := 0
		report, err := d.Adopt(t.Context(), func(found lifecycle.Finding) error {
			refused = append(refused, found)
			return nil
		}, func(_ string, done, _ int) {
			if done < last {
				t.Errorf("after %d it was at %d", last, done)
			}
			last = done
		})
		if err != nil || report.Instances != n || report.Claimed != 2*n-4 || report.Refused != 3 || last != n {
			t.Errorf("report %+v (%v), progress %d", report, err, last)
		}
		if got := kinds(refused); fmt.Sprint(got) != fmt.Sprint([]string{lifecycle.FoundMalformed, lifecycle.FoundTwice, lifecycle.FoundTwice}) {
			t.Errorf("refused: %+v", refused)
		}
		claims := f.claims(t)
		if len(claims) != 2*n-4 {
			t.Errorf("there are %d claims", len(claims))
		}
		for key, c := range claims {
			if c.Operation != "adopt-"+c.Instance || c.Domain == "" || c.Node != d.name {
				t.Fatalf("claim on %s: %+v", key, c)
			}
		}
		if _, ok := claims["u101.example.com"]; ok {
			t.Error("a name of two is claimed for one of them")
		}
		report, err = f.door(t).Adopt(t.Context(), func(lifecycle.Finding) error { return nil }, nil)
		if err != nil || report.Claimed != 0 || report.Refused != 3 {
			t.Errorf("once more: %+v (%v)", report, err)
		}
	})
}

// TestAdoptOne: of a record that a stack has just made.
func TestAdoptOne(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		owner := d.add(t, "alice.example.com", lifecycle.Change{})
		for id, doc := range map[string]string{
			"1": `{"domain":"bob.example.com","domain_aliases":["Émile.example.com","alice.example.com"]}`,
			"2": `{"domain":"carol.example.com","deleting":true}`,
			"3": `{"domain":"dave.example.com","couch_cluster":"1"}`,
		} {
			f.stackMade(t, d, id, doc)
			for range 2 {
				if err := d.AdoptOne(t.Context(), id); err != nil {
					t.Errorf("%s: %v", doc, err)
				}
			}
		}
		if err := d.AdoptOne(t.Context(), "nobody"); err != nil {
			t.Errorf("a record that is gone: %v", err)
		}
		claims := f.claims(t)
		if c := claims["alice.example.com"]; c.Instance != owner.ID() || len(claims) != 3 {
			t.Errorf("claims: %+v", claims)
		}
		for _, key := range []string{"bob.example.com", "xn--mile-9oa.example.com"} {
			if claims[key].Instance != "1" || claims[key].Domain != "bob.example.com" {
				t.Errorf("claim on %s: %+v", key, claims[key])
			}
		}
		// The claims stand in the way of others, whom the view would let through otherwise.
		_, err := f.door(t).Add(t.Context(), domain(t, "bob.example.com"), lifecycle.Change{}, nil)
		is(t, err, tenancy.ErrExists, "a name of a stack's instance")
	})
}
