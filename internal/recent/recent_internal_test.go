// Recent: how much is remembered, and what is forgotten first.

package recent

import "testing"

func TestRecent(t *testing.T) {
	const bound = 10
	r := New[int, int](bound)
	for i := range 1000 {
		r.Put(i, i*i)
		r.Put(i, i) // once more is no more
		if _, ok := r.Get(0); !ok {
			t.Fatalf("what is asked for all the time is forgotten after %d others", i)
		}
		if n := r.Len(); n > bound {
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
	if v, ok := r.Get(1); ok || v != 0 {
		t.Errorf("an old key is still %d", v)
	}
	r.Put(1, 7)
	for _, key := range []int{1, 0} { // young, and perhaps old
		if r.Forget(key); r.Len() > bound {
			t.Fatal("it has grown")
		}
		if _, ok := r.Get(key); ok {
			t.Errorf("%d is remembered", key)
		}
	}
}
