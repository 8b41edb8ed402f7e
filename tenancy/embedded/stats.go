// Stats: what a database says about itself, and maintenance that it does not need.

package embedded

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/go-kivik/kivik/v4/driver"
)

// Stats gives the counters of a database, as
// https://docs.couchdb.org/en/stable/api/database/common.html#get--db documents
// them. instance_start_time, in µs since 1970, is another one for each database
// that ever was. The sizes, in bytes, are those of the bodies: the file itself
// belongs to all databases. 404 without the database.
func (d *db) Stats(ctx context.Context) (*driver.DBStats, error) {
	var c counters
	var seq, opaque string
	err := d.store.read(ctx, d.name, func(t *database) error {
		c, seq, opaque = t.counters, t.sequence(t.counters.seq), t.opaque()
		return nil
	})
	if err != nil {
		return nil, err
	}
	size := int64(c.bytes)
	raw, err := json.Marshal(map[string]any{
		"db_name":             d.name,
		"purge_seq":           "0-" + opaque,
		"update_seq":          seq,
		"sizes":               map[string]int64{"file": size, "external": size, "active": size},
		"props":               struct{}{},
		"doc_del_count":       c.deleted,
		"doc_count":           c.docs,
		"disk_format_version": format,
		"compact_running":     false,
		"cluster":             map[string]int{"q": 1, "n": 1, "w": 1, "r": 1},
		"instance_start_time": strconv.FormatUint(c.created, 10),
	})
	if err != nil {
		return nil, err
	}
	return &driver.DBStats{
		Name:         d.name,
		DocCount:     int64(c.docs),
		DeletedCount: int64(c.deleted),
		UpdateSeq:    seq,
		DiskSize:     size,
		ActiveSize:   size,
		ExternalSize: size,
		Cluster:      &driver.ClusterStats{Replicas: 1, Shards: 1, ReadQuorum: 1, WriteQuorum: 1},
		RawResponse:  raw,
	}, nil
}

// exists gives nil, or 404 without the database.
func (d *db) exists(ctx context.Context) error {
	return d.store.read(ctx, d.name, func(*database) error { return nil })
}

// Compact has nothing to do: bbolt uses freed pages again by itself.
func (d *db) Compact(ctx context.Context) error { return d.exists(ctx) }

// CompactView has nothing to do either.
func (d *db) CompactView(ctx context.Context, ddoc string) error {
	if ddoc == "" {
		return missingArg("ddocID")
	}
	return d.exists(ctx)
}

// ViewCleanup has nothing to do either.
func (d *db) ViewCleanup(ctx context.Context) error { return d.exists(ctx) }

// Flush has nothing to do: what was acknowledged is on disk.
func (d *db) Flush(ctx context.Context) error { return d.exists(ctx) }

// Interface guards.
var _ driver.Flusher = (*db)(nil)
