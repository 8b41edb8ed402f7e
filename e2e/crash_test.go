// A front door killed at any moment has lost nothing that it acknowledged.

package e2e

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func TestKill(t *testing.T) {
	t.Parallel()
	const rounds = 4
	d := newDoor(t, "store embedded ./data")
	random := rand.New(rand.NewPCG(1, 2))
	blocked := map[string]bool{} // what was acknowledged, by instance
	for round := range rounds {
		d.startReady()
		var mu sync.Mutex
		var workers sync.WaitGroup
		acked := make(chan struct{}, 1024)
		for worker := range 3 {
			workers.Go(func() {
				for n := 0; ; n++ {
					domain := fmt.Sprintf("i%d-%d-%d.localhost", round, worker, n)
					if _, _, code := d.try("instances", "add", domain); code != 0 {
						return // killed
					}
					mu.Lock()
					blocked[domain] = false
					mu.Unlock()
					acked <- struct{}{}
					if _, _, code := d.try("instances", "modify", domain, "--blocked"); code != 0 {
						return
					}
					mu.Lock()
					blocked[domain] = true
					mu.Unlock()
				}
			})
		}
		for range 1 + random.IntN(4) {
			<-acked
		}
		timer := time.NewTimer(time.Duration(random.IntN(100)) * time.Millisecond)
		<-timer.C
		d.kill()
		workers.Wait()
	}
	d.startReady()
	for domain, isBlocked := range blocked {
		a := d.mustGet(domain, "/")
		// A block that was made and not acknowledged may be there.
		if a.status != 503 && (isBlocked || a.status != 200) {
			t.Errorf("%s answers %d after the crashes; blocked: %t", domain, a.status, isBlocked)
		}
	}
	t.Logf("%d acknowledged instances were there after %d kills", len(blocked), rounds)
}
