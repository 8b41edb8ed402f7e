// Files of the cache: who can read them, what damages them, how many there are.

package certstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
)

// files are the files of a cache.
func files(t *testing.T, folder string) (paths []string) {
	t.Helper()
	must(t, filepath.WalkDir(folder, func(path string, item fs.DirEntry, err error) error {
		if err == nil && !item.IsDir() {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}

// TestFilesOfTheCache: only this user can read them, no key leads out of the folder,
// and nothing in them is readable.
func TestFilesOfTheCache(t *testing.T) {
	outside := t.TempDir()
	folder := filepath.Join(outside, "cache")
	s := open(t, certstore.Options{Cluster: embeddedCluster(t), Cache: folder})
	for _, name := range []string{"../escape", "a/../../escape", "/etc/passwd", "a\x00b", strings.Repeat("long", 250), "a/b", "..", "a/.."} {
		err := s.Store(t.Context(), name, bytes.Repeat([]byte(pem), 1000))
		if strings.HasSuffix(name, "..") != (err != nil) { // those are the root
			t.Errorf("%.20q: %v", name, err)
		}
	}
	must(t, s.Store(t.Context(), "small", []byte(pem)))
	all := files(t, outside)
	if len(all) != 6 { // two of them are "escape"
		t.Errorf("%d files: %q", len(all), all)
	}
	for _, path := range all {
		if !strings.HasPrefix(path, folder+"/") {
			t.Errorf("%s is outside of the folder", path)
		}
		content, err := os.ReadFile(path)
		must(t, err)
		if bytes.Contains(content, []byte("PRIVATE KEY")) {
			t.Errorf("%s is readable", path)
		}
		for p, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700, folder: 0o700} {
			if found, err := os.Stat(p); err != nil || found.Mode().Perm() != want {
				t.Errorf("%s: %v, %v, want %v", p, found.Mode(), err, want)
			}
		}
	}
}

// TestForeignFilesInTheCache: a folder that was chosen badly loses nothing.
func TestForeignFilesInTheCache(t *testing.T) {
	folder := t.TempDir()
	foreign := []string{"gatehouse.db", "ab/notes.txt", "abc/" + strings.Repeat("0", 62), strings.Repeat("0", 64), "deep/er/file.new", "ab/" + strings.Repeat("0", 62) + ".new"}
	for _, name := range foreign {
		path := filepath.Join(folder, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, []byte("somebody's"), 0o600))
		must(t, os.Chtimes(path, time.Time{}, time.Now().Add(-48*time.Hour)))
	}
	left := filepath.Join(folder, "cd", strings.Repeat("0", 62)+"."+strings.Repeat("a", 32)+".new")
	must(t, os.MkdirAll(filepath.Dir(left), 0o700))
	must(t, os.WriteFile(left, []byte("half of a va"), 0o600))
	must(t, os.Chtimes(left, time.Time{}, time.Now().Add(-48*time.Hour)))
	must(t, os.Chmod(folder, 0o755))
	s := open(t, certstore.Options{Cluster: embeddedCluster(t), Cache: folder, CacheEntries: 1})
	must(t, s.Store(t.Context(), "k", nil))
	wait(t, "what a crash has left is gone", func() error {
		if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
			return errNotYet
		}
		return nil
	})
	must(t, s.Store(t.Context(), "l", nil))
	must(t, s.Close())
	for _, name := range foreign {
		if content, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(content) != "somebody's" {
			t.Errorf("%s: %q, %v", name, content, err)
		}
	}
	if found, err := os.Stat(folder); err != nil || found.Mode().Perm() != 0o755 {
		t.Errorf("the folder's mode is %v, %v", found.Mode(), err)
	}
}

// TestDamagedCache: a file that was changed in any way is reported, goes, and is not
// served; and one that was put in the place of another is not either.
func TestDamagedCache(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path, other string){
		"a byte": func(t *testing.T, path, _ string) {
			content, err := os.ReadFile(path)
			must(t, err)
			content[len(content)/2] ^= 1
			must(t, os.WriteFile(path, content, 0o600))
		},
		"cut off": func(t *testing.T, path, _ string) { must(t, os.Truncate(path, 100)) },
		"empty":   func(t *testing.T, path, _ string) { must(t, os.Truncate(path, 0)) },
		"of another": func(t *testing.T, path, other string) {
			content, err := os.ReadFile(other)
			must(t, err)
			must(t, os.WriteFile(path, content, 0o600))
		},
	} {
		for _, when := range []string{"while it runs", "before its start"} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				g := newGate(t)
				folder := t.TempDir()
				log, logs := logged()
				o := certstore.Options{Cluster: g.cluster(), Database: g.db(), Cache: folder, Logger: log, Times: certstore.Times{WriteDown: time.Second}}
				s := openUnclosed(t, o)
				must(t, s.Store(t.Context(), "k", []byte("v")))
				path := files(t, folder)[0]
				must(t, s.Store(t.Context(), "other", []byte("w")))
				other := files(t, folder)
				other = slices.DeleteFunc(other, func(p string) bool { return p == path })
				if when == "before its start" {
					must(t, s.Close())
					s = openUnclosed(t, o)
				}
				defer s.Close()
				damage(t, path, other[0])
				g.shut()
				if got, err := s.Load(t.Context(), "k"); !errors.Is(err, tenancy.ErrUnavailable) || got != nil {
					t.Errorf("%q, %v", got, err)
				}
				wait(t, "it is reported", func() error {
					if messages(logs, "the cache has no use for a certificate's file")+messages(logs, "is damaged, and goes") == 0 {
						return errNotYet
					}
					return nil
				})
				wait(t, "the file is gone", func() error {
					if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
						return errNotYet
					}
					return nil
				})
				if got, err := s.Load(t.Context(), "other"); err != nil || string(got) != "w" {
					t.Errorf("the other one: %q, %v", got, err)
				}
			})
		}
	}
}

// TestCacheIsBounded by files and by bytes; what was used last stays.
func TestCacheIsBounded(t *testing.T) {
	c := embeddedCluster(t)
	for name, o := range map[string]certstore.Options{
		"entries": {CacheEntries: 5},
		"bytes":   {CacheBytes: 8000},
	} {
		folder := t.TempDir()
		o.Cluster, o.Cache = c, folder
		s := openUnclosed(t, o)
		wait(t, "the folder is read in", func() error {
			for i := range 20 {
				must(t, s.Store(t.Context(), fmt.Sprintf("k%02d", i), make([]byte, 1000)))
				if _, err := s.Load(t.Context(), "k00"); err != nil {
					t.Fatal(err)
				}
			}
			all, size := files(t, folder), int64(0)
			for _, path := range all {
				found, err := os.Stat(path)
				must(t, err)
				size += found.Size()
			}
			if o.CacheEntries > 0 && len(all) > o.CacheEntries || o.CacheBytes > 0 && size > o.CacheBytes {
				return fmt.Errorf("%s: %d files of %d bytes", name, len(all), size)
			}
			if len(all) < 4 {
				t.Fatalf("%s: only %d files", name, len(all))
			}
			return nil
		})
		if name == "bytes" {
			must(t, s.Store(t.Context(), "huge", make([]byte, 5000))) // does not push out the others
			if n := len(files(t, folder)); n < 4 {
				t.Errorf("%d files", n)
			}
		}
		kept := len(files(t, folder))
		must(t, s.Close())
		// Another start with a smaller bound.
		o.CacheEntries, o.CacheBytes = 2, 0
		s = openUnclosed(t, o)
		s.Exists(t.Context(), "k00")
		wait(t, "the bound holds", func() error {
			if n := len(files(t, folder)); n != 2 {
				return fmt.Errorf("%s: %d files of %d", name, n, kept)
			}
			return nil
		})
		must(t, s.Close())
	}
}

// TestCacheThatCannotBeWritten costs nothing but itself, and is said once.
func TestCacheThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	log, logs := logged()
	s := open(t, certstore.Options{Cluster: embeddedCluster(t), Cache: filepath.Join(file, "cache"), Logger: log})
	for range 3 {
		must(t, s.Store(t.Context(), "k", []byte("v")))
		if got, err := s.Load(t.Context(), "k"); err != nil || string(got) != "v" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if n := messages(logs, "cannot be written to the cache"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}
