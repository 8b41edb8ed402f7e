// Modify: a change to an instance that exists.

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// Modify changes an instance and returns its document after that. Unblocking
// clears the reason; Deleting set to false frees a deletion that has failed.
func (s *Service) Modify(ctx context.Context, domain string, change Change) (*tenancy.Instance, error) {
	inst, err := s.Get(ctx, domain)
	if err != nil {
		return nil, err
	}
	own, err := tenancy.ParseDomain(inst.Domain())
	if err != nil && change.Aliases != nil { // a stack's name that we would not accept for a new one
		return nil, err
	}
	if err := change.check(own, false); err != nil {
		return nil, err
	}
	if change.Deleting != nil {
		return s.modifyDeleting(ctx, inst, change)
	}
	// The record first: what is refused most often are names, and a refused change
	// changes nothing.
	if change.Aliases != nil {
		inst, err = s.modifyNames(ctx, inst, change)
	} else {
		inst, err = s.edit(ctx, inst.ID(), func(inst *tenancy.Instance) error {
			change.apply(inst)
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	if err := s.modifySettings(ctx, inst, change); err != nil {
		return nil, err
	}
	return inst, nil
}

// modifyDeleting sets or frees the flag, alone.
func (s *Service) modifyDeleting(ctx context.Context, inst *tenancy.Instance, change Change) (*tenancy.Instance, error) {
	if !*change.Deleting {
		return s.free(ctx, inst)
	}
	return s.edit(ctx, inst.ID(), func(inst *tenancy.Instance) error {
		inst.Set("deleting", true)
		return nil
	})
}

// modifyNames changes the aliases: new ones are claimed before the document says
// so, and old ones are given up after that, so that a crash leaves a claim too
// many, which the next to want the name clears, and never one too few.
func (s *Service) modifyNames(ctx context.Context, inst *tenancy.Instance, change Change) (*tenancy.Instance, error) {
	if err := s.Ensure(ctx); err != nil {
		return nil, err
	}
	op := Operation{
		ID: opID("modify", inst.ID()), Verb: "modify", Domain: inst.Domain(), Names: keys(change.aliases),
		Instance: inst.ID(), Prefix: inst.Prefix(), Cluster: inst.Cluster(),
	}
	// One at a time: of two at once, one could give up the claim on a name that the
	// other has just written into the document.
	prior, err := s.operation(ctx, op.ID)
	if err != nil {
		return nil, err
	}
	if prior != nil {
		if prior.live(s.now()) {
			return nil, tenancy.Conflictf("the names of %s are being changed on %s; try again when that has ended", inst.Domain(), prior.Node)
		}
		op.Rev = prior.Rev
	}
	h, err := s.begin(ctx, op, nil)
	if err != nil {
		return nil, err
	}
	changed, err := s.rename(ctx, h, change)
	cleanup, cancel := detach(ctx)
	defer cancel()
	state := opDone
	if err != nil {
		state = opUndone
		if e := s.giveBack(cleanup, op); e != nil {
			state = opFailed
		}
	}
	if e := h.end(cleanup, state, err); e != nil {
		s.log.Warn("writing the end of an operation", zap.String("operation", op.ID), zap.Error(e))
	}
	return changed, err
}

// giveBack removes the claims of a change of names that has failed, but for those
// on names that the document has: the answer to its writing may have been lost.
func (s *Service) giveBack(ctx context.Context, op Operation) error {
	inst, err := s.byID(ctx, op.Instance)
	if err != nil && !errors.Is(err, couch.ErrNotFound) {
		return err
	}
	return s.unclaim(ctx, op.Names, func(c Claim) bool {
		return c.Operation == op.ID && (inst == nil || !owns(inst, c.ID))
	})
}

// rename does the steps of a change of names.
func (s *Service) rename(ctx context.Context, h *held, change Change) (*tenancy.Instance, error) {
	op := h.operation()
	// Read again, since only now nobody else changes the names.
	inst, err := s.byID(ctx, op.Instance)
	if errors.Is(err, couch.ErrNotFound) {
		return nil, tenancy.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	fresh := slices.DeleteFunc(slices.Clone(change.aliases), func(d tenancy.Domain) bool { return owns(inst, d.Key()) })
	if len(fresh) > 0 {
		if err := s.checkNames(ctx, fresh); err != nil {
			return nil, err
		}
		op.Names = keys(fresh)
		if err := h.fenced(ctx, func(ctx context.Context) error { return s.claim(ctx, op) }); err != nil {
			return nil, err
		}
		h.step("claims")
	}
	var before []string
	var changed *tenancy.Instance
	err = h.fenced(ctx, func(ctx context.Context) (err error) {
		changed, err = s.edit(ctx, op.Instance, func(inst *tenancy.Instance) error {
			before = before[:0]
			for _, name := range inst.Names() {
				if key, ok := tenancy.HostKey(name); ok {
					before = append(before, key)
				}
			}
			change.apply(inst)
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	h.step("record")
	gone := slices.DeleteFunc(before, func(key string) bool { return owns(changed, key) })
	if len(gone) > 0 {
		err := h.fenced(ctx, func(ctx context.Context) error {
			return s.unclaim(ctx, gone, func(c Claim) bool { return c.Instance == op.Instance })
		})
		if err != nil {
			// The change is made; a claim too many is cleared by whoever wants the name.
			s.log.Warn("giving up claims of removed aliases", zap.String("domain", changed.Domain()), zap.Error(err))
		}
	}
	return changed, nil
}

// modifySettings changes the document with the owner's settings.
func (s *Service) modifySettings(ctx context.Context, inst *tenancy.Instance, change Change) error {
	values := map[string]*string{
		"tz": change.Timezone, "email": change.Email, "public_name": change.PublicName, "phone": change.Phone,
	}
	for key, value := range change.Settings {
		values[key] = &value
	}
	for key, value := range values {
		if value == nil {
			delete(values, key)
		}
	}
	if len(values) == 0 {
		return nil
	}
	db, err := s.clusters.Of(inst.Cluster())
	if err != nil {
		return err
	}
	name := provision.DatabaseName(inst.Prefix(), "io.cozy.settings")
	for range conflictRetries {
		doc := map[string]json.RawMessage{}
		raw, err := db.Get(ctx, name, provision.SettingsID)
		if err == nil {
			err = json.Unmarshal(raw, &doc)
		} else if errors.Is(err, couch.ErrNotFound) {
			doc["_id"], err = json.Marshal(provision.SettingsID)
		}
		if err != nil {
			return err
		}
		for key, value := range values {
			if *value == "" {
				delete(doc, key)
			} else if doc[key], err = json.Marshal(*value); err != nil {
				return err
			}
		}
		if _, err = db.Put(ctx, name, provision.SettingsID, doc); !errors.Is(err, couch.ErrConflict) {
			return err
		}
	}
	return tenancy.Conflictf("the settings document is being changed by others; %d tries met another change", conflictRetries)
}
