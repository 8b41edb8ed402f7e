// List: all instances, a page or a stream of them, and how many there are.

package lifecycle

import (
	"context"
	"errors"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// Page is a part of the list, which is in the order of the documents' ids.
type Page struct {
	Cursor string // the id to begin with, from the answer before; empty for the first
	Limit  int    // 0 for all
	Skip   int    // instances left out first
}

// List gives the instances of a page to fn, as they come. next is the cursor of
// the page after it, or empty at the end.
func (s *Service) List(ctx context.Context, page Page, fn func(*tenancy.Instance) error) (next string, err error) {
	r := couch.Range{Start: page.Cursor}
	given, skip := 0, page.Skip
	stop := errors.New("page is full")
	if page.Limit > 0 {
		// One more tells whether there is a next page; design documents that sort
		// between ids (there are four) must not make a page short.
		r.Limit = page.Limit + page.Skip + 1 + len(provision.GlobalDesigns())
	}
	err = s.global.Walk(ctx, provision.InstancesDB, r, func(row couch.Row) error {
		if strings.HasPrefix(row.ID, "_design/") {
			return nil
		}
		if skip > 0 {
			skip--
			return nil
		}
		if page.Limit > 0 && given == page.Limit {
			next = row.ID
			return stop
		}
		inst, err := tenancy.ParseInstance(row.Doc)
		if err != nil {
			return err
		}
		given++
		return fn(inst)
	})
	if errors.Is(err, stop) {
		err = nil
	}
	if errors.Is(err, couch.ErrNotFound) { // no database yet: no instances
		return "", nil
	}
	return next, err
}

// Count is the number of instances.
func (s *Service) Count(ctx context.Context) (int64, error) {
	info, err := s.global.Info(ctx, provision.InstancesDB)
	if errors.Is(err, couch.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n := info.Docs
	err = s.global.Walk(ctx, provision.InstancesDB, couch.Range{Start: "_design/", End: "_design0"}, func(couch.Row) error {
		n--
		return nil
	})
	return n, err
}
