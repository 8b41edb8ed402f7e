// Package comment: what the store is, how its file is laid out, and what it promises.

// Package embedded is a kivik driver over one bbolt file: the store of a
// Gatehouse that has no CouchDB. It speaks the documented part of CouchDB 3
// that Gatehouse uses, with CouchDB's statuses and texts, so that the code
// above cannot tell which of the two it has.
//
// # The file
//
// Two buckets at the root:
//
//	gatehouse   format → "1"             a newer format is refused (ErrNewerFormat)
//	            created → 8 bytes        the last instance_start_time given, in µs
//	databases   one bucket for each database, by its name
//
// A database is one flat bucket, its keys told apart by their first byte. It has
// no buckets within, because bbolt keeps a small flat bucket inside its parent's
// page: an instance has some 16 databases, most of them almost empty.
//
//	m               the counters: uuid, creation, update sequence, documents,
//	                tombstones, bytes of the bodies, rows of the view
//	x               the security document, as JSON
//	d <id>          flags, sequence, revision, body without _id, _rev, _deleted
//	l <id>          a _local document: its counter and its body
//	q <8 bytes>     sequence → flags, revision, id: the changes feed
//	v <key> <id> n  a row of the view domain-and-aliases
//
// Only the winning revision is kept, as a CouchDB with a _revs_limit of 1 that
// is always compacted. There are no conflicts to list, since nothing replicates.
//
// # Promises
//
// A write that was acknowledged is on disk: each transaction is synced. Writes
// that wait together share one transaction (group commit), and one that is
// refused leaves the others alone. Reads take what they answer with in chunks, a
// short transaction each, because bbolt cannot reuse a page that an open
// transaction may still see. A list that is longer than one chunk is therefore
// no snapshot: it shows each document as it is when its chunk is read. The
// changes feed makes up for that, as it does in CouchDB.
//
// A Store, its clients and their databases may be used by many goroutines.
// bbolt maps the file, so the memory in use grows with what is read, not with
// what is stored.
package embedded
