// Package apps installs apps from registries for a stack to serve: it asks a
// registry for a version, streams its tarball through every check into the
// storage of files, and says which documents belong to the app. Writing those
// is the caller's.
//
// A registry, and who publishes there, are trusted with what an app does, and
// with nothing else: sizes, names, types, addresses and times are bounded.
//
// Memory of one install: the registry's answer, and some MiB for compression,
// whatever the tarball's size. One goroutine, and the HTTP transport's.
package apps
