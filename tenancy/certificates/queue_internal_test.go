// The queue by itself: what its users cannot see.

package certificates

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestQueueOrder: the earliest first, each name once, and again where it was wanted
// while it was worked at.
func TestQueueOrder(t *testing.T) {
	t.Parallel()
	q := newQueue()
	q.add("late", upkeep, start.Add(time.Hour))
	q.add("soon", upkeep, start.Add(time.Minute))
	q.add("now", upkeep, start)
	q.add("now", upkeep, start.Add(time.Hour)) // not later than it was
	q.add("late", upkeep, start.Add(2*time.Minute))
	take := func(now time.Time, want string, wait time.Duration) {
		t.Helper()
		name, ok, w := q.take(upkeep, now)
		if name != want || ok != (want != "") || w != wait {
			t.Fatalf("%q, %v, %s", name, ok, w)
		}
	}
	take(start, "now", 0)
	take(start, "", time.Minute)
	q.add("now", upkeep, start.Add(time.Second)) // while it is worked at
	q.add("now", upkeep, start.Add(time.Hour))
	q.done("now", upkeep, time.Time{})
	take(start.Add(time.Second), "now", 0)
	q.done("now", upkeep, time.Time{})
	take(start.Add(time.Minute), "soon", 0)
	q.done("soon", upkeep, start.Add(3*time.Minute))
	take(start.Add(time.Hour), "late", 0)
	take(start.Add(time.Hour), "soon", 0)
	q.done("late", upkeep, time.Time{})
	q.done("soon", upkeep, time.Time{})
	take(start, "", time.Hour)
	if q.len() != 0 {
		t.Errorf("%d names", q.len())
	}
}

// TestQueueWakes whoever waits, also for a name that was due already: the clock may have
// been put forward.
func TestQueueWakes(t *testing.T) {
	t.Parallel()
	q := newQueue()
	q.add("a", upkeep, start.Add(time.Hour))
	for i, add := range []func(){
		func() {},
		func() { q.add("b", upkeep, start) },
		func() { q.add("b", upkeep, start.Add(2*time.Hour)) },
	} {
		add()
		select {
		case <-q.lanes[upkeep].wake:
		default:
			t.Errorf("not woken by %d", i)
		}
	}
}

// TestQueueBound: what does not fit is told of, once, and what is in it stays small.
func TestQueueBound(t *testing.T) {
	q := newQueue()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range maxQueue + 1000 {
		q.add(fmt.Sprintf("name-%d.example.com", i), upkeep, start.Add(time.Duration(i%1000)*time.Second))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if q.len() != maxQueue || !q.spilled() || q.spilled() {
		t.Errorf("%d names", q.len())
	}
	size := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d names: %d bytes each", q.len(), size/maxQueue)
	if size > 20<<20 {
		t.Errorf("%d bytes", size)
	}
	last := time.Time{}
	for range 5000 {
		name, ok, _ := q.take(upkeep, start.Add(time.Hour))
		if !ok || q.items[name].at.Before(last) {
			t.Fatalf("%q, %v", name, ok)
		}
		last = q.items[name].at
		q.done(name, upkeep, time.Time{})
	}
}

// TestQueueCrowd is for the race detector, and loses no name.
func TestQueueCrowd(t *testing.T) {
	t.Parallel()
	q := newQueue()
	var working sync.WaitGroup
	for w := range 8 {
		working.Go(func() {
			for i := range 500 {
				q.add(fmt.Sprintf("%d", (i*7+w)%100), upkeep, start.Add(time.Duration(i)))
				if name, ok, _ := q.take(upkeep, start.Add(time.Hour)); ok {
					q.done(name, upkeep, time.Time{})
				}
			}
		})
	}
	working.Wait()
	for q.len() > 0 {
		name, ok, _ := q.take(upkeep, start.Add(time.Hour))
		if !ok {
			t.Fatalf("%d names are neither worked at nor in the order", q.len())
		}
		q.done(name, upkeep, time.Time{})
	}
}

// TestPauses double, up to their most; a calm counts failures at a time as one.
func TestPauses(t *testing.T) {
	t.Parallel()
	p := pauses{first: time.Second, most: 5 * time.Second}
	for _, want := range []time.Duration{1, 2, 4, 5, 5} {
		if d := p.next("a"); d != want*time.Second {
			t.Errorf("%s", d)
		}
	}
	p.end("a")
	if p.next("a") != time.Second || p.next("b") != time.Second {
		t.Error("it was not forgotten")
	}
	c := calm{pauses: pauses{first: time.Second, most: time.Minute}}
	c.begin(start)
	c.begin(start)
	if c.left(start) != time.Second {
		t.Errorf("%s", c.left(start))
	}
	c.begin(start.Add(time.Second))
	if left := c.left(start.Add(time.Second)); left != 2*time.Second {
		t.Errorf("%s", left)
	}
	c.end()
	c.begin(start.Add(time.Minute))
	if left := c.left(start.Add(time.Minute)); left != time.Second {
		t.Errorf("%s", left)
	}
}

// TestQueueBoundOverLanes: names that a look puts from one lane into another do not make
// the queue grow beyond its bound.
func TestQueueBoundOverLanes(t *testing.T) {
	t.Parallel()
	q := newQueue()
	for i := range maxQueue + 100 {
		name := fmt.Sprintf("n%d.example.com", i)
		q.add(name, upkeep, start)
		got, ok, _ := q.take(upkeep, start)
		if !ok || got != name {
			t.Fatalf("%q, %v", got, ok)
		}
		q.done(got, orders, start)
	}
	if q.len() != maxQueue || q.lanes[upkeep].names != 0 || q.lanes[orders].names != maxQueue || !q.spilled() {
		t.Errorf("%d names, %d and %d", q.len(), q.lanes[upkeep].names, q.lanes[orders].names)
	}
	q.add("n0.example.com", upkeep, start.Add(-time.Second)) // from one lane into the other
	if q.lanes[upkeep].names != 1 || q.lanes[orders].names != maxQueue-1 {
		t.Errorf("%d and %d", q.lanes[upkeep].names, q.lanes[orders].names)
	}
}
