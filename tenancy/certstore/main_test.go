// What the tests share: stores, keys, a clock, and the child processes.

package certstore_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
	"github.com/gatehouse-edge/gatehouse/tenancy/certstore/certstoretest"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

func TestMain(m *testing.M) {
	if os.Getenv(childURL) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m,
		// FileStorage's goroutine ends up to 5 s after its lock.
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"))
}

// text of keys, of which none may be seen in a log or an error.
func keyText(n byte) string {
	secret := bytes.Repeat([]byte{n, 0xa5, n ^ 0x3c, 0x77}, 8)
	return base64.StdEncoding.EncodeToString(secret)
}

func key(t testing.TB, n byte) *certstore.Key {
	t.Helper()
	k, err := certstore.ParseKey(keyText(n))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ring is one of these keys, the current one first.
func ring(t testing.TB, current byte, older ...byte) *certstore.Ring {
	t.Helper()
	var rest []*certstore.Key
	for _, n := range older {
		rest = append(rest, key(t, n))
	}
	r, err := certstore.NewRing(key(t, current), rest...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// open makes a Store that ends with the test. What is not given gets what suits tests.
func open(t testing.TB, o certstore.Options) *certstore.Store {
	t.Helper()
	s := openUnclosed(t, o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openUnclosed(t testing.TB, o certstore.Options) *certstore.Store {
	t.Helper()
	if o.Ring == nil {
		o.Ring = ring(t, 1)
	}
	if o.Database == "" {
		o.Database = "certs"
	}
	// Long enough for a machine that is busy with other tests.
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&o.Times.Poll, 10 * time.Millisecond}, {&o.Times.Read, time.Minute}, {&o.Times.Cached, time.Minute},
		{&o.Times.Write, time.Minute}, {&o.Times.Lock, time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	s, err := certstore.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// embeddedCluster is an embedded store of the test's own.
func embeddedCluster(t testing.TB) *couch.Cluster { return testkit.EmbeddedStore(t).Cluster }

// logged is a logger, and what it has written.
func logged() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return zap.New(core), logs
}

// clock is a clock that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_000_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// wait tries until check is content.
func wait(t testing.TB, what string, check func() error) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var err error
	for begun := time.Now(); time.Since(begun) < 30*time.Second; <-tick.C {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("waiting until %s: %v", what, err)
}

var errNotYet = errors.New("not yet")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestFileStorage holds certmagic's own storage to the suite.
func TestFileStorage(t *testing.T) {
	certstoretest.Run(t, func(t *testing.T) certstoretest.Subject {
		path := t.TempDir()
		return certstoretest.Subject{
			Storage: &certmagic.FileStorage{Path: path},
			Again:   func() certmagic.Storage { return &certmagic.FileStorage{Path: path} },
		}
	})
}

// conform holds a Store on some store to the suite, with a cache and without.
func conform(t *testing.T, newStore func(t testing.TB) testkit.NamedStore) {
	for name, cached := range map[string]bool{"with a cache": true, "without a cache": false} {
		t.Run(name, func(t *testing.T) {
			certstoretest.Run(t, func(t *testing.T) certstoretest.Subject {
				on := newStore(t)
				o := certstore.Options{Cluster: on.Cluster, Database: on.DB("certificates")}
				again := func() certmagic.Storage {
					if cached {
						o.Cache = t.TempDir()
					}
					return open(t, o)
				}
				return certstoretest.Subject{Storage: again(), Again: again}
			})
		})
	}
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	conform(t, testkit.EmbeddedStore)
}

func TestPouchDB(t *testing.T) {
	t.Parallel()
	conform(t, testkit.PouchDBStore)
}

func TestCouchDB(t *testing.T) {
	if _, _, _, ok := testkit.CouchDB(t); !ok {
		t.Skipf("set %s to a CouchDB, as http://admin:password@127.0.0.1:5984", testkit.CouchDBVariable)
	}
	conform(t, func(t testing.TB) testkit.NamedStore {
		on, _ := testkit.CouchDBStore(t)
		return on
	})
}
