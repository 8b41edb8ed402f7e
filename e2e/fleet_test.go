// Several front doors on one store that speaks CouchDB's protocol, and the store gone.

package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
)

func (d *door) served(host string) error {
	a, err := d.get(host, "/")
	if err != nil || a.status != 200 {
		return fmt.Errorf("%s: %d %w", host, a.status, err)
	}
	return nil
}

func (d *door) answers(host string, status int) {
	d.t.Helper()
	d.wait(fmt.Sprintf("%s answers %d", host, status), func() error {
		if a, err := d.get(host, "/"); err != nil || a.status != status {
			return fmt.Errorf("%d %w", a.status, err)
		}
		return nil
	})
}

func TestFleet(t *testing.T) {
	t.Parallel()
	server := testkit.PouchDB(t, testkit.OnDisk())
	one := newDoor(t, "store couchdb "+server.URL())
	two := newDoor(t, "store couchdb "+server.URL())
	one.startReady()
	two.startReady()

	one.run("instances", "add", "alice.localhost")
	if err := one.served("alice.localhost"); err != nil {
		t.Errorf("the front door that added it: %v", err)
	}
	two.answers("alice.localhost", 200)
	one.run("instances", "modify", "alice.localhost", "--blocked", "--blocking-reason", "PAYMENT_FAILED")
	begin := time.Now()
	two.answers("alice.localhost", 402)
	t.Logf("a block reached the other front door within %v", time.Since(begin).Round(time.Millisecond))
	two.run("instances", "modify", "alice.localhost", "--blocked=false")
	one.answers("alice.localhost", 200)

	t.Run("one name, two front doors", func(t *testing.T) { fleetRace(t, one, two) })
	t.Run("the store is gone", func(t *testing.T) { fleetOutage(t, server, one, two) })
}

// fleetRace adds one name through both at the same moment.
func fleetRace(t *testing.T, one, two *door) {
	var both sync.WaitGroup
	codes := make([]int, 2)
	for i, d := range []*door{one, two} {
		both.Go(func() { _, _, codes[i] = d.try("instances", "add", "race.localhost") })
	}
	both.Wait()
	if codes[0]+codes[1] != 4 || codes[0]*codes[1] != 0 { // one 0, one 4
		t.Errorf("two adds of one name exit with %v", codes)
	}
	one.run("instances", "destroy", "race.localhost", "--force")
	two.answers("race.localhost", 404)
}

func fleetOutage(t *testing.T, server *testkit.Server, one, two *door) {
	server.Stop(t)
	for _, d := range []*door{one, two} {
		if err := d.served("alice.localhost"); err != nil {
			t.Errorf("without the store: %v", err)
		}
		_, stderr, code := d.try("instances", "modify", "alice.localhost", "--blocked")
		if code != 5 || !strings.Contains(stderr, "the store does not answer") {
			t.Errorf("a change without the store exits with %d: %s", code, stderr)
		}
		d.wait("the age is shown", func() error {
			if s := d.status(); s.Directory.State != "stale" || s.Directory.AgeSeconds == 0 {
				return fmt.Errorf("%s, %v s", s.Directory.State, s.Directory.AgeSeconds)
			}
			return nil
		})
	}
	// A restart without the store serves from the snapshot.
	two.stop()
	two.start()
	two.answers("alice.localhost", 200)

	server.Start(t)
	one.wait("changes can be made again", func() error {
		if _, stderr, code := one.try("instances", "modify", "alice.localhost", "--blocked"); code != 0 {
			return fmt.Errorf("%d %s", code, stderr)
		}
		return nil
	})
	for _, d := range []*door{one, two} {
		d.answers("alice.localhost", 503)
		d.wait("it follows again", func() error {
			if s := d.status(); s.Directory.State != "following" || s.Directory.AgeSeconds != 0 {
				return fmt.Errorf("%s, %v s", s.Directory.State, s.Directory.AgeSeconds)
			}
			return nil
		})
	}
}
