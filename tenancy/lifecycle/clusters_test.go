// Clusters: where a new instance goes, and what of it is there.

package lifecycle_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// spread opens a front door with clusters beside that of the fleet, which is the first of
// members and gets its cluster filled in, as the others do.
func (f *fleet) spread(t testing.TB, members []lifecycle.Member, loads []int) (*door, []*couch.Cluster) {
	t.Helper()
	o, d := f.options(t)
	all, clusters := map[int]lifecycle.Member{}, []*couch.Cluster{}
	for i, m := range members {
		if m.Cluster = d.cluster; i > 0 {
			m.Cluster = embeddedFleet(t).store
		}
		all[i], clusters = m, append(clusters, m.Cluster)
	}
	set, err := lifecycle.NewClusters(all)
	if err != nil {
		t.Fatal(err)
	}
	o.Clusters, o.Load = set, func(cluster int) int { return loads[cluster] }
	d.Service = lifecycle.New(o)
	return d, clusters
}

// TestClusterChoice: the open cluster with the largest part of its capacity free.
func TestClusterChoice(t *testing.T) {
	t.Parallel()
	type m = lifecycle.Member
	for what, c := range map[string]struct {
		members []m
		loads   []int
		ask     *int
		want    int    // -1 for a refusal
		says    string // what it says then
	}{
		"the emptier one":                         {members: []m{{}, {}}, loads: []int{5, 3}, want: 1},
		"the emptier one is the main one":         {members: []m{{}, {}}, loads: []int{2, 3}, want: 0},
		"by the part of the capacity":             {members: []m{{Capacity: 10}, {Capacity: 100}}, loads: []int{4, 50}, want: 0},
		"by the part, of three":                   {members: []m{{Capacity: 10}, {Capacity: 100}, {Capacity: 1000}}, loads: []int{4, 50, 300}, want: 2},
		"without a capacity, as large as largest": {members: []m{{}, {Capacity: 100}}, loads: []int{30, 20}, want: 1},
		"without one, and emptier":                {members: []m{{}, {Capacity: 100}}, loads: []int{10, 20}, want: 0},
		"not the closed one":                      {members: []m{{Closed: true}, {}}, loads: []int{0, 1000}, want: 1},
		"not the full one":                        {members: []m{{Capacity: 3}, {Capacity: 1000}}, loads: []int{3, 999}, want: 1},
		"nor one that is more than full":          {members: []m{{Capacity: 3}, {Capacity: 1000}}, loads: []int{7, 999}, want: 1},
		"all closed":                              {members: []m{{Closed: true}, {Closed: true}}, loads: []int{0, 0}, want: -1, says: "closed"},
		"all full":                                {members: []m{{Capacity: 1}, {Capacity: 2}}, loads: []int{1, 2}, want: -1, says: "capacity"},
		"one closed, one full":                    {members: []m{{Closed: true}, {Capacity: 2}}, loads: []int{0, 2}, want: -1, says: "capacity"},
		"asked for":                               {members: []m{{}, {}}, loads: []int{0, 9}, ask: ptr(1), want: 1},
		"asked for and closed":                    {members: []m{{}, {Closed: true}}, loads: []int{0, 9}, ask: ptr(1), want: 1},
		"asked for and full":                      {members: []m{{}, {Capacity: 9}}, loads: []int{0, 9}, ask: ptr(1), want: 1},
		"asked for as -1":                         {members: []m{{}, {}}, loads: []int{5, 3}, ask: ptr(-1), want: 1},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, clusters := embeddedFleet(t).spread(t, c.members, c.loads)
			inst, err := d.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{CouchCluster: c.ask}, nil)
			if c.want < 0 {
				is(t, err, tenancy.ErrConflict, "an add without room")
				if !strings.Contains(err.Error(), c.says) {
					t.Errorf("it does not say why: %v", err)
				}
				return
			}
			if err != nil || inst.Cluster() != c.want || inst.Has("couch_cluster") != (c.want != 0) {
				t.Fatalf("it is on %v (%v), want %d", inst, err, c.want)
			}
			for i, cluster := range clusters {
				names, err := cluster.ListDBs(t.Context(), "cozy")
				if want := map[bool]int{true: len(provision.Doctypes)}[i == c.want]; err != nil || len(names) != want {
					t.Errorf("cluster %d has %d databases (%v), want %d", i, len(names), err, want)
				}
			}
		})
	}
}

// TestClusterSpread: of equal clusters the prefix decides, and each gets some.
func TestClusterSpread(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d, _ := f.spread(t, []lifecycle.Member{{}, {}, {Closed: true}, {}}, []int{7, 7, 0, 7})
	open, got := []int{0, 1, 3}, map[int]int{}
	for i := range 18 {
		inst := d.add(t, fmt.Sprintf("u%d.example.com", i), lifecycle.Change{})
		got[inst.Cluster()]++
		prefix := inst.Prefix()
		n, err := strconv.ParseUint(prefix[len(prefix)-4:], 16, 32)
		if err != nil || inst.Cluster() != open[n%3] {
			t.Errorf("%s is on %d (%v)", prefix, inst.Cluster(), err)
		}
	}
	for _, index := range open {
		if got[index] == 0 || got[2] != 0 {
			t.Errorf("the instances are on %v", got)
		}
	}
}

// TestClusterElsewhere: all verbs find an instance's databases where they are, and a
// cluster that is not configured is told of, with nothing touched.
func TestClusterElsewhere(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d, clusters := f.spread(t, []lifecycle.Member{{}, {}}, []int{0, 0})
	plain := f.door(t) // has the main cluster alone
	inst := d.add(t, "alice.example.com", lifecycle.Change{CouchCluster: ptr(1), Email: ptr("a@b.c")})
	if _, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Email: ptr("b@b.c")}); err != nil {
		t.Fatal(err)
	}
	raw, err := clusters[1].Get(t.Context(), provision.DatabaseName(inst.Prefix(), "io.cozy.settings"), provision.SettingsID)
	if err != nil || !strings.Contains(string(raw), "b@b.c") {
		t.Errorf("the settings are %s (%v)", raw, err)
	}
	f.finds(t, d)
	if _, err := clusters[1].DestroyDB(t.Context(), provision.DatabaseName(inst.Prefix(), "io.cozy.jobs")); err != nil {
		t.Fatal(err)
	}
	f.mends(t, d, lifecycle.FoundNoDatabases)

	is(t, plain.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrUnavailable, "a destroy without the cluster")
	_, err = plain.Modify(t.Context(), "alice.example.com", lifecycle.Change{Email: ptr("c@b.c"), Locale: ptr("fr")})
	is(t, err, tenancy.ErrUnavailable, "settings without the cluster")
	if now := f.records(t)[inst.ID()]; now.State() != tenancy.Active || now.Locale() != "en" {
		t.Errorf("the record is %v", now.Attributes())
	}
	f.stays(t, plain, lifecycle.FoundNoDatabases)
	_, err = plain.Add(t.Context(), domain(t, "bob.example.com"), lifecycle.Change{CouchCluster: ptr(1)}, nil)
	if field, ok := errorsAs[*tenancy.FieldError](err); !ok || field.Field != "CouchCluster" {
		t.Errorf("an add on a cluster that is not there: %v", err)
	}

	orphan := provision.DatabaseName(domain(t, "gone.example.com").Prefix(), "io.cozy.files")
	if _, err := clusters[1].CreateDB(t.Context(), orphan); err != nil {
		t.Fatal(err)
	}
	if found := f.findings(t, d, lifecycle.RepairOptions{DryRun: true}); len(found) != 1 || found[0].Kind != lifecycle.FoundOrphans || !strings.Contains(found[0].What, "cluster 1") {
		t.Errorf("found %+v", found)
	}
	if err := d.Destroy(t.Context(), "alice.example.com", nil); err != nil {
		t.Fatal(err)
	}
	names, err := clusters[1].ListDBs(t.Context(), "")
	if err != nil || len(names) != 1 || names[0] != orphan {
		t.Errorf("left are %q (%v)", names, err)
	}
}
