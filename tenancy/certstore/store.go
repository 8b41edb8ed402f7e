// Store: its life, and what every call to the database goes through.

package certstore

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// Store is certmagic's storage. It is safe for concurrent use, and connects to
// nothing before its first use. Make it with New, end it with Close.
type Store struct {
	cluster *couch.Cluster
	db      string
	name    string
	node    string
	log     *zap.Logger
	now     func() time.Time
	times   Times
	reseal  bool
	ring    atomic.Pointer[Ring]
	lease   atomic.Int64 // a time.Duration
	breaker *breaker
	cache   *cache // nil for none
	locks   locks
	sweeper sweeper
	absent  atomic.Bool // the database was not there, and that is logged

	seed sync.Mutex
	rand io.Reader

	life    context.Context // ends with Close
	end     context.CancelFunc
	start   sync.Once
	closing sync.Once
	wake    chan struct{}  // to the goroutine that sweeps and re-seals
	relet   chan struct{}  // to the one that renews locks: the lease is another
	tasks   sync.WaitGroup // goroutines

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // Add only under mu, while not closed
}

// New makes a Store. Without a key it is an ErrNoKey.
func New(o Options) (*Store, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	s := &Store{
		cluster: o.Cluster, db: o.Database, name: o.Cluster.Name(), node: o.Node, log: o.Logger, now: o.Now,
		times: o.Times, reseal: o.Reseal, rand: o.Rand, wake: make(chan struct{}, 1), relet: make(chan struct{}, 1),
		breaker: &breaker{name: o.Cluster.Name(), log: o.Logger, now: o.Now, pause: o.Times.Down},
		locks:   newLocks(), sweeper: sweeper{seen: map[string]time.Time{}},
	}
	s.life, s.end = context.WithCancel(context.Background())
	if o.Cache != "" {
		s.cache = newCache(o.Cache, o.CacheEntries, o.CacheBytes, s.token, o.Logger)
	}
	s.ring.Store(o.Ring)
	s.lease.Store(int64(o.Lease))
	return s, nil
}

// Use takes up other keys and another lease, as after a reload. Locks that are
// held go over to the new lease with their next renewal, unless theirs is longer.
func (s *Store) Use(ring *Ring, lease time.Duration) error {
	switch {
	case ring == nil:
		return ErrNoKey
	case lease <= 0:
		lease = DefaultLease
	case lease > MaxLease:
		return fmt.Errorf("a lease of %s is longer than %s", lease, MaxLease)
	}
	s.ring.Store(ring)
	s.lease.Store(int64(lease))
	for _, loop := range []chan struct{}{s.wake, s.relet} {
		select {
		case loop <- struct{}{}:
		default: // it is about to look anyway
		}
	}
	return nil
}

// Close releases the locks that are held, as far as the store answers, waits for
// calls that are under way, and ends the goroutines. Calls after it are an ErrClosed.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.releaseAll()
		s.end()
		s.calls.Wait()
		s.tasks.Wait() // last, since calls may begin some
	})
	return nil
}

// String says where the certificates are. certmagic logs its storage.
func (s *Store) String() string { return "couchdb:" + s.name }

// MarshalJSON gives the name, and nothing else.
func (s *Store) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// enter notes a call, and starts the goroutines with the first; the caller calls
// leave when it has ended.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.calls.Add(1)
	s.start.Do(func() {
		s.tasks.Go(s.renewLoop)
		s.tasks.Go(s.tendLoop)
		if s.cache != nil {
			s.tasks.Go(func() { s.cache.scan(s.life) })
		}
	})
	return nil
}

func (s *Store) leave() { s.calls.Done() }

// bounded runs a call with a time limit, and ends it with the Store.
func (s *Store) bounded(ctx context.Context, limit time.Duration, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stop := context.AfterFunc(s.life, cancel)
	defer stop()
	err := call(ctx)
	if err != nil && s.life.Err() != nil {
		return ErrClosed
	}
	return err
}

// read asks the store, unless it is known not to answer. cached tells that the
// cache has it too, so that there is no need to wait long.
func (s *Store) read(ctx context.Context, cached bool, call func(context.Context) error) error {
	if err := s.breaker.admit(); err != nil {
		return err
	}
	limit := s.times.Read
	if cached {
		limit = s.times.Cached
	}
	return s.breaker.judge(ctx, s.bounded(ctx, limit, call))
}

// write changes the store, perhaps with chunks. It tries in any case: what is stored
// may have cost an order at a certificate authority.
func (s *Store) write(ctx context.Context, chunks int, call func(context.Context) error) error {
	limit := s.times.Write
	if s.breaker.isDown() {
		limit = s.times.WriteDown
	}
	limit += time.Duration(chunks) * s.times.Write / 15 // 16 MiB take longer
	return s.breaker.judge(ctx, s.bounded(ctx, limit, call))
}

// ensure makes the database, which the first write misses.
func (s *Store) ensure(ctx context.Context) error {
	created, err := s.cluster.CreateDB(ctx, s.db)
	if created {
		s.log.Info("made the database of certificates", zap.String("store", s.name), zap.String("database", s.db))
	}
	return err
}

// present checks that the database is there, where a document is not: only then
// is it certain that there is none.
func (s *Store) present(ctx context.Context) error {
	_, err := s.cluster.Info(ctx, s.db)
	if !errors.Is(err, couch.ErrNotFound) {
		return err
	}
	if s.absent.CompareAndSwap(false, true) {
		s.log.Error("the database of certificates is gone; what the cache has is served from there", zap.String("store", s.name), zap.String("database", s.db))
	}
	return errNoDatabase
}

// errNoDatabase is no certain answer to whether there is a value.
var errNoDatabase = errors.New("the database is not there")

// pause waits, give or take a quarter.
func (s *Store) pause(ctx context.Context, d time.Duration) error {
	jitter := time.Duration(int64(s.random(1)[0])-128) * d / 512
	timer := time.NewTimer(d + jitter)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.life.Done():
		return ErrClosed
	}
}

func (s *Store) random(n int) []byte {
	out := make([]byte, n)
	s.seed.Lock()
	defer s.seed.Unlock()
	if _, err := io.ReadFull(s.rand, out); err != nil {
		panic(fmt.Sprintf("certstore: no randomness: %v", err)) // crypto/rand never fails
	}
	return out
}

// token is a text that nobody else has.
func (s *Store) token() string { return hex.EncodeToString(s.random(16)) }

// Interface guards
var (
	_ certmagic.Storage          = (*Store)(nil)
	_ certmagic.TryLocker        = (*Store)(nil)
	_ certmagic.LockLeaseRenewer = (*Store)(nil)
	_ fmt.Stringer               = (*Store)(nil)
	_ json.Marshaler             = (*Store)(nil)
	_ io.Closer                  = (*Store)(nil)
)
