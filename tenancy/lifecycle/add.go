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
	"github.com/gatehouse-edge/gatehouse/tenancy/passphrase"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// Sizes of an instance's secrets, in bytes.
const (
	registerTokenSize = 16
	sessionSecretSize = 64
	oauthSecretSize   = 128
)

// Added is a new instance, and what of it could not be done.
type Added struct {
	*tenancy.Instance
	Warnings []string // each a line for people, as of an app that was not installed
	Failed   []string // the slugs of apps that were not installed
}

// Add makes an instance: its names are claimed, its databases made and filled,
// and its document written last, so that nobody is led to half an instance; then
// its apps are installed, of which one that fails does not fail the instance.
// Killed at any moment, a second Add of the same domain, a round of tending, or Repair
// clears up: an instance that has its record gets what is missing, and any other is
// taken back, and made anew by the second Add.
//
// A domain or alias that is taken is a tenancy.ErrExists, or a
// tenancy.ErrConflict where it would be ambiguous with another instance.
func (s *Service) Add(ctx context.Context, domain tenancy.Domain, change Change, progress Progress) (*Added, error) {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	settings := s.current()
	if err := change.sort(); err != nil { // the context can be among its settings
		return nil, err
	}
	change = change.withDefaults(settings.context(text(change.ContextName)))
	if change.SwiftLayout == nil && settings.SwiftLayout > 0 {
		change.SwiftLayout = &settings.SwiftLayout
	}
	if err := change.check(domain, true); err != nil {
		return nil, err
	}
	if err := settings.checkAdd(&change); err != nil {
		return nil, err
	}
	if err := s.Ensure(ctx); err != nil {
		return nil, err
	}
	cluster, err := s.clusters.choose(change.clusterOr(-1), domain.Prefix(), s.load)
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
		Prefix: domain.Prefix(), Cluster: cluster, Apps: list(change.Apps), SendLink: change.SendLink,
	}
	op.ID = opID(op.Verb, op.Instance)
	progress("checking", 0, 0)
	if err := s.checkNames(ctx, names); err != nil {
		if errors.Is(err, tenancy.ErrExists) {
			s.finishBefore(ctx, domain)
		}
		return nil, err
	}
	if err := s.checkOrphans(ctx, db, op); err != nil {
		return nil, err
	}
	var secret *passphrase.Material
	if change.Passphrase != nil {
		progress("passphrase", 0, 0)
		if secret, err = s.material(ctx, change.Passphrase.input(domain.String(), text(change.OldDomain))); err != nil {
			return nil, err
		}
	}
	h, err := s.begin(ctx, op, nil)
	if err != nil {
		return nil, err
	}
	inst, err := s.make(ctx, h, db, domain, change, secret, progress)
	cleanup, cancel := detach(ctx)
	defer cancel()
	if err != nil {
		return s.abandon(cleanup, h, err)
	}
	return s.conclude(ctx, h, inst, progress), nil
}

// finishBefore goes on with an add that has made the instance of domain and died past
// its record, for whoever asks for the same once more.
func (s *Service) finishBefore(ctx context.Context, domain tenancy.Domain) {
	inst, err := s.Get(ctx, domain.String())
	if err == nil {
		err = s.finishDead(ctx, opID("add", inst.ID()))
	}
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) && !errors.Is(err, tenancy.ErrConflict) {
		s.log.Warn("going on with an add that has died", zap.Stringer("domain", domain), zap.Error(err))
	}
}

// conclude does what of an add comes after the record, and ends the add. Where the
// time for it is over it stays in the journal, for Tend to go on with.
func (s *Service) conclude(ctx context.Context, h *held, inst *tenancy.Instance, progress Progress) *Added {
	added := s.complete(ctx, h, inst, progress)
	cleanup, cancel := detach(ctx)
	defer cancel()
	if ctx.Err() != nil && len(added.Failed) > 0 {
		s.warnEnd(h, h.note(cleanup))
		h.leave()
		return added
	}
	s.warnEnd(h, h.end(cleanup, opDone, nil))
	return added
}

// checkAdd refuses what this front door cannot do.
func (s *Settings) checkAdd(change *Change) error {
	if p := change.Passphrase; p != nil {
		// What depends on the domain alone is right by now.
		if err := p.input("a", "").Validate(); err != nil {
			return err
		}
	}
	if change.SendLink && (s.Hooks == nil || !s.Hooks.Wants(SendLink)) {
		return errNoLinkHook
	}
	return s.checkApps(list(change.Apps))
}

func list(p *[]string) []string {
	if p == nil {
		return nil
	}
	return *p
}

// make does the steps of an add that make the instance.
func (s *Service) make(ctx context.Context, h *held, db *couch.Cluster, domain tenancy.Domain, change Change, secret *passphrase.Material, progress Progress) (*tenancy.Instance, error) {
	op := h.operation()
	if err := h.fenced(ctx, func(ctx context.Context) error { return s.claim(ctx, op) }); err != nil {
		return nil, err
	}
	h.step("claims")
	settings := s.current()
	held := settings.context(text(change.ContextName))
	spec := provision.Spec{
		ID: op.Instance, Domain: domain.String(), Prefix: op.Prefix, Locale: text(change.Locale), Time: s.now(),
		Email: text(change.Email), PublicName: text(change.PublicName), Phone: text(change.Phone),
		Timezone: text(change.Timezone), Settings: change.Settings,
		Bare: held.Directories != nil && !*held.Directories,
	}
	if secret != nil {
		spec.Vault = secret.Settings()
	}
	if err := s.makeDatabases(ctx, h, db, provision.Databases(spec), progress); err != nil {
		return nil, err
	}
	h.step("databases")
	if settings.Files != nil {
		progress("files", 0, 1)
		err := h.fenced(ctx, func(ctx context.Context) error {
			return settings.Files.Prepare(ctx, ownerOf(op), provision.Paths(spec))
		})
		if err != nil {
			return nil, fmt.Errorf("making the instance's directories: %w", err)
		}
		h.step("files")
	}
	inst := tenancy.NewInstance()
	inst.Set("_id", op.Instance)
	inst.Set("domain", domain.String())
	inst.Set("prefix", op.Prefix)
	inst.Set("password_defined", false)
	inst.Set("indexes_version", provision.IndexesVersion)
	tenancy.SetOrUnset(inst, "couch_cluster", op.Cluster)
	inst.Set("register_token", base64.StdEncoding.EncodeToString(s.random(registerTokenSize)))
	inst.Set("session_secret", base64.StdEncoding.EncodeToString(s.random(sessionSecretSize)))
	inst.Set("oauth_secret", base64.StdEncoding.EncodeToString(s.random(oauthSecretSize)))
	inst.Set("cli_secret", base64.StdEncoding.EncodeToString(s.random(oauthSecretSize)))
	change.apply(inst)
	if secret != nil {
		secret.Apply(inst)
		inst.Set("onboarding_finished", true)
	}
	progress("record", 0, 1)
	// A stack, which knows no claims, may have made it meanwhile.
	if err := s.checkNames(ctx, change.names(domain)); err != nil {
		return nil, err
	}
	err := h.fenced(ctx, func(ctx context.Context) error {
		if err := s.save(ctx, inst); err != nil {
			return &lastWrite{err}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	h.step("record")
	progress("record", 1, 1)
	return inst, nil
}

// complete does what of an add comes after the record: none of it can take the
// instance back, and each step can be done by whoever goes on with the add.
func (s *Service) complete(ctx context.Context, h *held, inst *tenancy.Instance, progress Progress) *Added {
	op := h.operation()
	added := &Added{Instance: inst}
	var apps []string
	for _, app := range op.Apps {
		if !h.did("app " + app) {
			apps = append(apps, app)
		}
	}
	// The events first, since they are quick, and must not wait for what may fail.
	s.announce(ctx, h, added)
	for app, err := range s.install(ctx, h, inst, apps, progress) {
		h.stepped("app "+app, err)
		if err != nil {
			added.fail(app, err)
		}
	}
	return added
}

// announce puts the events of an add into the outbox, also when its caller has gone.
func (s *Service) announce(ctx context.Context, h *held, added *Added) {
	op := h.operation()
	ctx, cancel := detach(ctx)
	defer cancel()
	for _, kind := range []string{AfterAdd, SendLink} {
		if !s.wants(kind) || kind == SendLink && !op.SendLink || h.did("hook "+kind) {
			continue
		}
		err := h.fenced(ctx, func(ctx context.Context) error { return s.tell(ctx, kind, added.Instance) })
		h.stepped("hook "+kind, err)
		if err != nil {
			added.Warnings = append(added.Warnings, err.Error())
		}
	}
}

func (a *Added) fail(app string, err error) {
	a.Failed = append(a.Failed, app)
	a.Warnings = append(a.Warnings, fmt.Sprintf("%s was not installed: %v", app, err))
}

func ownerOf(op Operation) Owner { return Owner{ID: op.Instance, Domain: op.Domain, Prefix: op.Prefix} }

// makeDatabases makes and fills the databases, some at a time.
func (s *Service) makeDatabases(ctx context.Context, h *held, db *couch.Cluster, databases []provision.Database, progress Progress) error {
	var done atomic.Int32
	progress("databases", 0, len(databases))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.parallel)
	for _, d := range databases {
		group.Go(func() error {
			err := h.fenced(ctx, func(ctx context.Context) error {
				created, err := db.CreateSmallDB(ctx, d.Name)
				if err == nil && !created {
					return tenancy.Conflictf("the database %s was there a moment later: a stack is making the same domain", d.Name)
				}
				// One whose answer was lost counts as ours: there was none before.
				h.mine(d.Name)
				return err
			})
			if err == nil && len(d.Docs) > 0 {
				err = h.fenced(ctx, func(ctx context.Context) error { return fill(ctx, db, d) })
			}
			if err != nil {
				return err
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
	if !s.dir.Loaded() {
		return tenancy.Unavailablef("the directory is being loaded, so that it is not known which names are ambiguous")
	}
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
		found, err := databasesOf(ctx, db, op.Prefix)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return nil
		}
		if _, err := s.clearStale(ctx, op.Names[0], op); err != nil {
			return err
		}
	}
	return tenancy.Conflictf("there are databases with the prefix %s of this domain, but no instance; they may hold data: look at them, and drop them by hand", op.Prefix)
}
