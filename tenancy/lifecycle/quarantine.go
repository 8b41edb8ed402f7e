// Quarantine: names that are kept from others for a time, after their instance
// was destroyed. Each is a document of the claims' database, whose id begins with
// QuarantinePrefix, so that whoever follows the claims sees them.

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// QuarantinePrefix is how the ids of quarantines begin; no normal form does.
const QuarantinePrefix = "quarantine:"

// quarantineEnd is after all ids of quarantines.
const quarantineEnd = "quarantine;"

// maxQuarantine bounds a quarantine.
const maxQuarantine = 10 * 366 * 24 * time.Hour

// Quarantine is one name in quarantine.
type Quarantine struct {
	Key      string    `json:"name"` // normal form
	Domain   string    `json:"domain"`
	Instance string    `json:"instance"`
	Until    time.Time `json:"until"`
}

type quarantineDoc struct {
	ID  string `json:"_id"`
	Rev string `json:"_rev,omitempty"`
	Quarantine
}

// quarantine keeps the names of a destroy from others. Doing it twice is doing it once.
func (s *Service) quarantine(ctx context.Context, op Operation) error {
	until, err := time.Parse(time.RFC3339, op.Quarantine)
	if err != nil {
		return fmt.Errorf("operation %s: quarantine: %w", op.ID, err)
	}
	docs := make([]any, len(op.Names))
	for i, key := range op.Names {
		docs[i] = quarantineDoc{ID: QuarantinePrefix + key, Quarantine: Quarantine{Key: key, Domain: op.Domain, Instance: op.Instance, Until: until}}
	}
	results, err := s.global.Bulk(ctx, provision.ClaimsDB, docs)
	if err != nil {
		return err
	}
	for i, r := range results {
		if errors.Is(r.Err, couch.ErrConflict) { // one of an earlier instance, or of this destroy
			r.Err = replace(ctx, s.global, provision.ClaimsDB, QuarantinePrefix+op.Names[i], docs[i])
		}
		if r.Err != nil {
			return r.Err
		}
		s.dir.Quarantine(op.Names[i], until)
	}
	return nil
}

// checkQuarantine refuses names that are kept from others; quarantines is what
// GetMany found of them. Those that have ended are removed in passing.
func (s *Service) checkQuarantine(ctx context.Context, quarantines []quarantineDoc) error {
	var ended []quarantineDoc
	for _, q := range quarantines {
		if s.now().Before(q.Until) {
			return tenancy.Conflictf("%s is in quarantine until %s, since its instance %s was destroyed; `quarantine lift` ends it",
				q.Key, q.Until.UTC().Format(time.RFC3339), q.Domain)
		}
		ended = append(ended, q)
	}
	return s.endQuarantines(ctx, ended)
}

func (s *Service) endQuarantines(ctx context.Context, quarantines []quarantineDoc) error {
	if len(quarantines) == 0 {
		return nil
	}
	docs := make([]any, len(quarantines))
	for i, q := range quarantines {
		s.dir.Quarantine(q.Key, time.Time{})
		docs[i] = map[string]any{"_id": q.ID, "_rev": q.Rev, "_deleted": true}
	}
	results, err := s.global.Bulk(ctx, provision.ClaimsDB, docs)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil && !errors.Is(r.Err, couch.ErrConflict) && !errors.Is(r.Err, couch.ErrNotFound) {
			return r.Err // a conflict: somebody else ended it
		}
	}
	return nil
}

// quarantines gives the documents of all quarantines to fn, ended ones too.
func (s *Service) quarantines(ctx context.Context, fn func(quarantineDoc) error) error {
	err := s.global.Walk(ctx, provision.ClaimsDB, couch.Range{Start: QuarantinePrefix, End: quarantineEnd}, func(row couch.Row) error {
		var q quarantineDoc
		if err := json.Unmarshal(row.Doc, &q); err != nil {
			return fmt.Errorf("quarantine %s cannot be read: %w", row.ID, err)
		}
		return fn(q)
	})
	if errors.Is(err, couch.ErrNotFound) { // no database yet
		return nil
	}
	return err
}

// Quarantines gives all names in quarantine to fn, in their order.
func (s *Service) Quarantines(ctx context.Context, fn func(Quarantine) error) error {
	return s.quarantines(ctx, func(q quarantineDoc) error {
		if !s.now().Before(q.Until) {
			return nil
		}
		return fn(q.Quarantine)
	})
}

// LiftQuarantine ends the quarantine of a domain, and of the other names of the
// same instance. tenancy.ErrNotFound where there is none.
func (s *Service) LiftQuarantine(ctx context.Context, domain string) error {
	key, ok := tenancy.HostKey(domain)
	if !ok {
		return tenancy.ErrNotFound
	}
	raw, err := s.global.Get(ctx, provision.ClaimsDB, QuarantinePrefix+key)
	if errors.Is(err, couch.ErrNotFound) {
		return tenancy.ErrNotFound
	}
	if err != nil {
		return err
	}
	var found quarantineDoc
	if err := json.Unmarshal(raw, &found); err != nil {
		return fmt.Errorf("quarantine %s cannot be read: %w", key, err)
	}
	var all []quarantineDoc
	err = s.quarantines(ctx, func(q quarantineDoc) error {
		if q.Instance == found.Instance {
			all = append(all, q)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.endQuarantines(ctx, all); err != nil {
		return err
	}
	gone := tenancy.NewInstance()
	gone.Set("_id", found.Instance)
	gone.Set("domain", found.Domain)
	s.audit(ctx, "lift-quarantine", gone, nil)
	return nil
}

// isQuarantine tells quarantines from claims.
func isQuarantine(id string) bool { return strings.HasPrefix(id, QuarantinePrefix) }
