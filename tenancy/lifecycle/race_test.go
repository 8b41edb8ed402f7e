// Races: two front doors whose requests meet in the one order that could do harm.

package lifecycle_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// before calls fn before the first request of the front door with this method and
// beginning of its path.
func (d *door) before(method, path string, fn func()) {
	var once sync.Once
	d.line.fails(func(_ int, r *http.Request) verdict {
		if r.Method == method && strings.HasPrefix(r.URL.Path, path) {
			once.Do(fn)
		}
		return pass
	})
}

// TestAddMeetsEndOfAdd: an add that finds the claim of another, and looks for its owner
// while that one writes its record, does not take the claim for a dead one's.
func TestAddMeetsEndOfAdd(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *fleet) {
		for _, at := range []string{"/gatehouse/operations/add-", "/gatehouse/operations/destroy-", "/global/instances/", "/gatehouse/claims/_all_docs"} {
			d, other := f.door(t), f.door(t)
			claimed, goOn, made := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			go func() {
				var once sync.Once
				_, err := d.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{}, func(step string, _, _ int) {
					if step == "databases" {
						once.Do(func() {
							close(claimed)
							<-goOn
						})
					}
				})
				made <- err
			}()
			select {
			case <-claimed:
			case err := <-made:
				t.Fatalf("%s: the first add ended at once: %v", at, err)
			}
			var result error
			method := http.MethodGet
			if strings.HasSuffix(at, "_all_docs") {
				method = http.MethodPost
			}
			finish := sync.OnceFunc(func() {
				close(goOn)
				result = <-made
			})
			other.before(method, at, finish)
			_, err := other.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{}, nil)
			finish() // if it was not asked
			if result != nil {
				t.Fatalf("%s: the first add: %v", at, result)
			}
			if !refused(err) {
				t.Fatalf("%s: the second add: %v", at, err)
			}
			f.whole(t, "alice.example.com")
			if err := d.Destroy(t.Context(), "alice.example.com", nil); err != nil {
				t.Fatal(err)
			}
			f.whole(t)
		}
	})
}

// TestDestroyMeetsNextInstance: a destroy that comes late, after another one and an
// add of the same name, does not take the new instance's databases.
func TestDestroyMeetsNextInstance(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *fleet) {
		for _, at := range [][2]string{
			{http.MethodGet, "/_all_dbs"}, {http.MethodPut, "/gatehouse/operations/destroy-"},
		} {
			late, d := f.door(t), f.door(t)
			first := d.add(t, "alice.example.com", lifecycle.Change{})
			if err := late.Ensure(t.Context()); err != nil {
				t.Fatal(err)
			}
			var again *tenancy.Instance
			late.before(at[0], at[1], func() {
				if err := d.Destroy(t.Context(), "alice.example.com", nil); err != nil {
					t.Error(err)
				}
				again = d.add(t, "alice.example.com", lifecycle.Change{})
			})
			// It may say that it is done, or that somebody was quicker.
			if err := late.Destroy(t.Context(), "alice.example.com", nil); err != nil {
				is(t, err, tenancy.ErrConflict, "a destroy that comes late")
			}
			f.whole(t, "alice.example.com")
			if again.ID() == first.ID() || f.records(t)[again.ID()] == nil {
				t.Error("the new instance is not there")
			}
			if err := d.Destroy(t.Context(), "alice.example.com", nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// patience is how long a request waits to be given up, which a front door that does
// so does at once.
const patience = 200 * time.Millisecond

// TestNothingGivenUp: when one of many requests fails, those that the server has are
// waited for. Given up, they would be done after everything had been taken back.
func TestNothingGivenUp(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		// meet lets the third request of a kind fail while the others are on their way.
		meet := func(method string) {
			var mu sync.Mutex
			n := 0
			d.line.fails(func(_ int, r *http.Request) verdict {
				if r.Method != method || !strings.HasPrefix(r.URL.Path, "/cozy") {
					return pass
				}
				mu.Lock()
				n++
				turn := n
				mu.Unlock()
				if turn == 3 {
					return lose
				}
				select {
				case <-r.Context().Done():
					t.Errorf("%s %s was given up", r.Method, r.URL.Path)
				case <-time.After(patience):
				}
				return pass
			})
		}
		meet(http.MethodPut)
		_, err := d.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{}, nil)
		is(t, err, tenancy.ErrUnavailable, "an add whose store fails")
		f.whole(t)
		d.line.fails(nil)
		d.add(t, "alice.example.com", lifecycle.Change{})
		meet(http.MethodDelete)
		is(t, d.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrUnavailable, "a destroy whose store fails")
		d.line.fails(nil)
		freed, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Deleting: ptr(false)})
		if err != nil || freed.BlockingReason() != tenancy.ReasonDeletionFailed || freed.State() != tenancy.Blocked {
			t.Errorf("freed: %v (%v)", freed, err)
		}
	})
}
