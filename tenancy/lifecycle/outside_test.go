// Outside: what a front door has to do with beside the store, as files, apps and
// hooks, in memory. Each touch goes through the front door's line, so that it counts
// as a request and dies with the others.

package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// outside is that of a fleet.
type outside struct {
	wants []string // kinds of events that are told

	mu      sync.Mutex
	changed chan struct{}       // closed, and made anew, with each change
	files   map[string][]string // directories by domain
	events  []lifecycle.Event
	answer  func(lifecycle.Event) error // nil for yes
}

func newOutside(wants ...string) *outside {
	return &outside{wants: wants, changed: make(chan struct{}), files: map[string][]string{}}
}

// settings are those of a front door with this line.
func (o *outside) settings(l *line) lifecycle.Settings {
	return lifecycle.Settings{Files: shelf{o, l}, Apps: installer{o, l}, Hooks: listener{o, l}}
}

// door opens a front door that has to do with o, and whose pauses take no time.
func (o *outside) door(t testing.TB, f *fleet) *door {
	t.Helper()
	options, d := f.options(t)
	options.Sleep = func(ctx context.Context, _ time.Duration) bool { return ctx.Err() == nil }
	d.Service = lifecycle.New(options)
	d.Use(o.settings(d.line))
	return d
}

// change changes o under its lock, and wakes who waits.
func (o *outside) change(fn func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fn()
	close(o.changed)
	o.changed = make(chan struct{})
}

// replies sets what receivers of events answer from now on.
func (o *outside) replies(answer func(lifecycle.Event) error) { o.change(func() { o.answer = answer }) }

// told are the events of a kind so far, "" for all, that were taken.
func (o *outside) told(kind string) []lifecycle.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(o.events), func(e lifecycle.Event) bool { return kind != "" && e.Kind != kind })
}

// domains are those with files.
func (o *outside) domains() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Sorted(maps.Keys(o.files))
}

// until waits for something to be so.
func (o *outside) until(t testing.TB, what string, so func() bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		o.mu.Lock()
		changed := o.changed
		o.mu.Unlock()
		if so() {
			return
		}
		select {
		case <-changed:
		case <-time.After(10 * time.Millisecond): // it may be in the store alone
		case <-limit:
			t.Fatalf("%s: it did not come to that", what)
		}
	}
}

// shelf are the files.
type shelf struct {
	o    *outside
	line *line
}

func (s shelf) Prepare(ctx context.Context, inst lifecycle.Owner, directories []string) error {
	_, err := through(ctx, s.line, "FILES", "prepare", func(context.Context) (nothing, error) {
		s.o.change(func() { s.o.files[inst.Domain] = directories })
		return nothing{}, nil
	})
	return err
}

func (s shelf) Remove(ctx context.Context, inst lifecycle.Owner) error {
	_, err := through(ctx, s.line, "FILES", "remove", func(context.Context) (nothing, error) {
		s.o.change(func() { delete(s.o.files, inst.Domain) })
		return nothing{}, nil
	})
	return err
}

// installer are the apps: each with a manifest and a permission.
type installer struct {
	o    *outside
	line *line
}

func (installer) Check(apps []string) error {
	for _, app := range apps {
		if strings.Trim(app, "abcdefghijklmnopqrstuvwxyz") != "" {
			return &tenancy.FieldError{Field: "Apps", Problem: "is not the name of an app"}
		}
	}
	return nil
}

// brokenApp is one that no registry has.
const brokenApp = "broken"

func (i installer) Install(ctx context.Context, inst lifecycle.Owner, registries, apps []string, progress lifecycle.Progress) []lifecycle.AppResult {
	var out []lifecycle.AppResult
	for n, app := range apps {
		progress("app "+app, n, len(apps))
		result, err := through(ctx, i.line, "APP", app, func(context.Context) (lifecycle.AppResult, error) {
			if app == brokenApp {
				return lifecycle.AppResult{}, fmt.Errorf("none of %q has it", registries)
			}
			return lifecycle.AppResult{Version: "1.0.0", Docs: []lifecycle.AppDoc{
				{Doctype: "io.cozy.apps", ID: "io.cozy.apps/" + app, Doc: map[string]any{"slug": app, "from": registries}},
				{Doctype: "io.cozy.permissions", ID: provision.DocID(inst.ID, app), Doc: map[string]any{"source_id": "io.cozy.apps/" + app}},
			}}, nil
		})
		result.Slug, result.Err = app, err
		out = append(out, result)
	}
	return out
}

// listener are the hooks.
type listener struct {
	o    *outside
	line *line
}

func (l listener) Wants(kind string) bool { return slices.Contains(l.o.wants, kind) }

func (l listener) Deliver(ctx context.Context, event lifecycle.Event) error {
	_, err := through(ctx, l.line, "HOOK", event.Kind, func(context.Context) (nothing, error) {
		l.o.mu.Lock()
		answer := l.o.answer
		l.o.mu.Unlock()
		if answer != nil {
			if err := answer(event); err != nil {
				return nothing{}, err
			}
		}
		l.o.change(func() { l.o.events = append(l.o.events, event) })
		return nothing{}, nil
	})
	return err
}

// errAway is a receiver that does not answer.
var errAway = errors.New("the receiver does not answer")

var (
	_ lifecycle.Files = shelf{}
	_ lifecycle.Apps  = installer{}
	_ lifecycle.Hooks = listener{}
)
