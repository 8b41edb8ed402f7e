// Watch: the changes of instances as server-sent events.
// https://html.spec.whatwg.org/multipage/server-sent-events.html

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

const (
	// maxWatchers bounds the watchers of one front door.
	maxWatchers = 32
	// heartbeat is the time between two comments that keep a quiet stream alive.
	heartbeat = 15 * time.Second
	// maxSince bounds the place that a client says it has come to.
	maxSince = 4096
)

// Change is one event of the watch.
type Change struct {
	Type   string `json:"type"` // changed or removed
	ID     string `json:"id"`   // of the document
	Rev    string `json:"rev"`
	Domain string `json:"domain,omitempty"` // not of one that is removed
	State  string `json:"state,omitempty"`
	Reason string `json:"reason,omitempty"` // of a block
}

func changeEvent(c couch.Change) (Change, bool) {
	if c.Deleted {
		return Change{Type: "removed", ID: c.ID, Rev: c.Rev}, true
	}
	inst, err := tenancy.ParseInstance(c.Doc)
	if err != nil { // the directory reports it
		return Change{}, false
	}
	out := Change{Type: "changed", ID: c.ID, Rev: c.Rev, Domain: inst.Domain(), State: inst.State().String()}
	if inst.State() == tenancy.Blocked {
		out.Reason = string(inst.BlockingReason())
	}
	return out, true
}

// watch streams changes from now on, or from where Last-Event-ID or the parameter
// since say. The last event of what the store gave at once has the id to go on
// from, on any front door: who comes back sees some events again, and misses
// none. It ends with the configuration, and with what it cannot read.
func (h *handler) watch(app App, w http.ResponseWriter, r *http.Request) error {
	since := r.Header.Get("Last-Event-ID")
	if since == "" {
		since = r.URL.Query().Get("since")
	}
	if len(since) > maxSince || strings.ContainsAny(since, "\r\n\x00") {
		return &tenancy.FieldError{Field: "since", Problem: "is no place in the changes", Allowed: "the id of an event"}
	}
	if since == "" {
		since = lifecycle.Now
	}
	select {
	case h.watchers <- struct{}{}:
		defer func() { <-h.watchers }()
	default:
		return &apiError{
			status: http.StatusServiceUnavailable, title: "Service Unavailable",
			detail: fmt.Sprintf("%d are watching already, which is the most on one front door", maxWatchers),
		}
	}
	// It does not hold the store open, since it has no end of its own.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var gone <-chan struct{} // never, where nobody says
	if l, ok := app.(Living); ok {
		gone = l.Done()
	}
	go func() { // it ends with ctx at the latest
		select {
		case <-h.quit:
			cancel()
		case <-gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	e := &events{w: w, controller: http.NewResponseController(w)}
	var wait time.Duration // none at first, so that a place that is wrong is told in the answer's status
	for {
		last, err := app.Lifecycle().Follow(ctx, since, wait, e.change)
		if err == nil {
			since = last
			err = e.flush(last)
		}
		switch {
		case err == nil:
		case ctx.Err() != nil || e.failed != nil: // the client, or the configuration, has gone
			return nil
		case !e.begun && errors.Is(err, couch.ErrRefused):
			return &tenancy.FieldError{Field: "since", Problem: "is no place that the store knows", Allowed: "the id of an event, or nothing for now"}
		case !e.begun:
			return err
		default:
			h.log.Warn("a watch ended, and its client will come back", zap.Error(err))
			return nil
		}
		if h.app() != app { // another configuration, perhaps with another store
			return nil
		}
		wait = heartbeat
	}
}

// events writes events. It holds one back, since the last has the id.
type events struct {
	w          http.ResponseWriter
	controller *http.ResponseController
	begun      bool
	held       []byte
	failed     error
}

func (e *events) write(format string, args ...any) {
	if e.failed != nil {
		return
	}
	if !e.begun {
		e.begun = true
		e.w.Header().Set("Content-Type", "text/event-stream")
		e.w.WriteHeader(http.StatusOK)
	}
	_ = e.controller.SetWriteDeadline(time.Now().Add(writeTime))
	_, e.failed = fmt.Fprintf(e.w, format, args...)
}

// change is for Follow.
func (e *events) change(c couch.Change) error {
	event, ok := changeEvent(c)
	if !ok {
		return nil
	}
	raw, err := json.Marshal(event)
	if err != nil {
		return err
	}
	if e.held != nil {
		e.write("event: %s\ndata: %s\n\n", "instance", e.held)
	}
	e.held = raw
	return e.failed
}

// flush ends what the store gave at once; without events it writes a comment.
func (e *events) flush(last string) error {
	if e.held != nil {
		e.write("id: %s\nevent: %s\ndata: %s\n\n", last, "instance", e.held)
		e.held = nil
	} else {
		e.write("id: %s\n: nothing new\n\n", last)
	}
	if e.failed == nil {
		e.failed = e.controller.Flush()
	}
	return e.failed
}
