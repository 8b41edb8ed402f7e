// Follow: what a front door hears of the records that others write.

package certificates

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

const (
	// feedWait is how long the store may hold the feed of the records.
	feedWait = 25 * time.Second
	// feedPause is the pause after a feed that has failed.
	feedPause = 2 * time.Second
)

// follow hears of records that are written, until ctx ends. The leader has a look at
// their names; every front door takes a certificate up that it has an older one of. It
// begins from now: a leader's sweep has what was before, and is made again where some
// of the feed was missed.
func (s *Service) follow(ctx context.Context, r records) {
	since := ""
	for ctx.Err() == nil {
		var err error
		if since == "" {
			var info couch.Info
			if info, err = s.Cluster.Info(ctx, provision.TLSDB); err == nil {
				if since = info.UpdateSeq; since == "" {
					since = "0"
				}
				if lead := s.lead.Load(); lead != nil {
					lead.resweep()
				}
			}
		}
		if err == nil {
			since, _, err = s.Cluster.Changes(ctx, provision.TLSDB, couch.Feed{Since: since, Wait: feedWait}, func(c couch.Change) error {
				s.heard(r, c)
				return nil
			})
		}
		if err != nil {
			if errors.Is(err, couch.ErrRefused) || errors.Is(err, couch.ErrNotFound) {
				since = "" // of a database that was made anew
			}
			sleep(ctx, feedPause)
		}
	}
}

// heard is told of a record that was written.
func (s *Service) heard(r records, c couch.Change) {
	var rec Record
	name, ok := r.nameOf(c.ID)
	if ok && c.Deleted { // with the certificate
		s.keeper.forget(name)
		return
	}
	if !ok || json.Unmarshal(c.Doc, &rec) != nil {
		return
	}
	if rec.State == Issued || rec.Next.IsZero() {
		s.fruitless.forget(name)
	}
	if rec.Node != s.Node { // of one's own it is known what is to do
		s.Want(name)
	}
	if rec.State == Issued {
		s.keeper.renewed(name, rec.Serial)
	}
}
