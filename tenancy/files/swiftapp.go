// Swift apps: the writing of one version of an app into Swift.

package files

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/ncw/swift/v2"
	"golang.org/x/sync/errgroup"
)

// maxObjects bounds the names that a writer keeps.
const maxObjects = 100_000

// CreateApp writes below a name of its own, in a container of ours: what goes to
// the shared one has passed its checksum. At Commit Swift copies it itself.
func (s *swiftStorage) CreateApp(ctx context.Context, inst Instance, app App) (_ AppWriter, err error) {
	if err := errors.Join(checkPrefix(inst), checkApp(app)); err != nil {
		return nil, err
	}
	defer wrap(&err, "write the files of "+app.Slug)
	for _, container := range []string{unfinishedContainer, appContainer(app)} {
		if err := s.conn.ContainerCreate(ctx, container, nil); err != nil {
			return nil, err
		}
	}
	if err := s.clearLeftovers(ctx, app); err != nil {
		return nil, fmt.Errorf("clear what an earlier try left: %w", err)
	}
	var random [16]byte
	if _, err := io.ReadFull(s.rand, random[:]); err != nil {
		return nil, err
	}
	return &swiftApp{
		swiftStorage: s, app: app, names: map[string]bool{},
		prefix: leftoverPrefix(app) + hex.EncodeToString(random[:]) + "/",
	}, nil
}

func leftoverPrefix(app App) string { return string(app.Kind) + "/" + app.Slug + "/" }

func (s *swiftStorage) clearLeftovers(ctx context.Context, app App) error {
	opts := swift.ObjectsOpts{Limit: swiftBatch, Prefix: leftoverPrefix(app)}
	for {
		objects, err := s.conn.Objects(ctx, unfinishedContainer, &opts)
		if err != nil || len(objects) == 0 {
			return err
		}
		var old []string
		for _, object := range objects {
			if s.now().Sub(object.LastModified) > leftoverAge {
				old = append(old, object.Name)
			}
		}
		if len(old) > 0 {
			if err := s.deleteNames(ctx, unfinishedContainer, old); err != nil {
				return err
			}
		}
		opts.Marker = objects[len(objects)-1].Name
	}
}

// swiftApp is an AppWriter.
type swiftApp struct {
	*swiftStorage
	app        App
	prefix     string // of the unfinished objects
	names      map[string]bool
	compressor *brotli.Writer
	open       *swiftFile // nil between files
	done       bool
}

// Create begins an object. Its metadata is what a stack reads to serve it.
func (w *swiftApp) Create(ctx context.Context, name string, size int64) (_ io.WriteCloser, err error) {
	defer wrap(&err, "write the files of "+w.app.Slug)
	if w.done || w.open != nil {
		return nil, errOrder
	}
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if w.names[name] {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrExist)
	}
	if len(w.names) >= maxObjects {
		return nil, fmt.Errorf("more than %d files", maxObjects)
	}
	ctx, cancel := context.WithCancel(ctx)
	object, err := w.conn.ObjectCreate(ctx, unfinishedContainer, w.prefix+name, true, "", contentType(name), swift.Headers{
		"X-Object-Meta-Content-Encoding":        "br",
		"X-Object-Meta-Original-Content-Length": strconv.FormatInt(size, 10),
	})
	if err != nil {
		cancel()
		return nil, err
	}
	w.names[name] = true
	if w.compressor == nil { // one for all files: it is some MiB large
		w.compressor = brotli.NewWriterOptions(object, compression)
	} else {
		w.compressor.Reset(object)
	}
	w.open = &swiftFile{app: w, object: object, cancel: cancel, left: size}
	return w.open, nil
}

// contentType goes by the extension, without a charset, as a stack has it.
func contentType(name string) string {
	base, _, _ := strings.Cut(mime.TypeByExtension(path.Ext(name)), ";")
	if base == "" {
		return "application/octet-stream"
	}
	return base
}

// Commit has Swift copy all objects, and puts the mark last.
func (w *swiftApp) Commit(ctx context.Context) (err error) {
	defer wrap(&err, "finish the files of "+w.app.Slug)
	if w.done || w.open != nil {
		return errOrder
	}
	container := appContainer(w.app)
	group, copying := errgroup.WithContext(ctx)
	group.SetLimit(swiftParallel)
	for name := range w.names {
		group.Go(func() error {
			_, err := w.conn.ObjectCopy(copying, unfinishedContainer, w.prefix+name, container, mark(w.app)+"/"+name, nil)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := w.conn.ObjectPutBytes(ctx, container, mark(w.app), nil, "text/plain"); err != nil {
		return err
	}
	_ = w.Abort(ctx) // the version is there; what stays is cleared by a later writer
	return nil
}

// clearTimeout bounds what Abort does after its context has ended.
const clearTimeout = 30 * time.Second

// Abort deletes the unfinished objects.
func (w *swiftApp) Abort(ctx context.Context) (err error) {
	defer wrap(&err, "clear the files of "+w.app.Slug)
	if w.done {
		return nil
	}
	w.done = true
	if w.open != nil {
		w.open.cancel()
		_ = w.open.object.Close() // it is deleted with the rest
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearTimeout)
	defer cancel()
	names := make([]string, 0, len(w.names))
	for name := range w.names {
		names = append(names, w.prefix+name)
	}
	for len(names) > 0 {
		n := min(len(names), swiftBatch)
		if err := w.deleteNames(ctx, unfinishedContainer, names[:n]); err != nil {
			return err
		}
		names = names[n:]
	}
	return nil
}

// swiftFile is one file of an app.
type swiftFile struct {
	app    *swiftApp
	object *swift.ObjectCreateFile
	cancel context.CancelFunc
	left   int64 // bytes that are still to come
}

func (f *swiftFile) Write(p []byte) (int, error) {
	if int64(len(p)) > f.left {
		return 0, errSize
	}
	f.left -= int64(len(p))
	return f.app.compressor.Write(p)
}

// Close sends the rest, and waits for the server's word.
func (f *swiftFile) Close() error {
	if f.app.open != f {
		return fs.ErrClosed
	}
	f.app.open = nil
	defer f.cancel()
	err := f.app.compressor.Close()
	if err == nil && f.left != 0 {
		err = errSize
	}
	if err != nil {
		f.cancel() // no object is better than half of one
		_ = f.object.Close()
		return err
	}
	return f.object.Close()
}

var _ AppWriter = (*swiftApp)(nil)
