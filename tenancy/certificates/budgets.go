// Budgets: what is left of the limits of one authority, and for one client.

package certificates

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"
)

// budgets are those of one authority. They are safe for concurrent use.
type budgets struct {
	limits Limits

	mu                    sync.Mutex
	account, domain, name *budget
	places                map[string]time.Time // of names that wait, so that who asks again keeps his
}

func newBudgets(l Limits) *budgets {
	b := &budgets{limits: l}
	b.reset()
	return b
}

// reset forgets what was counted.
func (b *budgets) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.account, b.domain, b.name = newBudget(b.limits.Account), newBudget(b.limits.Domain), newBudget(b.limits.Name)
	b.places = map[string]time.Time{}
}

// take counts an order for a name, where there is room. Otherwise it says when to come
// again, and for want of which budget.
func (b *budgets) take(name string, first bool, now time.Time) (again time.Time, which string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	domain := registered(name)
	of, key := b.account, ""
	again, which = b.account.until("", now), "account"
	if at := b.name.until(name, now); at.After(again) {
		again, which, of, key = at, "name", b.name, name
	}
	if first {
		if at := b.domain.until(domain, now); at.After(again) {
			again, which, of, key = at, "domain", b.domain, domain
		}
	}
	if !again.IsZero() {
		if place := b.places[name]; !place.Before(again) {
			return place, which
		}
		if len(b.places) >= maxBudgets { // of names that have gone, or have done with waiting
			clear(b.places)
		}
		again = of.place(key, again, now)
		b.places[name] = again
		return again, which
	}
	delete(b.places, name)
	b.account.spend("", now, now)
	b.name.spend(name, now, now)
	if first {
		b.domain.spend(domain, now, now)
	}
	return again, ""
}

// spend counts an order that was made at a time.
func (b *budgets) spend(name string, first bool, at, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.account.spend("", at, now)
	b.name.spend(name, at, now)
	if first {
		b.domain.spend(registered(name), at, now)
	}
}

// holdAll makes all orders wait, as the authority has asked.
func (b *budgets) holdAll(until, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.account.hold("", until, now)
}

// holdDomain makes first orders for the registered domain of a name wait.
func (b *budgets) holdDomain(name string, until, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.domain.hold(registered(name), until, now)
}

// registered is the registered domain of a name: the public suffix and one label.
func registered(name string) string {
	domain, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil { // a public suffix itself
		return name
	}
	return domain
}

// clients are the budgets of those who visit. They are safe for concurrent use.
type clients struct {
	mu     sync.Mutex
	budget *budget
}

func newClients(l Limit) *clients { return &clients{budget: newBudget(l)} }

// take counts what a client asks for, where there is room.
func (c *clients) take(client netip.Addr, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := clientKey(client)
	if !c.budget.until(key, now).IsZero() {
		return false
	}
	c.budget.spend(key, now, now)
	return true
}

// clientKey is what is counted for a client: an IPv4 address, or the network that an
// IPv6 client has for itself.
func clientKey(client netip.Addr) string {
	client = client.Unmap()
	if client.Is6() {
		if network, err := client.Prefix(64); err == nil {
			return network.String()
		}
	}
	return client.String()
}
