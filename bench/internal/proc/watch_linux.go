// Watch: the peak of a process's own memory.

package proc

import (
	"fmt"
	"os"
	"time"
)

// watchEvery is how often memory is looked at. A second copy of a large directory takes
// far longer to make.
const watchEvery = 5 * time.Millisecond

// Memory is what a process has resident of its own, in bytes: without files that are
// mapped, as that of the embedded store (proc(5), RssAnon).
func Memory(pid int) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return kilobytes(raw, "RssAnon:")
}

// Watch looks at a process's Memory until stop is called, which gives the most that there
// was. It ends with the process.
func Watch(pid int) (stop func() int64) {
	end, most := make(chan struct{}), make(chan int64)
	go func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		var peak int64
		for {
			if now, err := Memory(pid); err == nil { // else it has ended
				peak = max(peak, now)
			}
			select {
			case <-tick.C:
			case <-end:
				most <- peak
				return
			}
		}
	}()
	return func() int64 {
		close(end)
		return <-most
	}
}
