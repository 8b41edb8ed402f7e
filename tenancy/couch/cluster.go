// Cluster: opening one, and its databases.

package couch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-kivik/kivik/v4"
	"github.com/go-kivik/kivik/v4/couchdb"
)

// Cluster is one CouchDB cluster, or the embedded store. It is safe for
// concurrent use, and opens no connection before its first call.
type Cluster struct {
	name    string
	client  *kivik.Client
	nodes   *nodes // nil for the embedded store
	timeout time.Duration
	calls   atomic.Int64
}

// Open makes a client of a CouchDB cluster. It does not connect: a cluster that
// is down, or not there yet, is an error of each call, not of Open.
func Open(cfg Config) (*Cluster, error) {
	urls, err := ParseURLs(cfg.URLs)
	if err != nil {
		return nil, err
	}
	if cfg.CallTimeout <= 0 {
		cfg.CallTimeout = DefaultCallTimeout
	}
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = DefaultMaxConns
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	nodes := newNodes(urls, cfg)
	client, err := kivik.New("couch", urls[0].String(),
		couchdb.OptionHTTPClient(&http.Client{
			Transport: nodes,
			// CouchDB does not redirect, and credentials must not follow one elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
		couchdb.OptionNoRequestCompression(),
		couchdb.OptionUserAgent("gatehouse"))
	if err != nil {
		return nil, fmt.Errorf("making a client of CouchDB: %w", err)
	}
	return &Cluster{name: Key(cfg.URLs), client: client, nodes: nodes, timeout: cfg.CallTimeout}, nil
}

// Wrap makes a Cluster of a ready kivik client, as of the embedded store. The
// name is for people.
func Wrap(name string, client *kivik.Client) *Cluster {
	return &Cluster{name: name, client: client, timeout: DefaultCallTimeout}
}

// Name is where the cluster is, without credentials.
func (c *Cluster) Name() string { return c.name }

// Calls is the number of calls made so far, each one request.
func (c *Cluster) Calls() int64 { return c.calls.Load() }

// Close lets connections go. Calls under way end by themselves.
func (c *Cluster) Close() error {
	err := c.client.Close()
	if c.nodes != nil {
		c.nodes.close()
	}
	return err
}

// limit bounds one call in time and counts it.
func (c *Cluster) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	c.calls.Add(1)
	return context.WithTimeout(ctx, c.timeout)
}

// CreateDB makes a database. One that exists already is success; created tells.
func (c *Cluster) CreateDB(ctx context.Context, db string) (created bool, err error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	err = c.client.CreateDB(ctx, db)
	if err != nil && kivik.HTTPStatus(err) == http.StatusPreconditionFailed {
		return false, nil
	}
	return err == nil, wrap("create database", db, "", err)
}

// DestroyDB drops a database. One that is not there is success; existed tells.
func (c *Cluster) DestroyDB(ctx context.Context, db string) (existed bool, err error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	err = c.client.DestroyDB(ctx, db)
	if err != nil && kivik.HTTPStatus(err) == http.StatusNotFound {
		return false, nil
	}
	return err == nil, wrap("destroy database", db, "", err)
}

// ListDBs are the databases whose names begin with prefix.
func (c *Cluster) ListDBs(ctx context.Context, prefix string) ([]string, error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	all, err := c.client.AllDBs(ctx, kivik.Params(map[string]any{
		"startkey": quote(prefix), "endkey": quote(prefix + "\ufff0"),
	}))
	if err != nil {
		return nil, wrap("list databases", prefix+"*", "", err)
	}
	out := all[:0]
	for _, name := range all { // a server may not know the range
		if strings.HasPrefix(name, prefix) {
			out = append(out, name)
		}
	}
	return out, nil
}

// Info is what a database says of itself.
type Info struct {
	Docs      int64
	UpdateSeq string
	// Born differs between two databases of one name made one after the other,
	// where the server tells (CouchDB: instance_start_time); else empty.
	Born string
}

// Info asks a database about itself.
// https://docs.couchdb.org/en/stable/api/database/common.html#get--db
func (c *Cluster) Info(ctx context.Context, db string) (Info, error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	stats, err := c.client.DB(db).Stats(ctx)
	if err != nil {
		return Info{}, wrap("database info", db, "", err)
	}
	var raw struct {
		Born json.RawMessage `json:"instance_start_time"`
	}
	if len(stats.RawResponse) > 0 {
		_ = json.Unmarshal(stats.RawResponse, &raw) // absent is fine
	}
	born := strings.Trim(string(raw.Born), `"`)
	if born == "0" { // clusters of CouchDB 2 and early 3 tell no time
		born = ""
	}
	return Info{Docs: stats.DocCount, UpdateSeq: stats.UpdateSeq, Born: born}, nil
}

func quote(s string) string {
	raw, _ := json.Marshal(s) // a string can always be written
	return string(raw)
}
