// Vault: an instance's passphrase and the keys of its vault, which change as one.

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/passphrase"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// setPassphrase lays the vault's new keys beside the old ones, writes the record, which
// decides, and then puts the keys in their place. It does so under a lease: of two at
// once, one could leave its keys with the other's hash. Whoever meets it after a death
// finishes it, or takes it back: resumePassphrase.
func (s *Service) setPassphrase(ctx context.Context, verb string, inst *tenancy.Instance, p Passphrase, check func(*tenancy.Instance) error) (*tenancy.Instance, error) {
	m, err := s.material(ctx, p.input(inst.Domain(), inst.OldDomain()))
	if err != nil {
		return nil, err
	}
	db, err := s.of(inst)
	if err != nil {
		return nil, err
	}
	if err := s.Ensure(ctx); err != nil {
		return nil, err
	}
	op := Operation{
		ID: opID(verbPassphrase, inst.ID()), Verb: verbPassphrase, Domain: inst.Domain(), Instance: inst.ID(),
		Prefix: inst.Prefix(), Cluster: inst.Cluster(),
	}
	if err := s.finishDead(ctx, op.ID); err != nil {
		return nil, err
	}
	h, err := s.beginAlone(ctx, op)
	if err != nil {
		return nil, err
	}
	v := vault{db: db, name: provision.DatabaseName(inst.Prefix(), "io.cozy.settings")}
	before, changed, err := s.writePassphrase(ctx, h, v, m, check)
	cleanup, cancel := detach(ctx)
	defer cancel()
	if changed != nil {
		s.audit(ctx, verb, changed, differences(before, changed))
	}
	var last *lastWrite
	switch {
	case err == nil:
		s.warnEnd(h, h.end(cleanup, opDone, nil))
		return changed, nil
	case changed != nil:
		h.leave()
		return nil, tenancy.Unavailablef("the passphrase of %s is set, but the keys of its vault could not be put in their place yet; within minutes a front door does that: %v", inst.Domain(), err)
	case errors.As(err, &last):
		h.leave() // the record may still come, by a server that is slow
		return nil, err
	}
	if e := h.fenced(cleanup, func(ctx context.Context) error { return v.place(ctx, nil) }); e != nil {
		s.log.Warn("removing the keys of a passphrase that was not set", zap.String("domain", inst.Domain()), zap.Error(e))
		h.leave()
		return nil, err
	}
	s.warnEnd(h, h.end(cleanup, opUndone, err))
	return nil, err
}

// verbPassphrase is an operation that sets a passphrase.
const verbPassphrase = "passphrase"

// writePassphrase does the three writes. changed is nil where the record does not have
// the passphrase; with a *lastWrite it may still come to have it.
func (s *Service) writePassphrase(ctx context.Context, h *held, v vault, m *passphrase.Material, check func(*tenancy.Instance) error) (before, changed *tenancy.Instance, err error) {
	id := h.operation().Instance
	err = h.fenced(ctx, func(ctx context.Context) error {
		if before, err = s.byID(ctx, id); errors.Is(err, couch.ErrNotFound) {
			return tenancy.ErrNotFound
		}
		if err == nil {
			err = check(before)
		}
		if err == nil {
			err = v.lay(ctx, m.Next())
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	h.step("keys laid out")
	err = h.fenced(ctx, func(ctx context.Context) error {
		b, c, err := s.change(ctx, id, func(inst *tenancy.Instance) error {
			if err := check(inst); err != nil {
				return err
			}
			m.Apply(inst)
			inst.Set("onboarding_finished", true)
			return nil
		})
		if err == nil {
			before, changed = b, c
		}
		return err
	})
	if unanswered(err) {
		look, cancel := detach(ctx)
		defer cancel()
		now, e := s.byID(look, id)
		if e != nil || string(now.Bytes("passphrase_hash")) != string(m.Hash()) {
			return nil, nil, &lastWrite{err}
		}
		s.dir.Apply(now)
		changed, err = now, nil
	}
	if err != nil {
		return nil, nil, err
	}
	h.step("record")
	// From here on also for a caller that has gone.
	ctx, cancel := detach(ctx)
	defer cancel()
	err = h.fenced(ctx, func(ctx context.Context) error { return v.place(ctx, m.Hash()) })
	return before, changed, err
}

// resumePassphrase finishes what a front door has left of setting a passphrase, or
// takes it back where the record does not have it.
func (s *Service) resumePassphrase(ctx context.Context, prior Operation) error {
	inst, err := s.byID(ctx, prior.Instance)
	if errors.Is(err, couch.ErrNotFound) {
		return s.closeOperation(ctx, &prior, opUndone) // its databases go, or have gone, with it
	}
	if err != nil {
		return err
	}
	db, err := s.of(inst)
	if err != nil {
		return err
	}
	h, err := s.begin(ctx, prior, &prior)
	if err != nil {
		return err
	}
	v := vault{db: db, name: provision.DatabaseName(inst.Prefix(), "io.cozy.settings")}
	err = h.fenced(ctx, func(ctx context.Context) error {
		// Again, since whoever had the lease may have written until it was taken.
		if inst, err = s.byID(ctx, prior.Instance); err != nil {
			return err
		}
		return v.place(ctx, inst.Bytes("passphrase_hash"))
	})
	if err != nil && !errors.Is(err, couch.ErrNotFound) {
		h.leave()
		return err
	}
	cleanup, cancel := detach(ctx)
	defer cancel()
	return h.end(cleanup, opUndone, nil)
}

// finishDead goes on with an operation that nobody is at any more, where there is one.
func (s *Service) finishDead(ctx context.Context, id string) error {
	prior, err := s.operation(ctx, id)
	if err != nil || prior == nil || prior.finished() || prior.live(s.now()) {
		return err
	}
	return s.resume(ctx, *prior)
}

// vault is the database with the settings of an instance's vault.
type vault struct {
	db   *couch.Cluster
	name string
}

// lay writes new keys beside the old ones, in place of any that were laid there before.
func (v vault) lay(ctx context.Context, next passphrase.Next) error {
	return v.edit(ctx, passphrase.NextID, func(raw json.RawMessage) (any, error) {
		next.Rev = revision(raw)
		return next, nil
	})
}

// place puts the keys that were laid out in their place, if they are those of the
// passphrase with this hash, and removes them from where they were laid. A nil hash
// only removes them.
func (v vault) place(ctx context.Context, hash []byte) error {
	raw, err := v.db.Get(ctx, v.name, passphrase.NextID)
	if errors.Is(err, couch.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var next passphrase.Next
	if err := json.Unmarshal(raw, &next); err == nil && next.Of(hash) {
		err := v.edit(ctx, passphrase.SettingsID, func(raw json.RawMessage) (any, error) { return next.Merge(raw) })
		if err != nil {
			return err
		}
	}
	_, err = v.db.Delete(ctx, v.name, passphrase.NextID, revision(raw))
	if errors.Is(err, couch.ErrNotFound) || errors.Is(err, couch.ErrConflict) {
		return nil // it is gone, or another passphrase's
	}
	return err
}

// edit reads a document, nil where there is none, and writes what becomes of it, again
// where somebody else was quicker.
func (v vault) edit(ctx context.Context, id string, become func(raw json.RawMessage) (any, error)) error {
	for range conflictRetries {
		raw, err := v.db.Get(ctx, v.name, id)
		if err != nil && !errors.Is(err, couch.ErrNotFound) {
			return err
		}
		doc, err := become(raw)
		if err != nil {
			return err
		}
		_, err = v.db.Put(ctx, v.name, id, doc)
		if !errors.Is(err, couch.ErrConflict) {
			return err
		}
	}
	return tenancy.Conflictf("the vault's settings are being changed by others; %d tries met another change", conflictRetries)
}

// revision is that of a document; empty for none.
func revision(raw json.RawMessage) string {
	var doc struct {
		Rev string `json:"_rev"`
	}
	_ = json.Unmarshal(raw, &doc) // what is no document has none
	return doc.Rev
}
