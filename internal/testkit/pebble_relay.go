// Relay: what ACME clients talk to in place of Pebble; it counts their requests,
// injects answers and can be down.

package testkit

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// relay passes requests on to Pebble with the host that they name, from which
// Pebble makes all URLs of its answers, so that clients come back to the relay. It
// keeps its port while it is down: a port that was given back could be another's.
type relay struct {
	listener  net.Listener
	server    *http.Server
	transport *http.Transport
	log       *os.File
	running   sync.WaitGroup // the server, and requests under way

	mu      sync.Mutex
	down    bool
	closed  bool
	refused int
	open    map[net.Conn]struct{}
	counts  map[Endpoint]int
	fail    func(*http.Request) *http.Response
}

func newRelay(folder, address string, id identity, renewalRetryAfter time.Duration) (*relay, error) {
	logFile, err := os.Create(filepath.Join(folder, relayLog))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		_ = logFile.Close() // the other error says more
		return nil, err
	}
	r := &relay{
		listener:  listener,
		transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: id.trust}},
		log:       logFile,
		open:      make(map[net.Conn]struct{}),
		counts:    make(map[Endpoint]int),
	}
	said := log.New(logFile, "", log.Ltime|log.Lmicroseconds)
	target := &url.URL{Scheme: "https", Host: address}
	proxy := &httputil.ReverseProxy{
		Transport: r.transport,
		ErrorLog:  said,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host
		},
		ModifyResponse: func(resp *http.Response) error {
			if EndpointOf(resp.Request) == ACMERenewalInfo && renewalRetryAfter > 0 {
				resp.Header.Set("Retry-After", seconds(renewalRetryAfter))
			}
			said.Printf("%s %s: %s", resp.Request.Method, resp.Request.URL.Path, resp.Status)
			return nil
		},
	}
	r.server = &http.Server{
		Handler:   r.handler(proxy, said),
		ErrorLog:  said,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{id.cert}},
	}
	// Without HTTP/2, a request has a connection of its own, which Down cuts.
	r.server.Protocols = new(http.Protocols)
	r.server.Protocols.SetHTTP1(true)
	r.running.Go(func() { _ = r.server.ServeTLS(gate{r}, "", "") }) // it ends with ErrServerClosed
	return r, nil
}

func (r *relay) url() string { return "https://" + r.listener.Addr().String() }

func (r *relay) handler(proxy http.Handler, said *log.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		fail, ok := r.enter(EndpointOf(req))
		if !ok {
			panic(http.ErrAbortHandler)
		}
		defer r.running.Done()
		if fail != nil {
			// The function may read the body, and Pebble has to have it all.
			body, err := io.ReadAll(req.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			req.Body = io.NopCloser(bytes.NewReader(body))
			if resp := fail(req); resp != nil {
				said.Printf("%s %s: %d (injected)", req.Method, req.URL.Path, resp.StatusCode)
				inject(w, resp)
				return
			}
			req.Body = io.NopCloser(bytes.NewReader(body))
			// The function may have taken the CA down.
			if r.isDown() {
				panic(http.ErrAbortHandler)
			}
		}
		proxy.ServeHTTP(w, req)
	})
}

// enter counts a request, and tells whether it may go on.
func (r *relay) enter(e Endpoint) (fail func(*http.Request) *http.Response, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down || r.closed {
		return nil, false
	}
	r.running.Add(1)
	r.counts[e]++
	return r.fail, true
}

func (r *relay) isDown() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.down
}

// Count is how many requests there were to an endpoint, with those that Fail has
// answered and without those that came while the CA was down.
func (r *relay) Count(e Endpoint) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[e]
}

// Refused is how many connections were refused because the CA was down.
func (r *relay) Refused() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

// Fail has a function look at each request before Pebble does, concurrently. Where
// it returns an answer, the client gets that one, and Pebble hears nothing of it;
// with nil the request goes on. It may read the body, block until the request's
// context ends, and take the CA down. A nil function ends this.
func (r *relay) Fail(fn func(*http.Request) *http.Response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = fn
}

// Down lets the CA answer nothing: open connections are cut and new ones are
// refused with a reset. It forgets nothing. Of a request that is under way, Pebble
// may do the work, as with a real CA.
func (r *relay) Down() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = true
	for conn := range r.open {
		reset(conn)
	}
}

// Up lets the CA answer again.
func (r *relay) Up() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = false
}

// close ends the relay, and waits for requests under way.
func (r *relay) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	_ = r.server.Close() // the listener is closed either way
	r.running.Wait()
	r.transport.CloseIdleConnections()
	_ = r.log.Close()
}

// gate is the relay's listener: it lets connections in, or does not.
type gate struct{ *relay }

func (g gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return nil, err
		}
		if g.admit(conn) {
			return &admitted{Conn: conn, relay: g.relay}, nil
		}
	}
}

func (g gate) Close() error   { return g.listener.Close() }
func (g gate) Addr() net.Addr { return g.listener.Addr() }

func (r *relay) admit(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		r.refused++
		reset(conn)
		return false
	}
	r.open[conn] = struct{}{}
	return true
}

// admitted is a connection that Down cuts.
type admitted struct {
	net.Conn
	relay *relay
}

func (c *admitted) Close() error {
	c.relay.mu.Lock()
	delete(c.relay.open, c.Conn)
	c.relay.mu.Unlock()
	return c.Conn.Close()
}

// reset closes a connection as a crash of the other side would.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // else it is closed in order
	}
	_ = conn.Close()
}

// inject sends an answer that did not come from Pebble.
func inject(w http.ResponseWriter, resp *http.Response) {
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	if resp.Body != nil {
		defer resp.Body.Close()
		_, _ = io.Copy(w, resp.Body) // the client may be gone
	}
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }
