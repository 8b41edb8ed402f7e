// Local: the files of instances in one folder, as a stack with a file:// URL has them.

package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"time"
)

// Layout below the folder: <domain>/.cozy_trash, <domain>/Photos and so on, and
// <domain>/.cozy_apps/<slug>/<version>/<name>.br; and exports/<domain>/ with the
// archives that an owner has asked for.
const (
	exports    = "exports"
	trash      = ".cozy_trash"
	webapps    = ".cozy_apps"
	konnectors = ".cozy_konnectors"

	folderMode = 0o755
	fileMode   = 0o644
)

// local is a folder. It is opened anew for each call, so that one that is
// mounted later, or again, is seen. Everything goes through an os.Root: no name,
// and no symbolic link, leads out of it.
type local struct {
	folder string
	now    func() time.Time
}

// openLocal takes file:///folder and file://localhost/folder.
func openLocal(u *url.URL, s settings) (Storage, error) {
	switch {
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "":
		return nil, refuse("has more than a path")
	case u.Host != "" && u.Host != "localhost":
		return nil, refuse("names another host; a folder is written with three slashes, file:///…,")
	case !filepath.IsAbs(u.Path):
		return nil, refuse("has no absolute path")
	case filepath.Clean(u.Path) == string(filepath.Separator):
		return nil, refuse("is the root of the file system")
	}
	return &local{folder: filepath.Clean(u.Path), now: s.now}, nil
}

// root opens the folder. It is not made here: one that is missing is most often
// a volume that is not mounted, and files written below its mount point would be
// lost to the stack, or those to be removed would stay.
func (l *local) root() (*os.Root, error) {
	root, err := os.OpenRoot(l.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the folder of the files of instances is not there; make it, or mount its volume: %w", err)
	}
	return root, err
}

// instance opens the folder of an instance; an fs.ErrNotExist where it has none.
func (l *local) instance(inst Instance) (*os.Root, error) {
	root, err := l.root()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	found, err := root.Lstat(inst.Domain)
	if err != nil {
		return nil, err
	}
	if !found.IsDir() {
		return nil, fmt.Errorf("%s: %w", path.Join(l.folder, inst.Domain), errNoFolder)
	}
	return root.OpenRoot(inst.Domain)
}

var errNoFolder = errors.New("something that is no folder is there")

// Prepare makes the instance's folder and its directories.
func (l *local) Prepare(ctx context.Context, inst Instance, directories []string) (err error) {
	if err := checkInstance(inst); err != nil {
		return err
	}
	defer wrap(&err, "prepare the files of "+inst.Domain)
	if len(directories) > maxDirectories {
		return fmt.Errorf("more than %d directories", maxDirectories)
	}
	below := []string{trash}
	for _, dir := range directories {
		name, err := directory(dir)
		if err != nil {
			return err
		}
		below = append(below, name)
	}
	root, err := l.root()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Mkdir(inst.Domain, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	own, err := l.instance(inst)
	if err != nil {
		return err
	}
	defer own.Close()
	for _, dir := range below {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := own.MkdirAll(dir, folderMode); err != nil {
			return err
		}
		if err := syncFolder(own, path.Dir(dir)); err != nil {
			return err
		}
	}
	return syncFolder(root, ".")
}

// Remove removes the instance's folder, and its exports, which a stack forgets. A
// symbolic link in its place is removed, and not followed.
func (l *local) Remove(ctx context.Context, inst Instance) (err error) {
	if err := checkInstance(inst); err != nil {
		return err
	}
	defer wrap(&err, "remove the files of "+inst.Domain)
	root, err := l.root()
	if err != nil {
		return err
	}
	defer root.Close()
	own := []string{inst.Domain}
	// Exports that are a link to another volume are left to whoever made it.
	if here, err := isFolder(root, exports); here || err != nil {
		own = append(own, path.Join(exports, inst.Domain))
	}
	for _, name := range own {
		if err := removeTree(ctx, root, name); err != nil {
			return err
		}
	}
	return syncFolder(root, ".")
}

// HasApp tells whether the version's folder is there; it comes by one rename.
func (l *local) HasApp(ctx context.Context, inst Instance, app App) (has bool, err error) {
	if err := errors.Join(ctx.Err(), checkInstance(inst), checkApp(app)); err != nil {
		return false, err
	}
	defer wrap(&err, "look for the files of "+app.Slug)
	own, err := l.instance(inst)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer own.Close()
	return isFolder(own, path.Join(appFolder(app), app.Version))
}

// appFolder is where the versions of an app are, below the instance's folder.
func appFolder(app App) string {
	if app.Kind == Konnector {
		return path.Join(konnectors, app.Slug)
	}
	return path.Join(webapps, app.Slug)
}

func isFolder(root *os.Root, name string) (bool, error) {
	found, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && found.IsDir(), err
}

var _ Storage = (*local)(nil)
