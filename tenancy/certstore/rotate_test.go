// Rotation: other keys.

package certstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// keyOf is the id of the key that a value was sealed with.
func keyOf(t *testing.T, c *couch.Cluster, name string) string {
	t.Helper()
	return raw(t, c, "value/"+name)["key_id"].(string)
}

func TestRotation(t *testing.T) {
	c := embeddedCluster(t)
	before := open(t, certstore.Options{Cluster: c})
	large := bytes.Repeat([]byte(pem), 20_000)
	for i := range 100 {
		must(t, before.Store(t.Context(), fmt.Sprintf("v%03d", i), fmt.Append(nil, i)))
	}
	must(t, before.Store(t.Context(), "large", large))
	about, err := before.Stat(t.Context(), "large")
	must(t, err)

	s := open(t, certstore.Options{Cluster: c, Ring: ring(t, 2, 1), Cache: t.TempDir()})
	if got, err := s.Load(t.Context(), "v007"); err != nil || string(got) != "7" {
		t.Fatalf("under the old key: %q, %v", got, err)
	}
	must(t, s.Store(t.Context(), "v007", []byte("seven")))
	if keyOf(t, c, "v007") != key(t, 2).ID() || keyOf(t, c, "v008") != key(t, 1).ID() {
		t.Fatal("a value that is stored has not the current key")
	}
	// One that nobody can open does not keep the others from it.
	foreign := open(t, certstore.Options{Cluster: c, Ring: ring(t, 9)})
	must(t, foreign.Store(t.Context(), "v050", []byte("foreign")))
	var last certstore.Progress
	p, err := s.Rotate(t.Context(), func(p certstore.Progress) {
		if p.Seen <= last.Seen {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	})
	if !errors.Is(err, certstore.ErrUnknownKey) || !strings.Contains(err.Error(), "v050") || p != last || p != (certstore.Progress{Seen: 101, Sealed: 99, Failed: 1}) {
		t.Fatalf("%+v, %v", p, err)
	}
	must(t, s.Delete(t.Context(), "v050"))
	if p, err := s.Rotate(t.Context(), nil); err != nil || p != (certstore.Progress{Seen: 100}) {
		t.Fatalf("again: %+v, %v", p, err)
	}
	after := open(t, certstore.Options{Cluster: c, Ring: ring(t, 2)})
	for i := range 100 {
		if i == 7 || i == 50 {
			continue
		}
		if got, err := after.Load(t.Context(), fmt.Sprintf("v%03d", i)); err != nil || string(got) != fmt.Sprint(i) {
			t.Fatalf("v%03d: %q, %v", i, got, err)
		}
	}
	if got, err := after.Load(t.Context(), "large"); err != nil || !bytes.Equal(got, large) {
		t.Fatalf("large: %d bytes, %v", len(got), err)
	}
	if now, err := after.Stat(t.Context(), "large"); err != nil || !now.Modified.Equal(about.Modified) {
		t.Errorf("sealing anew has changed the time: %v, %v, %v", about.Modified, now.Modified, err)
	}
	if info, err := c.Info(t.Context(), "certs"); err != nil || info.Docs != 103 { // 99 small, a large one, its 3 chunks
		t.Errorf("%d documents, %v", info.Docs, err)
	}
	if _, err := before.Load(t.Context(), "v001"); !errors.Is(err, certstore.ErrUnknownKey) {
		t.Errorf("by the old key alone: %v", err)
	}
}

// TestResealSettles: with keys that are taken back at once, as by a reload that fails,
// nothing is sealed anew.
func TestResealSettles(t *testing.T) {
	c := embeddedCluster(t)
	log, logs := logged()
	s := open(t, certstore.Options{Cluster: c, Reseal: true, Logger: log, Times: certstore.Times{Settle: 50 * time.Millisecond}})
	must(t, s.Store(t.Context(), "value", []byte(pem)))
	must(t, s.Use(ring(t, 3, 1), 0))
	must(t, s.Use(ring(t, 2, 1), 0))
	wait(t, "the value is sealed anew", func() error {
		if keyOf(t, c, "value") == key(t, 1).ID() {
			return errNotYet
		}
		return nil
	})
	if keyOf(t, c, "value") != key(t, 2).ID() || logs.FilterField(zap.String("key", key(t, 3).ID())).Len() != 0 {
		t.Errorf("it is sealed with %s", keyOf(t, c, "value"))
	}
}

// TestReseal: a store that is given older keys seals anew by itself, once.
func TestReseal(t *testing.T) {
	c := embeddedCluster(t)
	log, logs := logged()
	s := open(t, certstore.Options{Cluster: c, Reseal: true, Logger: log, Times: certstore.Times{Settle: time.Millisecond}})
	must(t, s.Store(t.Context(), "value", []byte(pem)))
	const said = "every value is sealed with the current key"
	must(t, s.Use(ring(t, 2, 1), 0))
	wait(t, "the value is sealed anew", func() error {
		if logs.FilterMessage(said).Len() == 0 {
			return errNotYet
		}
		return nil
	})
	if keyOf(t, c, "value") != key(t, 2).ID() {
		t.Error("it has the old key")
	}
	must(t, s.Use(ring(t, 2), 0))
	if got, err := s.Load(t.Context(), "value"); err != nil || string(got) != pem {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.Use(nil, 0); !errors.Is(err, certstore.ErrNoKey) {
		t.Errorf("without keys: %v", err)
	}
}
