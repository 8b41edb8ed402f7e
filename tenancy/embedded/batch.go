// Batch: the databases of one write transaction, their counters written once at its end.

package embedded

import (
	"encoding/binary"
	"errors"
	"net/http"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// batch is a write transaction that several operations share.
type batch struct {
	tx   *bbolt.Tx
	open map[string]*database
	gone map[string]struct{} // destroyed in this transaction
}

func newBatch(tx *bbolt.Tx) *batch {
	return &batch{tx: tx, open: make(map[string]*database), gone: make(map[string]struct{})}
}

// database opens a database, once for the transaction; 404 where it does not exist.
func (b *batch) database(name string) (*database, error) {
	if d := b.open[name]; d != nil {
		return d, nil
	}
	d, err := openDatabase(b.tx, name)
	if err != nil {
		return nil, err
	}
	b.open[name] = d
	return d, nil
}

// create makes a database; 412 where it exists.
func (b *batch) create(name string, uuid [16]byte, now time.Time) error {
	databases := b.tx.Bucket(bucketDatabases)
	if databases.Bucket([]byte(name)) != nil {
		return answer(http.StatusPreconditionFailed, "The database could not be created, the file already exists.")
	}
	created, err := b.stamp(now)
	if err != nil {
		return err
	}
	bucket, err := databases.CreateBucket([]byte(name))
	if err != nil {
		return err
	}
	b.open[name] = &database{bucket: bucket, counters: counters{uuid: uuid, created: created}, changed: true}
	return nil
}

// stamp gives a time of creation, in µs, that no database had before: consumers
// tell a re-created database by it, even where the clock stood still or went back.
func (b *batch) stamp(now time.Time) (uint64, error) {
	own := b.tx.Bucket(bucketStore)
	stamp := uint64(max(now.UnixMicro(), 0))
	if last := own.Get(keyCreated); len(last) == 8 {
		stamp = max(stamp, binary.BigEndian.Uint64(last)+1)
	}
	return stamp, own.Put(keyCreated, binary.BigEndian.AppendUint64(nil, stamp))
}

// destroy removes a database; 404 where it does not exist.
func (b *batch) destroy(name string) error {
	err := b.tx.Bucket(bucketDatabases).DeleteBucket([]byte(name))
	if errors.Is(err, bolterrors.ErrBucketNotFound) {
		return missingDatabase()
	}
	if err != nil {
		return err
	}
	delete(b.open, name)
	b.gone[name] = struct{}{}
	return nil
}

// changed lists the databases that the transaction wrote to, created or destroyed.
func (b *batch) changed() []string {
	names := make([]string, 0, len(b.open)+len(b.gone))
	for name := range b.gone {
		names = append(names, name)
	}
	for name, d := range b.open {
		if d.changed && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// flush writes the counters of what changed.
func (b *batch) flush() error {
	for _, d := range b.open {
		if !d.changed {
			continue
		}
		if err := d.bucket.Put(keyCounters, d.counters.encode()); err != nil {
			return err
		}
	}
	return nil
}
