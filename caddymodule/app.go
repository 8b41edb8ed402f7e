// App: the configuration of the tenancy app, and its life in Caddy.

package caddymodule

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"

	"github.com/gatehouse-edge/gatehouse/admin"
	"github.com/gatehouse-edge/gatehouse/tenancy/access"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

func init() { caddy.RegisterModule(App{}) }

// App finds the instance behind each host, and makes the changes to instances
// that the admin API is asked for.
//
// It opens nothing while a configuration is loaded or validated; the store is
// opened at first use, and a store that is down never keeps Caddy from starting.
type App struct {
	// Where the instances are. Default: the embedded store in ./data.
	Store *Store `json:"store,omitempty"`

	// What instances have in common, by the name of their context; `default` is for
	// those without one.
	Contexts map[string]*Context `json:"contexts,omitempty"`

	// More CouchDB clusters for the databases of instances. The store is cluster 0.
	Clusters []Cluster `json:"clusters,omitempty"`

	// The file that a restart begins from, so that a front door serves although
	// its store is down; "off" for none. Default: a file in Caddy's data folder,
	// named after the store. Another one is taken up at the next start of the process.
	Snapshot string `json:"snapshot,omitempty"`

	// Where the slug of an app stands in a host: "nested" (drive.alice.example.com),
	// "flat" (alice-drive.example.com) or "off". Default: nested.
	Subdomains string `json:"subdomains,omitempty"`

	// Where the files of instances and of their apps are: a folder, as in
	// file:///var/lib/cozy. Default: a front door has nothing to do with files, and
	// installs no apps.
	Files string `json:"files,omitempty"`

	// Who is told of changes.
	Hooks *Hooks `json:"hooks,omitempty"`

	// How long the names of a destroyed instance are kept from others, unless the
	// destroy says otherwise. Default: not at all.
	Quarantine caddy.Duration `json:"quarantine,omitempty"`

	// The bcrypt hash of the passphrase that the instances API asks for with basic
	// auth and an empty user name; usually a placeholder, as in
	// {env.GATEHOUSE_ADMIN_HASH}. Default: no passphrase, as the rest of Caddy's
	// admin endpoint.
	AdminHash string `json:"admin_hash,omitempty"`

	// The instances API on an address of its own, for whoever may change instances
	// and need not own Caddy's whole configuration.
	API *admin.Listener `json:"api,omitempty"`

	// How the certificates of instances are kept, where a site has
	// `tls { get_certificate tenancy }`.
	Certificates *Certificates `json:"certificates,omitempty"`

	ctx       caddy.Context
	mode      directory.Mode
	certs     *certificates.Settings    // nil where no site wants certificates of ours
	permits   bool                      // the permission is in the configuration
	wildcards *atomic.Pointer[[]string] // names that have a certificate elsewhere, as *.example.com
	runtime   *runtime
	metrics   *metrics
	logger    *zap.Logger
}

// readyWait is how long a start waits for a directory to serve from. It is
// short, since Caddy's start must not hang on a store that is down; the
// directory goes on loading after it.
const readyWait = time.Second

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tenancy", New: func() caddy.Module { return new(App) }}
}

// Provision checks the configuration and finds, or makes, the runtime of its
// store. It opens nothing.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger, a.wildcards = ctx, ctx.Logger(), new(atomic.Pointer[[]string])
	if a.Store == nil {
		a.Store = &Store{Driver: DriverEmbedded, Path: "./data"}
	}
	if err := a.Store.provision(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	for i := range a.Clusters {
		if err := a.Clusters[i].provision(); err != nil {
			return fmt.Errorf("cluster %d: %w", a.Clusters[i].Index, err)
		}
		for _, other := range a.Clusters[:i] {
			if other.Index == a.Clusters[i].Index {
				return fmt.Errorf("cluster %d: is configured twice", other.Index)
			}
		}
	}
	if err := a.provisionSettings(); err != nil {
		return err
	}
	if a.Subdomains == "" {
		a.Subdomains = directory.Nested.String()
	}
	var err error
	if a.mode, err = directory.ParseMode(a.Subdomains); err != nil {
		return err
	}
	if a.Certificates == nil {
		a.Certificates = new(Certificates)
	}
	if err := a.Certificates.provision(ctx); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	if a.API != nil {
		if err := a.API.Provision(ctx); err != nil {
			return fmt.Errorf("api: %w", err)
		}
	}
	if a.runtime, err = loadRuntime(a); err != nil {
		return err
	}
	if a.metrics, err = newMetrics(ctx.GetMetricsRegistry(), a.runtime.dir); err != nil {
		return err
	}
	return registerCertificates(ctx.GetMetricsRegistry(), a.runtime.certificates)
}

// Validate refuses what only a person can put right.
func (a *App) Validate() error {
	if hash := a.AdminHash; hash != "" && !strings.Contains(hash, "{") {
		if _, err := bcrypt.Cost([]byte(hash)); err != nil {
			return fmt.Errorf("admin_hash: is not a bcrypt hash; make one with `gatehouse hash-password`")
		}
	}
	if a.API != nil {
		if err := a.API.Validate(); err != nil {
			return fmt.Errorf("api: %w", err)
		}
	}
	return a.validateContexts()
}

// Start begins to follow the store, unless an earlier configuration has begun.
func (a *App) Start() error {
	var err error
	if a.certs, err = a.certificateSettings(); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	if err := a.runtime.use(a); err != nil {
		return err
	}
	a.Hooks.warn(a.logger)
	if a.API != nil {
		if err := a.API.Start(func() admin.App { return a }, a.logger.Named("api")); err != nil {
			a.runtime.leave(a) // Stop is not called for what has not started
			return fmt.Errorf("api: %w", err)
		}
	}
	select {
	case <-a.runtime.dir.Ready():
	case <-time.After(readyWait):
		a.logger.Warn("there is no directory of instances yet; hosts are answered with NOT_READY until the store answers",
			zap.String("store", a.Store.name()))
	}
	return nil
}

// Stop gives the API's listener up. What else runs is the runtime, which another
// configuration may share; that of a reload that has failed is left.
func (a *App) Stop() error {
	var err error
	if a.API != nil {
		err = a.API.Stop()
	}
	a.runtime.leave(a)
	return err
}

// Cleanup gives the runtime up, which ends with its last user.
func (a *App) Cleanup() error {
	if a.runtime == nil {
		return nil
	}
	_, err := runtimes.Delete(a.runtime.key)
	return err
}

// Lifecycle makes changes.
func (a *App) Lifecycle() *lifecycle.Service { return a.runtime.lifecycle }

// Directory finds instances.
func (a *App) Directory() *directory.Directory { return a.runtime.dir }

// Mode is where the slug of an app stands in a host.
func (a *App) Mode() directory.Mode { return a.mode }

// StoreName says where the instances are, without credentials.
func (a *App) StoreName() string { return a.Store.name() }

// Node names this front door in the journal.
func (a *App) Node() string { return a.runtime.node }

// AdminPassphraseHash is the bcrypt hash that the instances API checks, or empty.
func (a *App) AdminPassphraseHash() string {
	return caddy.NewReplacer().ReplaceAll(a.AdminHash, "")
}

// AuthRequired tells whether the instances API asks for a passphrase. A
// placeholder without a value does not open it.
func (a *App) AuthRequired() bool { return a.AdminHash != "" }

// Access has the tokens of the instances API.
func (a *App) Access() *access.Store { return a.runtime.access }

// CertificateService keeps the certificates of instances.
func (a *App) CertificateService() *certificates.Service { return a.runtime.certificates }

// APIListener is the API's own listener; nil where there is none.
func (a *App) APIListener() *admin.Listener { return a.API }

// Done is closed when the store is given up, which no stream may hold open.
func (a *App) Done() <-chan struct{} { return a.runtime.life.Done() }

// Hold keeps the store open until release is called, for work that outlives the
// request and the configuration that began it.
func (a *App) Hold() (release func()) { return a.runtime.hold() }

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.Validator    = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
	_ admin.App          = (*App)(nil)
	_ admin.Tokens       = (*App)(nil)
	_ admin.Listening    = (*App)(nil)
	_ admin.Living       = (*App)(nil)
)
