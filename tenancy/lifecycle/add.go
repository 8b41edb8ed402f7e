// Add: the making of an instance.

package lifecycle

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// Sizes of an instance's secrets, in bytes.
const (
	registerTokenSize = 16
	sessionSecretSize = 64
	oauthSecretSize   = 128
)

// Add makes an instance: its names are claimed, its databases made and filled,
// and its document written last, so that nobody is led to half an instance.
// Killed at any moment, a second Add of the same domain clears up and goes on.
//
// A domain or alias that is taken is a tenancy.ErrExists, or a
// tenancy.ErrConflict where it would be ambiguous with another instance.
func (s *Service) Add(ctx context.Context, domain tenancy.Domain, change Change, progress Progress) (*tenancy.Instance, error) {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	change = change.withDefaults()
	if err := change.check(domain, true); err != nil {
		return nil, err
	}
	if err := s.Ensure(ctx); err != nil {
		return nil, err
	}
	cluster, err := s.clusters.choose(change.clusterOr(-1), domain.Prefix())
	if err != nil {
		return nil, err
	}
	db, err := s.clusters.Of(cluster)
	if err != nil {
		return nil, err
	}
	names := change.names(domain)
	op := Operation{
		Verb: "add", Domain: domain.String(), Names: keys(names), Instance: s.newID(),
		Prefix: domain.Prefix(), Cluster: cluster,
	}
	op.ID = opID(op.Verb, op.Instance)
	progress("checking", 0, 0)
	if err := s.checkNames(ctx, names); err != nil {
		return nil, err
	}
	if err := s.checkOrphans(ctx, db, op); err != nil {
		return nil, err
	}
	h, err := s.begin(ctx, op, nil)
	if err != nil {
		return nil, err
	}
	inst, err := s.make(ctx, h, db, domain, change, progress)
	cleanup, cancel := detach(ctx)
	defer cancel()
	if err != nil {
		s.abandon(cleanup, h, err)
		return nil, err
	}
	if err := h.end(cleanup, opDone, nil); err != nil {
		// The instance is there; whoever meets the operation sees that by its document.
		s.log.Warn("writing the end of an operation", zap.String("operation", op.ID), zap.Error(err))
	}
	return inst, nil
}

// make does the steps of an add that have effects.
func (s *Service) make(ctx context.Context, h *held, db *couch.Cluster, domain tenancy.Domain, change Change, progress Progress) (*tenancy.Instance, error) {
	if err := s.claim(ctx, h.op); err != nil {
		return nil, err
	}
	h.step("claims")
	now := s.now()
	databases := provision.Databases(provision.Spec{
		ID: h.op.Instance, Domain: domain.String(), Prefix: h.op.Prefix, Locale: text(change.Locale), Time: now,
		Email: text(change.Email), PublicName: text(change.PublicName), Phone: text(change.Phone),
		Timezone: text(change.Timezone), Settings: change.Settings,
	})
	if err := s.makeDatabases(ctx, db, databases, progress); err != nil {
		return nil, err
	}
	h.step("databases")
	inst := tenancy.NewInstance()
	inst.Set("_id", h.op.Instance)
	inst.Set("domain", domain.String())
	inst.Set("prefix", h.op.Prefix)
	inst.Set("password_defined", false)
	inst.Set("indexes_version", provision.IndexesVersion)
	tenancy.SetOrUnset(inst, "couch_cluster", h.op.Cluster)
	inst.Set("register_token", base64.StdEncoding.EncodeToString(s.random(registerTokenSize)))
	inst.Set("session_secret", base64.StdEncoding.EncodeToString(s.random(sessionSecretSize)))
	inst.Set("oauth_secret", base64.StdEncoding.EncodeToString(s.random(oauthSecretSize)))
	inst.Set("cli_secret", base64.StdEncoding.EncodeToString(s.random(oauthSecretSize)))
	change.apply(inst)
	progress("record", 0, 1)
	if err := h.fence(ctx); err != nil {
		return nil, err
	}
	if err := s.save(ctx, inst); err != nil {
		return nil, err
	}
	h.step("record")
	progress("record", 1, 1)
	return inst, nil
}

// makeDatabases makes and fills the databases, some at a time.
func (s *Service) makeDatabases(ctx context.Context, db *couch.Cluster, databases []provision.Database, progress Progress) error {
	var done atomic.Int32
	progress("databases", 0, len(databases))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.parallel)
	for _, d := range databases {
		group.Go(func() error {
			if _, err := db.CreateDB(ctx, d.Name); err != nil {
				return err
			}
			if len(d.Docs) > 0 {
				if err := fill(ctx, db, d); err != nil {
					return err
				}
			}
			progress("databases", int(done.Add(1)), len(databases))
			return nil
		})
	}
	return group.Wait()
}

// fill writes a new database's documents. A conflict is a document that an
// earlier try of this very add has written, since nobody else has the id.
func fill(ctx context.Context, db *couch.Cluster, d provision.Database) error {
	results, err := db.Bulk(ctx, d.Name, d.Docs)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil && !errors.Is(r.Err, couch.ErrConflict) {
			return r.Err
		}
	}
	return nil
}

// checkNames refuses names that an instance has, by the stack's view, and those
// that would be ambiguous with one.
func (s *Service) checkNames(ctx context.Context, names []tenancy.Domain) error {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = name.String()
	}
	found, err := s.byNames(ctx, all)
	if err != nil {
		return err
	}
	for _, inst := range found {
		for _, name := range names {
			if owns(inst, name.Key()) {
				if name.String() == inst.Domain() {
					return tenancy.ErrExists
				}
				return tenancy.Existsf("%s: %s belongs to %s", tenancy.ErrExists, name, inst.Domain())
			}
		}
	}
	for _, name := range names {
		if with, ambiguous := s.dir.Ambiguous(name); ambiguous {
			return tenancy.Conflictf("%s would be ambiguous with %s: one of the two would be taken for an app of the other", name, with)
		}
	}
	return nil
}

// checkOrphans refuses to build on databases that are there already. Those of
// an add that died are dropped first; any others may be somebody's data.
func (s *Service) checkOrphans(ctx context.Context, db *couch.Cluster, op Operation) error {
	for range 2 {
		found, err := db.ListDBs(ctx, databasePattern(op.Prefix))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return nil
		}
		if err := s.clearStale(ctx, op.Names[0], op); err != nil {
			return err
		}
	}
	return tenancy.Conflictf("there are databases with the prefix %s of this domain, but no instance; they may hold data: look at them, and drop them by hand", op.Prefix)
}

// abandon takes an add back that failed in this process. Where that fails too,
// the operation stays in the journal, and the next to meet it undoes it.
func (s *Service) abandon(ctx context.Context, h *held, cause error) {
	if err := h.fence(ctx); err != nil {
		_ = h.end(ctx, opFailed, cause)
		return
	}
	err := s.dropAdded(ctx, &h.op)
	if err == nil {
		err = h.end(ctx, opUndone, cause)
	} else {
		_ = h.end(ctx, opFailed, fmt.Errorf("%w; and taking it back: %w", cause, err))
	}
	if err != nil {
		s.log.Error("taking a failed add back", zap.String("domain", h.op.Domain), zap.Error(err))
	}
}

// undoAdd takes an add back that another front door did not finish.
func (s *Service) undoAdd(ctx context.Context, prior *Operation) error {
	h, err := s.begin(ctx, *prior, prior)
	if err != nil {
		return err
	}
	s.log.Info("undoing an unfinished add", zap.String("domain", prior.Domain), zap.String("node", prior.Node))
	err = s.dropAdded(ctx, &h.op)
	cleanup, cancel := detach(ctx)
	defer cancel()
	if err != nil {
		return errors.Join(err, h.end(cleanup, opFailed, err))
	}
	return h.end(cleanup, opUndone, nil)
}

// dropAdded removes what an add has made: the databases, then the claims. An
// add whose document is there has made an instance, and is left alone.
func (s *Service) dropAdded(ctx context.Context, op *Operation) error {
	inst, err := s.byID(ctx, op.Instance)
	if err == nil {
		return tenancy.Existsf("%s: %s", tenancy.ErrExists, inst.Domain())
	}
	if !errors.Is(err, couch.ErrNotFound) {
		return err
	}
	claims, err := s.claims(ctx, op.Names[:1])
	if err != nil {
		return err
	}
	// Only the owner of the domain has made databases with its prefix.
	if c, ok := claims[op.Names[0]]; ok && c.Operation == op.ID {
		db, err := s.clusters.Of(op.Cluster)
		if err != nil {
			return err
		}
		if err := s.dropDatabases(ctx, db, op.Prefix, nil); err != nil {
			return err
		}
	}
	return s.unclaim(ctx, op.Names, func(c Claim) bool { return c.Operation == op.ID })
}
