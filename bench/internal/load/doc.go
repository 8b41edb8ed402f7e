// Package load sends requests to a proxy, as many connections of clients at once, and
// notes how long each took. It does little else, since it runs on the machine that is
// measured: a request is written from a buffer, and of an answer only what is needed is read.
package load
