// Hooks: where events go, and how often it is tried.

package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// Kinds are the kinds of events that a hook can be told of.
var Kinds = []string{lifecycle.BeforeDestroy, lifecycle.AfterAdd, lifecycle.AfterBlock, lifecycle.SendLink}

// Outcomes of a delivery, as Options.Outcome is told.
const (
	Delivered   = "delivered"
	Refused     = "refused"     // the receiver said no
	Unavailable = "unavailable" // the receiver did not answer, or not well
	Canceled    = "canceled"    // the caller gave up
)

// Outcomes are all of them.
var Outcomes = []string{Delivered, Refused, Unavailable, Canceled}

// Options of Hooks. Only URLs and Secret have no default.
type Options struct {
	// URLs by kind of event; see CheckURL.
	URLs map[string]string
	// Secret is asked for at each delivery, so that a rotated one is taken up; see
	// ParseSecrets.
	Secret func() string
	// Logger is told of tries that fail. Default: none.
	Logger *zap.Logger
	// Outcome is told once for each delivery, from any goroutine. Default: none.
	Outcome func(kind, outcome string)

	Tries   int           // for one event; default DefaultTries
	TryTime time.Duration // for one try, to the end of the answer; default DefaultTryTime
	Total   time.Duration // for all tries with the pauses between; default DefaultTotal

	Now    func() time.Time                                 // default time.Now
	Sleep  func(ctx context.Context, d time.Duration) error // ctx's error where it ends before; default a timer
	Jitter func() float64                                   // from 0 to below 1; default math/rand/v2.Float64
}

// Defaults and limits of a delivery.
const (
	DefaultTries   = 5
	DefaultTryTime = 10 * time.Second
	DefaultTotal   = 90 * time.Second

	// firstPause is the pause after the first try; it doubles with each, up to maxPause.
	firstPause = 500 * time.Millisecond
	maxPause   = 10 * time.Second
	// maxRetryAfter bounds what a receiver can ask for by Retry-After.
	maxRetryAfter = 30 * time.Second
	// maxEvent bounds an event's JSON, in bytes. The specification recommends 20 kB.
	maxEvent = 64 << 10
	// maxConns bounds the connections to one receiver.
	maxConns = 16
)

// Hooks deliver events. They are safe for concurrent use; the order of an
// instance's events is their caller's, who delivers one at a time.
type Hooks struct {
	o      Options
	client *http.Client
}

// New makes Hooks. It makes no connection. The error is that of a URL, or of an
// unknown kind.
func New(o Options) (*Hooks, error) {
	for _, kind := range slices.Sorted(maps.Keys(o.URLs)) {
		if !slices.Contains(Kinds, kind) {
			return nil, fmt.Errorf("no event is of the kind %q", kind)
		}
		if err := CheckURL(o.URLs[kind]); err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
	}
	if o.Secret == nil {
		o.Secret = func() string { return "" }
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Outcome == nil {
		o.Outcome = func(string, string) {}
	}
	if o.Tries <= 0 {
		o.Tries = DefaultTries
	}
	if o.TryTime <= 0 {
		o.TryTime = DefaultTryTime
	}
	if o.Total <= 0 {
		o.Total = DefaultTotal
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	o.URLs = maps.Clone(o.URLs)
	return &Hooks{o: o, client: newClient()}, nil
}

// Close gives up idle connections. Deliveries under way go on.
func (h *Hooks) Close() { h.client.CloseIdleConnections() }

// Wants tells whether there is a URL for events of this kind.
func (h *Hooks) Wants(kind string) bool { return h.o.URLs[kind] != "" }

// Deliver tells the receiver of one event, with a few tries and within a bounded
// time. A receiver that says no makes an error that is a lifecycle.ErrRefused;
// one that cannot be reached, a tenancy.ErrUnavailable, which is ctx's error as
// well where that has ended. Neither repeats the event's link, the secret or the
// hook's URL.
func (h *Hooks) Deliver(ctx context.Context, event lifecycle.Event) error {
	if !h.Wants(event.Kind) {
		return nil
	}
	err := h.deliver(ctx, event)
	switch {
	case err == nil:
		h.o.Outcome(event.Kind, Delivered)
	case errors.Is(err, lifecycle.ErrRefused):
		h.o.Outcome(event.Kind, Refused)
	case ctx.Err() != nil:
		h.o.Outcome(event.Kind, Canceled)
	default:
		h.o.Outcome(event.Kind, Unavailable)
	}
	return err
}

func (h *Hooks) deliver(caller context.Context, event lifecycle.Event) error {
	secret := h.o.Secret()
	keys, err := ParseSecrets(secret)
	if err != nil {
		return tenancy.Unavailablef("the hook %s cannot be told: its secret %v", event.Kind, err)
	}
	body, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("the hook %s cannot be told: %w", event.Kind, err)
	}
	if len(body) > maxEvent {
		return tenancy.Unavailablef("the hook %s cannot be told: the event is larger than %d bytes", event.Kind, maxEvent)
	}
	m := message{id: messageID(event.ID), body: body, keys: keys, keep: kept(event.Link, secret)}
	until := h.o.Now().Add(h.o.Total)
	ctx, cancel := context.WithTimeout(caller, h.o.Total)
	defer cancel()
	for try := 1; ; try++ {
		a := h.send(ctx, h.o.URLs[event.Kind], m)
		switch {
		case a.ok():
			return nil
		case a.refusal():
			return &failure{text: fmt.Sprintf("the hook %s refuses: %s", event.Kind, a), is: []error{lifecycle.ErrRefused}}
		}
		last := &failure{text: fmt.Sprintf("the hook %s fails: %s (try %d)", event.Kind, a, try), is: []error{tenancy.ErrUnavailable}}
		if err := caller.Err(); err != nil {
			last.is = append(last.is, err)
			return last
		}
		pause := h.pause(try, a.retryAfter)
		if try == h.o.Tries || !a.again() || h.o.Now().Add(pause).After(until) {
			return last
		}
		h.o.Logger.Warn("telling a hook again", zap.String("hook", event.Kind), zap.String("domain", event.Domain),
			zap.String("event", event.ID), zap.Int("try", try), zap.Stringer("answer", a), zap.Duration("after", pause))
		if err := h.o.Sleep(ctx, pause); err != nil {
			last.is = append(last.is, err)
			return last
		}
	}
}

// pause is what comes after a try that failed: the double of the one before,
// less up to a half, so that front doors that failed together do not come
// together again; or what the receiver asks for.
func (h *Hooks) pause(try int, asked time.Duration) time.Duration {
	p := min(firstPause<<min(try-1, 10), maxPause)
	p -= time.Duration(h.o.Jitter() * float64(p) / 2)
	return max(p, min(asked, maxRetryAfter))
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// failure is an error of a delivery, with its own words.
type failure struct {
	text string
	is   []error
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return f.is }

var _ lifecycle.Hooks = (*Hooks)(nil)
