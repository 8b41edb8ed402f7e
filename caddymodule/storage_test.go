// Storage: what its configuration may say, what reloads do to it, and that nothing
// of it is left.

package caddymodule_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gatehouse-edge/gatehouse/caddymodule"
	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/embedded"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

func storage(args, lines string) string {
	return "{\n\tstorage couchdb " + args + " {\n" + lines + "\n\t}\n}\n"
}

const keyLine = "encryption_key {env.GATEHOUSE_TEST_STORAGE_KEY}"

// storageKey is an encryption key, as text.
func storageKey(n byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{n, 0x5a, ^n, 0x33}, 8))
}

// runStorage runs Caddy with a storage and nothing else, until the test ends.
func runStorage(t *testing.T, config string) (certmagic.Storage, error) {
	t.Helper()
	off := false
	err := caddy.Run(&caddy.Config{
		Admin:      &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}},
		Logging:    quiet,
		StorageRaw: json.RawMessage(config),
	})
	return caddy.ActiveContext().Storage(), err
}

// TestStorageOverReloads: locks survive, keys and credentials are taken up, and those
// of a reload that fails are not.
func TestStorageOverReloads(t *testing.T) {
	before := goleak.IgnoreCurrent()
	dir := t.TempDir()
	t.Setenv("A", storageKey(1))
	t.Setenv("B", storageKey(2))
	t.Setenv("C", storageKey(3))
	t.Cleanup(func() { _ = caddy.Stop() })
	config := func(more string) string {
		return fmt.Sprintf(`{"module":"couchdb","driver":"embedded","path":%q%s}`, filepath.Join(dir, "data"), more)
	}
	first, err := runStorage(t, config(`,"encryption_key":"{env.A}"`))
	if err != nil {
		t.Fatal(err)
	}
	store := func(s certmagic.Storage, key string) {
		t.Helper()
		if err := s.Store(t.Context(), key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	loads := func(s certmagic.Storage, key string) error {
		got, err := s.Load(t.Context(), key)
		if err == nil && string(got) != key {
			err = fmt.Errorf("it is %q", got)
		}
		return err
	}
	store(first, "one")
	if err := first.Lock(t.Context(), "l"); err != nil {
		t.Fatal(err)
	}
	second, err := runStorage(t, config(`,"encryption_key":"{env.B}","old_encryption_keys":["{env.A}"],"lease":"1m"`))
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Error("a reload made another storage")
	}
	store(second, "two")
	if err := errors.Join(loads(second, "one"), loads(second, "two")); err != nil {
		t.Error(err)
	}
	if ok, err := second.(certmagic.TryLocker).TryLock(t.Context(), "l"); ok || err != nil {
		t.Errorf("a lock from before the reload: %v, %v", ok, err)
	}
	if err := first.Unlock(t.Context(), "l"); err != nil {
		t.Error(err)
	}
	// A reload that fails, for a reason of its own and for one of another app.
	if _, err := runStorage(t, config(`,"encryption_key":"{env.NOT_SET}"`)); err == nil {
		t.Error("it runs without a key")
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	off := false
	err = caddy.Run(&caddy.Config{
		Admin: &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}}, Logging: quiet,
		StorageRaw: json.RawMessage(config(`,"encryption_key":"{env.C}"`)),
		AppsRaw:    caddy.ModuleMap{"http": json.RawMessage(fmt.Sprintf(`{"servers":{"a":{"listen":[%q]}}}`, taken.Addr()))},
	})
	if err == nil {
		t.Fatal("two listen on one port")
	}
	store(second, "three")
	if err := errors.Join(loads(second, "one"), loads(second, "two"), loads(second, "three")); err != nil {
		t.Error(err)
	}
	// Without the keys that sealed it, nothing can be read; so "three" was not sealed
	// with the key of the reload that failed.
	third, err := runStorage(t, config(`,"encryption_key":"{env.C}","old_encryption_keys":["{env.B}"]`))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(loads(third, "two"), loads(third, "three")); err != nil {
		t.Error(err)
	}
	if err := caddy.Stop(); err != nil {
		t.Error(err)
	}
	if err := third.Store(t.Context(), "k", nil); !errors.Is(err, certstore.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	reopens(t, filepath.Join(dir, "data"))
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// reopens checks that the embedded store of a folder is closed.
func reopens(t *testing.T, folder string) {
	t.Helper()
	store := embedded.New(filepath.Join(folder, "gatehouse.db"), embedded.LockTimeout(time.Second))
	defer store.Close()
	if up, err := store.Client().Ping(context.Background()); !up || err != nil {
		t.Errorf("the store is still open: %v", err)
	}
}

// TestStorageSharesTheFile: the tenancy app and the storage are on one embedded store,
// by whatever path each of them names it, and either may go or come.
func TestStorageSharesTheFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("A", storageKey(1))
	t.Cleanup(func() { _ = caddy.Stop() })
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := errors.Join(os.Mkdir(real, 0o700), os.Symlink(real, link)); err != nil {
		t.Fatal(err)
	}
	both := func(storagePath, tenancyPath string) (certmagic.Storage, *caddymodule.App) {
		t.Helper()
		off := false
		config := &caddy.Config{Admin: &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}}, Logging: quiet, AppsRaw: caddy.ModuleMap{}}
		if storagePath != "" {
			config.StorageRaw = json.RawMessage(fmt.Sprintf(`{"module":"couchdb","driver":"embedded","path":%q,"encryption_key":"{env.A}"}`, storagePath))
		}
		if tenancyPath != "" {
			config.AppsRaw["tenancy"] = json.RawMessage(fmt.Sprintf(`{"store":{"driver":"embedded","path":%q},"snapshot":"off"}`, tenancyPath))
		}
		if err := caddy.Run(config); err != nil {
			t.Fatal(err)
		}
		var app *caddymodule.App
		if tenancyPath != "" {
			found, err := caddy.ActiveContext().App("tenancy")
			if err != nil {
				t.Fatal(err)
			}
			app = found.(*caddymodule.App)
		}
		return caddy.ActiveContext().Storage(), app
	}
	// The folder below the link is made by whoever is first.
	s, app := both(filepath.Join(link, "data"), filepath.Join(real, "data"))
	if err := s.Store(t.Context(), "k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	add(t, app, "alice.example.com", lifecycle.Change{})
	s, app = both(filepath.Join(real, "data"), filepath.Join(link, "data"))
	if got, err := s.Load(t.Context(), "k"); err != nil || string(got) != "v" {
		t.Errorf("%q, %v", got, err)
	}
	add(t, app, "bob.example.com", lifecycle.Change{})
	_, app = both("", filepath.Join(real, "data"))
	add(t, app, "carol.example.com", lifecycle.Change{})
	s, _ = both(filepath.Join(real, "data"), "")
	if got, err := s.Load(t.Context(), "k"); err != nil || string(got) != "v" {
		t.Errorf("%q, %v", got, err)
	}
	if err := caddy.Stop(); err != nil {
		t.Error(err)
	}
	reopens(t, filepath.Join(real, "data"))
}

// TestStorageCredentials: a rotated password is taken up by a reload, and a wrong one
// is a store that does not answer.
func TestStorageCredentials(t *testing.T) {
	address, user, password, ok := testkit.CouchDB(t)
	if !ok {
		t.Skipf("set %s", testkit.CouchDBVariable)
	}
	t.Setenv("A", storageKey(1))
	t.Setenv("DB_USER", user)
	t.Setenv("DB_PASSWORD", password)
	t.Setenv("DB_WRONG", hidden)
	t.Cleanup(func() { _ = caddy.Stop() })
	config := func(variable string) string {
		return fmt.Sprintf(`{"module":"couchdb","urls":[%q],"username":"{env.DB_USER}","password":"{env.%s}","encryption_key":"{env.A}","cache":"off"}`, address, variable)
	}
	s, err := runStorage(t, config("DB_WRONG"))
	if err != nil {
		t.Fatal(err)
	}
	name := "gatehouse-test/" + t.Name()
	err = s.Store(t.Context(), name, nil)
	if !errors.Is(err, tenancy.ErrUnavailable) || !errors.Is(err, couch.ErrDenied) || strings.Contains(err.Error(), hidden) {
		t.Errorf("with a wrong password: %v", err)
	}
	if s, err = runStorage(t, config("DB_PASSWORD")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Store(t.Context(), name, nil), s.Delete(t.Context(), name)); err != nil {
		t.Error(err)
	}
}

// TestStorageShowsNoSecret: in a log, as certmagic writes its storage there, and in JSON.
func TestStorageShowsNoSecret(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("A", storageKey(1))
	t.Cleanup(func() { _ = caddy.Stop() })
	s, err := runStorage(t, fmt.Sprintf(`{"module":"couchdb","driver":"embedded","path":%q,"encryption_key":"{env.A}"}`, filepath.Join(dir, "data")))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Store(t.Context(), "k", nil); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zapcore.DebugLevel))
	log.Info("storage", zap.Any("storage", s), zap.Reflect("in a structure", map[string]any{"s": s}))
	fmt.Fprintf(&out, "%v %+v", s, s)
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(raw)
	if n := strings.Count(out.String(), "couchdb:"+dir); n != 5 || strings.Contains(out.String(), storageKey(1)) || out.Len() > 5*len(dir)+400 {
		t.Errorf("%d times its name: %s", n, out.String())
	}
}
