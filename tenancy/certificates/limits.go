// Limits: how many orders an authority takes in a time.

package certificates

import "time"

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
	// Removal is of names whose certificate is removed: where many instances seem to have
	// gone at once, it may be their records that were lost.
	Removal Limit
	// RemovalPart lets one in so many of all certificates be removed in that time, where it
	// is more; 0 for no such part.
	RemovalPart int
}

// DefaultLimits are those for a public authority: 300 orders in 3 hours, 50 in a week
// for a registered domain and 5 in a week for a name are Let's Encrypt's.
var DefaultLimits = Limits{
	Account: Limit{280, 3 * time.Hour},
	Domain:  Limit{45, 7 * 24 * time.Hour},
	Name:    Limit{4, 7 * 24 * time.Hour},
	Client:  Limit{10, time.Hour},
	Removal: Limit{100, time.Hour}, RemovalPart: 100,
}

// maxBudgets bounds the domains, names or addresses that are counted at a time.
const maxBudgets = 100_000

// budget counts the orders of each key within a window that moves. It is not safe for
// concurrent use.
type budget struct {
	limit Limit
	keys  map[string]*spent
}

// spent is what is known of one key.
type spent struct {
	times []time.Time // of orders within the window, the earliest first
	hold  time.Time   // until when there is no room, since the authority says so
	last  time.Time   // the last place that was given to one that waits
}

func newBudget(limit Limit) *budget { return &budget{limit: limit, keys: map[string]*spent{}} }

// until is when there is room for one more; the zero time for now.
func (b *budget) until(key string, now time.Time) (at time.Time) {
	s := b.keys[key]
	if s == nil {
		return at
	}
	if s.hold.After(now) {
		at = s.hold
	}
	b.trim(s, now)
	if n := len(s.times); b.limit.Orders > 0 && n >= b.limit.Orders {
		if free := s.times[n-b.limit.Orders].Add(b.limit.Window); free.After(at) {
			at = free
		}
	}
	return at
}

// place is a time of its own for one that waits until a time, since there is not room
// for all at once then: each would look, and write down that it goes on waiting.
func (b *budget) place(key string, until, now time.Time) time.Time {
	if b.limit.Orders <= 0 {
		return until
	}
	s := b.of(key, now)
	if next := s.last.Add(b.limit.Window / time.Duration(b.limit.Orders)); next.After(until) {
		until = next
	}
	s.last = until
	return until
}

// spend counts an order made at a time.
func (b *budget) spend(key string, at, now time.Time) {
	if b.limit.Orders <= 0 || now.Sub(at) >= b.limit.Window {
		return
	}
	if at.After(now) { // by another clock
		at = now
	}
	s := b.of(key, now)
	b.trim(s, now)
	i := len(s.times)
	for i > 0 && s.times[i-1].After(at) { // what is read from records comes in any order
		i--
	}
	s.times = append(s.times, time.Time{})
	copy(s.times[i+1:], s.times[i:])
	s.times[i] = at
	if extra := len(s.times) - b.limit.Orders; extra > 0 {
		s.times = s.times[:copy(s.times, s.times[extra:])] // only the latest are ever asked for
	}
}

// giveBack takes the latest order back.
func (b *budget) giveBack(key string) {
	if s := b.keys[key]; s != nil && len(s.times) > 0 {
		s.times = s.times[:len(s.times)-1]
	}
}

// hold leaves no room until a time.
func (b *budget) hold(key string, until, now time.Time) {
	if s := b.of(key, now); until.After(s.hold) {
		s.hold = until
	}
}

// trim forgets what is not within the window any more.
func (b *budget) trim(s *spent, now time.Time) {
	i := 0
	for i < len(s.times) && now.Sub(s.times[i]) >= b.limit.Window {
		i++
	}
	if i > 0 {
		s.times = s.times[:copy(s.times, s.times[i:])]
	}
}

// of is what is known of a key, and room for it. Where too many keys are counted it
// forgets a tenth of them: those that do not matter any more, and then any.
func (b *budget) of(key string, now time.Time) *spent {
	if s := b.keys[key]; s != nil {
		return s
	}
	if len(b.keys) >= maxBudgets {
		for other, s := range b.keys {
			if b.trim(s, now); len(s.times) == 0 && !s.hold.After(now) && !s.last.After(now) {
				delete(b.keys, other)
			}
		}
		for other := range b.keys {
			if len(b.keys) < maxBudgets*9/10 {
				break
			}
			delete(b.keys, other)
		}
	}
	s := new(spent)
	b.keys[key] = s
	return s
}
