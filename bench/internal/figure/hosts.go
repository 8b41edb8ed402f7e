// Hosts: whom requests are for, and plans that all figures use.

package figure

import (
	"math/rand/v2"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/fixture"
	"github.com/gatehouse-edge/gatehouse/bench/internal/load"
	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
)

// active draws one of n tenants that are served.
func active(n int) load.AppendHost {
	return func(dst []byte, random *rand.Rand) []byte { return fixture.AppendActive(dst, random.IntN(n)) }
}

// blocked draws one of n tenants that are not.
func blocked(n int) load.AppendHost {
	return func(dst []byte, random *rand.Rand) []byte { return fixture.AppendBlocked(dst, random.IntN(n)) }
}

// plain is requests for n tenants over HTTP/1, one after the other.
func plain(port, n int, duration time.Duration) load.Plan {
	return load.Plan{Address: peer.Address(port), Connections: connections, Host: active(n), Status: 200, Duration: duration}
}

// paced is the same at a rate.
func paced(port, n int, duration time.Duration, rate float64) load.Plan {
	p := plain(port, n, duration)
	p.Rate = rate
	return p
}

// best is how a door proxies at its cheapest.
func best(d *peer.Door) (port int, name string) {
	if d.ProxyHTTP != 0 {
		return d.ProxyHTTP, "Gatehouse, proxy"
	}
	return d.HTTP, "Gatehouse, reverse_proxy"
}

// noProxy is the note of a run whose binary cannot proxy by itself.
const noProxy = "`tenancy { proxy … }` is left out: the binary does not know the option."

// sizes are the numbers of tenants, the largest last.
func sizes(e *Env) []int {
	return pick(e, []int{100_000, 1_000_000}, []int{10_000, 100_000})
}

func largest(e *Env) int { return sizes(e)[1] }

// tenantsOf is a number of tenants in words.
func tenantsOf(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return itoa(n/1_000_000) + " M tenants"
	case n >= 1000:
		return itoa(n/1000) + " k tenants"
	default:
		return itoa(n) + " tenants"
	}
}
