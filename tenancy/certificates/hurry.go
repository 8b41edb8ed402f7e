// Hurry: names that are looked at now, since somebody has mended what was in their way.

package certificates

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// hurryTries bounds how often a record is read and written that others write too.
const hurryTries = 3

// Hurry makes names due that wait: for their proof, for a budget, or for another try.
// What is under way or was issued is left alone, and so is a record that somebody else
// goes on writing, since it is being looked at anyway. Budgets, and a pause that the
// authority has asked for, hold all the same. Names are in normal form.
func (s *Service) Hurry(ctx context.Context, names []string) error {
	r, err := s.records(ctx)
	if err != nil {
		return err
	}
	left := names
	for try := 0; try < hurryTries && len(left) > 0; try++ {
		if left, err = s.hurry(ctx, r, left); err != nil {
			return err
		}
	}
	s.Want(names...)
	return nil
}

// hurry is one try. left are the names whose records have changed meanwhile.
func (s *Service) hurry(ctx context.Context, r records, names []string) (left []string, err error) {
	found, err := r.many(ctx, names)
	if err != nil {
		return nil, err
	}
	for _, rec := range found {
		if rec.State != Failed && rec.State != Waiting && rec.State != Pending || rec.Next.IsZero() {
			continue
		}
		// No time at all rather than the present one: the leader has a clock of its own.
		// It passes over what it has written itself, and is told by Want of that.
		rec.Next, rec.Node = time.Time{}, s.Node
		switch err := r.put(ctx, rec); {
		case errors.Is(err, couch.ErrConflict):
			left = append(left, rec.Name)
		case errors.Is(err, couch.ErrNotFound): // it went with its instance
		case err != nil:
			return nil, err
		}
	}
	return left, nil
}

// Qualifies tells whether a certificate can be ordered for a name: no address, no single
// label, nothing that a wildcard covers, and nothing private where the issuers are public.
func (s *Settings) Qualifies(name string) bool { return s.qualifies(name) }
