// Apps: the installing of applications, at an add and later.

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// checkApps refuses apps that cannot be meant, and all where none can be installed.
func (s *Settings) checkApps(apps []string) error {
	if len(apps) == 0 {
		return nil
	}
	if s.Apps == nil {
		return &tenancy.FieldError{Field: "Apps", Problem: "cannot be installed, since the configuration has no `files`"}
	}
	return s.Apps.Check(apps)
}

// InstallApps installs apps for an instance that exists, or brings them up to
// date. What fails is in the answer; the error is for what concerns all.
func (s *Service) InstallApps(ctx context.Context, domain string, apps []string, progress Progress) (*Added, error) {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	if len(apps) == 0 {
		return nil, &tenancy.FieldError{Field: "Apps", Problem: "is empty", Allowed: "drive,photos/beta"}
	}
	if err := s.current().checkApps(apps); err != nil {
		return nil, err
	}
	inst, err := s.Get(ctx, domain)
	if err != nil {
		return nil, err
	}
	if inst.State() == tenancy.Deleting {
		return nil, tenancy.Conflictf("%s is being deleted", inst.Domain())
	}
	if err := s.Ensure(ctx); err != nil {
		return nil, err
	}
	h, err := s.beginAlone(ctx, Operation{
		ID: opID("apps", inst.ID()), Verb: "apps", Domain: inst.Domain(), Instance: inst.ID(), Prefix: inst.Prefix(), Cluster: inst.Cluster(),
	})
	if err != nil {
		return nil, err
	}
	added := &Added{Instance: inst}
	var done []string
	for app, err := range s.install(ctx, h, inst, apps, progress) {
		if err != nil {
			added.fail(app, err)
			continue
		}
		done = append(done, app)
	}
	cleanup, cancel := detach(ctx)
	defer cancel()
	s.warnEnd(h, h.end(cleanup, opDone, nil))
	if len(done) > 0 {
		s.audit(ctx, "install-apps", inst, []Difference{{Field: "apps", New: done}})
	}
	return added, nil
}

// install installs apps under an operation, and gives what became of each.
func (s *Service) install(ctx context.Context, h *held, inst *tenancy.Instance, apps []string, progress Progress) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if len(apps) == 0 {
			return
		}
		settings := s.current()
		if settings.Apps == nil {
			for _, app := range apps {
				if !yield(app, errors.New("the configuration has no `files` any more")) {
					return
				}
			}
			return
		}
		owner := Owner{ID: inst.ID(), Domain: inst.Domain(), Prefix: inst.Prefix()}
		registries := settings.context(inst.Text("context")).Registries
		results := settings.Apps.Install(ctx, owner, registries, apps, progress)
		for i, app := range apps {
			if i >= len(results) {
				break
			}
			err := results[i].Err
			if err == nil {
				err = h.fenced(ctx, func(ctx context.Context) error { return s.writeApp(ctx, inst, results[i].Docs) })
			}
			if !yield(app, err) {
				return
			}
		}
	}
}

// writeApp writes an app's documents, over those of an earlier version.
func (s *Service) writeApp(ctx context.Context, inst *tenancy.Instance, docs []AppDoc) error {
	db, err := s.of(inst)
	if err != nil {
		return err
	}
	for _, doc := range docs {
		if doc.Doctype == permissionsType {
			if doc.ID, err = permissionsID(ctx, db, inst.Prefix(), doc); err != nil {
				return err
			}
		}
		if err := replace(ctx, db, provision.DatabaseName(inst.Prefix(), doc.Doctype), doc.ID, doc.Doc); err != nil {
			return err
		}
	}
	return nil
}

const permissionsType = "io.cozy.permissions"

// permissionsID is the id of the document with the same rights that is there: a
// stack that installed the app gave it one of its own, and two would be one too many.
func permissionsID(ctx context.Context, db *couch.Cluster, prefix string, doc AppDoc) (string, error) {
	type rights struct {
		Type   string `json:"type"`
		Source string `json:"source_id"`
	}
	raw, err := json.Marshal(doc.Doc)
	if err != nil {
		return "", err
	}
	var want rights
	if err := json.Unmarshal(raw, &want); err != nil {
		return "", err
	}
	// Where the app is not there, neither are its rights; there can be many others.
	doctype, _, _ := strings.Cut(want.Source, "/")
	_, err = db.Get(ctx, provision.DatabaseName(prefix, doctype), want.Source)
	if errors.Is(err, couch.ErrNotFound) {
		return doc.ID, nil
	}
	if err != nil {
		return "", err
	}
	id, found := doc.ID, errors.New("found")
	err = db.Walk(ctx, provision.DatabaseName(prefix, permissionsType), couch.Range{}, func(row couch.Row) error {
		var now rights
		if json.Unmarshal(row.Doc, &now) == nil && now == want {
			id = row.ID
			return found
		}
		return nil
	})
	if err != nil && !errors.Is(err, found) {
		return "", err
	}
	return id, nil
}

// replace writes a document whether it is there or not.
func replace(ctx context.Context, db *couch.Cluster, name, id string, doc any) error {
	raw, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("document %s: %w", id, err)
	}
	if fields["_id"], err = json.Marshal(id); err != nil {
		return err
	}
	for range conflictRetries {
		if _, err = db.Put(ctx, name, id, fields); !errors.Is(err, couch.ErrConflict) {
			return err
		}
		present, e := db.Get(ctx, name, id)
		if e != nil && !errors.Is(e, couch.ErrNotFound) {
			return e
		}
		delete(fields, "_rev")
		if e == nil {
			var head map[string]json.RawMessage
			if err := json.Unmarshal(present, &head); err != nil {
				return err
			}
			fields["_rev"] = head["_rev"]
		}
	}
	return tenancy.Conflictf("document %s is being changed by others; %d tries met another change", id, conflictRetries)
}
