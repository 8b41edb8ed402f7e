// Histogram: the times of many requests, in little memory.

package load

import (
	"math/bits"
	"time"
)

// fine is how many parts each doubling of time has: a quantile is at most 1/32 too low.
const fine = 32

// Histogram counts durations. It is for one goroutine. The zero value is empty.
type Histogram struct {
	counts [64 * fine]int64
	total  int64
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[place(uint64(max(d, 0)))]++
	h.total++
}

// Merge adds the counts of another.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
}

// Quantile is the duration that a part q of all are at or below; 0 where there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	want := int64(q * float64(h.total))
	for i, n := range h.counts {
		if want -= n; want < 0 {
			return floor(i)
		}
	}
	return 0
}

// place is the cell of n: exact below fine, then fine cells for each power of two.
func place(n uint64) int {
	if n < fine {
		return int(n)
	}
	shift := bits.Len64(n) - bits.Len(fine)
	return shift*fine + int(n>>shift)
}

func floor(cell int) time.Duration {
	if cell < 2*fine {
		return time.Duration(cell)
	}
	shift := cell/fine - 1
	return time.Duration(uint64(cell-shift*fine) << shift)
}
