// Budgets: what is left of the limits of one authority, and for one client.

package certificates

import (
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"
)

// budgets are those of one authority. They are safe for concurrent use.
type budgets struct {
	mu                    sync.Mutex
	limits                Limits
	account, domain, name *budget
	fresh                 *budget              // the part of the account's that first orders have
	demanded              *budget              // the part of that which visitors can use up
	removal               *budget              // of names whose certificate is removed
	all                   int                  // certificates, at the last sweep
	places                map[string]time.Time // of names that wait, so that who asks again keeps his
}

func newBudgets(l Limits) *budgets {
	b := &budgets{}
	b.limits = l
	b.reset()
	return b
}

// reset forgets what was counted.
func (b *budgets) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	none := Limit{}
	b.account, b.domain, b.name = newBudget(none), newBudget(none), newBudget(none)
	b.fresh, b.demanded = newBudget(none), newBudget(none)
	b.removal = newBudget(none)
	b.places = map[string]time.Time{}
	b.apply()
}

// use goes on with other limits.
func (b *budgets) use(l Limits) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limits != l {
		b.limits = l
		b.apply()
	}
}

// apply gives each budget its limit. b.mu is held.
func (b *budgets) apply() {
	b.account.limit, b.domain.limit, b.name.limit = b.limits.Account, b.limits.Domain, b.limits.Name
	b.fresh.limit = freshLimit(b.limits.Account)
	b.demanded.limit = demandedLimit(b.fresh.limit)
	b.removal.limit = b.limits.Removal
	if part := b.limits.RemovalPart; part > 0 && b.limits.Removal.Orders > 0 {
		b.removal.limit.Orders = max(b.limits.Removal.Orders, b.all/part)
	}
}

// kind is what an order is, as far as budgets go.
type kind struct {
	first    bool // and not to renew
	demanded bool // by a visitor
}

// kind is that of an order for a record.
func (r *Record) kind(first bool) kind { return kind{first, r.Parent != ""} }

// take counts an order for a name, where there is room. Otherwise it says when to come
// again, and for want of which budget.
func (b *budgets) take(name string, k kind, now time.Time) (again time.Time, which string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var of *budget
	var at string // the key in it
	b.each(name, k, func(other *budget, key, what string) {
		if until := other.until(key, now); until.After(again) {
			again, which, of, at = until, what, other, key
		}
	})
	if !again.IsZero() {
		if !k.first { // never behind those that can wait: what is held runs out
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
		again = of.place(at, again, now)
		b.places[name] = again
		return again, which
	}
	delete(b.places, name)
	b.count(name, k, now, now)
	return again, ""
}

// each calls fn with all budgets that an order is counted in, and what they are called.
func (b *budgets) each(name string, k kind, fn func(of *budget, key, what string)) {
	fn(b.account, "", "account")
	fn(b.name, name, "name")
	if !k.first {
		return
	}
	fn(b.fresh, "", "account")
	domain := registered(name)
	fn(b.domain, domain, "domain")
	if k.demanded {
		fn(b.demanded, "", "account, for apps")
	}
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

// demandedLimit leaves half of the first orders to the names that instances have: anybody
// can come to the hosts of many apps.
func demandedLimit(fresh Limit) Limit {
	if fresh.Orders > 1 {
		fresh.Orders /= 2
	}
	return fresh
}

// count counts an order in all budgets. b.mu is held.
func (b *budgets) count(name string, k kind, at, now time.Time) {
	b.each(name, k, func(of *budget, key, _ string) { of.spend(key, at, now) })
}

// giveBack takes back an order that has reached nobody.
func (b *budgets) giveBack(name string, k kind) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.each(name, k, func(of *budget, key, _ string) { of.giveBack(key) })
}

// spend counts orders that were made.
func (b *budgets) spend(name string, demanded bool, made []Order, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, order := range made {
		b.count(name, kind{order.First, demanded}, order.At, now)
	}
}

// remove counts a name whose certificate is removed, where there is room. Else it says
// when.
func (b *budgets) remove(now time.Time) (again time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if again = b.removal.until("", now); again.IsZero() {
		b.removal.spend("", now, now)
	}
	return again
}

// unremove takes one back that was not removed after all.
func (b *budgets) unremove() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.removal.giveBack("")
}

// removed counts the names that were removed before this term, and nothing else.
func (b *budgets) removed(before []removed, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.removal.keys)
	for _, r := range before {
		for range min(r.Names, b.removal.limit.Orders) {
			b.removal.spend("", r.At, now)
		}
	}
}

// certificates says how many there are, of which a part may be removed.
func (b *budgets) certificates(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = n
	b.apply()
}

// removals is how many names can be removed now, and how many in a time; all for no
// limit.
func (b *budgets) removals(now time.Time) (room, most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if most = b.removal.limit.Orders; most <= 0 {
		return math.MaxInt, most
	}
	b.removal.until("", now) // forgets what does not count any more
	if s := b.removal.keys[""]; s != nil {
		return most - len(s.times), most
	}
	return most, most
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
