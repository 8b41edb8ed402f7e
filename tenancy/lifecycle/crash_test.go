// Crashes: a front door dies in an add and in a destroy on a server with all databases,
// and another one makes the instance, or its absence, whole. TestKilled tries each step.

package lifecycle_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// eachCrash lets a front door die after n requests, for each n: the next one is not sent
// any more, or it is done and its answer lost, in turns. doomed tells whether it came to
// its end in spite of that; then there is no further n.
func eachCrash(t *testing.T, doomed func(t *testing.T, f *fleet, victim *door, what string) (ended bool)) {
	t.Helper()
	eachServer(t, func(t *testing.T, f *fleet) {
		faults := 0
		for n := 0; ; n++ {
			victim := f.door(t)
			half := (n%2 == 0) == (f.kind == testkit.KindPouchDB) // the other way round on the other server
			victim.line.dies(n, half)
			if doomed(t, f, victim, fmt.Sprintf("dead after %d requests, the next half done: %t", n, half)) {
				break
			}
			faults++
			if t.Failed() {
				t.Fatalf("the requests were\n%q", victim.line.sent())
			}
		}
		tried(t, f.kind, faults, faults)
		if faults < 30 {
			t.Errorf("there were only %d faults", faults)
		}
	})
}

// TestCrashOfAdd: whenever a front door dies in an add, after its lease another
// makes the instance, and nothing of the first try is left.
func TestCrashOfAdd(t *testing.T) {
	t.Parallel()
	change := lifecycle.Change{Aliases: &[]string{"al.example.com"}}
	eachCrash(t, func(t *testing.T, f *fleet, victim *door, what string) bool {
		_, died := victim.Add(t.Context(), domain(t, "alice.example.com"), change, nil)
		f.clock.advance(expiry)
		heir := f.door(t)
		_, err := heir.Add(t.Context(), domain(t, "alice.example.com"), change, nil)
		// The victim may have died after its last effect.
		if err != nil && !(errors.Is(err, tenancy.ErrExists) && len(f.records(t)) == 1) {
			t.Errorf("%s (%v): the next add: %v", what, died, err)
		}
		f.whole(t, "alice.example.com")
		if err := heir.Destroy(t.Context(), "alice.example.com", nil); err != nil {
			t.Errorf("%s: destroying it: %v", what, err)
		}
		f.whole(t)
		return died == nil
	})
}

// TestCrashOfDestroy: whenever a front door dies in a destroy, after its lease
// another one finishes it.
func TestCrashOfDestroy(t *testing.T) {
	t.Parallel()
	change := lifecycle.Change{Aliases: &[]string{"al.example.com"}}
	eachCrash(t, func(t *testing.T, f *fleet, victim *door, what string) bool {
		f.door(t).add(t, "alice.example.com", change)
		died := victim.Destroy(t.Context(), "alice.example.com", nil)
		f.clock.advance(expiry)
		heir := f.door(t)
		if err := heir.Destroy(t.Context(), "al.example.com", nil); err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("%s (%v): the next destroy: %v", what, died, err)
		}
		f.whole(t)
		return died == nil
	})
}
