// Faulty: the embedded store behind a kivik driver that loses calls, as a line to a
// server loses requests, so that both kinds of store can fail at each step.

package lifecycle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"

	kivik "github.com/go-kivik/kivik/v4"
	"github.com/go-kivik/kivik/v4/driver"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// faultyName is what kivik knows the driver by.
const faultyName = "faulty"

func init() { kivik.Register(faultyName, faultyDriver{}) }

// faultyDriver makes clients of what a behind option says.
type faultyDriver struct{}

func (faultyDriver) NewClient(_ string, options driver.Options) (driver.Client, error) {
	c := new(faultyClient)
	options.Apply(c)
	return c, nil
}

// behind is the option with the client that calls go to, and the line that they take.
type behind struct {
	inner *kivik.Client
	line  *line
}

func (b behind) Apply(target any) {
	if c, ok := target.(*faultyClient); ok {
		c.inner, c.line = b.inner, b.line
	}
}

// errLost is the failure of a call that was lost.
type errLost struct{}

func (errLost) Error() string   { return "the store does not answer" }
func (errLost) HTTPStatus() int { return http.StatusBadGateway }

// through makes a call unless the line loses it. It looks like a server's request.
func through[T any](ctx context.Context, l *line, method, path string, call func(ctx context.Context) (T, error)) (T, error) {
	var none T
	r := (&http.Request{Method: method, URL: &url.URL{Path: "/" + path}}).WithContext(ctx)
	switch l.decide(r) {
	case lose:
		return none, errLost{}
	case loseAnswer:
		_, _ = call(context.WithoutCancel(ctx)) // whatever it gives is lost
		return none, errLost{}
	case late:
		l.keep(func() { _, _ = call(context.WithoutCancel(ctx)) })
		return none, errLost{}
	}
	return call(ctx)
}

// faultyFleet is an embedded store, each of whose front doors has a line of its own.
func faultyFleet(t testing.TB) *fleet {
	f := embeddedFleet(t)
	f.line = func(t testing.TB) (*couch.Cluster, *line) {
		l := new(line)
		client, err := kivik.New(faultyName, "", behind{inner: f.client, line: l})
		if err != nil {
			t.Fatal(err)
		}
		return couch.Wrap(testkit.KindEmbedded, client), l
	}
	return f
}

// faultyClient is the driver's client.
type faultyClient struct {
	driver.Client // nothing else is asked of it
	inner         *kivik.Client
	line          *line
}

type nothing = struct{}

func (c *faultyClient) AllDBs(ctx context.Context, o driver.Options) ([]string, error) {
	return through(ctx, c.line, http.MethodGet, "_all_dbs", func(ctx context.Context) ([]string, error) { return c.inner.AllDBs(ctx, o) })
}

func (c *faultyClient) CreateDB(ctx context.Context, name string, o driver.Options) error {
	_, err := through(ctx, c.line, http.MethodPut, name, func(ctx context.Context) (nothing, error) { return nothing{}, c.inner.CreateDB(ctx, name, o) })
	return err
}

func (c *faultyClient) DestroyDB(ctx context.Context, name string, o driver.Options) error {
	_, err := through(ctx, c.line, http.MethodDelete, name, func(ctx context.Context) (nothing, error) { return nothing{}, c.inner.DestroyDB(ctx, name, o) })
	return err
}

func (c *faultyClient) DB(name string, o driver.Options) (driver.DB, error) {
	return &faultyDB{inner: c.inner.DB(name, o), line: c.line, name: name}, nil
}

// faultyDB is the driver's database.
type faultyDB struct {
	driver.DB // nothing else is asked of it
	inner     *kivik.DB
	line      *line
	name      string
}

func (d *faultyDB) Close() error { return d.inner.Close() }

func (d *faultyDB) Put(ctx context.Context, id string, doc any, o driver.Options) (string, error) {
	return through(ctx, d.line, http.MethodPut, d.name+"/"+id, func(ctx context.Context) (string, error) { return d.inner.Put(ctx, id, doc, o) })
}

func (d *faultyDB) Delete(ctx context.Context, id string, o driver.Options) (string, error) {
	params := map[string]any{}
	o.Apply(params)
	rev, _ := params["rev"].(string)
	return through(ctx, d.line, http.MethodDelete, d.name+"/"+id, func(ctx context.Context) (string, error) { return d.inner.Delete(ctx, id, rev) })
}

func (d *faultyDB) Get(ctx context.Context, id string, o driver.Options) (*driver.Document, error) {
	return through(ctx, d.line, http.MethodGet, d.name+"/"+id, func(ctx context.Context) (*driver.Document, error) {
		var raw json.RawMessage
		if err := d.inner.Get(ctx, id, o).ScanDoc(&raw); err != nil {
			return nil, err
		}
		return &driver.Document{Body: io.NopCloser(bytes.NewReader(raw))}, nil
	})
}

func (d *faultyDB) BulkDocs(ctx context.Context, docs []any, o driver.Options) ([]driver.BulkResult, error) {
	return through(ctx, d.line, http.MethodPost, d.name+"/_bulk_docs", func(ctx context.Context) ([]driver.BulkResult, error) {
		results, err := d.inner.BulkDocs(ctx, docs, o)
		out := make([]driver.BulkResult, len(results))
		for i, r := range results {
			out[i] = driver.BulkResult(r)
		}
		return out, err
	})
}

func (d *faultyDB) Stats(ctx context.Context) (*driver.DBStats, error) {
	return through(ctx, d.line, http.MethodGet, d.name, func(ctx context.Context) (*driver.DBStats, error) {
		stats, err := d.inner.Stats(ctx)
		if err != nil {
			return nil, err
		}
		return &driver.DBStats{DocCount: stats.DocCount, UpdateSeq: stats.UpdateSeq, RawResponse: stats.RawResponse}, nil
	})
}

func (d *faultyDB) AllDocs(ctx context.Context, o driver.Options) (driver.Rows, error) {
	return through(ctx, d.line, http.MethodPost, d.name+"/_all_docs", func(ctx context.Context) (driver.Rows, error) {
		return collect(d.inner.AllDocs(ctx, o))
	})
}

func (d *faultyDB) Query(ctx context.Context, design, view string, o driver.Options) (driver.Rows, error) {
	return through(ctx, d.line, http.MethodPost, d.name+"/_design/"+design+"/_view/"+view, func(ctx context.Context) (driver.Rows, error) {
		return collect(d.inner.Query(ctx, design, view, o))
	})
}

// rows are those of an answer that was read to its end.
type rows []driver.Row

func collect(set *kivik.ResultSet) (driver.Rows, error) {
	defer set.Close()
	out := new(rows)
	for set.Next() {
		id, err := set.ID()
		row := driver.Row{ID: id, Error: err}
		var doc json.RawMessage
		if err == nil && set.ScanDoc(&doc) == nil && len(doc) > 0 {
			row.Doc = bytes.NewReader(doc)
		}
		*out = append(*out, row)
	}
	return out, set.Err()
}

func (r *rows) Next(row *driver.Row) error {
	if len(*r) == 0 {
		return io.EOF
	}
	*row, *r = (*r)[0], (*r)[1:]
	return nil
}

func (*rows) Close() error      { return nil }
func (*rows) UpdateSeq() string { return "" }
func (*rows) Offset() int64     { return 0 }
func (*rows) TotalRows() int64  { return 0 }

var (
	_ driver.BulkDocer = (*faultyDB)(nil)
	_ kivik.Option     = behind{}
)
