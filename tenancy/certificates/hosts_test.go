// A directory that tests write, and a storage that fails as it is told.

package certificates_test

import (
	"context"
	"io/fs"
	"iter"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/certmagic"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// hosts implements certificates.Hosts.
type hosts struct {
	mu            sync.Mutex
	owners        map[string]certificates.Owner
	quarantined   map[string]bool
	uninstalled   map[string]bool // slugs
	installedErr  error
	installedAsks int
	unloaded      bool
	gone          func(*certificates.Record) (bool, error) // nil for what the directory says
	goneAsks      int
	owned         map[string]int // how often Owner was asked
}

func newHosts(names ...string) *hosts {
	h := &hosts{owners: map[string]certificates.Owner{}, quarantined: map[string]bool{}, uninstalled: map[string]bool{}, owned: map[string]int{}}
	for _, name := range names {
		h.owners[name] = certificates.Owner{Instance: "of-" + name}
	}
	return h
}

func (h *hosts) change(fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fn()
}

func (h *hosts) set(name string, o certificates.Owner) { h.change(func() { h.owners[name] = o }) }
func (h *hosts) remove(name string)                    { h.change(func() { delete(h.owners, name) }) }

func (h *hosts) Owner(name string) (o certificates.Owner, ok bool) {
	h.change(func() {
		o, ok = h.owners[name]
		h.owned[name]++
	})
	return o, ok
}

func (h *hosts) Names() iter.Seq2[string, certificates.Owner] {
	return func(yield func(string, certificates.Owner) bool) {
		var all map[string]certificates.Owner
		h.change(func() { all = maps.Clone(h.owners) })
		for name, o := range all {
			if o.Parent == "" && !yield(name, o) {
				return
			}
		}
	}
}

func (h *hosts) Quarantined(name string) (is bool) {
	h.change(func() { is = h.quarantined[name] })
	return is
}

func (h *hosts) Installed(_ context.Context, app certificates.Owner) (is bool, err error) {
	h.change(func() {
		h.installedAsks++
		is, err = !h.uninstalled[app.Slug], h.installedErr
	})
	return is, err
}

func (h *hosts) Loaded() (is bool) {
	h.change(func() { is = !h.unloaded })
	return is
}

func (h *hosts) Gone(_ context.Context, rec *certificates.Record) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.goneAsks++
	if h.gone != nil {
		return h.gone(rec)
	}
	_, known := h.owners[rec.Name]
	return !known, nil
}

func (h *hosts) goneAsked() (n int) {
	h.change(func() { n = h.goneAsks })
	return n
}

// faulty is a storage that fails while it is down.
type faulty struct {
	certmagic.Storage
	down  atomic.Bool
	tried atomic.Int64 // while it was down
	loads atomic.Int64
	gate  atomic.Pointer[chan struct{}] // loads wait until it is closed
}

var errDown = &fs.PathError{Op: "open", Path: "storage", Err: fs.ErrPermission}

func (s *faulty) err() error {
	if s.down.Load() {
		s.tried.Add(1)
		return errDown
	}
	return nil
}

func (s *faulty) Load(ctx context.Context, key string) ([]byte, error) {
	s.loads.Add(1)
	if gate := s.gate.Load(); gate != nil {
		<-*gate
	}
	if err := s.err(); err != nil {
		return nil, err
	}
	return s.Storage.Load(ctx, key)
}

func (s *faulty) Store(ctx context.Context, key string, value []byte) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Storage.Store(ctx, key, value)
}

func (s *faulty) Lock(ctx context.Context, name string) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Storage.Lock(ctx, name)
}
