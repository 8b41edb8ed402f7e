// Installer: the way of one app, from a registry to the files and documents.

package apps

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/files"
)

// Limits bound what an install takes in. A zero field is its default.
type Limits struct {
	Tarball  int64 // bytes of a tarball, as they come; default 100 MiB
	Unpacked int64 // bytes of all files of an app; default 500 MiB
	File     int64 // bytes of one file; default 100 MiB
	Files    int   // entries of a tarball; default 20,000
	Manifest int64 // bytes of a registry's answer; default 1 MiB

	Answer   time.Duration // until a registry has answered; default 30 s
	Download time.Duration // of a tarball, with its unpacking; default 10 min
	Idle     time.Duration // without a byte of a tarball; default 30 s
	Parallel int           // installs at a time, of one Installer; default 4
}

func (l Limits) withDefaults() Limits {
	or(&l.Tarball, 100<<20)
	or(&l.Unpacked, 500<<20)
	or(&l.File, 100<<20)
	or(&l.Files, 20_000)
	or(&l.Manifest, 1<<20)
	or(&l.Answer, 30*time.Second)
	or(&l.Download, 10*time.Minute)
	or(&l.Idle, 30*time.Second)
	or(&l.Parallel, 4)
	return l
}

func or[T int | int64 | time.Duration](limit *T, otherwise T) {
	if *limit <= 0 {
		*limit = otherwise
	}
}

// Options are what an Installer is made of.
type Options struct {
	// Files is where apps are written to. Without it every Install is an ErrNoFiles.
	Files files.Storage
	// Transport sends the requests. The default one has time limits, follows the
	// proxy of the environment, and, but for AllowPrivate, goes to addresses of
	// private networks only where a registry itself is. One that is given has to
	// see to all of that.
	Transport http.RoundTripper
	// AllowPrivate lets a registry name tarballs anywhere, also in private networks.
	AllowPrivate bool
	Limits       Limits
	Now          func() time.Time // default time.Now
	Logger       *zap.Logger      // default none
}

// Installer installs apps. It is safe for concurrent use.
type Installer struct {
	files  files.Storage
	limits Limits
	client *client
	now    func() time.Time
	log    *zap.Logger
	slots  chan struct{}
}

// New makes an Installer. It opens nothing.
func New(o Options) *Installer {
	in := &Installer{files: o.Files, limits: o.Limits.withDefaults(), now: o.Now, log: o.Logger}
	if in.now == nil {
		in.now = time.Now
	}
	if in.log == nil {
		in.log = zap.NewNop()
	}
	in.client = newClient(o.Transport, o.AllowPrivate)
	in.slots = make(chan struct{}, in.limits.Parallel)
	return in
}

// Close gives back idle connections. An Installer can be used after it.
func (in *Installer) Close() { in.client.closeIdle() }

// Target is whom an app is installed for.
type Target struct {
	Instance   files.Instance
	InstanceID string   // of the instance's document; ids of documents derive from it
	Registries []string // URLs, in the order in which they are asked
}

// Installed is an app whose files are there, and whose documents are to be written.
type Installed struct {
	Kind     files.Kind
	Slug     string
	Version  string
	Checksum string // SHA-256 of the tarball, hexadecimal
	Source   string // registry://drive/stable
	// Documents are to be written in this order, each new or in place of one with
	// its id; the app's own is last, so that nobody sees the app without its rights.
	Documents []Document
}

// Document is one document, for a database of the instance.
type Document struct {
	Doctype string // io.cozy.apps
	ID      string
	Body    []byte // JSON, with the _id and without a _rev
}

// Install brings one app's files to where they belong, and gives its documents.
// A version that is there already is not fetched again. Nothing is left of a
// version that fails.
//
// progress may be nil; it is told of the tarball's bytes, so far and in all (0
// where the registry does not say), at most each 256 KiB. Every error is an
// *Error, in one line.
func (in *Installer) Install(ctx context.Context, target Target, source Source, progress func(done, total int64)) (*Installed, error) {
	installed, err := in.install(ctx, target, source, progress)
	if err != nil {
		return nil, &Error{App: source.Slug, Err: err}
	}
	return installed, nil
}

func (in *Installer) install(ctx context.Context, target Target, source Source, progress func(done, total int64)) (*Installed, error) {
	switch {
	case in.files == nil:
		return nil, ErrNoFiles
	case !source.valid():
		return nil, errors.New("is not the source of an app")
	case target.InstanceID == "":
		return nil, errors.New("the instance has no id")
	}
	select {
	case in.slots <- struct{}{}:
		defer func() { <-in.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	r, err := in.find(ctx, target.Registries, source)
	if err != nil {
		return nil, err
	}
	installed, err := in.describe(target, source, r)
	if err != nil {
		return nil, err
	}
	app := files.App{Kind: r.kind, Slug: source.Slug, Version: r.Version + "-" + r.SHA256}
	has, err := in.files.HasApp(ctx, target.Instance, app)
	if err != nil {
		return nil, err
	}
	if !has {
		if err := in.fetch(ctx, target.Instance, app, r, progress); err != nil {
			return nil, err
		}
	}
	in.log.Info("app installed", zap.String("domain", target.Instance.Domain), zap.String("app", source.Slug),
		zap.String("version", r.Version), zap.Bool("fetched", !has))
	return installed, nil
}
