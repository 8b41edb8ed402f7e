// Upstream: one server's connections, and how it does.

package proxy

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// upstream is one address. What is under the lock takes no I/O.
type upstream struct {
	o       *Options
	address string
	network string
	target  string // what is dialled
	metrics upstreamMetrics
	active  atomic.Int64 // requests that it has

	mu      sync.Mutex
	idle    []*conn // the one used last is at the end
	open    int     // connections, with those being made
	waiting []chan *conn
	sweeper *time.Timer // nil while there is nothing idle
	closed  bool
	fails   []time.Time // the last MaxFails failures
}

func newUpstream(o *Options, address string) *upstream {
	u := &upstream{o: o, address: address, metrics: o.Metrics.of(address)}
	u.network, u.target = splitAddress(address)
	return u
}

// failed remembers a failure.
func (u *upstream) failed() {
	if u.o.FailDuration < 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.fails) >= u.o.MaxFails {
		u.fails = slices.Delete(u.fails, 0, 1)
	}
	u.fails = append(u.fails, u.o.Now())
}

// healthy tells whether it has failed less than MaxFails times in FailDuration.
func (u *upstream) healthy(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.fails) < u.o.MaxFails || now.Sub(u.fails[0]) >= u.o.FailDuration
}

// choose is the upstream with the fewest requests of those that are well; where all have
// failed, of all: somebody may be back, and nothing is lost by asking. Nil where every
// one was tried.
func (p *Proxy) choose(addresses []string, tried []*upstream) *upstream {
	if len(addresses) == 1 && len(tried) == 0 {
		return p.upstreams[addresses[0]]
	}
	var best, last *upstream
	now, equal, equalLast := p.o.Now(), 0, 0
	for _, a := range addresses {
		u := p.upstreams[a]
		if u == nil || slices.Contains(tried, u) {
			continue
		}
		if u.healthy(now) {
			best, equal = p.fewer(best, u, equal)
		} else {
			last, equalLast = p.fewer(last, u, equalLast)
		}
	}
	if best == nil {
		return last
	}
	return best
}

// fewer is the one of two with fewer requests; among equals each has the same chance.
func (p *Proxy) fewer(best, u *upstream, equal int) (*upstream, int) {
	if best == nil {
		return u, 1
	}
	switch a, b := u.active.Load(), best.active.Load(); {
	case a < b:
		return u, 1
	case a == b:
		equal++
		if p.o.Pick(equal) == 0 {
			return u, equal
		}
	}
	return best, equal
}
