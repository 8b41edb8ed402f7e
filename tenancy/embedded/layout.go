// Layout: the keys and records of a database's bucket.

package embedded

import (
	"encoding/binary"
	"fmt"
	"strings"

	"go.etcd.io/bbolt"
)

// First bytes of the keys of a database.
const (
	prefixDoc    = 'd'
	prefixLocal  = 'l'
	prefixSeq    = 'q'
	prefixDomain = 'v'
)

// Keys that stand alone.
var (
	keyCounters = []byte("m")
	keySecurity = []byte("x")
)

// maxKeyPart bounds an id, and a domain in the view, in bytes: a row of the view
// has both in its key, a domain's zero bytes escaped, and bbolt's keys end at
// 32 KiB.
const maxKeyPart = 8 << 10

// database is one database within a transaction.
type database struct {
	bucket   *bbolt.Bucket
	counters counters
	changed  bool // in this transaction
}

// openDatabase finds a database; 404 where it does not exist.
func openDatabase(tx *bbolt.Tx, name string) (*database, error) {
	bucket := tx.Bucket(bucketDatabases).Bucket([]byte(name))
	if bucket == nil {
		return nil, missingDatabase()
	}
	d := &database{bucket: bucket}
	if err := d.counters.decode(bucket.Get(keyCounters)); err != nil {
		return nil, fmt.Errorf("database %s: %w", name, err)
	}
	return d, nil
}

// counters is what a database knows about itself, so that nothing has to count.
type counters struct {
	uuid    [16]byte
	created uint64 // µs since 1970, never the same twice
	seq     uint64 // of the last change
	docs    uint64
	deleted uint64
	bytes   uint64 // of the bodies, tombstones included
	rows    uint64 // of the view domain-and-aliases
}

const countersSize = 16 + 6*8

func (c *counters) encode() []byte {
	b := make([]byte, 0, countersSize)
	b = append(b, c.uuid[:]...)
	for _, n := range []uint64{c.created, c.seq, c.docs, c.deleted, c.bytes, c.rows} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func (c *counters) decode(b []byte) error {
	if len(b) != countersSize {
		return fmt.Errorf("its counters are damaged (%d bytes)", len(b))
	}
	copy(c.uuid[:], b)
	for i, n := range []*uint64{&c.created, &c.seq, &c.docs, &c.deleted, &c.bytes, &c.rows} {
		*n = binary.BigEndian.Uint64(b[16+8*i:])
	}
	return nil
}

// record is a document as it is stored. Its body belongs to the transaction.
type record struct {
	deleted bool
	seq     uint64
	rev     revision
	body    []byte // a JSON object
}

const flagDeleted = 1

func (r *record) encode() []byte {
	b := make([]byte, 0, 1+8+maxRevisionSize+len(r.body))
	b = append(b, flags(r.deleted))
	b = binary.BigEndian.AppendUint64(b, r.seq)
	b = r.rev.append(b)
	return append(b, r.body...)
}

func decodeRecord(b []byte) (r record, err error) {
	if len(b) < 9 {
		return r, errDamaged
	}
	r.deleted = b[0]&flagDeleted != 0
	r.seq = binary.BigEndian.Uint64(b[1:])
	r.rev, r.body, err = cutRevision(b[9:])
	return r, err
}

// change is a row of the changes feed as it is stored.
type change struct {
	deleted bool
	rev     revision
	id      string
}

func (c *change) encode() []byte {
	b := make([]byte, 0, 1+maxRevisionSize+len(c.id))
	b = append(b, flags(c.deleted))
	b = c.rev.append(b)
	return append(b, c.id...)
}

func decodeChange(b []byte) (c change, err error) {
	if len(b) < 1 {
		return c, errDamaged
	}
	c.deleted = b[0]&flagDeleted != 0
	rev, id, err := cutRevision(b[1:])
	c.rev, c.id = rev, string(id)
	return c, err
}

var errDamaged = fmt.Errorf("a record of the store is damaged")

func flags(deleted bool) byte {
	if deleted {
		return flagDeleted
	}
	return 0
}

func docKey(id string) []byte   { return append([]byte{prefixDoc}, id...) }
func localKey(id string) []byte { return append([]byte{prefixLocal}, id...) }

func seqKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixSeq}, seq)
}

// doc reads a document, a tombstone included.
func (d *database) doc(id string) (record, bool, error) {
	b := d.bucket.Get(docKey(id))
	if b == nil {
		return record{}, false, nil
	}
	r, err := decodeRecord(b)
	return r, err == nil, err
}

func isLocal(id string) bool  { return strings.HasPrefix(id, "_local/") }
func isDesign(id string) bool { return strings.HasPrefix(id, "_design/") }
