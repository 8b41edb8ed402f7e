// Conn: one connection to an upstream, and what reading and writing on it waits for.

package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	readBuffer = 4 << 10
	maxKept    = 16 << 10 // of a request, in memory with a connection
	// maxHead bounds the header of an answer, with the informational ones before it.
	maxHead = 1 << 20
	// patience is how long an exchange is left alone, and half of it at least. Most are over by
	// then; only one that is not costs a watch on its client, and a time limit of its own.
	patience = 100 * time.Millisecond
	// rearm is how much earlier than configured a time limit may end, so that not every
	// read has to move it; of a short limit it is half.
	rearm = time.Second
)

// conn is a connection. A request has it alone; of two goroutines at most, one reads and
// one writes.
type conn struct {
	raw    net.Conn        // the socket
	rw     net.Conn        // the socket, or the TLS over it
	secure *tls.Conn       // nil in clear text
	sys    syscall.RawConn // nil where there is no look at the socket
	br     *bufio.Reader
	whole  bytes.Buffer // of what is sent
	sender sender
	up     *upstream

	turn      func(uintptr) bool // takeTurn, made once, and what it works on
	turnBytes []byte
	turnSent  int
	turnDone  bool
	turnError syscall.Errno

	look    func(uintptr) // peek, made once
	silent  bool          // what it found
	made    time.Time
	idle    time.Time // since when
	expires time.Time // when the upstream said that it would close; zero: not said
	uses    int       // requests, with the present one

	// Of the present request.
	ctx     context.Context
	began   time.Time
	stop    func() bool // takes the watch on the client off
	spoke   bool        // a byte of the answer has come
	inBody  bool        // the answer's header has been read
	room    int         // what is left of maxHead
	alarm   time.Time   // when the patience ends; zero where another time limit is set
	armed   time.Time   // when the time limit of reads was set last
	noting  bool        // what comes is noted in head
	head    []byte
	sending atomic.Bool  // a goroutine is sending the request
	sent    atomic.Int64 // when it ended, in Unix nanoseconds
	wrote   chan error   // what it ended with
	written time.Time    // when the time limit of writes was set last; the writer's

	// What is sent: kept, so that a request costs none of it.
	out    http.Request
	body   requestBody
	values [4]string
}

// begin makes a connection ready for a request. with tells that it has a body, which
// another goroutine writes.
func (c *conn) begin(ctx context.Context, with bool) {
	c.uses++
	c.ctx, c.began, c.stop = ctx, time.Now(), nil
	c.spoke, c.inBody, c.room = false, false, maxHead
	c.armed, c.written = time.Time{}, time.Time{}
	if with || c.secure != nil { // a TLS connection does not survive a write that timed out
		c.watch()
		c.limitRead(c.began, c.up.o.ResponseHeaderTimeout)
		c.limitWrite(c.began)
		return
	}
	if c.alarm.Sub(c.began) < patience/2 { // moving it costs as much as a look at the socket
		c.alarm = c.began.Add(patience)
		_ = c.rw.SetDeadline(c.alarm)
	}
}

// watch closes the connection when the client goes.
func (c *conn) watch() {
	raw := c.raw
	c.alarm = time.Time{}
	c.stop = context.AfterFunc(c.ctx, func() { raw.Close() })
}

// limitRead sets the time limit of reads. One that cannot be set shows at the next read.
func (c *conn) limitRead(now time.Time, d time.Duration) {
	c.armed = now
	if d < 0 {
		_ = c.rw.SetReadDeadline(time.Time{})
		return
	}
	_ = c.rw.SetReadDeadline(now.Add(d))
}

func (c *conn) limitWrite(now time.Time) {
	c.written = now
	if c.up.o.IdleTimeout < 0 {
		_ = c.rw.SetWriteDeadline(time.Time{})
		return
	}
	_ = c.rw.SetWriteDeadline(now.Add(c.up.o.IdleTimeout))
}

// stale tells whether the time limit of a body has to be set again. A client that reads slowly
// may have kept us longer than it is.
func (c *conn) stale(now, set time.Time) bool {
	limit := c.up.o.IdleTimeout
	return set.IsZero() || limit > 0 && now.Sub(set) > min(rearm, limit/2)
}

var errHead = errors.New("the header of the answer is too long")

// Read implements io.Reader for the parser.
func (c *conn) Read(p []byte) (int, error) {
	if !c.inBody {
		if c.room <= 0 {
			return 0, errHead
		}
		p = p[:min(len(p), c.room)]
	} else if c.stop != nil {
		if now := time.Now(); c.stale(now, c.armed) {
			c.limitRead(now, c.up.o.IdleTimeout)
		}
	}
	for {
		n, err := c.rw.Read(p)
		if n > 0 {
			c.spoke = true
			if !c.inBody {
				c.room -= n
				if c.noting {
					c.head = append(c.head, p[:n]...)
				}
			}
		}
		if n > 0 || err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !c.goOn() {
			return n, err
		}
	}
}

// goOn tells whether a read that ran out of time has some left, and gives it that.
func (c *conn) goOn() bool {
	now := time.Now()
	limit, from := c.up.o.ResponseHeaderTimeout, c.began
	if c.inBody {
		limit, from = c.up.o.IdleTimeout, now
	}
	if c.stop == nil {
		c.watch()
	} else {
		if c.inBody {
			return false
		}
		if c.sending.Load() { // the answer is not due yet
			from = now
		} else if sent := c.sent.Load(); sent != 0 {
			from = time.Unix(0, sent)
		}
	}
	if limit < 0 {
		c.limitRead(now, limit)
		return true
	}
	left := from.Add(limit).Sub(now)
	if left <= 0 {
		return false
	}
	c.limitRead(now, left)
	return true
}

// Write implements io.Writer for the request.
func (c *conn) Write(p []byte) (n int, err error) {
	if c.stop != nil {
		if now := time.Now(); c.stale(now, c.written) {
			c.limitWrite(now)
		}
	}
	for {
		m, err := c.rw.Write(p[n:])
		n += m
		if err == nil || c.stop != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		c.watch()
		c.limitWrite(time.Now())
	}
}

func (c *conn) writeAll(p []byte) error {
	_, err := c.Write(p)
	return err
}

// young tells whether a kept connection may still be used by its times.
func (c *conn) young(now time.Time) bool {
	return now.Sub(c.idle) < c.up.o.KeepAlive && now.Sub(c.made) < c.up.o.MaxAge &&
		(c.expires.IsZero() || now.Before(c.expires))
}

// good tells whether a kept connection can have another request: its peer has neither
// closed it nor said anything, which would be taken for the answer.
func (c *conn) good(now time.Time) bool {
	if !c.young(now) || c.br.Buffered() > 0 {
		return false
	}
	if c.secure != nil && !c.drained() {
		return false
	}
	if c.sys == nil {
		return true
	}
	c.silent = false
	return c.sys.Control(c.look) == nil && c.silent
}

// drained tells whether a TLS connection has nothing decrypted that nobody has read. With
// its time over, a read gives what is there, and does not go to the socket.
func (c *conn) drained() bool {
	c.alarm = time.Time{}
	_ = c.raw.SetReadDeadline(time.Unix(1, 0))
	var b [1]byte
	n, err := c.secure.Read(b[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// finish ends a request. again tells that the connection can have another.
func (c *conn) finish(again bool) {
	if c.stop != nil && !c.stop() {
		again = false // it is being closed
	}
	if !again {
		c.close()
		return
	}
	// Nothing of a request stays with it.
	c.ctx, c.stop = nil, nil
	c.forget()
	if cap(c.head) > readBuffer {
		c.head = nil
	}
	if c.whole.Reset(); c.whole.Cap() > maxKept {
		c.whole = bytes.Buffer{}
	}
	c.idle = c.up.o.Now()
	c.up.put(c)
}

// close closes it. Closing the socket is enough: a TLS connection would wait to say so.
func (c *conn) close() {
	c.raw.Close()
	c.up.release()
	c.up.metrics.closed()
}
