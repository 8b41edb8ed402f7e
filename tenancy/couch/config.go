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
	// CallTimeout bounds each call but the changes feed. Default 30 s.
	CallTimeout time.Duration
	// MaxConns bounds the connections to one node. Default 64.
	MaxConns int
	// Now is the clock of the back-off of dead nodes. Default time.Now.
	Now func() time.Time
}

// Defaults of Config.
const (
	DefaultCallTimeout = 30 * time.Second
	DefaultMaxConns    = 64
	dialTimeout        = 5 * time.Second
)

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
		sorted[i] = strings.TrimSuffix(u, "/")
	}
	slices.Sort(sorted)
	return strings.Join(slices.Compact(sorted), " ")
}
