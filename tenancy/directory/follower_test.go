// The follower against a feed without a database, on a clock of the test's own.

package directory_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// follow starts a directory, and stops it at the end of the test.
func follow(t *testing.T, opts directory.Options) (*directory.Directory, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	opts.Logger = zap.New(core)
	if opts.Rand == nil {
		opts.Rand = func() float64 { return 0.5 }
	}
	d := directory.New(opts)
	d.Start()
	t.Cleanup(func() { stop(t, d) })
	synctest.Wait()
	return d, logs
}

func stop(t *testing.T, d *directory.Directory) {
	t.Helper()
	if err := d.Stop(context.Background()); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// elapse lets time go by, and everything happen that does then.
func elapse(length time.Duration) {
	<-time.After(length)
	synctest.Wait()
}

func serves(t *testing.T, d *directory.Directory, want map[string]string) {
	t.Helper()
	for host, id := range want {
		got := "nobody"
		if m, ok := d.Resolve(host, directory.Nested); ok {
			got = m.Entry.ID()
		}
		if got != id {
			t.Errorf("%s is of %s, want %s", host, got, id)
		}
	}
}

func wantState(t *testing.T, d *directory.Directory, want directory.State) directory.Status {
	t.Helper()
	status := d.Status()
	if status.State != want {
		t.Errorf("the state is %s, want %s: %+v", status.State, want, status)
	}
	return status
}

func isReady(d *directory.Directory) bool {
	select {
	case <-d.Ready():
		return true
	default:
		return false
	}
}

var errDown = &couch.Error{Op: "changes", Database: "global/instances", Status: http.StatusBadGateway, Err: errors.New("connection refused")}

func TestLoadsAllBeforeItServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		docs := make([]*tenancy.Instance, 2*couch.PageSize)
		for i := range docs {
			docs[i] = fleetDoc(i, 1)
		}
		f := newFeed(docs...)
		f.add(couch.Change{ID: "_design/domain-and-aliases", Rev: "1-a", Doc: []byte(`{"domain":"design.test"}`)})
		f.delete("dead", "2-a")
		var half []bool
		var d *directory.Directory
		started := make(chan struct{})
		f.page = func() {
			<-started
			half = append(half, isReady(d), d.Status().Ready)
			if v := d.Decide(fleetName(0), directory.Nested); len(half) <= 4 && v.Code != tenancy.CodeNotReady {
				t.Errorf("half a directory says %+v", v)
			}
		}
		d = directory.New(directory.Options{Cluster: f})
		d.Start()
		close(started)
		defer stop(t, d)
		synctest.Wait()
		if want := make([]bool, 6); !slices.Equal(half, want) {
			t.Errorf("ready during the pages: %v", half)
		}
		if !isReady(d) {
			t.Fatal("it is not ready in the end")
		}
		status := wantState(t, d, directory.Following)
		if status.Instances != len(docs) || status.Hosts != len(docs) || status.Loads != 1 || status.Age != 0 || status.LastSeq != "2002-…" || !status.LastContact.Equal(time.Now()) {
			t.Errorf("%+v", status)
		}
		serves(t, d, map[string]string{fleetName(7): fleetDoc(7, 1).ID(), "design.test": "nobody"})
	})
}

func TestFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(newDoc("a", "1-a", "a.test"))
		d, logs := follow(t, directory.Options{Cluster: f})
		var events []string
		cancel := d.Subscribe(func(old, new directory.Entry) {
			switch {
			case old.IsZero():
				events = append(events, "+"+new.Key())
			case new.IsZero():
				events = append(events, "-"+old.Key())
			default:
				events = append(events, old.Key()+">"+new.Key())
			}
		})
		elapse(10 * time.Minute)
		f.put(newDoc("a", "2-a", "a2.test"), newDoc("b", "1-b", "b.test"))
		synctest.Wait()
		serves(t, d, map[string]string{"a.test": "nobody", "a2.test": "a", "b.test": "b"})
		f.delete("b", "2-b")
		synctest.Wait()
		serves(t, d, map[string]string{"b.test": "nobody"})
		cancel()
		f.put(newDoc("c", "1-a", "c.test"))
		synctest.Wait()
		if want := []string{"a.test>a2.test", "+b.test", "-b.test"}; !slices.Equal(events, want) {
			t.Errorf("events: %v, want %v", events, want)
		}
		status := wantState(t, d, directory.Following)
		if status.Changes != 4 || status.Loads != 1 || status.LastError != "" {
			t.Errorf("%+v", status)
		}
		if n := logs.Len(); n != 1 {
			t.Errorf("%d lines in the log, want one: %v", n, logs.All())
		}
	})
}

func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(newDoc("a", "1-a", "a.test"))
		f.err = errDown
		var tries []time.Duration
		began := time.Now()
		d, logs := follow(t, directory.Options{Cluster: f, Rand: func() float64 {
			tries = append(tries, time.Since(began).Round(time.Millisecond))
			return 0.5
		}})
		elapse(5 * time.Minute)
		ms := time.Millisecond
		want := []time.Duration{0, 50 * ms, 150 * ms, 350 * ms, 750 * ms, 1550 * ms, 3150 * ms, 6350 * ms, 11350 * ms, 16350 * ms, 21350 * ms}
		if !slices.Equal(tries[:len(want)], want) {
			t.Errorf("tries at %v, want %v", tries, want)
		}
		status := wantState(t, d, directory.Loading)
		if status.Ready || status.LastError == "" || logs.Len() != 1 {
			t.Errorf("%+v after %d lines", status, logs.Len())
		}
		f.set(func() { f.err = nil })
		elapse(15 * time.Second)
		if status := wantState(t, d, directory.Following); status.LastError != "" || logs.Len() != 2 {
			t.Errorf("%+v after %d lines", status, logs.Len())
		}
	})
}

func TestServesWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(newDoc("a", "1-a", "a.test"))
		d, logs := follow(t, directory.Options{Cluster: f})
		elapse(time.Hour)
		f.set(func() { f.err = errDown })
		elapse(48 * time.Hour)
		serves(t, d, map[string]string{"a.test": "a"})
		status := wantState(t, d, directory.Stale)
		if status.Age < 48*time.Hour || status.Age > 48*time.Hour+directory.DefaultWait || status.LastError == "" {
			t.Errorf("%+v", status)
		}
		d.Apply(newDoc("a", "2-a", "a2.test")) // made here, before the store went
		serves(t, d, map[string]string{"a2.test": "a"})
		if n := logs.Len(); n != 2 {
			t.Errorf("%d lines in the log, want two: %v", n, logs.All())
		}
		f.set(func() { f.err = nil })
		f.put(newDoc("b", "1-a", "b.test"))
		elapse(time.Minute)
		serves(t, d, map[string]string{"a2.test": "a", "b.test": "b"})
		if status := wantState(t, d, directory.Following); status.Age != 0 || status.Loads != 1 {
			t.Errorf("%+v", status)
		}
	})
}

func TestRewind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(newDoc("a", "1-a", "a.test"), newDoc("b", "1-b", "b.test"))
		d, _ := follow(t, directory.Options{Cluster: f})
		f.put(newDoc("a", "2-a", "a2.test"))
		f.delete("b", "2-b")
		synctest.Wait()
		before := d.Status().Changes
		// A copy of the shard that lags behind: what it has, it gives again.
		f.put(newDoc("a", "1-a", "a.test"))
		synctest.Wait()
		f.put(newDoc("b", "1-b", "b.test"))
		synctest.Wait()
		serves(t, d, map[string]string{"a.test": "nobody", "a2.test": "a", "b.test": "nobody"})
		f.put(newDoc("b", "3-b", "b.test")) // made again
		synctest.Wait()
		serves(t, d, map[string]string{"b.test": "b"})
		if n := d.Status().Changes - before; n != 1 {
			t.Errorf("%d changes took effect, want 1", n)
		}
	})
}

func TestChangesBeforeStartAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := directory.New(directory.Options{Cluster: newFeed(newDoc("a", "1-a", "a.test"))})
		d.Apply(newDoc("a", "2-a", "a2.test"))
		d.Start()
		d.Start()
		defer stop(t, d)
		synctest.Wait()
		serves(t, d, map[string]string{"a2.test": "a", "a.test": "nobody"})
	})
}

// TestUnreadableDocuments leave what was known alone, through a reload as well.
func TestUnreadableDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(newDoc("a", "1-a", "a.test"), newDoc("b", "1-a", "b.test"), newDoc("c", "1-a", "c.test"))
		d, logs := follow(t, directory.Options{Cluster: f})
		bad := newDoc("a", "2-a", "a2.test", with("domain_aliases", "not a list"))
		f.put(bad)
		f.add(couch.Change{ID: "b", Rev: "2-b", Doc: []byte(`[]`)})
		f.add(couch.Change{ID: "c", Rev: "2-c"})
		f.add(couch.Change{ID: "d", Rev: "1-d", Doc: []byte(`null`)})
		elapse(time.Minute)
		d.Apply(bad)
		known := map[string]string{"a.test": "a", "b.test": "b", "c.test": "c", "a2.test": "nobody"}
		serves(t, d, known)
		if n := logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 4 || d.Status().Malformed != 4 {
			t.Errorf("%d errors logged, %d counted", n, d.Status().Malformed)
		}
		f.set(func() { f.born = "1700009999" })
		elapse(2 * directory.DefaultWait)
		serves(t, d, known)
		if n := logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 4 || d.Status().Malformed != 4 || d.Status().Loads != 2 {
			t.Errorf("after a reload: %d errors logged, %+v", n, d.Status())
		}
		f.put(newDoc("a", "3-a", "a3.test"))
		f.delete("b", "3-b")
		synctest.Wait()
		serves(t, d, map[string]string{"a.test": "nobody", "a3.test": "a", "b.test": "nobody"})
		if n := d.Status().Malformed; n != 2 {
			t.Errorf("%d are still unreadable, want 2", n)
		}
	})
}

// TestHastyServer does not know longpoll, and must not be asked all the time.
func TestHastyServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(newDoc("a", "1-a", "a.test"))
		d, _ := follow(t, directory.Options{Cluster: &noWait{f}})
		elapse(time.Minute)
		wantState(t, d, directory.Following)
		if n := len(f.asked); n > 250 {
			t.Errorf("asked %d times in a minute", n)
		}
		f.put(newDoc("b", "1-a", "b.test"))
		elapse(time.Second)
		serves(t, d, map[string]string{"b.test": "b"})
	})
}

type noWait struct{ *feed }

func (n *noWait) Changes(ctx context.Context, db string, ask couch.Feed, fn func(couch.Change) error) (string, bool, error) {
	ask.Wait = 0
	return n.feed.Changes(ctx, db, ask, fn)
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := follow(t, directory.Options{Cluster: newFeed(newDoc("a", "1-a", "a.test"))})
		began := time.Now()
		for range 2 {
			if err := d.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("stopping took %v", took)
		}
		wantState(t, d, directory.Stopped)
		serves(t, d, map[string]string{"a.test": "a"})

		never := directory.New(directory.Options{Cluster: newFeed()})
		if err := never.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		never.Start()
		wantState(t, never, directory.Stopped)

		store := &deafStore{free: make(chan struct{})}
		deaf := directory.New(directory.Options{Cluster: store})
		deaf.Start()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := deaf.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stopping past a deaf store: %v", err)
		}
		close(store.free)
		synctest.Wait()
	})
}

// deafStore does not end a call when its context ends.
type deafStore struct{ free chan struct{} }

func (s *deafStore) Info(context.Context, string) (couch.Info, error) {
	<-s.free
	return couch.Info{}, fmt.Errorf("gone")
}

func (s *deafStore) Changes(context.Context, string, couch.Feed, func(couch.Change) error) (string, bool, error) {
	return "", false, fmt.Errorf("gone")
}
