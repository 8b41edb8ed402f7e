// Values: storing, loading, deleting, listing.

package certstoretest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

var valueTests = []test{
	{"nothing is there", func(s *suite) {
		_, err := s.Load(s.ctx, "a/b")
		s.missing(err, "load")
		_, err = s.Stat(s.ctx, "a/b")
		s.missing(err, "stat")
		_, err = s.List(s.ctx, "a", true)
		s.missing(err, "recursive list")
		_, err = s.List(s.ctx, "a/b", false)
		s.missing(err, "list")
		if s.Exists(s.ctx, "a/b") || s.Exists(s.ctx, "a") {
			s.Error("it exists")
		}
		s.must(s.Delete(s.ctx, "a/b"))
		s.lists("", true)
		s.lists("", false)
	}},
	{"store and load", func(s *suite) {
		s.store("a/b/c", "a/b/d")
		s.has("a/b/c", "value of a/b/c")
		s.has("a/b/d", "value of a/b/d")
		s.must(s.Store(s.ctx, "a/b/c", []byte("another")))
		s.has("a/b/c", "another")
		s.must(s.Store(s.ctx, "a/b/c", []byte("x")))
		s.has("a/b/c", "x")
	}},
	{"empty values", func(s *suite) {
		s.must(s.Store(s.ctx, "nil", nil))
		s.must(s.Store(s.ctx, "empty", []byte{}))
		s.store("full")
		s.must(s.Store(s.ctx, "full", nil))
		for _, key := range []string{"nil", "empty", "full"} {
			got, err := s.Load(s.ctx, key)
			if err != nil || got == nil || len(got) != 0 {
				s.Errorf("%s: %v, %v", key, got, err)
			}
			if !s.Exists(s.ctx, key) {
				s.Errorf("%s does not exist", key)
			}
			found, err := s.Stat(s.ctx, key)
			if err != nil || found.Size != 0 || !found.IsTerminal {
				s.Errorf("%s: %+v, %v", key, found, err)
			}
		}
	}},
	{"bytes of all kinds", func(s *suite) {
		value := make([]byte, 1<<12)
		for i := range value {
			value[i] = byte(i * 7)
		}
		s.must(s.Store(s.ctx, "bytes", value))
		s.has("bytes", string(value))
		given := bytes.Clone(value)
		clear(given)
		s.has("bytes", string(value))
	}},
	{"sizes", func(s *suite) {
		for _, size := range []int{1, 16 << 10, 16<<10 + 1, 256 << 10, 256<<10 + 1, 1 << 20} {
			value := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
			s.must(s.Store(s.ctx, "size", value))
			got, err := s.Load(s.ctx, "size")
			if err != nil || !bytes.Equal(got, value) {
				s.Fatalf("%d bytes: %d, %v", size, len(got), err)
			}
			found, err := s.Stat(s.ctx, "size")
			if err != nil || found.Size != int64(size) {
				s.Fatalf("%d bytes: %+v, %v", size, found, err)
			}
		}
		s.lists("", true, "size")
		s.must(s.Delete(s.ctx, "size"))
		s.lists("", true)
	}},
	{"stat", func(s *suite) {
		s.store("a/b.crt")
		found, err := s.Stat(s.ctx, "a/b.crt")
		if err != nil || found.Key != "a/b.crt" || found.Size != int64(len("value of a/b.crt")) || !found.IsTerminal {
			s.Errorf("%+v, %v", found, err)
		}
		if age := time.Since(found.Modified); age < -time.Minute || age > patience {
			s.Errorf("stored %s ago", age)
		}
		found, err = s.Stat(s.ctx, "a")
		if err != nil || found.Key != "a" || found.IsTerminal {
			s.Errorf("directory: %+v, %v", found, err)
		}
		_, err = s.Stat(s.ctx, "a/b")
		s.missing(err, "the beginning of a name")
		if !s.Exists(s.ctx, "a") || !s.Exists(s.ctx, "a/b.crt") || s.Exists(s.ctx, "a/b") {
			s.Error("what exists is wrong")
		}
	}},
	{"a directory has no value", func(s *suite) {
		s.store("a/b")
		if value, err := s.Load(s.ctx, "a"); err == nil {
			s.Errorf("%q", value)
		}
	}},
	{"lists", func(s *suite) {
		s.store("a/b/c/1", "a/b/c/2", "a/b/d", "a/b-c/1", "a/b.c", "a/bc", "a/x", "b/1", "z")
		s.lists("", false, "a", "b", "z")
		s.lists("", true, "a", "a/b", "a/b/c", "a/b/c/1", "a/b/c/2", "a/b/d", "a/b-c", "a/b-c/1", "a/b.c", "a/bc", "a/x", "b", "b/1", "z")
		s.lists("a", false, "a/b", "a/b-c", "a/b.c", "a/bc", "a/x")
		s.lists("a/b", false, "a/b/c", "a/b/d")
		s.lists("a/b", true, "a/b/c", "a/b/c/1", "a/b/c/2", "a/b/d")
		s.lists("a/b/c", false, "a/b/c/1", "a/b/c/2")
		s.lists("z", true)
		_, err := s.List(s.ctx, "a/b/c/3", false)
		s.missing(err, "list")
		_, err = s.List(s.ctx, "a/b/", true)
		s.must(err)
	}},
	{"long lists", func(s *suite) {
		var sites, all []string
		for i := range 150 {
			site := fmt.Sprintf("certs/s%03d", i)
			sites = append(sites, site)
			all = append(all, site)
			for j := range 2 + i%2 {
				all = append(all, fmt.Sprintf("%s/%d", site, j))
				s.store(fmt.Sprintf("%s/%d", site, j))
			}
		}
		s.store("certs-not", "certt/1")
		s.lists("certs", false, sites...)
		s.lists("certs", true, all...)
		s.lists("", false, "certs", "certs-not", "certt")
	}},
	{"deletes", func(s *suite) {
		s.store("a/b/1", "a/b/2/3", "a/bc", "a/b.c", "a/b-c/1", "a/c")
		s.must(s.Delete(s.ctx, "a/b"))
		s.lists("a", true, "a/b-c", "a/b-c/1", "a/b.c", "a/bc", "a/c")
		s.must(s.Delete(s.ctx, "a/bc"))
		s.must(s.Delete(s.ctx, "a/bc"))
		s.must(s.Delete(s.ctx, "a/no/such"))
		_, err := s.Load(s.ctx, "a/bc")
		s.missing(err, "load")
		s.must(s.Delete(s.ctx, "a"))
		_, err = s.Load(s.ctx, "a/c")
		s.missing(err, "load")
		s.store("a/c")
		s.has("a/c", "value of a/c")
	}},
	{"delete of many", func(s *suite) {
		for i := range 250 {
			s.must(s.Store(s.ctx, fmt.Sprintf("many/%03d/v", i), nil))
		}
		s.store("manyother")
		s.must(s.Delete(s.ctx, "many"))
		s.lists("", false, "manyother")
	}},
	{"spellings of a key", func(s *suite) {
		s.store("a/b")
		for _, key := range []string{"/a/b", "a//b", "a/./b", "a/c/../b"} {
			s.has(key, "value of a/b")
		}
		s.must(s.Store(s.ctx, "/a//b", []byte("one")))
		s.has("a/b", "one")
		s.must(s.Delete(s.ctx, "a//b"))
		_, err := s.Load(s.ctx, "a/b")
		s.missing(err, "load")
	}},
	{"odd characters", func(s *suite) {
		keys := []string{
			"acme-v02.api.letsencrypt.org-directory/wildcard_.example.com/wildcard_.example.com.crt", "a b/c d", "100%/%41", "é/ü",
			"plus+minus-/=&?#[]", "@user/me@example.com", "quote\"'\\n", "_underscore", "~tilde", "{brace}", "日本/語", "A/b", "!x",
		}
		s.store(keys...)
		for _, key := range keys {
			s.has(key, "value of "+key)
			if found, err := s.Stat(s.ctx, key); err != nil || found.Key != key {
				s.Errorf("%q: %+v, %v", key, found, err)
			}
		}
		all, err := s.List(s.ctx, "", true)
		s.must(err)
		for _, key := range keys {
			if !slices.Contains(all, key) {
				s.Errorf("the list has no %q: %q", key, all)
			}
			s.must(s.Delete(s.ctx, key))
			_, err := s.Load(s.ctx, key)
			s.missing(err, key)
		}
	}},
	{"no value at the root", func(s *suite) {
		if s.Store(s.ctx, "", []byte("x")) == nil || s.Store(s.ctx, "/", []byte("x")) == nil {
			s.Error("the root has a value")
		}
		if _, err := s.Load(s.ctx, ""); err == nil {
			s.Error("the root has a value")
		}
	}},
	{"writers at once", func(s *suite) {
		const writers, rounds = 6, 4
		values := map[string]bool{}
		for i := range writers {
			values[strings.Repeat(string(rune('a'+i)), 20<<10)] = true
		}
		s.must(s.Store(s.ctx, "k", []byte(strings.Repeat("a", 20<<10))))
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				for range rounds {
					if err := s.Store(s.ctx, "k", []byte(strings.Repeat(string(rune('a'+i)), 20<<10))); err != nil {
						s.Errorf("store: %v", err)
					}
					got, err := s.Load(s.ctx, "k")
					if err != nil || !values[string(got)] {
						s.Errorf("load: %.20q of %d bytes, %v", got, len(got), err)
					}
				}
			})
		}
		all.Wait()
		s.lists("", true, "k")
	}},
	{"different keys at once", func(s *suite) {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for j := range 8 {
					key := fmt.Sprintf("d%d/v%d", i%4, i*8+j)
					if err := s.Store(s.ctx, key, []byte(key)); err != nil {
						s.Error(err)
					}
					if got, err := s.Load(s.ctx, key); err != nil || string(got) != key {
						s.Errorf("%s: %q, %v", key, got, err)
					}
				}
			})
		}
		all.Wait()
		if all, err := s.List(s.ctx, "", true); err != nil || len(all) != 4+64 {
			s.Errorf("%d keys, %v", len(all), err)
		}
	}},
	{"opened again", func(s *suite) {
		large := strings.Repeat("large", 100<<10)
		s.store("a/b", "c")
		s.must(s.Store(s.ctx, "large", []byte(large)))
		s.Storage = s.Again()
		s.has("a/b", "value of a/b")
		s.has("large", large)
		s.lists("", true, "a", "a/b", "c", "large")
		s.must(s.Store(s.ctx, "c", []byte("again")))
		s.must(s.Delete(s.ctx, "a"))
		s.Storage = s.Again()
		s.has("c", "again")
		s.must(s.Delete(s.ctx, "large"))
		_, err := s.Load(s.ctx, "a/b")
		s.missing(err, "load")
	}},
}
