// The API of a front door under test, on Caddy's admin endpoint: much faster than its command.

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// in is the same front door for a subtest, which must not start or end it.
func (d *door) in(t testing.TB) *door {
	other := *d
	other.t = t
	return &other
}

// call asks the API. The body is JSON that is made of it; nil for none.
func (d *door) call(method, path string, body any, headers ...string) (answer, error) {
	text := ""
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		text = string(raw)
		headers = append(headers, "Content-Type", "application/json")
	}
	return send(plain, method, fmt.Sprintf("http://localhost:%d%s", d.admin, path), "", text, headers...)
}

// api is call for what has to be answered with a status.
func (d *door) api(status int, method, path string, body any, headers ...string) answer {
	d.t.Helper()
	a, err := d.call(method, path, body, headers...)
	if err != nil || a.status != status {
		d.t.Fatalf("%s %s answers %d, want %d (%v): %s", method, path, a.status, status, err, a.body)
	}
	return a
}

// params are parameters of the API.
type params map[string]any

// add adds an instance, with further parameters.
func (d *door) add(domain string, more params) {
	d.t.Helper()
	all := params{"Domain": domain}
	for name, v := range more {
		all[name] = v
	}
	d.api(http.StatusCreated, http.MethodPost, "/instances", all)
}

// modify changes an instance.
func (d *door) modify(domain string, change params) {
	d.t.Helper()
	d.api(http.StatusOK, http.MethodPatch, "/instances/"+domain, change)
}

// decode reads JSON that has to be some.
func decode[T any](t testing.TB, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// listOf reads an answer with a list of objects.
func (d *door) listOf(path string) []map[string]any {
	d.t.Helper()
	return decode[struct{ Data []map[string]any }](d.t, d.api(http.StatusOK, http.MethodGet, path, nil).body).Data
}

type status struct {
	Directory struct {
		State      string  `json:"state"`
		Ready      bool    `json:"ready"`
		Instances  int     `json:"instances"`
		Loads      int     `json:"loads"`
		AgeSeconds float64 `json:"age_seconds"`
	} `json:"directory"`
}

func (d *door) status() (s status) {
	d.t.Helper()
	return decode[status](d.t, d.api(http.StatusOK, http.MethodGet, "/tenancy/status", nil).body)
}

// step is a line of a long change's progress.
type step struct {
	Step        string
	Done, Total int
	Status      int
}

// follow makes a long change and gives each of its steps to fn as it comes. The status
// is 0 where the front door has gone before the end.
func (d *door) follow(method, path string, body any, fn func(step)) (status int) {
	raw, err := json.Marshal(body)
	if err != nil {
		d.t.Error(err)
		return 0
	}
	req, err := http.NewRequest(method, fmt.Sprintf("http://localhost:%d%s", d.admin, path), bytes.NewReader(raw))
	if err != nil {
		d.t.Error(err)
		return 0
	}
	req.Header.Set("Accept", "application/x-ndjson")
	req.Header.Set("Content-Type", "application/json")
	resp, err := plain.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		var s step
		if json.Unmarshal(lines.Bytes(), &s) != nil {
			break
		}
		if s.Status != 0 {
			return s.Status
		}
		fn(s)
	}
	return 0
}

// says tells which of some texts an output has not got.
func says(t testing.TB, what, output string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(output, text) {
			t.Errorf("%s: there is no %q in\n%s", what, text, output)
		}
	}
}

// keeps tells which of some secrets an output has.
func keeps(t testing.TB, what, output string, secrets ...string) {
	t.Helper()
	for i, secret := range secrets {
		if secret == "" || strings.Contains(output, secret) {
			t.Errorf("%s: secret %d is in it", what, i)
		}
	}
}
