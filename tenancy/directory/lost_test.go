// Databases that are missing, replaced or restored under a running directory.

package directory_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

func TestMissingDatabaseIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		f.missing = true
		asked := 0
		d, _ := follow(t, directory.Options{Cluster: f, Ensure: func(context.Context) error {
			asked++
			if asked < 3 {
				return errDown
			}
			f.set(func() { f.missing = false })
			return nil
		}})
		if isReady(d) {
			t.Error("it is ready without a database")
		}
		elapse(time.Second)
		wantState(t, d, directory.Following)
		if v := d.Decide("a.test", directory.Nested); v.Code != tenancy.CodeNotFound || asked != 3 {
			t.Errorf("after %d calls: %+v", asked, v)
		}
	})
}

func TestMissingDatabaseWithoutEnsure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(newDoc("a", "1-a", "a.test"))
		f.missing = true
		d, _ := follow(t, directory.Options{Cluster: f})
		elapse(time.Hour)
		wantState(t, d, directory.Loading)
		f.set(func() { f.missing = false })
		elapse(30 * time.Second)
		wantState(t, d, directory.Following)
	})
}

// TestLostDatabase has the database dropped under a directory, and made again.
func TestLostDatabase(t *testing.T) {
	for _, born := range []string{"1700000000", "1700009999", ""} { // the same, another, unknown
		t.Run("born "+born, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFeed(newDoc("a", "1-a", "a.test"), newDoc("b", "5-b", "b.test"))
				d, _ := follow(t, directory.Options{Cluster: f, Ensure: func(context.Context) error {
					t.Error("a lost database must not be made by a front door")
					return nil
				}})
				f.set(func() { f.missing = true })
				elapse(time.Hour)
				serves(t, d, map[string]string{"a.test": "a", "b.test": "b"})
				wantState(t, d, directory.Stale)
				f.set(func() { f.missing = false })
				f.reborn(born, newDoc("b", "1-x", "b2.test"), newDoc("c", "1-x", "c.test"), newDoc("d", "1-x", "d.test"))
				elapse(30 * time.Second)
				serves(t, d, map[string]string{"a.test": "nobody", "b.test": "nobody", "b2.test": "b", "c.test": "c"})
				if status := wantState(t, d, directory.Following); status.Loads != 2 || status.Age != 0 {
					t.Errorf("%+v", status)
				}
			})
		})
	}
}

// TestAnotherDatabase has it replaced unnoticed, between two answers.
func TestAnotherDatabase(t *testing.T) {
	for name, replace := range map[string]func(*feed){
		"born later": func(f *feed) {
			f.reborn("1700009999", newDoc("b", "1-b", "b.test"), newDoc("c", "1-x", "c.test"), newDoc("d", "1-x", "d.test"))
		},
		"went back": func(f *feed) { f.reborn("1700000000", newDoc("b", "1-b", "b.test")) },
		"went back, of unknown birth": func(f *feed) {
			f.reborn("", newDoc("b", "1-b", "b.test"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFeed(newDoc("a", "1-a", "a.test"), newDoc("b", "1-b", "b.test"), newDoc("e", "1-a", "e.test"))
				d, _ := follow(t, directory.Options{Cluster: f})
				var gone []string
				d.Subscribe(func(old, new directory.Entry) {
					if new.IsZero() {
						gone = append(gone, old.ID())
					}
				})
				replace(f)
				elapse(2 * directory.DefaultWait)
				serves(t, d, map[string]string{"a.test": "nobody", "b.test": "b"})
				slices.Sort(gone)
				if !slices.Equal(gone, []string{"a", "e"}) {
					t.Errorf("told of the end of %v", gone)
				}
				if status := wantState(t, d, directory.Following); status.Loads != 2 {
					t.Errorf("%+v", status)
				}
			})
		})
	}
}

// TestDistrust has a cluster whose copies number their changes differently: the
// sequence seems to go back time and again, and not each time is a reload.
func TestDistrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(newDoc("a", "1-a", "a.test"))
		low := &lowInfo{feed: f}
		d, _ := follow(t, directory.Options{Cluster: low})
		elapse(24 * time.Hour)
		if loads := d.Status().Loads; loads < 10 || loads > 13 {
			t.Errorf("%d loads in a day", loads)
		}
		wantState(t, d, directory.Following)
	})
}

// lowInfo says a lower sequence than the feed does.
type lowInfo struct{ *feed }

func (l *lowInfo) Info(ctx context.Context, db string) (couch.Info, error) {
	info, err := l.feed.Info(ctx, db)
	info.UpdateSeq = "0-opaque"
	return info, err
}

func TestRefusedSequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(newDoc("a", "1-a", "a.test"))
		refusing := &refusesSince{feed: f}
		d, _ := follow(t, directory.Options{Cluster: refusing})
		refusing.set(func() { refusing.refuse = true })
		f.put(newDoc("b", "1-a", "b.test"))
		elapse(time.Minute)
		serves(t, d, map[string]string{"a.test": "a", "b.test": "b"})
		if loads := d.Status().Loads; loads != 2 {
			t.Errorf("%d loads, want the first and one more", loads)
		}
		refusing.set(func() { refusing.refuse = false })
		elapse(time.Minute)
		wantState(t, d, directory.Following)
	})
}

// refusesSince answers 400 to any sequence but the beginning.
type refusesSince struct {
	*feed
	refuse bool
}

func (r *refusesSince) Changes(ctx context.Context, db string, ask couch.Feed, fn func(couch.Change) error) (string, bool, error) {
	r.mu.Lock()
	refuse := r.refuse && ask.Since != ""
	r.mu.Unlock()
	if refuse {
		return "", false, &couch.Error{Op: "changes", Database: db, Status: http.StatusBadRequest, Err: errors.New("bad since")}
	}
	return r.feed.Changes(ctx, db, ask, fn)
}

// TestLocalChangesDuringReload makes changes on this node while all is read
// again: they are served at once, and after the swap.
func TestLocalChangesDuringReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		docs := make([]*tenancy.Instance, 2*couch.PageSize)
		for i := range docs {
			docs[i] = fleetDoc(i, 1)
		}
		f := newFeed(docs...)
		d, _ := follow(t, directory.Options{Cluster: f})
		pages := 0
		f.set(func() {
			f.born = "1700009999"
			f.page = func() {
				pages++
				if len(f.asked) == 0 || d.Status().State != directory.Stale {
					return
				}
				// Documents 0 and 1 have been read before, 1,999 has not.
				d.Apply(fleetDoc(0, 2))
				d.Apply(newDoc(fleetDoc(1, 1).ID(), "2-x", "moved.test"))
				d.Remove(fleetDoc(2, 1).ID(), "2-x")
				d.Remove(fleetDoc(1999, 1).ID(), "2-x")
				d.Apply(newDoc("new", "1-x", "new.test"))
				serves(t, d, map[string]string{"moved.test": fleetDoc(1, 1).ID(), "new.test": "new", fleetName(1999): "nobody", fleetName(1998): fleetDoc(1998, 1).ID()})
			}
		})
		elapse(2 * directory.DefaultWait)
		if status := wantState(t, d, directory.Following); status.Loads != 2 || pages < 3 {
			t.Fatalf("%+v after %d pages", status, pages)
		}
		serves(t, d, map[string]string{
			"moved.test": fleetDoc(1, 1).ID(), "new.test": "new", fleetName(0): fleetDoc(0, 1).ID(),
			fleetName(1): "nobody", fleetName(2): "nobody", fleetName(1999): "nobody", fleetName(3): fleetDoc(3, 1).ID(),
		})
		if e, _ := d.ByID(fleetDoc(0, 1).ID()); e.Rev() != fleetDoc(0, 2).Rev() {
			t.Errorf("the local change was lost: %s", e.Rev())
		}
	})
}
