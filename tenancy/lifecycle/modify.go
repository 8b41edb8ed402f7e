// Modify: a change to an instance that exists.

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// Modify changes an instance and returns its document after that. Unblocking
// clears the reason; Deleting set to false frees a deletion that has failed; it is
// changed alone, and other fields beside it are not looked at, as a stack has it. With
// IfRev a document of another revision is a tenancy.ErrConflict.
func (s *Service) Modify(ctx context.Context, domain string, change Change) (*tenancy.Instance, error) {
	inst, err := s.checkModify(ctx, domain, &change)
	if err != nil {
		return nil, err
	}
	if change.Deleting != nil {
		return s.modifyDeleting(ctx, inst, change)
	}
	// The record first: what is refused most often are names, and a refused change
	// changes nothing.
	var before, after *tenancy.Instance
	if change.Aliases != nil {
		before, after, err = s.modifyNames(ctx, inst, change)
	} else {
		before, after, err = s.change(ctx, inst.ID(), change.applyChecked)
	}
	if err != nil {
		return nil, err
	}
	diff, err := s.modifySettings(ctx, after, change, false)
	diff = append(differences(before, after), diff...)
	if len(diff) > 0 {
		s.audit(ctx, "modify", after, diff)
	}
	if err != nil {
		return nil, err
	}
	if before.State() != tenancy.Blocked && after.State() == tenancy.Blocked {
		if err := s.tell(ctx, AfterBlock, after); err != nil {
			s.log.Error("a block was made, and its hook is not told", zap.String("domain", after.Domain()), zap.Error(err))
		}
	}
	return after, nil
}

// checkModify finds the instance and refuses what cannot be asked of it.
func (s *Service) checkModify(ctx context.Context, domain string, change *Change) (*tenancy.Instance, error) {
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
	if change.Aliases != nil && change.Deleting == nil && inst.State() == tenancy.Deleting {
		return nil, errDeletingNames(inst)
	}
	if len(change.settings()) > 0 { // else the record would be changed, and then the rest refused
		if _, err := s.of(inst); err != nil {
			return nil, err
		}
	}
	if err := change.checkRev(inst); err != nil {
		return nil, err
	}
	return inst, s.checkWhole(ctx, inst, change)
}

// checkWhole refuses to unblock an instance, or to give its block another reason,
// that has lost databases to a deletion: it would be served half-empty.
func (s *Service) checkWhole(ctx context.Context, inst *tenancy.Instance, change *Change) error {
	if inst.Text("blocking_reason") != string(tenancy.ReasonDeletionFailed) || change.Deleting != nil ||
		change.Blocked == nil && change.BlockingReason == nil || text(change.BlockingReason) == string(tenancy.ReasonDeletionFailed) {
		return nil
	}
	db, err := s.of(inst)
	if err != nil {
		return err
	}
	found, err := databasesOf(ctx, db, inst.Prefix())
	if err != nil {
		return err
	}
	if lost(inst.Prefix(), found, len(provision.Doctypes)) {
		return tenancy.Conflictf("%s has lost databases to a deletion that was given up, and stays blocked: restore them, or destroy it", inst.Domain())
	}
	return nil
}

// errDeletingNames: a destroy gives up the names that its instance has at the flag, so
// that it gets no others after that.
func errDeletingNames(inst *tenancy.Instance) error {
	return tenancy.Conflictf("%s is being deleted, and gets no other names", inst.Domain())
}

// settings are what belongs to the settings document, by its fields.
func (c *Change) settings() map[string]*string {
	values := map[string]*string{"tz": c.Timezone, "email": c.Email, "public_name": c.PublicName, "phone": c.Phone}
	for key, value := range c.Settings {
		values[key] = &value
	}
	maps.DeleteFunc(values, func(_ string, value *string) bool { return value == nil })
	return values
}

// checkRev refuses a document that is not the one that the change is meant for.
func (c *Change) checkRev(inst *tenancy.Instance) error {
	if c.IfRev != "" && inst.Rev() != c.IfRev {
		return tenancy.Conflictf("%s was changed by others: its revision is %s, not %s", inst.Domain(), inst.Rev(), c.IfRev)
	}
	return nil
}

// applyChecked is apply for a document that was just read.
func (c *Change) applyChecked(inst *tenancy.Instance) error {
	if err := c.checkRev(inst); err != nil {
		return err
	}
	c.apply(inst)
	return nil
}

// Preview tells what Modify would make another, and changes nothing. The instance
// is as it would be. Names that others have are refused by Modify alone.
func (s *Service) Preview(ctx context.Context, domain string, change Change) (*tenancy.Instance, []Difference, error) {
	inst, err := s.checkModify(ctx, domain, &change)
	if err != nil {
		return nil, nil, err
	}
	after := inst.Clone()
	switch {
	case change.Deleting == nil:
	case *change.Deleting:
		after.Set("deleting", true)
		return after, differences(inst, after), nil
	default:
		freed, err := s.previewFree(ctx, inst)
		if err != nil {
			return nil, nil, err
		}
		freed(after)
		return after, differences(inst, after), nil
	}
	change.apply(after)
	diff, err := s.modifySettings(ctx, inst, change, true)
	return after, append(differences(inst, after), diff...), err
}

// modifyDeleting sets or frees the flag, alone.
func (s *Service) modifyDeleting(ctx context.Context, inst *tenancy.Instance, change Change) (after *tenancy.Instance, err error) {
	if err := change.checkRev(inst); err != nil {
		return nil, err
	}
	if !*change.Deleting {
		after, err = s.free(ctx, inst)
	} else {
		after, err = s.edit(ctx, inst.ID(), func(inst *tenancy.Instance) error {
			inst.Set("deleting", true)
			return change.checkRev(inst)
		})
	}
	if err != nil {
		return nil, err
	}
	if diff := differences(inst, after); len(diff) > 0 {
		s.audit(ctx, "modify", after, diff)
	}
	return after, nil
}

// modifyNames changes the aliases: new ones are claimed before the document says
// so, and old ones are given up after that, so that a crash leaves a claim too
// many, which the next to want the name clears, and never one too few.
func (s *Service) modifyNames(ctx context.Context, inst *tenancy.Instance, change Change) (before, changed *tenancy.Instance, err error) {
	if err := s.Ensure(ctx); err != nil {
		return nil, nil, err
	}
	op := Operation{
		ID: opID("modify", inst.ID()), Verb: "modify", Domain: inst.Domain(), Names: keys(change.aliases),
		Instance: inst.ID(), Prefix: inst.Prefix(), Cluster: inst.Cluster(),
	}
	// One at a time: of two at once, one could give up the claim on a name that the
	// other has just written into the document.
	h, err := s.beginAlone(ctx, op)
	if err != nil {
		return nil, nil, err
	}
	before, changed, err = s.rename(ctx, h, change)
	cleanup, cancel := detach(ctx)
	defer cancel()
	state := opDone
	if err != nil {
		state = opUndone
		if e := s.giveBack(cleanup, op); e != nil {
			state = opFailed
		}
	}
	s.warnEnd(h, h.end(cleanup, state, err))
	return before, changed, err
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
func (s *Service) rename(ctx context.Context, h *held, change Change) (before, changed *tenancy.Instance, err error) {
	op := h.operation()
	// Read again, since only now nobody else changes the names.
	inst, err := s.byID(ctx, op.Instance)
	if errors.Is(err, couch.ErrNotFound) {
		return nil, nil, tenancy.ErrNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	if err := change.checkRev(inst); err != nil {
		return nil, nil, err
	}
	fresh := slices.DeleteFunc(slices.Clone(change.aliases), func(d tenancy.Domain) bool { return owns(inst, d.Key()) })
	if len(fresh) > 0 {
		if err := s.checkNames(ctx, fresh); err != nil {
			return nil, nil, err
		}
		op.Names = keys(fresh)
		if err := h.fenced(ctx, func(ctx context.Context) error { return s.claim(ctx, op) }); err != nil {
			return nil, nil, err
		}
		h.step("claims")
	}
	err = h.fenced(ctx, func(ctx context.Context) (err error) {
		before, changed, err = s.change(ctx, op.Instance, func(inst *tenancy.Instance) error {
			if inst.State() == tenancy.Deleting {
				return errDeletingNames(inst)
			}
			return change.applyChecked(inst)
		})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	h.step("record")
	var gone []string
	for _, key := range keysOf(before) {
		if !owns(changed, key) {
			gone = append(gone, key)
		}
	}
	if len(gone) > 0 {
		err := h.fenced(ctx, func(ctx context.Context) error {
			return s.unclaim(ctx, gone, func(c Claim) bool { return c.Instance == op.Instance })
		})
		if err != nil {
			// The change is made; a claim too many is cleared by whoever wants the name.
			s.log.Warn("giving up claims of removed aliases", zap.String("domain", changed.Domain()), zap.Error(err))
		}
	}
	return before, changed, nil
}

// modifySettings changes the document with the owner's settings, and tells what
// it made another, as settings.KEY; or only tells it, as a preview.
func (s *Service) modifySettings(ctx context.Context, inst *tenancy.Instance, change Change, preview bool) ([]Difference, error) {
	values := change.settings()
	if len(values) == 0 {
		return nil, nil
	}
	db, err := s.of(inst)
	if err != nil {
		return nil, err
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
			return nil, err
		}
		diff, err := setAll(doc, values)
		if err != nil || len(diff) == 0 || preview {
			return diff, err
		}
		if _, err = db.Put(ctx, name, provision.SettingsID, doc); !errors.Is(err, couch.ErrConflict) {
			if errors.Is(err, couch.ErrNotFound) {
				err = tenancy.Conflictf("the instance's database %s is missing; see repair", name)
			}
			if err != nil {
				diff = nil
			}
			return diff, err
		}
	}
	return nil, tenancy.Conflictf("the settings document is being changed by others; %d tries met another change", conflictRetries)
}

// setAll sets fields of a settings document, or removes them where the value is
// empty, and tells what became another, by name.
func setAll(doc map[string]json.RawMessage, values map[string]*string) ([]Difference, error) {
	var diff []Difference
	for _, key := range slices.Sorted(maps.Keys(values)) {
		was := doc[key]
		var is json.RawMessage
		if value := *values[key]; value != "" {
			raw, err := json.Marshal(value)
			if err != nil {
				return nil, err
			}
			is = raw
		}
		if sameJSON(was, is) {
			continue
		}
		diff = append(diff, Difference{Field: "settings." + key, Old: shown(key, was), New: shown(key, is)})
		if is == nil {
			delete(doc, key)
		} else {
			doc[key] = is
		}
	}
	return diff, nil
}
