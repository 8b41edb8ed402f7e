// Storage: what holds for every place.

package files_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/files"
)

var contents = map[string]string{
	"index.html":       "<p>hello</p>",
	"empty.txt":        "",
	"public/icon.svg":  "<svg/>",
	"deep/er/x.js":     strings.Repeat("x", 100_000),
	"name with é.json": "{}",
	"archive.br":       "brotli already",
}

// TestPrepareAndRemove: an instance's files come and go, twice each, and another's stay.
func TestPrepareAndRemove(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p *place) {
		for range 2 {
			prepare(t, p, alice, "/Administrative", "/Photos", "/Photos/Uploaded from Cozy Photos")
		}
		prepare(t, p, bob)
		if p.own(t, alice) == 0 || p.own(t, bob) == 0 {
			t.Fatal("nothing is there")
		}
		before := p.own(t, bob)
		for range 2 {
			if err := p.Remove(t.Context(), alice); err != nil {
				t.Fatal(err)
			}
		}
		if n := p.own(t, alice); n != 0 {
			t.Errorf("%d things are left", n)
		}
		if n := p.own(t, bob); n != before {
			t.Errorf("the other has %d things, and had %d", n, before)
		}
	})
}

// TestApp: files are seen after Commit, whole, and not before.
func TestApp(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p *place) {
		prepare(t, p, alice)
		for _, app := range []files.App{drive, {Kind: files.Konnector, Slug: "bank", Version: "2.0.0-beta.1-" + strings.Repeat("f", 64)}} {
			w := write(t, p, alice, app, contents)
			if has, err := p.HasApp(t.Context(), alice, app); has || err != nil || p.read(t, alice, app) != nil {
				t.Fatalf("%s is there before its Commit (%v)", app.Slug, err)
			}
			if err := w.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if has, err := p.HasApp(t.Context(), alice, app); !has || err != nil {
				t.Errorf("%s is not there after its Commit (%v)", app.Slug, err)
			}
			if got := p.read(t, alice, app); !maps.Equal(got, contents) {
				t.Errorf("%s has %q", app.Slug, got)
			}
			if err := w.Abort(t.Context()); err != nil || p.read(t, alice, app) == nil {
				t.Errorf("an Abort after the Commit of %s: %v", app.Slug, err)
			}
			if n := p.unfinished(t, alice); n != 0 {
				t.Errorf("%d unfinished things are left", n)
			}
		}
	})
}

// TestAbort leaves nothing, with a file open, after a cancel, and twice.
func TestAbort(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p *place) {
		prepare(t, p, alice)
		before := p.own(t, alice)
		ctx, cancel := context.WithCancel(t.Context())
		w, err := p.CreateApp(ctx, alice, drive)
		if err != nil {
			t.Fatal(err)
		}
		if err := writeFile(t, w, "a/b.txt", "b", 1); err != nil {
			t.Fatal(err)
		}
		f, err := w.Create(ctx, "open.txt", 10)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write([]byte("half"))
		cancel()
		for range 2 {
			if err := w.Abort(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if n := p.unfinished(t, alice); n != 0 || p.read(t, alice, drive) != nil {
			t.Errorf("%d unfinished things are left", n)
		}
		if n := p.own(t, alice); n != before {
			t.Errorf("%d things are there, and there were %d", n, before)
		}
		if err := writeFile(t, w, "c.txt", "c", 1); err == nil {
			t.Error("a file can be written after the Abort")
		}
		if err := w.Commit(t.Context()); err == nil {
			t.Error("Commit after the Abort")
		}
	})
}

// TestSameVersionTwice: whoever is first wins, and the others do not notice.
func TestSameVersionTwice(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p *place) {
		prepare(t, p, alice)
		var group sync.WaitGroup
		for range 8 {
			s := p.open(t)
			group.Go(func() {
				w, err := s.CreateApp(t.Context(), alice, drive)
				if err != nil {
					t.Error(err)
					return
				}
				for name, content := range contents {
					if err := writeFile(t, w, name, content, int64(len(content))); err != nil {
						t.Error(err)
					}
				}
				if err := w.Commit(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if got := p.read(t, alice, drive); !maps.Equal(got, contents) {
			t.Errorf("the app has %q", got)
		}
		if n := p.unfinished(t, alice); n != 0 {
			t.Errorf("%d unfinished things are left", n)
		}
	})
}

// TestWriterRefuses: names twice, names that lead elsewhere, wrong sizes, and a wrong order of calls.
func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p *place) {
		prepare(t, p, alice)
		w := write(t, p, alice, drive, map[string]string{"a.txt": "a"})
		if err := writeFile(t, w, "a.txt", "b", 1); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a second a.txt: %v", err)
		}
		for _, name := range badNames {
			if err := writeFile(t, w, name, "b", 1); !errors.Is(err, files.ErrName) {
				t.Errorf("%.40q: %v", name, err)
			}
		}
		for _, size := range []int64{0, 2, 4} {
			if err := writeFile(t, w, fmt.Sprintf("size%d.txt", size), "abc", size); err == nil {
				t.Errorf("3 bytes in a file of %d", size)
			}
		}
		f, err := w.Create(t.Context(), "open.txt", 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Create(t.Context(), "other.txt", 0); err == nil {
			t.Error("two files are open")
		}
		if err := w.Commit(t.Context()); err == nil {
			t.Error("Commit with an open file")
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("a second Close: %v", err)
		}
	})
}

// TestCancelled: nothing is done in a context that has ended, and what was begun can go on.
func TestCancelled(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p *place) {
		prepare(t, p, alice, "/Photos")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.Prepare(ctx, bob, []string{"/Photos"}); !errors.Is(err, context.Canceled) {
			t.Errorf("Prepare: %v", err)
		}
		if err := p.Remove(ctx, alice); !errors.Is(err, context.Canceled) || p.own(t, alice) == 0 {
			t.Errorf("Remove: %v", err)
		}
		if _, err := p.HasApp(ctx, alice, drive); !errors.Is(err, context.Canceled) {
			t.Errorf("HasApp: %v", err)
		}
		if _, err := p.CreateApp(ctx, alice, drive); !errors.Is(err, context.Canceled) {
			t.Errorf("CreateApp: %v", err)
		}
		if err := p.Remove(t.Context(), alice); err != nil || p.own(t, alice) != 0 {
			t.Errorf("Remove: %v", err)
		}
	})
}

// TestAppNames: what is no app has no files.
func TestAppNames(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p *place) {
		prepare(t, p, alice)
		sum := strings.Repeat("0", 64)
		for _, app := range []files.App{
			{}, {Kind: "x", Slug: "drive", Version: drive.Version}, {Kind: files.Webapp, Slug: "drive"},
			{Kind: files.Webapp, Slug: "..", Version: drive.Version}, {Kind: files.Webapp, Slug: "a/b", Version: drive.Version},
			{Kind: files.Webapp, Slug: "Drive", Version: drive.Version}, {Kind: files.Webapp, Slug: strings.Repeat("a", 65), Version: drive.Version},
			{Kind: files.Webapp, Slug: "drive", Version: "1.2.3"}, {Kind: files.Webapp, Slug: "drive", Version: "../1.2.3-" + sum},
			{Kind: files.Webapp, Slug: "drive", Version: "1/2-" + sum}, {Kind: files.Webapp, Slug: "drive", Version: strings.Repeat("1", 200) + "-" + sum},
		} {
			if _, err := p.CreateApp(t.Context(), alice, app); !errors.Is(err, files.ErrName) {
				t.Errorf("CreateApp(%+v): %v", app, err)
			}
			if _, err := p.HasApp(t.Context(), alice, app); !errors.Is(err, files.ErrName) {
				t.Errorf("HasApp(%+v): %v", app, err)
			}
		}
	})
}

// TestDirectories: what is no path of a directory is refused, before anything is made.
func TestDirectories(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p *place) {
		for _, dir := range []string{"", "/", "Photos", "/../x", "/a/../../x", "//a", "/a/", "/a\\b", "/a\x00"} {
			if err := p.Prepare(t.Context(), alice, []string{"/Photos", dir}); !errors.Is(err, files.ErrName) {
				t.Errorf("%q: %v", dir, err)
			}
		}
		if err := p.Prepare(t.Context(), alice, make([]string, 1001)); err == nil {
			t.Error("1,001 directories")
		}
		if p.own(t, alice) != 0 {
			t.Error("something was made")
		}
	})
}

// TestOpen: which URLs are taken. An error says what is allowed, and no password.
func TestOpen(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"file:///var/lib/cozy", "file://localhost/var/lib/cozy/", " file:///var/lib/cozy", "file:///var/lib/co%20zy",
		"swift://keystone.example/?UserName=u&Password=p", "swift+https://keystone.example:5000/v3?UserName=u&Password=p&ProjectName=c&UserDomainName=d&Timeout=60",
		"swift+http://keystone.example/v3?UserID=u&Password=p&ProjectID=c&UserDomainID=d&ProjectDomainName=e&ProjectDomainID=f&Region=g&Timeout=60s&AuthVersion=3",
		"swift://keystone.example/?UserName=u&Password=p&Timeout=",
	} {
		if _, err := files.Open(url, clock(time.Unix(0, 0))); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{
		"", "/var/lib/cozy", "secret", "file:", "file://", "file:///", "file:///..", "file://server/share-secret", "file:secret", "file:///a?secret=1", "file:///a#secret",
		"file://u:secret@localhost/a", "ftp://secret", "http://u:secret@example.com", "mem://", "swift://", "swift:///?UserName=secret", ":secret", "file:///%zz-secret",
		"swift://u:secret@keystone.example/?UserName=u", "swift://k/?UserName=u&Password=a&secret=b", "swift://k/?Password=secret&Password=b", "swift://k/?Timeout=secret",
		"swift://k/?AuthVersion=secret", "swift://k/?AuthVersion=4", "swift://k/?Timeout=-1s", "swift://k/?Password=%zzsecret", "swift://k/#secret",
	} {
		_, err := files.Open(url)
		if err == nil {
			t.Errorf("%s is taken", url)
			continue
		}
		if text := err.Error(); !strings.Contains(text, "file:///var/lib/cozy") || strings.Contains(text, "secret") || strings.Contains(text, "\n") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
