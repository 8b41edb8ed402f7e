// Transport: the HTTP transport that sends a request to the node that answers,
// and goes round the dead ones. kivik has one URL a client.

package couch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/internal/feedctx"
)

const (
	// maxBody bounds what is kept of a request so that it can be sent to another
	// node; CouchDB's own default limit of a document is 8 MB.
	maxBody = 16 << 20
	// maxAnswer bounds what is kept of an answer: a page of the largest documents
	// that are met in practice, and no more than a process can bear.
	maxAnswer = 256 << 20
)

// transport is an http.RoundTripper over the nodes of one cluster. The whole of
// an answer is read here, but for feeds: so that a node that dies in the middle of
// it costs a read nothing but time, and every connection is used again.
type transport struct {
	*nodes
	calls  *http.Transport
	feeds  *http.Transport // connections of their own: a feed holds one for long
	auth   func() (username, password string)
	silent time.Duration // Config.NodeTimeout
}

func newTransport(n *nodes, cfg Config) *transport {
	pool := func() *http.Transport {
		dialer := &net.Dialer{
			Timeout: dialTimeout,
			// A host that is gone is noticed in 25 s by its silent connections, also
			// where no byte is due.
			KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
		}
		return &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         dialer.DialContext,
			TLSHandshakeTimeout: dialTimeout,
			MaxConnsPerHost:     cfg.MaxConns,
			MaxIdleConnsPerHost: cfg.MaxConns,
			IdleConnTimeout:     time.Minute,
			// A server that compresses holds back what a feed says until there is more.
			DisableCompression: true,
		}
	}
	return &transport{nodes: n, calls: pool(), feeds: pool(), auth: cfg.Credentials, silent: cfg.NodeTimeout}
}

// feedLimits goes with the context of a feed's request.
type feedLimits struct{ wait, grace time.Duration }

type feedKey struct{}

// statusError is a failure of the transport that is not the node's silence.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string   { return e.text }
func (e *statusError) HTTPStatus() int { return e.status } // kivik asks for it

// errSilent is a node that was silent for longer than it may.
var errSilent = errors.New("the node does not answer")

// RoundTrip sends the request to the first node that takes it. A request that
// no node has seen goes on to the next; one that a node may have seen does only
// where it reads.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := readBody(req)
	if err != nil {
		return nil, err
	}
	feed, isFeed := req.Context().Value(feedKey{}).(feedLimits)
	if isFeed {
		req = req.WithContext(feedctx.Of(req.Context()))
	}
	reads := isFeed || readsOnly(req)
	var last error
	order := t.order()
	for i, nd := range order {
		var limit time.Duration // of silence; 0 for what is left of the call
		switch {
		case isFeed:
			limit = feed.wait + feed.grace
		case i == len(order)-1:
		case reads:
			limit = t.silent
		default:
			limit = 2 * t.silent
		}
		a := attempt{transport: t, node: nd, limit: limit}
		if isFeed {
			a.feed = &feed
		}
		resp, err := a.do(req, body)
		if err == nil {
			if !busy(resp.StatusCode) {
				t.alive(nd)
				return resp, nil
			}
			t.failed(nd)
			if i == len(order)-1 || !reads && resp.StatusCode != http.StatusServiceUnavailable {
				return resp, nil
			}
			_ = resp.Body.Close() // nothing more is wanted of it
			last = &statusError{resp.StatusCode, fmt.Sprintf("node %s answers %d", nd.url.Host, resp.StatusCode)}
			continue
		}
		var refused *statusError
		if errors.As(err, &refused) {
			return nil, err
		}
		if ctxErr := req.Context().Err(); ctxErr != nil {
			// The caller's own limit says little of the node, but a node that never
			// answers in time must not be asked first for ever.
			if errors.Is(ctxErr, context.DeadlineExceeded) {
				t.failed(nd)
			}
			return nil, err
		}
		t.failed(nd)
		last = err
		if !reads && a.connected.Load() {
			return nil, err
		}
	}
	return nil, last
}

// busy tells whether another node may do better: a proxy without its CouchDB, or
// one that is going down. A 503 has done nothing; the others may have.
func busy(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// readsOnly tells whether the request changes nothing, whatever its method:
// questions with many keys are POSTs.
func readsOnly(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodPost:
		path := req.URL.Path
		return strings.HasSuffix(path, "/_all_docs") || strings.HasSuffix(path, "/_find") ||
			strings.HasSuffix(path, "/_changes") || strings.Contains(path, "/_view/")
	}
	return false
}

// attempt is one request to one node.
type attempt struct {
	*transport
	node      *node
	limit     time.Duration
	feed      *feedLimits // nil for a call
	connected atomic.Bool // from then on the node may have seen the request
}

func (a *attempt) do(req *http.Request, body []byte) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { a.connected.Store(true) },
	})
	watched := &watched{cancel: cancel, limit: a.limit, feed: a.feed}
	stop := watched.start()
	pool := a.calls
	if a.feed != nil {
		pool = a.feeds
	}
	resp, err := pool.RoundTrip(a.aim(req.WithContext(ctx), body))
	stop()
	if err != nil {
		err = watched.cause(ctx, err)
		cancel(nil)
		return nil, err
	}
	// The transport's own request bears the credentials, and kivik keeps the
	// response in its errors.
	resp.Request = req
	watched.body = resp.Body
	if resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.StatusCode != http.StatusNotModified {
		_ = watched.Close()
		return nil, &statusError{http.StatusBadGateway, fmt.Sprintf("node %s sends elsewhere (%d), which CouchDB does not, and which is not followed", a.node.url.Host, resp.StatusCode)}
	}
	if a.feed != nil && resp.StatusCode < 300 {
		watched.ctx = ctx
		resp.Body = watched
		return resp, nil
	}
	watched.ctx, watched.feed = ctx, nil
	answer, err := io.ReadAll(io.LimitReader(watched, maxAnswer+1))
	_ = watched.Close() // it is read to its end, or not wanted
	if err != nil {
		return nil, err
	}
	if len(answer) > maxAnswer {
		return nil, &statusError{http.StatusBadGateway, fmt.Sprintf("an answer of more than %d bytes", maxAnswer)}
	}
	strongTag(resp, answer)
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	if req.Method != http.MethodHead {
		resp.ContentLength = int64(len(answer))
	}
	return resp, nil
}

// aim makes the request for one node, with the credentials of now. The path of
// the node's URL is put in here: kivik, given it, forgets to escape the slash in
// a database's name.
func (a *attempt) aim(req *http.Request, body []byte) *http.Request {
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host, out.Host = a.node.url.Scheme, a.node.url.Host, ""
	// A plus sign is a space to CouchDB, in paths as well, and kivik leaves it in
	// the name of a database.
	escaped := strings.ReplaceAll(out.URL.EscapedPath(), "+", "%2B")
	base := a.node.url
	out.URL.Path, out.URL.RawPath = base.Path+out.URL.Path, base.EscapedPath()+escaped
	out.Body, out.GetBody = nil, nil
	if body != nil {
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		out.Body, _ = out.GetBody()
		out.ContentLength = int64(len(body))
		out.TransferEncoding = nil
	}
	if a.auth != nil {
		if user, password := a.auth(); user != "" || password != "" {
			out.SetBasicAuth(user, password)
		}
	}
	return out
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
		return nil, &statusError{http.StatusRequestEntityTooLarge, fmt.Sprintf("request of more than %d bytes", maxBody)}
	}
	return body, nil
}

// strongTag sees to the ETag, which kivik takes for the revision of what was read
// or deleted. A weak one is none: it is the mark of a web framework, or of a proxy
// that has changed the answer.
func strongTag(resp *http.Response, answer []byte) {
	if !strings.HasPrefix(resp.Header.Get("ETag"), "W/") {
		return
	}
	resp.Header.Del("ETag")
	var written struct {
		OK  bool   `json:"ok"`
		Rev string `json:"rev"`
	}
	// What is read says its revision itself; kivik finds it there.
	if json.Unmarshal(answer, &written) == nil && written.OK && written.Rev != "" {
		resp.Header.Set("ETag", strconv.Quote(written.Rev))
	}
}

func (t *transport) close() {
	t.calls.CloseIdleConnections()
	t.feeds.CloseIdleConnections()
}

var _ http.RoundTripper = (*transport)(nil)
