// Service: what a front door has to do with certificates.

package certificates

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// Options are what a Service works with. Its zero values have defaults, but for
// Cluster, Hosts and Node.
type Options struct {
	Cluster *couch.Cluster // with the records
	Hosts   Hosts
	Node    string // names this front door
	Now     func() time.Time
	Rand    io.Reader // cryptographically secure
	Logger  *zap.Logger
	Lease   time.Duration // DefaultLease
	// Ensure makes the database of the records, where it is missing.
	Ensure func(context.Context) error
}

// Service keeps the certificates of instances. It is safe for concurrent use.
type Service struct {
	Options
	keeper *keeper

	mu       sync.Mutex
	changed  chan struct{} // closed when the settings change
	settings atomic.Pointer[Settings]

	lead     atomic.Pointer[leading] // while this front door leads
	storage  atomic.Pointer[string]  // the id of the storage, once it is known
	clients  atomic.Pointer[budget]
	waiting  chan struct{} // handshakes that wait for a certificate
	counters Counters
}

// New makes a Service, which does nothing before Use and Run.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Lease <= 0 {
		o.Lease = DefaultLease
	}
	return &Service{
		Options: o, keeper: newKeeper(o.Logger, o.Now), changed: make(chan struct{}),
		waiting: make(chan struct{}, maxWaiting),
	}
}

// Use takes up a configuration; nil for one that wants no certificates of ours.
func (s *Service) Use(settings *Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.settings.Load()
	if settings != nil {
		s.keeper.use(settings)
		if before == nil || before.Limits.Client != settings.Limits.Client {
			s.clients.Store(newBudget(settings.Limits.Client))
		}
		if before == nil || before.Storage != settings.Storage {
			s.storage.Store(nil)
		}
	}
	s.settings.Store(settings)
	close(s.changed)
	s.changed = make(chan struct{})
}

// Active tells whether a configuration wants certificates of ours.
func (s *Service) Active() bool { return s.settings.Load() != nil }

// Settings are those in use; nil for none.
func (s *Service) Settings() *Settings { return s.settings.Load() }

// Run leads, or waits to, until ctx ends; then it closes the service.
func (s *Service) Run(ctx context.Context) {
	defer s.keeper.close()
	for ctx.Err() == nil {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		settings := s.settings.Load()
		if settings == nil {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		term, cancel := context.WithCancel(ctx)
		go func() {
			select {
			case <-changed:
				cancel()
			case <-term.Done():
			}
		}()
		s.stand(term, settings)
		cancel()
	}
}

// standEvery is how often a front door looks whether it is to lead.
const standEvery = 5 * time.Second

// stand waits to lead, and leads, until ctx ends.
func (s *Service) stand(ctx context.Context, settings *Settings) {
	var l *leases
	for ctx.Err() == nil {
		if l == nil {
			id, err := s.identify(ctx, settings)
			if err == nil && s.Ensure != nil {
				err = s.Ensure(ctx)
			}
			if err != nil {
				if ctx.Err() == nil {
					s.Logger.Warn("the storage of certificates cannot be used yet", zap.Error(err))
				}
				sleep(ctx, standEvery)
				continue
			}
			l = &leases{cluster: s.Cluster, node: s.Node, id: id + "!leader", length: s.Lease, now: s.Now}
		}
		held, err := l.try(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			s.Logger.Warn("the lease on the orders of certificates cannot be read", zap.Error(err))
		case held != nil:
			s.leads(ctx, settings, l, held)
		}
		sleep(ctx, min(standEvery, s.Lease/3))
	}
}

// leads does a leader's work until the lease, or ctx, ends.
func (s *Service) leads(ctx context.Context, settings *Settings, l *leases, held *lease) {
	s.Logger.Info("this front door leads the orders of certificates")
	term, lost := context.WithCancel(ctx)
	var kept sync.WaitGroup
	kept.Go(func() { l.keep(term, held, s.Logger, lost) })
	w := newLeading(s, settings)
	s.lead.Store(w)
	w.run(term)
	s.lead.Store(nil)
	gone := term.Err() != nil && ctx.Err() == nil // lost, and not given up
	lost()
	kept.Wait()
	if !gone {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), couch.DefaultCallTimeout)
		defer cancel()
		l.giveUp(end, held)
	}
}

// identityKey is where a storage has the id by which its records are told from those of
// other storages on the same store.
const identityKey = "gatehouse/storage_id"

// identify reads the storage's id, or gives it one.
func (s *Service) identify(ctx context.Context, settings *Settings) (string, error) {
	if id := s.storage.Load(); id != nil {
		return *id, nil
	}
	storage := settings.Storage
	raw, err := storage.Load(ctx, identityKey)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = s.nameStorage(ctx, settings)
	}
	if err != nil {
		return "", err
	}
	id := string(raw)
	if _, err := hex.DecodeString(id); err != nil || len(id) != 16 {
		return "", errors.New(identityKey + " of the storage is not an id that Gatehouse has written")
	}
	s.storage.Store(&id)
	return id, nil
}

// nameStorage gives the storage an id, unless another front door has meanwhile.
func (s *Service) nameStorage(ctx context.Context, settings *Settings) ([]byte, error) {
	storage := settings.Storage
	if err := storage.Lock(ctx, "gatehouse_storage_id"); err != nil {
		return nil, err
	}
	defer func() {
		if err := storage.Unlock(context.WithoutCancel(ctx), "gatehouse_storage_id"); err != nil {
			s.Logger.Warn("unlocking the storage of certificates", zap.Error(err))
		}
	}()
	raw, err := storage.Load(ctx, identityKey)
	if !errors.Is(err, fs.ErrNotExist) {
		return raw, err
	}
	var id [8]byte
	if _, err := io.ReadFull(s.random(), id[:]); err != nil {
		return nil, err
	}
	raw = []byte(hex.EncodeToString(id[:]))
	return raw, storage.Store(ctx, identityKey, raw)
}

// records are those of the storage in use.
func (s *Service) records(ctx context.Context) (records, error) {
	settings := s.settings.Load()
	if settings == nil {
		return records{}, ErrInactive
	}
	id, err := s.identify(ctx, settings)
	return records{cluster: s.Cluster, storage: id}, err
}

// ErrInactive: no configuration wants certificates of ours.
var ErrInactive = errors.New("the configuration does not have Gatehouse keep certificates (get_certificate tenancy)")

// Certificate is that of a name, in normal form, for a handshake: from memory, or from
// the storage. It is ErrNone where there is none yet.
func (s *Service) Certificate(ctx context.Context, name string) (*tls.Certificate, error) {
	return s.keeper.get(ctx, name)
}

// Want has a look at names soon: they are new, or gone. It never waits, and does nothing
// on a front door that does not lead, since the leader sees the same changes.
func (s *Service) Want(names ...string) {
	if lead := s.lead.Load(); lead != nil {
		for _, name := range names {
			lead.queue.add(name, s.Now())
		}
	}
}

// Forget lets go of what is in memory of names that are nobody's any more.
func (s *Service) Forget(names ...string) { s.keeper.forget(names...) }

// sleep waits for a time, or until ctx ends, which it tells.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
