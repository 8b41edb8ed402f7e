package testkit_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// TestRestart: a server with files has its documents after a kill; one in memory
// begins anew; and both come back where they were.
func TestRestart(t *testing.T) {
	for name, options := range map[string][]testkit.Option{
		"disk":   {testkit.OnDisk()},
		"memory": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testkit.PouchDB(t, options...)
			c := testkit.Cluster(t, couch.Config{URLs: []string{server.URL()}})
			if _, err := c.CreateDB(t.Context(), "kept/docs"); err != nil {
				t.Fatal(err)
			}
			rev, err := c.Put(t.Context(), "kept/docs", "one", json.RawMessage(`{"n":1}`))
			if err != nil {
				t.Fatal(err)
			}
			server.Stop(t)
			if _, err := c.Get(t.Context(), "kept/docs", "one"); !errors.Is(err, tenancy.ErrUnavailable) {
				t.Fatalf("stopped server: %v, want ErrUnavailable", err)
			}
			server.Start(t)
			doc, err := c.Get(t.Context(), "kept/docs", "one")
			if name == "memory" {
				if !errors.Is(err, couch.ErrNotFound) {
					t.Fatalf("in memory, after a restart: %v, want ErrNotFound", err)
				}
				return
			}
			if err != nil || !strings.Contains(string(doc), rev) {
				t.Fatalf("on disk, after a restart: %s, %v, want revision %s", doc, err, rev)
			}
		})
	}
}

// TestStores: each kind works, and cleaning up leaves nothing of the test.
func TestStores(t *testing.T) {
	var prefixes []string
	var kinds []string
	t.Run("use", func(t *testing.T) {
		for _, store := range testkit.Stores(t) {
			kinds = append(kinds, store.Kind)
			prefixes = append(prefixes, store.Prefix)
			if _, err := store.Cluster.CreateDB(t.Context(), store.DB("a/b")); err != nil {
				t.Fatalf("%s: %v", store.Kind, err)
			}
			if info, err := store.Cluster.Info(t.Context(), store.DB("a/b")); err != nil || info.Docs != 0 {
				t.Fatalf("%s: %+v, %v", store.Kind, info, err)
			}
		}
	})
	if len(kinds) < 2 || kinds[0] != testkit.KindEmbedded || kinds[1] != testkit.KindPouchDB {
		t.Fatalf("kinds of stores: %v", kinds)
	}
	c := testkit.PouchDBStore(t).Cluster
	names, err := c.ListDBs(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		for _, prefix := range prefixes {
			if strings.HasPrefix(name, prefix) {
				t.Errorf("%s is left over", name)
			}
		}
	}
}

// TestServerDiesWithItsParent runs this test binary once more, as a parent that is
// killed without a chance to clean up.
func TestServerDiesWithItsParent(t *testing.T) {
	const variable = "TESTKIT_PARENT"
	if os.Getenv(variable) != "" {
		os.Stdout.WriteString(testkit.SharedPouchDB(t).URL() + "\n")
		select {} // until it is killed
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithItsParent$")
	cmd.Env = append(os.Environ(), variable+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 100)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	c := testkit.Cluster(t, couch.Config{URLs: []string{strings.TrimSpace(string(line[:n]))}})
	if _, err := c.ListDBs(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for begun := time.Now(); time.Since(begun) < 20*time.Second; {
		if _, err := c.ListDBs(t.Context(), ""); errors.Is(err, tenancy.ErrUnavailable) {
			return
		}
	}
	t.Fatal("the server has outlived its parent")
}

// TestCouchDBSplitsCredentials: what goes into a Config has none.
func TestCouchDBSplitsCredentials(t *testing.T) {
	t.Setenv(testkit.CouchDBVariable, "http://admin:se%2Fcret@db.example:5984/")
	address, user, password, ok := testkit.CouchDB(t)
	if address != "http://db.example:5984/" || user != "admin" || password != "se/cret" || !ok {
		t.Errorf("%q %q %q %v", address, user, password, ok)
	}
	t.Setenv(testkit.CouchDBVariable, "")
	if _, _, _, ok := testkit.CouchDB(t); ok {
		t.Error("a CouchDB without the variable")
	}
}
