// Swift: what holds for it alone.

package files_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ncw/swift/v2"

	"github.com/gatehouse-edge/gatehouse/tenancy/files"
)

// TestSwiftObjects: objects have the names, types and metadata by which a stack serves them.
func TestSwiftObjects(t *testing.T) {
	t.Parallel()
	p := swiftPlace(t)
	prepare(t, p, alice)
	if err := write(t, p, alice, drive, contents).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, contentType := range map[string]string{"index.html": "text/html", "deep/er/x.js": "text/javascript", "public/icon.svg": "image/svg+xml", "archive.br": "application/octet-stream"} {
		object, headers, err := p.conn.Object(t.Context(), "apps-web", "drive/"+drive.Version+"/"+name)
		if err != nil {
			t.Fatal(err)
		}
		meta := headers.ObjectMetadata()
		want := swift.Metadata{"content-encoding": "br", "original-content-length": fmt.Sprint(len(contents[name]))}
		if object.ContentType != contentType || !maps.Equal(meta, want) {
			t.Errorf("%s is %s with %v, want %s with %v", name, object.ContentType, meta, contentType, want)
		}
	}
	mark, _, err := p.conn.Object(t.Context(), "apps-web", "drive/"+drive.Version)
	if err != nil || mark.Bytes != 0 || mark.ContentType != "text/plain" {
		t.Errorf("the mark is %+v (%v)", mark, err)
	}
}

// TestSwiftShared: an app is there for all instances, and stays when one of them goes.
func TestSwiftShared(t *testing.T) {
	t.Parallel()
	p := swiftPlace(t)
	prepare(t, p, alice)
	prepare(t, p, bob)
	if err := write(t, p, alice, drive, contents).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Remove(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	if has, err := p.HasApp(t.Context(), bob, drive); !has || err != nil {
		t.Errorf("%t, %v", has, err)
	}
}

// TestSwiftRemove: more objects than one request takes.
func TestSwiftRemove(t *testing.T) {
	t.Parallel()
	p := swiftPlace(t)
	prepare(t, p, alice)
	for i := range 1200 {
		if err := p.conn.ObjectPutString(t.Context(), "cozy-v3-"+alice.Prefix, fmt.Sprintf("%04d/é", i), "x", ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Remove(t.Context(), alice); err != nil || p.own(t, alice) != 0 {
		t.Error(err)
	}
}

// TestSwiftLeftovers: unfinished objects are cleared when they are old, for their app.
func TestSwiftLeftovers(t *testing.T) {
	t.Parallel()
	p := swiftPlace(t)
	prepare(t, p, alice)
	_ = write(t, p, alice, drive, map[string]string{"a": "a"}) // not finished
	other := drive
	other.Slug = "drives"
	_ = write(t, p, alice, other, map[string]string{"a": "a"})
	for _, c := range []struct {
		after time.Duration
		left  int
	}{{time.Hour, 2}, {25 * time.Hour, 1}} {
		later := p.open(t, clock(time.Now().Add(c.after)))
		if err := write(t, later, alice, drive, nil).Abort(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := p.unfinished(t, alice); n != c.left {
			t.Errorf("%d unfinished objects after %v, want %d", n, c.after, c.left)
		}
	}
}

// TestSwiftPrefix: what is no prefix has no container.
func TestSwiftPrefix(t *testing.T) {
	t.Parallel()
	p := swiftPlace(t)
	for _, prefix := range []string{"", "a/b", "..", ".a", "a b", strings.Repeat("a", 201), "a?b", "é"} {
		inst := files.Instance{Domain: alice.Domain, Prefix: prefix}
		if p.Prepare(t.Context(), inst, nil) == nil || p.Remove(t.Context(), inst) == nil {
			t.Errorf("%.30q is taken", prefix)
		}
	}
	if names, err := p.conn.ContainerNamesAll(t.Context(), nil); err != nil || len(names) > 0 {
		t.Errorf("containers %q were made (%v)", slices.Compact(names), err)
	}
}

// TestSwiftSecrets: a wrong password is told of, and not told.
func TestSwiftSecrets(t *testing.T) {
	t.Parallel()
	p := swiftPlace(t)
	s := mustOpen(t, strings.Replace(p.conn.AuthUrl, "http://", "swift://", 1)+"?UserName=swifttest&Password=hunter2")
	err := s.Prepare(t.Context(), alice, nil)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}
