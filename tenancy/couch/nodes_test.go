package couch

import (
	"net/url"
	"sync"
	"testing"
	"time"
)

// These look at the rotation itself, since what it saves, requests to nodes that
// are down, is hard to tell apart from outside.

func threeNodes() (*nodes, *time.Time) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var urls []*url.URL
	for _, host := range []string{"a", "b", "c"} {
		urls = append(urls, &url.URL{Scheme: "http", Host: host})
	}
	return newNodes(urls, func() time.Time { return now }), &now
}

func hosts(n *nodes) (s string) {
	for _, nd := range n.order() {
		s += nd.url.Host
	}
	return s
}

func TestOrder(t *testing.T) {
	n, now := threeNodes()
	a, b, c := n.list[0], n.list[1], n.list[2]
	step := func(want, what string) {
		t.Helper()
		if got := hosts(n); got != want {
			t.Fatalf("%s: the order is %s, want %s", what, got, want)
		}
	}
	step("abc", "at first")
	n.failed(a)
	step("bca", "a has failed")
	n.alive(b)
	step("bca", "b has answered")
	*now = now.Add(firstBackoff + 1)
	step("bca", "a is due; b goes on")
	n.alive(a)
	step("bca", "a has answered late, and b is well")
	n.failed(b)
	step("cab", "b has failed")
	n.alive(c)
	*now = now.Add(firstBackoff / 2)
	n.failed(c)
	step("abc", "b and c are down, b for longer")
	n.failed(a)
	step("bca", "all are down")
}

// TestFailuresTogetherCountOnce: fifty calls that fail at once are one failure.
func TestFailuresTogetherCountOnce(t *testing.T) {
	n, now := threeNodes()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { n.failed(n.list[0]) })
	}
	all.Wait()
	*now = now.Add(firstBackoff)
	if hosts(n) != "abc" {
		t.Fatalf("still backed off after %s", firstBackoff)
	}
}

// TestBackoffGrows up to its limit, and begins anew after an answer.
func TestBackoffGrows(t *testing.T) {
	n, now := threeNodes()
	a := n.list[0]
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		n.failed(a)
		if got := a.until.Sub(*now); got != want*time.Second {
			t.Fatalf("a back-off of %s, want %d s", got, want)
		}
		*now = a.until
	}
	n.alive(a)
	n.failed(a)
	if got := a.until.Sub(*now); got != firstBackoff {
		t.Fatalf("a back-off of %s after an answer", got)
	}
}
