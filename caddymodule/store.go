// Store and Cluster: where documents are, in the configuration.

package caddymodule

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// Names of Store.Driver.
const (
	DriverEmbedded = "embedded"
	DriverCouchDB  = "couchdb"
)

// Store is where the instances are.
type Store struct {
	// "embedded", for a file of this process alone, or "couchdb".
	Driver string `json:"driver,omitempty"`

	// The folder of the embedded store.
	Path string `json:"path,omitempty"`

	Connection
}

// Cluster is a further CouchDB cluster, with the databases of some instances.
type Cluster struct {
	// The number by which instances' documents name it. 0 is the store itself,
	// which needs no URLs here.
	Index int `json:"index"`

	// Takes no new instances.
	Closed bool `json:"closed,omitempty"`

	// How many instances it is to have; a new one goes where the largest part of the
	// capacity is free. Default: any number.
	Capacity int `json:"capacity,omitempty"`

	// Where requests of its instances go, as `dynamic tenancy` of reverse_proxy has
	// it, unless their context says otherwise: host:port, or unix//path.
	Upstreams []string `json:"upstreams,omitempty"`

	Connection
}

// Connection is how a CouchDB cluster is reached.
type Connection struct {
	// The URLs of the nodes of one cluster, without credentials. The first that
	// answers is used until it fails.
	URLs []string `json:"urls,omitempty"`

	// The user, and its password. Since GET /config/ shows the configuration, the
	// password is a placeholder, as in {env.COUCHDB_PASSWORD} or
	// {file./run/secrets/couchdb}, which is read when it is needed.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`

	// How many shards the databases of an instance get that are made on this cluster.
	// Default: what the cluster has as its default, 2 mostly.
	Shards int `json:"shards,omitempty"`

	credentials *credentials
}

// credentials resolve placeholders when they are asked for. A reload replaces
// what is resolved, so that clients go on with a new password.
type credentials struct {
	current atomic.Pointer[Connection]
}

func (c *credentials) get() (username, password string) {
	conn := c.current.Load()
	if conn == nil || conn.Username == "" && conn.Password == "" {
		return "", ""
	}
	repl := caddy.NewReplacer()
	return repl.ReplaceAll(conn.Username, ""), strings.TrimRight(repl.ReplaceAll(conn.Password, ""), "\r\n")
}

func (c *Connection) provision() error {
	for i, u := range c.URLs {
		c.URLs[i] = caddy.NewReplacer().ReplaceAll(u, "")
	}
	if _, err := couch.ParseURLs(c.URLs); err != nil {
		return err
	}
	if c.Password != "" && !strings.Contains(c.Password, "{") {
		return errors.New("password: stands in the configuration, which GET /config/ shows; write a placeholder, as in\n\tpassword {env.COUCHDB_PASSWORD}")
	}
	if c.Shards < 0 || c.Shards > maxShards {
		return fmt.Errorf("shards: %d is out of range (allowed: 1 to %d)", c.Shards, maxShards)
	}
	if (c.Username == "") != (c.Password == "") {
		return errors.New("username and password: one is given without the other")
	}
	return nil
}

// maxShards is more than a small database can have use of.
const maxShards = 64

// shards are those of the configuration in use.
func (c *credentials) shards() int {
	if conn := c.current.Load(); conn != nil {
		return conn.Shards
	}
	return 0
}

// open makes the client, which connects at its first call.
func (c *Connection) open() (*couch.Cluster, error) {
	c.credentials = new(credentials)
	c.credentials.current.Store(c)
	return couch.Open(couch.Config{URLs: c.URLs, Credentials: c.credentials.get, Shards: c.credentials.shards})
}

func (c *Cluster) provision() error {
	if c.Index < 0 {
		return errors.New("index: is a number from 0 on")
	}
	if c.Capacity < 0 {
		return errors.New("capacity: is a number of instances from 0 on")
	}
	var err error
	if c.Upstreams, err = parseUpstreams(c.Upstreams); err != nil {
		return fmt.Errorf("upstreams: %w", err)
	}
	if c.Index == 0 {
		if len(c.URLs) > 0 || c.Username != "" || c.Password != "" || c.Shards != 0 {
			return errors.New("is the store itself, whose URLs, credentials and shards are given there")
		}
		return nil
	}
	return c.Connection.provision()
}

func (s *Store) provision() error {
	switch s.Driver {
	case DriverEmbedded:
		if len(s.URLs) > 0 || s.Username != "" || s.Password != "" || s.Shards != 0 {
			return errors.New("the embedded store has a path, and no URLs, credentials or shards")
		}
		if s.Path == "" {
			s.Path = "./data"
		}
		return nil
	case DriverCouchDB:
		if s.Path != "" {
			return errors.New("couchdb has URLs, and no path")
		}
		return s.Connection.provision()
	default:
		return fmt.Errorf("driver: %q is not known (allowed: embedded, couchdb)", s.Driver)
	}
}

// file is the embedded store's one file.
func (s *Store) file() string { return filepath.Join(s.Path, "gatehouse.db") }

// name says where the store is, for people.
func (s *Store) name() string {
	if s.Driver == DriverEmbedded {
		return s.file()
	}
	return couch.Key(s.URLs)
}

// key is equal for two configurations of one store, however they spell it.
func (s *Store) key() (string, error) {
	if s.Driver == DriverCouchDB {
		return couch.Key(s.URLs), nil
	}
	return realPath(s.file())
}

// open makes the client of the main cluster. close ends it.
func (s *Store) open() (cluster *couch.Cluster, closeStore func() error, err error) {
	if s.Driver == DriverCouchDB {
		cluster, err = s.Connection.open()
		if err != nil {
			return nil, nil, err
		}
		return cluster, cluster.Close, nil
	}
	// The storage of certificates may have the file open too.
	return openEmbedded(s.file())
}
