// Queue: the names that there is something to do about, and when.

package certificates

import (
	"container/heap"
	"sync"
	"time"
)

// lane is a kind of work. What waits in one is never behind the other's: a fleet's first
// orders, which wait for the DNS and for budgets, take days.
type lane int

const (
	upkeep lane = iota // names with a certificate, or that are nobody's: to renew, ask about, remove
	orders             // names that wait for their first certificate
	lanes  = iota
)

// laneOf is where a name belongs, by its record; nil for none.
func laneOf(rec *Record, known bool) lane {
	if known && (rec == nil || !rec.Held()) {
		return orders
	}
	return upkeep
}

// maxQueue bounds the names of each lane in memory; the next sweep finds the others.
const maxQueue = 50_000

// queue has each name once, with its lane and the time at which it is due. It is safe
// for concurrent use.
type queue struct {
	mu       sync.Mutex
	items    map[string]*item
	lanes    [lanes]waiting
	overflow bool // names were left out
}

// waiting is one lane.
type waiting struct {
	order dueOrder
	names int           // also those that are being worked at
	wake  chan struct{} // has a value when the earliest may have changed
}

type item struct {
	name  string
	lane  lane
	at    time.Time
	index int // in the order; -1 while it is being worked at
	again bool
	next  time.Time // when again is due
}

func newQueue() *queue {
	q := &queue{items: map[string]*item{}}
	for l := range q.lanes {
		q.lanes[l].wake = make(chan struct{}, 1)
	}
	return q
}

// add makes a name due at a time, or earlier where it was to be later; which lane it is
// in is told by who wants it first. One that is being worked at is looked at once more.
func (q *queue) add(name string, l lane, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it, ok := q.items[name]
	switch {
	case !ok && q.lanes[l].names >= maxQueue:
		q.overflow = true
	case !ok:
		it = &item{name: name, lane: l, at: at}
		q.items[name] = it
		q.lanes[l].names++
		q.push(it)
	case it.index < 0:
		if !it.again || at.Before(it.next) {
			it.again, it.next = true, at
		}
	case !at.Before(it.at):
		q.wake(it.lane)
	case it.lane == l, q.lanes[l].names >= maxQueue:
		l = it.lane
		it.at = at
		heap.Fix(&q.lanes[l].order, it.index)
		q.wake(it.lane)
	default:
		heap.Remove(&q.lanes[it.lane].order, it.index)
		it.at = at
		q.move(it, l)
		q.push(it)
	}
}

// push puts an item into its lane's order.
func (q *queue) push(it *item) {
	heap.Push(&q.lanes[it.lane].order, it)
	q.wake(it.lane)
}

// wake has whoever waits for a lane's earliest look again: also where that was due
// already, since the clock may have been put forward.
func (q *queue) wake(l lane) {
	select {
	case q.lanes[l].wake <- struct{}{}:
	default:
	}
}

// move changes the lane of an item that is in no order.
func (q *queue) move(it *item, l lane) {
	q.lanes[it.lane].names--
	q.lanes[l].names++
	it.lane = l
}

// take gives a name of a lane that is due, which is being worked at then; else for how
// long there is nothing, at most for an hour.
func (q *queue) take(l lane, now time.Time) (name string, ok bool, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	order := &q.lanes[l].order
	if len(*order) == 0 {
		return "", false, time.Hour
	}
	first := (*order)[0]
	if d := first.at.Sub(now); d > 0 {
		return "", false, min(d, time.Hour)
	}
	heap.Pop(order)
	first.index = -1
	return first.name, true, 0
}

// done ends the work at a name, which is due again at a time and in a lane, or not.
func (q *queue) done(name string, l lane, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[name]
	if it.again && (at.IsZero() || it.next.Before(at)) {
		at = it.next
	}
	if at.IsZero() {
		q.lanes[it.lane].names--
		delete(q.items, name)
		return
	}
	if l != it.lane && q.lanes[l].names >= maxQueue {
		q.lanes[it.lane].names--
		delete(q.items, name)
		q.overflow = true
		return
	}
	it.at, it.again, it.next = at, false, time.Time{}
	q.move(it, l)
	q.push(it)
}

// spilled tells, once, whether names were left out.
func (q *queue) spilled() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	was := q.overflow
	q.overflow = false
	return was
}

// len is the number of names.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// busy tells whether a name is due, or being worked at.
func (q *queue) busy(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	waits := 0
	for l := range q.lanes {
		order := q.lanes[l].order
		if len(order) > 0 && !order[0].at.After(now) {
			return true
		}
		waits += len(order)
	}
	return waits < len(q.items)
}

// dueOrder is a heap by time.
type dueOrder []*item

func (o dueOrder) Len() int           { return len(o) }
func (o dueOrder) Less(i, j int) bool { return o[i].at.Before(o[j].at) }
func (o dueOrder) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].index, o[j].index = i, j
}

// Push implements heap.Interface.
func (o *dueOrder) Push(x any) {
	it := x.(*item)
	it.index = len(*o)
	*o = append(*o, it)
}

// Pop implements heap.Interface.
func (o *dueOrder) Pop() any {
	last := (*o)[len(*o)-1]
	(*o)[len(*o)-1] = nil
	*o = (*o)[:len(*o)-1]
	return last
}
