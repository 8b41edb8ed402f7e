// Client: what kivik asks of a server. Also the driver, by whose name kivik finds it.

package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"regexp"

	kivik "github.com/go-kivik/kivik/v4"
	"github.com/go-kivik/kivik/v4/driver"
	"go.etcd.io/bbolt"
)

// DriverName is the name for kivik.New, whose data source name is then the path
// of the file.
const DriverName = "embedded"

// couchVersion is the CouchDB whose behaviour this store follows.
const couchVersion = "3.5.0"

func init() { kivik.Register(DriverName, bboltDriver{}) }

// bboltDriver makes clients.
type bboltDriver struct{}

// NewClient gives a client over the Store among the options, or over a Store of
// its own on the file of that name, which closing the client then closes.
func (bboltDriver) NewClient(path string, options driver.Options) (driver.Client, error) {
	var shared *Store
	options.Apply(&shared)
	if shared != nil {
		return &client{store: shared}, nil
	}
	if path == "" {
		return nil, missingArg("the path of the store's file")
	}
	store := New(path)
	options.Apply(&store.config)
	return &client{store: store, own: true}, nil
}

// client is a kivik client.
type client struct {
	store *Store
	own   bool // the store ends with the client
}

// Version names the CouchDB that the store behaves as, and the store as vendor.
func (c *client) Version(ctx context.Context) (*driver.Version, error) {
	if _, err := c.store.enter(ctx); err != nil {
		return nil, err
	}
	c.store.leave()
	const vendor = "Gatehouse embedded"
	return &driver.Version{
		Version:     couchVersion,
		Vendor:      vendor,
		RawResponse: json.RawMessage(`{"couchdb":"Welcome","version":"` + couchVersion + `","features":[],"vendor":{"name":"` + vendor + `"}}`),
	}, nil
}

// Ping tells whether the file is open, or can be opened.
func (c *client) Ping(ctx context.Context) (bool, error) {
	if _, err := c.store.enter(ctx); err != nil {
		return false, err
	}
	c.store.leave()
	return true, nil
}

// databaseName is CouchDB's rule for the name of a database.
var databaseName = regexp.MustCompile(`^[a-z][a-z0-9_$()+/-]*$`)

// maxDatabaseName is CouchDB's limit, in bytes.
const maxDatabaseName = 238

// AllDBs lists the databases by name. Options are those of
// https://docs.couchdb.org/en/stable/api/server/common.html#all-dbs; as with
// kivik's CouchDB driver, and unlike AllDocs, a key is JSON text.
func (c *client) AllDBs(ctx context.Context, options driver.Options) ([]string, error) {
	query, err := allDBsQuery(options)
	if err != nil {
		return nil, err
	}
	names := []string{}
	bolt, err := c.store.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer c.store.leave()
	err = bolt.View(func(tx *bbolt.Tx) error {
		r := query.nameRange()
		skip := query.skip
		_, err := r.walk(tx.Bucket(bucketDatabases), query.descending, func(name, _ []byte) (bool, error) {
			if int64(len(names)) == query.limit { // a limit of 0
				return false, nil
			}
			if skip > 0 {
				skip--
				return true, nil
			}
			names = append(names, string(name))
			return int64(len(names)) != query.limit, nil
		})
		return err
	})
	return names, err
}

// allDBsQuery reads the options of AllDBs, whose keys are JSON text already.
func allDBsQuery(options driver.Options) (*rowQuery, error) {
	p := params{}
	options.Apply(map[string]any(p))
	for name, value := range p {
		text, isText := value.(string)
		if isText && jsonParams[name] {
			p[name] = json.RawMessage(text)
		}
	}
	p, err := readParams(fixedParams(p))
	if err != nil {
		return nil, err
	}
	return p.rowQuery()
}

// fixedParams are options that were read already.
type fixedParams params

// Apply hands them over again.
func (f fixedParams) Apply(target any) {
	if t, ok := target.(map[string]any); ok {
		for name, value := range f {
			t[name] = value
		}
	}
}

// nameRange gives the part of the databases that a query asks for.
func (q *rowQuery) nameRange() keyRange {
	// The names stand alone in their bucket, so the byte before each key goes.
	r := q.idRange(&listing{space: prefixDoc})
	cut := func(key []byte) []byte {
		if bytes.HasPrefix(key, []byte{prefixDoc}) {
			return key[1:]
		}
		return []byte{0xff} // behind all names
	}
	return keyRange{lower: cut(r.lower), upper: cut(r.upper)}
}

// DBExists tells whether there is a database of that name.
func (c *client) DBExists(ctx context.Context, name string, _ driver.Options) (bool, error) {
	if name == "" {
		return false, missingArg("dbName")
	}
	err := c.store.read(ctx, name, func(*database) error { return nil })
	if kivik.HTTPStatus(err) == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// CreateDB makes a database. Errors: 412 where it exists, 400 for a bad name.
// Options such as q and n have no meaning here; partitioned is a 501.
func (c *client) CreateDB(ctx context.Context, name string, options driver.Options) error {
	if name == "" {
		return missingArg("dbName")
	}
	params, err := readParams(options)
	if err != nil {
		return err
	}
	if params.boolean("partitioned", false) {
		return unsupported("partitioned databases")
	}
	if !databaseName.MatchString(name) {
		return badRequest("Name: '" + name + "'. Only lowercase characters (a-z), digits (0-9), and any of the characters _, $, (, ), +, -, and / are allowed. Must begin with a letter.")
	}
	if len(name) > maxDatabaseName {
		return badRequest("At least one path segment of `" + name + "` is too long.")
	}
	uuid, err := c.store.randomBytes()
	if err != nil {
		return err
	}
	return c.store.commit(ctx, func(b *batch) error { return b.create(name, uuid, c.store.config.now()) })
}

// DestroyDB removes a database and all in it; 404 where there is none.
func (c *client) DestroyDB(ctx context.Context, name string, _ driver.Options) error {
	if name == "" {
		return missingArg("dbName")
	}
	return c.store.commit(ctx, func(b *batch) error { return b.destroy(name) })
}

// DB gives a handle to a database, whether there is one or not.
func (c *client) DB(name string, _ driver.Options) (driver.DB, error) {
	if name == "" {
		return nil, missingArg("dbName")
	}
	return &db{store: c.store, name: name}, nil
}

// Close closes the store, where it is the client's own.
func (c *client) Close() error {
	if !c.own {
		return nil
	}
	return c.store.Close()
}

// Interface guards.
var (
	_ driver.Driver       = bboltDriver{}
	_ driver.Client       = (*client)(nil)
	_ driver.Pinger       = (*client)(nil)
	_ driver.ClientCloser = (*client)(nil)
)
