// Mend: what repair looks at of one record: the claims on its names, and its
// databases with their indexes and views.

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

func isDesign(id string) bool { return strings.HasPrefix(id, "_design/") }

func docs(raw []json.RawMessage) []any {
	out := make([]any, len(raw))
	for i, doc := range raw {
		out[i] = doc
	}
	return out
}

// names finds hosts that have two records, and names without a claim.
func (r *repair) names(ctx context.Context, batch []*tenancy.Instance) error {
	var keys, spelled []string
	for _, inst := range batch {
		keys, spelled = append(keys, keysOf(inst)...), append(spelled, inst.Names()...)
	}
	others, err := r.s.byNames(ctx, spelled)
	if err != nil {
		return err
	}
	claims, err := r.s.claims(ctx, keys)
	if err != nil {
		return err
	}
	holders := map[string][]*tenancy.Instance{}
	for _, inst := range others {
		for _, key := range keysOf(inst) {
			holders[key] = append(holders[key], inst)
		}
	}
	type unclaimed struct {
		inst *tenancy.Instance
		key  string
	}
	var found []unclaimed
	var free []Claim // that nobody has, not even a dead front door
	for _, inst := range batch {
		for _, key := range keysOf(inst) {
			if twice, err := r.twice(ctx, key, inst, holders[key]); err != nil {
				return err
			} else if twice || inst.State() == tenancy.Deleting {
				continue
			}
			c, ok := claims[key]
			if ok && c.Instance == inst.ID() {
				continue
			}
			found = append(found, unclaimed{inst, key})
			if !ok {
				free = append(free, r.s.claimOf(adoptionOf(inst), key))
			}
		}
	}
	claimed := map[string]bool{}
	if len(free) > 0 && !r.o.DryRun { // all in one request
		refused, err := r.s.putClaims(ctx, free)
		if err != nil {
			return err
		}
		for _, c := range free {
			claimed[c.ID] = !slices.Contains(refused, c.ID)
		}
	}
	for _, u := range found {
		err := r.found(ctx, Finding{Kind: FoundNoClaim, Domain: u.inst.Domain(), What: fmt.Sprintf("%s of %s is not claimed for it", u.key, u.inst.Domain()), Action: "claim it"},
			func(ctx context.Context) error {
				if claimed[u.key] {
					return nil
				}
				return r.s.adopt(ctx, u.inst, u.key)
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// adoptionOf stands for an operation in the claims of a record that was made elsewhere.
func adoptionOf(inst *tenancy.Instance) Operation {
	return Operation{ID: "adopt-" + inst.ID(), Instance: inst.ID(), Domain: inst.Domain()}
}

// twice reports a name that another of its holders has as well, once for the two.
func (r *repair) twice(ctx context.Context, key string, inst *tenancy.Instance, holders []*tenancy.Instance) (bool, error) {
	for _, other := range holders {
		if other.ID() == inst.ID() {
			continue
		}
		if other.ID() < inst.ID() && r.only == nil {
			return true, nil // reported with the other one
		}
		return true, r.found(ctx, Finding{
			Kind: FoundTwice, Domain: inst.Domain(),
			What:   fmt.Sprintf("%s is a name of %s (document %s) and of %s (document %s)", key, inst.Domain(), inst.ID(), other.Domain(), other.ID()),
			Action: "take the name from one of them, or destroy it",
		}, nil)
	}
	return false, nil
}

// adopt makes the claim on a name of a record, in place of one that a dead front
// door left.
func (s *Service) adopt(ctx context.Context, inst *tenancy.Instance, key string) error {
	op := adoptionOf(inst)
	if _, err := s.clearStale(ctx, key, op); err != nil {
		return err
	}
	refused, err := s.writeClaims(ctx, op, []string{key})
	if err != nil || len(refused) == 0 {
		return err
	}
	claims, err := s.claims(ctx, refused)
	if err != nil {
		return err
	}
	if c, ok := claims[key]; !ok || c.Instance != inst.ID() {
		return tenancy.Conflictf("%s is being claimed by others", key)
	}
	return nil
}

// databases finds the databases that a record has not got, and what is missing in
// the others. An instance on its way out, or that lost databases to a deletion, is
// left as it is.
func (r *repair) databases(ctx context.Context, inst *tenancy.Instance) error {
	if inst.State() == tenancy.Deleting || inst.Text("blocking_reason") == string(tenancy.ReasonDeletionFailed) {
		return nil
	}
	db, err := r.s.clusters.Of(inst.Cluster())
	if err != nil {
		return r.found(ctx, Finding{Kind: FoundNoDatabases, Domain: inst.Domain(), What: err.Error(), Action: "configure the cluster"}, nil)
	}
	present, err := databasesOf(ctx, db, inst.Prefix())
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.report.Databases += len(present)
	r.mu.Unlock()
	outdated := inst.Int("indexes_version") < provision.IndexesVersion
	var lost []provision.Database
	for _, want := range provision.Databases(r.s.specOf(inst)) {
		if !listed(present, want.Name) {
			lost = append(lost, want)
			continue
		}
		if inst.Int("indexes_version") > provision.IndexesVersion {
			continue // a newer stack knows better
		}
		missing, err := r.s.missingDesigns(ctx, db, want, outdated)
		if errors.Is(err, couch.ErrNotFound) { // it went while we looked
			continue
		}
		if err != nil {
			return err
		}
		if err := r.designs(ctx, inst.Domain(), db, want.Name, missing); err != nil {
			return err
		}
	}
	if len(lost) > 0 {
		if now, err := r.s.byID(ctx, inst.ID()); err != nil || now.State() == tenancy.Deleting {
			if errors.Is(err, couch.ErrNotFound) || err == nil { // it is being destroyed
				return nil
			}
			return err
		}
		names := make([]string, len(lost))
		for i, d := range lost {
			names[i] = d.Name
		}
		err := r.found(ctx, Finding{
			Kind: FoundNoDatabases, Domain: inst.Domain(), What: "missing: " + strings.Join(names, ", "), Action: "make them, with their first documents",
		}, func(ctx context.Context) error {
			for _, d := range lost {
				created, err := db.CreateSmallDB(ctx, d.Name)
				if err != nil {
					return err
				}
				if !created { // the list was behind: its documents are there
					d = provision.Database{Name: d.Name, Docs: slices.DeleteFunc(d.Docs, func(doc any) bool {
						_, design := doc.(json.RawMessage)
						return !design
					})}
				}
				if len(d.Docs) > 0 {
					if err := fill(ctx, db, d); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if outdated {
		return r.found(ctx, Finding{
			Kind: FoundDesigns, Domain: inst.Domain(), What: fmt.Sprintf("indexes_version is %d, not %d", inst.Int("indexes_version"), provision.IndexesVersion), Action: "note it in the record",
		}, func(ctx context.Context) error {
			_, err := r.s.edit(ctx, inst.ID(), func(inst *tenancy.Instance) error {
				if inst.Int("indexes_version") < provision.IndexesVersion {
					inst.Set("indexes_version", provision.IndexesVersion)
				}
				return nil
			})
			return err
		})
	}
	return nil
}

// listed tells whether a database is in a list, which may leave the slash out.
func listed(present []string, name string) bool {
	return slices.Contains(present, name) || slices.Contains(present, strings.ReplaceAll(name, "/", ""))
}

// specOf is what an instance's databases are made from, as far as the record has it.
func (s *Service) specOf(inst *tenancy.Instance) provision.Spec {
	of := s.current().context(inst.Text("context"))
	return provision.Spec{
		ID: inst.ID(), Domain: inst.Domain(), Prefix: inst.Prefix(), Locale: inst.Locale(), Time: s.now(),
		Bare: of.Directories != nil && !*of.Directories,
	}
}

// missingDesigns are the design documents that a database should have and has not,
// with the revision that they are to replace. Those with another content count only
// where they are Mango indexes, or all is outdated: a stack writes its views in its
// own words.
func (s *Service) missingDesigns(ctx context.Context, db *couch.Cluster, want provision.Database, outdated bool) ([]any, error) {
	var ids []string
	expected := map[string]json.RawMessage{}
	for _, doc := range want.Docs {
		raw, ok := doc.(json.RawMessage)
		if !ok {
			continue
		}
		var head struct {
			ID string `json:"_id"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return nil, err
		}
		if isDesign(head.ID) {
			ids, expected[head.ID] = append(ids, head.ID), raw
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := db.GetMany(ctx, want.Name, ids)
	if err != nil {
		return nil, err
	}
	present := map[string]json.RawMessage{}
	for _, row := range rows {
		present[row.ID] = row.Doc
	}
	var out []any
	for _, id := range ids {
		now := present[id]
		if now == nil {
			out = append(out, expected[id])
			continue
		}
		if same, rev := provision.SameDesign(expected[id], now); !same && (outdated || provision.IsMango(expected[id])) {
			fields := map[string]json.RawMessage{}
			if err := json.Unmarshal(expected[id], &fields); err != nil {
				return nil, err
			}
			fields["_rev"] = rev
			out = append(out, fields)
		}
	}
	return out, nil
}

// designs reports the design documents that are to be written into a database.
func (r *repair) designs(ctx context.Context, domain string, db *couch.Cluster, name string, missing []any) error {
	if len(missing) == 0 {
		return nil
	}
	return r.found(ctx, Finding{
		Kind: FoundDesigns, Domain: domain, What: fmt.Sprintf("%s: %d indexes or views are missing, or are not as they should be", name, len(missing)), Action: "write them",
	}, func(ctx context.Context) error { return fill(ctx, db, provision.Database{Name: name, Docs: missing}) })
}
