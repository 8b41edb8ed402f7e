// Record: what is known of the certificate of one name, as a document.

package certificates

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// State is what becomes of a name's certificate.
type State string

// States of a Record.
const (
	Pending State = "pending"       // it is to be ordered
	Waiting State = "waiting_proof" // the domain does not point here, nor has it the TXT record
	Ordered State = "ordered"       // an order is under way, or its front door has died
	Failed  State = "failed"        // an order has failed, and is tried again at Next
	Issued  State = "issued"
)

// Record is a name with its certificate. It holds no key.
type Record struct {
	ID         string    `json:"_id"`
	Rev        string    `json:"_rev,omitempty"`
	Name       string    `json:"name"`
	Instance   string    `json:"instance"`         // the id of the instance's document
	Parent     string    `json:"parent,omitempty"` // of the host of an app, the instance's name that it stands under
	State      State     `json:"state"`
	Issuer     string    `json:"issuer,omitempty"`
	Serial     string    `json:"serial,omitempty"` // hex
	NotBefore  time.Time `json:"not_before,omitzero"`
	NotAfter   time.Time `json:"not_after,omitzero"`
	RenewAt    time.Time `json:"renew_at,omitzero"`
	ARI        time.Time `json:"ari_at,omitzero"` // when the authority is asked next when to renew; RFC 9773
	Tries      int       `json:"tries,omitempty"` // that have failed in a row
	Next       time.Time `json:"next_at,omitzero"`
	Error      string    `json:"error,omitempty"`
	ProofToken string    `json:"proof_token,omitempty"` // of the TXT record; public
	Wanted     time.Time `json:"wanted_at"`             // since when a certificate is wanted
	Node       string    `json:"node,omitempty"`        // that wrote it last
	Orders     []Order   `json:"orders,omitempty"`      // the last ones, the earliest first; they count in budgets
}

// Order is one that was made.
type Order struct {
	At    time.Time `json:"at"`
	First bool      `json:"first,omitempty"` // and not to renew
}

// maxOrders bounds the orders that a record has. Of more the latest count.
const maxOrders = 32

// ordered notes an order.
func (r *Record) ordered(at time.Time, first bool) {
	if extra := len(r.Orders) + 1 - maxOrders; extra > 0 {
		r.Orders = slices.Delete(r.Orders, 0, extra)
	}
	r.Orders = append(r.Orders, Order{At: at.UTC(), First: first})
}

// unordered takes the last order back, which has reached nobody.
func (r *Record) unordered() {
	if n := len(r.Orders); n > 0 {
		r.Orders = r.Orders[:n-1]
	}
}

// past are the orders that count: of a certificate that was taken up from elsewhere, the
// one that brought it.
func (r *Record) past() []Order {
	if len(r.Orders) == 0 && r.Held() {
		return []Order{{At: r.NotBefore, First: r.first()}}
	}
	return r.Orders
}

// Held tells whether there is a certificate, maybe one that has expired.
func (r *Record) Held() bool { return !r.NotAfter.IsZero() }

// describe notes what a certificate is.
func (r *Record) describe(held *heldCertificate) {
	r.Issuer, r.Serial = held.issuer, serialOf(held.leaf)
	r.NotBefore, r.NotAfter = held.leaf.NotBefore.UTC(), held.leaf.NotAfter.UTC()
}

// is tells whether a certificate is the one that the record is of.
func (r *Record) is(held *heldCertificate) bool {
	return r.Held() && r.Issuer == held.issuer && r.Serial == serialOf(held.leaf)
}

// lose notes that there is no certificate. Its issuer stays, so that what may be left
// of it is removed with the name.
func (r *Record) lose() {
	if r.State == Issued {
		r.State = Pending
	}
	r.Serial, r.NotBefore, r.NotAfter, r.RenewAt, r.ARI = "", time.Time{}, time.Time{}, time.Time{}, time.Time{}
}

// until is when a certificate that was issued is to be renewed.
func (r *Record) until() time.Time {
	if r.Next.After(r.RenewAt) { // for the sake of a budget
		return r.Next
	}
	return r.RenewAt
}

// due is when there is something to do about it.
func (r *Record) due() time.Time {
	if r.State != Issued {
		return r.Next
	}
	if !r.ARI.IsZero() && r.ARI.Before(r.until()) {
		return r.ARI
	}
	return r.until()
}

// first tells whether the certificate is the name's first one, as far as budgets go.
func (r *Record) first() bool { return r.NotBefore.Before(r.Wanted.Add(14 * 24 * time.Hour)) }

// demandLife is how long the host of an app is tried that somebody has come to: nobody else
// has asked for it.
const demandLife = 24 * time.Hour

// forlorn tells whether an order that a visitor caused is given up.
func (r *Record) forlorn(now time.Time) bool {
	return r.Parent != "" && !r.Held() && (r.State == Failed || r.State == Waiting) && !now.Before(r.Next) && now.Sub(r.Wanted) >= demandLife
}

// recordID is the id of a name's document: names of one storage are in one range.
func recordID(storage, name string) string { return storage + ":" + name }

// rangeOf is the range of a storage's documents.
func rangeOf(storage string) couch.Range {
	return couch.Range{Start: storage + ":", End: storage + ";"}
}

// records are the documents of one storage.
type records struct {
	cluster *couch.Cluster
	storage string
}

// get reads the record of a name; nil where there is none.
func (r records) get(ctx context.Context, name string) (*Record, error) {
	raw, err := r.cluster.Get(ctx, provision.TLSDB, recordID(r.storage, name))
	if errors.Is(err, couch.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rec := new(Record)
	if err := json.Unmarshal(raw, rec); err != nil {
		return nil, err
	}
	return rec, nil
}

// many reads those of names that have one, by name.
func (r records) many(ctx context.Context, names []string) (map[string]*Record, error) {
	ids := make([]string, len(names))
	for i, name := range names {
		ids[i] = recordID(r.storage, name)
	}
	rows, err := r.cluster.GetMany(ctx, provision.TLSDB, ids)
	if err != nil && !errors.Is(err, couch.ErrNotFound) {
		return nil, err
	}
	out := make(map[string]*Record, len(rows))
	for _, row := range rows {
		rec := new(Record)
		if json.Unmarshal(row.Doc, rec) == nil {
			out[rec.Name] = rec
		}
	}
	return out, nil
}

// walk gives all of them to fn, in the order of their names.
func (r records) walk(ctx context.Context, fn func(*Record) error) error {
	err := r.cluster.Walk(ctx, provision.TLSDB, rangeOf(r.storage), func(row couch.Row) error {
		rec := new(Record)
		if json.Unmarshal(row.Doc, rec) != nil || rec.Name == "" {
			return nil // not ours to judge
		}
		return fn(rec)
	})
	if errors.Is(err, couch.ErrNotFound) { // no database yet
		return nil
	}
	return err
}

// put writes a record at its revision.
func (r records) put(ctx context.Context, rec *Record) error {
	rec.ID = recordID(r.storage, rec.Name)
	rev, err := r.cluster.Put(ctx, provision.TLSDB, rec.ID, rec)
	if err == nil {
		rec.Rev = rev
	}
	return err
}

// drop removes a record at its revision; one that has gone is none.
func (r records) drop(ctx context.Context, rec *Record) error {
	_, err := r.cluster.Delete(ctx, provision.TLSDB, rec.ID, rec.Rev)
	if errors.Is(err, couch.ErrNotFound) {
		return nil
	}
	return err
}

// nameOf is the name in a record's id; ok is false for another storage's.
func (r records) nameOf(id string) (name string, ok bool) {
	return strings.CutPrefix(id, r.storage+":")
}
