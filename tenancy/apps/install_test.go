// Install: apps that are installed, and from where.

package apps_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy/apps"
	"github.com/gatehouse-edge/gatehouse/tenancy/apps/registrytest"
	"github.com/gatehouse-edge/gatehouse/tenancy/files"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

var contents = map[string]string{"index.html": "<p>hello</p>", "empty": "", "public/icon.svg": "<svg/>", "é.js": strings.Repeat("x", 300_000)}

// TestInstall: the files and documents of a webapp and of a konnector, whatever the tarball's prefix.
func TestInstall(t *testing.T) {
	t.Parallel()
	for name, app := range map[string]registrytest.App{
		"webapp":    {Slug: "drive", Version: "1.2.3", Files: contents},
		"prefix":    {Slug: "drive", Version: "1.2.3", Files: contents, Prefix: "package/"},
		"dot":       {Slug: "drive", Version: "1.2.3", Files: contents, Prefix: "./", Answer: map[string]any{"tar_prefix": ""}},
		"elsewhere": {Slug: "drive", Version: "1.2.3", Files: contents, Answer: map[string]any{"tar_prefix": "package"}},
		"konnector": {Slug: "bank", Kind: "konnector", Version: "2.0.0-beta.1", Files: contents},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registrytest.New(t)
			sum := r.Add(t, app)
			d := newDoor(t, nil, r.URL+"/")
			i := d.mustInstall(t, app.Slug)
			kind, doctype, permission := files.Webapp, "io.cozy.apps", "app"
			if app.Kind != "" {
				kind, doctype, permission = files.Konnector, "io.cozy.konnectors", "konnector"
			}
			if i.Kind != kind || i.Slug != app.Slug || i.Version != app.Version || i.Checksum != sum || i.Source != "registry://"+app.Slug+"/stable" {
				t.Errorf("installed %+v", i)
			}
			if got := d.read(t, i); !maps.Equal(got, contents) {
				t.Errorf("files %q", slices.Sorted(maps.Keys(got)))
			}
			doc := document(t, i, doctype)
			for field, want := range map[string]any{
				"_id": doctype + "/" + app.Slug, "slug": app.Slug, "type": string(kind), "state": "ready", "version": app.Version,
				"checksum": sum, "source": i.Source, "created_at": "2026-11-24T12:00:00.010303013Z", "updated_at": "2026-11-24T12:00:00.010303013Z",
			} {
				if doc[field] != want {
					t.Errorf("%s is %v, want %v", field, doc[field], want)
				}
			}
			rights := document(t, i, "io.cozy.permissions")
			want := map[string]any{"files": map[string]any{"type": "io.cozy.files", "verbs": []any{"GET"}, "description": "Shows files"}}
			if rights["_id"] != provision.DocID(aliceID, "permissions/"+app.Slug) || rights["type"] != permission ||
				rights["source_id"] != doc["_id"] || !reflect.DeepEqual(rights["permissions"], want) || !reflect.DeepEqual(doc["permissions"], want) {
				t.Errorf("permissions %v", rights)
			}
			if last := i.Documents[len(i.Documents)-1]; last.Doctype != doctype || last.ID != doc["_id"] {
				t.Errorf("the last document is %s", last.ID)
			}
		})
	}
}

// TestVersions: a channel has its own latest version, and a version is that one.
func TestVersions(t *testing.T) {
	t.Parallel()
	r := published(t,
		registrytest.App{Slug: "drive", Version: "1.0.0"},
		registrytest.App{Slug: "drive", Version: "1.1.0-beta.2", Channel: "beta"},
		registrytest.App{Slug: "drive", Version: "1.1.0-dev.0123abc", Channel: "dev"},
		registrytest.App{Slug: "drive", Version: "0.9.0", Channel: "none"},
	)
	d := newDoor(t, nil, r.URL)
	for s, want := range map[string]string{
		"drive": "1.0.0", "drive/stable": "1.0.0", "drive/beta": "1.1.0-beta.2", "drive/dev": "1.1.0-dev.0123abc",
		"drive/0.9.0": "0.9.0", "registry://drive/beta": "1.1.0-beta.2", "registry://drive/1.0.0": "1.0.0",
	} {
		i := d.mustInstall(t, s)
		if i.Version != want || document(t, i, "io.cozy.apps")["source"] != source(t, s).String() {
			t.Errorf("%s is %s from %s, want %s", s, i.Version, i.Source, want)
		}
	}
	for _, s := range []string{"drive/9.9.9", "photos", "photos/beta"} {
		if _, err := d.install(t, s); !errors.Is(err, apps.ErrUnknown) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// TestRegistries: the first that knows an app has the word, past those that do not answer.
func TestRegistries(t *testing.T) {
	t.Parallel()
	first := published(t, registrytest.App{Slug: "drive", Version: "1.0.0"}, registrytest.App{Slug: "broken", ServeAnswer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }})
	second := published(t, registrytest.App{Slug: "drive", Version: "2.0.0"}, registrytest.App{Slug: "photos", Version: "2.0.0"}, registrytest.App{Slug: "broken", Version: "2.0.0"})
	const dead = "http://127.0.0.1:1/path"
	for _, c := range []struct {
		registries  []string
		app, wanted string
	}{
		{[]string{first.URL, second.URL}, "drive", "1.0.0"},
		{[]string{second.URL, first.URL}, "drive", "2.0.0"},
		{[]string{first.URL, second.URL}, "photos", "2.0.0"},
		{[]string{first.URL, second.URL}, "broken", "2.0.0"},
		{[]string{dead, first.URL}, "drive", "1.0.0"},
	} {
		d := newDoor(t, nil, c.registries...)
		if i := d.mustInstall(t, c.app); i.Version != c.wanted {
			t.Errorf("%s is %s, want %s", c.app, i.Version, c.wanted)
		}
	}
	_, err := newDoor(t, nil, dead, first.URL).install(t, "photos")
	if err == nil || errors.Is(err, apps.ErrUnknown) || !strings.Contains(err.Error(), dead) {
		t.Errorf("a registry that did not answer may know the app: %v", err)
	}
	_, err = newDoor(t, nil, dead, "http://user:hunter2@127.0.0.1:1", first.URL).install(t, "broken")
	for _, want := range []string{"broken: ", dead, first.URL, "500", "password"} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
	if _, err := newDoor(t, nil).install(t, "drive"); !errors.Is(err, apps.ErrNoRegistry) {
		t.Errorf("without registries: %v", err)
	}
}

// TestNoFiles: an app without files is not installed.
func TestNoFiles(t *testing.T) {
	t.Parallel()
	r := published(t, registrytest.App{Slug: "drive"})
	d := newDoor(t, func(o *apps.Options) { o.Files = nil }, r.URL)
	if _, err := d.install(t, "drive"); !errors.Is(err, apps.ErrNoFiles) || !strings.Contains(err.Error(), "files") || len(r.Requests()) > 0 {
		t.Errorf("%v after %q", err, r.Requests())
	}
}

// TestAgain: a version that is there is not fetched again, and has the same documents.
func TestAgain(t *testing.T) {
	t.Parallel()
	r := published(t, registrytest.App{Slug: "drive", Manifest: map[string]any{"services": map[string]any{"a": map[string]any{"trigger": "@hourly"}}}})
	d := newDoor(t, nil, r.URL)
	first := d.mustInstall(t, "drive")
	again := d.mustInstall(t, "drive")
	if !reflect.DeepEqual(first, again) {
		t.Errorf("%+v, then %+v", first, again)
	}
	if n := r.Downloads("drive"); n != 1 {
		t.Errorf("%d downloads", n)
	}
	r.Add(t, registrytest.App{Slug: "drive", Files: map[string]string{"index.html": "another with the same version"}})
	if changed := d.mustInstall(t, "drive"); changed.Checksum == first.Checksum || len(d.read(t, changed)) != 1 || len(d.read(t, first)) != 3 {
		t.Errorf("changed: %+v", changed)
	}
}

// TestProgress is told in bytes, upwards, to the end.
func TestProgress(t *testing.T) {
	t.Parallel()
	r := published(t, registrytest.App{Slug: "drive", Tarball: registrytest.Noise(3, 1<<20)})
	d := newDoor(t, nil, r.URL)
	var dones []int64
	_, err := d.Install(t.Context(), d.target, source(t, "drive"), func(done, total int64) {
		if total < 3<<20 || done > total {
			t.Errorf("%d of %d bytes", done, total)
		}
		dones = append(dones, done)
	})
	if err != nil || !slices.IsSorted(dones) || len(dones) < 5 || len(dones) > 20 || dones[0] != 0 || dones[len(dones)-1] < 3<<20 {
		t.Errorf("%v, %v", dones, err)
	}
}

// TestAddresses: tarballs at relative URLs and behind redirects; no request has credentials.
func TestAddresses(t *testing.T) {
	t.Parallel()
	r := published(t,
		registrytest.App{Slug: "relative", Answer: map[string]any{"url": "/tarballs/relative/1.0.0"}},
		registrytest.App{Slug: "upward", Answer: map[string]any{"url": "../../../tarballs/upward/1.0.0"}},
		registrytest.App{Slug: "moved", Answer: map[string]any{"url": "/tarballs/moving/1.0.0?token=hunter2"}},
	)
	r.Add(t, registrytest.App{Slug: "moving", ServeTarball: func(w http.ResponseWriter, req *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		http.Redirect(w, req, "/tarballs/moved/1.0.0?step=2", http.StatusTemporaryRedirect)
	}})
	d := newDoor(t, nil, r.URL)
	for _, slug := range []string{"relative", "upward", "moved"} {
		d.mustInstall(t, slug)
	}
	for _, header := range r.Headers() {
		for name := range header {
			if !slices.Contains([]string{"User-Agent", "Accept", "Accept-Encoding"}, name) {
				t.Errorf("a request has %s", name)
			}
		}
	}
}

// TestInstallAll: results in order, some at a time, and one that fails alone.
func TestInstallAll(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int32
	r := registrytest.New(t)
	var sources []apps.Source
	for _, slug := range []string{"a", "b", "c", "d", "e", "f"} {
		good := registrytest.Tarball(registrytest.File("index.html", slug))
		app := registrytest.App{Slug: slug, Tarball: good, ServeTarball: func(w http.ResponseWriter, _ *http.Request) {
			n := running.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			_ = good(w)
			running.Add(-1)
		}}
		if slug == "c" {
			app.Answer = map[string]any{"sha256": strings.Repeat("0", 64)}
		}
		r.Add(t, app)
		sources = append(sources, source(t, slug))
	}
	d := newDoor(t, func(o *apps.Options) { o.Limits.Parallel = 2 }, r.URL)
	var told sync.Map
	results := d.InstallAll(t.Context(), d.target, sources, func(s apps.Source, _, _ int64) { told.Store(s.Slug, true) })
	for i, result := range results {
		if result.Source != sources[i] || (result.Err == nil) != (result.Installed != nil) || (result.Err != nil) != (result.Source.Slug == "c") {
			t.Errorf("result %d: %+v", i, result)
		}
		if _, ok := told.Load(result.Source.Slug); !ok {
			t.Errorf("nothing was told of %s", result.Source.Slug)
		}
	}
	var failed *apps.Error
	if err := results[2].Err; !errors.As(err, &failed) || failed.App != "c" || !errors.Is(err, apps.ErrChecksum) || err.Error() != "c: the tarball's checksum is not the registry's" {
		t.Errorf("%v", err)
	}
	if n := most.Load(); n > 2 {
		t.Errorf("%d at a time", n)
	}
}

// TestCancel: whoever waits for a turn, or for bytes, stops when it is told to.
func TestCancel(t *testing.T) {
	t.Parallel()
	started := make(chan struct{}, 1)
	r := published(t, registrytest.App{Slug: "slow", ServeTarball: func(_ http.ResponseWriter, req *http.Request) {
		started <- struct{}{}
		<-req.Context().Done()
	}})
	d := newDoor(t, func(o *apps.Options) { o.Limits.Parallel = 1 }, r.URL)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	for _, result := range d.InstallAll(ctx, d.target, []apps.Source{source(t, "slow"), source(t, "slow")}, nil) {
		if !errors.Is(result.Err, context.Canceled) {
			t.Error(result.Err)
		}
	}
	d.untouched(t)
}
