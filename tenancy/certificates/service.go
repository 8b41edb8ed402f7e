// Service: what a front door has to do with certificates.

package certificates

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
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

	holder    string                   // what the lease knows this service by; for Run alone
	lead      atomic.Pointer[leading]  // while this front door leads
	identity  atomic.Pointer[identity] // of the storage, once it is known
	clients   atomic.Pointer[clients]
	waiting   *waiters // handshakes that wait for a certificate
	fruitless *fruitless
	counters  Counters
}

// New makes a Service, which does nothing before Use and Run. Run has to be called
// where Use was, since it alone ends what Use begins.
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
	s := &Service{Options: o, changed: make(chan struct{}), waiting: newWaiters()}
	s.fruitless = newFruitless(o.Now)
	s.keeper = newKeeper(o.Logger, o.Now, s.revoked)
	return s
}

// Use takes up a configuration; nil for one that wants no certificates of ours, which
// lets go of all that is in memory. After the end of Run it does nothing.
func (s *Service) Use(settings *Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.settings.Load()
	s.keeper.use(settings)
	if settings != nil && (before == nil || before.Limits.Client != settings.Limits.Client) {
		s.clients.Store(newClients(settings.Limits.Client))
	}
	s.settings.Store(settings)
	close(s.changed)
	s.changed = make(chan struct{})
}

// Active tells whether a configuration wants certificates of ours.
func (s *Service) Active() bool { return s.settings.Load() != nil }

// Settings are those in use; nil for none.
func (s *Service) Settings() *Settings { return s.settings.Load() }

// current are the settings in use, and what is closed when they change.
func (s *Service) current() (settings *Settings, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings.Load(), s.changed
}

// Run leads, or waits to, until ctx ends; then it closes the service.
func (s *Service) Run(ctx context.Context) {
	defer s.keeper.close()
	for ctx.Err() == nil {
		settings, changed := s.current()
		if settings == nil {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		term, end := context.WithCancel(ctx)
		var watching sync.WaitGroup
		watching.Go(func() { s.watch(term, settings, changed, end) })
		watching.Go(func() { s.guard(term, end) })
		s.stand(term, settings)
		end()
		watching.Wait()
	}
}

// watch hands settings that change to whoever leads, and ends a stand that cannot go on
// with them; one that does not lead just begins anew.
func (s *Service) watch(ctx context.Context, settings *Settings, changed <-chan struct{}, end func()) {
	for {
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
		var next *Settings
		next, changed = s.current()
		lead := s.lead.Load()
		if lead == nil || !settings.goesOn(next) {
			end()
			return
		}
		lead.take(s.keeper.magic.Load())
	}
}

// guard ends a stand whose storage has another id by now.
func (s *Service) guard(ctx context.Context, end func()) {
	for sleep(ctx, identityEvery) {
		if s.renamed(ctx) {
			end()
			return
		}
	}
}

// ErrInactive: no configuration wants certificates of ours.
var ErrInactive = errors.New("the configuration does not have Gatehouse keep certificates (get_certificate tenancy)")

// Certificate is that of a name, in normal form, for a handshake: from memory, or from
// the storage. It is ErrNone where there is none yet.
func (s *Service) Certificate(ctx context.Context, name string) (*tls.Certificate, error) {
	if err := s.fruitless.of(name); err != nil {
		if cert, ok := s.keeper.kept(name); ok {
			return &cert.Certificate, nil
		}
		return nil, err
	}
	return s.keeper.get(ctx, name)
}

// Want has a look at names soon: they are new, or gone. It never waits, and does nothing
// on a front door that does not lead, since the leader sees the same changes.
func (s *Service) Want(names ...string) {
	for _, name := range names {
		s.fruitless.forget(name)
	}
	lead := s.lead.Load()
	if lead == nil {
		return
	}
	for _, name := range names {
		lead.queue.add(name, upkeep, s.Now()) // a look tells what else it needs
	}
}

// Forget lets go of what is in memory of names that are nobody's any more.
func (s *Service) Forget(names ...string) { s.keeper.forget(names...) }

// revoked has the certificate of a name renewed at once: its authority says that it has
// revoked it.
func (s *Service) revoked(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), loadTime)
	defer cancel()
	r, err := s.records(ctx)
	if err != nil {
		return // the leader asks the authority itself, by and by
	}
	rec, err := r.get(ctx, name)
	if err != nil || rec == nil || rec.State != Issued || !rec.RenewAt.After(s.Now()) {
		return
	}
	rec.RenewAt, rec.Node = s.Now(), s.Node
	if err := r.put(ctx, rec); err != nil && !errors.Is(err, couch.ErrConflict) {
		s.Logger.Warn("the record of a certificate that was revoked", zap.String("name", name), zap.Error(err))
	}
	s.Want(name)
}

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
