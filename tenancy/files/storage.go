// Storage: what is asked of a place for files, and which places there are.

package files

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Storage is where the files of instances and of their apps are. It is safe for
// concurrent use, also by several front doors and by a stack.
//
// Every method ends when its context does, within one call to the file system
// or one request. An error names what was being done, and holds no secret.
type Storage interface {
	// Prepare makes what a new instance needs: its root, `.cozy_trash`, and the
	// directories, each a path with slashes that begins with one, as in
	// "/Photos/Uploaded from Cozy Photos". It can be run twice.
	Prepare(ctx context.Context, inst Instance, directories []string) error
	// Remove removes everything of an instance; nothing there is no error. What
	// instances share, such as apps in Swift, stays. It can be run again after
	// an error, and goes on where it was.
	Remove(ctx context.Context, inst Instance) error
	// HasApp tells whether this version of an app is there, whole.
	HasApp(ctx context.Context, inst Instance, app App) (bool, error)
	// CreateApp begins the writing of one version of an app, and clears what a
	// process that died left of that app. Nothing of it can be seen before
	// Commit. The instance has been prepared.
	CreateApp(ctx context.Context, inst Instance, app App) (AppWriter, error)
}

// AppWriter writes the files of one version of an app. It belongs to one
// goroutine, and ends with Commit or Abort.
type AppWriter interface {
	// Create begins a file. Its name is a path with slashes that CheckName lets
	// through; size is in bytes before compression, and exactly as many have to
	// be written before Close. The file before it is closed by then. A name that
	// was written already is an fs.ErrExist. ctx holds until Close.
	Create(ctx context.Context, name string, size int64) (io.WriteCloser, error)
	// Commit makes the version visible, whole. One that is there already, since
	// somebody else was faster, is left as it is, and is no error. After an
	// error the writer can be aborted.
	Commit(ctx context.Context) error
	// Abort removes what was written, also when ctx is cancelled already. After
	// Commit, and a second time, it does nothing.
	Abort(ctx context.Context) error
}

// Instance names an instance. Which of the two a place goes by is its own.
type Instance struct {
	Domain string // in the document's form, with its port
	Prefix string // of its databases
}

// Kind is what an app is.
type Kind string

// The kinds, by the names that registries have for them.
const (
	Webapp    Kind = "webapp"
	Konnector Kind = "konnector"
)

// App is one version of an app.
type App struct {
	Kind    Kind
	Slug    string
	Version string // "<version>-<SHA-256 of the tarball, in hexadecimal digits>"
}

// Allowed says which URLs Open takes.
const Allowed = "file:///var/lib/cozy, or swift+https://keystone.example:5000/v3?UserName=…&Password=…&ProjectName=…&UserDomainName=…"

// Option changes what Open gives.
type Option func(*settings)

type settings struct {
	now       func() time.Time
	rand      io.Reader
	transport http.RoundTripper
}

// WithClock sets the clock, which is time.Now otherwise.
func WithClock(now func() time.Time) Option { return func(s *settings) { s.now = now } }

// WithRand sets the source of randomness, which is crypto/rand's otherwise. It
// has to be safe for concurrent use.
func WithRand(rand io.Reader) Option { return func(s *settings) { s.rand = rand } }

// WithTransport sets what sends the requests to Swift.
func WithTransport(rt http.RoundTripper) Option { return func(s *settings) { s.transport = rt } }

// Open gives the place that a URL names, in the forms that a stack's
// configuration has. It touches neither the file system nor the network. An
// error says what is allowed, and never repeats the URL, which may hold a password.
func Open(rawURL string, options ...Option) (Storage, error) {
	s := settings{now: time.Now, rand: rand.Reader}
	for _, option := range options {
		option(&s)
	}
	u, err := url.Parse(strings.TrimSpace(rawURL))
	if err != nil {
		return nil, refuse("is no URL")
	}
	switch u.Scheme {
	case "file":
		return openLocal(u, s)
	case "swift", "swift+http", "swift+https":
		return openSwift(u, s)
	case "":
		return nil, refuse("has no scheme")
	}
	return nil, refuse("has an unknown scheme")
}

func refuse(problem string) error {
	return fmt.Errorf("the URL of the files %s (allowed: %s)", problem, Allowed)
}

var (
	// errSize: a file has more or fewer bytes than its Create said.
	errSize = errors.New("the file has not the size that was announced")
	// errOrder is a mistake of the caller's.
	errOrder = errors.New("a file is open, or the writer has ended")
)

// wrap says what was being done, before an error.
func wrap(err *error, doing string) {
	if *err != nil {
		*err = fmt.Errorf("%s: %w", doing, *err)
	}
}
