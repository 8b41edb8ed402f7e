// Repair: what does not fit together in a store, and the mending of it.

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// Kinds of findings.
const (
	FoundOperation   = "unfinished_operation"
	FoundOrphans     = "databases_without_record"
	FoundNoDatabases = "record_without_databases"
	FoundDesigns     = "missing_or_outdated_design"
	FoundTwice       = "two_records_for_one_host"
	FoundClaim       = "claim_without_record"
	FoundNoClaim     = "record_without_claim"
	FoundMalformed   = "malformed_record"
	FoundQuarantine  = "ended_quarantine"
)

// Finding is one thing that does not fit.
type Finding struct {
	Kind   string `json:"kind"`
	Domain string `json:"domain,omitempty"`
	What   string `json:"what"`             // in words
	Action string `json:"action,omitempty"` // what repair does, or what a person has to do
	Mended bool   `json:"mended"`
	Error  string `json:"error,omitempty"` // why it could not be mended
}

// RepairOptions say how far a repair goes.
type RepairOptions struct {
	DryRun      bool   // only find: this is check
	Domain      string // only this instance; empty for all
	DropOrphans bool   // drop databases of no instance, which may hold data
}

// Report is the sum of a check or a repair.
type Report struct {
	Instances int `json:"instances"`
	Claims    int `json:"claims"`
	Databases int `json:"databases"`
	Found     int `json:"found"`
	Mended    int `json:"mended"`
}

// repairBatch is how many documents are looked at together.
const repairBatch = 200

// repairParallel bounds the instances whose databases are looked at at a time.
const repairParallel = 4

// repair is one run. Findings are given one at a time.
type repair struct {
	s        *Service
	o        RepairOptions
	only     map[string]bool // normal forms of the one instance, and its document's id; nil for all
	fn       func(Finding) error
	progress Progress

	mu       sync.Mutex
	report   Report
	prefixes map[uint64]bool // hashes of the prefixes of all records, and of what claims tell of
	doubtful []string        // what could not be read, and may have any databases
}

// Repair finds what does not fit and mends what it may; each finding is given to
// fn, after it was mended or could not be. Its error is that of fn, or says that
// the store could not be looked through. Two at a time do no harm.
func (s *Service) Repair(ctx context.Context, o RepairOptions, fn func(Finding) error, progress Progress) (Report, error) {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	r := &repair{s: s, o: o, fn: fn, progress: progress, prefixes: map[uint64]bool{}}
	if !o.DryRun && !s.dir.Loaded() {
		return r.report, errNotLoaded
	}
	if err := s.Ensure(ctx); err != nil {
		return r.report, err
	}
	if o.Domain != "" {
		if err := r.narrow(ctx); err != nil {
			return r.report, err
		}
	}
	for _, look := range []func(context.Context) error{r.operations, r.records, r.claims, r.orphans} {
		if err := look(ctx); err != nil {
			return r.report, err
		}
	}
	return r.report, nil
}

// narrow finds the one instance that is asked for. Its record may be gone.
func (r *repair) narrow(ctx context.Context) error {
	key, ok := tenancy.HostKey(r.o.Domain)
	if !ok {
		return &tenancy.FieldError{Field: "Domain", Problem: "is not a host name"}
	}
	r.only = map[string]bool{key: true}
	inst, err := r.s.Get(ctx, r.o.Domain)
	if errors.Is(err, tenancy.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r.only[inst.ID()] = true
	for _, key := range keysOf(inst) {
		r.only[key] = true
	}
	return nil
}

// concerns tells whether one of these is of the instance that is asked for.
func (r *repair) concerns(names ...string) bool {
	if r.only == nil {
		return true
	}
	for _, name := range names {
		if r.only[name] {
			return true
		}
	}
	return false
}

// found mends a finding, unless that is not asked for or mend is nil, and gives it on.
func (r *repair) found(ctx context.Context, f Finding, mend func(ctx context.Context) error) error {
	if mend != nil && !r.o.DryRun {
		if err := mend(ctx); err != nil {
			f.Error = err.Error()
		} else {
			f.Mended = true
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Found++
	if f.Mended {
		r.report.Mended++
	}
	return r.fn(f)
}

// operations finds those of the journal that nobody is at.
func (r *repair) operations(ctx context.Context) error {
	r.progress("operations", 0, 0)
	return r.s.walkOperations(ctx, func(op Operation) error {
		if op.live(r.s.now()) || !r.concerns(append(op.Names, op.Instance)...) {
			return nil
		}
		what := fmt.Sprintf("the %s of %s, begun at %s on %s, has not ended", op.Verb, op.Domain, op.Started, op.Node)
		if op.Error != "" {
			what = fmt.Sprintf("the %s of %s, begun at %s on %s, has failed: %s", op.Verb, op.Domain, op.Started, op.Node, op.Error)
		}
		return r.found(ctx, Finding{Kind: FoundOperation, Domain: op.Domain, What: what, Action: "finish it, or take it back"},
			func(ctx context.Context) error { return r.s.resume(ctx, op) })
	}, func(id string, err error) error {
		r.doubtful = append(r.doubtful, "operation "+id)
		return r.found(ctx, Finding{Kind: FoundOperation, What: fmt.Sprintf("operation %s cannot be read: %v", id, err), Action: "look at it in " + provision.OperationsDB}, nil)
	})
}

// records looks at each record: its claims, and its databases.
func (r *repair) records(ctx context.Context) error {
	if r.only == nil {
		missing, err := r.s.missingDesigns(ctx, r.s.global, provision.Database{Name: provision.InstancesDB, Docs: docs(provision.GlobalDesigns())}, false)
		if err != nil {
			return err
		}
		if err := r.designs(ctx, "", r.s.global, provision.InstancesDB, missing); err != nil {
			return err
		}
	}
	return r.batches(ctx, func(batch []*tenancy.Instance) error {
		for _, inst := range batch {
			r.prefixes[prefixHash(provision.DatabasePrefix(inst.Prefix()))] = true
		}
		if err := r.names(ctx, batch); err != nil {
			return err
		}
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(repairParallel)
		for _, inst := range batch {
			group.Go(func() error { return r.databases(ctx, inst) })
		}
		return group.Wait()
	})
}

// batches gives the records that can be read to fn, some together, and reports the
// others.
func (r *repair) batches(ctx context.Context, fn func([]*tenancy.Instance) error) error {
	var batch []*tenancy.Instance
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := fn(batch)
		r.report.Instances += len(batch)
		r.progress("instances", r.report.Instances, 0)
		batch = batch[:0]
		return err
	}
	err := r.s.global.Walk(ctx, provision.InstancesDB, couch.Range{}, func(row couch.Row) error {
		if isDesign(row.ID) || !r.concerns(row.ID) {
			return nil
		}
		inst, err := tenancy.ParseInstance(row.Doc)
		if err == nil {
			err = inst.Malformed()
		}
		if err != nil {
			r.doubtful = append(r.doubtful, "document "+row.ID)
			return r.found(ctx, Finding{Kind: FoundMalformed, What: err.Error(), Action: "look at document " + row.ID + " of " + provision.InstancesDB}, nil)
		}
		if batch = append(batch, inst); len(batch) == repairBatch {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// claims looks at each claim and quarantine.
func (r *repair) claims(ctx context.Context) error {
	var batch []Claim
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		ids := make([]string, len(batch))
		for i, c := range batch {
			ids[i] = c.Instance
		}
		rows, err := r.s.global.GetMany(ctx, provision.InstancesDB, ids)
		if err != nil {
			return err
		}
		owners := map[string]*tenancy.Instance{}
		for _, row := range rows {
			if inst, err := tenancy.ParseInstance(row.Doc); err == nil {
				owners[row.ID] = inst
			}
		}
		for _, c := range batch {
			if inst := owners[c.Instance]; inst == nil || !owns(inst, c.ID) {
				if err := r.claimless(ctx, c); err != nil {
					return err
				}
			}
		}
		r.progress("claims", r.report.Claims, 0)
		batch = batch[:0]
		return nil
	}
	err := r.s.global.Walk(ctx, provision.ClaimsDB, couch.Range{}, func(row couch.Row) error {
		if isDesign(row.ID) {
			return nil
		}
		if isQuarantine(row.ID) {
			return r.endedQuarantine(ctx, row)
		}
		var c Claim
		if err := json.Unmarshal(row.Doc, &c); err != nil {
			return r.found(ctx, Finding{Kind: FoundClaim, What: fmt.Sprintf("claim %s cannot be read", row.ID), Action: "look at it in " + provision.ClaimsDB}, nil)
		}
		if !r.concerns(c.ID, c.Instance) {
			return nil
		}
		r.report.Claims++
		if d, err := tenancy.ParseDomain(c.Domain); err == nil { // a record that is lost may come back
			r.prefixes[prefixHash(d.Prefix())] = true
		}
		if batch = append(batch, c); len(batch) == repairBatch {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// claimless reports a claim whose instance has not got the name, unless an
// operation has it, which is a finding of its own where nobody is at it.
func (r *repair) claimless(ctx context.Context, c Claim) error {
	for _, id := range []string{c.Operation, opID("destroy", c.Instance)} {
		if op, err := r.s.operation(ctx, id); err != nil || op != nil {
			return err
		}
	}
	if inst, err := r.s.byID(ctx, c.Instance); err == nil && owns(inst, c.ID) {
		return nil // it was made meanwhile
	}
	return r.found(ctx, Finding{
		Kind: FoundClaim, Domain: c.ID, What: fmt.Sprintf("%s is claimed for %s, which has not got it", c.ID, c.Domain), Action: "remove the claim",
	}, func(ctx context.Context) error {
		return r.s.unclaim(ctx, []string{c.ID}, func(now Claim) bool { return now.Rev == c.Rev })
	})
}

func (r *repair) endedQuarantine(ctx context.Context, row couch.Row) error {
	var q quarantineDoc
	if err := json.Unmarshal(row.Doc, &q); err != nil || !r.concerns(q.Key) || r.s.now().Before(q.Until) {
		return nil
	}
	return r.found(ctx, Finding{Kind: FoundQuarantine, Domain: q.Key, What: "the quarantine of " + q.Key + " has ended", Action: "remove it"},
		func(ctx context.Context) error { return r.s.endQuarantines(ctx, []quarantineDoc{q}) })
}
