// Config: where a cluster is, and the limits of talking to it.

package couch

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config describes one CouchDB cluster.
type Config struct {
	// URLs of the cluster's nodes: http or https, host, port, perhaps a path, and
	// never credentials. The first that answers is used until it fails.
	URLs []string
	// Credentials are asked for at each request, so that a rotated password is
	// taken up; nil for none. They are sent as basic auth.
	Credentials func() (username, password string)
	// CallTimeout bounds each call but the changes feed, over all the nodes that
	// it tries. Default 30 s.
	CallTimeout time.Duration
	// NodeTimeout is how long a node may be silent in a read while there is
	// another to ask: a dead one may not eat the whole CallTimeout. A write, which
	// is slower and is not asked again, has twice that. Default 5 s.
	NodeTimeout time.Duration
	// FeedGrace is how long the changes feed may be silent beyond the wait that
	// was asked for; a node that is silent for longer is taken as dead. Default 15 s.
	FeedGrace time.Duration
	// MaxConns bounds the connections to one node, for calls and again for feeds.
	// Default 64.
	MaxConns int
	// Shards is how many shards a database gets that CreateSmallDB makes; nil, or 0, for
	// what the server has as its default.
	Shards func() int
	// Now is the clock of the back-off of dead nodes. Default time.Now.
	Now func() time.Time
}

// Defaults of Config.
const (
	DefaultCallTimeout = 30 * time.Second
	DefaultNodeTimeout = 5 * time.Second
	DefaultFeedGrace   = 15 * time.Second
	DefaultMaxConns    = 64
	dialTimeout        = 5 * time.Second
)

// withDefaults fills in what is left out.
func (cfg Config) withDefaults() Config {
	if cfg.CallTimeout <= 0 {
		cfg.CallTimeout = DefaultCallTimeout
	}
	if cfg.NodeTimeout <= 0 {
		cfg.NodeTimeout = DefaultNodeTimeout
	}
	if cfg.FeedGrace <= 0 {
		cfg.FeedGrace = DefaultFeedGrace
	}
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = DefaultMaxConns
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

// ParseURLs checks the URLs of a cluster's nodes. Errors never repeat a URL that
// holds credentials.
func ParseURLs(urls []string) ([]*url.URL, error) {
	if len(urls) == 0 {
		return nil, errors.New("no URL of a CouchDB node")
	}
	out := make([]*url.URL, 0, len(urls))
	for i, s := range urls {
		u, err := url.Parse(s)
		if err != nil { // url.Error repeats its input
			return nil, fmt.Errorf("URL %d of the CouchDB nodes cannot be read; it has the form https://host:5984", i+1)
		}
		if u.User != nil {
			return nil, fmt.Errorf("URL %d of the CouchDB nodes holds a user name or password, which the configuration would show; write them as\n\tusername {env.COUCHDB_USER}\n\tpassword {env.COUCHDB_PASSWORD}", i+1)
		}
		if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("URL %d of the CouchDB nodes is not of the form https://host:5984", i+1)
		}
		u.Path = strings.TrimSuffix(u.Path, "/")
		u.RawPath = ""
		if i > 0 && u.Path != out[0].Path {
			return nil, fmt.Errorf("URL %d of the CouchDB nodes has another path than the first", i+1)
		}
		out = append(out, u)
	}
	return out, nil
}

// Key names a cluster by its nodes, without credentials, so that two
// configurations of one cluster share one client.
func Key(urls []string) string {
	sorted := slices.Clone(urls)
	for i, u := range sorted {
		sorted[i] = strings.TrimSuffix(withoutCredentials(u), "/")
	}
	slices.Sort(sorted)
	return strings.Join(slices.Compact(sorted), " ")
}

// withoutCredentials cuts what stands before the last @ of a URL's authority. It
// does not parse, because it must work for a URL that cannot be parsed as well.
func withoutCredentials(u string) string {
	scheme, rest, ok := strings.Cut(u, "://")
	if !ok {
		scheme, rest = "", u
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
		rest = rest[at+1:]
	} else if at := strings.LastIndexByte(rest, '@'); at >= 0 { // a password with an unescaped slash
		rest = rest[at+1:]
	}
	if !ok {
		return rest
	}
	return scheme + "://" + rest
}
