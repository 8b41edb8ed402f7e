// List: what is known of certificates, for people and metrics.

package certificates

import (
	"context"
	"crypto/rand"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// Record is what is known of a name's certificate; tenancy.ErrNotFound for nothing.
func (s *Service) Record(ctx context.Context, name string) (*Record, error) {
	r, err := s.records(ctx)
	if err != nil {
		return nil, err
	}
	rec, err := r.get(ctx, name)
	if err == nil && rec == nil {
		err = tenancy.ErrNotFound
	}
	return rec, err
}

// Records are those of names, by name; names without one are left out.
func (s *Service) Records(ctx context.Context, names []string) (map[string]*Record, error) {
	r, err := s.records(ctx)
	if err != nil {
		return nil, err
	}
	return r.many(ctx, names)
}

// Walk gives all records to fn, in the order of their names.
func (s *Service) Walk(ctx context.Context, fn func(*Record) error) error {
	r, err := s.records(ctx)
	if err != nil {
		return err
	}
	return r.walk(ctx, fn)
}

// Leads tells whether this front door orders for all that share its storage.
func (s *Service) Leads() bool { return s.lead.Load() != nil }

// Queue is the number of names that the leader is going to look at; 0 on others.
func (s *Service) Queue() int {
	if lead := s.lead.Load(); lead != nil {
		return lead.queue.len()
	}
	return 0
}

// Counters count since the start of the process.
type Counters struct {
	orders, failures, paced, removed, braked, revoked, denied atomic.Int64

	sum atomic.Pointer[Sum]
}

// Counts are the Counters at a moment.
type Counts struct {
	Orders   int64 // that have brought a certificate
	Failures int64
	Paced    int64 // that had to wait for a budget
	Removed  int64
	Braked   int64 // removals that had to wait, since there were many
	Revoked  int64
	Denied   int64 // demands of clients that had asked for too many
}

// Counts are those of this front door.
func (s *Service) Counts() Counts {
	c := &s.counters
	return Counts{
		Orders: c.orders.Load(), Failures: c.failures.Load(), Paced: c.paced.Load(),
		Removed: c.removed.Load(), Braked: c.braked.Load(), Revoked: c.revoked.Load(), Denied: c.denied.Load(),
	}
}

// Buckets are the limits in which certificates are counted by how long they are good.
var Buckets = []time.Duration{0, 24 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour, 30 * 24 * time.Hour, 60 * 24 * time.Hour, 90 * 24 * time.Hour}

// Sum is the result of a leader's last sweep.
type Sum struct {
	At     time.Time
	States map[State]int
	Left   []int // certificates that are good for at most Buckets[i]
	Held   int
	Gone   int // certificates of names that are nobody's any more, and are to be removed
}

func newSum(now time.Time) *Sum {
	return &Sum{At: now, States: map[State]int{}, Left: make([]int, len(Buckets))}
}

// count counts a record. One that nothing is done about is not renewed, so that how long
// it is good tells nothing.
func (s *Sum) count(rec *Record, now time.Time, idle, gone bool) {
	s.States[rec.State]++
	if gone && rec.Held() {
		s.Gone++
	}
	if !rec.Held() || idle {
		return
	}
	s.Held++
	for i, limit := range Buckets {
		if rec.NotAfter.Sub(now) <= limit {
			s.Left[i]++
		}
	}
}

// Sum is that of the last sweep of this front door; nil before the first.
func (s *Service) Sum() *Sum { return s.counters.sum.Load() }

// random is the service's randomness, safe for concurrent use.
func (s *Service) random() io.Reader {
	if s.Rand == nil {
		return rand.Reader
	}
	return lockedReader{s}
}

var randMu sync.Mutex

type lockedReader struct{ s *Service }

func (r lockedReader) Read(p []byte) (int, error) {
	randMu.Lock()
	defer randMu.Unlock()
	return r.s.Rand.Read(p)
}
