// The snapshot, through restarts: what survives, and what is not believed.

package directory_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// snapshotOf runs a directory over the documents and returns its file.
func snapshotOf(t *testing.T, path string, docs ...*tenancy.Instance) []byte {
	t.Helper()
	d := directory.New(directory.Options{Cluster: newFeed(docs...), Snapshot: path, Identity: "db1"})
	d.Start()
	<-d.Ready()
	stop(t, d)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func richDocs() []*tenancy.Instance {
	return []*tenancy.Instance{
		newDoc("a", "12-abc", "élise.test:8080", aliases("a1.test", "a2.test"), with("old_domain", "ao.test"), with("prefix", "cozya"),
			with("context", "ctx"), with("locale", "fr"), with("uuid", "uuid-a"), with("couch_cluster", 3)),
		newDoc("b", "1-b", "b.test", with("blocked", true), with("blocking_reason", "a reason")),
		newDoc("c", "1-c", "c.test", with("deleting", true), with("couch_cluster", 1<<40)),
	}
}

// TestRestartWithoutTheStore begins from the file, and goes on from there when
// the store is back.
func TestRestartWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "made", "directory")
		f := newFeed(richDocs()...)
		d, _ := follow(t, directory.Options{Cluster: f, Snapshot: path, Identity: "db1"})
		elapse(time.Hour)
		stop(t, d)
		known := time.Now()
		if mode := must(os.Stat(path)).Mode(); mode != 0o600 {
			t.Errorf("the file's mode is %v", mode)
		}
		if files := must(os.ReadDir(filepath.Dir(path))); len(files) != 1 {
			t.Errorf("files beside the snapshot: %v", files)
		}
		elapse(24 * time.Hour)
		f.set(func() { f.err = errDown })
		again, logs := follow(t, directory.Options{Cluster: f, Snapshot: path, Identity: "db1"})
		for _, doc := range richDocs() {
			want, _ := directory.EntryOf(doc)
			got, ok := again.ByID(doc.ID())
			if !ok || !sameEntry(got, want) {
				t.Errorf("%s came back as %+v, want %+v", doc.ID(), got, want)
			}
		}
		status := wantState(t, again, directory.FromSnapshot)
		if !status.Ready || status.Age < 24*time.Hour || status.Age > 24*time.Hour+time.Minute || !status.LastContact.Round(time.Minute).Equal(known.Round(time.Minute)) || status.Loads != 0 || status.LastSeq != "3-…" {
			t.Errorf("%+v", status)
		}
		if n := logs.Len(); n != 2 {
			t.Errorf("%d lines in the log: %v", n, logs.All())
		}
		f.set(func() { f.err = nil })
		f.delete("b", "2-b")
		f.put(newDoc("d", "1-d", "d.test"))
		elapse(time.Minute)
		serves(t, again, map[string]string{"b.test": "nobody", "d.test": "d", "a1.test": "a"})
		if status := wantState(t, again, directory.Following); status.Loads != 0 || status.Age != 0 {
			t.Errorf("%+v", status)
		}
		if since := f.asked[len(f.asked)-1].Since; since != "5-opaque" {
			t.Errorf("it follows from %q", since)
		}
	})
}

func sameEntry(a, b directory.Entry) bool {
	aliases := strings.Join(a.Aliases(), " ") == strings.Join(b.Aliases(), " ")
	return aliases && a.ID() == b.ID() && a.Rev() == b.Rev() && a.Domain() == b.Domain() && a.Key() == b.Key() && a.OldDomain() == b.OldDomain() &&
		a.Prefix() == b.Prefix() && a.Context() == b.Context() && a.Locale() == b.Locale() && a.UUID() == b.UUID() &&
		a.Cluster() == b.Cluster() && a.State() == b.State() && a.Reason() == b.Reason()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestRestartOnAnotherDatabase has the file's database replaced meanwhile.
func TestRestartOnAnotherDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "directory")
		snapshotOf(t, path, richDocs()...)
		f := newFeed()
		f.reborn("1700009999", newDoc("b", "1-b", "b.test"))
		d, _ := follow(t, directory.Options{Cluster: f, Snapshot: path, Identity: "db1"})
		serves(t, d, map[string]string{"a1.test": "nobody", "b.test": "b"})
		if status := wantState(t, d, directory.Following); status.Loads != 1 {
			t.Errorf("%+v", status)
		}
	})
}

// TestSnapshotIsDebounced writes some time after changes, and not at each.
func TestSnapshotIsDebounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "directory")
		f := newFeed(newDoc("a", "1-a", "a.test"))
		d, _ := follow(t, directory.Options{Cluster: f, Snapshot: path})
		began := time.Now()
		written := map[time.Duration]bool{}
		for range 60 {
			f.put(newDoc("a", "2-"+time.Now().String(), "a.test"))
			elapse(time.Second)
			if at := d.Status().SavedAt; !at.IsZero() {
				written[at.Sub(began)] = true
			}
		}
		if len(written) != 6 {
			t.Errorf("written after %v", written)
		}
		elapse(time.Minute)
		last := d.Status().SavedAt
		elapse(time.Hour)
		if !d.Status().SavedAt.Equal(last) {
			t.Error("written without any change")
		}
	})
}

// TestCrashKeepsWhatWasWritten reads the file of a directory that was never
// stopped, with changes since.
func TestCrashKeepsWhatWasWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "directory")
		f := newFeed(newDoc("a", "1-a", "a.test"))
		d, _ := follow(t, directory.Options{Cluster: f, Snapshot: path})
		f.put(newDoc("b", "1-b", "b.test"))
		elapse(directory.DefaultSnapshotEvery)
		d.Apply(newDoc("c", "1-c", "c.test")) // in no feed yet
		f.put(newDoc("c", "1-c", "c.test"))
		if err := os.WriteFile(path+".new", []byte("half a snapshot"), 0o600); err != nil {
			t.Fatal(err)
		}
		again, _ := follow(t, directory.Options{Cluster: f, Snapshot: path})
		serves(t, again, map[string]string{"a.test": "a", "b.test": "b", "c.test": "c"})
		if status := wantState(t, again, directory.Following); status.Loads != 0 {
			t.Errorf("%+v", status)
		}
	})
}

func TestUnwritableSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "folder")
		if err := os.WriteFile(folder, nil, 0o600); err != nil { // a file where the folder should be
			t.Fatal(err)
		}
		f := newFeed(newDoc("a", "1-a", "a.test"))
		d, logs := follow(t, directory.Options{Cluster: f, Snapshot: filepath.Join(folder, "directory")})
		elapse(10 * time.Minute)
		status := wantState(t, d, directory.Following)
		// One line for the file that cannot be read, one for that it cannot be written.
		if n := logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 2 || status.LastError == "" {
			t.Errorf("%d errors logged, %+v", n, status)
		}
		if err := os.Remove(folder); err != nil {
			t.Fatal(err)
		}
		elapse(time.Minute)
		if status := d.Status(); status.LastError != "" || status.SavedAt.IsZero() {
			t.Errorf("%+v", status)
		}
	})
}

// ignored tells that a file is reported and not used.
func ignored(t *testing.T, path, what string) {
	t.Helper()
	f := newFeed()
	f.err = errDown
	d, logs := follow(t, directory.Options{Cluster: f, Snapshot: path, Identity: "db1"})
	defer stop(t, d)
	if status := d.Status(); status.Ready || status.State != directory.Loading || logs.FilterMessageSnippet("snapshot is not used").Len() != 1 {
		t.Errorf("%s: %+v, %v", what, status, logs.All())
	}
}

func TestBrokenSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "directory")
		whole := snapshotOf(t, path, richDocs()...)
		try := func(what string, raw []byte) {
			t.Helper()
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			ignored(t, path, what)
		}
		for i := range whole {
			broken := bytes.Clone(whole)
			broken[i] ^= 1 << (i % 8)
			try(fmt.Sprintf("byte %d flipped", i), broken)
			try(fmt.Sprintf("cut after %d", i), whole[:i])
		}
		try("with more after its end", append(bytes.Clone(whole), 0))
		newer := bytes.Clone(whole)
		newer[bytes.IndexByte(newer, '\n')+1]++
		try("of a newer version", resealed(newer))
		try("of text", []byte(strings.Repeat("no snapshot\n", 1000)))
	})
}

// resealed gives a changed file the right checksum.
func resealed(raw []byte) []byte {
	body := raw[:len(raw)-sha256.Size]
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

func TestForeignSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "directory")
		for _, opts := range []directory.Options{{Identity: "db2"}, {Identity: "db1", Database: "other/instances"}} {
			opts.Cluster, opts.Snapshot = newFeed(richDocs()...), path
			d := directory.New(opts)
			d.Start()
			<-d.Ready()
			stop(t, d)
			ignored(t, path, opts.Identity+" "+opts.Database)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		ignored(t, path, "a folder")
	})
}

// FuzzSnapshot loads any file, with a checksum that is right: it is used or
// not, and nothing worse; and what the store has is served in the end.
func FuzzSnapshot(f *testing.F) {
	folder := f.TempDir()
	path := filepath.Join(folder, "seed")
	d := directory.New(directory.Options{Cluster: newFeed(richDocs()...), Snapshot: path})
	d.Start()
	<-d.Ready()
	if err := d.Stop(context.Background()); err != nil {
		f.Fatal(err)
	}
	whole := must(os.ReadFile(path))
	start := bytes.IndexByte(whole, '\n') + 1 + 4
	f.Add(whole[start : len(whole)-sha256.Size])
	f.Add([]byte{})
	f.Add(binary.LittleEndian.AppendUint32(nil, 1<<31))
	f.Fuzz(func(t *testing.T, frames []byte) {
		path := filepath.Join(t.TempDir(), "directory")
		raw := append(append(bytes.Clone(whole[:start]), frames...), make([]byte, sha256.Size)...)
		if err := os.WriteFile(path, resealed(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			store := newFeed()
			store.reborn("1800000000", newDoc("z", "9999999-z", "z.test"))
			d, _ := follow(t, directory.Options{Cluster: store, Snapshot: path})
			elapse(time.Hour)
			for e := range d.All() {
				d.Resolve(e.Key(), directory.Nested)
				d.Resolve("x-"+e.Key(), directory.Flat)
			}
			serves(t, d, map[string]string{"z.test": "z"})
			wantState(t, d, directory.Following)
		})
	})
}
