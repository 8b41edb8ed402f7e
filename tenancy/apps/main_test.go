// What the tests share: installers with a folder of their own.

package apps_test

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"go.uber.org/goleak"

	"github.com/gatehouse-edge/gatehouse/tenancy/apps"
	"github.com/gatehouse-edge/gatehouse/tenancy/apps/registrytest"
	"github.com/gatehouse-edge/gatehouse/tenancy/files"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	alice = files.Instance{Domain: "alice.localhost:8090", Prefix: "cozy175bd934f9537894ecdde49452338bdf"}
	noon  = time.Date(2026, 11, 24, 12, 0, 0, 10303013, time.UTC)
)

const aliceID = "4360d8f952460851362b23592c0012b6"

// door is an installer with a folder for one instance.
type door struct {
	*apps.Installer
	folder string
	target apps.Target
}

// newDoor opens a door to registries. change may be nil.
func newDoor(t testing.TB, change func(*apps.Options), registries ...string) *door {
	t.Helper()
	d := &door{folder: t.TempDir(), target: apps.Target{Instance: alice, InstanceID: aliceID, Registries: registries}}
	storage, err := files.Open("file://" + d.folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.Prepare(t.Context(), alice, nil); err != nil {
		t.Fatal(err)
	}
	options := apps.Options{Files: storage, Now: func() time.Time { return noon }}
	if change != nil {
		change(&options)
	}
	d.Installer = apps.New(options)
	t.Cleanup(d.Close)
	return d
}

func source(t testing.TB, s string) apps.Source {
	t.Helper()
	src, err := apps.ParseSource(s)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func (d *door) install(t testing.TB, s string) (*apps.Installed, error) {
	t.Helper()
	return d.Install(t.Context(), d.target, source(t, s), nil)
}

func (d *door) mustInstall(t testing.TB, s string) *apps.Installed {
	t.Helper()
	installed, err := d.install(t, s)
	if err != nil {
		t.Fatal(err)
	}
	return installed
}

// read gives the files of a version, by name, decompressed.
func (d *door) read(t testing.TB, i *apps.Installed) map[string]string {
	t.Helper()
	kind := map[files.Kind]string{files.Webapp: ".cozy_apps", files.Konnector: ".cozy_konnectors"}[i.Kind]
	root := filepath.Join(d.folder, alice.Domain, kind, i.Slug, i.Version+"-"+i.Checksum)
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		content, err := io.ReadAll(brotli.NewReader(bytes.NewReader(raw)))
		out[strings.TrimSuffix(strings.TrimPrefix(path, root+"/"), ".br")] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// untouched checks that nothing of a failed app is left.
func (d *door) untouched(t testing.TB) {
	t.Helper()
	var found []string
	err := filepath.WalkDir(d.folder, func(path string, _ fs.DirEntry, err error) error {
		found = append(found, strings.TrimPrefix(path, d.folder))
		return err
	})
	if err != nil || len(found) != 3 { // the folder, the instance's, and its trash
		t.Errorf("%q is left (%v)", found, err)
	}
}

// document gives a document's fields.
func document(t testing.TB, i *apps.Installed, doctype string) map[string]any {
	t.Helper()
	for _, d := range i.Documents {
		if d.Doctype == doctype {
			var out map[string]any
			if err := json.Unmarshal(d.Body, &out); err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
	t.Fatalf("there is no document of %s", doctype)
	return nil
}

func published(t testing.TB, published ...registrytest.App) *registrytest.Registry {
	t.Helper()
	r := registrytest.New(t)
	for _, app := range published {
		r.Add(t, app)
	}
	return r
}
