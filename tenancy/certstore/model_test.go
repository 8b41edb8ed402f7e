// Model: a Store against a plain map, by random operations.

package certstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
)

// model is what a store has to be like.
type model map[string][]byte

// list gives the keys below a directory, those that are directories too.
func (m model) list(dir string, recursive bool) []string {
	found := map[string]bool{}
	for key := range m {
		rest, ok := strings.CutPrefix(key, dir+"/")
		if !ok {
			continue
		}
		parts := strings.Split(rest, "/")
		if !recursive {
			parts = parts[:1]
		}
		for i := range parts {
			found[path.Join(dir, path.Join(parts[:i+1]...))] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// TestModel: with two Stores on one database, each with its cache, and the keys
// changed in between.
func TestModel(t *testing.T) {
	t.Parallel()
	store := testkit.EmbeddedStore(t)
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		o := certstore.Options{Cluster: store.Cluster, Database: fmt.Sprintf("certs-%d", round)}
		var doors []*certstore.Store
		for range 2 {
			o.Cache = path.Join(t.TempDir(), "cache")
			s := openUnclosed(t, o)
			defer s.Close()
			doors = append(doors, s)
		}
		m := model{}
		parts := rapid.SampledFrom([]string{"a", "b", "a-b", "a.b", "A", "a b", "é"})
		keys := rapid.Custom(func(r *rapid.T) string {
			// Of one depth, so that none has a value and others below it.
			return path.Join(parts.Draw(r, "1"), parts.Draw(r, "2"), parts.Draw(r, "3"))
		})
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			s := doors[rapid.IntRange(0, 1).Draw(r, "door")]
			key := keys.Draw(r, "key")
			dir := path.Join(strings.Split(key, "/")[:rapid.IntRange(1, 3).Draw(r, "depth")]...)
			switch rapid.IntRange(0, 5).Draw(r, "operation") {
			case 0, 1:
				value := bytes.Repeat([]byte(key), rapid.SampledFrom([]int{0, 1, 10, 9_000}).Draw(r, "size"))
				if err := s.Store(t.Context(), key, value); err != nil {
					r.Fatalf("store %s: %v", key, err)
				}
				m[key] = value
			case 2:
				if err := s.Delete(t.Context(), dir); err != nil {
					r.Fatalf("delete %s: %v", dir, err)
				}
				maps.DeleteFunc(m, func(k string, _ []byte) bool { return k == dir || strings.HasPrefix(k, dir+"/") })
			case 3:
				got, err := s.Load(t.Context(), key)
				want, ok := m[key]
				if !ok && !errors.Is(err, fs.ErrNotExist) || ok && (err != nil || !bytes.Equal(got, want)) {
					r.Fatalf("load %s: %d bytes, %v, want %d", key, len(got), err, len(want))
				}
			case 4:
				recursive := rapid.Bool().Draw(r, "recursive")
				got, err := s.List(t.Context(), dir, recursive)
				slices.Sort(got)
				want := m.list(dir, recursive)
				_, isFile := m[dir]
				if len(want) == 0 && !isFile {
					if !errors.Is(err, fs.ErrNotExist) {
						r.Fatalf("list of nothing, %s: %v", dir, err)
					}
				} else if err != nil || !slices.Equal(got, want) {
					r.Fatalf("list %s: %q, %v, want %q", dir, got, err, want)
				}
			case 5:
				found, err := s.Stat(t.Context(), dir)
				value, isFile := m[dir]
				isDir := len(m.list(dir, false)) > 0
				if !isFile && !isDir {
					if !errors.Is(err, fs.ErrNotExist) || s.Exists(t.Context(), dir) {
						r.Fatalf("stat of nothing, %s: %+v, %v", dir, found, err)
					}
				} else if err != nil || found.IsTerminal != isFile || found.Size != int64(len(value)) || found.Key != dir {
					r.Fatalf("stat %s: %+v, %v, want a file %v of %d", dir, found, err, isFile, len(value))
				}
			}
			if rapid.IntRange(0, 9).Draw(r, "keys") == 0 {
				must(t, s.Use(ring(t, byte(rapid.IntRange(1, 2).Draw(r, "current")), 1, 2), 0))
				must(t, doors[0].Use(ring(t, 1, 2), 0))
				must(t, doors[1].Use(ring(t, 2, 1), 0))
			}
		}
	})
}
