// Uploads: bodies and answers that cross.

package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/caddymodule/proxy"
)

// TestAnswerBeforeTheBody: the upstream refuses a body that it has not read, and closes.
func TestAnswerBeforeTheBody(t *testing.T) {
	for name, closes := range map[string]bool{"and closes": true, "and reads on": false} {
		t.Run(name, func(t *testing.T) {
			u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
				r, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				say(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlong")
				if !closes {
					_, _ = io.Copy(io.Discard, r.Body)
				}
			})
			f := newFront(t, proxy.Options{}, u.address)
			status, body := post(t, f, bytes.NewReader(make([]byte, 32<<20)))
			if status != 413 || body != "long" {
				t.Errorf("%d %q", status, body)
			}
		})
	}
}

// TestClientThatWaits: the client sends its body only when it has seen the answer, or never.
// The rest of it is not taken for a request.
func TestClientThatWaits(t *testing.T) {
	u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		say(conn, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nfail")
		_, _ = io.Copy(io.Discard, br)
	})
	f := newFront(t, proxy.Options{}, u.address)
	for _, fields := range []string{"Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 100\r\nExpect: 100-continue\r\n"} {
		conn, br := dial(t, f)
		say(conn, "POST / HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n")
		var resp *http.Response
		for {
			var err error
			if resp, err = http.ReadResponse(br, nil); err != nil {
				t.Fatal(fields, err)
			}
			if resp.StatusCode >= 200 {
				break
			}
		}
		if body, err := io.ReadAll(resp.Body); resp.StatusCode != 401 || string(body) != "fail" || err != nil {
			t.Errorf("%d %q %v", resp.StatusCode, body, err)
		}
		if !resp.Close {
			t.Error("the connection is said to be kept")
		}
		say(conn, "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
		if more, err := http.ReadResponse(br, nil); err == nil {
			t.Errorf("%q: a second answer, %d", fields, more.StatusCode)
		}
		if err := wait(t, f.ends); err != nil {
			t.Error(err)
		}
	}
	if len(f.ends) > 0 {
		t.Error("a request was made of a body")
	}
}

// TestBothWays: the upstream answers with what it is sent, as it comes.
func TestBothWays(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(200)
		buf := make([]byte, 1024)
		for {
			n, err := r.Body.Read(buf)
			_, _ = w.Write(buf[:n])
			_ = http.NewResponseController(w).Flush()
			if err != nil {
				return
			}
		}
	}))
	defer up.Close()
	f := newFront(t, proxy.Options{}, up.Listener.Addr().String())
	conn, br := dial(t, f)
	say(conn, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		got := make([]byte, 5)
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != "hello" {
			t.Fatalf("%d: %q %v", i, got, err)
		}
		say(conn, "5\r\nhello\r\n")
	}
	say(conn, "0\r\n\r\n")
	if rest, err := io.ReadAll(resp.Body); string(rest) != "hello" || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	if err := wait(t, f.ends); err != nil {
		t.Error(err)
	}
}

// TestLongUploads come through whole, of a known length and not, also a slow one.
func TestLongUploads(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, h.Sum(nil), err)
	}))
	defer up.Close()
	f := newFront(t, proxy.Options{}, up.Listener.Addr().String())
	content := bytes.Repeat([]byte("gatehouse"), 3<<20/9)
	want := fmt.Sprintf("%d %x <nil>", len(content), sha256.Sum256(content))
	for name, body := range map[string]io.Reader{
		"known": bytes.NewReader(content), "unknown": io.MultiReader(bytes.NewReader(content)), "in odd pieces": odd{bytes.NewReader(content)},
	} {
		if status, got := post(t, f, body); status != 200 || got != want {
			t.Errorf("%s: %d %s", name, status, got)
		}
	}
}

// odd reads in pieces of odd lengths.
type odd struct{ r *bytes.Reader }

func (o odd) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1+o.r.Len()%7919)]) }

// TestSlowUpload: what has come is sent on at once, and a long upload does not count as
// a wait for the answer.
func TestSlowUpload(t *testing.T) {
	got := make(chan string, 10)
	u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		for {
			piece := make([]byte, 5)
			if _, err := io.ReadFull(r.Body, piece); err != nil {
				break
			}
			got <- string(piece)
		}
		say(conn, fine)
	})
	f := newFront(t, proxy.Options{ResponseHeaderTimeout: 150 * time.Millisecond}, u.address)
	for _, chunked := range []bool{false, true} {
		conn, br := dial(t, f)
		if chunked {
			say(conn, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
		} else {
			say(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 25\r\n\r\n")
		}
		for range 5 {
			if chunked {
				say(conn, "5\r\nhello\r\n")
			} else {
				say(conn, "hello")
			}
			wait(t, got)
			time.Sleep(60 * time.Millisecond) // in all more than the time limit
		}
		if chunked {
			say(conn, "0\r\n\r\n")
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
	}
}

// TestUploadThatEnds: a client that leaves in the middle, or sends what is no body, takes
// the upstream's connection with it.
func TestUploadThatEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		send   string
		leaves bool
		status int
	}{
		"leaves":           {"Content-Length: 100\r\n\r\nhello", true, proxy.StatusClientClosed},
		"leaves in chunks": {"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", true, proxy.StatusClientClosed},
		"no chunk":         {"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n", false, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
				_, err := take(br)
				ended <- err
			})
			f := newFront(t, proxy.Options{}, u.address)
			conn, br := dial(t, f)
			say(conn, "POST / HTTP/1.1\r\nHost: a\r\n"+tt.send)
			if tt.leaves {
				conn.Close()
			} else if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != tt.status || !resp.Close {
				t.Error(resp, err)
			}
			var e *proxy.Error
			if err := wait(t, f.ends); !errors.As(err, &e) || e.Status != tt.status {
				t.Errorf("%v", err)
			}
			if err := wait(t, ended); err == nil {
				t.Error("the upstream has got a whole request")
			}
		})
	}
}

// TestUnreadBody: a request whose upstream is not there is answered although its body
// is still coming.
func TestUnreadBody(t *testing.T) {
	u := newRaw(t, func(_ int, conn net.Conn, br *bufio.Reader) {
		_, _ = http.ReadRequest(br)
	})
	f := newFront(t, proxy.Options{}, u.address)
	conn, br := dial(t, f)
	say(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusBadGateway {
		t.Fatal(resp, err, wait(t, f.ends))
	}
	if !resp.Close {
		t.Error("the connection is said to be kept, with half a body in it")
	}
}
