// Nodes: which nodes a cluster has, which of them answer, and in which order to
// ask them.

package couch

import (
	"net/url"
	"slices"
	"sync"
	"time"
)

// Times of a node's back-off after a failure.
const (
	firstBackoff = time.Second
	maxBackoff   = 30 * time.Second
)

// node is one CouchDB node.
type node struct {
	url      *url.URL
	failures int
	until    time.Time // not to be tried before, unless all are down
}

// nodes are those of one cluster. One of them, the present one, is asked until
// it fails; a node that comes back is not gone back to, since nothing is won by it.
type nodes struct {
	now func() time.Time

	mu   sync.Mutex
	list []*node
	cur  int
}

func newNodes(urls []*url.URL, now func() time.Time) *nodes {
	n := &nodes{now: now}
	for _, u := range urls {
		n.list = append(n.list, &node{url: u})
	}
	return n
}

// order is the nodes to try: the present one, the other live ones, then those
// that failed lately, soonest due first.
func (n *nodes) order() []*node {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	live := make([]*node, 0, len(n.list))
	var dead []*node
	for i := range n.list {
		nd := n.list[(n.cur+i)%len(n.list)]
		if nd.until.After(now) {
			dead = append(dead, nd)
		} else {
			live = append(live, nd)
		}
	}
	slices.SortStableFunc(dead, func(a, b *node) int { return a.until.Compare(b.until) })
	return append(live, dead...)
}

// alive notes an answer. It makes the node the present one only where the present
// one has failed: an answer that was long under way must not bring calls back to
// a node that others have left.
func (n *nodes) alive(nd *node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	nd.failures, nd.until = 0, time.Time{}
	if n.list[n.cur].until.After(n.now()) {
		n.cur = slices.Index(n.list, nd)
	}
}

// failed notes a failure. Calls that fail together count once, else one blink of
// a busy node would be the longest back-off.
func (n *nodes) failed(nd *node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	if nd.until.After(now) {
		return
	}
	nd.until = now.Add(min(firstBackoff<<min(nd.failures, 10), maxBackoff))
	nd.failures++
}
