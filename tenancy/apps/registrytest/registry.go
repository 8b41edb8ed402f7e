// Package registrytest is a registry of apps for tests: a real one over HTTP,
// with real tarballs, and with every fault that a registry can have.
package registrytest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// App is one version of an app, as a registry has it. Only Slug is needed.
type App struct {
	Slug    string
	Kind    string            // webapp, or konnector; default webapp
	Version string            // default 1.0.0
	Channel string            // whose latest version it is; default stable
	Prefix  string            // of the names in the tarball, and the tar_prefix
	Files   map[string]string // default: an index.html, and two more

	// Manifest is added to, or replaces, fields of a small manifest.
	Manifest map[string]any
	// Answer is added to, or replaces, fields of the registry's answer: url,
	// sha256, size and so on.
	Answer map[string]any
	// Tarball replaces the one that is made of Files. It is asked for the tarball
	// once for its checksum, and again for each download, and writes the same.
	Tarball func(w io.Writer) error

	// ServeAnswer and ServeTarball replace the HTTP answers.
	ServeAnswer, ServeTarball http.HandlerFunc
}

// Registry is a registry that runs until the end of the test.
type Registry struct {
	URL string

	mu       sync.Mutex
	latest   map[string]*entry // by slug/channel
	versions map[string]*entry // by slug/version
	requests []string
	headers  []http.Header
}

type entry struct {
	App
	answer []byte
	sum    string
}

// New starts a registry without apps.
func New(t testing.TB) *Registry {
	t.Helper()
	r := &Registry{latest: map[string]*entry{}, versions: map[string]*entry{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /registry/{slug}/{version}", r.serve(func(req *http.Request) *entry {
		return r.versions[req.PathValue("slug")+"/"+req.PathValue("version")]
	}))
	mux.HandleFunc("GET /registry/{slug}/{channel}/latest", r.serve(func(req *http.Request) *entry {
		return r.latest[req.PathValue("slug")+"/"+req.PathValue("channel")]
	}))
	mux.HandleFunc("GET /tarballs/{slug}/{version}", r.serveTarball)
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		r.note(req)
		http.NotFound(w, req)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// Add publishes an app, and gives the checksum of its tarball.
func (r *Registry) Add(t testing.TB, app App) (sum string) {
	t.Helper()
	app = withDefaults(app)
	hash, size := sha256.New(), new(counter)
	if err := app.Tarball(io.MultiWriter(hash, size)); err != nil {
		t.Fatalf("the tarball of %s: %v", app.Slug, err)
	}
	sum = hex.EncodeToString(hash.Sum(nil))
	manifest := map[string]any{
		"name": app.Slug, "slug": app.Slug, "type": app.Kind, "version": app.Version, "editor": "Test", "icon": "icon.svg",
		"permissions": map[string]any{"files": map[string]any{"type": "io.cozy.files", "verbs": []string{"GET"}, "description": "Shows files"}},
	}
	maps.Copy(manifest, app.Manifest)
	answer := map[string]any{
		"slug": app.Slug, "type": app.Kind, "version": app.Version, "editor": "Test", "sha256": sum, "size": fmt.Sprint(int64(*size)),
		"url": r.URL + "/tarballs/" + app.Slug + "/" + app.Version, "tar_prefix": strings.TrimSuffix(app.Prefix, "/"), "manifest": manifest,
	}
	maps.Copy(answer, app.Answer)
	raw, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	e := &entry{App: app, answer: raw, sum: sum}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latest[app.Slug+"/"+app.Channel] = e
	r.versions[app.Slug+"/"+app.Version] = e
	return sum
}

// AddEvil publishes all of Evil, each with its name as the slug.
func (r *Registry) AddEvil(t testing.TB) {
	t.Helper()
	for name, app := range Evil() {
		app.Slug = name
		r.Add(t, app)
	}
}

func withDefaults(app App) App {
	for field, value := range map[*string]string{&app.Kind: "webapp", &app.Version: "1.0.0", &app.Channel: "stable"} {
		if *field == "" {
			*field = value
		}
	}
	if app.Files == nil {
		app.Files = map[string]string{"index.html": "<h1>" + app.Slug + "</h1>", "icon.svg": "<svg/>", "js/app.js": "console.log('" + app.Slug + "')"}
	}
	if app.Tarball == nil {
		var entries []Entry
		if app.Prefix != "" {
			entries = append(entries, Folder(app.Prefix))
		}
		for _, name := range slices.Sorted(maps.Keys(app.Files)) {
			entries = append(entries, File(app.Prefix+name, app.Files[name]))
		}
		app.Tarball = Tarball(entries...)
	}
	return app
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func (r *Registry) note(req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, req.URL.Path)
	r.headers = append(r.headers, req.Header.Clone())
}

func (r *Registry) serve(find func(*http.Request) *entry) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		r.note(req)
		r.mu.Lock()
		e := find(req)
		r.mu.Unlock()
		switch {
		case e == nil:
			http.NotFound(w, req)
		case e.ServeAnswer != nil:
			e.ServeAnswer(w, req)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(e.answer)
		}
	}
}

func (r *Registry) serveTarball(w http.ResponseWriter, req *http.Request) {
	r.note(req)
	r.mu.Lock()
	e := r.versions[req.PathValue("slug")+"/"+req.PathValue("version")]
	r.mu.Unlock()
	switch {
	case e == nil:
		http.NotFound(w, req)
	case e.ServeTarball != nil:
		e.ServeTarball(w, req)
	default:
		w.Header().Set("Content-Type", "application/gzip")
		_ = e.Tarball(w) // an error is that of a client that went away
	}
}

// Requests are the paths that were asked for, in their order.
func (r *Registry) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Headers are those of the requests, in their order.
func (r *Registry) Headers() []http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.headers)
}

// Downloads counts how often tarballs of an app were asked for.
func (r *Registry) Downloads(slug string) (n int) {
	for _, path := range r.Requests() {
		if strings.HasPrefix(path, "/tarballs/"+slug+"/") {
			n++
		}
	}
	return n
}
