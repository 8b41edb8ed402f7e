// Load: one slice of requests, from many connections.

package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"
)

// AppendHost appends the host of a tenant that is drawn at random.
type AppendHost func(dst []byte, random *rand.Rand) []byte

// Plan says what to send, and where.
type Plan struct {
	Address     string
	Roots       *x509.CertPool // TLS where it is not nil; then a connection is one tenant's
	HTTP2       bool
	Streams     int // requests at a time in a connection of HTTP/2; else 1
	Connections int
	Host        AppendHost
	Header      string        // further lines, each with \r\n
	Status      int           // of the answers; any other is an error
	Rate        float64       // requests a second of all connections; 0 is one after the other
	Duration    time.Duration // of the slice
}

// Result is what became of a slice.
type Result struct {
	Requests, Errors, Reconnects int64
	Elapsed                      time.Duration
	Latency                      Histogram
	FirstError                   error
}

// Run sends requests for the plan's duration. What cannot be sent at all is an error of Run;
// single failures are counted, and let the connection be made anew.
func Run(ctx context.Context, p Plan) (*Result, error) {
	work := http1
	if p.HTTP2 {
		work = http2Load
	}
	begin := time.Now()
	ctx, cancel := context.WithDeadline(ctx, begin.Add(p.Duration))
	defer cancel()
	results := make([]Result, p.Connections)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() {
			c := &client{plan: &p, begin: begin, random: rand.New(rand.NewPCG(rand.Uint64(), 1)), result: &results[i], timer: time.NewTimer(0)}
			defer c.timer.Stop()
			c.again(ctx, work)
		})
	}
	group.Wait()
	sum := &Result{Elapsed: time.Since(begin)}
	for i := range results {
		sum.add(&results[i])
	}
	if sum.Requests == 0 {
		return nil, fmt.Errorf("no request to %s was answered: %w", p.Address, sum.FirstError)
	}
	return sum, nil
}

func (r *Result) add(o *Result) {
	r.Requests += o.Requests
	r.Errors += o.Errors
	r.Reconnects += o.Reconnects
	r.Latency.Merge(&o.Latency)
	if r.FirstError == nil {
		r.FirstError = o.FirstError
	}
}

// client is one connection after the other of one goroutine.
type client struct {
	plan   *Plan
	begin  time.Time
	random *rand.Rand
	result *Result
	timer  *time.Timer
	turn   time.Time // of the next request, where there is a rate
}

// isReset tells whether the other side has dropped the connection.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// errClosed is a connection that the other side has closed between two requests, as it may.
var errClosed = errors.New("the connection was closed")

// again works on a connection, and on a new one where that has ended, until ctx ends.
func (c *client) again(ctx context.Context, work func(context.Context, *client, net.Conn, string) error) {
	for ctx.Err() == nil {
		host := string(c.plan.Host(nil, c.random))
		conn, err := c.dial(ctx, host)
		if err == nil {
			err = work(ctx, c, conn, host)
			_ = conn.Close() // nothing is left to be written
		}
		switch {
		case ctx.Err() != nil || errors.Is(err, errTime): // the slice is over
			return
		case errors.Is(err, errClosed):
			c.result.Reconnects++
		case err != nil:
			c.fail(err)
			select { // rather than fail as fast as can be
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

func (c *client) fail(err error) {
	c.result.Errors++
	if c.result.FirstError == nil {
		c.result.FirstError = err
	}
}

func (c *client) done(took time.Duration) {
	c.result.Requests++
	c.result.Latency.Add(took)
}

func (c *client) dial(ctx context.Context, host string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.plan.Address)
	if err != nil {
		return nil, err
	}
	if limit, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(limit) // it fails on a closed connection alone
	}
	if c.plan.Roots == nil {
		return conn, nil
	}
	protocol := "http/1.1"
	if c.plan.HTTP2 {
		protocol = "h2"
	}
	secure := tls.Client(conn, &tls.Config{ServerName: host, RootCAs: c.plan.Roots, NextProtos: []string{protocol}})
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the other error says more
		return nil, err
	}
	if got := secure.ConnectionState().NegotiatedProtocol; c.plan.HTTP2 && got != protocol {
		_ = conn.Close()
		return nil, fmt.Errorf("the server speaks %q and not HTTP/2", got)
	}
	return secure, nil
}
