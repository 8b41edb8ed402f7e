// Limits: how many orders an authority takes, and what of that is left.

package certificates

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Limit is a number of orders in a time; the zero value is no limit.
type Limit struct {
	Orders int
	Window time.Duration
}

// Limits pace orders. The defaults are below those of Let's Encrypt
// (https://letsencrypt.org/docs/rate-limits/), so that somebody else's order under the
// same account or domain finds room.
type Limits struct {
	Account Limit // of all orders
	Domain  Limit // of first certificates for one registered domain, by the public suffix list
	Name    Limit // of orders for the same name
	Client  Limit // of orders that visitors of one address have asked for, by their handshakes
}

// DefaultLimits are those for a public authority: 300 orders in 3 hours, 50 in a week
// for a registered domain and 5 in a week for a name are Let's Encrypt's.
var DefaultLimits = Limits{
	Account: Limit{280, 3 * time.Hour},
	Domain:  Limit{45, 7 * 24 * time.Hour},
	Name:    Limit{4, 7 * 24 * time.Hour},
	Client:  Limit{10, time.Hour},
}

// maxBudgets bounds the domains, names or addresses that are counted at a time.
const maxBudgets = 100_000

// budget counts the orders of each key within a window that moves. It is safe for
// concurrent use.
type budget struct {
	limit Limit
	mu    sync.Mutex
	spent map[string][]time.Time
}

func newBudget(limit Limit) *budget { return &budget{limit: limit, spent: map[string][]time.Time{}} }

// wait is how long it is until there is room for one more; 0 for now.
func (b *budget) wait(key string, now time.Time) time.Duration {
	if b.limit.Orders <= 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	times := b.within(key, now)
	if len(times) < b.limit.Orders {
		return 0
	}
	return times[len(times)-b.limit.Orders].Add(b.limit.Window).Sub(now)
}

// spend counts an order made at a time. Where too many keys are counted it forgets
// those that have none left within their window, and then others.
func (b *budget) spend(key string, at, now time.Time) {
	if b.limit.Orders <= 0 || now.Sub(at) >= b.limit.Window {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.spent) >= maxBudgets && b.spent[key] == nil {
		for other := range b.spent {
			if len(b.within(other, now)) == 0 || len(b.spent) >= maxBudgets {
				delete(b.spent, other)
			}
			if len(b.spent) < maxBudgets*9/10 {
				break
			}
		}
	}
	times := append(b.within(key, now), at)
	slices.SortFunc(times, time.Time.Compare) // what is read from records comes in any order
	if keep := 2 * b.limit.Orders; len(times) > keep {
		times = slices.Delete(times, 0, len(times)-keep)
	}
	b.spent[key] = times
}

// take is spend, where there is room.
func (b *budget) take(key string, now time.Time) bool {
	if b.wait(key, now) > 0 {
		return false
	}
	b.spend(key, now, now)
	return true
}

// within are the times that still count. b.mu is held.
func (b *budget) within(key string, now time.Time) []time.Time {
	times := b.spent[key]
	i := 0
	for i < len(times) && now.Sub(times[i]) >= b.limit.Window {
		i++
	}
	if i == len(times) {
		if times != nil {
			delete(b.spent, key)
		}
		return nil
	}
	b.spent[key] = times[i:]
	return times[i:]
}

// registered is the registered domain of a name: the public suffix and one label.
func registered(name string) string {
	domain, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil { // a public suffix itself
		return name
	}
	return domain
}

// budgets are those of one authority.
type budgets struct {
	account, domain, name *budget

	mu    sync.Mutex
	pause time.Time // until when the authority wants no orders at all
}

func newBudgets(l Limits) *budgets {
	return &budgets{account: newBudget(l.Account), domain: newBudget(l.Domain), name: newBudget(l.Name)}
}

// wait is how long an order for a name has to wait, and for which budget.
func (b *budgets) wait(name string, first bool, now time.Time) (d time.Duration, which string) {
	b.mu.Lock()
	d, which = b.pause.Sub(now), "authority"
	b.mu.Unlock()
	if w := b.account.wait("", now); w > d {
		d, which = w, "account"
	}
	if w := b.name.wait(name, now); w > d {
		d, which = w, "name"
	}
	if first {
		if w := b.domain.wait(registered(name), now); w > d {
			d, which = w, "domain"
		}
	}
	return max(d, 0), which
}

// spend counts an order.
func (b *budgets) spend(name string, first bool, at, now time.Time) {
	b.account.spend("", at, now)
	b.name.spend(name, at, now)
	if first {
		b.domain.spend(registered(name), at, now)
	}
}

// hold makes all orders wait, as the authority has asked.
func (b *budgets) hold(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until.After(b.pause) {
		b.pause = until
	}
}
