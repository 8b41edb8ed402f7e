// What the tests share: a front door of net/http alone, and upstreams of sockets.

package proxy_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/caddymodule/proxy"
)

// limit bounds what a test waits for.
const limit = 10 * time.Second

// front is a server that proxies. ends has what Serve gave.
type front struct {
	*httptest.Server
	proxy *proxy.Proxy
	ends  chan error
}

// address is where it listens.
func (f *front) address() string { return f.Listener.Addr().String() }

func newFront(t *testing.T, o proxy.Options, upstreams ...string) *front {
	t.Helper()
	f := &front{proxy: proxy.New(o, upstreams), ends: make(chan error, 1000)}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		aborted := true
		defer func() {
			if aborted {
				f.ends <- http.ErrAbortHandler
			}
		}()
		err := f.proxy.Serve(w, r, &proxy.Exchange{Addresses: upstreams})
		aborted = false
		f.ends <- err
		var e *proxy.Error
		if errors.As(err, &e) && e.Status != proxy.StatusClientClosed {
			w.WriteHeader(e.Status)
		}
	}))
	t.Cleanup(func() { f.Close(); f.proxy.Close() })
	return f
}

// raw is an upstream that a test speaks for: each connection is served in turn.
type raw struct {
	address string
	made    atomic.Int64 // connections
}

func newRaw(t *testing.T, serve func(n int, conn net.Conn, br *bufio.Reader)) *raw {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &raw{address: l.Addr().String()}
	var all sync.WaitGroup
	var open sync.Map
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(conn, nil)
			n := int(u.made.Add(1))
			all.Go(func() {
				defer conn.Close()
				serve(n, conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
		all.Wait()
	})
	return u
}

// take reads a request with its body.
func take(br *bufio.Reader) (*http.Request, error) {
	r, err := http.ReadRequest(br)
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	return r, err
}

func say(conn net.Conn, text string) { _, _ = io.WriteString(conn, text) }

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// get gives status and body.
func get(t *testing.T, f *front) (int, string) {
	t.Helper()
	resp, err := http.Get(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func post(t *testing.T, f *front, body io.Reader) (int, string) {
	t.Helper()
	resp, err := http.Post(f.URL, "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(got)
}

// dial is a client's connection.
func dial(t *testing.T, f *front) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", f.address())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(limit))
	t.Cleanup(func() { conn.Close() })
	return conn, bufio.NewReader(conn)
}

// wait waits for what a test needs to have happened.
func wait[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(limit):
		t.Fatal("nothing has happened")
	}
	return v
}
