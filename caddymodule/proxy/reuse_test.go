// Reuse: which connections get another request, and which requests another connection.

package proxy_test

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/caddymodule/proxy"
)

func TestConnectionsAreKept(t *testing.T) {
	u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
		for {
			if _, err := take(br); err != nil {
				return
			}
			say(conn, fine)
		}
	})
	f := newFront(t, proxy.Options{}, u.address)
	for i := range 20 {
		if i%2 == 0 {
			get(t, f)
		} else if status, body := post(t, f, strings.NewReader("hello")); status != 200 || body != "ok" {
			t.Fatal(status, body)
		}
	}
	if n := u.made.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestDeadConnection: the upstream closes each connection after an answer, without a word.
// A request that must not be sent twice never meets one.
func TestDeadConnection(t *testing.T) {
	closed := make(chan struct{}, 100)
	u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
		if _, err := take(br); err == nil {
			say(conn, fine)
			conn.Close()
			closed <- struct{}{}
		}
	})
	f := newFront(t, proxy.Options{}, u.address)
	for range 50 {
		if status, body := post(t, f, strings.NewReader("hello")); status != 200 || body != "ok" {
			t.Fatal(status, body)
		}
		wait(t, closed)
	}
}

// TestStrayBytes: what comes after an answer is not taken for the next one.
func TestStrayBytes(t *testing.T) {
	for name, late := range map[string]bool{"with the answer": false, "after it": true} {
		t.Run(name, func(t *testing.T) {
			strayed := make(chan struct{})
			u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
				if _, err := take(br); err != nil {
					return
				}
				const evil = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nevil"
				if !late {
					say(conn, fine+evil)
				} else {
					say(conn, fine)
					<-strayed
					say(conn, evil)
					strayed <- struct{}{}
				}
				_, _ = take(br)
			})
			f := newFront(t, proxy.Options{}, u.address)
			for range 5 {
				if status, body := get(t, f); status != 200 || body != "ok" {
					t.Fatal(status, body)
				}
				if late {
					strayed <- struct{}{}
					wait(t, strayed)
				}
			}
			if n := u.made.Load(); n != 5 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// TestReplay: a kept connection dies when it gets a request. A GET is sent again, and what
// may have been done is not.
func TestReplay(t *testing.T) {
	u := newRaw(t, func(n int, conn net.Conn, br *bufio.Reader) {
		for i := 0; ; i++ {
			if _, err := take(br); err != nil || n == 1 && i == 1 {
				return
			}
			say(conn, fine)
		}
	})
	f := newFront(t, proxy.Options{}, u.address)
	get(t, f)
	if status, body := get(t, f); status != 200 || body != "ok" || u.made.Load() != 2 {
		t.Errorf("%d %s, %d connections", status, body, u.made.Load())
	}
	for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodPut} {
		u := newRaw(t, func(n int, conn net.Conn, br *bufio.Reader) {
			for i := 0; ; i++ {
				if _, err := take(br); err != nil || i == 1 {
					return
				}
				say(conn, fine)
			}
		})
		f := newFront(t, proxy.Options{}, u.address)
		get(t, f)
		r, err := http.NewRequest(method, f.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadGateway || u.made.Load() != 1 {
			t.Errorf("%s: %d, %d connections", method, resp.StatusCode, u.made.Load())
		}
	}
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestTimesOfConnections(t *testing.T) {
	for name, tt := range map[string]struct {
		field  string
		passes time.Duration
		kept   bool
	}{
		"short":                       {"", time.Minute, true},
		"idle for long":               {"", 2 * time.Minute, false},
		"closed by the upstream soon": {"Keep-Alive: timeout=5, max=100\r\n", 4500 * time.Millisecond, false},
		"not yet":                     {"Keep-Alive: timeout=5\r\n", 3 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
				for {
					if _, err := take(br); err != nil {
						return
					}
					say(conn, "HTTP/1.1 200 OK\r\n"+tt.field+"Content-Length: 2\r\n\r\nok")
				}
			})
			c := &clock{now: time.Now()}
			f := newFront(t, proxy.Options{Now: c.time}, u.address)
			get(t, f)
			c.pass(tt.passes)
			get(t, f)
			if kept := u.made.Load() == 1; kept != tt.kept {
				t.Errorf("kept: %v", kept)
			}
		})
	}
	t.Run("old", func(t *testing.T) {
		u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
			for {
				if _, err := take(br); err != nil {
					return
				}
				say(conn, fine)
			}
		})
		c := &clock{now: time.Now()}
		f := newFront(t, proxy.Options{Now: c.time}, u.address)
		for range 16 {
			get(t, f)
			c.pass(time.Minute)
		}
		if n := u.made.Load(); n != 2 {
			t.Errorf("%d connections", n)
		}
	})
}

// TestBoundOfConnections: requests wait for a connection when there are as many as there
// may be, and are told so when none comes free.
func TestBoundOfConnections(t *testing.T) {
	hold := make(chan struct{})
	u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
		for {
			if _, err := take(br); err != nil {
				return
			}
			<-hold
			say(conn, fine)
		}
	})
	f := newFront(t, proxy.Options{MaxConns: 2, DialTimeout: 200 * time.Millisecond}, u.address)
	statuses := make(chan int, 10)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			status, _ := get(t, f)
			statuses <- status
		})
	}
	if status := wait(t, statuses); status != http.StatusServiceUnavailable {
		t.Errorf("the third: %d", status)
	}
	close(hold)
	all.Wait()
	for range 4 {
		all.Go(func() {
			if status, _ := get(t, f); status != http.StatusOK {
				t.Errorf("afterwards: %d", status)
			}
		})
	}
	all.Wait()
	if n := u.made.Load(); n > 2 {
		t.Errorf("%d connections", n)
	}
}
