// Import: many instances in one request, each added, or modified where it exists.

package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// Limits of an import.
const (
	maxItems          = 200 // in one request
	importConcurrency = 4   // by default
	maxConcurrency    = 16
)

// What became of an item of an import.
const (
	outcomeAdded     = "added"
	outcomeModified  = "modified"
	outcomeUnchanged = "unchanged"
	outcomeFailed    = "failed"
)

// itemResult is what became of one item, a line of the answer.
type itemResult struct {
	Index    int      `json:"index"` // in the request, from 0
	Domain   string   `json:"domain"`
	Outcome  string   `json:"outcome"`
	Status   int      `json:"status,omitempty"` // of HTTP, where it has failed
	Error    string   `json:"error,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	Failed   []string `json:"failed_apps,omitempty"`
}

// importMany answers with a line for each item, as it is done. When the client
// goes, or the store, what has begun is finished, and nothing more is begun.
func (h *handler) importMany(app App, w http.ResponseWriter, r *http.Request) error {
	parallel, err := concurrency(r)
	if err != nil {
		return err
	}
	items, err := readItems(r)
	if err != nil {
		return err
	}
	p := &progress{w: w, stream: true}
	p.start()
	var group errgroup.Group
	group.SetLimit(parallel)
	var done, failed atomic.Int64
	var down atomic.Bool
	for i, item := range items {
		if r.Context().Err() != nil || down.Load() {
			break
		}
		group.Go(func() error {
			h.imports <- struct{}{}
			result := h.importOne(app, r, item)
			<-h.imports
			result.Index = i
			done.Add(1)
			if result.Outcome == outcomeFailed {
				failed.Add(1)
			}
			if result.Status == http.StatusServiceUnavailable {
				down.Store(true)
			}
			p.line(result)
			return nil
		})
	}
	_ = group.Wait() // none of them returns an error
	h.log.Info("instances imported", zap.Int("items", len(items)), zap.Int64("done", done.Load()), zap.Int64("failed", failed.Load()))
	return nil
}

func concurrency(r *http.Request) (int, error) {
	text := r.URL.Query().Get("Concurrency")
	if text == "" {
		return importConcurrency, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxConcurrency {
		return 0, &tenancy.FieldError{Field: "Concurrency", Problem: "is not a number", Allowed: fmt.Sprintf("1 to %d", maxConcurrency)}
	}
	return n, nil
}

// readItems reads a body of lines, each a JSON object or empty.
func readItems(r *http.Request) ([][]byte, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != ndjson {
		return nil, &apiError{
			status: http.StatusUnsupportedMediaType, title: "Unsupported Media Type",
			detail: "the body is a JSON object a line, of Content-Type " + ndjson,
		}
	}
	raw, err := io.ReadAll(r.Body) // bounded by the handler
	if err != nil {
		return nil, err
	}
	var items [][]byte
	for line := range bytes.Lines(raw) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			items = append(items, line)
		}
	}
	if len(items) > maxItems {
		return nil, &apiError{
			status: http.StatusRequestEntityTooLarge, title: "Content Too Large",
			detail: fmt.Sprintf("there are %d lines; %d are the most for one request", len(items), maxItems),
		}
	}
	return items, nil
}

// importOne adds or modifies one instance.
func (h *handler) importOne(app App, r *http.Request, line []byte) itemResult {
	result := itemResult{Outcome: outcomeFailed}
	if err := h.upsert(app, r, line, &result); err != nil {
		e := describe(err)
		result.Outcome, result.Status, result.Error = outcomeFailed, e.status, e.detail
		if e.status >= 500 {
			h.log.Error("importing an instance", zap.String("domain", result.Domain), zap.Error(err))
		}
	}
	return result
}

func (h *handler) upsert(app App, r *http.Request, line []byte, result *itemResult) error {
	var body map[string]json.RawMessage
	if err := json.Unmarshal(line, &body); err != nil {
		return errBadBody
	}
	values, err := bodyValues(body)
	if err != nil {
		return err
	}
	result.Domain = values["Domain"].text
	ask, err := changeOf(values)
	if err != nil {
		return err
	}
	if ask.dryRun {
		return &tenancy.FieldError{Field: "DryRun", Problem: "is not for an import"}
	}
	domain, err := tenancy.ParseDomain(ask.domain)
	if err != nil {
		return err
	}
	ctx, done := work(app, r)
	defer done()
	err = h.modifyItem(ctx, app, domain, ask.change, result)
	if !errors.Is(err, tenancy.ErrNotFound) {
		return err
	}
	added, err := app.Lifecycle().Add(ctx, domain, ask.change, nil)
	if errors.Is(err, tenancy.ErrExists) { // somebody else was quicker, or a try whose answer was lost
		if err := h.modifyItem(ctx, app, domain, ask.change, result); !errors.Is(err, tenancy.ErrNotFound) {
			return err
		}
	}
	if err != nil {
		return err
	}
	result.Outcome, result.Warnings, result.Failed = outcomeAdded, added.Warnings, added.Failed
	return nil
}

// modifyItem modifies an instance that exists. What only a new one can be given is
// left out: a file that is imported twice has it in both.
func (h *handler) modifyItem(ctx context.Context, app App, domain tenancy.Domain, change lifecycle.Change, result *itemResult) error {
	var left []string
	if change.Passphrase != nil {
		left = append(left, "Passphrase is for a new instance, and was left out; set-passphrase changes that of another")
	}
	if change.Apps != nil {
		left = append(left, "Apps is for a new instance, and was left out; install-apps adds some to another")
	}
	change.Passphrase, change.Apps, change.CouchCluster, change.SendLink = nil, nil, nil, false
	inst, differences, err := app.Lifecycle().Preview(ctx, domain.String(), change)
	if err != nil {
		return err
	}
	if key, _ := tenancy.HostKey(inst.Domain()); key != domain.Key() {
		return tenancy.Existsf("%s is an alias of %s", domain, inst.Domain())
	}
	result.Warnings = left
	result.Outcome = outcomeUnchanged
	if len(differences) == 0 {
		return nil
	}
	if _, err := app.Lifecycle().Modify(ctx, domain.String(), change); err != nil {
		return err
	}
	result.Outcome = outcomeModified
	return nil
}
