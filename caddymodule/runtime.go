// Runtime: what survives a reload of the configuration.

package caddymodule

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/access"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/hooks"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// runtimes has one runtime for each store, shared by the configurations that
// name it: during a reload, the old one and the new one.
var runtimes = caddy.NewUsagePool()

// stopWait bounds how long each stage of a store's end takes: changes under way, the
// snapshot. What does not end by then is in the journal.
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
	access     *access.Store
	adoption   *adoption // nil where no stack can be at the store

	certificates *certificates.Service
	hosts        certificateHosts
	certApps     atomic.Pointer[[]string] // slugs of apps whose hosts may have certificates
	appHosts     *appHosts
	clients      *clients

	life    context.Context // ends with the runtime
	end     context.CancelFunc
	tending sync.WaitGroup

	mu      sync.Mutex
	apps    []*App             // that have started and not stopped; the last one is followed
	store   *Connection        // with the credentials of the main cluster
	further map[string]further // clients of the other clusters, by their nodes
	hooks   *hooks.Hooks       // that events are delivered with; nil for none
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
		Cluster: main, Claims: main, Identity: main.Name(), Snapshot: rt.snapshot, Logger: a.logger,
		Ensure: func(ctx context.Context) error {
			rt.lifecycle.Forget()
			return rt.lifecycle.Ensure(ctx)
		},
		Read: func(ctx context.Context, id string) (json.RawMessage, error) {
			return main.Get(ctx, provision.InstancesDB, id)
		},
	})
	rt.life, rt.end = context.WithCancel(context.Background())
	rt.access = access.New(access.Options{Cluster: main, Logger: a.logger})
	if a.Store.Driver == DriverCouchDB {
		rt.adoption = newAdoption(a.logger)
		rt.dir.Subscribe(rt.adoption.see)
	}
	local := directory.Local{Directory: rt.dir, Mode: func() directory.Mode { return directory.Mode(rt.mode.Load()) }}
	rt.lifecycle = lifecycle.New(lifecycle.Options{
		Clusters: rt.clusters, Directory: localDirectory{local, rt.adoption}, Node: rt.node, Logger: a.logger, Load: rt.dir.Load,
	})
	rt.appHosts, rt.clients = newAppHosts(rt.lifecycle.Installed, time.Now), newClients(time.Now)
	rt.keepCertificates(main, local.Mode)
	return rt, nil
}

// keepCertificates makes what keeps the certificates of the store's instances.
func (rt *runtime) keepCertificates(main *couch.Cluster, mode func() directory.Mode) {
	rt.hosts = certificateHosts{
		dir: rt.dir, mode: mode, port: new(atomic.Uint32),
		lifecycle: func() *lifecycle.Service { return rt.lifecycle },
		installed: func(ctx context.Context, app certificates.Owner) error {
			return rt.appHosts.allowed(ctx, *rt.certApps.Load(), app.Instance, app.Slug)
		},
	}
	rt.hosts.port.Store(caddyhttp.DefaultHTTPSPort)
	rt.certApps.Store(new([]string))
	rt.certificates = certificates.New(certificates.Options{
		Cluster: main, Hosts: rt.hosts, Node: rt.node, Logger: rt.logger.Named("certificates"),
		Ensure: func(ctx context.Context) error {
			_, err := main.CreateDB(ctx, provision.TLSDB)
			return err
		},
	})
	rt.dir.Subscribe(func(old, new directory.Entry) { rt.hosts.see(rt.certificates, *rt.certApps.Load(), old, new) })
}

// use makes the runtime follow an app's configuration from now on: it is called
// when that one starts, never for one that is only validated.
func (rt *runtime) use(a *App) error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if err := rt.follow(a); err != nil {
		return err
	}
	rt.apps = append(rt.apps, a)
	rt.start.Do(rt.begin)
	return nil
}

// leave makes the runtime follow the configuration before that of an app that
// stops, where that one was the last to start: it was part of a reload that has
// failed.
func (rt *runtime) leave(a *App) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	at := slices.Index(rt.apps, a)
	if at < 0 {
		return
	}
	last := at == len(rt.apps)-1
	rt.apps = slices.Delete(rt.apps, at, at+1)
	if !last || len(rt.apps) == 0 {
		return
	}
	if err := rt.follow(rt.apps[len(rt.apps)-1]); err != nil {
		rt.logger.Error("going back to the configuration before", zap.Error(err))
	}
}

// follow takes up all of a configuration, or nothing where it returns an error.
// rt.mu is held.
func (rt *runtime) follow(a *App) error {
	members := map[int]lifecycle.Member{0: {Cluster: rt.clusters.Main()}}
	for i := range a.Clusters {
		c := &a.Clusters[i]
		cluster := rt.clusters.Main()
		if c.Index > 0 { // of the main one it says only what it takes
			var err error
			if cluster, err = rt.client(&c.Connection); err != nil {
				return fmt.Errorf("cluster %d: %w", c.Index, err)
			}
		}
		members[c.Index] = lifecycle.Member{Cluster: cluster, Closed: c.Closed, Capacity: c.Capacity}
	}
	settings, delivery, err := a.settings()
	if err != nil {
		return err
	}
	if err := rt.clusters.Replace(members); err != nil {
		return err
	}
	rt.mode.Store(uint32(a.mode))
	rt.store.adopt(&a.Store.Connection)
	for i := range a.Clusters {
		if known, ok := rt.further[couch.Key(a.Clusters[i].URLs)]; ok {
			known.connection.adopt(&a.Clusters[i].Connection)
		}
	}
	if path := a.snapshotPath(rt.key); path != rt.snapshot {
		rt.logger.Warn("another snapshot file is taken up at the next start of the process",
			zap.String("now", rt.snapshot), zap.String("then", path))
	}
	rt.lifecycle.Use(settings)
	rt.adoptHooks(delivery)
	rt.hosts.port.Store(uint32(a.httpsPort()))
	rt.certApps.Store(&a.Certificates.Apps)
	rt.certificates.Use(a.certs)
	return nil
}

// begin starts what runs as long as the store is in use.
func (rt *runtime) begin() {
	rt.dir.Start()
	rt.tending.Go(func() { rt.lifecycle.Tend(rt.life) })
	rt.tending.Go(func() { rt.certificates.Run(rt.life) })
	if rt.adoption != nil {
		rt.tending.Go(func() { rt.adoption.run(rt.life, rt.lifecycle) })
	}
}

// adoptHooks gives up the connections of the hooks before. Deliveries under way go
// on with them. rt.mu is held.
func (rt *runtime) adoptHooks(next *hooks.Hooks) {
	if rt.hooks != nil {
		rt.hooks.Close()
	}
	rt.hooks = next
}

// client is the client of a further cluster. rt.mu is held.
func (rt *runtime) client(c *Connection) (*couch.Cluster, error) {
	key := couch.Key(c.URLs)
	if known, ok := rt.further[key]; ok {
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
	rt.end() // streams, tending and adoption
	if !within(&rt.work) {
		rt.logger.Warn("changes are still under way; the journal has them")
	}
	if !within(&rt.tending) {
		rt.logger.Warn("the journal is still being tended")
	}
	// Before the store is closed, since what a delivery comes to is written there.
	errs := []error{bounded(rt.lifecycle.Close), bounded(rt.access.Wait), bounded(rt.dir.Stop), rt.closeStore()}
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.adoptHooks(nil)
	for _, f := range rt.further {
		errs = append(errs, f.cluster.Close())
	}
	return errors.Join(errs...)
}

// bounded gives each stage of an end its own time, so that one that hangs does not
// take that of the next.
func bounded(stage func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWait)
	defer cancel()
	return stage(ctx)
}

// within waits for a group, but no longer than stopWait, which it tells.
func within(group *sync.WaitGroup) bool {
	idle := make(chan struct{})
	go func() { group.Wait(); close(idle) }()
	timer := time.NewTimer(stopWait)
	defer timer.Stop()
	select {
	case <-idle:
		return true
	case <-timer.C:
		return false
	}
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

// Interface guards
var (
	_ caddy.Destructor = (*runtime)(nil)
)
