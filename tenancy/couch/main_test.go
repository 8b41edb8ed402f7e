package couch_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// prompt is how long what must come at once may take on a busy machine.
const prompt = 10 * time.Second

// fake is a node whose answers a test decides.
type fake struct {
	*httptest.Server
	hits atomic.Int64
	mu   sync.Mutex
	do   http.HandlerFunc
}

func serve(t *testing.T, do http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{do: do}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.hits.Add(1)
		f.mu.Lock()
		do := f.do
		f.mu.Unlock()
		do(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// becomes changes what the node does.
func (f *fake) becomes(do http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.do = do
}

// saw checks the number of requests so far.
func (f *fake) saw(t *testing.T, want int64, what string) {
	t.Helper()
	if got := f.hits.Load(); got != want {
		t.Fatalf("%s: the node saw %d requests, want %d", what, got, want)
	}
}

// answer answers each request with one status and JSON.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// doc answers a Get, and a Put well enough.
var doc = answer(http.StatusOK, `{"_id":"a","_rev":"1-a","ok":true,"id":"a","rev":"1-a"}`)

// breaks takes the whole request and closes the connection without an answer.
func breaks(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// refused is the URL of a port that nothing listens on.
func refused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// hole accepts connections, and never answers. It counts them.
func hole(t *testing.T) (address string, accepted *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted = new(atomic.Int64)
	var conns []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			conns = append(conns, conn)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	return "http://" + l.Addr().String(), accepted
}

func open(t *testing.T, cfg couch.Config, urls ...string) *couch.Cluster {
	t.Helper()
	cfg.URLs = urls
	return testkit.Cluster(t, cfg)
}

// clock is a time that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now.IsZero() {
		c.now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return c.now
}

func (c *clock) pass(d time.Duration) {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now.Add(d)
}

// within fails the test where fn takes longer than what must come at once.
func within(t *testing.T, what string, fn func()) {
	t.Helper()
	begun := time.Now()
	fn()
	if took := time.Since(begun); took > prompt {
		t.Errorf("%s took %s", what, took)
	}
}
