// Runtime: what survives a reload of the configuration.

package caddymodule

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// runtimes has one runtime for each store, shared by the configurations that
// name it: during a reload, the old one and the new one.
var runtimes = caddy.NewUsagePool()

// stopWait bounds how long the end of a store waits for changes under way and
// for the snapshot. What does not end by then is in the journal.
const stopWait = 10 * time.Second

// runtime is a store that is in use, with the directory that follows it.
type runtime struct {
	key        string
	node       string
	logger     *zap.Logger
	dir        *directory.Directory
	lifecycle  *lifecycle.Service
	clusters   *lifecycle.Clusters
	closeStore func() error
	snapshot   string
	mode       atomic.Uint32 // directory.Mode
	start      sync.Once
	work       sync.WaitGroup

	mu      sync.Mutex
	store   *Connection        // with the credentials of the main cluster
	further map[string]further // clients of the other clusters, by their nodes
}

// further is the client of a cluster that some configuration has named. It is
// kept to the end, since an instance may be at work there.
type further struct {
	cluster    *couch.Cluster
	connection *Connection
}

// loadRuntime finds the runtime of an app's store, or makes it. It does not
// start it, and connects to nothing.
//
// A store has one runtime, whatever else a configuration says: two would be in
// each other's way at the embedded store's file. The rest is taken up by use.
func loadRuntime(a *App) (*runtime, error) {
	key, err := a.Store.key()
	if err != nil {
		return nil, err
	}
	value, _, err := runtimes.LoadOrNew(key, func() (caddy.Destructor, error) { return newRuntime(a, key) })
	if err != nil {
		return nil, err
	}
	return value.(*runtime), nil
}

func newRuntime(a *App, key string) (*runtime, error) {
	rt := &runtime{
		key: key, node: nodeName(), logger: a.logger, snapshot: a.snapshotPath(key),
		store: &a.Store.Connection, further: map[string]further{},
	}
	main, closeStore, err := a.Store.open()
	if err != nil {
		return nil, err
	}
	rt.closeStore = closeStore
	rt.clusters, err = lifecycle.NewClusters(map[int]lifecycle.Member{0: {Cluster: main}})
	if err != nil {
		return nil, err
	}
	rt.dir = directory.New(directory.Options{
		Cluster: main, Identity: main.Name(), Snapshot: rt.snapshot, Logger: a.logger,
		Ensure: func(ctx context.Context) error {
			rt.lifecycle.Forget()
			return rt.lifecycle.Ensure(ctx)
		},
	})
	rt.lifecycle = lifecycle.New(lifecycle.Options{
		Clusters: rt.clusters, Directory: localDirectory{rt}, Node: rt.node, Logger: a.logger,
	})
	return rt, nil
}

// use makes the runtime follow an app's configuration from now on: it is called
// when that one starts, never for one that is only validated.
func (rt *runtime) use(a *App) error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.mode.Store(uint32(a.mode))
	rt.store.adopt(&a.Store.Connection)
	if path := a.snapshotPath(rt.key); path != rt.snapshot {
		rt.logger.Warn("another snapshot file is taken up at the next start of the process",
			zap.String("now", rt.snapshot), zap.String("then", path))
	}
	members := map[int]lifecycle.Member{0: {Cluster: rt.clusters.Main()}}
	for i := range a.Clusters {
		c := &a.Clusters[i]
		if c.Index == 0 { // says only whether the main one takes new instances
			members[0] = lifecycle.Member{Cluster: rt.clusters.Main(), Closed: c.Closed}
			continue
		}
		cluster, err := rt.client(&c.Connection)
		if err != nil {
			return fmt.Errorf("cluster %d: %w", c.Index, err)
		}
		members[c.Index] = lifecycle.Member{Cluster: cluster, Closed: c.Closed}
	}
	if err := rt.clusters.Replace(members); err != nil {
		return err
	}
	rt.start.Do(rt.dir.Start)
	return nil
}

// client is the client of a further cluster, with the credentials that are
// configured now. rt.mu is held.
func (rt *runtime) client(c *Connection) (*couch.Cluster, error) {
	key := couch.Key(c.URLs)
	if known, ok := rt.further[key]; ok {
		known.connection.adopt(c)
		return known.cluster, nil
	}
	cluster, err := c.open()
	if err != nil {
		return nil, err
	}
	rt.further[key] = further{cluster: cluster, connection: c}
	return cluster, nil
}

// adopt takes up the credentials of another configuration of the same cluster.
func (c *Connection) adopt(from *Connection) {
	if c.credentials != nil {
		c.credentials.current.Store(from)
	}
}

// hold keeps the store open for work that outlives its configuration.
func (rt *runtime) hold() (release func()) {
	rt.work.Add(1)
	return sync.OnceFunc(rt.work.Done)
}

// Destruct ends the runtime when no configuration uses it any more.
func (rt *runtime) Destruct() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWait)
	defer cancel()
	idle := make(chan struct{})
	go func() { rt.work.Wait(); close(idle) }()
	select {
	case <-idle:
	case <-ctx.Done():
		rt.logger.Warn("changes are still under way; the journal has them")
	}
	errs := []error{rt.dir.Stop(ctx), rt.closeStore()}
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for _, f := range rt.further {
		errs = append(errs, f.cluster.Close())
	}
	return errors.Join(errs...)
}

// nodeName names this process among the front doors of a fleet.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	var salt [3]byte
	_, _ = rand.Read(salt[:]) // never fails
	return host + "/" + hex.EncodeToString(salt[:])
}

// snapshotPath is the file of the directory's snapshot; empty for none.
func (a *App) snapshotPath(key string) string {
	switch a.Snapshot {
	case "off":
		return ""
	case "":
		sum := sha256.Sum256([]byte(key))
		return filepath.Join(caddy.AppDataDir(), "gatehouse", "directory-"+hex.EncodeToString(sum[:6]))
	default:
		return a.Snapshot
	}
}

// localDirectory is this node's directory, as lifecycle sees it.
type localDirectory struct{ rt *runtime }

func (l localDirectory) Apply(inst *tenancy.Instance) { l.rt.dir.Apply(inst) }
func (l localDirectory) Remove(id, rev string)        { l.rt.dir.Remove(id, rev) }

func (l localDirectory) Find(key string) (string, bool) {
	// Without app hosts: a change names an instance itself.
	m, ok := l.rt.dir.Resolve(key, directory.Off)
	if !ok || m.By == directory.ByOldDomain {
		return "", false
	}
	return m.Entry.ID, true
}

func (l localDirectory) Ambiguous(d tenancy.Domain) (string, bool) {
	a, ambiguous := l.rt.dir.Ambiguous(d.Key(), directory.Mode(l.rt.mode.Load()))
	if !ambiguous {
		return "", false
	}
	return a.Entry.Domain, true
}

// Interface guards
var (
	_ caddy.Destructor    = (*runtime)(nil)
	_ lifecycle.Directory = localDirectory{}
)
