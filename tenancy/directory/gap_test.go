// Gaps: hosts that go from one name to another while they are asked for.

package directory_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// TestNoGapBetweenNames has a host lead to an instance before and after each change, by
// another name each time: it does so in between. Readers end their look-ups between two
// changes, so that none is disturbed more often than it is tried again.
func TestNoGapBetweenNames(t *testing.T) {
	t.Parallel()
	turns := map[string]struct {
		host string
		docs func(turn int, rev string) []*tenancy.Instance // to apply one after the other
	}{
		"a port": {"a.test:1", func(turn int, rev string) []*tenancy.Instance {
			return []*tenancy.Instance{newDoc("i", rev, []string{"a.test", "a.test:1"}[turn%2])}
		}},
		"a level": {"x.a.test", func(turn int, rev string) []*tenancy.Instance {
			return []*tenancy.Instance{newDoc("i", rev, []string{"x.a.test", "a.test"}[turn%2])}
		}},
		"a level, with the name before as the old one": {"x.a.test", func(turn int, rev string) []*tenancy.Instance {
			domains := []string{"x.a.test", "a.test"}
			return []*tenancy.Instance{newDoc("i", rev, domains[turn%2], with("old_domain", domains[(turn+1)%2]))}
		}},
		"another instance": {"x.a.test:1", func(turn int, rev string) []*tenancy.Instance {
			ids, names := []string{"i", "j"}, []string{"x.a.test", "a.test:1"}
			return []*tenancy.Instance{
				newDoc(ids[turn%2], rev, ids[turn%2]+".test", aliases(names[turn%2])),
				newDoc(ids[(turn+1)%2], rev, ids[(turn+1)%2]+".test"),
			}
		}},
	}
	for name, c := range turns {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := fed(c.docs(0, "1-a")...)
			var lost atomic.Int64
			ask := make(chan struct{})
			done := make(chan struct{})
			const readers = 2
			for range readers {
				go func() {
					for range ask {
						for range 20 {
							if m, ok := d.Resolve(c.host, directory.Nested); !ok || m.By == directory.ByOldDomain {
								lost.Add(1)
							}
						}
						done <- struct{}{}
					}
				}()
			}
			for turn := 1; turn < 1_000; turn++ {
				for _, doc := range c.docs(turn, fmt.Sprintf("%d-a", turn+1)) {
					for range readers {
						ask <- struct{}{}
					}
					d.Apply(doc)
					for range readers {
						<-done
					}
				}
			}
			close(ask)
			if n := lost.Load(); n > 0 {
				t.Errorf("%s was lost %d times", c.host, n)
			}
		})
	}
}
