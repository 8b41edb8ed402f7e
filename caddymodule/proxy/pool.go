// Pool: the connections of an upstream that no request has.

package proxy

import (
	"context"
	"errors"
	"slices"
	"time"
)

// errBusy: every connection is taken, and so is every place in the queue, or none came free.
var errBusy = errors.New("has no connection left (max_conns)")

// sweepEvery is how often connections that have been idle for too long are closed.
const sweepEvery = 15 * time.Second

// get is a connection: the one that was used last, if it is still good, or a new one.
// fresh asks for a new one.
func (u *upstream) get(ctx context.Context, fresh bool) (*conn, error) {
	for !fresh {
		c := u.pop()
		if c == nil {
			break
		}
		if c.good(u.o.Now()) {
			return c, nil
		}
		c.close()
	}
	c, err := u.reserve(ctx)
	if c != nil || err != nil {
		return c, err
	}
	c, err = u.dial(ctx)
	if err != nil {
		u.release()
		return nil, err
	}
	return c, nil
}

func (u *upstream) pop() *conn {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := len(u.idle)
	if n == 0 {
		return nil
	}
	c := u.idle[n-1]
	u.idle[n-1] = nil
	u.idle = u.idle[:n-1]
	return c
}

// reserve takes a place for a new connection, or one that another request leaves.
func (u *upstream) reserve(ctx context.Context) (*conn, error) {
	u.mu.Lock()
	if u.open < u.o.MaxConns {
		u.open++
		u.mu.Unlock()
		return nil, nil
	}
	if len(u.waiting) >= u.o.MaxConns {
		u.mu.Unlock()
		return nil, errBusy
	}
	turn := make(chan *conn, 1)
	u.waiting = append(u.waiting, turn)
	u.mu.Unlock()
	timer := time.NewTimer(u.o.DialTimeout)
	defer timer.Stop()
	select {
	case c := <-turn:
		return c, nil
	case <-ctx.Done():
	case <-timer.C:
	}
	u.mu.Lock()
	i := slices.Index(u.waiting, turn)
	if i >= 0 {
		u.waiting = slices.Delete(u.waiting, i, i+1)
	}
	u.mu.Unlock()
	if i < 0 { // its turn came in the same moment
		return <-turn, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, errBusy
}

// release gives a place back: to who waits, with the right to make a connection.
func (u *upstream) release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.hand(nil) {
		u.open--
	}
}

// hand gives a connection, or nil for a place, to who has waited longest. The lock is held.
func (u *upstream) hand(c *conn) bool {
	if len(u.waiting) == 0 {
		return false
	}
	turn := u.waiting[0]
	u.waiting = slices.Delete(u.waiting, 0, 1)
	turn <- c
	return true
}

// put keeps a connection for another request.
func (u *upstream) put(c *conn) {
	u.mu.Lock()
	if !u.closed {
		if u.hand(c) {
			u.mu.Unlock()
			return
		}
		if len(u.idle) < u.o.MaxIdle {
			u.idle = append(u.idle, c)
			if u.sweeper == nil {
				u.sweeper = time.AfterFunc(sweepEvery, u.sweep)
			}
			u.mu.Unlock()
			return
		}
	}
	u.mu.Unlock()
	c.close()
}

// sweep closes what has been idle for too long: what was used last is good longest, so
// they are at the front.
func (u *upstream) sweep() {
	now := u.o.Now()
	u.mu.Lock()
	i := 0
	for i < len(u.idle) && !u.idle[i].young(now) {
		i++
	}
	old := slices.Clone(u.idle[:i])
	u.idle = slices.Delete(u.idle, 0, i)
	switch {
	case u.closed:
	case len(u.idle) == 0:
		u.sweeper = nil
	default:
		u.sweeper.Reset(sweepEvery)
	}
	u.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// shut closes what is idle, now and from now on.
func (u *upstream) shut() {
	u.mu.Lock()
	u.closed = true
	idle := u.idle
	u.idle = nil
	if u.sweeper != nil {
		u.sweeper.Stop()
	}
	u.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}
