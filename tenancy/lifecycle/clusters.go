// Clusters: the CouchDB clusters that instances' databases can be on.

package lifecycle

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// Member is one cluster of Clusters.
type Member struct {
	Cluster *couch.Cluster
	Closed  bool // takes no new instances; those that it has go on
}

// Clusters are all of a fleet's clusters by their index, which is the field
// `couch_cluster` of an instance. Index 0 is the main one: it has the instances'
// documents, and their databases unless they are elsewhere.
type Clusters struct {
	members map[int]Member
}

// NewClusters makes the set. There has to be a member 0.
func NewClusters(members map[int]Member) (*Clusters, error) {
	if members[0].Cluster == nil {
		return nil, fmt.Errorf("there is no main cluster (index 0)")
	}
	return &Clusters{members: members}, nil
}

// Main is the cluster with the instances' documents.
func (c *Clusters) Main() *couch.Cluster { return c.members[0].Cluster }

// Of is the cluster with the databases of an instance.
func (c *Clusters) Of(index int) (*couch.Cluster, error) {
	m, ok := c.members[index]
	if !ok {
		return nil, tenancy.Unavailablef("cluster %d, which has the instance's databases, is not in this front door's configuration (it has %s)", index, c.indexes())
	}
	return m.Cluster, nil
}

// choose is the cluster for a new instance: the wanted one, or for -1 one of the
// open ones, by the instance's prefix, which spreads them evenly.
func (c *Clusters) choose(want int, prefix string) (int, error) {
	if want >= 0 {
		if _, ok := c.members[want]; !ok {
			return 0, &tenancy.FieldError{Field: "CouchCluster", Problem: "is not a configured cluster", Allowed: "-1, " + c.indexes()}
		}
		return want, nil
	}
	var open []int
	for index, m := range c.members {
		if !m.Closed {
			open = append(open, index)
		}
	}
	if len(open) == 0 {
		return 0, tenancy.Conflictf("every cluster is closed to new instances")
	}
	slices.Sort(open)
	n, _ := strconv.ParseUint(prefix[len(prefix)-4:], 16, 32) // hexadecimal by construction
	return open[int(n)%len(open)], nil
}

func (c *Clusters) indexes() string {
	var all []int
	for index := range c.members {
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
