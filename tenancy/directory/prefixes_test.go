// Prefixes: who shares one, in every way that it comes about.

package directory_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// TestWithPrefix answers as a look at every entry does, through changes of domains and
// prefixes, and removals.
func TestWithPrefix(t *testing.T) {
	t.Parallel()
	d := directory.New(directory.Options{})
	known := map[string][2]string{} // prefix and domain, by id
	made := func(domain string) string {
		parsed, err := tenancy.ParseDomain(domain)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.Prefix()
	}
	generation := 0
	put := func(id, domain, prefix string) {
		t.Helper()
		generation++
		d.Apply(parsed(fmt.Appendf(nil, `{"_id":%q,"_rev":"%d-a","domain":%q,"prefix":%q}`, id, generation, domain, prefix)))
		known[id] = [2]string{prefix, domain}
		for _, of := range known {
			var want []string
			for other, has := range known {
				if has[0] == of[0] {
					want = append(want, other)
				}
			}
			got, _ := d.WithPrefix(of[0], of[1])
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("%s of %s: %q, want %q", of[0], of[1], got, want)
			}
		}
	}
	put("a", "a.example.com", made("a.example.com"))
	put("b", "b.example.com", made("b.example.com"))
	put("port", "localhost:8080", made("localhost:8080"))
	put("unicode", "münchen.example", made("münchen.example"))
	put("old", "old.example.com", "old.example.com")
	put("copy of old", "older.example.com", "old.example.com")
	put("copy of a", "c.example.com", made("a.example.com"))
	put("twin of a", "a.example.com", made("a.example.com")) // a stack has made it at the same time
	put("a", "renamed.example.com", made("a.example.com"))
	put("odd", "odd.example.com", "anything")
	put("odd too", "odd2.example.com", "anything")
	put("odd too", "odd2.example.com", "anything") // something else of it has changed
	put("copy of a", "c.example.com", made("a.example.com"))
	put("odd", "odd.example.com", made("odd.example.com"))
	put("copy of a", "c.example.com", made("c.example.com"))
	for id := range known {
		generation++
		d.Remove(id, fmt.Sprintf("%d-b", generation))
		delete(known, id)
	}
	for _, prefix := range []string{"anything", made("a.example.com"), "old.example.com"} {
		if ids, known := d.WithPrefix(prefix, "a.example.com"); len(ids) != 0 || !known {
			t.Errorf("%s: %q are left", prefix, ids)
		}
	}
}

// TestWithPrefixNotKnown: before anything was read, nobody is nobody's neighbour.
func TestWithPrefixNotKnown(t *testing.T) {
	t.Parallel()
	d := directory.New(directory.Options{Cluster: &fleetFeed{}})
	for _, prefix := range []string{"a.example.com", "anything"} {
		if ids, known := d.WithPrefix(prefix, "a.example.com"); known || ids != nil {
			t.Errorf("%s: %q (%t)", prefix, ids, known)
		}
	}
}
