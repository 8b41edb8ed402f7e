// Import and export: many instances at once, and going on after an end.

package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

const lines = "application/x-ndjson"

// results reads the answer to an import, by the index of each.
func results(t *testing.T, body string) (out []map[string]any) {
	t.Helper()
	out = make([]map[string]any, strings.Count(body, "\n"))
	for line := range strings.Lines(body) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s (%v)", line, err)
		}
		out[int(r["index"].(float64))] = r
	}
	return out
}

func TestImportRoute(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	body := strings.Join([]string{
		`{"Domain":"a.example.com","Locale":"fr","Email":"a@example.com","DomainAliases":["al.example.com"]}`,
		``,
		`{"Domain":"b.example.com","DiskQuota":"5","Blocked":true,"Passphrase":"correct horse","KdfIterations":50000}`,
		`{"Domain":"c/d"}`,
		`{"Domain":"e.example.com","Colour":"red"}`,
		`not JSON`,
		`{}`,
	}, "\n")
	got := results(t, a.must(200, "POST", "/instances/import?Concurrency=2", body, "Content-Type", lines).body)
	var outcomes []string
	for _, r := range got {
		outcomes = append(outcomes, fmt.Sprint(r["domain"], " ", r["outcome"]))
	}
	want := []string{"a.example.com added", "b.example.com added", "c/d failed", "e.example.com failed", " failed", " failed"}
	if !slices.Equal(outcomes, want) {
		t.Errorf("%q, want %q", outcomes, want)
	}
	contains(t, "an error", fmt.Sprint(got[3]["error"]), "Colour")
	if strings.Contains(fmt.Sprint(got), "token") {
		t.Errorf("a token is told: %v", got)
	}
	got = results(t, a.must(200, "POST", "/instances/import", `{"Domain":"a.example.com","Locale":"fr","Email":"a@example.com","DomainAliases":"al.example.com"}
{"Domain":"b.example.com","DiskQuota":6,"Passphrase":"correct horse","KdfIterations":50000}
{"Domain":"al.example.com","Locale":"de"}
`, "Content-Type", lines).body)
	if got[0]["outcome"] != "unchanged" || got[1]["outcome"] != "modified" || got[2]["outcome"] != "failed" {
		t.Errorf("the second time: %v", got)
	}
	contains(t, "what is left out", fmt.Sprint(got[1]["warnings"]), "set-passphrase")
	contains(t, "an alias", fmt.Sprint(got[2]["error"]), "is an alias of a.example.com")

	a.must(415, "POST", "/instances/import", `{}`)
	a.must(413, "POST", "/instances/import", strings.Repeat("{}\n", 201), "Content-Type", lines)
	a.must(413, "POST", "/instances/import", strings.Repeat(" ", 1<<20)+"{}", "Content-Type", lines)
	for _, bad := range []string{"0", "17", "many"} {
		a.must(400, "POST", "/instances/import?Concurrency="+bad, "{}", "Content-Type", lines)
	}
	if r := a.must(200, "POST", "/instances/import", "\n", "Content-Type", lines); r.body != "" {
		t.Errorf("nothing: %q", r.body)
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (a *api) count() string { return strings.TrimSpace(a.cli(0, "count").out) }

func TestImportCommand(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	file := write(t, "fleet.csv", "\ufeffDomain,Locale,DomainAliases,Settings\na.example.com,fr,\"x.example.org,y.example.org\",offer:premium\nb.example.com,,,\nc/d,,,\n")
	report := filepath.Join(t.TempDir(), "report")
	r := a.cli(1, "import", file, "--report", report)
	contains(t, "import", r.out+r.err, "2 added, 0 modified, 0 unchanged, 1 failed", "line 4: c/d: Domain name contains illegal characters")
	raw, err := os.ReadFile(report)
	if err != nil || strings.Count(string(raw), "\n") != 3 {
		t.Errorf("the report is %q (%v)", raw, err)
	}
	contains(t, "the report", string(raw), `"line":4,`, `"outcome":"failed"`, `"line":2,`)
	a.must(200, "GET", "/instances/y.example.org", "")
	// Again: what has failed is tried, what is done is not.
	contains(t, "again", a.cli(1, "import", file).out, "0 added, 0 modified, 0 unchanged, 1 failed, 2 done before")
	contains(t, "anew", a.cli(1, "import", file, "--restart").out, "0 added, 0 modified, 2 unchanged, 1 failed\n")
	if err := os.WriteFile(file, []byte("Domain\nd.example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, "another file", a.cli(2, "import", file).err, "--restart")
	contains(t, "the other file", a.cli(0, "import", file, "--restart").out, "1 added")
	if _, err := os.Stat(file + ".progress"); !os.IsNotExist(err) {
		t.Errorf("what is done leaves its progress (%v)", err)
	}
	r = a.cliWith(0, `{"Domain":"e.example.com"}`, "import", "-", "--json")
	contains(t, "from standard input", r.out, `"domain":"e.example.com","outcome":"added"`, `"summary":{"added":1}`)
	contains(t, "a line too long", a.cliWith(1, `{"Domain":"`+strings.Repeat("x", 1<<20)+"\"}\n"+`{"Domain":"f.example.com"}`, "import", "-").out, "1 added, 0 modified, 0 unchanged, 1 failed")
	for _, bad := range []string{"Locale\nfr\n", "Domain,Colour\na,red\n", "Domain,Domain\na,b\n", ""} {
		a.cli(2, "import", write(t, "bad.csv", bad))
	}
	contains(t, "a short row", a.cli(1, "import", write(t, "short.csv", "Domain,Locale\ng.example.com\nh.example.com,fr\n")).err, "line 2: ")
	a.cli(1, "import", write(t, "quote.csv", "Domain,Locale\n\"g.example.com,fr\n"))
	a.cli(2, "import", filepath.Join(t.TempDir(), "none"))
	a.cli(2, "import", file, "--concurrency", "17")
	a.cli(2, "import", file, "--format", "xml")
	gone := newAPIOn(t, testkit.Cluster(t, couch.Config{URLs: []string{"http://127.0.0.1:1"}}))
	contains(t, "without a store", gone.cli(5, "import", write(t, "fleet.jsonl", strings.Repeat("{\"Domain\":\"a.example.com\"}\n", 50))).err, "goes on")
	if got := a.count(); got != "6" {
		t.Errorf("there are %s", got)
	}
}

// TestImportGoesOn: an import that is ended in the middle, by its own end or the
// front door's, goes on where it was, and doubles and forgets nothing.
func TestImportGoesOn(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const count = 210
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, `{"Domain":"i%d.example.com"}`+"\n", i)
	}
	file := write(t, "fleet.jsonl", text.String())
	// Lines of the answers go through here, so many before the connection breaks.
	var left atomic.Int64
	target, err := url.Parse(a.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := r.Clone(r.Context())
		req.URL.Scheme, req.URL.Host, req.RequestURI = target.Scheme, target.Host, ""
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		buf := make([]byte, 1)
		for {
			n, err := resp.Body.Read(buf)
			if err == io.EOF {
				return
			}
			if n == 1 && buf[0] == '\n' && left.Add(-1) == 0 {
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
		}
	}))
	defer proxy.Close()
	for _, after := range []int64{30, 150, 1} {
		left.Store(after)
		if r := command(t.Context(), proxy.URL, "", "import", file, "--concurrency", "8"); r.code != 5 {
			t.Fatalf("with a front door that ends after %d: %d %s%s", after, r.code, r.out, r.err)
		}
	}
	// One whose writing of the progress was cut short.
	progress, err := os.ReadFile(file + ".progress")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".progress", progress[:len(progress)-2], 0o600); err != nil {
		t.Fatal(err)
	}
	// One that is killed.
	ctx, cancel := context.WithCancel(t.Context())
	left.Store(1 << 40)
	cancel()
	if r := command(ctx, proxy.URL, "", "import", file); r.code == 0 {
		t.Errorf("one that is interrupted: %s", r.out)
	}
	// What the front door has begun it finishes, and refuses to others meanwhile.
	r := command(t.Context(), a.url, "", "import", file)
	for tries := 0; r.code != 0 && tries < 50; tries++ {
		contains(t, "what is refused", r.err, "try again when that has ended")
		r = command(t.Context(), a.url, "", "import", file)
	}
	contains(t, "the last run", r.out, "done before", " 0 failed")
	if got := a.count(); got != fmt.Sprint(count) {
		t.Errorf("there are %s, want %d", got, count)
	}
	var history struct{ Data []struct{ Verb string } }
	if err := json.Unmarshal([]byte(a.must(200, "GET", "/instances/i29.example.com/history", "").body), &history); err != nil || len(history.Data) != 1 {
		t.Errorf("the history of one: %+v (%v)", history, err)
	}
}

// TestExport: what is exported makes the same elsewhere, and changes nothing
// where it comes from.
func TestExport(t *testing.T) {
	t.Parallel()
	a, b := newAPI(t), newAPI(t)
	for _, body := range []string{
		`{"Domain":"plain.example.com"}`,
		`{"Domain":"é.example.com:8080","DomainAliases":["a.example.org","b.example.org"],"OldDomain":"old.example.com","OrgDomain":"example.com","OrgID":"o",
		  "Locale":"pt-BR","UUID":"u","OIDCID":"oidc","FranceConnectID":"fc","TOSSigned":"1.0.0-20240131","TOSLatest":"2.0.0-20250131","Timezone":"Europe/Paris",
		  "ContextName":"c","Email":"e@example.com","PublicName":"É, \"quoted\"","Phone":"+33 1","Settings":{"offer":"premium","colour":"a:b,c"},"AuthMode":"two_factor_mail",
		  "Sponsorships":["s"],"FeatureSets":["f","g"],"AutoUpdate":false,"MagicLink":true,"SwiftLayout":2,"DiskQuota":3000000000,"Blocked":true,
		  "BlockingReason":"Out of order","OnboardingFinished":true}`,
		`{"Domain":"locked.example.com","Passphrase":"correct horse","KdfIterations":50000}`,
		`{"Domain":"dying.example.com"}`,
	} {
		a.must(201, "POST", "/instances", body)
	}
	a.must(200, "PATCH", "/instances/dying.example.com", `{"Deleting":true}`)
	for i := range 33 { // more than a batch
		a.must(201, "POST", "/instances", fmt.Sprintf(`{"Domain":"i%d.example.com","Email":"i%d@example.com"}`, i, i))
	}
	file := filepath.Join(t.TempDir(), "fleet.jsonl")
	contains(t, "export", a.cli(0, "export", file).out, "36 instances")
	raw, err := os.ReadFile(file)
	if err != nil || strings.Count(string(raw), "\n") != 36 {
		t.Fatalf("%d lines (%v)", strings.Count(string(raw), "\n"), err)
	}
	for _, secret := range []string{"secret", "token", "hash", "correct horse", "dying"} {
		if strings.Contains(string(raw), secret) {
			t.Errorf("%s is exported", secret)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v (%v)", info.Mode(), err)
	}
	contains(t, "back", a.cli(0, "import", file).out, "0 added, 0 modified, 36 unchanged, 0 failed")
	contains(t, "elsewhere", b.cli(0, "import", file).out, "36 added")
	sorted := func(text string) []string { return slices.Sorted(strings.Lines(text)) }
	if again := b.cli(0, "export").out; !slices.Equal(sorted(again), sorted(string(raw))) {
		t.Errorf("from elsewhere it is\n%s\nand was\n%s", again, raw)
	}
	contains(t, "elsewhere again", b.cli(0, "import", file).out, "36 unchanged")
	// The first, which have most of what there is, on another kind of store.
	var some []string
	for line := range strings.Lines(string(raw)) {
		if !strings.Contains(line, `"Domain":"i`) {
			some = append(some, line)
		}
	}
	c := newAPIOn(t, testkit.Cluster(t, couch.Config{URLs: []string{testkit.PouchDB(t).URL()}}))
	contains(t, "in PouchDB", c.cliWith(0, strings.Join(some, ""), "import", "-").out, "3 added")
	if again := c.cli(0, "export").out; !slices.Equal(sorted(again), sorted(strings.Join(some, ""))) {
		t.Errorf("from PouchDB it is\n%s\nand was\n%s", again, some)
	}
	if r := newAPI(t).cli(0, "export"); r.out != "" {
		t.Errorf("of nothing: %q", r.out)
	}
	a.cli(2, "export", filepath.Join(t.TempDir(), "no", "such", "folder"))
}

// TestExportCutShort: what ends early has no file.
func TestExportCutShort(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `{"Domain":"a.example.com"}`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	folder := t.TempDir()
	if r := command(t.Context(), server.URL, "", "export", filepath.Join(folder, "fleet.jsonl")); r.code != 1 || !strings.Contains(r.err, "ended early") {
		t.Errorf("%d %s", r.code, r.err)
	}
	if left, err := os.ReadDir(folder); len(left) != 0 || err != nil {
		t.Errorf("there is %v (%v)", left, err)
	}
}
