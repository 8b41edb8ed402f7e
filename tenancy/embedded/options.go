// Options: limits, and the clock and the randomness that tests hand in.

package embedded

import (
	"crypto/rand"
	"io"
	"time"

	kivik "github.com/go-kivik/kivik/v4"
)

// Defaults of the options.
const (
	// DefaultLockTimeout is how long an open waits for another process to let
	// go of the file.
	DefaultLockTimeout = 2 * time.Second
	// DefaultMaxDocumentSize, in bytes, is CouchDB's max_document_size.
	DefaultMaxDocumentSize = 8_000_000
)

// Option changes a Store at New, or at kivik.New("embedded", path, …), since it
// is a kivik option too.
type Option = kivik.Option

// config is what the options change.
type config struct {
	lockTimeout     time.Duration
	maxDocumentSize int
	now             func() time.Time
	random          io.Reader
}

func newConfig() config {
	return config{
		lockTimeout:     DefaultLockTimeout,
		maxDocumentSize: DefaultMaxDocumentSize,
		now:             time.Now,
		random:          rand.Reader,
	}
}

// setting is an Option that changes the config.
type setting func(*config)

// Apply changes target where it is a config; kivik asks options to ignore others.
func (s setting) Apply(target any) {
	if c, ok := target.(*config); ok {
		s(c)
	}
}

// LockTimeout sets how long an open waits for the lock on the file; at least 1 ms,
// since bbolt would wait forever on 0. The default is DefaultLockTimeout.
func LockTimeout(d time.Duration) Option {
	return setting(func(c *config) { c.lockTimeout = max(d, time.Millisecond) })
}

// MaxDocumentSize sets the limit of a document's body, in bytes of JSON without
// its spaces; a larger one is refused with status 413. The default is
// DefaultMaxDocumentSize.
func MaxDocumentSize(bytes int) Option {
	return setting(func(c *config) { c.maxDocumentSize = bytes })
}

// Clock sets where the time of a database's creation comes from. It may be
// called by many goroutines. Time limits of the changes feed run on real timers.
func Clock(now func() time.Time) Option {
	return setting(func(c *config) { c.now = now })
}

// Randomness sets where document ids and the uuids of databases come from; it is
// read by one goroutine at a time. The default is crypto/rand.
func Randomness(r io.Reader) Option {
	return setting(func(c *config) { c.random = r })
}

// storeOption carries a ready Store through kivik.New to the driver.
type storeOption struct{ store *Store }

// Apply hands over the Store.
func (o storeOption) Apply(target any) {
	if s, ok := target.(**Store); ok {
		*s = o.store
	}
}

// Interface guards.
var (
	_ kivik.Option = setting(nil)
	_ kivik.Option = storeOption{}
)
