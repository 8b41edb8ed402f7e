// Package files is where a stack keeps the files of instances and of their
// apps, beside the documents in the store: a folder, or Swift.
//
// A front door makes what a new instance needs there, writes the apps that it
// installs, and removes everything of an instance that goes. It never reads or
// lists what an owner keeps.
//
// The layouts are those of a stack, seen on disk and on the wire, so that both
// can work on the same place at the same time.
package files
