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
	clusters   map[int]*Connection
	closeStore func() error
	mode       atomic.Uint32 // directory.Mode
	start      sync.Once
	work       sync.WaitGroup
}

// loadRuntime finds the runtime of an app's store, or makes it. It does not
// start it, and connects to nothing.
func loadRuntime(a *App) (*runtime, error) {
	key, err := a.runtimeKey()
	if err != nil {
		return nil, err
	}
	value, _, err := runtimes.LoadOrNew(key, func() (caddy.Destructor, error) { return newRuntime(a, key) })
	if err != nil {
		return nil, err
	}
	return value.(*runtime), nil
}

// runtimeKey is what has to be the same for two configurations to share a
// runtime: the store, the other clusters and the snapshot. Credentials and the
// mode of subdomains are taken up by a running one.
func (a *App) runtimeKey() (string, error) {
	key, err := a.Store.key()
	if err != nil {
		return "", err
	}
	for _, c := range a.Clusters {
		key += fmt.Sprintf("\n%d %t %s", c.Index, c.Closed, couch.Key(c.URLs))
	}
	return key + "\n" + a.snapshotPath(key), nil
}

func newRuntime(a *App, key string) (*runtime, error) {
	rt := &runtime{key: key, node: nodeName(), logger: a.logger, clusters: map[int]*Connection{}}
	main, closeStore, err := a.Store.open()
	if err != nil {
		return nil, err
	}
	rt.closeStore = closeStore
	members, err := a.clusterMap(main)
	if err != nil {
		return nil, err
	}
	rt.clusters[0] = &a.Store.Connection
	for i := range a.Clusters {
		if a.Clusters[i].Index != 0 {
			rt.clusters[a.Clusters[i].Index] = &a.Clusters[i].Connection
		}
	}
	clusters, err := lifecycle.NewClusters(members)
	if err != nil {
		return nil, err
	}
	rt.dir = directory.New(directory.Options{
		Cluster: main, Identity: main.Name(), Snapshot: a.snapshotPath(key), Logger: a.logger,
		Ensure: func(ctx context.Context) error {
			rt.lifecycle.Forget()
			return rt.lifecycle.Ensure(ctx)
		},
	})
	rt.lifecycle = lifecycle.New(lifecycle.Options{
		Clusters: clusters, Directory: localDirectory{rt}, Node: rt.node, Logger: a.logger,
	})
	return rt, nil
}

// use makes the runtime follow an app's configuration from now on: it is called
// when that one starts, never for one that is only validated.
func (rt *runtime) use(a *App) {
	rt.mode.Store(uint32(a.mode))
	rt.clusters[0].adopt(&a.Store.Connection)
	for i := range a.Clusters {
		if conn := rt.clusters[a.Clusters[i].Index]; conn != nil && a.Clusters[i].Index != 0 {
			conn.adopt(&a.Clusters[i].Connection)
		}
	}
	rt.start.Do(rt.dir.Start)
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
	return errors.Join(rt.dir.Stop(ctx), rt.closeStore())
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
