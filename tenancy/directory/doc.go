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
package directory
