// HTTP/1: one request after the other on a connection.

package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
)

// errTime is the end of the slice, met while an answer was awaited.
var errTime = errors.New("the time is over")

// answerLimit bounds the head of an answer.
const answerLimit = 16 << 10

func http1(ctx context.Context, c *client, conn net.Conn, host string) error {
	a := answers{conn: conn, buf: make([]byte, answerLimit)}
	var request []byte
	fixed := c.plan.Roots != nil // the tenant is the connection's
	for {
		due, err := c.wait(ctx)
		if err != nil {
			return err
		}
		request = append(request[:0], "GET /hello HTTP/1.1\r\nHost: "...)
		if fixed {
			request = append(request, host...)
		} else {
			request = c.plan.Host(request, c.random)
		}
		request = append(request, "\r\nUser-Agent: bench\r\nAccept: text/html\r\n"...)
		request = append(request, c.plan.Header...)
		request = append(request, "\r\n"...)
		if _, err := conn.Write(request); err != nil {
			return gone(err)
		}
		status, closes, err := a.next()
		if err != nil {
			return err
		}
		if status != c.plan.Status {
			c.fail(fmt.Errorf("status %d and not %d for %q", status, c.plan.Status, request))
		} else {
			c.done(time.Since(due))
		}
		if closes {
			return errClosed
		}
	}
}

// wait is until the next request is due, and gives the time from which it is measured.
// With a rate, each connection has its turns at fixed times. One that is late for its turn,
// because the answer before took long, counts that: a server that stands still must not hide
// it by being asked less (coordinated omission). What the timer is late is not the server's.
func (c *client) wait(ctx context.Context) (time.Time, error) {
	now := time.Now()
	if c.plan.Rate <= 0 {
		if ctx.Err() != nil {
			return now, errTime
		}
		return now, nil
	}
	if c.turn.IsZero() {
		c.turn = c.begin.Add(time.Duration(c.random.Float64() * float64(c.interval())))
	}
	due := c.turn
	c.turn = due.Add(c.interval())
	left := due.Sub(now)
	if left <= 0 {
		if ctx.Err() != nil {
			return now, errTime
		}
		return due, nil
	}
	c.timer.Reset(left)
	select {
	case <-c.timer.C:
		return time.Now(), nil
	case <-ctx.Done():
		return now, errTime
	}
}

func (c *client) interval() time.Duration {
	return time.Duration(float64(c.plan.Connections) / c.plan.Rate * float64(time.Second))
}

// answers reads the answers of one connection.
type answers struct {
	conn net.Conn
	buf  []byte
	have int // bytes of buf that have been read and not used
}

// next reads one answer, and drops its body.
func (a *answers) next() (status int, closes bool, err error) {
	end := -1
	for {
		if end = bytes.Index(a.buf[:a.have], []byte("\r\n\r\n")); end >= 0 {
			break
		}
		if a.have == len(a.buf) {
			return 0, false, errors.New("the head of an answer is too long")
		}
		n, err := a.conn.Read(a.buf[a.have:])
		if a.have += n; n == 0 && err != nil {
			if a.have > 0 {
				return 0, false, fmt.Errorf("in an answer's head: %w", err)
			}
			return 0, false, gone(err)
		}
	}
	head := a.buf[:end+2]
	if status, err = strconv.Atoi(string(head[9:12])); err != nil {
		return 0, false, fmt.Errorf("not an answer: %w", err)
	}
	length := header(head, "content-length")
	if length == nil {
		return 0, false, fmt.Errorf("an answer without a Content-Length: %q", head)
	}
	body, err := strconv.Atoi(string(length))
	if err != nil {
		return 0, false, err
	}
	closes = bytes.EqualFold(header(head, "connection"), []byte("close"))
	return status, closes, a.drop(end + 4 + body)
}

// drop takes n bytes, of which some may not have come yet.
func (a *answers) drop(n int) error {
	for n > a.have {
		n -= a.have
		var err error
		if a.have, err = a.conn.Read(a.buf); err != nil && a.have == 0 {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return errTime
			}
			return fmt.Errorf("in an answer's body: %w", err)
		}
	}
	copy(a.buf, a.buf[n:a.have])
	a.have -= n
	return nil
}

// header is the value of a field; name is in lower case.
func header(head []byte, name string) []byte {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name)+1:])
		}
	}
	return nil
}

// gone tells the end of a connection between two requests from an error.
func gone(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errTime
	case errors.Is(err, io.EOF), isReset(err):
		return errClosed
	default:
		return err
	}
}
