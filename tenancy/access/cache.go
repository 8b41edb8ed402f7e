// Cache: what was lately read of tokens, so that not each request asks the store.

package access

import (
	"sync"
	"time"
)

// cache remembers documents, and that there is none, for a time. It is bounded,
// since anybody can send ids that do not exist.
type cache struct {
	now  func() time.Time
	ttl  time.Duration
	size int

	mu      sync.Mutex
	entries map[string]cached
}

type cached struct {
	doc  *document // nil: there is no such token
	read time.Time
}

func (c *cache) stale(e cached) bool { return c.now().Sub(e.read) >= c.ttl }

func newCache(now func() time.Time, ttl time.Duration, size int) *cache {
	return &cache{now: now, ttl: ttl, size: size, entries: map[string]cached{}}
}

// get gives what is known; ok is false where nothing is, or not any more.
func (c *cache) get(id string) (doc *document, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[id]
	if !ok || c.stale(e) {
		return nil, false
	}
	return e.doc, true
}

// put remembers what was asked for at a time. What was asked before a revocation
// and answered after it neither lives longer for that nor takes its place.
func (c *cache) put(id string, doc *document, asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, known := c.entries[id]
	if known && asked.Before(old.read) {
		return
	}
	if !known && len(c.entries) >= c.size {
		c.makeRoom()
	}
	c.entries[id] = cached{doc: doc, read: asked}
}

// makeRoom drops what is stale, or else anything: it is only a cache.
func (c *cache) makeRoom() {
	for id, e := range c.entries {
		if c.stale(e) {
			delete(c.entries, id)
		}
	}
	for id := range c.entries {
		if len(c.entries) < c.size {
			return
		}
		delete(c.entries, id)
	}
}
