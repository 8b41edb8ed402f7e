// Long lists: the memory that they take.

package admin_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// heap is how much of the heap is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestLongListMemory: a list of 100,000 goes through the command in memory that
// does not grow with it.
func TestLongListMemory(t *testing.T) {
	const count = 100_000
	var given, most atomic.Int64
	before := heap()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := bufio.NewWriter(w)
		fmt.Fprint(out, `{"data":[`)
		for i := range count {
			if i > 0 {
				fmt.Fprint(out, ",")
			}
			fmt.Fprintf(out, `{"type":"instances","id":"%032d","attributes":{"domain":"i%d.example.com","locale":"fr","prefix":"cozy%032d"}}`, i, i, i)
			given.Add(1)
			if i%20_000 == 19_999 {
				_ = out.Flush()
				most.Store(max(most.Load(), int64(heap())-int64(before)))
			}
		}
		fmt.Fprint(out, `],"links":{},"meta":{"count":100000}}`)
		_ = out.Flush()
	}))
	defer server.Close()
	if err := newDiscarding(server.URL, "ls").ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if mib := most.Load() >> 20; given.Load() != count || mib > 16 {
		t.Errorf("%d were listed, and %d MiB are in use", given.Load(), mib)
	}
}

// TestLongServerMemory: the answer with many instances, in an order, takes
// little more than what the directory has anyway.
func TestLongServerMemory(t *testing.T) {
	const count = 10_000
	a := newAPI(t)
	if err := a.app.cycle.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	filler := strings.Repeat("x", 500)
	for at := 0; at < count; at += 1000 {
		docs := make([]any, 0, 1000)
		for i := range 1000 {
			id := fmt.Sprintf("%032d", at+i)
			raw := fmt.Sprintf(`{"_id":"%s","domain":"i%05d.example.com","prefix":"cozy%s","filler":"%s"}`, id, count-at-i, id, filler)
			docs = append(docs, json.RawMessage(raw))
			inst, err := tenancy.ParseInstance([]byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			inst.Set("_rev", "1-0")
			a.app.dir.Apply(inst)
		}
		if _, err := a.app.cluster.Bulk(t.Context(), provision.InstancesDB, docs); err != nil {
			t.Fatal(err)
		}
	}
	before, last, most := heap(), "", int64(0)
	req, err := http.NewRequestWithContext(t.Context(), "GET", a.url+"/instances?sort=domain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in, seen := bufio.NewReader(resp.Body), 0
	for {
		part, err := in.ReadString('}')
		if i := strings.Index(part, `"domain":"`); i >= 0 {
			domain := part[i+10 : i+28]
			if domain <= last {
				t.Fatalf("%s comes after %s", domain, last)
			}
			last = domain
			if seen++; seen%2500 == 0 {
				most = max(most, int64(heap())-int64(before))
			}
		}
		if err != nil {
			break
		}
	}
	if mib := most >> 20; seen != count || mib > 5 { // the documents are 7 MiB
		t.Errorf("%d were listed, and %d MiB are in use", seen, mib)
	}
}
