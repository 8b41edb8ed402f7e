// Package recent is a memory of what was last asked for, for what anybody can ask without
// end.
package recent

// Memory remembers the last keys, in two generations: as many as fit into one for sure,
// and at most twice that. A full young one becomes the old one, whose keys are lost unless
// they are asked for meanwhile. Nothing has to be searched to make room. It is for one
// goroutine at a time.
type Memory[K comparable, V any] struct {
	size       int // of a generation
	young, old map[K]V
}

// New makes a memory of at most bound keys.
func New[K comparable, V any](bound int) *Memory[K, V] {
	return &Memory[K, V]{size: max(bound/2, 1), young: map[K]V{}}
}

// Get is what is remembered of a key.
func (r *Memory[K, V]) Get(key K) (v V, ok bool) {
	if v, ok = r.young[key]; ok {
		return v, true
	}
	if v, ok = r.old[key]; ok {
		r.Put(key, v)
	}
	return v, ok
}

// Put remembers a value of a key, in place of another one.
func (r *Memory[K, V]) Put(key K, v V) {
	if _, known := r.young[key]; !known && len(r.young) >= r.size {
		r.young, r.old = map[K]V{}, r.young
	}
	r.young[key] = v
}

// Len is how many keys are remembered, those of both generations twice.
func (r *Memory[K, V]) Len() int { return len(r.young) + len(r.old) }

// Forget forgets a key.
func (r *Memory[K, V]) Forget(key K) {
	delete(r.young, key)
	delete(r.old, key)
}
