// Remove: the removal of a folder's files.

package files_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy/files"
)

// TestExports: the archives of an instance go with it, and those of others stay.
func TestExports(t *testing.T) {
	t.Parallel()
	p := localPlace(t)
	prepare(t, p, alice)
	for _, inst := range []files.Instance{alice, bob} {
		if err := os.MkdirAll(filepath.Join(p.folder, "exports", inst.Domain, "archive"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Remove(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(p.folder, "exports"))
	if err != nil || len(entries) != 1 || entries[0].Name() != bob.Domain {
		t.Errorf("exports of %v are left (%v)", entries, err)
	}
	outside := filepath.Join(p.folder, "exports")
	linked := localPlace(t)
	prepare(t, linked, bob)
	if err := os.Symlink(outside, filepath.Join(linked.folder, "exports")); err != nil {
		t.Fatal(err)
	}
	if err := linked.Remove(t.Context(), bob); err != nil || linked.own(t, bob) != 0 {
		t.Error(err)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("exports of %v are left outside (%v)", entries, err)
	}
}

// TestRemoveLarge: many files in one folder, deep folders, and a second run after one that was cut.
func TestRemoveLarge(t *testing.T) {
	t.Parallel()
	p := localPlace(t)
	prepare(t, p, alice, "/Photos", "/"+strings.Repeat("d/", 60)+"d")
	for i := range 1500 {
		if err := os.WriteFile(filepath.Join(p.folder, alice.Domain, "Photos", fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx := &countdown{Context: t.Context(), left: 700}
	if err := p.Remove(ctx, alice); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if n := p.own(t, alice); n < 800 || n > 1600 {
		t.Errorf("%d things are left after half of a removal", n)
	}
	if err := p.Remove(t.Context(), alice); err != nil || p.own(t, alice) != 0 {
		t.Error(err)
	}
}

// countdown is a context that ends after it was asked a number of times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}
