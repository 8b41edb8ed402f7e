// Times: clients that leave, upstreams that do not answer, and events as they come.

package proxy_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/caddymodule/proxy"
)

// TestClientLeaves: while the answer is awaited, and within it.
func TestClientLeaves(t *testing.T) {
	for name, begins := range map[string]string{
		"before the answer": "", "in a body": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", "in events": "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			asked, gone := make(chan struct{}, 1), make(chan struct{}, 1)
			u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
				if _, err := take(br); err != nil {
					return
				}
				say(conn, begins)
				asked <- struct{}{}
				_, _ = io.Copy(io.Discard, br)
				gone <- struct{}{}
			})
			f := newFront(t, proxy.Options{}, u.address)
			conn, _ := dial(t, f)
			say(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			wait(t, asked)
			conn.Close()
			wait(t, gone)
			var e *proxy.Error
			if err := wait(t, f.ends); begins == "" && (!errors.As(err, &e) || e.Status != proxy.StatusClientClosed) {
				t.Error(err)
			}
		})
	}
}

func TestTimeLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		begins string
		status int
	}{
		"no answer":       {"", http.StatusGatewayTimeout},
		"half a header":   {"HTTP/1.1 200 OK\r\nX-A:", http.StatusGatewayTimeout},
		"hints and then?": {"HTTP/1.1 103 Early Hints\r\n\r\n", http.StatusGatewayTimeout},
		"half a body":     {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", 0},
	} {
		for _, body := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
					if _, err := take(br); err != nil {
						return
					}
					say(conn, tt.begins)
					_, _ = io.Copy(io.Discard, br)
				})
				f := newFront(t, proxy.Options{ResponseHeaderTimeout: 150 * time.Millisecond, IdleTimeout: 150 * time.Millisecond}, u.address)
				conn, _ := dial(t, f)
				if body {
					say(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok")
				} else {
					say(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				}
				err := wait(t, f.ends)
				var e *proxy.Error
				if tt.status == 0 && err != http.ErrAbortHandler || tt.status != 0 && (!errors.As(err, &e) || e.Status != tt.status) {
					t.Error(err)
				}
			})
		}
	}
}

// TestAtOnce: each event reaches the client before there is another, and the header before
// there is any; also when an exchange takes longer than it is left alone.
func TestAtOnce(t *testing.T) {
	for name, header := range map[string]string{
		"events": "Content-Type: text/event-stream\r\nContent-Length: 100\r\n", "unknown length": "X-Up: 1\r\n", "incremental": "Incremental: ?1\r\nContent-Length: 100\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			next := make(chan string)
			u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
				if _, err := take(br); err != nil {
					return
				}
				say(conn, "HTTP/1.1 200 OK\r\n"+header+"\r\n")
				for event := range next {
					say(conn, event)
				}
			})
			f := newFront(t, proxy.Options{}, u.address)
			defer close(next)
			conn, br := dial(t, f)
			say(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 4 {
				time.Sleep(60 * time.Millisecond)
				next <- "data\n"
				got := make([]byte, 5)
				if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != "data\n" {
					t.Fatalf("%q %v", got, err)
				}
			}
		})
	}
}

// TestSlowReader: a client that reads slowly gets all of it, and holds no more than buffers.
func TestSlowReader(t *testing.T) {
	const length = 4 << 20
	u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
		if _, err := take(br); err == nil {
			say(conn, "HTTP/1.1 200 OK\r\n\r\n")
			_, _ = conn.Write(make([]byte, length))
		}
	})
	f := newFront(t, proxy.Options{IdleTimeout: 150 * time.Millisecond}, u.address)
	conn, br := dial(t, f)
	say(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	total := 0
	for total < length {
		if total == 0 {
			time.Sleep(400 * time.Millisecond) // longer than the upstream may be silent
		}
		n, err := resp.Body.Read(buf)
		total += n
		if err != nil && total < length {
			t.Fatal(total, err)
		}
	}
}
