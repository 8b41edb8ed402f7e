// Tidying: when there is something to be gained.

package directory

import "testing"

// TestWasteful leaves the chunk that grows out of account, as nothing is moved out of it.
func TestWasteful(t *testing.T) {
	t.Parallel()
	const full = 100_000
	for name, c := range map[string]struct {
		chunks []extent // from number 1; the last one grows
		want   bool
	}{
		"nothing":                     {nil, false},
		"one chunk of waste":          {[]extent{{full, 0}}, false},
		"waste in the last chunk":     {[]extent{{full, full}, {full, 0}}, false},
		"waste in another":            {[]extent{{full, full / 2}, {full, full}}, true},
		"a fifth of what is full":     {[]extent{{full, full * 4 / 5}, {full, full}}, false},
		"more than a fifth of it":     {[]extent{{full, full*4/5 - 4}, {full, full}}, true},
		"not worth the work":          {[]extent{{wasteLeast, 0}, {full, full}}, false},
		"a little in each of several": {[]extent{{full, full * 7 / 10}, {full, full * 7 / 10}, {4, 4}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &arena{sizes: append([]extent{{}}, c.chunks...), last: uint32(len(c.chunks))}
			for _, e := range a.sizes {
				a.filled += e.filled
				a.live += e.live
			}
			if got := a.wasteful(); got != c.want {
				t.Errorf("it is %v, want %v", got, c.want)
			}
			if c.want && a.worst() == 0 {
				t.Error("no chunk is the worst")
			}
		})
	}
}
