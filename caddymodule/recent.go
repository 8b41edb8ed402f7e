// Recent: a memory of what was last asked for, for what anybody can ask without end.

package caddymodule

// recent remembers the last keys, in two generations: as many as fit into one for sure,
// and at most twice that. A full young one becomes the old one, whose keys are lost unless
// they are asked for meanwhile. Nothing has to be searched to make room. It is for one
// goroutine at a time.
type recent[K comparable, V any] struct {
	size       int // of a generation
	young, old map[K]V
}

// newRecent makes a memory of at most bound keys.
func newRecent[K comparable, V any](bound int) *recent[K, V] {
	return &recent[K, V]{size: max(bound/2, 1), young: map[K]V{}}
}

func (r *recent[K, V]) get(key K) (v V, ok bool) {
	if v, ok = r.young[key]; ok {
		return v, true
	}
	if v, ok = r.old[key]; ok {
		r.put(key, v)
	}
	return v, ok
}

func (r *recent[K, V]) put(key K, v V) {
	if _, known := r.young[key]; !known && len(r.young) >= r.size {
		r.young, r.old = map[K]V{}, r.young
	}
	r.young[key] = v
}
