// List: all instances, a page or a stream of them, how many there are, and what
// becomes of them.

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

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

// manySize is how many documents Documents reads in one request.
const manySize = 500

// Documents gives the instances with these document ids to fn, in the order of
// the ids. Those that are gone are left out.
func (s *Service) Documents(ctx context.Context, ids []string, fn func(*tenancy.Instance) error) error {
	for len(ids) > 0 {
		some := ids[:min(manySize, len(ids))]
		ids = ids[len(some):]
		rows, err := s.global.GetMany(ctx, provision.InstancesDB, some)
		if errors.Is(err, couch.ErrNotFound) { // no database: none of them is there
			return nil
		}
		if err != nil {
			return err
		}
		found := make(map[string]json.RawMessage, len(rows))
		for _, row := range rows {
			found[row.ID] = row.Doc
		}
		for _, id := range some {
			raw, ok := found[id]
			if !ok {
				continue
			}
			inst, err := tenancy.ParseInstance(raw)
			if err != nil {
				return err
			}
			inst.Unset("_conflicts") // how the document is stored, not what it says
			if err := fn(inst); err != nil {
				return err
			}
		}
	}
	return nil
}

// OwnerSettings are an instance's settings: tz, email, public_name, phone and
// whatever else its owner and its makers have set, without what CouchDB adds.
// They are empty where there is no such document.
func (s *Service) OwnerSettings(ctx context.Context, inst *tenancy.Instance) (map[string]json.RawMessage, error) {
	db, err := s.clusters.Of(inst.Cluster())
	if err != nil {
		return nil, err
	}
	settings := map[string]json.RawMessage{}
	raw, err := db.Get(ctx, provision.DatabaseName(inst.Prefix(), "io.cozy.settings"), provision.SettingsID)
	if errors.Is(err, couch.ErrNotFound) {
		return settings, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &settings); err != nil {
		return nil, err
	}
	for key := range settings {
		if strings.HasPrefix(key, "_") {
			delete(settings, key)
		}
	}
	return settings, nil
}

// Now, as the place where Follow begins, is the present.
const Now = "now"

// Follow gives the changes of instances after since to fn, one page of them, and
// last, the place to go on from. Where there are none it waits for one as long as
// wait. since is what a Follow returned, on this front door or another of the
// same store; empty for the beginning, and Now to be told where the present is. A
// place that the store does not know is a couch.ErrRefused.
func (s *Service) Follow(ctx context.Context, since string, wait time.Duration, fn func(change couch.Change) error) (last string, err error) {
	if err := s.Ensure(ctx); err != nil {
		return since, err
	}
	if since == Now {
		info, err := s.global.Info(ctx, provision.InstancesDB)
		return info.UpdateSeq, err
	}
	last, _, err = s.global.Changes(ctx, provision.InstancesDB, couch.Feed{Since: since, Wait: wait}, func(c couch.Change) error {
		if strings.HasPrefix(c.ID, "_design/") {
			return nil
		}
		return fn(c)
	})
	return last, err
}
