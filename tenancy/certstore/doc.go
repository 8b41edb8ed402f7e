// Package comment: what the certificate store keeps, and what it promises.

// Package certstore is certmagic's Storage in a couch.Cluster: the certificates,
// private keys, OCSP staples and ACME accounts of a fleet of front doors, and the
// locks by which they do not order one certificate twice.
//
// # Documents
//
// All are in one database, [DefaultDatabase], and told apart by their ids. Bytes
// that are not printable ASCII, and the percent sign, stand in an id as %XX.
//
//	value/<key>             one value: size, time, the id of the encryption key, and
//	                        the sealed value itself up to 16 KiB, or where its chunks are
//	chunk/<content>/<nnnn>  up to 256 KiB of a larger value, sealed
//	lock/<name>             one held lock: who holds it, and for how long without renewal
//
// A large value is written as chunks under a new random content id first, then
// comes its value document, then the chunks before it go: a reader finds the old
// value or the new one. Chunks that a crash has left are removed by a sweep, each
// hour, which needs to see them twice. A value has at most 16 MiB, a key 1024 bytes.
//
// # Sealing
//
// Values are sealed with AES-256-GCM. The key is derived by HKDF-SHA-256 from the
// 32 bytes of the configuration; so is the id by which documents name it, which says
// nothing of the key. The name of the value, its size, its time, the key id and the
// place of a chunk are authenticated with it: a value that is moved to another name,
// cut, put together anew or given another time cannot be opened. What nobody can
// see is a whole document that was put back to what it was before. Nonces are
// random: one key may seal 2^32 values, which is a thousand years of a large fleet.
// Names are in clear.
//
// # Consistency
//
// A write returns when the store has it, and the last of concurrent writers wins. In a
// cluster of CouchDB nodes a document is read from a majority, so that what was stored
// is loaded; a list is read from one copy of each shard, and may lag behind.
// Where two halves of a divided cluster take a value each, CouchDB chooses one when
// they meet; Delete removes both.
//
// # Locks
//
// A lock is a document that is there. Whoever creates it has the lock, writes it
// anew each third of its lease, and deletes it at the end. No time of another
// machine is compared with one's own clock: who waits takes a lock over when it
// has itself seen one revision for the whole lease, which the document names as a
// duration, and does so by a write that names that revision. A holder that was
// taken for dead learns it at its next renewal, since its revision is gone.
//
// Two halves of a divided cluster can each give a lock away. Both then see the
// conflict, at the latest at the next renewal after the halves have met; one of them
// keeps the lock, by CouchDB's own rule, the same for all. Until then both hold it,
// as with any lock without fencing in what it guards; certmagic is made for that.
//
// # The cache
//
// A folder keeps a copy of what was loaded and stored, sealed as it is in the
// store, for the time when the store does not answer. As long as it does, it alone is
// believed. After a failure reads go to the cache at once for some seconds, then
// one of them tries the store again. Writes and locks need the store.
//
// # Goroutines
//
// Two for a Store that was used: one renews the locks that are held, one sweeps
// and re-seals. One more while a cache is read in. Close ends them.
package certstore
