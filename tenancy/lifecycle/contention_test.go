// Contention: front doors that want the same name at the same moment.

package lifecycle_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// rounds of contention for each store. On servers the databases of instances are
// real in the first ones only.
const (
	rounds     = 100
	realRounds = 10
)

// together runs fn for each door at the same moment, and waits for all.
func together(doors []*door, fn func(i int, d *door)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i, d := range doors {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			fn(i, d)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// TestContention: of two front doors that add the same domain at the same moment
// exactly one wins, and what the other began leaves nothing.
func TestContention(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		doors := []*door{f.door(t), f.door(t)}
		wins, taken := map[string]int{}, 0
		for round := range rounds {
			if round == realRounds && f.hollow != nil {
				f.hollow.switchOn()
			}
			name := fmt.Sprintf("round-%d.example.com", round)
			insts, errs := make([]*lifecycle.Added, len(doors)), make([]error, len(doors))
			together(doors, func(i int, d *door) {
				insts[i], errs[i] = d.Add(t.Context(), domain(t, name), lifecycle.Change{}, nil)
			})
			winner := -1
			for i, err := range errs {
				switch {
				case err == nil && winner < 0:
					winner = i
					wins[doors[i].name]++
				case err == nil:
					t.Fatalf("%s: both front doors made it", name)
				case !refused(err):
					t.Fatalf("%s on %s: %v", name, doors[i].name, err)
				}
			}
			if winner < 0 {
				t.Fatalf("%s: nobody made it: %v", name, errs)
			}
			if c := f.claims(t)[name]; c.Instance != insts[winner].ID() {
				t.Fatalf("%s: the claim is not the winner's: %+v", name, c)
			}
			if round < realRounds {
				f.whole(t, name)
			}
			if n := len(f.databases(t)); n != len(provision.Doctypes) {
				t.Fatalf("%s: there are %d databases", name, n)
			}
			if err := doors[1-winner].Destroy(t.Context(), name, nil); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			taken++
		}
		f.whole(t)
		t.Logf("%s: %d rounds, won by %v", f.kind, taken, wins)
	})
}
