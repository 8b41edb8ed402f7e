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
	fresh                 *budget              // the part of the account's that first orders have
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
	b.fresh = newBudget(freshLimit(b.limits.Account))
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
		if at := b.fresh.until("", now); at.After(again) {
			again, which, of, key = at, "account", b.fresh, ""
		}
		if at := b.domain.until(domain, now); at.After(again) {
			again, which, of, key = at, "domain", b.domain, domain
		}
	}
	if !again.IsZero() {
		if !first { // never behind those that can wait: what is held runs out
			return again.Add(spread(name, renewalSpread)), which
		}
		if place, waits := b.places[name]; waits { // who has come a moment early keeps it
			if place.Before(again) {
				place = again
			}
			b.places[name] = place
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
	b.count(name, first, now, now)
	return again, ""
}

// renewalSpread is how far renewals are apart that wait for the same moment.
const renewalSpread = 10 * time.Minute

// freshLimit leaves a quarter of the account's orders to renewals, which cannot wait, but
// of a few orders nothing.
func freshLimit(account Limit) Limit {
	if account.Orders >= 40 {
		account.Orders -= account.Orders / 4
	}
	return account
}

// count counts an order in all budgets. b.mu is held.
func (b *budgets) count(name string, first bool, at, now time.Time) {
	b.account.spend("", at, now)
	b.name.spend(name, at, now)
	if first {
		b.fresh.spend("", at, now)
		b.domain.spend(registered(name), at, now)
	}
}

// giveBack takes back an order that has reached nobody.
func (b *budgets) giveBack(name string, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.account.giveBack("")
	b.name.giveBack(name)
	if first {
		b.fresh.giveBack("")
		b.domain.giveBack(registered(name))
	}
}

// spend counts an order that was made at a time.
func (b *budgets) spend(name string, first bool, at, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(name, first, at, now)
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

// Network is what is counted for a client: an IPv4 address, or the /64 that an IPv6
// client has for itself; RFC 4291, section 2.5.1. The zero value is for no address.
func Network(client netip.Addr) netip.Prefix {
	client = client.Unmap().WithZone("")
	bits := client.BitLen()
	if client.Is6() {
		bits = 64
	}
	network, err := client.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}

// clientKey is a client's network as the key of a budget.
func clientKey(client netip.Addr) string {
	network := Network(client)
	if network.IsSingleIP() {
		return network.Addr().String()
	}
	return network.String()
}
