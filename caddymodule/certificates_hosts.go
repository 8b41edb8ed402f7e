// Hosts of certificates: the directory, as the keeping of certificates sees it.

package caddymodule

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// certificateHosts are the hosts of a directory. The name of an instance that has a port
// counts where it is that of HTTPS: a certificate's name has none.
type certificateHosts struct {
	dir       *directory.Directory
	mode      func() directory.Mode
	port      *atomic.Uint32 // that HTTPS is served on
	lifecycle func() *lifecycle.Service
	installed func(context.Context, certificates.Owner) error // as appHosts.allowed
}

// Owner implements certificates.Hosts. A name that an instance has itself, as an alias
// www.alice.org beside alice.org, is no host of an app, though it is served as one.
func (h certificateHosts) Owner(name string) (certificates.Owner, bool) {
	m, ok := h.resolve(name, h.mode())
	if !ok {
		return certificates.Owner{}, false
	}
	o := certificates.Owner{Instance: m.Entry.ID(), Deleting: m.Entry.State() == tenancy.Deleting}
	if m.Slug == "" {
		return o, true
	}
	if own, ok := h.resolve(name, directory.Off); !ok || !own.Entry.Is(m.Entry) {
		o.Slug, o.Parent = strings.Clone(m.Slug), h.unported(m.Key)
	}
	return o, true
}

// resolve finds a name with the port of HTTPS, or without one.
func (h certificateHosts) resolve(name string, mode directory.Mode) (directory.Match, bool) {
	return h.dir.ResolveAt(name, uint16(h.port.Load()), mode)
}

// Names implements certificates.Hosts.
func (h certificateHosts) Names() iter.Seq2[string, certificates.Owner] {
	return func(yield func(string, certificates.Owner) bool) {
		for e := range h.dir.All() {
			o := certificates.Owner{Instance: e.ID(), Deleting: e.State() == tenancy.Deleting}
			for _, name := range h.namesOf(e) {
				if !yield(name, o) {
					return
				}
			}
		}
	}
}

// namesOf are the names of an entry that a certificate can have.
func (h certificateHosts) namesOf(e directory.Entry) (names []string) {
	if e.IsZero() {
		return nil
	}
	all := append([]string{e.Key()}, e.Aliases()...)
	if old := e.OldDomain(); old != "" {
		all = append(all, old)
	}
	for _, key := range all {
		if name := h.unported(key); !strings.Contains(name, ":") {
			names = append(names, name)
		}
	}
	return names
}

// Quarantined implements certificates.Hosts.
func (h certificateHosts) Quarantined(name string) bool {
	mode := h.mode()
	return h.dir.Decide(name, mode).Code == tenancy.CodeQuarantined ||
		h.dir.Decide(h.ported(name), mode).Code == tenancy.CodeQuarantined
}

// Installed implements certificates.Hosts.
func (h certificateHosts) Installed(ctx context.Context, app certificates.Owner) (bool, error) {
	err := h.installed(ctx, app)
	if errors.Is(err, errNotInstalled) {
		return false, nil
	}
	return err == nil, err
}

// Loaded implements certificates.Hosts. What a snapshot has may be long gone.
func (h certificateHosts) Loaded() bool { return h.dir.Status().State == directory.Following }

// Gone implements certificates.Hosts.
func (h certificateHosts) Gone(ctx context.Context, rec *certificates.Record) (bool, error) {
	key := rec.Name
	if rec.Parent != "" {
		key = rec.Parent
	}
	return h.lifecycle().Abandoned(ctx, rec.Instance, key, h.ported(key))
}

func (h certificateHosts) ported(name string) string { return name + ":" + h.portText() }

func (h certificateHosts) portText() string { return strconv.FormatUint(uint64(h.port.Load()), 10) }

func (h certificateHosts) unported(key string) string {
	if name, port, ok := strings.Cut(key, ":"); ok && port == h.portText() {
		return name
	}
	return key
}

// see is told of each change in the directory: what is new is ordered, and what is gone
// is let go of. It never waits.
func (h certificateHosts) see(s *certificates.Service, apps []string, old, new directory.Entry) {
	now, before := h.namesOf(new), h.namesOf(old)
	back := !old.IsZero() && !new.IsZero() && old.State() == tenancy.Deleting && new.State() != tenancy.Deleting
	for _, name := range now {
		if back || !slices.Contains(before, name) {
			s.Want(name)
		}
	}
	for _, name := range before {
		if slices.Contains(now, name) {
			continue
		}
		s.Forget(name)
		s.Want(name)
		for _, slug := range apps {
			host := h.mode().Host(name, slug)
			s.Forget(host)
			s.Want(host)
		}
	}
}

// Interface guard
var _ certificates.Hosts = certificateHosts{}
