// Cluster: opening one, and its databases.

package couch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-kivik/kivik/v4"
	"github.com/go-kivik/kivik/v4/couchdb"
)

// Cluster is one CouchDB cluster, or the embedded store. It is safe for
// concurrent use, and opens no connection before its first call.
type Cluster struct {
	name      string
	client    *kivik.Client
	transport *transport // nil for the embedded store
	shards    func() int // of small databases
	timeout   time.Duration
	grace     time.Duration
	life      context.Context // ends with Close
	end       context.CancelFunc
	calls     atomic.Int64
}

// Open makes a client of a CouchDB cluster. It does not connect: a cluster that
// is down, or not there yet, is an error of each call, not of Open.
func Open(cfg Config) (*Cluster, error) {
	urls, err := ParseURLs(cfg.URLs)
	if err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	transport := newTransport(newNodes(urls, cfg.Now), cfg)
	client, err := kivik.New("couch", urls[0].Scheme+"://"+urls[0].Host,
		couchdb.OptionHTTPClient(&http.Client{
			Transport: transport,
			// CouchDB does not redirect, and credentials must not follow one elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
		couchdb.OptionNoRequestCompression(),
		couchdb.OptionUserAgent("gatehouse"))
	if err != nil {
		return nil, fmt.Errorf("making a client of CouchDB: %w", err)
	}
	c := newCluster(Key(cfg.URLs), client)
	c.transport, c.timeout, c.grace = transport, cfg.CallTimeout, cfg.FeedGrace
	if cfg.Shards != nil {
		c.shards = cfg.Shards
	}
	return c, nil
}

// Wrap makes a Cluster of a ready kivik client, as of the embedded store. The
// name is for people.
func Wrap(name string, client *kivik.Client) *Cluster { return newCluster(name, client) }

func newCluster(name string, client *kivik.Client) *Cluster {
	c := &Cluster{name: name, client: client, shards: func() int { return 0 }, timeout: DefaultCallTimeout, grace: DefaultFeedGrace}
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

// Name is where the cluster is, without credentials.
func (c *Cluster) Name() string { return c.name }

// Calls is the number of calls made so far, each one request.
func (c *Cluster) Calls() int64 { return c.calls.Load() }

// Close ends the calls under way, feeds included, and lets connections go. It
// waits for those calls to return; calls after it are refused.
func (c *Cluster) Close() error {
	c.end() // first, since kivik waits for a feed as long as it lasts
	err := c.client.Close()
	if c.transport != nil {
		c.transport.close()
	}
	return err
}

// limit bounds one call in time and counts it.
func (c *Cluster) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	return c.within(ctx, cancel)
}

// within ends a call with the cluster's life, and counts it.
func (c *Cluster) within(ctx context.Context, cancel context.CancelFunc) (context.Context, context.CancelFunc) {
	c.calls.Add(1)
	stop := context.AfterFunc(c.life, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// database checks a name before it becomes part of a URL.
func (c *Cluster) database(op, name string) (*kivik.DB, error) {
	if !ValidName(name) {
		return nil, &Error{Op: op, Database: name, Status: http.StatusBadRequest, Err: errors.New("not a name that a database can have")}
	}
	return c.client.DB(name), nil
}

// ValidName tells whether a database can have this name: lower-case letters,
// digits and any of _$()+-/, beginning with a letter; or one of CouchDB's own,
// which begin with an underscore.
// https://docs.couchdb.org/en/stable/api/database/common.html#put--db
func ValidName(name string) bool {
	for i := range len(name) {
		switch b := name[i]; {
		case 'a' <= b && b <= 'z':
		case i == 0 && b == '_' && len(name) > 1:
		case i > 0 && ('0' <= b && b <= '9' || strings.IndexByte("_$()+-/", b) >= 0):
		default:
			return false
		}
	}
	return name != ""
}

// CreateDB makes a database. One that exists already is success; created tells.
func (c *Cluster) CreateDB(ctx context.Context, db string) (created bool, err error) {
	return c.createDB(ctx, db, 0)
}

// CreateSmallDB is CreateDB for one of very many databases with few documents each. Each
// shard of a database is a file, and a process of CouchDB's while it is used, on each
// node that has a copy; a few documents need but one
// (https://docs.couchdb.org/en/stable/cluster/sharding.html).
func (c *Cluster) CreateSmallDB(ctx context.Context, db string) (created bool, err error) {
	return c.createDB(ctx, db, c.shards())
}

func (c *Cluster) createDB(ctx context.Context, db string, shards int) (created bool, err error) {
	if _, err := c.database("create database", db); err != nil {
		return false, err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	var options []kivik.Option
	if shards > 0 {
		options = append(options, kivik.Param("q", shards))
	}
	err = c.client.CreateDB(ctx, db, options...)
	if err != nil && kivik.HTTPStatus(err) == http.StatusPreconditionFailed {
		return false, nil
	}
	return err == nil, wrap("create database", db, "", err)
}

// DestroyDB drops a database. One that is not there is success; existed tells.
func (c *Cluster) DestroyDB(ctx context.Context, db string) (existed bool, err error) {
	if _, err := c.database("destroy database", db); err != nil {
		return false, err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	err = c.client.DestroyDB(ctx, db)
	if err != nil && kivik.HTTPStatus(err) == http.StatusNotFound {
		return false, nil
	}
	return err == nil, wrap("destroy database", db, "", err)
}

// ListDBs are the databases whose names begin with prefix, in order.
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
	slices.Sort(out) // as CouchDB has them
	return out, nil
}

// Info is what a database says of itself.
type Info struct {
	Docs      int64
	UpdateSeq string
	// Born differs between two databases of one name made one after the other,
	// where the server tells; else empty. CouchDB tells the second, in
	// instance_start_time.
	Born string
}

// Info asks a database about itself.
// https://docs.couchdb.org/en/stable/api/database/common.html#get--db
func (c *Cluster) Info(ctx context.Context, db string) (Info, error) {
	d, err := c.database("database info", db)
	if err != nil {
		return Info{}, err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	stats, err := d.Stats(ctx)
	if err != nil {
		return Info{}, wrap("database info", db, "", err)
	}
	var raw struct {
		Born    json.RawMessage `json:"instance_start_time"`
		Adapter json.RawMessage `json:"adapter"`
	}
	if len(stats.RawResponse) > 0 {
		_ = json.Unmarshal(stats.RawResponse, &raw) // absent is fine
	}
	born := strings.Trim(string(raw.Born), `"`)
	// Clusters of CouchDB 2 and early 3 tell no time, and a PouchDB, the one with
	// an adapter, tells the time of its process for every database.
	if born == "0" || born == "null" || raw.Adapter != nil {
		born = ""
	}
	return Info{Docs: stats.DocCount, UpdateSeq: stats.UpdateSeq, Born: born}, nil
}

func quote(s string) string {
	raw, _ := json.Marshal(s) // a string can always be written
	return string(raw)
}
