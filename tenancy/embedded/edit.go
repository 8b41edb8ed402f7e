// Edit: what a write does to a database within its transaction. All checks come
// before the first write, so that a refusal leaves the transaction clean.

package embedded

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// apply writes a document, and gives its new revision; 409 where its parent is
// not the current revision. Over a tombstone it takes an edit without a parent
// alone, and goes on with the generations, as CouchDB does.
func (d *database) apply(doc *document) (string, error) {
	if isLocal(doc.id) {
		return d.applyLocal(doc)
	}
	old, exists, err := d.doc(doc.id)
	if err != nil {
		return "", err
	}
	switch {
	case !exists && doc.rev != "",
		exists && old.deleted && (doc.rev != "" || doc.deleted),
		exists && !old.deleted && doc.rev != old.rev.String():
		return "", conflict()
	}
	d.changed = true
	oldSize, oldSeq := len(old.body), old.seq
	var before []string
	if exists && !old.deleted {
		before = domainsOf(old.body)
	}
	d.counters.seq++
	d.count(exists, old.deleted, doc.deleted)
	d.counters.bytes += uint64(len(doc.body)) - uint64(oldSize) // wraps around to a subtraction

	// old.body belongs to the transaction, and is not to be used from here on.
	made := record{deleted: doc.deleted, seq: d.counters.seq, rev: old.rev.next(doc.deleted, doc.sum), body: doc.body}
	if err := d.bucket.Put(docKey(doc.id), made.encode()); err != nil {
		return "", err
	}
	if exists {
		if err := d.bucket.Delete(seqKey(oldSeq)); err != nil {
			return "", err
		}
	}
	row := change{deleted: doc.deleted, rev: made.rev, id: doc.id}
	if err := d.bucket.Put(seqKey(made.seq), row.encode()); err != nil {
		return "", err
	}
	return made.rev.String(), d.index(doc.id, before, doc.domains)
}

// count keeps the numbers of documents and tombstones.
func (d *database) count(exists, wasDeleted, isDeleted bool) {
	if exists && wasDeleted {
		d.counters.deleted--
	} else if exists {
		d.counters.docs--
	}
	if isDeleted {
		d.counters.deleted++
	} else {
		d.counters.docs++
	}
}

// deletable tells whether there is a document to delete; 404 otherwise.
func (d *database) deletable(id string) error {
	if isLocal(id) {
		if d.bucket.Get(localKey(id)) == nil {
			return missingDoc()
		}
		return nil
	}
	r, exists, err := d.doc(id)
	switch {
	case err != nil:
		return err
	case !exists:
		return missingDoc()
	case r.deleted:
		return deletedDoc()
	}
	return nil
}

// applyLocal writes a local document, whose revision is a counter that CouchDB
// takes from the caller and never checks.
func (d *database) applyLocal(doc *document) (string, error) {
	var n uint64
	if doc.rev != "" {
		gen, counter, _ := strings.Cut(doc.rev, "-")
		last, err := strconv.ParseUint(counter, 10, 64)
		if gen != "0" || err != nil {
			return "", errRevFormat()
		}
		n = last
	}
	d.changed = true
	if doc.deleted {
		return "0-0", d.bucket.Delete(localKey(doc.id))
	}
	n++
	return "0-" + strconv.FormatUint(n, 10), d.bucket.Put(localKey(doc.id), encodeLocal(n, doc.body))
}

func encodeLocal(n uint64, body []byte) []byte {
	return append(binary.AppendUvarint(nil, n), body...)
}

// decodeLocal reads a local document. Its body belongs to the transaction.
func decodeLocal(b []byte) (rev string, body []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return "", nil, errDamaged
	}
	return "0-" + strconv.FormatUint(n, 10), b[size:], nil
}
