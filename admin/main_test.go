// What the tests of the API share: an app on a store, and a client.

package admin_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/admin"
	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/access"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// app is a tenancy app without Caddy.
type app struct {
	cycle *lifecycle.Service
	dir   *directory.Directory
	hash  string

	cluster  *couch.Cluster
	tokens   *access.Store
	listener *admin.Listener
	certs    *certificates.Service // nil where none are kept
	apps     []string              // slugs whose hosts may have certificates
}

func (a *app) CertificateService() *certificates.Service { return a.certs }
func (a *app) CertificateApps(context.Context, *tenancy.Instance) ([]string, error) {
	return a.apps, nil
}

func (a *app) Access() *access.Store        { return a.tokens }
func (a *app) APIListener() *admin.Listener { return a.listener }

func (a *app) Lifecycle() *lifecycle.Service   { return a.cycle }
func (a *app) Directory() *directory.Directory { return a.dir }
func (a *app) Mode() directory.Mode            { return directory.Nested }
func (a *app) StoreName() string               { return "a store" }
func (a *app) Node() string                    { return "node" }
func (a *app) AuthRequired() bool              { return a.hash != "" }
func (a *app) AdminPassphraseHash() string     { return a.hash }
func (a *app) Hold() func()                    { return func() {} }

// api is a running API. What it is asked bears the header auth, if that is set.
type api struct {
	t    *testing.T
	url  string
	app  *app
	auth string
}

// as is the same API, asked with another header.
func (a *api) as(auth string) *api {
	b := *a
	b.auth = auth
	return &b
}

func bearer(token string) string { return "Bearer " + token }

func basic(password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(":"+password))
}

func newAPI(t *testing.T) *api {
	t.Helper()
	return newAPIOn(t, testkit.EmbeddedStore(t).Cluster)
}

func newAPIOn(t *testing.T, cluster *couch.Cluster) *api {
	t.Helper()
	a := newApp(t, cluster)
	server := httptest.NewServer(admin.NewHandler(func() admin.App { return a }, zap.NewNop()))
	t.Cleanup(server.Close)
	return &api{t: t, url: server.URL, app: a}
}

// newApp is an app on a store, which follows nothing: its directory knows what
// it is told.
func newApp(t *testing.T, cluster *couch.Cluster) *app {
	t.Helper()
	clusters, err := lifecycle.NewClusters(map[int]lifecycle.Member{0: {Cluster: cluster}})
	if err != nil {
		t.Fatal(err)
	}
	dir := directory.New(directory.Options{})
	dir.Start()
	t.Cleanup(func() { _ = dir.Stop(context.Background()) })
	<-dir.Ready()
	a := &app{
		cluster: cluster, dir: dir, tokens: access.New(access.Options{Cluster: cluster}),
		cycle: lifecycle.New(lifecycle.Options{Clusters: clusters, Directory: directory.Local{Directory: dir, Mode: func() directory.Mode { return directory.Nested }}, Node: "node"}),
	}
	t.Cleanup(func() { _ = a.tokens.Wait(context.Background()) })
	return a
}

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	body   string
}

// call asks the API; what looks like JSON goes as a body.
func (a *api) call(method, path, body string, headers ...string) reply {
	a.t.Helper()
	req, err := http.NewRequest(method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.auth != "" {
		req.Header.Set("Authorization", a.auth)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(raw)}
}

// must is call for what has to have a status.
func (a *api) must(status int, method, path, body string, headers ...string) reply {
	a.t.Helper()
	r := a.call(method, path, body, headers...)
	if r.status != status {
		a.t.Fatalf("%s %s %s: %d %s, want %d", method, path, body, r.status, r.body, status)
	}
	return r
}

type document struct {
	Data struct {
		Type, ID   string
		Attributes map[string]any
		Meta       map[string]string
		Links      map[string]string
	}
}

func (r reply) document(t *testing.T) (d document) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), &d); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return d
}

var noChange lifecycle.Change

func parse(t *testing.T, domain string) tenancy.Domain {
	t.Helper()
	d, err := tenancy.ParseDomain(domain)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
