// Settings: what a configuration says about changes, and may say otherwise after
// a reload.

package lifecycle

import (
	"context"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// Settings are what a configuration says about changes. The zero value is a
// Service without apps, files and hooks.
type Settings struct {
	// Contexts by name. DefaultContext is for instances without a context, and for
	// those with one that is not here.
	Contexts map[string]Context
	// Files is where the files of instances are; nil where a front door has nothing
	// to do with them.
	Files Files
	// SwiftLayout is the layout of new instances that ask for none, where the files are
	// in Swift; 0 where they are not.
	SwiftLayout int
	// Apps installs applications; nil where none can be.
	Apps Apps
	// Hooks are told of changes; nil for none.
	Hooks Hooks
	// Quarantine is how long the names of a destroyed instance are kept from others,
	// where the destroy itself does not say. Default none.
	Quarantine time.Duration
}

// DefaultContext names the context of instances that have none.
const DefaultContext = "default"

// Context is what instances of one context have in common. A zero field is taken
// from DefaultContext, and from the built-in defaults where that has none.
type Context struct {
	Locale      string   // of new instances that ask for none
	Apps        []string // of new instances that ask for none: drive, photos/beta
	Registries  []string // URLs, in the order in which they are asked
	Directories *bool    // whether new instances get directories for photos and the like; default yes
	DiskQuota   int64    // bytes, of new instances that ask for none; 0 for no quota
}

// Files are the files of instances, beside their documents.
type Files interface {
	// Prepare makes what a new instance needs: its root and the directories, each a
	// path with slashes that begins with one. It can be run twice.
	Prepare(ctx context.Context, inst Owner, directories []string) error
	// Remove removes everything that an instance has; nothing there is no error.
	Remove(ctx context.Context, inst Owner) error
}

// Owner names an instance to what is kept beside the store.
type Owner struct {
	ID     string // of its document
	Domain string // in the document's form, with its port
	Prefix string // of its databases
}

// Apps installs applications.
type Apps interface {
	// Check refuses what is not the name of an app, with a *tenancy.FieldError.
	Check(apps []string) error
	// Install fetches the apps and writes their files; the documents that it returns
	// are for the caller to write. A failed one is a result with an error.
	Install(ctx context.Context, inst Owner, registries, apps []string, progress Progress) []AppResult
}

// AppResult is what became of one app.
type AppResult struct {
	Slug    string
	Version string
	Docs    []AppDoc
	Err     error
}

// AppDoc is a document that belongs to an app: written, or replaced, in the
// instance's database of that doctype.
type AppDoc struct {
	Doctype string // io.cozy.apps
	ID      string
	Doc     any
}

// Hooks are told of changes, by HTTP or otherwise.
type Hooks interface {
	// Wants tells whether anybody is told of events of this kind.
	Wants(kind string) bool
	// Deliver tells of one event, with a few tries and within a bounded time. A
	// receiver that says no makes an error that is an ErrRefused.
	Deliver(ctx context.Context, event Event) error
}

// Kinds of events.
const (
	BeforeDestroy = "before_destroy" // may be refused
	AfterAdd      = "after_add"
	AfterBlock    = "after_block"
	SendLink      = "send_link" // has the link by which an owner sets a password
)

// Event is what a hook is told.
type Event struct {
	ID       string    `json:"id"` // the same for each try
	Kind     string    `json:"type"`
	Time     time.Time `json:"timestamp"`
	Domain   string    `json:"domain"`
	Instance string    `json:"instance"`
	Prefix   string    `json:"prefix"`
	Context  string    `json:"context,omitempty"`
	Locale   string    `json:"locale,omitempty"`
	Reason   string    `json:"reason,omitempty"` // of a block
	Email    string    `json:"email,omitempty"`  // of the owner, with SendLink
	Name     string    `json:"public_name,omitempty"`
	Link     string    `json:"link,omitempty"` // a secret
}

// ErrRefused: the receiver of a hook said no. It wraps tenancy.ErrConflict.
var ErrRefused = tenancy.Conflictf("refused by a hook")

// Use makes s follow other settings from now on. Changes under way may finish
// with those that they began with.
func (s *Service) Use(settings Settings) { s.settings.Store(&settings) }

func (s *Service) current() *Settings { return s.settings.Load() }

// context is what holds for instances of a context.
func (s *Settings) context(name string) Context {
	def := s.Contexts[DefaultContext]
	if name == "" {
		return def
	}
	c := s.Contexts[name]
	if c.Locale == "" {
		c.Locale = def.Locale
	}
	if c.Apps == nil {
		c.Apps = def.Apps
	}
	if c.Registries == nil {
		c.Registries = def.Registries
	}
	if c.Directories == nil {
		c.Directories = def.Directories
	}
	if c.DiskQuota == 0 {
		c.DiskQuota = def.DiskQuota
	}
	return c
}
