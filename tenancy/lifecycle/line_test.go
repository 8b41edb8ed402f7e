// Line: what lies between a front door and a server. Each test has names of its own
// on a shared server, though all use the same fixed ones, and requests can be lost.

package lifecycle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// line is a proxy that puts a prefix before the names of databases, and takes it
// away again, so that a test sees a server that is its own.
type line struct {
	prefix string
	server *httptest.Server
	hollow *hollow

	mu       sync.Mutex
	requests int
	seen     []string // method and path of each request
	judge    func(n int, r *http.Request) verdict
	kept     []func() // late requests
}

// keep is for a late request.
func (l *line) keep(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, do)
}

// land has the late requests done, and tells how many there were.
func (l *line) land() int {
	l.mu.Lock()
	kept := l.kept
	l.kept = nil
	l.mu.Unlock()
	for _, do := range kept {
		do()
	}
	return len(kept)
}

// verdict is what becomes of a request.
type verdict int

const (
	pass       verdict = iota
	lose               // the server never sees it
	loseAnswer         // the server does it, and nobody hears of that
	late               // nobody hears of it, and the server does it when land is called
)

// fails sets what becomes of the requests from now on; n counts them from 1.
func (l *line) fails(judge func(n int, r *http.Request) verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests, l.seen, l.judge = 0, nil, judge
}

// dies lets n requests through, and the next one half, where half is set: it is
// done, but its answer is lost. All others are lost.
func (l *line) dies(n int, half bool) {
	l.fails(func(i int, _ *http.Request) verdict {
		switch {
		case i <= n:
			return pass
		case half && i == n+1:
			return loseAnswer
		default:
			return lose
		}
	})
}

// sent are the requests since the last call of fails.
func (l *line) sent() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.seen...)
}

func pouchFleet(t testing.TB) *fleet {
	return serverFleet(t, testkit.PouchDBStore(t), testkit.SharedPouchDB(t).URL(), nil)
}

func couchFleet(t testing.TB) *fleet {
	store, _ := testkit.CouchDBStore(t)
	address, user, password, _ := testkit.CouchDB(t)
	return serverFleet(t, store, address, func() (string, string) { return user, password })
}

func serverFleet(t testing.TB, store testkit.NamedStore, address string, credentials func() (string, string)) *fleet {
	t.Helper()
	f := &fleet{kind: store.Kind, clock: newClock(), peers: new(peers), hollow: new(hollow)}
	f.line = func(t testing.TB) (*couch.Cluster, *line) {
		l := newLine(t, address, store.Prefix, f.hollow)
		return testkit.Cluster(t, couch.Config{URLs: []string{l.server.URL}, Credentials: credentials}), l
	}
	f.store, _ = f.line(t)
	return f
}

func newLine(t testing.TB, address, prefix string, hollow *hollow) *line {
	t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	// Shorter than a server lets a connection idle, which may end as it is used again.
	transport := &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 2 * time.Second}
	l := &line{prefix: prefix, hollow: hollow}
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			l.rename(r.Out)
		},
		ModifyResponse: l.unlist,
		// A client that gives up is part of many tests, and not worth a line of log.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	l.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// All of it, since a proxy that gets its answer before it has read the last byte
		// breaks off both.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		switch l.decide(r) {
		case lose:
			panic(http.ErrAbortHandler)
		case loseAnswer:
			r, w := r.WithContext(context.WithoutCancel(r.Context())), httptest.NewRecorder()
			if !l.hollow.serve(w, r) {
				proxy.ServeHTTP(w, r)
			}
			panic(http.ErrAbortHandler)
		case late:
			r := r.WithContext(context.WithoutCancel(r.Context()))
			l.keep(func() { proxy.ServeHTTP(httptest.NewRecorder(), r) })
			panic(http.ErrAbortHandler)
		}
		if !l.hollow.serve(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		l.server.Close()
		transport.CloseIdleConnections()
	})
	return l
}

// hangUp ends a line that is not used any more, before its test ends.
func (l *line) hangUp() {
	if l != nil && l.server != nil {
		l.server.Close()
	}
}

// decide counts a request and tells what becomes of it; all pass where there is no line.
func (l *line) decide(r *http.Request) verdict {
	if l == nil {
		return pass
	}
	l.mu.Lock()
	l.requests++
	n, judge := l.requests, l.judge
	l.seen = append(l.seen, r.Method+" "+r.URL.Path)
	l.mu.Unlock()
	if judge == nil {
		return pass
	}
	return judge(n, r)
}

// rename puts the prefix before the name of the database that a request is for.
func (l *line) rename(r *http.Request) {
	if r.URL.Path == "/_all_dbs" {
		q := r.URL.Query()
		for _, key := range []string{"startkey", "endkey"} {
			if name, err := strconv.Unquote(q.Get(key)); err == nil {
				q.Set(key, strconv.Quote(l.prefix+name))
			}
		}
		r.URL.RawQuery = q.Encode()
		return
	}
	escaped := "/" + l.prefix + strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if path, err := url.PathUnescape(escaped); err == nil {
		r.URL.Path, r.URL.RawPath = path, escaped
	}
}

// unlist takes the prefix away from a list of databases, and the others from it.
func (l *line) unlist(resp *http.Response) error {
	if resp.Request.URL.Path != "/_all_dbs" || resp.StatusCode != http.StatusOK {
		return nil
	}
	defer resp.Body.Close()
	var all []string
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		return err
	}
	own, err := l.hollow.list(resp.Request.Context())
	if err != nil {
		return err
	}
	for _, name := range all {
		if rest, ok := strings.CutPrefix(name, l.prefix); ok {
			own = append(own, rest)
		}
	}
	if own == nil {
		own = []string{}
	}
	raw, err := json.Marshal(own)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	resp.ContentLength = int64(len(raw))
	resp.Header.Set("Content-Length", strconv.Itoa(len(raw)))
	resp.Header.Del("Transfer-Encoding")
	return nil
}

// loseRenewals loses the answer to the second write of an operation, once.
func loseRenewals(losses *int) func(n int, r *http.Request) verdict {
	writes := 0
	return func(_ int, r *http.Request) verdict {
		if r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/gatehouse/operations/") {
			if writes++; writes == 2 {
				*losses++
				return loseAnswer
			}
		}
		return pass
	}
}
