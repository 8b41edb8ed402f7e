// Package directory finds the instance behind a host, in memory.
//
// A look-up takes no lock, allocates nothing and asks no database. The way of
// a request is Directory.Decide, then index.resolve. The way of a change is
// Directory.Apply (or the follower, which hears of it from the changes feed),
// then index.apply.
//
// What is held is what routing needs, never a secret. With the store gone,
// serving goes on from memory without a time limit, and so does a restart, from
// the snapshot on disk.
//
// # Design
//
// An instance is a record: bytes without a pointer, one after the other in chunks of up to
// 1 MiB, so that the garbage collector has nothing to follow however many there are. A
// record never changes; a change writes another one. A chunk in which none is needed any
// more is left to the collector, and each change moves a few records so that this happens.
//
// Hosts and ids lead to records by hash tables of 4-byte references in 4,096 shards. A
// table is an array of groups of 64 bytes, a cache line: 12 tags and 12 references. Readers
// get one pointer, which leads to the groups and tells by its distance from a multiple of
// 64 how many there are. So a look-up reads that, one group and the name in the record.
//
// A published table is never written: a change copies the shard. A reader that took a
// reference loads the table's pointer once more after the chunk's: as long as it is the
// same, the reference was good. A host's two to four look-ups are not of one moment, so
// they are made again where nothing was found while a name was lost.
//
// Memory is, in bytes, with 5⅓ (64/12) for each slot of tables that grow from 2/3 full, a
// little less where sizes are rounded up, to 5/6:
//
//	instance  72 (id, revision, prefix and UUID packed: 65) + what is not usual + 6.4…9 for the id
//	host      4 + its name, rounded up to 4 + 6.4…9; 10…20 more where no other has its parent
//
// and what the allocator rounds up, and up to a quarter more of records, as a rule, for what
// tidying leaves. A name that several have costs 24 and an id for each but one.
//
// A change of an instance with h names writes a record, copies 1 + h shards (some 4 KB each
// at two million hosts), and looks at ten records to tidy. A reload has a second index
// beside the one that is served; its tables are filled in place until it takes over.
package directory
