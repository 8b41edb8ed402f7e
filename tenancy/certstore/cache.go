// Cache: the local copies of sealed values, and which of them are kept.

package certstore

import (
	"container/list"
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"

	"go.uber.org/zap"
)

// cache is a folder with a file for each value, and what is known of them. All
// methods work on nil, which has nothing.
type cache struct {
	folder     string
	maxEntries int
	maxBytes   int64
	token      func() string
	log        *zap.Logger
	scanned    chan struct{} // closed when the folder was read in

	stripes [64]sync.Mutex // one writer at a time for each file

	mu       sync.Mutex
	entries  map[string]*list.Element // of *entry, by key
	order    *list.List               // the one used last in front
	bytes    int64
	versions uint64
	removals uint64
	failed   bool // the last file could not be written, and that is logged
}

// entry is what is known of one file.
type entry struct {
	name    string
	doc     document // without what is sealed
	bytes   int64    // of the file
	version uint64
	useless bool // it cannot be opened, and that is logged
}

// stamp is when a call to the store began, in terms of the cache: so that a slow
// one does not put what is out of date over what is newer.
type stamp struct{ version, removals uint64 }

func newCache(folder string, maxEntries int, maxBytes int64, token func() string, log *zap.Logger) *cache {
	return &cache{
		folder: folder, maxEntries: maxEntries, maxBytes: maxBytes, token: token, log: log,
		scanned: make(chan struct{}), entries: map[string]*list.Element{}, order: list.New(),
	}
}

func (c *cache) stamp(name string) stamp {
	if c == nil {
		return stamp{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stampNow(name)
}

// stampNow is stamp under mu.
func (c *cache) stampNow(name string) stamp {
	now := stamp{removals: c.removals}
	if e, ok := c.entries[name]; ok {
		// A removal of others does not matter where there is an entry.
		now = stamp{version: e.Value.(*entry).version}
	}
	return now
}

// has tells whether there is a file for a key. It is cheap.
func (c *cache) has(name string) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	_, ok := c.entries[name]
	c.mu.Unlock()
	if ok || c.isScanned() {
		return ok
	}
	_, err := os.Stat(c.path(name))
	return err == nil
}

func (c *cache) isScanned() bool {
	select {
	case <-c.scanned:
		return true
	default:
		return false
	}
}

// document gives what the cache knows of a value, without what is sealed.
func (c *cache) document(name string) (*document, bool) {
	if c == nil {
		return nil, false
	}
	c.mu.Lock()
	e, ok := c.entries[name]
	c.mu.Unlock()
	if ok {
		doc := e.Value.(*entry).doc
		return &doc, true
	}
	if c.isScanned() {
		return nil, false
	}
	doc, _, err := c.readFile(name)
	return doc, err == nil
}

// get reads a value; fs.ErrNotExist where there is none. A file that is damaged
// is removed, and the error says so.
func (c *cache) get(name string) (*document, [][]byte, error) {
	if c == nil {
		return nil, nil, fs.ErrNotExist
	}
	doc, parts, err := c.readFile(name)
	c.mu.Lock()
	e, known := c.entries[name]
	if known && err == nil {
		c.order.MoveToFront(e)
	}
	c.mu.Unlock()
	if err != nil && (known || !errors.Is(err, fs.ErrNotExist)) {
		c.drop(name)
	}
	return doc, parts, err
}

// isUseless notes that a value cannot be opened; it is true for the first time.
func (c *cache) isUseless(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[name]
	if !ok {
		return true
	}
	known := e.Value.(*entry).useless
	e.Value.(*entry).useless = true
	return !known
}

// put keeps a value that was loaded or stored, unless there is a newer one since
// the stamp. One that is there already, at that revision, is not written again.
func (c *cache) put(name string, doc *document, parts [][]byte, begun stamp) {
	if c == nil || doc.Size > c.maxBytes/2 { // one value is not to push out all others
		return
	}
	stripe := c.stripe(name)
	stripe.Lock()
	defer stripe.Unlock()
	c.mu.Lock()
	e, ok := c.entries[name]
	stale := c.stampNow(name) != begun
	switch {
	case ok && e.Value.(*entry).doc.Rev == doc.Rev:
		c.order.MoveToFront(e)
		stale = true
	case ok && stale:
		stale = generation(e.Value.(*entry).doc.Rev) >= generation(doc.Rev)
	}
	c.mu.Unlock()
	if stale {
		return
	}
	size, err := c.writeFile(name, doc, parts)
	if err != nil {
		c.mu.Lock()
		first := !c.failed
		c.failed = true
		c.mu.Unlock()
		if first {
			c.log.Error("certificates cannot be written to the cache", zap.String("folder", c.folder), zap.Error(err))
		}
		return
	}
	c.note(name, doc, size, true)
	c.evict()
}

// note takes up a file; again is whether it is a newer one, as against one that was
// found by reading the folder.
func (c *cache) note(name string, doc *document, size int64, again bool) {
	head := *doc
	head.ID, head.Sealed, head.Conflicts = "", nil, nil // the id is the name's
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[name]; ok {
		if !again {
			return
		}
		c.bytes -= e.Value.(*entry).bytes
		c.order.Remove(e)
	}
	c.versions++
	fresh := &entry{name: name, doc: head, bytes: size, version: c.versions}
	if again {
		c.failed = false
		c.entries[name] = c.order.PushFront(fresh)
	} else {
		c.entries[name] = c.order.PushBack(fresh)
	}
	c.bytes += size
}

// evict removes what was not used for longest, as long as there is too much.
func (c *cache) evict() {
	if !c.isScanned() {
		return // the folder is not known as a whole
	}
	for {
		c.mu.Lock()
		if len(c.entries) <= c.maxEntries && c.bytes <= c.maxBytes {
			c.mu.Unlock()
			return
		}
		oldest := c.order.Back().Value.(*entry).name
		c.mu.Unlock()
		c.drop(oldest)
	}
}

// remove forgets a value that the store does not have, unless it came since the
// stamp.
func (c *cache) remove(name string, begun stamp) {
	if c == nil {
		return
	}
	c.mu.Lock()
	current := c.stampNow(name) == begun
	c.mu.Unlock()
	if current {
		c.drop(name)
	}
}

// removeTree forgets a value and all below it.
func (c *cache) removeTree(dir string) {
	if c == nil {
		return
	}
	c.drop(dir)
	c.mu.Lock()
	var names []string
	for name := range c.entries {
		if inside(name, dir) {
			names = append(names, name)
		}
	}
	c.mu.Unlock()
	for _, name := range names {
		c.drop(name)
	}
}

// drop removes a file.
func (c *cache) drop(name string) {
	c.mu.Lock()
	c.removals++
	if e, ok := c.entries[name]; ok {
		c.bytes -= e.Value.(*entry).bytes
		c.order.Remove(e)
		delete(c.entries, name)
	}
	c.mu.Unlock()
	if err := os.Remove(c.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Error("a file of the cache cannot be removed", zap.String("file", c.path(name)), zap.Error(err))
	}
}

// below are the keys below a directory, as far as the cache has them.
func (c *cache) below(ctx context.Context, dir string) []string {
	if c == nil {
		return nil
	}
	select {
	case <-c.scanned:
	case <-ctx.Done():
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for name := range c.entries {
		if inside(name, dir) {
			names = append(names, name)
		}
	}
	return names
}
