// Local: what holds for a folder, whose names and links may lead elsewhere.

package files_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy/files"
)

var badDomains = []string{
	"", ".", "..", "../bob", "/etc", "a/b", "a\\b", "a\x00b", "a\nb", ".hidden", "dyn-assets", "exports", strings.Repeat("a", 256), "\xff",
}

// TestDomains: what is no domain has no folder, and Remove least of all.
func TestDomains(t *testing.T) {
	t.Parallel()
	p := localPlace(t)
	prepare(t, p, bob)
	if err := os.MkdirAll(filepath.Join(p.folder, "dyn-assets"), 0o755); err != nil {
		t.Fatal(err)
	}
	before := count(t, p.folder, "")
	for _, domain := range badDomains {
		inst := files.Instance{Domain: domain, Prefix: alice.Prefix}
		if err := p.Prepare(t.Context(), inst, nil); !errors.Is(err, files.ErrName) {
			t.Errorf("Prepare(%.30q): %v", domain, err)
		}
		if err := p.Remove(t.Context(), inst); !errors.Is(err, files.ErrName) {
			t.Errorf("Remove(%.30q): %v", domain, err)
		}
		if _, err := p.CreateApp(t.Context(), inst, drive); !errors.Is(err, files.ErrName) {
			t.Errorf("CreateApp(%.30q): %v", domain, err)
		}
		if _, err := p.HasApp(t.Context(), inst, drive); !errors.Is(err, files.ErrName) {
			t.Errorf("HasApp(%.30q): %v", domain, err)
		}
	}
	if n := count(t, p.folder, ""); n != before {
		t.Errorf("there are %d things, and were %d", n, before)
	}
}

// TestLayout: the folders and files that a stack expects, and their modes.
func TestLayout(t *testing.T) {
	t.Parallel()
	p := localPlace(t)
	prepare(t, p, alice, "/Photos/Uploaded from Cozy Photos", "/Administrative")
	if err := write(t, p, alice, drive, map[string]string{"index.html": "i", "a/b.js": "b"}).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	probe := filepath.Join(t.TempDir(), "probe")
	if err := os.Mkdir(probe, 0o777); err != nil {
		t.Fatal(err)
	}
	masked, err := os.Stat(probe)
	if err != nil {
		t.Fatal(err)
	}
	root := "alice.localhost:8090"
	app := root + "/.cozy_apps/drive/" + drive.Version
	want := map[string]fs.FileMode{
		root: 0o755, root + "/.cozy_trash": 0o755, root + "/Administrative": 0o755, root + "/Photos": 0o755,
		root + "/Photos/Uploaded from Cozy Photos": 0o755, root + "/.cozy_apps": 0o755, root + "/.cozy_apps/drive": 0o755,
		app: 0o755, app + "/a": 0o755, app + "/index.html.br": 0o644, app + "/a/b.js.br": 0o644,
	}
	for name := range want {
		want[name] &= masked.Mode().Perm() // by this process' umask
	}
	got := map[string]fs.FileMode{}
	err = fs.WalkDir(os.DirFS(p.folder), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		found, err := entry.Info()
		got[path] = found.Mode().Perm()
		return err
	})
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v: got %v, want %v", err, got, want)
	}
}

// TestLinks: no symbolic link leads out of the folder, or makes Remove take what is elsewhere.
func TestLinks(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	kept := filepath.Join(outside, "kept")
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := func(t *testing.T, target string, at ...string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(at...)); err != nil {
			t.Fatal(err)
		}
	}
	untouched := func(t *testing.T) {
		t.Helper()
		if n := count(t, outside, ""); n != 2 {
			t.Errorf("outside are %d things", n)
		}
	}
	t.Run("below", func(t *testing.T) {
		p := localPlace(t)
		prepare(t, p, alice, "/Photos")
		link(t, outside, p.folder, alice.Domain, "Photos", "dir")
		link(t, kept, p.folder, alice.Domain, "Photos", "file")
		link(t, outside, p.folder, alice.Domain, ".cozy_apps")
		link(t, outside, p.folder, alice.Domain, "Music")
		if _, err := p.CreateApp(t.Context(), alice, drive); err == nil {
			t.Error("an app goes through a link")
		}
		if err := p.Prepare(t.Context(), alice, []string{"/Music/New"}); err == nil {
			t.Error("a directory goes through a link")
		}
		if err := p.Remove(t.Context(), alice); err != nil || p.own(t, alice) != 0 {
			t.Error(err)
		}
		untouched(t)
	})
	t.Run("in an instance's place", func(t *testing.T) {
		p := localPlace(t)
		prepare(t, p, bob)
		for _, target := range []string{outside, bob.Domain, kept} {
			link(t, target, p.folder, alice.Domain)
			if err := p.Prepare(t.Context(), alice, nil); err == nil {
				t.Errorf("a link to %s is taken for a folder", target)
			}
			if _, err := p.CreateApp(t.Context(), alice, drive); err == nil {
				t.Errorf("an app goes to %s", target)
			}
			if err := p.Remove(t.Context(), alice); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(filepath.Join(p.folder, alice.Domain)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the link is still there (%v)", err)
			}
		}
		if p.own(t, bob) == 0 {
			t.Error("the other instance is gone")
		}
		untouched(t)
	})
}

// TestMissingFolder: a volume that is not mounted is no instance without files.
func TestMissingFolder(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, "file://"+filepath.Join(t.TempDir(), "none"))
	for what, err := range map[string]error{
		"Prepare": s.Prepare(t.Context(), alice, nil),
		"Remove":  s.Remove(t.Context(), alice),
	} {
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "mount") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestUnprepared: an app does not bring back the folder of an instance that is gone.
func TestUnprepared(t *testing.T) {
	t.Parallel()
	p := localPlace(t)
	if _, err := p.CreateApp(t.Context(), alice, drive); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("CreateApp: %v", err)
	}
	if has, err := p.HasApp(t.Context(), alice, drive); has || err != nil {
		t.Errorf("HasApp: %t, %v", has, err)
	}
	if n := count(t, p.folder, ""); n != 1 {
		t.Errorf("%d things were made", n-1)
	}
}

// TestInTheWay: files where folders have to be are told of, and left alone.
func TestInTheWay(t *testing.T) {
	t.Parallel()
	p := localPlace(t)
	prepare(t, p, alice)
	for _, name := range []string{"Photos", ".cozy_apps"} {
		if err := os.WriteFile(filepath.Join(p.folder, alice.Domain, name), []byte("kept"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Prepare(t.Context(), alice, []string{"/Photos/New"}); err == nil || !strings.Contains(err.Error(), "Photos") {
		t.Errorf("Prepare: %v", err)
	}
	if _, err := p.CreateApp(t.Context(), alice, drive); err == nil || !strings.Contains(err.Error(), ".cozy_apps") {
		t.Errorf("CreateApp: %v", err)
	}
}

// TestLeftovers: what a process that died left is cleared by the next writer of the app, and what somebody is writing is not.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	p := localPlace(t)
	prepare(t, p, alice)
	live := write(t, p, alice, drive, map[string]string{"a": "a"})
	for _, name := range []string{".gatehouse-1/a", ".gatehouse-7/deep/er", "1.0.0-kept"} {
		if err := os.MkdirAll(filepath.Join(p.folder, alice.Domain, ".cozy_apps/drive", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	next := write(t, p.open(t), alice, drive, contents)
	if n := p.unfinished(t, alice); n != 2 {
		t.Errorf("%d unfinished folders, of which 2 are being written", n)
	}
	for _, w := range []files.AppWriter{live, next} {
		if err := w.Commit(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if got := p.read(t, alice, drive); !maps.Equal(got, map[string]string{"a": "a"}) {
		t.Errorf("the first to commit has lost: %q", got)
	}
	if n := p.unfinished(t, alice); n != 0 {
		t.Errorf("%d unfinished folders are left", n)
	}
	if _, err := os.Stat(filepath.Join(p.folder, alice.Domain, ".cozy_apps/drive/1.0.0-kept")); err != nil {
		t.Error(err)
	}
}

// TestSystemError: an error of the system says what was done, and where.
func TestSystemError(t *testing.T) {
	t.Parallel()
	p := localPlace(t)
	if err := os.RemoveAll(p.folder); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := p.Prepare(t.Context(), alice, nil)
	var system *fs.PathError
	if !errors.As(err, &system) || !strings.Contains(err.Error(), alice.Domain) {
		t.Error(err)
	}
}
