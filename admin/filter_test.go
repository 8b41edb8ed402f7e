// Filters and orders of lists.

package admin_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// domains reads a list, page by page, to its end.
func (a *api) domains(query url.Values) (all []string) {
	a.t.Helper()
	path := "/instances?" + query.Encode()
	for pages := 0; path != ""; pages++ {
		var l struct {
			Data  []struct{ Attributes map[string]any }
			Links struct{ Next string }
		}
		if err := json.Unmarshal([]byte(a.must(200, "GET", path, "").body), &l); err != nil || pages > 50 {
			a.t.Fatalf("page %d of %s (%v)", pages, path, err)
		}
		for _, o := range l.Data {
			all = append(all, o.Attributes["domain"].(string))
		}
		path = l.Links.Next
	}
	return all
}

func TestFilterAndSort(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	for _, body := range []string{
		`{"Domain":"a.example.com","Locale":"fr","ContextName":"x"}`,
		`{"Domain":"b.example.com","Locale":"en","ContextName":"x","OnboardingFinished":true}`,
		`{"Domain":"c.example.org","Locale":"en","Blocked":true,"BlockingReason":"PAYMENT_FAILED"}`,
		`{"Domain":"d.example.org","Locale":"fr","ContextName":"y","Blocked":true}`,
		`{"Domain":"é.example.org","Locale":"de"}`,
	} {
		a.must(201, "POST", "/instances", body)
	}
	for _, c := range []struct{ query, want string }{
		{"sort=domain", "a.example.com b.example.com c.example.org d.example.org é.example.org"},
		{"sort=-domain", "é.example.org d.example.org c.example.org b.example.com a.example.com"},
		{"filter[state]=blocked&sort=domain", "c.example.org d.example.org"},
		{"filter[state]=active&sort=domain", "a.example.com b.example.com é.example.org"},
		{"filter[state]=deleting", ""},
		{"filter[context]=x&sort=-domain", "b.example.com a.example.com"},
		{"filter[context]=&sort=domain", "c.example.org é.example.org"},
		{"filter[reason]=PAYMENT_FAILED", "c.example.org"},
		{"filter[reason]=UNKNOWN", "d.example.org"},
		{"filter[domain]=*.Example.ORG&filter[locale]=en", "c.example.org"},
		{"filter[domain]=é.*", "é.example.org"},
		{"filter[domain]=xn--*", "é.example.org"},
		{"filter[onboarded]=true", "b.example.com"},
		{"filter[onboarded]=false&filter[context]=x", "a.example.com"},
		{"filter[cluster]=0&filter[locale]=de", "é.example.org"},
		{"filter[cluster]=1", ""},
	} {
		query, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Fields(c.want)
		for _, limit := range []string{"", "1", "2", "5"} {
			query.Del("page[limit]")
			if limit != "" {
				query.Set("page[limit]", limit)
			}
			if got := a.domains(query); !slices.Equal(got, want) {
				t.Errorf("%s by %q: %q, want %q", c.query, limit, got, want)
			}
		}
	}
	for _, field := range []string{"context", "locale", "state", "cluster", "-context", "-state"} {
		for _, limit := range []string{"1", "3"} {
			if got := a.domains(url.Values{"sort": {field}, "page[limit]": {limit}}); len(got) != 5 {
				t.Errorf("by %s in pages of %s: %q", field, limit, got)
			}
		}
	}
	if got := a.domains(url.Values{"sort": {"domain"}, "page[skip]": {"3"}}); !slices.Equal(got, []string{"d.example.org", "é.example.org"}) {
		t.Errorf("after three: %q", got)
	}
	for _, bad := range []string{
		"sort=colour", "filter[colour]=red", "filter[state]=asleep", "filter[cluster]=x", "filter[onboarded]=perhaps", "filter[domain]=[",
		"filter[domain]=", "filter[state]=active&filter[state]=blocked", "sort=domain&page[cursor]=!",
	} {
		a.must(400, "GET", "/instances?"+bad, "")
	}
	contains(t, "ls", a.cli(0, "ls", "--filter", "state=blocked,locale=en").out, "c.example.org")
	if r := a.cli(0, "ls", "--sort", "-domain", "--fields", "domain", "--limit", "2"); r.out != "é.example.org\nd.example.org\n" {
		t.Errorf("ls --sort: %q", r.out)
	}
	a.cli(2, "ls", "--sort", "colour")
	a.cli(2, "ls", "--filter", "state")
	a.cli(2, "ls", "--filter", "state=blocked,state=active")
}

// TestStaleDirectory: a filter holds for the document, not for what the directory
// still thinks of it; what is gone is left out.
func TestStaleDirectory(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	var ids []string
	for _, name := range []string{"a", "b", "c"} {
		ids = append(ids, a.must(201, "POST", "/instances", `{"Domain":"`+name+`.example.com"}`).document(t).Data.ID)
	}
	known, err := tenancy.ParseInstance([]byte(`{"_id":"` + ids[1] + `","_rev":"9-9","domain":"b.example.com","prefix":"x","blocked":true}`))
	if err != nil {
		t.Fatal(err)
	}
	a.app.dir.Apply(known)
	gone, err := tenancy.ParseInstance([]byte(`{"_id":"0123","_rev":"1-1","domain":"gone.example.com","prefix":"y","blocked":true}`))
	if err != nil {
		t.Fatal(err)
	}
	a.app.dir.Apply(gone)
	if got := a.domains(url.Values{"filter[state]": {"blocked"}}); len(got) != 0 {
		t.Errorf("blocked are %q", got)
	}
	if got := a.domains(url.Values{"sort": {"domain"}, "page[limit]": {"1"}}); !slices.Equal(got, []string{"a.example.com", "b.example.com", "c.example.com"}) {
		t.Errorf("all are %q", got)
	}
}
