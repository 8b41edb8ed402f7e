// What an import of a thousand instances takes, through the API.

package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/admin"
	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// imported is how many instances an import has, and importBatch those in one request.
const (
	imported    = 1000
	importBatch = 200
)

// BenchmarkImport imports a thousand instances an iteration, with the command's own
// batches and concurrency: instances/s, and requests to the store for each. On the
// PouchDB, which cannot have the databases of so many, it is one batch.
func BenchmarkImport(b *testing.B) {
	for _, kind := range []string{testkit.KindEmbedded, testkit.KindPouchDB, testkit.KindCouchDB} {
		b.Run(kind, func(b *testing.B) {
			store, ok := open(b, kind)
			if !ok {
				b.Skip("the environment names no CouchDB: set " + testkit.CouchDBVariable)
			}
			server := httptest.NewServer(admin.NewHandler(newApp(b, store), zap.NewNop()))
			defer server.Close()
			imported := imported
			if kind == testkit.KindPouchDB {
				imported = importBatch
			}
			var took time.Duration
			calls, n := store.Cluster.Calls(), 0
			for range b.N {
				begin := time.Now()
				for batch := 0; batch < imported; batch += importBatch {
					send(b, server.URL, store.Prefix, n*imported+batch)
				}
				took += time.Since(begin)
				n++
			}
			b.ReportMetric(float64(n*imported)/took.Seconds(), "instances/s")
			b.ReportMetric(float64(store.Cluster.Calls()-calls)/float64(n*imported), "requests/instance")
		})
	}
}

// send imports one batch, of which every item has to be added.
func send(b *testing.B, url, prefix string, first int) {
	b.Helper()
	var body strings.Builder
	for i := range importBatch {
		fmt.Fprintf(&body, "{\"Domain\":\"i%d.%sx.example.com\",\"Locale\":\"fr\",\"Email\":\"i%d@example.com\"}\n", first+i, prefix, first+i)
	}
	resp, err := http.Post(url+"/instances/import", "application/x-ndjson", strings.NewReader(body.String()))
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	added := 0
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		var line struct{ Outcome, Error string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Error != "" {
			b.Fatalf("%s (%v)", lines.Text(), err)
		}
		if line.Outcome == "added" {
			added++
		}
	}
	if added != importBatch {
		b.Fatalf("%d of %d were added (%d)", added, importBatch, resp.StatusCode)
	}
}

// app is the tenancy app without Caddy.
type app struct {
	service *lifecycle.Service
	dir     *directory.Directory
}

func newApp(b *testing.B, store testkit.NamedStore) func() admin.App {
	b.Helper()
	clusters, err := lifecycle.NewClusters(map[int]lifecycle.Member{0: {Cluster: store.Cluster}})
	if err != nil {
		b.Fatal(err)
	}
	a := &app{}
	a.dir = directory.New(directory.Options{Cluster: store.Cluster, Ensure: func(ctx context.Context) error { return a.service.Ensure(ctx) }})
	a.service = lifecycle.New(lifecycle.Options{Clusters: clusters, Directory: directory.Local{Directory: a.dir, Mode: a.Mode}, Node: "bench"})
	a.dir.Start()
	b.Cleanup(func() { _ = a.dir.Stop(context.Background()) })
	<-a.dir.Ready()
	return func() admin.App { return a }
}

func (a *app) Lifecycle() *lifecycle.Service   { return a.service }
func (a *app) Directory() *directory.Directory { return a.dir }
func (a *app) Mode() directory.Mode            { return directory.Nested }
func (a *app) StoreName() string               { return "bench" }
func (a *app) Node() string                    { return "bench" }
func (a *app) AuthRequired() bool              { return false }
func (a *app) AdminPassphraseHash() string     { return "" }
func (a *app) Hold() (release func())          { return func() {} }
