// A gate before a store: it lets requests through, loses answers, is silent, or is not there.

package certstore_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

type gate struct {
	*testing.T
	store    testkit.NamedStore
	address  string
	requests atomic.Int64 // that came, in whatever way
	forward  http.Handler

	mu     sync.Mutex
	server *http.Server
	closed chan struct{} // when that server has ended
	silent bool
	lose   func(*http.Request) bool // whose answers get lost; nil for none
	before func(*http.Request)      // called before a request goes on; nil for nothing
}

// newGate opens a gate before the shared PouchDB.
func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{T: t, store: testkit.PouchDBStore(t)}
	target, err := url.Parse(testkit.SharedPouchDB(t).URL())
	must(t, err)
	pool := &http.Transport{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = pool
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	g.forward = proxy
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	g.address = listener.Addr().String()
	g.serve(listener)
	t.Cleanup(func() {
		g.shut()
		pool.CloseIdleConnections()
	})
	return g
}

// db is the database of the test.
func (g *gate) db() string { return g.store.DB("certificates") }

// cluster is the store behind the gate.
func (g *gate) cluster() *couch.Cluster {
	return testkit.Cluster(g.T, couch.Config{URLs: []string{"http://" + g.address}})
}

func (g *gate) serve(listener net.Listener) {
	server := &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		_ = server.Serve(listener) // it ends with ErrServerClosed
		close(done)
	}()
	g.mu.Lock()
	g.server, g.closed = server, done
	g.mu.Unlock()
}

// shut makes the gate go: connections are refused.
func (g *gate) shut() {
	g.mu.Lock()
	server, done := g.server, g.closed
	g.server = nil
	g.mu.Unlock()
	if server != nil {
		_ = server.Close()
		<-done
	}
}

// reopen brings it back, at the same address.
func (g *gate) reopen() {
	g.Helper()
	var listener net.Listener
	wait(g.T, "the port is free", func() (err error) {
		listener, err = net.Listen("tcp", g.address)
		return err
	})
	g.serve(listener)
}

// silence makes the gate take requests and never answer.
func (g *gate) silence(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.silent = on
}

func (g *gate) losing(which func(*http.Request) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lose = which
}

func (g *gate) first(do func(*http.Request)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.before = do
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.requests.Add(1)
	g.mu.Lock()
	silent, lose, before := g.silent, g.lose, g.before
	g.mu.Unlock()
	if silent {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not watch the connection
		<-r.Context().Done()
		return
	}
	if before != nil {
		before(r)
	}
	if lose != nil && lose(r) {
		g.forward.ServeHTTP(discard{http.Header{}}, r)
		panic(http.ErrAbortHandler)
	}
	g.forward.ServeHTTP(w, r)
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// writes tells whether a request is one for a document of a kind, by PUT, DELETE or in bulk.
func writes(r *http.Request, kind string) bool {
	path, _ := url.PathUnescape(r.URL.EscapedPath())
	return (r.Method == http.MethodPut || r.Method == http.MethodDelete) && strings.Contains(path, "/"+kind+"/") ||
		kind == "bulk" && strings.HasSuffix(path, "/_bulk_docs")
}

// once is a condition that holds once.
func once(which func(*http.Request) bool) func(*http.Request) bool {
	var done atomic.Bool
	return func(r *http.Request) bool { return which(r) && done.CompareAndSwap(false, true) }
}
