// Clients: how many new certificates the visitors of one address can have ordered.

package caddymodule

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/gatehouse-edge/gatehouse/internal/recent"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// Bounds of clients.
const (
	maxClients = 40_000 // budgets; the one of an address that others have driven out is full again
	maxVisits  = 40_000 // remembered names, each with an address

	visitTime  = time.Hour   // in which a name costs a client nothing more
	refuseTime = time.Minute // in which a name that was refused is refused without a look-up
)

// clients are the budgets of those who come for names without a certificate. Each address
// can have as many ordered at once as the limit says, and gets back as many in its time,
// one after the other. Memory: some 20 MB where all bounds are reached. It is safe for
// concurrent use.
type clients struct {
	now func() time.Time

	mu      sync.Mutex
	budgets *recent.Memory[netip.Prefix, *rate.Limiter]
	visits  *recent.Memory[visit, visited]
}

// visit is somebody's coming for a name.
type visit struct {
	client netip.Prefix
	name   string
}

// visited is what became of it.
type visited struct {
	refused bool
	until   time.Time
}

func newClients(now func() time.Time) *clients {
	return &clients{now: now, budgets: recent.New[netip.Prefix, *rate.Limiter](maxClients), visits: recent.New[visit, visited](maxVisits)}
}

// admits tells whether a client may have a certificate of a name ordered, and takes it
// from the client's budget, unless the name cost it something within the hour, or free,
// which may take a look-up, says that there will be no order. An address that is not
// known, as that of a Unix socket, has no budget and is admitted.
func (c *clients) admits(client netip.Addr, name string, limit certificates.Limit, free func() bool) bool {
	network := certificates.Network(client)
	if limit.Orders <= 0 || limit.Window <= 0 || !network.IsValid() {
		return true
	}
	v := visit{network, name}
	if admitted, known := c.known(v); known {
		return admitted
	}
	if free() {
		c.note(v, false)
		return true
	}
	admitted := c.take(network, limit)
	c.note(v, !admitted)
	return admitted
}

// known is what became of the same visit before, if that still counts.
func (c *clients) known(v visit) (admitted, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, ok := c.visits.Get(v)
	return !before.refused, ok && c.now().Before(before.until)
}

func (c *clients) note(v visit, refused bool) {
	lasts := visitTime
	if refused {
		lasts = refuseTime
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.visits.Put(v, visited{refused, c.now().Add(lasts)})
}

// take takes one from a budget, where there is one left.
func (c *clients) take(network netip.Prefix, limit certificates.Limit) bool {
	now, every := c.now(), rate.Every(limit.Window/time.Duration(limit.Orders))
	c.mu.Lock()
	defer c.mu.Unlock()
	budget, ok := c.budgets.Get(network)
	if !ok {
		budget = rate.NewLimiter(every, limit.Orders)
		c.budgets.Put(network, budget)
	}
	if budget.Limit() != every || budget.Burst() != limit.Orders { // another configuration
		budget.SetLimitAt(now, every)
		budget.SetBurstAt(now, limit.Orders)
	}
	return budget.AllowN(now, 1)
}
