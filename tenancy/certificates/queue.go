// Queue: the names that there is something to do about, and when.

package certificates

import (
	"container/heap"
	"sync"
	"time"
)

// maxQueue bounds the names in memory; the next sweep finds the others.
const maxQueue = 50_000

// queue has each name once, with the time at which it is due. It is safe for
// concurrent use.
type queue struct {
	mu       sync.Mutex
	items    map[string]*item
	order    dueOrder
	wake     chan struct{} // has a value when the earliest may have changed
	overflow bool          // names were left out
}

type item struct {
	name  string
	at    time.Time
	index int // in the order; -1 while it is being worked at
	again bool
	next  time.Time // when again is due
}

func newQueue() *queue {
	return &queue{items: map[string]*item{}, wake: make(chan struct{}, 1)}
}

// add makes a name due at a time, or earlier where it was to be later. One that is
// being worked at is looked at once more.
func (q *queue) add(name string, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it, ok := q.items[name]
	switch {
	case !ok && len(q.items) >= maxQueue:
		q.overflow = true
		return
	case !ok:
		it = &item{name: name, at: at}
		q.items[name] = it
		heap.Push(&q.order, it)
	case it.index < 0:
		if !it.again || at.Before(it.next) {
			it.again, it.next = true, at
		}
		return
	case at.Before(it.at):
		it.at = at
		heap.Fix(&q.order, it.index)
	}
	if it.index == 0 {
		q.signal()
	}
}

// take gives a name that is due, which is being worked at then; else for how long there
// is nothing, at most for an hour.
func (q *queue) take(now time.Time) (name string, ok bool, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.order) == 0 {
		return "", false, time.Hour
	}
	first := q.order[0]
	if d := first.at.Sub(now); d > 0 {
		return "", false, min(d, time.Hour)
	}
	heap.Pop(&q.order)
	first.index = -1
	return first.name, true, 0
}

// done ends the work at a name, which is due again at a time, or not.
func (q *queue) done(name string, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[name]
	if it.again && (at.IsZero() || it.next.Before(at)) {
		at = it.next
	}
	if at.IsZero() {
		delete(q.items, name)
		return
	}
	it.at, it.again, it.next = at, false, time.Time{}
	heap.Push(&q.order, it)
	if it.index == 0 {
		q.signal()
	}
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

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
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
	*o = (*o)[:len(*o)-1]
	return last
}
