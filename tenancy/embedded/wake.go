// Wakes: how a commit wakes the feeds that wait for changes of a database.

package embedded

import "sync"

// wakes has one channel for each database that somebody waits for, closed at the
// next change. The zero value is ready.
type wakes struct {
	mu       sync.Mutex
	channels map[string]*wakeChannel
}

type wakeChannel struct {
	c       chan struct{}
	waiting int
}

// wait gives a channel that is closed at the next change of a database. The
// caller takes it before it reads, so that no change falls in between, and calls
// done when it waits no longer.
func (w *wakes) wait(database string) (c <-chan struct{}, done func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.channels == nil {
		w.channels = make(map[string]*wakeChannel)
	}
	ch := w.channels[database]
	if ch == nil {
		ch = &wakeChannel{c: make(chan struct{})}
		w.channels[database] = ch
	}
	ch.waiting++
	return ch.c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		ch.waiting--
		if ch.waiting == 0 && w.channels[database] == ch {
			delete(w.channels, database)
		}
	}
}

// wake closes the channels of the databases.
func (w *wakes) wake(databases []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range databases {
		if ch := w.channels[name]; ch != nil {
			close(ch.c)
			delete(w.channels, name)
		}
	}
}
