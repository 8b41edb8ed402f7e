// Quarantine: hosts of instances that were destroyed, and are kept from others
// for a time. They are documents of the claims' database, which is followed for
// them alone: what is a claim is read past.

package directory

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// quarantinePrefix is how the ids of quarantines begin, and quarantineEnd is
// after all of them.
const (
	quarantinePrefix = "quarantine:"
	quarantineEnd    = "quarantine;"
)

// Claims is where the claims' database is: a *couch.Cluster.
type Claims interface {
	Source
	Walk(ctx context.Context, db string, r couch.Range, fn func(couch.Row) error) error
}

// quarantines are the names in quarantine with their ends. Reading takes a lock
// that is held for moments, and only for hosts that are no instance's.
type quarantines struct {
	some atomic.Bool // spares the lock where there are none
	mu   sync.RWMutex
	ends map[string]time.Time
}

func (q *quarantines) has(key []byte, now time.Time) bool {
	q.mu.RLock()
	defer q.mu.RUnlock()
	end, ok := q.ends[string(key)]
	return ok && now.Before(end)
}

func (q *quarantines) set(key string, end time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ends == nil {
		q.ends = map[string]time.Time{}
	}
	if end.IsZero() {
		delete(q.ends, key)
	} else {
		q.ends[key] = end
	}
	q.some.Store(len(q.ends) > 0)
}

func (q *quarantines) replace(ends map[string]time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ends = ends
	q.some.Store(len(ends) > 0)
}

// sweep forgets the quarantines that have ended.
func (q *quarantines) sweep(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	maps.DeleteFunc(q.ends, func(_ string, end time.Time) bool { return !now.Before(end) })
	q.some.Store(len(q.ends) > 0)
}

// Quarantine notes that a name, in normal form, is kept from others until then;
// the node that destroyed its instance calls it. The zero time ends it.
func (d *Directory) Quarantine(key string, until time.Time) { d.quarantined.set(key, until) }

// inQuarantine tells whether a host that is no instance's is one in quarantine, or
// an app host of one; with its port and without.
func (d *Directory) inQuarantine(host string, mode Mode) bool {
	if !d.quarantined.some.Load() {
		return false
	}
	var room, parentRoom [tenancy.MaxHostLength]byte
	key, name, ok := tenancy.AppendHost(room[:0], host)
	if !ok {
		return false
	}
	now := d.opts.Now()
	if d.quarantined.has(key, now) || d.quarantined.has(key[:name], now) {
		return true
	}
	parent, parentName, _, ok := mode.cut(parentRoom[:0], key, name)
	return ok && (d.quarantined.has(parent, now) || d.quarantined.has(parent[:parentName], now))
}

// followClaims reads the quarantines, and follows them until ctx ends.
func (d *Directory) followClaims(ctx context.Context) {
	failures := 0
	since, born := "", ""
	for ctx.Err() == nil {
		err := d.claimsStep(ctx, &since, &born)
		switch {
		case ctx.Err() != nil:
		case err == nil:
			failures = 0
		default:
			failures++
			if failures == 1 && !errors.Is(err, couch.ErrNotFound) {
				d.log.Warn("the claims cannot be read; names in quarantine are those known", zap.Error(err))
			}
			if errors.Is(err, couch.ErrNotFound) || errors.Is(err, couch.ErrRefused) {
				since = "" // another database, or none yet
			}
			bound := lastPause
			if shift := failures - 1; shift < 10 {
				bound = min(lastPause, firstPause<<shift)
			}
			pause(ctx, time.Duration(rand.Float64()*float64(bound)))
		}
	}
}

// claimsStep reads all quarantines, or one answer of the feed after that.
func (d *Directory) claimsStep(ctx context.Context, since, born *string) error {
	source, db := d.opts.Claims, d.opts.ClaimsDatabase
	if *since == "" {
		info, err := source.Info(ctx, db)
		if err != nil {
			return err
		}
		ends := map[string]time.Time{}
		err = source.Walk(ctx, db, couch.Range{Start: quarantinePrefix, End: quarantineEnd}, func(row couch.Row) error {
			if key, end, ok := parseQuarantine(row.ID, row.Doc); ok {
				ends[key] = end
			}
			return nil
		})
		if err != nil {
			return err
		}
		d.quarantined.replace(ends)
		*since, *born = info.UpdateSeq, info.Born
		return nil
	}
	seen := 0
	began := d.opts.Now()
	last, _, err := source.Changes(ctx, db, couch.Feed{Since: *since, Wait: d.opts.Wait}, func(c couch.Change) error {
		seen++
		if !strings.HasPrefix(c.ID, quarantinePrefix) {
			return nil
		}
		if c.Deleted {
			d.quarantined.set(strings.TrimPrefix(c.ID, quarantinePrefix), time.Time{})
		} else if key, end, ok := parseQuarantine(c.ID, c.Doc); ok {
			d.quarantined.set(key, end)
		}
		return nil
	})
	if err != nil {
		return err
	}
	*since = last
	if seen > 0 {
		return nil
	}
	d.quarantined.sweep(d.opts.Now())
	if d.opts.Now().Sub(began) < min(d.opts.Wait, hastyPause) {
		pause(ctx, hastyPause)
	}
	info, err := source.Info(ctx, db)
	if err == nil && (info.Born != *born || seqNumber(info.UpdateSeq) < seqNumber(*since)) {
		*since = ""
	}
	return err
}

func parseQuarantine(id string, doc json.RawMessage) (key string, end time.Time, ok bool) {
	var q struct {
		Until time.Time `json:"until"`
	}
	if err := json.Unmarshal(doc, &q); err != nil || q.Until.IsZero() {
		return "", time.Time{}, false
	}
	return strings.TrimPrefix(id, quarantinePrefix), q.Until, true
}

// unknown is the verdict on a host that belongs to no instance.
func (d *Directory) unknown(host string, mode Mode) Verdict {
	if d.inQuarantine(host, mode) {
		return Verdict{Code: tenancy.CodeQuarantined, Status: http.StatusGone}
	}
	return Verdict{Code: tenancy.CodeNotFound, Status: http.StatusNotFound}
}
