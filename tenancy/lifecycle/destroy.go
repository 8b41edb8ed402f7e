// Destroy: the end of an instance.

package lifecycle

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// Destroy drops an instance: the flag `deleting` first, so that no visitor sees
// it half gone, then every database with its prefix, its document, and last the
// claims on its names. A second Destroy is a tenancy.ErrConflict while the first
// is at work, and finishes it when that has died.
func (s *Service) Destroy(ctx context.Context, domain string, progress Progress) error {
	return s.DestroyWith(ctx, domain, DestroyOptions{}, progress)
}

// DestroyOptions are what a destroy can be asked for.
type DestroyOptions struct {
	// Quarantine is how long the names are kept from others; nil for what the
	// settings say.
	Quarantine *time.Duration
}

// DestroyWith is Destroy with options.
func (s *Service) DestroyWith(ctx context.Context, domain string, o DestroyOptions, progress Progress) error {
	if !s.dir.Loaded() {
		return errNotLoaded
	}
	if err := s.Ensure(ctx); err != nil {
		return err
	}
	inst, err := s.Get(ctx, domain)
	if errors.Is(err, tenancy.ErrNotFound) {
		return s.resumeGone(ctx, domain, progress)
	}
	if err != nil {
		return err
	}
	id := opID("destroy", inst.ID())
	if inst.State() != tenancy.Deleting { // then there is none before it, mostly
		started, err := s.destroy(ctx, inst, nil, o, progress)
		if started || !errors.Is(err, errQuicker) {
			return err
		}
	}
	prior, err := s.operation(ctx, id)
	if err != nil {
		return err
	}
	if prior == nil && inst.State() != tenancy.Deleting { // it has ended meanwhile
		return tenancy.Conflictf("The deletion has already been requested a moment ago")
	}
	started, err := s.destroy(ctx, inst, prior, o, progress)
	if !started && errors.Is(err, errQuicker) {
		return tenancy.Conflictf("The deletion has already been requested a moment ago")
	}
	return err
}

// destroy begins a destroy, or goes on with the one before it. started is false where
// it was not begun, as where somebody was quicker, which is an errQuicker.
func (s *Service) destroy(ctx context.Context, inst *tenancy.Instance, prior *Operation, o DestroyOptions, progress Progress) (started bool, err error) {
	if err := inst.Malformed(); err != nil {
		return false, tenancy.Conflictf("the record cannot be read, so that it is not known which databases are the instance's; it has to be put right by hand: %v", err)
	}
	switch {
	case prior != nil && prior.live(s.now()):
		return false, tenancy.Conflictf("The deletion has already been requested: %s is at it", prior.Node)
	case prior != nil && !prior.finished():
		prior.Freeing = false // it is asked for again
		return s.finishDestroy(ctx, prior, nil, progress)
	case inst.State() == tenancy.Deleting:
		return false, tenancy.Conflictf("The deletion has already been requested, but not here: a stack may be at it; when it is not, take the flag off with --deleting=false first")
	}
	op := Operation{
		Verb: "destroy", Domain: inst.Domain(), Instance: inst.ID(), Prefix: inst.Prefix(), Cluster: inst.Cluster(),
		ID: opID("destroy", inst.ID()),
	}
	keep := s.current().Quarantine
	if o.Quarantine != nil {
		keep = *o.Quarantine
	}
	if keep < 0 || keep > maxQuarantine {
		return false, &tenancy.FieldError{Field: "Quarantine", Problem: "is out of range", Allowed: "0 for none, to 10 years"}
	}
	if keep > 0 {
		op.Quarantine = s.now().Add(keep).UTC().Format(time.RFC3339)
	}
	if prior != nil { // one that was given up, and is begun anew
		op.Rev = prior.Rev
	}
	op.Names = keysOf(inst)
	db, err := s.clusters.Of(op.Cluster)
	if err != nil {
		return false, err
	}
	found, err := databasesOf(ctx, db, op.Prefix)
	if err != nil {
		return false, err
	}
	op.Databases = len(found)
	return s.finishDestroy(ctx, &op, found, progress)
}

// resumeGone finishes a destroy that had got as far as the document, so that
// only its claims and its operation are left.
func (s *Service) resumeGone(ctx context.Context, domain string, progress Progress) error {
	key, ok := tenancy.HostKey(domain)
	if !ok {
		return tenancy.ErrNotFound
	}
	claims, err := s.claims(ctx, []string{key})
	if err != nil && !errors.Is(err, couch.ErrNotFound) {
		return err
	}
	c, ok := claims[key]
	if !ok {
		return tenancy.ErrNotFound
	}
	prior, err := s.operation(ctx, opID("destroy", c.Instance))
	if err != nil {
		return err
	}
	if prior == nil || prior.finished() {
		return tenancy.ErrNotFound
	}
	if prior.live(s.now()) {
		return tenancy.Conflictf("The deletion has already been requested: %s is at it", prior.Node)
	}
	_, err = s.finishDestroy(ctx, prior, nil, progress)
	return err
}

// finishDestroy runs a destroy, new or taken over, to its end; databases are
// those that were listed a moment ago, nil for not. started is false where another front door was quicker to begin it.
func (s *Service) finishDestroy(ctx context.Context, op *Operation, databases []string, progress Progress) (started bool, err error) {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	var prior *Operation
	if op.Rev != "" {
		prior = op
	}
	h, err := s.begin(ctx, *op, prior)
	if err != nil {
		return false, err
	}
	err = s.unmake(ctx, h, databases, progress)
	cleanup, cancel := detach(ctx)
	defer cancel()
	if errors.Is(err, ErrRefused) {
		h.giveUp(cleanup)
		e := h.fenced(cleanup, func(ctx context.Context) error {
			inst, err := s.byID(ctx, op.Instance)
			if err == nil {
				_, err = s.unflag(ctx, inst, h.operation())
			}
			return err
		})
		if e == nil {
			s.warnEnd(h, h.end(cleanup, opUndone, err))
			return true, err
		}
		err = errors.Join(err, e)
	}
	if err != nil {
		s.warnEnd(h, h.end(cleanup, opFailed, err))
		return true, err
	}
	s.warnEnd(h, h.end(cleanup, opDone, nil))
	return true, nil
}

// askBefore tells the hook before anything is dropped, once in a destroy. One that
// says no ends it with an ErrRefused.
func (s *Service) askBefore(ctx context.Context, h *held, progress Progress) error {
	hooks := s.current().Hooks
	if hooks == nil || !hooks.Wants(BeforeDestroy) || h.did("hook "+BeforeDestroy) {
		return nil
	}
	progress("hook", 0, 1)
	op := h.operation()
	at, _ := time.Parse(time.RFC3339Nano, op.Started)
	err := hooks.Deliver(ctx, Event{
		ID: op.ID, Kind: BeforeDestroy, Time: at, Domain: op.Domain, Instance: op.Instance, Prefix: op.Prefix,
	})
	h.stepped("hook "+BeforeDestroy, err)
	if err != nil {
		return err
	}
	progress("hook", 1, 1)
	// In the journal now: who goes on with this must not ask again after the first drop.
	return h.note(ctx)
}

// unmake does the steps of a destroy. Each can be done twice.
func (s *Service) unmake(ctx context.Context, h *held, databases []string, progress Progress) error {
	op := h.operation()
	db, err := s.clusters.Of(op.Cluster)
	if err != nil {
		return err
	}
	gone, keep := false, false
	progress("flag", 0, 0)
	var flagged *tenancy.Instance
	err = h.fenced(ctx, func(ctx context.Context) (err error) {
		flagged, err = s.edit(ctx, op.Instance, func(inst *tenancy.Instance) error {
			inst.Set("deleting", true)
			return nil
		})
		return err
	})
	switch {
	case errors.Is(err, tenancy.ErrNotFound):
		// The databases went before the record did. Those that are there now have the
		// same names, but are those of an instance that was made since.
		gone = true
	case err != nil:
		return err
	default:
		h.step("flag")
		// It may have got names since the destroy was begun. With the flag it gets no more.
		if op, err = h.also(ctx, keysOf(flagged)); err != nil {
			return err
		}
		if err := s.askBefore(ctx, h, progress); err != nil {
			return err
		}
		var keepFiles bool
		if keep, keepFiles, err = s.others(ctx, op); err != nil {
			return err
		}
		if keep {
			h.step("databases are another record's, and stay")
		} else {
			if err := s.dropDatabases(ctx, h, db, op.Prefix, databases, progress); err != nil {
				return err
			}
			h.step("databases")
		}
		if keepFiles {
			h.step("files are another record's, and stay")
		} else if err := s.removeFiles(ctx, h, op); err != nil {
			return err
		}
	}
	if op.Quarantine != "" { // before the record goes, so that there is no gap
		if err := h.fenced(ctx, func(ctx context.Context) error { return s.quarantine(ctx, op) }); err != nil {
			return err
		}
		h.step("quarantine")
	}
	progress("record", 0, 1)
	if err := h.fenced(ctx, func(ctx context.Context) error { return s.removeRecord(ctx, op.Instance) }); err != nil {
		return err
	}
	h.step("record")
	if !gone && !keep {
		// What a stack has made meanwhile: it lets the API through for cleaning up. The
		// claims still keep the name from others.
		if err := s.dropLate(ctx, h, db, op.Prefix); err != nil {
			return err
		}
	}
	err = h.fenced(ctx, func(ctx context.Context) error {
		return s.unclaim(ctx, op.Names, func(c Claim) bool { return c.Instance == op.Instance })
	})
	if err != nil {
		return err
	}
	h.step("claims")
	progress("record", 1, 1)
	return nil
}
