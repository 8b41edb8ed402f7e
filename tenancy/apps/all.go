// All: several apps at a time.

package apps

import (
	"context"
	"sync"
)

// Result is what became of one app.
type Result struct {
	Source    Source
	Installed *Installed // nil where there is an error
	Err       error      // an *Error, or nil
}

// InstallAll installs several apps, Limits.Parallel of them at a time, and gives
// the results in the order of the sources. One that fails does not hold up the
// others. progress may be nil; it is called by one goroutine at a time.
func (in *Installer) InstallAll(ctx context.Context, target Target, sources []Source, progress func(source Source, done, total int64)) []Result {
	results := make([]Result, len(sources))
	var group sync.WaitGroup
	var telling sync.Mutex
	for i, source := range sources {
		var tell func(done, total int64)
		if progress != nil {
			tell = func(done, total int64) {
				telling.Lock()
				defer telling.Unlock()
				progress(source, done, total)
			}
		}
		group.Go(func() {
			installed, err := in.Install(ctx, target, source, tell)
			results[i] = Result{Source: source, Installed: installed, Err: err}
		})
	}
	group.Wait()
	return results
}
