// Several upstreams, and upstreams that speak TLS.

package proxy_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/caddymodule/proxy"
)

// named answers with its name; it counts its requests.
func named(t *testing.T, name string) *raw {
	return newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
		for {
			if _, err := take(br); err != nil {
				return
			}
			say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"+name)
		}
	})
}

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestOneIsDown: nobody notices, and it is asked last until its time has passed.
func TestOneIsDown(t *testing.T) {
	down, up := nobody(t), named(t, "a")
	c := &clock{now: time.Now()}
	f := newFront(t, proxy.Options{Now: c.time, Pick: func(int) int { return 1 }}, down, up.address)
	for range 10 {
		if status, body := post(t, f, strings.NewReader("x")); status != 200 || body != "a" {
			t.Fatal(status, body)
		}
	}
}

// TestAllAreDown: they are asked all the same, and it is said.
func TestAllAreDown(t *testing.T) {
	f := newFront(t, proxy.Options{}, nobody(t), nobody(t))
	for range 3 {
		if status, _ := get(t, f); status != http.StatusBadGateway {
			t.Error(status)
		}
	}
}

// TestFewest: a request goes to the upstream with the fewest requests.
func TestFewest(t *testing.T) {
	asked, hold := make(chan struct{}), make(chan struct{})
	slow := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
		if _, err := take(br); err == nil {
			asked <- struct{}{}
			<-hold
			say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns")
		}
	})
	quick := named(t, "q")
	f := newFront(t, proxy.Options{Pick: func(int) int { return 1 }}, slow.address, quick.address) // among equals the first
	var all sync.WaitGroup
	all.Go(func() { get(t, f) })
	wait(t, asked)
	for range 10 {
		if _, body := get(t, f); body != "q" {
			t.Error(body)
		}
	}
	close(hold)
	all.Wait()
}

func TestTLS(t *testing.T) {
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Proto+" "+r.Host+" "+string(body))
	}))
	up.EnableHTTP2 = true
	conns := make(chan net.Conn, 100)
	up.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns <- c
		}
	}
	up.StartTLS()
	defer up.Close()
	roots := up.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	f := newFront(t, proxy.Options{TLS: &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}}}, up.Listener.Addr().String())
	want := "HTTP/1.1 " + f.address() + " "
	for range 5 {
		if status, body := get(t, f); status != 200 || body != want {
			t.Fatal(status, body)
		}
		if status, body := post(t, f, strings.NewReader("hello")); status != 200 || body != want+"hello" {
			t.Fatal(status, body)
		}
	}
	if n := len(conns); n != 1 {
		t.Errorf("%d connections", n)
	}
	up.CloseClientConnections() // the next must notice
	if status, body := post(t, f, strings.NewReader("hello")); status != 200 || body != want+"hello" {
		t.Fatal(status, body)
	}
	stranger := newFront(t, proxy.Options{TLS: &tls.Config{NextProtos: []string{"http/1.1"}}}, up.Listener.Addr().String())
	if status, _ := get(t, stranger); status != http.StatusBadGateway {
		t.Errorf("a certificate of nobody's: %d", status)
	}
}

func TestUnixSocket(t *testing.T) {
	path := t.TempDir() + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	up := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "unix") })}
	go up.Serve(l)
	defer up.Close()
	f := newFront(t, proxy.Options{}, "unix/"+path)
	for range 3 {
		if status, body := get(t, f); status != 200 || body != "unix" {
			t.Fatal(status, body)
		}
	}
}
