// Ports for front doors under test.

package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// given are the ports that tests have got. None is given twice, since a front door comes
// back to its own after a restart.
var given = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// freePorts finds ports that nobody listens on. They are below those that the system
// gives to connections, one of which could have taken a port that is free for a moment.
func freePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	const low, high = 12000, 32000
	for range high - low {
		port := low + rand.IntN(high-low)
		if given.ports[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			continue
		}
		l.Close()
		given.ports[port] = true
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatal("there are no free ports")
	return nil
}
