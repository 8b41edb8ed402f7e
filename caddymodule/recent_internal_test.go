// Recent: how much is remembered, and what is forgotten first.

package caddymodule

import "testing"

func TestRecent(t *testing.T) {
	const bound = 10
	r := newRecent[int, int](bound)
	for i := range 1000 {
		r.put(i, i*i)
		r.put(i, i) // once more is no more
		if _, ok := r.get(0); !ok {
			t.Fatalf("what is asked for all the time is forgotten after %d others", i)
		}
		if n := len(r.young) + len(r.old); n > bound {
			t.Fatalf("%d keys are remembered", n)
		}
		for j := max(0, i-bound/2+2); j <= i; j++ {
			if v, ok := r.young[j]; ok && v != j {
				t.Fatalf("%d is %d", j, v)
			} else if v, old := r.old[j]; !ok && (!old || v != j) {
				t.Fatalf("%d is forgotten after %d others", j, i-j)
			}
		}
	}
	if v, ok := r.get(1); ok || v != 0 {
		t.Errorf("an old key is still %d", v)
	}
}
