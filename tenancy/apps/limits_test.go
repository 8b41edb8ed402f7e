// Limits: sizes and times, and that no tarball is ever in memory.

package apps_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/apps"
	"github.com/gatehouse-edge/gatehouse/tenancy/apps/registrytest"
	"github.com/gatehouse-edge/gatehouse/tenancy/files"
)

// TestSizes: each limit holds by what comes, whatever was said before.
func TestSizes(t *testing.T) {
	t.Parallel()
	small := apps.Limits{Tarball: 1 << 20, Unpacked: 4 << 20, File: 3 << 20, Files: 100, Manifest: 4 << 10}
	for name, app := range map[string]registrytest.App{
		"tarball":      {Tarball: registrytest.Noise(2, 600<<10), Answer: map[string]any{"size": "10"}},
		"endless":      registrytest.Endless(),
		"file":         registrytest.Bomb(8 << 20),
		"bomb":         registrytest.Bomb(5 << 20),
		"header-bomb":  registrytest.HeaderBomb(6 << 20),
		"files":        registrytest.Many(101),
		"answer":       {Manifest: map[string]any{"x": strings.Repeat("x", 5<<10)}},
		"file-in-many": {Tarball: registrytest.Tarball(registrytest.Zeros("a", 1), registrytest.Zeros("b", 3<<20+1))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app.Slug = name
			r := published(t, app)
			d := newDoor(t, func(o *apps.Options) { o.Limits = small }, r.URL)
			if _, err := d.install(t, name); !errors.Is(err, apps.ErrTooLarge) {
				t.Error(err)
			} else {
				t.Log(err)
			}
			d.untouched(t)
		})
	}
	for name, app := range map[string]registrytest.App{
		"most":          {Tarball: registrytest.Tarball(registrytest.Zeros("a", 3<<20), registrytest.Zeros("b", 1<<20))},
		"many":          registrytest.Many(100),
		"said-too-much": {Answer: map[string]any{"size": 1 << 40}}, // what comes counts
		"said-nothing":  {Answer: map[string]any{"size": nil}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app.Slug = name
			r := published(t, app)
			newDoor(t, func(o *apps.Options) { o.Limits = small }, r.URL).mustInstall(t, name)
		})
	}
}

// TestSlow: a registry that is slow is not waited for, and a caller's own time limit holds.
func TestSlow(t *testing.T) {
	t.Parallel()
	for name, app := range registrytest.Slow() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app.Slug = name
			r := published(t, app)
			d := newDoor(t, func(o *apps.Options) {
				o.Limits = apps.Limits{Answer: 300 * time.Millisecond, Download: 500 * time.Millisecond, Idle: 200 * time.Millisecond}
			}, r.URL)
			if _, err := d.install(t, name); !errors.Is(err, apps.ErrSlow) {
				t.Error(err)
			} else {
				t.Log(err)
			}
			d.untouched(t)
			patient := newDoor(t, nil, r.URL)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := patient.Install(ctx, patient.target, source(t, name), nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			patient.untouched(t)
		})
	}
}

// sampled is a storage that looks at the heap whenever something is written.
type sampled struct {
	files.Storage
	peak  uint64
	bytes int64
}

func (s *sampled) CreateApp(ctx context.Context, inst files.Instance, app files.App) (files.AppWriter, error) {
	w, err := s.Storage.CreateApp(ctx, inst, app)
	return &sampledApp{w, s}, err
}

type sampledApp struct {
	files.AppWriter
	s *sampled
}

func (a *sampledApp) Create(ctx context.Context, name string, size int64) (io.WriteCloser, error) {
	f, err := a.AppWriter.Create(ctx, name, size)
	return &sampledFile{f, a.s}, err
}

type sampledFile struct {
	io.WriteCloser
	s *sampled
}

func (f *sampledFile) Write(p []byte) (int, error) {
	if f.s.bytes += int64(len(p)); f.s.bytes/(1<<20) != (f.s.bytes-int64(len(p)))/(1<<20) {
		f.s.look()
	}
	return f.WriteCloser.Write(p)
}

func (s *sampled) look() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.peak = max(s.peak, m.HeapInuse)
}

// TestMemory: 64 MiB go through less than 20 MiB of heap. It runs alone.
func TestMemory(t *testing.T) {
	size := int64(16 << 20)
	if raceEnabled {
		size /= 4 // it compresses at 1 MiB a second
	}
	r := published(t, registrytest.App{Slug: "large", Tarball: registrytest.Noise(4, size)})
	var s *sampled
	d := newDoor(t, func(o *apps.Options) {
		s = &sampled{Storage: o.Files}
		o.Files = s
	}, r.URL)
	runtime.GC()
	s.look()
	before := s.peak
	d.mustInstall(t, "large")
	if s.bytes != 4*size || s.peak-before > 20<<20 {
		t.Errorf("%d bytes have taken %d KiB of heap", s.bytes, (s.peak-before)>>10)
	}
	t.Logf("%d KiB, then up to %d KiB", before>>10, s.peak>>10)
}

// TestPrivateAddresses: a registry does not lead into networks that it is not in itself.
func TestPrivateAddresses(t *testing.T) {
	t.Parallel()
	elsewhere := published(t, registrytest.App{Slug: "drive"})
	address := elsewhere.URL + "/tarballs/drive/1.0.0"
	r := published(t,
		registrytest.App{Slug: "drive", Answer: map[string]any{"url": address}},
		registrytest.App{Slug: "named", Answer: map[string]any{"url": strings.Replace(address, "127.0.0.1", "localhost", 1)}},
		registrytest.App{Slug: "mapped", Answer: map[string]any{"url": strings.Replace(address, "127.0.0.1", "[::ffff:127.0.0.1]", 1)}},
		registrytest.App{Slug: "metadata", Answer: map[string]any{"url": "http://169.254.169.254/latest/"}},
		registrytest.App{Slug: "shared", Answer: map[string]any{"url": "http://100.64.0.1/"}},
		registrytest.App{Slug: "led", ServeTarball: func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, address, http.StatusFound)
		}},
		registrytest.App{Slug: "answer", ServeAnswer: func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, address, http.StatusFound)
		}},
	)
	d := newDoor(t, nil, r.URL)
	for _, slug := range []string{"drive", "named", "mapped", "metadata", "shared", "led", "answer"} {
		if _, err := d.install(t, slug); !errors.Is(err, apps.ErrAddress) {
			t.Errorf("%s: %v", slug, err)
		}
	}
	if n := len(elsewhere.Requests()); n > 0 {
		t.Errorf("%d requests went there", n)
	}
	d.untouched(t)
	open := newDoor(t, func(o *apps.Options) { o.AllowPrivate = true }, r.URL)
	open.mustInstall(t, "drive")
}

// TestCheckRegistry: which URLs a registry can have.
func TestCheckRegistry(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"https://registry.example", "http://localhost:8090/", "https://registry.example/base/path/"} {
		if err := apps.CheckRegistry(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"", "registry.example", "ftp://secret", "https://u:secret@registry.example", "https://secret@r.example", "https://r.example/?secret", "https://r.example/#secret", "http://", "file:///secret", "http://%zzsecret"} {
		if err := apps.CheckRegistry(url); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
