// Service: what changes need, and the finding of an instance.

package lifecycle

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// Directory is what a change tells the node's own directory, so that whoever
// made it reads it at once, and what it asks of it.
type Directory interface {
	Apply(inst *tenancy.Instance) (changed bool)
	Remove(id, rev string) (changed bool)
	// Find is the document id of the instance with this domain or alias, by normal form.
	Find(key string) (id string, ok bool)
	// Len is how many instances are known, and Loaded whether those are all.
	Len() int
	Loaded() bool
	// WithPrefix are the documents' ids of the instances with this prefix of databases,
	// which is that of an instance with this domain; known is false while nothing is loaded.
	WithPrefix(prefix, domain string) (ids []string, known bool)
	// Quarantine notes that a name, in normal form, is kept from others until then;
	// the zero time ends it.
	Quarantine(key string, until time.Time)
	// Ambiguous names an existing instance with which a new domain could be confused:
	// one of the two would be taken for an app of the other.
	Ambiguous(d tenancy.Domain) (with string, ambiguous bool)
}

// Options of a Service.
type Options struct {
	Clusters  *Clusters
	Directory Directory
	Node      string // names this front door in the journal
	Logger    *zap.Logger
	Now       func() time.Time // default time.Now
	Rand      io.Reader        // default crypto/rand.Reader
	Lease     time.Duration    // default DefaultLease
	Parallel  int              // databases made or dropped at a time; default DefaultParallel
	// Sleep waits, unless ctx ends before, which it tells. Default with a timer.
	Sleep func(ctx context.Context, d time.Duration) bool
	// Load is how many instances have their databases on a cluster; nil for not
	// known. A new instance goes where the most room is.
	Load func(cluster int) int
}

// Defaults of Options.
const (
	// DefaultLease is how long an operation of a front door that has died keeps
	// others from taking it over.
	DefaultLease = 30 * time.Second
	// leaseSkew is how far the clocks of two front doors may differ.
	leaseSkew = 5 * time.Second
	// DefaultParallel requests at a time make a new instance quickly without
	// keeping a cluster from its other work.
	DefaultParallel = 8
	// conflictRetries bounds how often a write that met another one is tried again.
	conflictRetries = 10
)

// Progress is told of each step of a long change. total is 0 where unknown. It
// may be called from several goroutines.
type Progress func(step string, done, total int)

// Service makes changes. It is safe for concurrent use.
type Service struct {
	clusters *Clusters
	global   *couch.Cluster
	dir      Directory
	node     string
	log      *zap.Logger
	now      func() time.Time
	rand     io.Reader
	lease    time.Duration
	parallel int
	load     func(cluster int) int
	sleep    func(ctx context.Context, d time.Duration) bool
	outbox   outbox

	settings atomic.Pointer[Settings]
	hashing  chan struct{}

	mu      sync.Mutex
	ensured bool
	seed    sync.Mutex // an injected reader need not be safe for concurrent use
}

// New makes a Service. It does not ask the store anything.
func New(o Options) *Service {
	s := &Service{
		clusters: o.Clusters, global: o.Clusters.Main(), dir: o.Directory, node: o.Node,
		log: o.Logger, now: o.Now, rand: o.Rand, lease: o.Lease, parallel: o.Parallel, load: o.Load, sleep: o.Sleep,
	}
	s.hashing = make(chan struct{}, hashing)
	s.Use(Settings{})
	s.outbox.init()
	if s.sleep == nil {
		s.sleep = pause
	}
	if s.load == nil {
		s.load = func(int) int { return 0 }
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if s.lease <= 0 {
		s.lease = DefaultLease
	}
	if s.parallel <= 0 {
		s.parallel = DefaultParallel
	}
	return s
}

func (s *Service) random(n int) []byte {
	out := make([]byte, n)
	s.seed.Lock()
	defer s.seed.Unlock()
	if _, err := io.ReadFull(s.rand, out); err != nil {
		panic(fmt.Sprintf("lifecycle: no randomness: %v", err)) // crypto/rand never fails
	}
	return out
}

func (s *Service) newID() string { return hex.EncodeToString(s.random(16)) }

func (s *Service) stamp() string { return s.now().UTC().Format(time.RFC3339Nano) }

// Ensure makes the databases that all instances share, with their indexes and
// views, where they are missing. It remembers success until a store forgets.
func (s *Service) Ensure(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ensured {
		return nil
	}
	if n := s.dir.Len(); n > 0 {
		// A database that has been lost must not come back empty: every front door
		// would take that for the truth.
		if _, err := s.global.Info(ctx, provision.InstancesDB); errors.Is(err, couch.ErrNotFound) {
			return tenancy.Unavailablef("the database %s is gone, and %d instances were known; it is not made anew: restore it", provision.InstancesDB, n)
		} else if err != nil {
			return err
		}
	}
	for _, db := range []string{provision.InstancesDB, provision.ClaimsDB, provision.OperationsDB, provision.AuditDB} {
		if _, err := s.global.CreateDB(ctx, db); err != nil {
			return err
		}
	}
	var docs []any
	for _, design := range provision.GlobalDesigns() {
		docs = append(docs, design)
	}
	results, err := s.global.Bulk(ctx, provision.InstancesDB, docs)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil && !errors.Is(r.Err, couch.ErrConflict) { // a conflict: it is there
			return r.Err
		}
	}
	s.ensured = true
	return nil
}

// Forget makes the next change look again whether the shared databases are
// there; the directory calls it when it finds them gone.
func (s *Service) Forget() {
	s.mu.Lock()
	s.ensured = false
	s.mu.Unlock()
}

// Get reads an instance by its domain or an alias, from the store. An unknown
// one is tenancy.ErrNotFound.
func (s *Service) Get(ctx context.Context, domain string) (*tenancy.Instance, error) {
	key, ok := tenancy.HostKey(domain)
	if !ok {
		return nil, tenancy.ErrNotFound
	}
	if id, ok := s.dir.Find(key); ok {
		inst, err := s.byID(ctx, id)
		if err == nil && owns(inst, key) {
			return inst, nil
		}
		if err != nil && !errors.Is(err, couch.ErrNotFound) {
			return nil, err
		}
	}
	found, err := s.byNames(ctx, []string{domain, key})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, tenancy.ErrNotFound
	}
	return found[0], nil
}

func (s *Service) byID(ctx context.Context, id string) (*tenancy.Instance, error) {
	raw, err := s.global.Get(ctx, provision.InstancesDB, id)
	if err != nil {
		return nil, err
	}
	return tenancy.ParseInstance(raw)
}

// byNames asks the stack's own view for the instances with one of these domains
// or aliases, in the documents' form. It knows instances without a claim as well.
func (s *Service) byNames(ctx context.Context, names []string) ([]*tenancy.Instance, error) {
	keys := make([]string, 0, 2*len(names))
	for _, name := range names {
		keys = append(keys, name)
		if d, err := tenancy.ParseDomain(name); err == nil {
			// A stack may have written either form.
			keys = append(keys, d.String(), d.Key())
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	var rows []couch.Row
	err := s.retried(ctx, func() (err error) { // there may be no view yet
		rows, err = s.global.View(ctx, provision.InstancesDB, provision.DomainView, provision.DomainView, keys)
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []*tenancy.Instance
	seen := map[string]bool{}
	for _, row := range rows {
		if seen[row.ID] {
			continue
		}
		seen[row.ID] = true
		inst, err := tenancy.ParseInstance(row.Doc)
		if err != nil {
			return nil, err
		}
		out = append(out, inst)
	}
	return out, nil
}

// of is the cluster with an instance's databases. A record in which it, or their
// names, cannot be read is a tenancy.ErrConflict: what is done by guess would be done
// to others.
func (s *Service) of(inst *tenancy.Instance) (*couch.Cluster, error) {
	if err := inst.Malformed(); err != nil {
		return nil, tenancy.Conflictf("the record cannot be read, and has to be put right by hand: %v", err)
	}
	return s.clusters.Of(inst.Cluster())
}

// keysOf are the normal forms of an instance's names, each once.
func keysOf(inst *tenancy.Instance) []string {
	names := inst.Names()
	out := make([]string, 0, len(names))
	for _, name := range names {
		if key, ok := tenancy.HostKey(name); ok && !slices.Contains(out, key) {
			out = append(out, key)
		}
	}
	return out
}

// owns tells whether key is the normal form of one of the instance's names.
func owns(inst *tenancy.Instance, key string) bool { return slices.Contains(keysOf(inst), key) }

// retried does what needs the shared databases, and once more with those made that
// somebody has dropped.
func (s *Service) retried(ctx context.Context, do func() error) error {
	err := do()
	if !errors.Is(err, couch.ErrNotFound) {
		return err
	}
	s.Forget()
	if err := s.Ensure(ctx); err != nil {
		return err
	}
	return do()
}

// save writes an instance's document and tells this node's directory.
func (s *Service) save(ctx context.Context, inst *tenancy.Instance) error {
	raw, err := json.Marshal(inst)
	if err != nil {
		return err
	}
	rev, err := s.global.Put(ctx, provision.InstancesDB, inst.ID(), json.RawMessage(raw))
	if err != nil {
		return err
	}
	inst.Set("_rev", rev)
	s.dir.Apply(inst)
	return nil
}

// edit changes an instance's document: it reads, lets fn change what it read,
// and writes; when somebody else wrote in between, it does so again from what
// they wrote. What fn leaves as it was is not written.
func (s *Service) edit(ctx context.Context, id string, fn func(inst *tenancy.Instance) error) (*tenancy.Instance, error) {
	_, inst, err := s.change(ctx, id, fn)
	return inst, err
}

// change is edit, and tells what the document was before.
func (s *Service) change(ctx context.Context, id string, fn func(inst *tenancy.Instance) error) (before, after *tenancy.Instance, err error) {
	for range conflictRetries {
		var inst *tenancy.Instance
		if inst, err = s.byID(ctx, id); err != nil {
			if errors.Is(err, couch.ErrNotFound) {
				return nil, nil, tenancy.ErrNotFound
			}
			return nil, nil, err
		}
		before = inst.Clone()
		if err = fn(inst); err != nil {
			return nil, nil, err
		}
		if len(differences(before, inst)) == 0 {
			s.dir.Apply(inst) // it may be news to this node
			return before, inst, nil
		}
		if err = s.save(ctx, inst); err == nil {
			return before, inst, nil
		}
		if !errors.Is(err, couch.ErrConflict) {
			return nil, nil, err
		}
	}
	return nil, nil, tenancy.Conflictf("the instance's document is being changed by others; %d tries met another change", conflictRetries)
}
