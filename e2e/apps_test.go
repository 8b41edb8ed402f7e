// Apps from a registry: files on the disk, documents in the store, and what could not be had.

package e2e

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/apps/registrytest"
)

// appsDoor is a front door with files and a registry.
type appsDoor struct {
	*door
	server   couchServer
	registry *registrytest.Registry
	files    string
}

func (a *appsDoor) installed(domain, slug, version, sum string) {
	a.t.Helper()
	file := filepath.Join(a.files, domain, ".cozy_apps", slug, version+"-"+sum, "index.html.br")
	f, err := os.Open(file)
	if err != nil {
		a.t.Fatal(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(brotli.NewReader(f))
	if err != nil || string(raw) != "<h1>"+slug+"</h1>" {
		a.t.Errorf("%s has %q (%v)", file, raw, err)
	}
	prefix := tenancyPrefix(a.t, domain)
	doc := a.server.doc(prefix+"/io-cozy-apps", "io.cozy.apps/"+slug)
	if doc["slug"] != slug || doc["version"] != version || doc["checksum"] != sum || doc["state"] != "ready" {
		a.t.Errorf("the document of %s is %v", slug, doc)
	}
	if rights := a.permissions(domain, slug); len(rights) != 1 || rights[0]["permissions"] == nil {
		a.t.Errorf("the permissions of %s are %v", slug, rights)
	}
}

// permissions are the documents with an app's rights.
func (a *appsDoor) permissions(domain, slug string) (out []map[string]any) {
	a.t.Helper()
	for _, doc := range a.server.docs(tenancyPrefix(a.t, domain) + "/io-cozy-permissions") {
		if doc["source_id"] == "io.cozy.apps/"+slug {
			out = append(out, doc)
		}
	}
	return out
}

func (a *appsDoor) absent(domain, slug string) {
	a.t.Helper()
	if all, err := os.ReadDir(filepath.Join(a.files, domain, ".cozy_apps", slug)); err == nil && len(all) > 0 {
		a.t.Errorf("there are files of %s: %v", slug, all)
	}
	if doc := a.server.doc(tenancyPrefix(a.t, domain)+"/io-cozy-apps", "io.cozy.apps/"+slug); doc != nil {
		a.t.Errorf("there is a document of %s: %v", slug, doc)
	}
}

func TestApps(t *testing.T) {
	t.Parallel()
	a := &appsDoor{server: couchServer{t, testkit.PouchDB(t).URL()}, registry: registrytest.New(t), files: t.TempDir()}
	a.door = newDoor(t, fmt.Sprintf(`store couchdb %s
		files file://%s
		registry default %s
		context company {
			locale fr
			apps drive
			directories off
			disk_quota 5GB
		}`, a.server.url, a.files, a.registry.URL))
	drive := a.registry.Add(t, registrytest.App{Slug: "drive", Version: "1.2.3"})
	a.registry.Add(t, registrytest.App{Slug: "photos", Answer: map[string]any{"sha256": strings.Repeat("0", 64)}})
	a.startReady()

	stdout, stderr, code := a.try("instances", "add", "alice.localhost", "--apps", "drive,photos")
	if code != 0 {
		t.Fatalf("add exits with %d: %s%s", code, stdout, stderr)
	}
	says(t, "add", stdout, "Instance created with success for domain alice.localhost\n", "/!\\ Application photos has not been installed\n")
	says(t, "add", stderr, "Warning: photos was not installed: ", "checksum")
	if strings.Contains(stdout+stderr, "drive") {
		t.Errorf("add tells of drive:\n%s%s", stdout, stderr)
	}
	if err := a.served("alice.localhost"); err != nil {
		t.Error(err)
	}
	a.installed("alice.localhost", "drive", "1.2.3", drive)
	a.absent("alice.localhost", "photos")
	for _, folder := range []string{".cozy_trash", "Photos", "Administrative"} {
		if info, err := os.Stat(filepath.Join(a.files, "alice.localhost", folder)); err != nil || !info.IsDir() {
			t.Errorf("%s: %v", folder, err)
		}
	}

	photos := a.registry.Add(t, registrytest.App{Slug: "photos"})
	stdout, stderr, code = a.try("instances", "install-apps", "alice.localhost", "drive", "photos", "nothing")
	if code != 1 {
		t.Errorf("install-apps exits with %d: %s%s", code, stdout, stderr)
	}
	says(t, "install-apps", stdout, "/!\\ Application nothing has not been installed\n")
	says(t, "install-apps", stderr, "Warning: nothing was not installed: ", "1 of 3 apps have not been installed")
	a.installed("alice.localhost", "drive", "1.2.3", drive)
	a.installed("alice.localhost", "photos", "1.0.0", photos)
	if n := a.registry.Downloads("drive"); n != 1 {
		t.Errorf("drive was downloaded %d times", n)
	}

	t.Run("context", func(t *testing.T) { appsContext(t, a, drive) })
	a.api(http.StatusNoContent, http.MethodDelete, "/instances/alice.localhost", nil)
	if _, err := os.Stat(filepath.Join(a.files, "alice.localhost")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after a destroy the instance's folder is there (%v)", err)
	}
	if _, err := os.Stat(filepath.Join(a.files, "bob.localhost")); err != nil {
		t.Errorf("after a destroy the folder of another instance: %v", err)
	}
}

// appsContext adds an instance of a context that has its own defaults.
func appsContext(t *testing.T, a *appsDoor, drive string) {
	a.add("bob.localhost", params{"ContextName": "company"})
	a.installed("bob.localhost", "drive", "1.2.3", drive)
	record := a.server.record("bob.localhost")
	if record["locale"] != "fr" || record["context"] != "company" || record["disk_quota"] != "5000000000" {
		t.Errorf("the record is %v", record)
	}
	all, err := os.ReadDir(filepath.Join(a.files, "bob.localhost"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range all {
		if name := entry.Name(); name != ".cozy_trash" && name != ".cozy_apps" {
			t.Errorf("there is a folder %s without directories", name)
		}
	}
	for _, doc := range a.server.docs(tenancyPrefix(t, "bob.localhost") + "/io-cozy-files") {
		if name, _ := doc["name"].(string); doc["type"] == "directory" && name != "" && name != ".cozy_trash" {
			t.Errorf("there is a directory %s", name)
		}
	}
	a.add("carol.localhost", params{"ContextName": "company", "Apps": "photos", "Locale": "de"})
	if record := a.server.record("carol.localhost"); record["locale"] != "de" {
		t.Errorf("a locale of its own: %v", record["locale"])
	}
	a.absent("carol.localhost", "drive")
}
