// Drop: the databases, files and record of an instance, and whose they are.

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

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

// errNotLoaded: nothing is deleted by a directory that knows nothing yet.
var errNotLoaded = tenancy.Unavailablef("the directory is being loaded, so that it is not known whether the databases are another instance's as well")

// others tells what of an instance belongs to another record as well: a stack, which
// knows no claims, can have made the same domain at the same time, and a record can
// have been copied under another domain.
func (s *Service) others(ctx context.Context, op Operation) (databases, files bool, err error) {
	found, err := s.byNames(ctx, []string{op.Domain})
	if err != nil {
		return false, false, err
	}
	ids, known := s.dir.WithPrefix(op.Prefix, op.Domain)
	if !known {
		return false, false, errNotLoaded
	}
	for _, id := range ids {
		if id == op.Instance {
			continue
		}
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

// reserved are beginnings of databases that belong to no instance, whatever a
// broken record says its prefix is.
var reserved = []string{"", "global", "gatehouse", "secrets"}

// dropDatabases drops the databases of every known doctype, and whatever else
// the list shows under the prefix: a list may lag, or leave some out. listed is what it
// has just shown; nil has it read.
func (s *Service) dropDatabases(ctx context.Context, h *held, db *couch.Cluster, prefix string, listed []string, progress Progress) error {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	slash := provision.DatabasePrefix(prefix)
	if slices.Contains(reserved, strings.TrimSuffix(slash, "/")) {
		return tenancy.Conflictf("the record says that the instance's databases begin with %q, which are not an instance's; they are left alone", slash)
	}
	found, err := listed, error(nil)
	if listed == nil {
		if found, err = db.ListDBs(ctx, slash); err != nil {
			return err
		}
	}
	found = slices.DeleteFunc(slices.Clone(found), func(name string) bool { return !strings.HasPrefix(name, slash) })
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
		if err := s.dropDatabases(ctx, h, db, prefix, found, nil); err != nil {
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
