// Delays: who has failed to log in has to wait before the next try.

package admin

import (
	"container/list"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

const (
	freeFailures = 5                // in a failureTime, before there is a delay
	failureTime  = time.Minute      //
	firstDelay   = 2 * time.Second  // doubles with each further failure
	longestDelay = 15 * time.Minute //
	forgetTime   = 30 * time.Minute // without a failure, after a delay
	maxAddresses = 4096             // remembered; the least recent go first
)

// delays keep, by address, who has failed and how long they wait. A client of
// IPv6 has a whole /64 to choose addresses from, so that counts as one.
type delays struct {
	now func() time.Time

	mu     sync.Mutex
	byAddr map[string]*list.Element // of *failer
	recent *list.List               // the most recent first
}

type failer struct {
	address string
	count   int // of failures
	last    time.Time
	until   time.Time // no try is taken before
}

func newDelays(now func() time.Time) *delays {
	return &delays{now: now, byAddr: map[string]*list.Element{}, recent: list.New()}
}

// wait is how long an address has to wait, 0 for not at all.
func (d *delays) wait(address string) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.byAddr[network(address)]
	if !ok {
		return 0
	}
	return max(0, e.Value.(*failer).until.Sub(d.now()))
}

// fail notes a failure.
func (d *delays) fail(address string) {
	key, now := network(address), d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.byAddr[key]
	if !ok {
		e = d.recent.PushFront(&failer{address: key})
		d.byAddr[key] = e
		if d.recent.Len() > maxAddresses {
			oldest := d.recent.Remove(d.recent.Back()).(*failer)
			delete(d.byAddr, oldest.address)
		}
	}
	d.recent.MoveToFront(e)
	f := e.Value.(*failer)
	forget := failureTime
	if !f.until.IsZero() {
		forget = forgetTime
	}
	if now.Sub(f.last) > forget {
		*f = failer{address: key}
	}
	f.count++
	f.last = now
	if over := f.count - freeFailures; over >= 0 {
		delay := longestDelay
		if over < 16 { // before the shift could overflow
			delay = min(delay, firstDelay<<over)
		}
		f.until = now.Add(delay)
	}
}

// network is what counts as one client.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}

// tooMany is the answer to who has to wait.
func tooMany(wait time.Duration) error {
	seconds := int(math.Ceil(wait.Seconds()))
	return &apiError{
		status: http.StatusTooManyRequests, title: "Too Many Requests",
		detail:     fmt.Sprintf("too many failed logins from this address; try again in %d s", seconds),
		retryAfter: strconv.Itoa(seconds),
	}
}
