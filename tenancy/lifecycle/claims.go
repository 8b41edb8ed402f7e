// Claims: one document for each domain and alias, whose id is the normal form;
// so a domain has one owner, whichever front doors try at the same moment.

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// Claim says whose a domain or an alias is.
type Claim struct {
	ID        string   `json:"_id"` // normal form
	Rev       string   `json:"_rev,omitempty"`
	Instance  string   `json:"instance"`  // id of the instance's document
	Operation string   `json:"operation"` // that made the claim
	Domain    string   `json:"domain"`    // of the instance
	Node      string   `json:"node"`
	At        string   `json:"claimed_at"`
	Conflicts []string `json:"_conflicts,omitempty"`
}

// claimRounds bounds how often a claim that a dead front door left is cleared
// out of the way.
const claimRounds = 3

// claim takes all names for an operation, or none: on an error those that it
// took are given back. A name that is somebody else's is a tenancy.ErrExists.
func (s *Service) claim(ctx context.Context, op Operation) error {
	pending := op.Names
	var err error
	for range claimRounds {
		var refused []string
		if refused, err = s.writeClaims(ctx, op, pending); err != nil {
			break
		}
		if len(refused) > 0 {
			if pending, err = s.clearAll(ctx, refused, op); err != nil {
				break
			}
		}
		if len(refused) == 0 || len(pending) == 0 {
			if err = s.confirm(ctx, op); err == nil {
				return nil
			}
			break
		}
	}
	if err == nil {
		err = tenancy.Conflictf("the names of %s are being claimed by others", op.Domain)
	}
	cleanup, cancel := detach(ctx)
	defer cancel()
	if e := s.unclaim(cleanup, op.Names, func(c Claim) bool { return c.Operation == op.ID }); e != nil {
		s.log.Warn("giving claims back", zap.String("operation", op.ID), zap.Error(e))
	}
	return err
}

// clearAll clears claims out of the way of op, and tells which names are to be
// claimed again: all but those that are its own by now.
func (s *Service) clearAll(ctx context.Context, keys []string, op Operation) (again []string, err error) {
	for _, key := range keys {
		own, err := s.clearStale(ctx, key, op)
		if err != nil {
			return nil, err
		}
		if !own {
			again = append(again, key)
		}
	}
	return again, nil
}

// claimOf is the claim of an operation on a name.
func (s *Service) claimOf(op Operation, key string) Claim {
	return Claim{ID: key, Instance: op.Instance, Operation: op.ID, Domain: op.Domain, Node: s.node, At: s.stamp()}
}

// writeClaims writes the claims of an operation, and tells which were refused.
func (s *Service) writeClaims(ctx context.Context, op Operation, keys []string) (refused []string, err error) {
	claims := make([]Claim, len(keys))
	for i, key := range keys {
		claims[i] = s.claimOf(op, key)
	}
	return s.putClaims(ctx, claims)
}

// putClaims writes claims in one request and tells the names of those that were
// refused, since there is one already.
func (s *Service) putClaims(ctx context.Context, claims []Claim) (refused []string, err error) {
	docs := make([]any, len(claims))
	for i, c := range claims {
		docs[i] = c
	}
	var results []couch.Result
	err = s.retried(ctx, func() (err error) {
		results, err = s.global.Bulk(ctx, provision.ClaimsDB, docs)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, r := range results {
		switch {
		case r.Err == nil:
		case errors.Is(r.Err, couch.ErrConflict):
			refused = append(refused, claims[i].ID)
		default:
			return nil, r.Err
		}
	}
	return refused, nil
}

// confirm reads the claims back. In a cluster two nodes can each accept one
// for the same name; the revision that lost is a conflict, and everybody sees the
// same winner.
func (s *Service) confirm(ctx context.Context, op Operation) error {
	claims, quarantines, err := s.claimsAndQuarantines(ctx, op.Names)
	if err != nil {
		return err
	}
	// After the claims: a destroy writes the quarantine before it gives its claims up.
	if err := s.checkQuarantine(ctx, quarantines); err != nil {
		return err
	}
	for _, key := range op.Names {
		c, ok := claims[key]
		if !ok || c.Operation != op.ID && c.Instance != op.Instance {
			return tenancy.Existsf("%s: %s belongs to another instance", tenancy.ErrExists, key)
		}
	}
	return nil
}

// claimsAndQuarantines reads, in one request, what is in the way of names.
func (s *Service) claimsAndQuarantines(ctx context.Context, keys []string) (map[string]Claim, []quarantineDoc, error) {
	ids := make([]string, 0, 2*len(keys))
	for _, key := range keys {
		ids = append(ids, key, QuarantinePrefix+key)
	}
	rows, err := s.global.GetMany(ctx, provision.ClaimsDB, ids)
	if err != nil {
		return nil, nil, err
	}
	var quarantines []quarantineDoc
	var rest []couch.Row
	for _, row := range rows {
		if !isQuarantine(row.ID) {
			rest = append(rest, row)
			continue
		}
		var q quarantineDoc
		if err := json.Unmarshal(row.Doc, &q); err != nil {
			return nil, nil, fmt.Errorf("quarantine %s cannot be read: %w", row.ID, err)
		}
		quarantines = append(quarantines, q)
	}
	claims, err := parseClaims(rest)
	return claims, quarantines, err
}

func (s *Service) claims(ctx context.Context, keys []string) (map[string]Claim, error) {
	rows, err := s.global.GetMany(ctx, provision.ClaimsDB, keys)
	if err != nil {
		return nil, err
	}
	return parseClaims(rows)
}

func parseClaims(rows []couch.Row) (map[string]Claim, error) {
	out := make(map[string]Claim, len(rows))
	for _, row := range rows {
		var c Claim
		if err := json.Unmarshal(row.Doc, &c); err != nil {
			return nil, fmt.Errorf("claim %s cannot be read: %w", row.ID, err)
		}
		out[row.ID] = c
	}
	return out, nil
}

// unclaim removes those claims on keys that are picked.
func (s *Service) unclaim(ctx context.Context, keys []string, pick func(Claim) bool) error {
	claims, err := s.claims(ctx, keys)
	if err != nil {
		if errors.Is(err, couch.ErrNotFound) {
			return nil
		}
		return err
	}
	var docs []any
	for _, c := range claims {
		if pick(c) {
			docs = append(docs, map[string]any{"_id": c.ID, "_rev": c.Rev, "_deleted": true})
		}
	}
	if len(docs) == 0 {
		return nil
	}
	results, err := s.global.Bulk(ctx, provision.ClaimsDB, docs)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil && !errors.Is(r.Err, couch.ErrConflict) && !errors.Is(r.Err, couch.ErrNotFound) {
			return r.Err // a conflict means that it is somebody else's by now
		}
	}
	return nil
}

// clearStale looks at a claim that is in the way of op. One of the same instance
// becomes op's: own. One of another instance that has the name, or of somebody at
// work, is an error. Else a front door died: what it left is finished or undone,
// and the claim removed.
func (s *Service) clearStale(ctx context.Context, key string, op Operation) (own bool, err error) {
	claims, err := s.claims(ctx, []string{key})
	if err != nil {
		return false, err
	}
	c, ok := claims[key]
	if !ok {
		return false, nil
	}
	if c.Instance == op.Instance {
		return s.takeClaim(ctx, c, op)
	}
	// The journal before the record: an operation that has ended by then has written
	// its record, or removed it, while one that is read later may end in between.
	var open []*Operation
	for _, id := range []string{c.Operation, opID("destroy", c.Instance)} {
		prior, err := s.operation(ctx, id)
		if err != nil {
			return false, err
		}
		if prior != nil && !prior.finished() {
			open = append(open, prior)
		}
	}
	inst, err := s.byID(ctx, c.Instance)
	if err != nil && !errors.Is(err, couch.ErrNotFound) {
		return false, err
	}
	exists := err == nil
	if exists && owns(inst, key) {
		return false, tenancy.Existsf("%s: %s belongs to %s", tenancy.ErrExists, key, inst.Domain())
	}
	for _, prior := range open {
		if err := s.settle(ctx, key, prior, exists); err != nil {
			return false, err
		}
	}
	return false, s.unclaim(ctx, []string{key}, func(now Claim) bool { return now.Rev == c.Rev })
}

// settle ends an operation whose front door has died, so that it can no longer
// want the name key. exists tells whether its instance is there: then no database
// of it may be touched for the sake of a name that it does not have.
func (s *Service) settle(ctx context.Context, key string, prior *Operation, exists bool) (err error) {
	if exists && prior.Verb == "destroy" {
		return nil // whoever asked for it decides how it goes on
	}
	if prior.live(s.now()) {
		return tenancy.Conflictf("%s is at present part of the %s of %s, on %s; try again when that has ended", key, prior.Verb, prior.Domain, prior.Node)
	}
	switch {
	case prior.Verb == "destroy":
		_, err = s.finishDestroy(ctx, prior, nil, nil)
	case prior.Verb == "add" && !exists:
		err = s.undoAdd(ctx, prior)
	case prior.Verb == "add":
		err = s.closeOperation(ctx, prior, opDone)
	default:
		err = s.closeOperation(ctx, prior, opUndone)
	}
	return err
}

// closeOperation takes an operation over and ends it, so that the front door that
// had it meets the fence if it lives after all.
func (s *Service) closeOperation(ctx context.Context, prior *Operation, state string) error {
	h, err := s.begin(ctx, *prior, prior)
	if err != nil {
		return err
	}
	cleanup, cancel := detach(ctx)
	defer cancel()
	return h.end(cleanup, state, nil)
}

// takeClaim makes an existing claim one of op's; own is false where it has gone.
func (s *Service) takeClaim(ctx context.Context, c Claim, op Operation) (own bool, err error) {
	c.Operation, c.Node, c.At, c.Conflicts = op.ID, s.node, s.stamp(), nil
	_, err = s.global.Put(ctx, provision.ClaimsDB, c.ID, c)
	if errors.Is(err, couch.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// detach is a context for work that has to be done although its caller has gone.
func detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), couch.DefaultCallTimeout)
}
