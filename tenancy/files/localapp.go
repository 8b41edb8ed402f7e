// Local apps: the writing of one version of an app into a folder.

package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/andybalholm/brotli"
)

const (
	// unfinished begins the name of a folder that an app is being written to. It
	// is in the folder of the app's versions, so that it can be renamed to one.
	unfinished = ".gatehouse-"
	// leftoverAge is when something unfinished is taken for what a dead process
	// left, where there are no locks: an install is over, or cancelled, long before.
	leftoverAge = 24 * time.Hour
	// maxUnfinished bounds how many writers of one app there are at a time.
	maxUnfinished = 64
)

// compression has a quality above which the size of scripts falls by some per
// cent, and the time rises manifold: 11 compresses less than 1 MiB a second. The
// window, of 256 KiB, costs 2 % against the largest, and saves 12 MiB of memory.
var compression = brotli.WriterOptions{Quality: 6, LGWin: 18}

// CreateApp makes a folder with a name of its own, and locks it. The version
// gets its name at Commit.
func (l *local) CreateApp(ctx context.Context, inst Instance, app App) (_ AppWriter, err error) {
	if err := errors.Join(ctx.Err(), checkInstance(inst), checkApp(app)); err != nil {
		return nil, err
	}
	defer wrap(&err, "write the files of "+app.Slug)
	own, err := l.instance(inst)
	if err != nil {
		return nil, err
	}
	w := &localApp{now: l.now, root: own, app: app, folders: map[string]bool{".": true}}
	if err := w.begin(ctx); err != nil {
		return nil, errors.Join(err, own.Close())
	}
	return w, nil
}

// localApp is an AppWriter.
type localApp struct {
	now        func() time.Time
	root       *os.Root // of the instance
	app        App
	name       string   // of the unfinished folder, below root
	held       *os.File // the unfinished folder, locked
	temp       *os.Root // the same
	folders    map[string]bool
	compressor *brotli.Writer
	open       *localFile // nil between files
	done       bool
}

func (w *localApp) begin(ctx context.Context) error {
	parent := appFolder(w.app)
	if err := w.clearLeftovers(ctx, parent); err != nil {
		return err
	}
	for i := range maxUnfinished {
		w.name = path.Join(parent, unfinished+strconv.Itoa(i))
		ok, err := w.take()
		if ok || err != nil {
			return err
		}
	}
	return fmt.Errorf("more than %d are at it", maxUnfinished)
}

// take makes the unfinished folder and locks it. It is false where somebody has
// one of that name, has taken the new one for a leftover before it was locked, or
// has removed the folder around it, as empty.
func (w *localApp) take() (ok bool, err error) {
	if err := gone(w.root.MkdirAll(path.Dir(w.name), folderMode)); err != nil {
		return false, err
	}
	err = w.root.Mkdir(w.name, folderMode)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	held, err := w.root.Open(w.name)
	if err != nil {
		return false, gone(err)
	}
	if locked, known := lock(held); known && !locked || !same(w.root, w.name, held) {
		return false, held.Close()
	}
	temp, err := w.root.OpenRoot(w.name)
	if err != nil {
		return false, errors.Join(err, held.Close())
	}
	w.held, w.temp = held, temp
	return true, nil
}

// same tells whether an open folder still has its name.
func same(root *os.Root, name string, folder *os.File) bool {
	named, err := root.Lstat(name)
	if err != nil {
		return false
	}
	open, err := folder.Stat()
	return err == nil && os.SameFile(named, open)
}

// clearLeftovers removes the unfinished folders that nobody holds.
func (w *localApp) clearLeftovers(ctx context.Context, parent string) error {
	names, err := list(w.root, parent, -1)
	if err != nil {
		return gone(err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, unfinished) {
			continue
		}
		if err := w.clearLeftover(ctx, path.Join(parent, name)); err != nil {
			return fmt.Errorf("clear what an earlier try left: %w", err)
		}
	}
	return nil
}

// clearLeftover removes an unfinished folder that nobody holds; where that cannot
// be known, one that is old.
func (w *localApp) clearLeftover(ctx context.Context, name string) error {
	folder, err := w.root.Open(name)
	if err != nil {
		return gone(err)
	}
	defer folder.Close()
	locked, known := lock(folder)
	if !known {
		found, err := folder.Stat()
		locked = err == nil && w.now().Sub(found.ModTime()) > leftoverAge
	}
	if !locked {
		return nil
	}
	return removeTree(ctx, w.root, name)
}

// Create begins the file <name>.br.
func (w *localApp) Create(ctx context.Context, name string, size int64) (_ io.WriteCloser, err error) {
	defer wrap(&err, "write the files of "+w.app.Slug)
	if w.done || w.open != nil {
		return nil, errOrder
	}
	if err := errors.Join(ctx.Err(), CheckName(name)); err != nil {
		return nil, err
	}
	if err := w.makeFolders(path.Dir(name)); err != nil {
		return nil, err
	}
	file, err := w.temp.OpenFile(name+suffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	if w.compressor == nil { // one for all files: it is some MiB large
		w.compressor = brotli.NewWriterOptions(file, compression)
	} else {
		w.compressor.Reset(file)
	}
	w.open = &localFile{app: w, file: file, left: size}
	return w.open, nil
}

// makeFolders makes a folder, and notes it and its parents, to be synced.
func (w *localApp) makeFolders(name string) error {
	if w.folders[name] {
		return nil
	}
	if err := w.temp.MkdirAll(name, folderMode); err != nil {
		return err
	}
	for ; !w.folders[name]; name = path.Dir(name) {
		w.folders[name] = true
	}
	return nil
}

// Commit syncs the folders, and renames the unfinished one to the version.
func (w *localApp) Commit(ctx context.Context) (err error) {
	defer wrap(&err, "finish the files of "+w.app.Slug)
	if w.done || w.open != nil {
		return errOrder
	}
	for folder := range w.folders {
		if err := errors.Join(ctx.Err(), syncFolder(w.temp, folder)); err != nil {
			return err
		}
	}
	parent := appFolder(w.app)
	version := path.Join(parent, w.app.Version)
	err = w.root.Rename(w.name, version)
	if errors.Is(err, fs.ErrExist) { // or not empty, on some systems
		if there, _ := isFolder(w.root, version); there {
			return w.Abort(ctx)
		}
	}
	if err != nil {
		return err
	}
	for _, folder := range []string{parent, path.Dir(parent), "."} {
		err = errors.Join(err, syncFolder(w.root, folder))
	}
	return errors.Join(err, w.close())
}

// Abort removes the unfinished folder.
func (w *localApp) Abort(ctx context.Context) (err error) {
	defer wrap(&err, "clear the files of "+w.app.Slug)
	if w.done {
		return nil
	}
	if w.open != nil {
		_ = w.open.file.Close() // it is removed with the rest
	}
	err = removeTree(context.WithoutCancel(ctx), w.root, w.name)
	for folder := appFolder(w.app); folder != "."; folder = path.Dir(folder) {
		_ = w.root.Remove(folder) // unless something else is in it
	}
	return errors.Join(err, w.close())
}

func (w *localApp) close() error {
	w.done = true
	return errors.Join(w.temp.Close(), w.held.Close(), w.root.Close())
}

// localFile is one file of an app.
type localFile struct {
	app  *localApp
	file *os.File
	left int64 // bytes that are still to come
}

func (f *localFile) Write(p []byte) (int, error) {
	if int64(len(p)) > f.left {
		return 0, errSize
	}
	f.left -= int64(len(p))
	return f.app.compressor.Write(p)
}

// Close finishes the file, and makes its content durable.
func (f *localFile) Close() error {
	if f.app.open != f {
		return fs.ErrClosed
	}
	f.app.open = nil
	err := f.app.compressor.Close()
	if err == nil && f.left != 0 {
		err = errSize
	}
	if err == nil {
		err = f.file.Sync()
	}
	return errors.Join(err, f.file.Close())
}

var _ AppWriter = (*localApp)(nil)
