// This file holds the limits by instance and by address: token buckets in bounded memory.

package onboarding

import (
	"container/list"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// buckets are token buckets by key, of which the most recently asked are kept.
// A key that comes back after it went begins with a full bucket: it takes as
// many other keys in between to get that, each of them with its own bucket anyway.
type buckets[K comparable] struct {
	limit rate.Limit
	burst int
	size  int

	mu    sync.Mutex
	byKey map[K]*list.Element
	order list.List // of *bucket[K], the most recent first
}

type bucket[K comparable] struct {
	key     K
	limiter *rate.Limiter
}

func newBuckets[K comparable](l Limit, size int) (*buckets[K], error) {
	if l.Burst < 1 || l.Burst > maxLimited || l.Every <= 0 {
		return nil, fmt.Errorf("a burst of %d, and one each %v, is out of range", l.Burst, l.Every)
	}
	return &buckets[K]{limit: rate.Every(l.Every), burst: l.Burst, size: size, byKey: make(map[K]*list.Element)}, nil
}

// take takes a token; where there is none, it tells when there will be.
func (b *buckets[K]) take(key K, now time.Time) (wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	element, found := b.byKey[key]
	if found {
		b.order.MoveToFront(element)
	} else {
		element = b.order.PushFront(&bucket[K]{key, rate.NewLimiter(b.limit, b.burst)})
		b.byKey[key] = element
		if b.order.Len() > b.size {
			last := b.order.Remove(b.order.Back()).(*bucket[K])
			delete(b.byKey, last.key)
		}
	}
	reservation := element.Value.(*bucket[K]).limiter.ReserveN(now, 1)
	wait = reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
		return wait, false
	}
	return 0, true
}

// allow counts a request against both limits; where one is used up, it tells
// when to come again. The address is asked first, so that one client does not
// use up the limit of an instance.
func (p *Page) allow(inst Instance, client netip.Addr) (retry time.Duration, ok bool) {
	now := p.now()
	if retry, ok := p.addresses.take(network(client), now); !ok {
		return retry, false
	}
	return p.hosts.take(inst.ID, now)
}

// network is what one client can have: an IPv4 address, or the /64 of an IPv6
// one (RFC 6177). The zero Addr is a network of its own.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil { // only of the zero Addr
		return netip.Prefix{}
	}
	return prefix
}
