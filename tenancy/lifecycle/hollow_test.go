// Hollow: databases of instances that are names alone, so that hundreds of adds that
// are about names and the journal, which are real, take seconds on a slow server.

package lifecycle_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// hollow answers for the databases of instances, in place of the server. All lines
// of a fleet share one.
type hollow struct {
	mu    sync.Mutex
	on    bool
	names map[string]bool
	rooms *rooms // in place of names alone, where a test looks into the databases
}

// switchOn begins; there may be no real database of an instance then.
func (h *hollow) switchOn() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on, h.names = true, map[string]bool{}
}

func (h *hollow) list(ctx context.Context) ([]string, error) {
	if h.rooms != nil {
		return h.rooms.store.ListDBs(ctx, "")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.names)), nil
}

// serve answers a request for such a database; false leaves it to the server.
func (h *hollow) serve(w http.ResponseWriter, r *http.Request) bool {
	if h.rooms != nil {
		return h.rooms.serve(w, r)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	name, bulk := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/_bulk_docs")
	if !h.on || !strings.HasPrefix(name, "cozy") {
		return false
	}
	status, answer := http.StatusOK, any(map[string]bool{"ok": true})
	switch {
	case r.Method == http.MethodPut && h.names[name]:
		status, answer = http.StatusPreconditionFailed, map[string]string{"error": "file_exists", "reason": "it is there"}
	case r.Method == http.MethodPut:
		h.names[name], status = true, http.StatusCreated
	case !h.names[name]:
		status, answer = http.StatusNotFound, map[string]string{"error": "not_found", "reason": "no such database"}
	case r.Method == http.MethodDelete:
		delete(h.names, name)
	case bulk:
		status, answer = http.StatusCreated, written(r)
	default:
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // a client that has gone is no concern
	return true
}

// written says that each document of a bulk is there.
func written(r *http.Request) []map[string]any {
	var body struct {
		Docs []struct {
			ID string `json:"_id"`
		} `json:"docs"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body) // no answers then, which the client refuses
	out := []map[string]any{}
	for _, doc := range body.Docs {
		out = append(out, map[string]any{"ok": true, "id": doc.ID, "rev": "1-0"})
	}
	return out
}
