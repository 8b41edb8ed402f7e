// Repair: what does not fit together in a store, and the mending of it.

package lifecycle

import (
	"context"
	"errors"
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
	FoundQuarantine  = "expired_quarantine"
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

// Repair finds what does not fit and mends what it may; each finding is given to
// fn, after it was mended or could not be.
func (s *Service) Repair(ctx context.Context, o RepairOptions, fn func(Finding) error, progress Progress) (Report, error) {
	return Report{}, errors.ErrUnsupported
}

// AdoptReport is the sum of an Adopt.
type AdoptReport struct {
	Instances int `json:"instances"`
	Claimed   int `json:"claimed"` // names that had no claim
	Refused   int `json:"refused"` // names that belong to another instance
}

// Adopt makes the claims of all records that have none: those of a stack's fleet.
// Each name that another instance has is given to fn.
func (s *Service) Adopt(ctx context.Context, fn func(Finding) error, progress Progress) (AdoptReport, error) {
	return AdoptReport{}, errors.ErrUnsupported
}

// Operations gives those of the journal to fn that have not ended, or all.
func (s *Service) Operations(ctx context.Context, all bool, fn func(Operation) error) error {
	return errors.ErrUnsupported
}
