// Nodes: the HTTP transport that knows every node of a cluster and goes round
// the dead ones. kivik has one URL a client.

package couch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Times of a node's back-off after a failure.
const (
	firstBackoff = time.Second
	maxBackoff   = 30 * time.Second
	// maxBody bounds what is kept of a request so that it can be sent to another
	// node; CouchDB's own default limit of a document is 8 MB.
	maxBody = 16 << 20
)

// node is one CouchDB node.
type node struct {
	url      *url.URL
	failures int
	until    time.Time // not to be tried before, unless all are down
}

// nodes is an http.RoundTripper over one cluster.
type nodes struct {
	calls http.RoundTripper // with a time limit for the answer's header
	feeds http.RoundTripper // for the changes feed, on connections of its own
	auth  func() (username, password string)
	now   func() time.Time

	mu   sync.Mutex
	list []*node
	cur  int
}

func newNodes(urls []*url.URL, cfg Config) *nodes {
	transport := func(header time.Duration) *http.Transport {
		return &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
			TLSHandshakeTimeout:   dialTimeout,
			ResponseHeaderTimeout: header,
			MaxConnsPerHost:       cfg.MaxConns,
			MaxIdleConnsPerHost:   cfg.MaxConns,
			IdleConnTimeout:       90 * time.Second,
			ForceAttemptHTTP2:     false,
		}
	}
	n := &nodes{
		calls: transport(cfg.CallTimeout),
		feeds: transport(0), // a longpoll may hold its header back; the context bounds it
		auth:  cfg.Credentials,
		now:   cfg.Now,
	}
	for _, u := range urls {
		n.list = append(n.list, &node{url: u})
	}
	return n
}

// RoundTrip sends the request to the first node that takes it. A request that
// no node has seen goes on to the next; one that a node may have seen does only
// where it changes nothing.
func (n *nodes) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := readBody(req)
	if err != nil {
		return nil, err
	}
	base, feed := n.calls, strings.HasSuffix(req.URL.Path, "/_changes")
	if feed {
		base = n.feeds
	}
	harmless := feed || req.Method == http.MethodGet || req.Method == http.MethodHead
	var last error
	for _, nd := range n.order() {
		out := n.aim(req, nd, body)
		resp, err := base.RoundTrip(out)
		if err == nil && (resp.StatusCode != http.StatusServiceUnavailable || len(n.list) == 1) {
			n.alive(nd)
			return resp, nil
		}
		if err == nil { // a node in maintenance mode has done nothing
			resp.Body.Close()
			n.failed(nd)
			last = fmt.Errorf("node %s answers 503", nd.url.Host)
			continue
		}
		if req.Context().Err() != nil { // the caller's limit says nothing of the node
			if errors.Is(req.Context().Err(), context.DeadlineExceeded) {
				n.failed(nd)
			}
			return nil, err
		}
		n.failed(nd)
		last = err
		if !harmless && !unsent(err) {
			return nil, err
		}
	}
	return nil, last
}

// aim makes the request for one node, with the credentials of now.
func (n *nodes) aim(req *http.Request, nd *node, body []byte) *http.Request {
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host, out.Host = nd.url.Scheme, nd.url.Host, ""
	if body != nil {
		out.Body = io.NopCloser(bytes.NewReader(body))
		out.ContentLength = int64(len(body))
		out.TransferEncoding = nil
	}
	if n.auth != nil {
		if user, password := n.auth(); user != "" || password != "" {
			out.SetBasicAuth(user, password)
		}
	}
	return out
}

// unsent tells whether the error means that no byte reached the node.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// readBody takes the whole body, since a node that fails must not have eaten it.
func readBody(req *http.Request) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	defer req.Body.Close()
	body, err := io.ReadAll(io.LimitReader(req.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("request of more than %d bytes", maxBody)
	}
	return body, nil
}

// order is the nodes to try: the present one, the other live ones, then those
// that failed lately, soonest due first.
func (n *nodes) order() []*node {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	live := make([]*node, 0, len(n.list))
	var dead []*node
	for i := range n.list {
		nd := n.list[(n.cur+i)%len(n.list)]
		if nd.until.After(now) {
			dead = append(dead, nd)
		} else {
			live = append(live, nd)
		}
	}
	return append(live, dead...)
}

func (n *nodes) alive(nd *node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	nd.failures, nd.until = 0, time.Time{}
	for i, other := range n.list {
		if other == nd {
			n.cur = i
		}
	}
}

func (n *nodes) failed(nd *node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	wait := min(firstBackoff<<min(nd.failures, 10), maxBackoff)
	nd.failures++
	nd.until = n.now().Add(wait)
}

func (n *nodes) close() {
	for _, rt := range []http.RoundTripper{n.calls, n.feeds} {
		if t, ok := rt.(*http.Transport); ok {
			t.CloseIdleConnections()
		}
	}
}

var _ http.RoundTripper = (*nodes)(nil)
