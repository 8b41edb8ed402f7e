// What the tests share: places of each kind, and a look into them.

package files_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/ncw/swift/v2"
	"github.com/ncw/swift/v2/swifttest"
	"go.uber.org/goleak"

	"github.com/gatehouse-edge/gatehouse/tenancy/files"
)

func TestMain(m *testing.M) {
	// The Swift server of the tests keeps the connection that it reads from.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/ncw/swift/v2/swifttest.NewSwiftServer.func1"))
}

var (
	alice = files.Instance{Domain: "alice.localhost:8090", Prefix: "cozy175bd934f9537894ecdde49452338bdf"}
	bob   = files.Instance{Domain: "bob.localhost:8090", Prefix: "cozy19ca2dacaf99949b3920b2841e2147d2"}
	drive = files.App{Kind: files.Webapp, Slug: "drive", Version: "1.2.3-" + strings.Repeat("0a", 32)}
)

// place is a storage, and a way to look past it.
type place struct {
	files.Storage
	open func(t testing.TB, options ...files.Option) files.Storage // the same, as another front door has it
	// read gives the files of a version, decompressed, by name; nil where it is not there.
	read func(t testing.TB, inst files.Instance, app files.App) map[string]string
	// own counts what an instance has, and unfinished what is neither a version nor an instance's.
	own        func(t testing.TB, inst files.Instance) int
	unfinished func(t testing.TB, inst files.Instance) int
	folder     string            // of the local one
	conn       *swift.Connection // of Swift
}

// eachPlace runs a test on each kind of storage, with one of its own.
func eachPlace(t *testing.T, test func(t *testing.T, p *place)) {
	t.Helper()
	for kind, open := range map[string]func(testing.TB) *place{"file": localPlace, "swift": swiftPlace} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func mustOpen(t testing.TB, url string, options ...files.Option) files.Storage {
	t.Helper()
	s, err := files.Open(url, options...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func localPlace(t testing.TB) *place {
	p := &place{folder: t.TempDir()}
	p.open = func(t testing.TB, options ...files.Option) files.Storage {
		return mustOpen(t, "file://"+p.folder, options...)
	}
	p.Storage = p.open(t)
	apps := func(inst files.Instance, app files.App) string {
		kind := map[files.Kind]string{files.Webapp: ".cozy_apps", files.Konnector: ".cozy_konnectors"}[app.Kind]
		return filepath.Join(p.folder, inst.Domain, kind, app.Slug)
	}
	p.read = func(t testing.TB, inst files.Instance, app files.App) map[string]string {
		out := map[string]string{}
		root := filepath.Join(apps(inst, app), app.Version)
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, compressed := strings.CutSuffix(strings.TrimPrefix(path, root+"/"), ".br")
			if !compressed {
				t.Errorf("%s has no .br", path)
			}
			raw, err := os.ReadFile(path)
			out[name] = decompress(t, raw)
			return err
		})
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	p.own = func(t testing.TB, inst files.Instance) int {
		return count(t, filepath.Join(p.folder, inst.Domain), "")
	}
	p.unfinished = func(t testing.TB, inst files.Instance) int {
		return count(t, filepath.Join(p.folder, inst.Domain), ".gatehouse-")
	}
	return p
}

// count counts the entries below a folder whose names begin with a prefix.
func count(t testing.TB, folder, prefix string) (n int) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(entry.Name(), prefix) {
			n++
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return n
}

func swiftPlace(t testing.TB) *place {
	server, err := swifttest.NewSwiftServer("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	transport := new(inTurn)
	t.Cleanup(transport.CloseIdleConnections)
	url := strings.Replace(server.AuthURL, "http://", "swift://", 1) + "?UserName=swifttest&Password=swifttest&Timeout=60s"
	p := &place{conn: &swift.Connection{
		UserName: swifttest.TEST_ACCOUNT, ApiKey: swifttest.TEST_ACCOUNT, AuthUrl: server.AuthURL, Transport: transport,
	}}
	p.open = func(t testing.TB, options ...files.Option) files.Storage {
		return mustOpen(t, url, append([]files.Option{files.WithTransport(transport)}, options...)...)
	}
	p.Storage = p.open(t)
	names := func(t testing.TB, container, prefix string) []string {
		names, err := p.conn.ObjectNamesAll(t.Context(), container, &swift.ObjectsOpts{Prefix: prefix})
		if err != nil && !errors.Is(err, swift.ContainerNotFound) {
			t.Fatal(err)
		}
		return names
	}
	p.read = func(t testing.TB, _ files.Instance, app files.App) map[string]string {
		container := map[files.Kind]string{files.Webapp: "apps-web", files.Konnector: "apps-konnectors"}[app.Kind]
		root := app.Slug + "/" + app.Version
		if _, _, err := p.conn.Object(t.Context(), container, root); err != nil {
			return nil
		}
		out := map[string]string{}
		for _, name := range names(t, container, root+"/") {
			raw, err := p.conn.ObjectGetBytes(t.Context(), container, name)
			if err != nil {
				t.Fatal(err)
			}
			out[strings.TrimPrefix(name, root+"/")] = decompress(t, raw)
		}
		return out
	}
	p.own = func(t testing.TB, inst files.Instance) int {
		_, _, err := p.conn.Container(t.Context(), "cozy-v3-"+inst.Prefix)
		if errors.Is(err, swift.ContainerNotFound) {
			return 0
		}
		if err != nil {
			t.Fatal(err)
		}
		return 1 + len(names(t, "cozy-v3-"+inst.Prefix, ""))
	}
	p.unfinished = func(t testing.TB, _ files.Instance) int { return len(names(t, "gatehouse-unfinished", "")) }
	return p
}

// inTurn sends one request at a time, since the Swift server of the tests has
// races of its own between two.
type inTurn struct {
	mu sync.Mutex
	http.Transport
}

func (r *inTurn) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	resp, err := r.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

func decompress(t testing.TB, raw []byte) string {
	t.Helper()
	out, err := io.ReadAll(brotli.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatalf("%q is not brotli: %v", raw, err)
	}
	return string(out)
}

// write begins an app and writes files to it.
func write(t testing.TB, s files.Storage, inst files.Instance, app files.App, contents map[string]string) files.AppWriter {
	t.Helper()
	w, err := s.CreateApp(t.Context(), inst, app)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Abort(t.Context()) })
	for name, content := range contents {
		if err := writeFile(t, w, name, content, int64(len(content))); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func writeFile(t testing.TB, w files.AppWriter, name, content string, size int64) error {
	t.Helper()
	f, err := w.Create(t.Context(), name, size)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, content)
	return errors.Join(err, f.Close())
}

func prepare(t testing.TB, s files.Storage, inst files.Instance, directories ...string) {
	t.Helper()
	if err := s.Prepare(t.Context(), inst, directories); err != nil {
		t.Fatal(err)
	}
}

// clock gives a time that does not move.
func clock(at time.Time) files.Option { return files.WithClock(func() time.Time { return at }) }
