// App hosts: which hosts of apps may have a certificate.

package caddymodule

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/gatehouse-edge/gatehouse/internal/recent"
	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// Bounds of appHosts.
const (
	appLookTime = 2 * time.Second // of one look-up, with the wait for its turn
	appLooks    = 8               // look-ups at a time
	appFlights  = 256             // those and the ones that wait for their turn
	maxAppHosts = 10_000          // remembered answers, of yes and of no each

	appYesTime   = 10 * time.Minute
	appNoTime    = time.Minute // an app that has just been installed is not kept waiting for long
	appErrorTime = 5 * time.Second
)

// appHosts tells which hosts of apps may have a certificate. Everybody can make up hosts
// below that of an instance (x1.alice.example.com, x2.…), so that one for each that
// somebody has come to would be a million: it has to be one of the configured slugs, or
// the app has to be installed. That is looked up when it is asked for, and remembered.
//
// Yes and no are remembered apart, so that guesses do not drive the apps out that there
// are. Memory: 10,000 of each, of some 200 bytes. It is safe for concurrent use.
type appHosts struct {
	look   func(ctx context.Context, instance, slug string) (bool, error)
	now    func() time.Time
	flight singleflight.Group

	looking, flights chan struct{}

	mu  sync.Mutex
	yes *recent.Memory[appHost, time.Time] // until when
	no  *recent.Memory[appHost, appRefusal]
}

// appHost is an app of the instance with a document id.
type appHost struct{ instance, slug string }

type appRefusal struct {
	err   error
	until time.Time
}

// newAppHosts makes appHosts that look apps up, as lifecycle.Service.Installed does.
func newAppHosts(look func(ctx context.Context, instance, slug string) (bool, error), now func() time.Time) *appHosts {
	return &appHosts{
		look: look, now: now, looking: make(chan struct{}, appLooks), flights: make(chan struct{}, appFlights),
		yes: recent.New[appHost, time.Time](maxAppHosts), no: recent.New[appHost, appRefusal](maxAppHosts),
	}
}

// allowed tells whether the host of an app, of the instance with a document id, may have a
// certificate: where its slug is in the list, or the app is installed. It returns nil,
// errNotInstalled, or a tenancy.ErrUnavailable where that cannot be told. An answer from
// memory does not allocate.
func (a *appHosts) allowed(ctx context.Context, list []string, instance, slug string) error {
	if slices.Contains(list, slug) {
		return nil
	}
	if !mayBeSlug(slug) {
		return errNotInstalled // it costs no look-up
	}
	key := appHost{instance, slug}
	if err, known := a.known(key); known {
		return err
	}
	key.slug = strings.Clone(slug) // which is a part of a longer text
	found := a.flight.DoChan(instance+"/"+slug, func() (any, error) {
		// Not with the first one's context: others wait for the same.
		return nil, a.ask(context.WithoutCancel(ctx), key)
	})
	select {
	case r := <-found:
		return r.Err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", tenancy.ErrUnavailable, ctx.Err())
	}
}

// known is the answer from memory, if there is one.
func (a *appHosts) known(key appHost) (answer error, known bool) {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if until, ok := a.yes.Get(key); ok && now.Before(until) {
		return nil, true
	}
	if no, ok := a.no.Get(key); ok && now.Before(no.until) {
		return no.err, true
	}
	return nil, false
}

// ask looks an app up when it is its turn, and remembers the answer.
func (a *appHosts) ask(ctx context.Context, key appHost) error {
	if err, known := a.known(key); known { // from a look-up that has just ended
		return err
	}
	select {
	case a.flights <- struct{}{}:
		defer func() { <-a.flights }()
	default:
		return errAppsBusy
	}
	ctx, cancel := context.WithTimeout(ctx, appLookTime)
	defer cancel()
	select {
	case a.looking <- struct{}{}:
		defer func() { <-a.looking }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil { // with a turn or without one
		return errAppsBusy
	}
	installed, err := a.look(ctx, key.instance, key.slug)
	lasts := appErrorTime
	switch {
	case err != nil:
		err = fmt.Errorf("%w: looking for the app %s: %w", tenancy.ErrUnavailable, key.slug, err)
	case !installed:
		err, lasts = errNotInstalled, appNoTime
	}
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.yes.Put(key, now.Add(appYesTime))
	} else {
		a.no.Put(key, appRefusal{err, now.Add(lasts)})
	}
	return err
}

// mayBeSlug tells whether an app can have a slug: lower-case letters, digits and hyphens,
// which no slug begins or ends with.
func mayBeSlug(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
