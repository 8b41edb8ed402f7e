// Destroy: the end of an instance.

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
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
	prior, err := s.operation(ctx, opID("destroy", inst.ID()))
	if err != nil {
		return err
	}
	if err := inst.Malformed(); err != nil {
		return tenancy.Conflictf("the record cannot be read, so that it is not known which databases are the instance's; it has to be put right by hand: %v", err)
	}
	switch {
	case prior != nil && prior.live(s.now()):
		return tenancy.Conflictf("The deletion has already been requested: %s is at it", prior.Node)
	case prior != nil && !prior.finished():
		prior.Freeing = false // it is asked for again
		_, err := s.finishDestroy(ctx, prior, progress)
		return err
	case inst.State() == tenancy.Deleting:
		return tenancy.Conflictf("The deletion has already been requested, but not here: a stack may be at it; when it is not, take the flag off with --deleting=false first")
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
		return &tenancy.FieldError{Field: "Quarantine", Problem: "is out of range", Allowed: "0 for none, to 10 years"}
	}
	if keep > 0 {
		op.Quarantine = s.now().Add(keep).UTC().Format(time.RFC3339)
	}
	if prior != nil { // one that was given up, and is begun anew
		op.Rev = prior.Rev
	}
	for _, name := range inst.Names() {
		if key, ok := tenancy.HostKey(name); ok && !slices.Contains(op.Names, key) {
			op.Names = append(op.Names, key)
		}
	}
	if db, err := s.clusters.Of(op.Cluster); err != nil {
		return err
	} else if found, err := databasesOf(ctx, db, op.Prefix); err != nil {
		return err
	} else {
		op.Databases = len(found)
	}
	started, err := s.finishDestroy(ctx, &op, progress)
	if !started && errors.Is(err, tenancy.ErrConflict) {
		return tenancy.Conflictf("The deletion has already been requested a moment ago")
	}
	return err
}

// databasesOf are the names of an instance's databases.
func databasesOf(ctx context.Context, db *couch.Cluster, prefix string) ([]string, error) {
	slash := provision.DatabasePrefix(prefix)
	found, err := db.ListDBs(ctx, strings.TrimSuffix(slash, "/"))
	if err != nil {
		return nil, err
	}
	// A server may leave the slash out of its list. Where it does not, names that
	// only begin alike are those of another instance: prefixes of old stacks are domains.
	return slices.DeleteFunc(found, func(name string) bool {
		return strings.Contains(name, "/") && !strings.HasPrefix(name, slash)
	}), nil
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
	_, err = s.finishDestroy(ctx, prior, progress)
	return err
}

// finishDestroy runs a destroy, new or taken over, to its end. started is false
// where another front door was quicker to begin it.
func (s *Service) finishDestroy(ctx context.Context, op *Operation, progress Progress) (started bool, err error) {
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
	err = s.unmake(ctx, h, progress)
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

// others tells what of an instance belongs to another record as well: a stack, which
// knows no claims, can have made the same domain at the same time, and a record can
// have been copied under another domain.
func (s *Service) others(ctx context.Context, op Operation) (databases, files bool, err error) {
	found, err := s.byNames(ctx, []string{op.Domain})
	if err != nil {
		return false, false, err
	}
	for _, id := range s.dir.WithPrefix(op.Prefix) {
		inst, err := s.byID(ctx, id)
		if errors.Is(err, couch.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, false, err
		}
		found = append(found, inst)
	}
	for _, inst := range found {
		if inst.ID() == op.Instance {
			continue
		}
		if inst.Malformed() != nil { // it may be anything's
			return true, true, nil
		}
		databases = databases || inst.Prefix() == op.Prefix && inst.Cluster() == op.Cluster
		// Files go by the domain, or in Swift by the prefix, wherever the databases are.
		files = files || inst.Prefix() == op.Prefix || inst.Domain() == op.Domain
	}
	return databases, files, nil
}

// removeFiles removes an instance's files, where this front door keeps any.
func (s *Service) removeFiles(ctx context.Context, h *held, op Operation) error {
	files := s.current().Files
	if files == nil || h.did("files removed") {
		return nil
	}
	// There can be more of them than a lease is long.
	ctx, cancel := h.guarded(ctx)
	defer cancel()
	if err := files.Remove(ctx, ownerOf(op)); err != nil {
		return fmt.Errorf("removing the instance's files: %w", err)
	}
	h.step("files removed")
	return nil
}

// unmake does the steps of a destroy. Each can be done twice.
func (s *Service) unmake(ctx context.Context, h *held, progress Progress) error {
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
		if op, err = h.also(ctx, flagged.Names()); err != nil {
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
			if err := s.dropDatabases(ctx, h, db, op.Prefix, progress); err != nil {
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

// reserved are beginnings of databases that belong to no instance, whatever a
// broken record says its prefix is.
var reserved = []string{"", "global", "gatehouse", "secrets"}

// dropDatabases drops the databases of every known doctype, and whatever else
// the list shows under the prefix: a list may lag, or leave some out.
func (s *Service) dropDatabases(ctx context.Context, h *held, db *couch.Cluster, prefix string, progress Progress) error {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	slash := provision.DatabasePrefix(prefix)
	if slices.Contains(reserved, strings.TrimSuffix(slash, "/")) {
		return tenancy.Conflictf("the record says that the instance's databases begin with %q, which are not an instance's; they are left alone", slash)
	}
	found, err := db.ListDBs(ctx, slash)
	if err != nil {
		return err
	}
	for _, doctype := range provision.Doctypes {
		found = append(found, provision.DatabaseName(prefix, doctype))
	}
	slices.Sort(found)
	found = slices.Compact(found)
	var done atomic.Int32
	progress("databases", 0, len(found))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.parallel)
	for _, name := range found {
		group.Go(func() error {
			err := h.fenced(ctx, func(ctx context.Context) error {
				_, err := db.DestroyDB(ctx, name)
				return err
			})
			if err != nil {
				return err
			}
			progress("databases", int(done.Add(1)), len(found))
			return nil
		})
	}
	return group.Wait()
}

// lateRounds bounds how often databases that came late are dropped.
const lateRounds = 3

// dropLate drops databases that were made while the others were dropped.
func (s *Service) dropLate(ctx context.Context, h *held, db *couch.Cluster, prefix string) error {
	for range lateRounds {
		found, err := databasesOf(ctx, db, prefix)
		if err != nil || len(found) == 0 {
			return err
		}
		if err := s.dropDatabases(ctx, h, db, prefix, nil); err != nil {
			return err
		}
	}
	return tenancy.Conflictf("somebody goes on making databases that begin with %s", prefix)
}

// removeRecord deletes the instance's document, whatever its revision is by now, and
// the revisions in conflict with it, of which CouchDB would show the next one.
func (s *Service) removeRecord(ctx context.Context, id string) error {
	for range conflictRetries {
		raw, err := s.global.GetWithConflicts(ctx, provision.InstancesDB, id)
		if errors.Is(err, couch.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		inst, err := tenancy.ParseInstance(raw)
		if err != nil {
			return err
		}
		for _, rev := range inst.List("_conflicts") {
			if _, err := s.global.Delete(ctx, provision.InstancesDB, id, rev); err != nil && !errors.Is(err, couch.ErrConflict) && !errors.Is(err, couch.ErrNotFound) {
				return err
			}
		}
		rev, err := s.global.Delete(ctx, provision.InstancesDB, id, inst.Rev())
		if err == nil {
			s.dir.Remove(id, rev)
			return nil
		}
		if !errors.Is(err, couch.ErrConflict) && !errors.Is(err, couch.ErrNotFound) {
			return err
		}
	}
	return tenancy.Conflictf("the instance's document is being changed by others; %d tries to delete it met another change", conflictRetries)
}

// free takes the flag `deleting` off again. An instance that has lost databases
// comes back blocked, not served half-empty.
func (s *Service) free(ctx context.Context, inst *tenancy.Instance) (*tenancy.Instance, error) {
	prior, err := s.operation(ctx, opID("destroy", inst.ID()))
	if err != nil {
		return nil, err
	}
	if prior != nil && prior.live(s.now()) {
		return nil, tenancy.Conflictf("the deletion is under way on %s", prior.Node)
	}
	if prior == nil || prior.finished() { // a stack's flag
		return s.unflag(ctx, inst, Operation{Databases: 1})
	}
	return s.finishFree(ctx, inst, prior)
}

// finishFree gives a destroy up. From its first write on nobody goes on with the
// destroy by himself, whatever becomes of this process.
func (s *Service) finishFree(ctx context.Context, inst *tenancy.Instance, prior *Operation) (*tenancy.Instance, error) {
	op := *prior
	op.Freeing = true
	h, err := s.begin(ctx, op, prior)
	if err != nil {
		return nil, err
	}
	var freed *tenancy.Instance
	err = h.fenced(ctx, func(ctx context.Context) (err error) {
		freed, err = s.unflag(ctx, inst, op)
		return err
	})
	cleanup, cancel := detach(ctx)
	defer cancel()
	state := opUndone
	if err != nil {
		state = opFailed // so that it can be freed, or resumed, as before
	}
	s.warnEnd(h, h.end(cleanup, state, err))
	return freed, err
}

// unflag writes what becomes of an instance whose deletion is given up.
func (s *Service) unflag(ctx context.Context, inst *tenancy.Instance, op Operation) (*tenancy.Instance, error) {
	db, err := s.of(inst)
	if err != nil {
		return nil, err
	}
	found, err := databasesOf(ctx, db, inst.Prefix())
	if err != nil {
		return nil, err
	}
	return s.edit(ctx, inst.ID(), func(inst *tenancy.Instance) error {
		inst.Unset("deleting")
		if lost(inst.Prefix(), found, op.Databases) {
			inst.Set("blocked", true)
			inst.Set("blocking_reason", string(tenancy.ReasonDeletionFailed))
		}
		return nil
	})
}

// lost tells whether an instance has lost databases to a deletion, which found so
// many: a stack may have made others since.
func lost(prefix string, found []string, databases int) bool {
	if len(found) < databases {
		return true
	}
	if databases < len(provision.Doctypes) { // it had not got all of them
		return false
	}
	return slices.ContainsFunc(provision.Doctypes, func(doctype string) bool {
		return !listed(found, provision.DatabaseName(prefix, doctype))
	})
}
