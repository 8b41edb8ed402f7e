// Proxy: the package's door, and the way of a request with its attempts.

// Package proxy sends requests to HTTP/1.1 upstreams, each on the goroutine that it came
// on, over connections that are kept. It does the plain case; Takes tells which that is.
// Messages are parsed and written by net/http, so that one framing is known on both sides.
// It knows nothing of instances, and of Caddy only what an incremental message is.
//
// To follow a request, read Proxy.Serve, then Proxy.exchange.
package proxy

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
)

// Options are what a Proxy is made of. Zero values are the defaults.
type Options struct {
	// TLS is how upstreams are spoken to, with ALPN set to http/1.1; without a ServerName it is the
	// address's host. Nil: in clear text.
	TLS *tls.Config

	// DialTimeout bounds a connection's making, its handshake included. Default: 3 s, as
	// reverse_proxy.
	DialTimeout time.Duration
	// ResponseHeaderTimeout bounds the time from the end of the request to that of the
	// answer's header. Default: 5 min; negative: none.
	ResponseHeaderTimeout time.Duration
	// IdleTimeout bounds the time in which no byte of a body moves between the upstream
	// and here. Default: 10 min; negative: none.
	IdleTimeout time.Duration

	// KeepAlive is how long a connection without a request is kept. Default: 2 min;
	// an upstream's own Keep-Alive header shortens it.
	KeepAlive time.Duration
	// MaxAge is how old a connection gets, so that a name is looked up again. Default: 15 min.
	MaxAge time.Duration
	// MaxIdle is how many connections without a request one upstream has. Default: 128.
	MaxIdle int
	// MaxConns is how many connections one upstream has in all. Default: 4096. As many
	// requests again wait for one, DialTimeout long.
	MaxConns int

	// FailDuration is how long a failure counts, and MaxFails how many make an upstream
	// one that is asked last. Defaults: 10 s and 1.
	FailDuration time.Duration
	MaxFails     int

	// Metrics may be nil.
	Metrics *Metrics
	// Now is the clock of the pool and of health. Default: time.Now.
	Now func() time.Time
	// Pick is a random number from 0 to n-1, for a choice between equals. Default: math/rand/v2.
	Pick func(n int) int
}

// Exchange is one request. It belongs to it, as the values that Serve leaves in it do.
type Exchange struct {
	// Addresses are those of the upstreams, each one that New was given.
	Addresses []string
	// Trusted says that the client may say on whose behalf it comes, by X-Forwarded-*.
	Trusted bool
	// Header is set on the request to the upstream; names are canonical.
	Header []Field

	Upstream string        // the address that was asked last
	Retries  int           // how often again
	Began    time.Time     // when Serve was called
	Latency  time.Duration // from Began to the answer's header; 0 without an answer
	Status   int           // the upstream's; 0 without an answer
	Answer   http.Header   // the upstream's header
	Broken   error         // why the answer could not be finished; Serve has panicked then
}

// Field is a line of a header.
type Field struct{ Name, Value string }

// Error tells why there is no answer of an upstream. The client has got nothing yet.
type Error struct {
	// Status is 502, 503 (too many requests wait), 504, 499 for a client that has gone, or that
	// of a client's body that cannot be read: 400 or 408.
	Status   int
	Upstream string
	Err      error
}

func (e *Error) Error() string {
	if e.Upstream == "" {
		return e.Err.Error()
	}
	return "upstream " + e.Upstream + ": " + e.Err.Error()
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// StatusClientClosed is for the log of a request whose client did not wait; nginx's.
const StatusClientClosed = 499

// Proxy has the connections and the health of upstreams. It is safe for concurrent use.
type Proxy struct {
	o         Options
	upstreams map[string]*upstream
}

// New makes a Proxy for addresses: host:port, or unix//path. It opens nothing.
func New(o Options, addresses []string) *Proxy {
	o.defaults()
	p := &Proxy{o: o, upstreams: make(map[string]*upstream, len(addresses))}
	for _, a := range addresses {
		if p.upstreams[a] == nil {
			p.upstreams[a] = newUpstream(&p.o, a)
		}
	}
	return p
}

// Close closes the connections that no request has, and those that have one when it ends.
func (p *Proxy) Close() {
	for _, u := range p.upstreams {
		u.shut()
	}
}

// Serve sends a request to an upstream and its answer to the client. It panics with
// http.ErrAbortHandler where an answer that has begun cannot be finished, so that the
// client sees that it is not whole. The error is an *Error.
func (p *Proxy) Serve(w http.ResponseWriter, r *http.Request, x *Exchange) error {
	x.Began = time.Now()
	if strings.IndexByte(r.URL.RawQuery, ' ') >= 0 {
		// HTTP/2 can carry it. In a request line, what follows would be the version.
		return &Error{Status: http.StatusBadRequest, Err: errors.New("the target has a space in it")}
	}
	var tried []*upstream
	fresh := false
	for {
		u := p.choose(x.Addresses, tried)
		if u == nil {
			return &Error{Status: http.StatusBadGateway, Err: errNoUpstream}
		}
		x.Upstream = u.address
		again, err := p.attempt(w, r, x, u, fresh)
		if err == nil {
			return nil
		}
		if again == no || x.Retries >= maxRetries {
			return p.failure(x, err)
		}
		if again == elsewhere {
			tried = append(tried, u)
			if p.choose(x.Addresses, tried) == nil {
				return p.failure(x, err)
			}
		}
		fresh = again == afresh
		x.Retries++
		p.o.Metrics.retried(x.Upstream)
	}
}

// maxRetries bounds the attempts of one request.
const maxRetries = 3

// retry is what may be done about a failure.
type retry int

const (
	no        retry = iota
	afresh          // a kept connection died before it said anything: the same upstream, by a new one
	elsewhere       // nothing was done yet, or may be done twice: another upstream
)

func (p *Proxy) attempt(w http.ResponseWriter, r *http.Request, x *Exchange, u *upstream, fresh bool) (retry, error) {
	u.active.Add(1)
	defer u.active.Add(-1)
	c, err := u.get(r.Context(), fresh)
	if err != nil {
		if r.Context().Err() != nil {
			return no, errGone
		}
		if !errors.Is(err, errBusy) {
			u.failed()
		}
		return elsewhere, err // the request has not been touched
	}
	ended := false
	defer func() {
		if !ended { // a handler around us has panicked
			c.finish(false)
		}
	}()
	err = p.exchange(w, r, x, c)
	ended = true
	if err == nil {
		return no, nil
	}
	if err == errAborted {
		p.o.Metrics.broken(x.Upstream)
		panic(http.ErrAbortHandler)
	}
	kept := c.uses > 1
	c.finish(false)
	var body *bodyError
	if errors.As(err, &body) || err == errGone {
		return no, err // it is the client's
	}
	switch {
	case kept && !c.spoke: // it was about to be closed, which says nothing of the upstream
		if replayable(r) && !timedOut(err) {
			return afresh, err
		}
		if timedOut(err) {
			u.failed()
		}
		return no, err
	case c.spoke || !replayable(r):
		u.failed()
		return no, err
	case timedOut(err):
		u.failed()
		return no, err
	default:
		u.failed()
		return elsewhere, err
	}
}

// replayable tells whether a request may be sent twice: RFC 9110, section 9.2.2, of which
// net/http's transport takes the safe methods and those whose client says so.
func replayable(r *http.Request) bool {
	if r.ContentLength != 0 {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	_, ok := r.Header["Idempotency-Key"]
	if !ok {
		_, ok = r.Header["X-Idempotency-Key"]
	}
	return ok
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// failure is what an error says to the client.
func (p *Proxy) failure(x *Exchange, err error) error {
	e := &Error{Status: http.StatusBadGateway, Upstream: x.Upstream, Err: err}
	var body *bodyError
	switch {
	case err == errGone:
		e.Status, e.Upstream = StatusClientClosed, ""
	case errors.As(err, &body):
		e.Status, e.Upstream = body.status(), ""
	case errors.Is(err, errBusy):
		e.Status = http.StatusServiceUnavailable
	case timedOut(err):
		e.Status = http.StatusGatewayTimeout
	}
	p.o.Metrics.failed(x.Upstream, e.Status)
	return e
}

// errGone: the client has not waited.
var errGone = errors.New("the client has left")

var errNoUpstream = errors.New("there is no upstream")
