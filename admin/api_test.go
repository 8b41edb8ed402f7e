// The instances API, through its handler, on an embedded store.

package admin_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"

	"github.com/gatehouse-edge/gatehouse/admin"
	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// What a cozy-stack's command line sends: all parameters, mostly empty.
func TestAddAsAStackDoes(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	query := url.Values{}
	for _, name := range strings.Fields("DomainAliases OldDomain UUID OIDCID FranceConnectID TOSSigned TOSLatest Timezone ContextName Phone Settings AuthMode Passphrase Key KdfIterations Apps sponsorships feature_sets") {
		query.Set(name, "")
	}
	for name, v := range map[string]string{
		"Domain": "Alice.Example.com", "Locale": "fr", "Email": "alice@example.com", "PublicName": "Alice",
		"SwiftLayout": "-1", "CouchCluster": "-1", "DiskQuota": "0", "MagicLink": "false", "Trace": "false",
	} {
		query.Set(name, v)
	}
	r := a.must(201, "POST", "/instances?"+query.Encode(), "")
	if got := r.header.Get("Content-Type"); got != "application/vnd.api+json" {
		t.Errorf("Content-Type %q", got)
	}
	d := r.document(t)
	want := []string{"domain", "indexes_version", "locale", "password_defined", "prefix", "register_token"}
	if got := slices.Sorted(maps.Keys(d.Data.Attributes)); !slices.Equal(got, want) {
		t.Errorf("attributes %v, want %v", got, want)
	}
	if d.Data.Type != "instances" || len(d.Data.ID) != 32 || d.Data.Attributes["domain"] != "alice.example.com" ||
		!strings.HasPrefix(d.Data.Meta["rev"], "1-") || d.Data.Links["self"] != "/instances/"+d.Data.ID {
		t.Errorf("the answer is %+v", d)
	}
	r = a.must(200, "GET", "/instances/alice.example.com", "")
	if strings.Contains(r.body, "token") || strings.Contains(r.body, "secret") {
		t.Errorf("show tells a secret: %s", r.body)
	}
	if r := a.must(200, "GET", "/instances/alice.example.com/prefix", ""); strings.TrimSpace(r.body) != `"`+d.Data.Attributes["prefix"].(string)+`"` {
		t.Errorf("the prefix is %s", r.body)
	}
	// An unchanged modify by the same command line changes nothing.
	query.Del("Domain")
	query.Set("Locale", "")
	before := a.must(200, "GET", "/instances/alice.example.com", "").document(t).Data.Attributes
	after := a.must(200, "PATCH", "/instances/alice.example.com?"+query.Encode(), "").document(t).Data.Attributes
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("a modify with empty parameters: %v, before %v", after, before)
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "POST", "/instances", `{"Domain":"alice.example.com","DomainAliases":["www.alice.org"]}`)
	for _, c := range []struct {
		method, path, body       string
		status                   int
		title, detail, parameter string
	}{
		{"POST", "/instances", `{"Domain":"alice.example.com"}`, 409, "Conflict", "Instance already exists", ""},
		{"POST", "/instances?Domain=WWW.Alice.org", "", 409, "Conflict", "Instance already exists", ""},
		{"POST", "/instances?Domain=drive.alice.example.com", "", 409, "Conflict", "ambiguous with alice.example.com", ""},
		{"POST", "/instances?Domain=a/b", "", 422, "Invalid Parameter", "Domain name contains illegal characters", "domain"},
		{"POST", "/instances", "", 422, "Invalid Parameter", "Domain name contains illegal characters", "domain"},
		{"POST", "/instances?Domain=b.example.com&TOSSigned=soon", "", 400, "Bad Request", "Bad format for TOS version", "TOSSigned, TOSLatest"},
		{"POST", "/instances?Domain=b.example.com&DiskQuota=3GB", "", 400, "Bad Request", "DiskQuota", "DiskQuota"},
		{"POST", "/instances?Domain=b.example.com&CouchCluster=7", "", 400, "Bad Request", "CouchCluster", "CouchCluster"},
		{"POST", "/instances?Domain=b.example.com&SwiftLayout=x", "", 400, "Bad Request", "SwiftLayout", "SwiftLayout"},
		{"POST", "/instances?Domain=b.example.com&MagicLink=perhaps", "", 400, "Bad Request", "true, false", "MagicLink"},
		{"POST", "/instances?Domain=b.example.com&Locale=klingonese!", "", 400, "Bad Request", "Locale", "Locale"},
		{"POST", "/instances?Domain=b.example.com&Timezone=Mars/Olympus", "", 400, "Bad Request", "Timezone", "Timezone"},
		{"POST", "/instances?Domain=b.example.com&Email=nobody", "", 400, "Bad Request", "Email", "Email"},
		{"POST", "/instances?Domain=b.example.com&AuthMode=retina", "", 400, "Bad Request", "two_factor_mail", "AuthMode"},
		{"POST", "/instances?Domain=b.example.com&Settings=nonsense", "", 400, "Bad Request", "Settings", "Settings"},
		{"POST", "/instances?Domain=b.example.com&Settings=_id:x", "", 400, "Bad Request", "Settings", "Settings"},
		{"POST", "/instances?Domain=b.example.com&Colour=red", "", 400, "Bad Request", "Colour", "Colour"},
		{"POST", "/instances?Domain=b.example.com&Domain=c.example.com", "", 400, "Bad Request", "more than once", "Domain"},
		{"POST", "/instances?Domain=b.example.com&Passphrase=hunter2", "", 400, "Bad Request", "body", "Passphrase"},
		{"POST", "/instances", `{"Domain":"b.example.com","Passphrase":"hunter2","KdfIterations":7}`, 400, "Bad Request", "KdfIterations", "KdfIterations"},
		{"POST", "/instances", `{"Domain":"b.example.com","KdfIterations":100000}`, 400, "Bad Request", "missing", "Passphrase"},
		{"POST", "/instances", `{"Domain":"b.example.com","Passphrase":["hunter2"]}`, 400, "Bad Request", "not a text", "Passphrase"},
		{"POST", "/instances", `{"Domain":"b.example.com","Apps":"drive"}`, 400, "Bad Request", "Apps", "Apps"},
		{"POST", "/instances", `{"Domain":"b.example.com","DryRun":true}`, 400, "Bad Request", "modify", "DryRun"},
		{"POST", "/instances", `{"Domain":"b.example.com","Trace":"perhaps"}`, 400, "Bad Request", "boolean", "Trace"},
		{"POST", "/instances", `{"Domain":"b.example.com","Send":true}`, 400, "Bad Request", "send_link", "Send"},
		{"POST", "/instances", `{"Domain":"b.example.com","Deleting":true}`, 400, "Bad Request", "Deleting", "Deleting"},
		{"POST", "/instances", `{"Domain":["b"]}`, 422, "Invalid Parameter", "illegal", "domain"},
		{"POST", "/instances", `[]`, 400, "Bad Request", "JSON object", ""},
		{"POST", "/instances", `{"Domain":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "Content Too Large", "1 MiB", ""},
		{"PATCH", "/instances/alice.example.com?Blocked=maybe", "", 400, "Bad Request", "Blocked", "Blocked"},
		{"PATCH", "/instances/alice.example.com?CouchCluster=0", "", 400, "Bad Request", "CouchCluster", "CouchCluster"},
		{"PATCH", "/instances/alice.example.com", `{"Domain":"b.example.com"}`, 400, "Bad Request", "cannot be changed", "Domain"},
		{"PATCH", "/instances/alice.example.com", `{"BlockingReason":"` + strings.Repeat("é", 201) + `"}`, 400, "Bad Request", "200", "BlockingReason"},
		{"PATCH", "/instances/alice.example.com", `{"DomainAliases":["alice.example.com"]}`, 400, "Bad Request", "twice", "DomainAliases"},
		{"PATCH", "/instances/nobody.example.com?Blocked=true", "", 404, "Not Found", "Instance not found", ""},
		{"GET", "/instances/nobody.example.com", "", 404, "Not Found", "Instance not found", ""},
		{"GET", "/instances/nobody.example.com/prefix", "", 404, "Not Found", "Instance not found", ""},
		{"DELETE", "/instances/nobody.example.com", "", 404, "Not Found", "Instance not found", ""},
		{"GET", "/instances?page[limit]=many", "", 400, "Bad Request", "page[limit]", "page[limit]"},
		{"GET", "/tenancy/explain", "", 400, "Bad Request", "host", "host"},
		{"GET", "/tenancy/nothing", "", 404, "Not Found", "no such route", ""},
		{"PUT", "/instances", "", 405, "Method Not Allowed", "GET, POST", ""},
		{"POST", "/instances/alice.example.com/fsck", "", 501, "Not Implemented", "fsck", ""},
	} {
		r := a.call(c.method, c.path, c.body)
		var doc struct {
			Errors []struct {
				Status, Title, Detail string
				Source                map[string]string
			}
		}
		if err := json.Unmarshal([]byte(r.body), &doc); err != nil || len(doc.Errors) != 1 {
			t.Errorf("%s %s: %d %q", c.method, c.path, r.status, r.body)
			continue
		}
		e := doc.Errors[0]
		if r.status != c.status || e.Status != fmt.Sprint(c.status) || e.Title != c.title || !strings.Contains(e.Detail, c.detail) || e.Source["parameter"] != c.parameter {
			t.Errorf("%s %.80s %.80s: %d %+v, want %d %s %q parameter %q", c.method, c.path, c.body, r.status, e, c.status, c.title, c.detail, c.parameter)
		}
		if strings.Contains(r.body, "hunter2") {
			t.Errorf("%s repeats a secret: %s", c.path, r.body)
		}
	}
	if r := a.must(200, "GET", "/instances/count", ""); strings.TrimSpace(r.body) != `{"count":1}` {
		t.Errorf("bad input has added something: %s", r.body)
	}
}

func TestModify(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "POST", "/instances", `{"Domain":"alice.example.com","DomainAliases":"a.example.org,b.example.org","DiskQuota":3000000000}`)
	for _, step := range []struct {
		path, body string
		want       map[string]any // nil: the attribute is not there
	}{
		{"?Blocked=true&BlockingReason=PAYMENT_FAILED", "", map[string]any{"blocked": true, "blocking_reason": "PAYMENT_FAILED"}},
		{"", `{"Blocked":false}`, map[string]any{"blocked": nil, "blocking_reason": nil}},
		{"?DiskQuota=0&DomainAliases=&ContextName=beta", "", map[string]any{"disk_quota": "3000000000", "context": "beta", "domain_aliases": []any{"a.example.org", "b.example.org"}}},
		{"?DiskQuota=-1", "", map[string]any{"disk_quota": nil}},
		{"", `{"DiskQuota":"5","FeatureSets":["x","y"],"AutoUpdate":false,"AuthMode":"two_factor_mail"}`, map[string]any{"disk_quota": "5", "feature_sets": []any{"x", "y"}, "no_auto_update": true, "auth_mode": 1.0}},
		{"", `{"DiskQuota":0,"DomainAliases":[],"ContextName":"","AutoUpdate":true,"AuthMode":"basic"}`, map[string]any{"disk_quota": nil, "domain_aliases": nil, "context": nil, "no_auto_update": nil, "auth_mode": nil}},
		{"?DomainAliases=b.example.org,c.example.org&Settings=context:gamma,colour:red,onboarding_finished:true", "", map[string]any{"domain_aliases": []any{"b.example.org", "c.example.org"}, "context": "gamma", "onboarding_finished": true}},
		{"?FromCloudery=true&TOSLatest=1.0.0-20240131", "", map[string]any{"tos_latest": "1.0.0-20240131"}},
	} {
		got := a.must(200, "PATCH", "/instances/alice.example.com"+step.path, step.body).document(t).Data.Attributes
		for name, want := range step.want {
			if fmt.Sprint(got[name]) != fmt.Sprint(want) {
				t.Errorf("after %s%s: %s is %v, want %v", step.path, step.body, name, got[name], want)
			}
		}
		for name := range got {
			if tenancy.Secret(name) {
				t.Errorf("after %s%s: the answer has %s", step.path, step.body, name)
			}
		}
	}
	a.must(200, "GET", "/instances/c.example.org", "") // by an alias
	a.must(404, "GET", "/instances/a.example.org", "")
	a.must(201, "POST", "/instances", `{"Domain":"a.example.org"}`) // an alias that was given up
}

func TestListInPages(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	var want []string
	for i := range 7 {
		domain := fmt.Sprintf("i%d.example.com", i)
		want = append(want, domain)
		a.must(201, "POST", "/instances?Domain="+domain, "")
	}
	type list struct {
		Data  []struct{ Attributes map[string]any }
		Links struct{ Next string }
		Meta  struct{ Count int }
	}
	read := func(path string) (l list) {
		if err := json.Unmarshal([]byte(a.must(200, "GET", path, "").body), &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	for _, limit := range []int{0, 1, 3, 7, 100} {
		var got []string
		path := "/instances"
		if limit > 0 {
			path += fmt.Sprintf("?page[limit]=%d", limit)
		}
		for pages := 0; path != ""; pages++ {
			l := read(path)
			if l.Meta.Count != 7 || limit > 0 && len(l.Data) > limit || pages > 7 {
				t.Fatalf("page %d by %d: %+v", pages, limit, l)
			}
			for _, o := range l.Data {
				got = append(got, o.Attributes["domain"].(string))
			}
			path = l.Links.Next
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %v", limit, got)
		}
	}
	if l := read("/instances?page[skip]=5&page[limit]=10"); len(l.Data) != 2 {
		t.Errorf("after 5 there are %d", len(l.Data))
	}
	empty := newAPI(t)
	if r := empty.must(200, "GET", "/instances", ""); strings.TrimSpace(r.body) != `{"data":[],"links":{},"meta":{"count":0}}` {
		t.Errorf("an empty list: %s", r.body)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	r := a.must(200, "POST", "/instances?Domain=alice.example.com", "", "Accept", "application/x-ndjson")
	lines := strings.Split(strings.TrimSpace(r.body), "\n")
	var last struct {
		Status int
		Body   document
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Status != 201 || last.Body.Data.Attributes["register_token"] == nil {
		t.Errorf("the last line is %s", lines[len(lines)-1])
	}
	if !strings.Contains(r.body, `{"step":"databases","done":16,"total":16}`) {
		t.Errorf("the steps are\n%s", r.body)
	}
	// What is refused before it has begun is refused in its own status.
	a.must(422, "POST", "/instances?Domain=a/b", "", "Accept", "application/x-ndjson")
	r = a.must(200, "DELETE", "/instances/alice.example.com", "", "Accept", "application/x-ndjson")
	if !strings.HasSuffix(strings.TrimSpace(r.body), `{"status":204}`) {
		t.Errorf("the steps of a destroy are\n%s", r.body)
	}
	a.must(404, "GET", "/instances/alice.example.com", "")
}

func TestPassphrase(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	hash, err := bcrypt.GenerateFromPassword([]byte("open sesame"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	a.app.hash = string(hash)
	for credentials, want := range map[string]int{
		"": 401, ":wrong": 401, ":open sesame": 200, "admin:open sesame": 200, ":" + strings.Repeat("x", 100): 401,
	} {
		req, err := http.NewRequest("GET", a.url+"/instances/count", nil)
		if err != nil {
			t.Fatal(err)
		}
		if user, secret, given := strings.Cut(credentials, ":"); given {
			req.SetBasicAuth(user, secret)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || want == 401 && !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("with %q: %d", credentials, resp.StatusCode)
		}
	}
}

// A store that does not answer is a 503 that says so, and no app is one too.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	a := newAPIOn(t, testkit.Cluster(t, couch.Config{URLs: []string{"http://127.0.0.1:1"}}))
	for _, c := range [][2]string{{"POST", "/instances?Domain=alice.example.com"}, {"GET", "/instances"}, {"GET", "/instances/count"}, {"DELETE", "/instances/a.example.com"}} {
		r := a.must(503, c[0], c[1], "")
		if !strings.Contains(r.body, "the store does not answer") || r.header.Get("Retry-After") == "" {
			t.Errorf("%v: %s", c, r.body)
		}
	}
	none := httptest.NewServer(admin.NewHandler(func() admin.App { return nil }, zap.NewNop()))
	defer none.Close()
	if r := (&api{t: t, url: none.URL}).must(503, "GET", "/instances", ""); !strings.Contains(r.body, "no tenancy app") {
		t.Errorf("without an app: %s", r.body)
	}
}
