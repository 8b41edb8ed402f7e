// Clusters: the databases of instances on several of them, and what an import from a
// table puts where.

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
)

// databases are those of instances on a server.
func (s couchServer) databases() (names []string) {
	s.t.Helper()
	resp, err := http.Get(s.url + "/_all_dbs")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var all []string
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		s.t.Fatal(err)
	}
	for _, name := range all {
		if strings.HasPrefix(name, "cozy") {
			names = append(names, name)
		}
	}
	return names
}

// cluster is the number of the cluster that a record names.
func cluster(record map[string]any) int {
	n, _ := record["couch_cluster"].(float64)
	return int(n)
}

// TestClusters: new instances go where the largest part of the capacity is free, or where
// they are told to; never to a closed cluster, whose own go on.
func TestClusters(t *testing.T) {
	t.Parallel()
	servers := make([]couchServer, 3)
	for i := range servers {
		servers[i] = couchServer{t, testkit.PouchDB(t).URL()}
	}
	lines := func(closed string) string {
		return fmt.Sprintf("store couchdb %s\n\t\tcluster 0 {\n\t\t\tcapacity 4\n\t\t}\n\t\tcluster 1 %s %s {\n\t\t\tcapacity 2\n\t\t}\n\t\tcluster 2 %s closed", servers[0].url, servers[1].url, closed, servers[2].url)
	}
	d := newDoor(t, lines(""))
	d.startReady()

	const table = "\ufeffDomain,Locale,DomainAliases,Settings,Blocked,BlockingReason,DiskQuota\n" +
		"a.localhost,fr,\"a1.localhost,a2.localhost\",\"offer:premium,note:\"\"x\"\"\",,,\n" +
		"b.localhost,,,,true,PAYMENT_FAILED,2000000000\n" +
		"c.localhost,de,,,,,\n"
	d.write("fleet.csv", table)
	out := d.run("instances", "import", "fleet.csv", "--concurrency", "1")
	says(t, "import of a table", out, "3 added, 0 modified, 0 unchanged, 0 failed")
	stdout, stderr, code := d.tryWith("Domain,Locale\nc.localhost,it\nbad host,fr\n", "instances", "import", "-", "--format", "csv", "--json")
	if code != 1 {
		t.Errorf("import of standard input exits with %d: %s%s", code, stdout, stderr)
	}
	says(t, "import of standard input", stdout, `"domain":"c.localhost","outcome":"modified"`, `"line":3`, `"outcome":"failed"`, `"summary":{"failed":1,"modified":1}`)

	a, b, c := servers[0].record("a.localhost"), servers[0].record("b.localhost"), servers[0].record("c.localhost")
	if a["locale"] != "fr" || fmt.Sprint(a["domain_aliases"]) != "[a1.localhost a2.localhost]" ||
		b["blocked"] != true || b["blocking_reason"] != "PAYMENT_FAILED" || b["disk_quota"] != "2000000000" || c["locale"] != "it" {
		t.Errorf("the records are\n%v\n%v\n%v", a, b, c)
	}
	used := map[int]int{}
	for _, record := range []map[string]any{a, b, c} {
		n := cluster(record)
		used[n]++
		settings := servers[n].doc(tenancyPrefix(t, record["domain"].(string))+"/io-cozy-settings", "io.cozy.settings.instance")
		if settings == nil || record["domain"] == "a.localhost" && settings["offer"] != "premium" {
			t.Errorf("the settings of %s on cluster %d are %v", record["domain"], n, settings)
		}
	}
	// 4 and 2 free, then 3 and 2, then 3 and 1, or the other way round where equal.
	if used[0] != 2 || used[1] != 1 || len(servers[0].databases()) != 2*16 || len(servers[1].databases()) != 16 || len(servers[2].databases()) != 0 {
		t.Errorf("instances by cluster: %v; databases: %d, %d, %d", used, len(servers[0].databases()), len(servers[1].databases()), len(servers[2].databases()))
	}
	if a, err := d.call(http.MethodPost, "/instances", params{"Domain": "d.localhost", "CouchCluster": 7}); err != nil || a.status != 422 && a.status != 400 {
		t.Errorf("a cluster that is not there: %d %s (%v)", a.status, a.body, err)
	}
	d.add("d.localhost", params{"CouchCluster": 2}) // whoever names it may

	d.store = lines("closed")
	d.configure("")
	d.run("reload", "--config", "Caddyfile", "--address", fmt.Sprintf("localhost:%d", d.admin))
	d.add("e.localhost", nil)
	if n := cluster(servers[0].record("e.localhost")); n != 0 {
		t.Errorf("with the others closed an instance is on cluster %d", n)
	}
	for _, host := range []string{"a.localhost", "d.localhost", "e.localhost"} {
		d.answers(host, 200)
	}
	says(t, "check", d.run("instances", "check"), ": 0 found, 0 mended")
	for _, host := range []string{"a", "b", "c", "d", "e"} {
		d.api(http.StatusNoContent, http.MethodDelete, "/instances/"+host+".localhost", nil)
	}
	for n, s := range servers {
		if left := s.databases(); len(left) != 0 {
			t.Errorf("on cluster %d is left %q", n, left)
		}
	}
}

// orphans are databases of nobody, which nothing drops on a guess.
func orphans(t *testing.T, w *two) {
	const db = "cozy0123456789abcdef0123456789abcdef/io-cozy-files"
	if !strings.HasPrefix(db, tenancyPrefix(t, "alice.localhost")[:4]) {
		t.Fatalf("%s does not look like a database of an instance", db)
	}
	w.server.change(http.MethodPut, db, "", "")
	out, _, code := w.one.try("instances", "check")
	if code != 1 {
		t.Errorf("check exits with %d", code)
	}
	says(t, "check", out, "databases_without_record", db[:strings.Index(db, "/")])
	for _, args := range [][]string{{"instances", "repair"}, {"instances", "repair", "--drop-orphans", "--dry-run"}, {"instances", "repair", "--drop-orphans"}} {
		out, stderr, code := w.other.try(args...)
		if code != 1 {
			t.Errorf("%q exits with %d: %s%s", args, code, out, stderr)
		}
		if len(args) == 3 && args[2] == "--drop-orphans" { // this server does not tell when it made a database
			says(t, "repair", out+stderr, "drop it by hand")
		}
		if resp, err := http.Get(w.server.url + "/" + url.PathEscape(db)); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%q: the database answers %v (%v)", args, resp, err)
		} else {
			resp.Body.Close()
		}
	}
	w.server.change(http.MethodDelete, db, "", "")
	says(t, "check", w.one.run("instances", "check"), ": 0 found, 0 mended")
}
