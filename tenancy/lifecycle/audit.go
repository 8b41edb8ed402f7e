// Audit: who changed what of an instance, when and from where.

package lifecycle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// Difference is one field of an instance that a change makes another. Secrets
// are shown as "(secret)".
type Difference struct {
	Field string `json:"field"`
	Old   any    `json:"old,omitempty"` // absent where there was none
	New   any    `json:"new,omitempty"` // absent where it is gone
}

// Entry is one change in the audit, a document of the database gatehouse/audit.
// It holds no secret.
type Entry struct {
	ID          string       `json:"_id,omitempty"`
	At          string       `json:"at"` // RFC 3339
	Verb        string       `json:"verb"`
	Outcome     string       `json:"outcome,omitempty"` // of an add or a destroy: done or undone
	Domain      string       `json:"domain"`
	Instance    string       `json:"instance"`
	Actor       string       `json:"actor,omitempty"`
	Address     string       `json:"address,omitempty"`
	Via         string       `json:"via,omitempty"`
	Node        string       `json:"node"`
	Error       string       `json:"error,omitempty"`
	Differences []Difference `json:"differences,omitempty"`

	// Of an add or a destroy.
	Ended     string   `json:"ended_at,omitempty"`
	Prefix    string   `json:"prefix,omitempty"`
	Cluster   int      `json:"cluster,omitempty"`
	Names     []string `json:"names,omitempty"`
	Databases int      `json:"databases,omitempty"`
	Steps     []Step   `json:"steps,omitempty"`
}

// secretText stands for a secret in differences.
const secretText = "(secret)"

// entryID sorts the entries of a domain together, the newest first.
func entryID(domain string, at time.Time, unique string) string {
	key, ok := tenancy.HostKey(domain)
	if !ok {
		key = domain
	}
	return fmt.Sprintf("%s/%019d-%s", key, math.MaxInt64-at.UnixNano(), unique)
}

// entryOf is the entry of an operation that has ended; those of changes of names
// and of hooks have none, since the change itself has one.
func entryOf(op Operation) (Entry, bool) {
	if op.Verb != "add" && op.Verb != "destroy" {
		return Entry{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, op.Started)
	if err != nil {
		at, op.Started = time.Unix(0, 0), op.Ended
	}
	return Entry{
		// The time of the beginning, since whoever ends it again has to find the same id.
		ID: entryID(op.Domain, at, op.ID), At: op.Started, Verb: op.Verb, Outcome: op.State, Domain: op.Domain,
		Instance: op.Instance, Actor: op.Actor, Address: op.Address, Via: op.Via, Node: op.Node, Error: op.Error,
		Ended: op.Ended, Prefix: op.Prefix, Cluster: op.Cluster, Names: op.Names, Databases: op.Databases, Steps: op.Steps,
	}, true
}

func (s *Service) putEntry(ctx context.Context, entry Entry) error {
	err := s.retried(ctx, func() error {
		_, err := s.global.Put(ctx, provision.AuditDB, entry.ID, entry)
		return err
	})
	if errors.Is(err, couch.ErrConflict) { // it is there
		return nil
	}
	return err
}

// audit notes a change that has been made. Where that fails the change stands all
// the same, and the log has the entry instead.
func (s *Service) audit(ctx context.Context, verb string, inst *tenancy.Instance, differences []Difference) {
	o, at := OriginOf(ctx), s.now()
	entry := Entry{
		ID: entryID(inst.Domain(), at, s.newID()[:8]), At: at.UTC().Format(time.RFC3339Nano), Verb: verb, Domain: inst.Domain(),
		Instance: inst.ID(), Actor: o.Actor, Address: o.Address, Via: o.Via, Node: s.node, Differences: differences,
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	if err := s.putEntry(ctx, entry); err != nil {
		s.log.Error("a change could not be written to the audit", zap.Error(err), zap.Any("entry", entry))
	}
}

// differences are the fields that two documents of one instance do not share, by
// name.
func differences(before, after *tenancy.Instance) []Difference {
	names := append(before.Fields(), after.Fields()...)
	slices.Sort(names)
	var out []Difference
	for _, field := range slices.Compact(names) {
		was, is := before.Raw(field), after.Raw(field)
		if strings.HasPrefix(field, "_") || sameJSON(was, is) {
			continue
		}
		out = append(out, Difference{Field: field, Old: shown(field, was), New: shown(field, is)})
	}
	return out
}

// sameJSON tells whether two values are the same but for white space.
func sameJSON(a, b json.RawMessage) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

func shown(field string, raw json.RawMessage) any {
	switch {
	case raw == nil:
		return nil
	case tenancy.Secret(field):
		return secretText
	default:
		return raw
	}
}

// History gives the changes of a domain to fn, the newest first; limit 0 is for
// all. It knows domains of instances that are gone. An alias finds the history of
// its instance.
func (s *Service) History(ctx context.Context, domain string, limit int, fn func(Entry) error) error {
	key, ok := tenancy.HostKey(domain)
	if !ok {
		return tenancy.ErrNotFound
	}
	if inst, err := s.Get(ctx, domain); err == nil {
		if own, ok := tenancy.HostKey(inst.Domain()); ok {
			key = own
		}
	} else if !errors.Is(err, tenancy.ErrNotFound) {
		return err
	}
	given := 0
	full := errors.New("enough entries")
	err := s.global.Walk(ctx, provision.AuditDB, couch.Range{Start: key + "/", End: key + "0"}, func(row couch.Row) error {
		var e Entry
		if err := json.Unmarshal(row.Doc, &e); err != nil {
			return fmt.Errorf("entry %s of the audit cannot be read: %w", row.ID, err)
		}
		if limit > 0 && given == limit {
			return full
		}
		given++
		return fn(e)
	})
	switch {
	case errors.Is(err, full):
		return nil
	case errors.Is(err, couch.ErrNotFound) || err == nil && given == 0:
		return tenancy.ErrNotFound
	default:
		return err
	}
}
