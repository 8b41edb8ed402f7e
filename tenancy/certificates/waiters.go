// Waiters: the handshakes that wait for a certificate, and those that need not.

package certificates

import (
	"net/netip"
	"sync"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/recent"
)

// waiters counts the handshakes that wait, in all and of each client. It is safe for
// concurrent use.
type waiters struct {
	mu  sync.Mutex
	all int
	of  map[netip.Prefix]int
}

func newWaiters() *waiters { return &waiters{of: map[netip.Prefix]int{}} }

// enter tells whether one more may wait.
func (w *waiters) enter(network netip.Prefix) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all >= maxWaiting || w.of[network] >= maxOfOne {
		return false
	}
	w.all++
	w.of[network]++
	return true
}

// leave ends the waiting of one.
func (w *waiters) leave(network netip.Prefix) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all--
	if w.of[network]--; w.of[network] == 0 {
		delete(w.of, network)
	}
}

const (
	// fruitlessTime is how long a name is remembered for which a handshake has waited in
	// vain: the next ones ask neither the storage nor the store.
	fruitlessTime = 10 * time.Second
	// maxFruitless bounds the names that are remembered.
	maxFruitless = 10_000
)

// fruitless remembers names without a certificate. It is safe for concurrent use.
type fruitless struct {
	now   func() time.Time
	mu    sync.Mutex
	names *recent.Memory[string, refusal]
}

// refusal is why there is no certificate, until a time.
type refusal struct {
	err   error
	until time.Time
}

func newFruitless(now func() time.Time) *fruitless {
	return &fruitless{now: now, names: recent.New[string, refusal](maxFruitless)}
}

// of is what is remembered of a name; nil for nothing.
func (f *fruitless) of(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r, ok := f.names.Get(name); ok && f.now().Before(r.until) {
		return r.err
	}
	return nil
}

// note remembers a name.
func (f *fruitless) note(name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names.Put(name, refusal{err, f.now().Add(fruitlessTime)})
}

// forget: there is news of a name.
func (f *fruitless) forget(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names.Forget(name)
}
