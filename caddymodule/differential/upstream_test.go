// Upstream: a server that says what a case has it say, byte by byte, and notes what it was
// asked.

package differential

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// caseHeader says which case a request is of.
const caseHeader = "X-Case"

// scripted is the upstream. Each request is noted once.
type scripted struct {
	address string
	mu      sync.Mutex
	cases   map[string]*testcase
	seen    chan string
}

func newScripted(t *testing.T, cases []*testcase) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{address: l.Addr().String(), cases: map[string]*testcase{}, seen: make(chan string, 8)}
	for _, c := range cases {
		s.cases[c.name] = c
	}
	var all sync.WaitGroup
	var open sync.Map
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(conn, nil)
			all.Go(func() {
				defer conn.Close()
				s.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
		all.Wait()
	})
	return s
}

func (s *scripted) serve(conn net.Conn) {
	br := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		s.mu.Lock()
		c := s.cases[r.Header.Get(caseHeader)]
		s.mu.Unlock()
		if c == nil {
			return
		}
		if c.early {
			_, _ = io.WriteString(conn, c.answer)
			s.seen <- "answered early"
			if c.closes {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			continue
		}
		s.seen <- saw(r)
		for i, part := range strings.Split(c.answer, pause) {
			if i > 0 {
				time.Sleep(10 * time.Millisecond) // so that it is a segment of its own, mostly
			}
			if _, err := io.WriteString(conn, part); err != nil {
				return
			}
		}
		if c.closes {
			return
		}
	}
}

// saw says what a request was, with its fields in order.
func saw(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\nHost: %s\n", r.Method, r.RequestURI, r.Proto, r.Host)
	body, err := io.ReadAll(r.Body)
	writeHeader(&b, "", r.Header)
	fmt.Fprintf(&b, "length %d, coding %v, body %s, %v\n", r.ContentLength, r.TransferEncoding, digest(body), err)
	writeHeader(&b, "trailer ", r.Trailer)
	return b.String()
}

func digest(body []byte) string {
	if len(body) < 64 {
		return fmt.Sprintf("%q", body)
	}
	return fmt.Sprintf("%d bytes %x", len(body), sha256.Sum256(body))[:40]
}

func writeHeader(b *strings.Builder, prefix string, header http.Header) {
	var lines []string
	for name, values := range header {
		for _, value := range values {
			if name != "Date" {
				lines = append(lines, fmt.Sprintf("%s%s: %s\n", prefix, name, value))
			}
		}
		if len(values) == 0 {
			lines = append(lines, fmt.Sprintf("%s%s without values\n", prefix, name))
		}
	}
	slices.Sort(lines) // values of one field, too: their order is asserted elsewhere
	for _, line := range lines {
		b.WriteString(line)
	}
}
