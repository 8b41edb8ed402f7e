// Progress: the steps of a long change, as lines of JSON for who asks for them.

package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// ndjson is the media type by which a client asks for the steps: one JSON object
// a line, and the outcome in the last.
const ndjson = "application/x-ndjson"

// event is one line. All but the last have a step or a finding; the last has a
// status, with the body of the plain answer.
type event struct {
	Step   string `json:"step,omitempty"`
	Done   int    `json:"done,omitempty"`
	Total  int    `json:"total,omitempty"`
	Status int    `json:"status,omitempty"`

	Finding *lifecycle.Finding `json:"finding,omitempty"`

	Body json.RawMessage `json:"body,omitempty"`
}

// progress answers a change, with the steps or without.
type progress struct {
	w      http.ResponseWriter
	stream bool
	mu     sync.Mutex
	begun  bool
}

func newProgress(w http.ResponseWriter, r *http.Request) *progress {
	return &progress{w: w, stream: strings.Contains(r.Header.Get("Accept"), ndjson)}
}

// report is a lifecycle.Progress.
func (p *progress) report(step string, done, total int) {
	if p.stream {
		p.write(event{Step: step, Done: done, Total: total})
	}
}

// find tells of a finding.
func (p *progress) find(f lifecycle.Finding) error {
	p.write(event{Finding: &f})
	return nil
}

func (p *progress) write(e event) { p.line(e) }

// start tells the client that the work has begun.
func (p *progress) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	_ = http.NewResponseController(p.w).Flush()
}

// begin writes the head, once. p.mu is held.
func (p *progress) begin() {
	if !p.begun {
		p.begun = true
		p.w.Header().Set("Content-Type", ndjson)
		p.w.WriteHeader(http.StatusOK)
	}
}

// line writes one line.
func (p *progress) line(v any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	// A client that has gone does not end the work; one that takes nothing does not
	// hold it up for long.
	controller := http.NewResponseController(p.w)
	_ = controller.SetWriteDeadline(time.Now().Add(workTime + writeTime))
	_ = json.NewEncoder(p.w).Encode(v)
	_ = controller.Flush()
}

// end answers with the outcome.
func (p *progress) end(status int, body any) error {
	if !p.stream {
		if body == nil {
			p.w.WriteHeader(status)
			return nil
		}
		return writeJSON(p.w, status, jsonAPI, body)
	}
	e := event{Status: status}
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		e.Body = raw
	}
	p.write(e)
	return nil
}

// fail answers with an error: in its own status if nothing is written yet, else
// in the last line.
func (p *progress) fail(err error) error {
	p.mu.Lock()
	begun := p.begun
	p.mu.Unlock()
	if !begun {
		return err
	}
	e := describe(err)
	return p.end(e.status, e.document())
}
