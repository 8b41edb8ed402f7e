// Quarantine: names of destroyed instances, from the claims' feed.

package directory_test

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// claimsFeed is a feed whose documents can be walked as well.
type claimsFeed struct{ *feed }

func (c claimsFeed) Walk(_ context.Context, _ string, r couch.Range, fn func(couch.Row) error) error {
	c.mu.Lock()
	err, rows := c.problem(), slices.Clone(c.after(couch.Feed{}))
	c.mu.Unlock()
	if err != nil {
		return err
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.ID, b.ID) })
	for _, row := range rows { // of which an id has one at most
		if row.Deleted || row.ID < r.Start || row.ID > r.End {
			continue
		}
		if err := fn(couch.Row{ID: row.ID, Doc: row.Doc}); err != nil {
			return err
		}
	}
	return nil
}

func quarantined(key, rev string, until time.Time) *tenancy.Instance {
	return newDoc("quarantine:"+key, rev, key, with("until", until))
}

// TestQuarantine: a name in quarantine is gone, with its app hosts and on each port,
// until its time, or until it is lifted; claims are read past.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hour := time.Now().Add(time.Hour)
		claims := claimsFeed{newFeed(quarantined("gone.example.com", "1-a", hour), newDoc("alice.example.com", "1-a", "alice.example.com"))}
		d, _ := follow(t, directory.Options{Cluster: newFeed(newDoc("1", "1-a", "bob.example.com")), Claims: claims})
		codes := func(when string, want map[string]string) {
			t.Helper()
			for host, code := range want {
				v := d.Decide(host, directory.Nested)
				if v.Code != code || code == tenancy.CodeQuarantined && v.Status != http.StatusGone {
					t.Errorf("%s: %s is %q (%d), want %q", when, host, v.Code, v.Status, code)
				}
			}
		}
		const gone, unknown = tenancy.CodeQuarantined, tenancy.CodeNotFound
		codes("at first", map[string]string{
			"gone.example.com": gone, "GONE.example.com.": gone, "gone.example.com:8443": gone, "drive.gone.example.com": gone,
			"drive.gone.example.com:8443": gone, "a.b.gone.example.com": unknown, "example.com": unknown,
			"alice.example.com": unknown, "bob.example.com": "", "late.example.com": unknown,
		})
		claims.put(quarantined("late.example.com", "1-a", hour.Add(time.Hour)), quarantined("bob.example.com", "1-a", hour))
		synctest.Wait()
		codes("after a change", map[string]string{"late.example.com": gone, "gone.example.com": gone, "bob.example.com": ""})
		claims.delete("quarantine:gone.example.com", "2-a")
		synctest.Wait()
		codes("after it was lifted", map[string]string{"gone.example.com": unknown, "late.example.com": gone})
		elapse(3 * time.Hour)
		codes("after its time", map[string]string{"late.example.com": unknown})
	})
}

// TestQuarantineOfThisNode: what this node did is known at once.
func TestQuarantineOfThisNode(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	d := directory.New(directory.Options{Now: func() time.Time { return now }})
	d.Quarantine("gone.example.com", now.Add(time.Hour))
	if v := d.Decide("gone.example.com", directory.Off); v.Code != tenancy.CodeQuarantined {
		t.Errorf("it is %q", v.Code)
	}
	d.Quarantine("gone.example.com", time.Time{})
	if v := d.Decide("gone.example.com", directory.Off); v.Code != tenancy.CodeNotFound {
		t.Errorf("it is %q", v.Code)
	}
}

// TestQuarantineWhileTheClaimsAreGone: what is known stays, and is read anew when the
// database is another one.
func TestQuarantineWhileTheClaimsAreGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		until := time.Now().Add(1000 * time.Hour)
		claims := claimsFeed{newFeed(quarantined("gone.example.com", "1-a", until))}
		d, _ := follow(t, directory.Options{Cluster: newFeed(), Claims: claims})
		claims.set(func() { claims.err = tenancy.Unavailablef("down") })
		elapse(time.Minute)
		if v := d.Decide("gone.example.com", directory.Nested); v.Code != tenancy.CodeQuarantined {
			t.Errorf("while it is down it is %q", v.Code)
		}
		claims.set(func() { claims.err = nil })
		claims.reborn("other", quarantined("new.example.com", "1-a", until))
		elapse(2 * time.Minute)
		for host, want := range map[string]string{"gone.example.com": tenancy.CodeNotFound, "new.example.com": tenancy.CodeQuarantined} {
			if v := d.Decide(host, directory.Nested); v.Code != want {
				t.Errorf("after that %s is %q, want %q", host, v.Code, want)
			}
		}
	})
}
