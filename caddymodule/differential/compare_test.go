// Compare: a case through both doors.

package differential

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// pause separates segments, in what is sent and in answers.
const pause = "\x00"

// testcase is a request and its answer.
type testcase struct {
	name    string
	send    string // with its case's header, and pauses
	answer  string
	early   bool // it is answered before the body is read
	closes  bool // the upstream closes after the answer
	trusted bool
	differs string // why the doors do not do the same; empty: they do
}

// limit bounds what one exchange takes.
const limit = 20 * time.Second

// TestDifferential sends every case through both doors.
func TestDifferential(t *testing.T) {
	cases := allCases()
	upstream := newScripted(t, cases)
	addresses := run(t, upstream.address, false)
	t.Logf("%d cases", len(cases))
	listed := map[string]bool{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			was := through(t, upstream, addresses[door(stock, c.trusted)], c)
			is := through(t, upstream, addresses[door(own, c.trusted)], c)
			switch {
			case was == is && c.differs != "":
				t.Errorf("is said to differ (%s), and does not:\n%s", c.differs, is)
			case was != is && c.differs == "":
				t.Errorf("through reverse_proxy:\n%s\nthrough ours:\n%s\nsent:\n%.600s", was, is, c.send)
			case was != is && testing.Verbose() && os.Getenv("GATEHOUSE_SHOW") != "":
				t.Logf("(%s)\nthrough reverse_proxy:\n%s\nthrough ours:\n%s", c.differs, was, is)
			}
			if c.differs != "" {
				listed[c.differs] = true
			}
		})
	}
	content, err := os.ReadFile("../../docs/proxy.md")
	if err != nil {
		t.Fatal(err)
	}
	for why := range listed {
		if !strings.Contains(string(content), why) {
			t.Errorf("docs/proxy.md does not say: %s", why)
		}
	}
}

// through is what upstream and client see.
func through(t *testing.T, upstream *scripted, address string, c *testcase) string {
	t.Helper()
	client := ask(t, address, c.send)
	var b strings.Builder
	for {
		select {
		case s := <-upstream.seen:
			b.WriteString("upstream: " + s)
			continue
		default:
		}
		break
	}
	if !strings.Contains(c.answer, "Content-Type") && !strings.Contains(strings.ToLower(c.answer), "content-length") {
		// Whether reverse_proxy has net/http guess the type of what it flushes at once is up
		// to which of two goroutines is first.
		client = strings.Replace(client, "Content-Type: text/plain; charset=utf-8\n", "", 1)
	}
	return b.String() + "client: " + client
}

// ask sends bytes and says what comes back.
func ask(t *testing.T, address, send string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(limit))
	go func() {
		for i, part := range strings.Split(send, pause) {
			if i > 0 {
				time.Sleep(10 * time.Millisecond)
			}
			if _, err := io.WriteString(conn, part); err != nil {
				return
			}
		}
	}()
	var b strings.Builder
	method, _, _ := strings.Cut(send, " ")
	br := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			fmt.Fprintf(&b, "no answer: %v\n", kind(err))
			return b.String()
		}
		fmt.Fprintf(&b, "%s %d\n", resp.Proto, resp.StatusCode)
		writeHeader(&b, "", resp.Header)
		if resp.StatusCode < 200 {
			continue
		}
		body, err := io.ReadAll(resp.Body)
		fmt.Fprintf(&b, "length %d, coding %v, close %v, body %s, %v\n", resp.ContentLength, resp.TransferEncoding, resp.Close, digest(body), kind(err))
		writeHeader(&b, "trailer ", resp.Trailer)
		return b.String()
	}
}

// kind is an error without what differs from run to run.
func kind(err error) string {
	var network net.Error
	switch {
	case err == nil:
		return "whole"
	case errors.As(err, &network) && network.Timeout():
		return "timed out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "cut off"
	case strings.Contains(err.Error(), "reset"):
		return "cut off"
	}
	return err.Error()
}
