// Evil: apps that are refused, of which nothing is left.

package apps_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy/apps"
	"github.com/gatehouse-edge/gatehouse/tenancy/apps/registrytest"
)

// TestEvil: each bad app is refused in one line that names it, and leaves nothing.
func TestEvil(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	r.AddEvil(t)
	kinds := map[string]error{ // of some, for whoever tells them apart
		"checksum": apps.ErrChecksum, "nothing": apps.ErrTarball, "cut": apps.ErrTarball, "cut-end": apps.ErrTarball, "cut-entry": apps.ErrTarball,
		"followed": apps.ErrTarball, "symlink": apps.ErrTarball, "hardlink": apps.ErrTarball, "device": apps.ErrTarball, "upwards": apps.ErrTarball,
		"absolute": apps.ErrTarball, "duplicate": apps.ErrTarball, "large-file": apps.ErrTooLarge, "long-answer": apps.ErrTooLarge,
		"garbage": apps.ErrManifest, "wrong-slug": apps.ErrManifest, "unknown-trigger": apps.ErrManifest, "file-url": apps.ErrAddress,
		"loop": apps.ErrAddress, "tarball-loop": apps.ErrAddress, "leads-to-file": apps.ErrAddress, "password-url": apps.ErrAddress,
	}
	for _, name := range slices.Sorted(maps.Keys(registrytest.Evil())) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, nil, r.URL)
			i, err := d.install(t, name)
			if err == nil {
				t.Fatalf("installed %+v", i)
			}
			t.Log(err)
			text := err.Error()
			if !strings.HasPrefix(text, name+": ") || strings.ContainsAny(text, "\n\x00") || strings.Contains(text, "hunter2") || len(text) > 400 {
				t.Errorf("the error is %q", text)
			}
			if want := kinds[name]; want != nil && !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			d.untouched(t)
		})
	}
}

// TestEvilBesideGood: a version that fails does not touch the one that is there.
func TestEvilBesideGood(t *testing.T) {
	t.Parallel()
	r := published(t, registrytest.App{Slug: "drive"})
	d := newDoor(t, nil, r.URL)
	good := d.mustInstall(t, "drive")
	r.Add(t, registrytest.App{Slug: "drive", Version: "2.0.0", Answer: map[string]any{"sha256": strings.Repeat("0", 64)}})
	if _, err := d.install(t, "drive"); !errors.Is(err, apps.ErrChecksum) {
		t.Fatal(err)
	}
	if len(d.read(t, good)) != 3 {
		t.Error("the good version is not what it was")
	}
	r.Add(t, registrytest.App{Slug: "drive", Version: "3.0.0"})
	leftover := filepath.Join(d.folder, alice.Domain, ".cozy_apps/drive/.gatehouse-9/half")
	if err := os.MkdirAll(leftover, 0o755); err != nil {
		t.Fatal(err)
	}
	d.mustInstall(t, "drive")
	entries, err := os.ReadDir(filepath.Join(d.folder, alice.Domain, ".cozy_apps/drive"))
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

// FuzzEntryName: whatever a tarball says, what is let through is below the app's root.
func FuzzEntryName(f *testing.F) {
	for _, name := range []string{
		"index.html", "./index.html", "package/index.html", "package", "package/", "a//b", "a/./b", "../a", "a/../b", "/a", "a/..", "..", ".", "",
		`a\b`, "a\x00b", "C:/a", "package/../../a", "package//etc", "packagé/x", "a/...", strings.Repeat("a/", 65) + "b", strings.Repeat("a", 253),
	} {
		f.Add("package", name)
		f.Add("", name)
		f.Add(name, "package/a")
	}
	f.Fuzz(func(t *testing.T, prefix, name string) {
		got, err := apps.EntryName(prefix, name)
		if err != nil || got == "" {
			return
		}
		if !filepath.IsLocal(got) || filepath.Clean(got) != got || strings.ContainsAny(got, "\\\x00\n") || strings.HasPrefix(got, "/") {
			t.Fatalf("%q under %q is %q", name, prefix, got)
		}
		for part := range strings.SplitSeq(got, "/") {
			if part == ".." || part == "." || part == "" || len(part) > 252 {
				t.Fatalf("%q under %q is %q", name, prefix, got)
			}
		}
		if !strings.HasSuffix(filepath.Clean(name), got) {
			t.Fatalf("%q under %q is %q", name, prefix, got)
		}
	})
}
