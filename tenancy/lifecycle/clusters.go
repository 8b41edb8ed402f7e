// Clusters: the CouchDB clusters that instances' databases can be on.

package lifecycle

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// Member is one cluster of Clusters.
type Member struct {
	Cluster *couch.Cluster
	Closed  bool // takes no new instances; those that it has go on
	// Capacity is how many instances it is to have; 0 for any number. It is compared
	// with others' to find the one with the most room.
	Capacity int
}

// Clusters are all of a fleet's clusters by their index, which is the field
// `couch_cluster` of an instance. Index 0 is the main one: it has the instances'
// documents, and their databases unless they are elsewhere.
//
// It is safe for concurrent use, and can be changed while it is in use.
type Clusters struct {
	members atomic.Pointer[map[int]Member]
}

// NewClusters makes the set. There has to be a member 0.
func NewClusters(members map[int]Member) (*Clusters, error) {
	c := new(Clusters)
	if err := c.Replace(members); err != nil {
		return nil, err
	}
	return c, nil
}

// Replace makes the set another one from now on. The main cluster has to stay.
func (c *Clusters) Replace(members map[int]Member) error {
	before := c.members.Load()
	switch {
	case members[0].Cluster == nil:
		return fmt.Errorf("there is no main cluster (index 0)")
	case before != nil && (*before)[0].Cluster != members[0].Cluster:
		return fmt.Errorf("the main cluster (index 0) cannot be replaced")
	}
	copied := maps.Clone(members)
	c.members.Store(&copied)
	return nil
}

func (c *Clusters) all() map[int]Member { return *c.members.Load() }

// Main is the cluster with the instances' documents.
func (c *Clusters) Main() *couch.Cluster { return c.all()[0].Cluster }

// Of is the cluster with the databases of an instance.
func (c *Clusters) Of(index int) (*couch.Cluster, error) {
	m, ok := c.all()[index]
	if !ok {
		return nil, tenancy.Unavailablef("cluster %d, which has the instance's databases, is not in this front door's configuration (it has %s)", index, c.indexes())
	}
	return m.Cluster, nil
}

// choose is the cluster for a new instance: the wanted one, or for -1 the open one
// that has the largest part of its capacity free. load is how many instances a
// cluster has. Of equal ones the instance's prefix decides, which spreads them.
func (c *Clusters) choose(want int, prefix string, load func(cluster int) int) (int, error) {
	if want >= 0 {
		if _, ok := c.all()[want]; !ok {
			return 0, &tenancy.FieldError{Field: "CouchCluster", Problem: "is not a configured cluster", Allowed: "-1, " + c.indexes()}
		}
		return want, nil
	}
	most := 0
	for _, m := range c.all() {
		most = max(most, m.Capacity)
	}
	var open []int
	least, full := math.Inf(1), false
	for index, m := range c.all() {
		if m.Closed {
			continue
		}
		n := load(index)
		if m.Capacity > 0 && n >= m.Capacity {
			full = true
			continue
		}
		// One without a capacity counts as large as the largest.
		used := float64(n) / float64(cmp.Or(m.Capacity, most, 1))
		switch {
		case used < least:
			least, open = used, []int{index}
		case used == least:
			open = append(open, index)
		}
	}
	switch {
	case len(open) == 0 && full:
		return 0, tenancy.Conflictf("every cluster that is open to new instances has as many as its capacity")
	case len(open) == 0:
		return 0, tenancy.Conflictf("every cluster is closed to new instances")
	}
	slices.Sort(open)
	n, _ := strconv.ParseUint(prefix[len(prefix)-4:], 16, 32) // hexadecimal by construction
	return open[int(n)%len(open)], nil
}

func (c *Clusters) indexes() string {
	var all []int
	for index := range c.all() {
		all = append(all, index)
	}
	slices.Sort(all)
	var b strings.Builder
	for i, index := range all {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Itoa(index))
	}
	return b.String()
}
