// Crowd: many changes of a few names at once, from two front doors.

package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// Of a crowd.
const (
	crowd      = 50 // changes of each of three kinds
	crowdNames = 10
	crowdTries = 5 // of one that meets another
)

// TestCrowd: adds, modifies and destroys of ten names at once, each tried again where it
// meets another. Whatever the order was, all fits together in the end.
func TestCrowd(t *testing.T) {
	t.Parallel()
	eachApart(t, func(t *testing.T, f *fleet) {
		doors := []*door{f.door(t), f.door(t)}
		name := func(i int) string { return fmt.Sprintf("u%d.example.com", i%crowdNames) }
		for i := range crowdNames {
			doors[i%2].add(t, name(i), lifecycle.Change{})
		}
		var mu sync.Mutex
		ends := map[string]int{}
		change := func(verb string, i int) (again bool) {
			d, r := doors[i%2], rand.New(rand.NewPCG(uint64(i), uint64(len(verb))))
			var err error
			switch verb {
			case "add":
				_, err = d.Add(t.Context(), domain(t, name(i)), lifecycle.Change{Aliases: &[]string{fmt.Sprintf("a%d.example.com", r.IntN(crowdNames))}}, nil)
			case "modify":
				c := lifecycle.Change{Blocked: ptr(r.IntN(2) == 0), Email: ptr(fmt.Sprintf("%d@example.com", i))}
				if r.IntN(2) == 0 {
					c.Aliases = &[]string{fmt.Sprintf("a%d.example.com", r.IntN(crowdNames)), fmt.Sprintf("b%d.example.com", i%crowdNames)}
				}
				_, err = d.Modify(t.Context(), name(i), c)
			case "destroy":
				err = d.Destroy(t.Context(), name(i), nil)
			}
			end := verb
			switch {
			case err == nil:
			case errors.Is(err, tenancy.ErrNotFound):
				end += " of what is not there"
			case errors.Is(err, tenancy.ErrExists):
				end += " of a name that is taken"
			case errors.Is(err, tenancy.ErrConflict):
				end += " that met another"
			case errors.Is(err, context.Canceled):
				return false
			default:
				t.Errorf("%s %s: %v", verb, name(i), err)
			}
			mu.Lock()
			defer mu.Unlock()
			ends[end]++
			return errors.Is(err, tenancy.ErrConflict) && !errors.Is(err, tenancy.ErrExists)
		}
		var all sync.WaitGroup
		for i := range crowd {
			verbs := []string{"add", "modify", "destroy"}
			rand.New(rand.NewPCG(uint64(i), 0)).Shuffle(3, func(a, b int) { verbs[a], verbs[b] = verbs[b], verbs[a] })
			all.Go(func() {
				for _, verb := range verbs {
					for range crowdTries {
						if !change(verb, i) {
							break
						}
					}
				}
			})
		}
		all.Wait()
		t.Logf("%s: %v", f.kind, ends)
		if ends["add"] == 0 || ends["modify"] == 0 || ends["destroy"] == 0 {
			t.Errorf("too little was done: %v", ends)
		}
		f.finds(t, doors[0])
		var names []string
		for _, inst := range f.records(t) {
			names = append(names, inst.Domain())
		}
		f.whole(t, names...)
		if left := f.journal(t); len(left) != 0 {
			t.Errorf("left in the journal: %q", left)
		}
		for _, name := range names {
			if err := doors[1].Destroy(t.Context(), name, nil); err != nil {
				t.Errorf("destroying %s: %v", name, err)
			}
		}
		f.whole(t)
	})
}
