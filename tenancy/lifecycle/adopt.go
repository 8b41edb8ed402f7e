// Adopt: the claims of records that were made elsewhere, by a stack, which knows
// none.

package lifecycle

import (
	"context"
	"errors"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// AdoptReport is the sum of an Adopt.
type AdoptReport struct {
	Instances int `json:"instances"`
	Claimed   int `json:"claimed"` // names that had no claim
	Refused   int `json:"refused"` // names that belong to another instance, or are unreadable
}

// Adopt makes the claims of all records that have none: those of a stack's fleet.
// What is in the way of one is given to fn.
func (s *Service) Adopt(ctx context.Context, fn func(Finding) error, progress Progress) (AdoptReport, error) {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	var report AdoptReport
	r := &repair{s: s, progress: progress, fn: func(f Finding) error {
		if f.Mended {
			report.Claimed++
			return nil
		}
		report.Refused++
		return fn(f)
	}}
	if err := s.Ensure(ctx); err != nil {
		return report, err
	}
	err := r.batches(ctx, func(batch []*tenancy.Instance) error { return r.names(ctx, batch) })
	report.Instances = r.report.Instances
	return report, err
}

// AdoptOne makes the claims that the record with this document id has not got; a
// front door calls it for each record that it sees and did not make. A name that
// another instance has is left alone.
func (s *Service) AdoptOne(ctx context.Context, id string) error {
	inst, err := s.byID(ctx, id)
	if errors.Is(err, couch.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if inst.Malformed() != nil || inst.State() == tenancy.Deleting {
		return nil
	}
	names := keysOf(inst)
	var claims map[string]Claim
	err = s.retried(ctx, func() (err error) {
		claims, err = s.claims(ctx, names)
		return err
	})
	if err != nil {
		return err
	}
	var missing []string
	for _, key := range names {
		if _, ok := claims[key]; !ok {
			missing = append(missing, key)
		}
	}
	if len(missing) > 0 {
		_, err = s.writeClaims(ctx, adoptionOf(inst), missing)
	}
	return err
}
