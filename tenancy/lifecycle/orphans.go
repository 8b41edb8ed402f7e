// Orphans: databases that belong to no record.

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// prefixLength is that of a prefix without its slash: `cozy` and 32 hexadecimal digits.
const prefixLength = len("cozy") + 32

// orphanAge is how old a database has to be before it is dropped as nobody's: a
// stack makes the databases of a new instance before its record.
const orphanAge = time.Hour

var prefixSeed = maphash.MakeSeed()

func prefixHash(prefix string) uint64 {
	return maphash.String(prefixSeed, strings.TrimSuffix(prefix, "/"))
}

// orphans looks for prefixes of databases that no record has. Those of very old
// stacks, which are domains, cannot be told from others' databases, and are left.
func (r *repair) orphans(ctx context.Context) error {
	if r.only != nil {
		return nil
	}
	for index, m := range r.s.clusters.all() {
		// In parts, since all names of a large cluster are many.
		for part := range 256 {
			r.progress("databases", part, 256)
			lead := fmt.Sprintf("cozy%02x", part)
			all, err := m.Cluster.ListDBs(ctx, lead)
			if err != nil {
				return err
			}
			if err := r.suspects(ctx, index, m.Cluster, all); err != nil {
				return err
			}
		}
	}
	return nil
}

// suspects looks at databases whose names begin alike.
func (r *repair) suspects(ctx context.Context, index int, db *couch.Cluster, all []string) error {
	suspects := map[string]int{}
	for _, name := range all {
		if len(name) <= prefixLength || strings.Trim(name[4:prefixLength], "0123456789abcdef") != "" {
			continue
		}
		if prefix := name[:prefixLength]; !r.prefixes[prefixHash(prefix)] {
			suspects[prefix]++
		}
	}
	if len(suspects) == 0 {
		return nil
	}
	// The list, then the journal, then the records: an add that had begun by the first
	// is still in the second, or has its record in the third.
	err := r.s.walkOperations(ctx, func(op Operation) error {
		delete(suspects, strings.TrimSuffix(provision.DatabasePrefix(op.Prefix), "/"))
		return nil
	}, func(id string, _ error) error {
		r.doubtful = append(r.doubtful, "operation "+id)
		return nil
	})
	if err != nil {
		return err
	}
	err = r.s.global.Walk(ctx, provision.InstancesDB, couch.Range{}, func(row couch.Row) error {
		if inst, err := tenancy.ParseInstance(row.Doc); err == nil && len(suspects) > 0 {
			delete(suspects, strings.TrimSuffix(provision.DatabasePrefix(inst.Prefix()), "/"))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for prefix := range suspects {
		found, err := databasesOf(ctx, db, prefix)
		if err != nil {
			return err
		}
		if len(found) == 0 { // a destroy has dropped them meanwhile
			continue
		}
		f := Finding{
			Kind: FoundOrphans, What: fmt.Sprintf("%d databases begin with %s on cluster %d, and no instance has this prefix", len(found), prefix, index),
			Action: "look at them, since they may hold data; repair drops them with DropOrphans",
		}
		var mend func(context.Context) error
		if r.o.DropOrphans {
			mend = func(ctx context.Context) error {
				if err := r.mayDrop(ctx, index, db); err != nil {
					return err
				}
				return r.s.dropOrphans(ctx, db, found)
			}
		}
		if err := r.found(ctx, f, mend); err != nil {
			return err
		}
	}
	return nil
}

// mayDrop refuses to drop anything where it is not certain what is nobody's.
func (r *repair) mayDrop(ctx context.Context, index int, db *couch.Cluster) error {
	if len(r.doubtful) > 0 {
		return tenancy.Conflictf("%s cannot be read, and may have these databases; put it right first", r.doubtful[0])
	}
	if r.report.Instances == 0 {
		return tenancy.Conflictf("there is no instance at all: this may be the wrong store, or one whose records are lost")
	}
	if index == 0 {
		return nil
	}
	switch _, err := db.Info(ctx, provision.InstancesDB); {
	case errors.Is(err, couch.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return tenancy.Conflictf("cluster %d has instances of its own, whose databases these may be", index)
}

// bornAt is when a database was made: CouchDB tells the seconds since 1970, and old
// ones, like the embedded store, the microseconds.
func bornAt(text string) (at time.Time, ok bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || n <= 0:
		return at, false
	case n > 1e12:
		return time.UnixMicro(n), true
	default:
		return time.Unix(n, 0), true
	}
}

// dropOrphans drops databases of nobody, if they are old enough.
func (s *Service) dropOrphans(ctx context.Context, db *couch.Cluster, names []string) error {
	for _, name := range names {
		info, err := db.Info(ctx, name)
		if errors.Is(err, couch.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		at, ok := bornAt(info.Born)
		if !ok {
			return tenancy.Conflictf("the store does not tell how old %s is, and it may be of an instance that a stack is making; drop it by hand", name)
		}
		if s.now().Sub(at) < orphanAge && s.now().After(at) {
			return tenancy.Conflictf("%s is younger than %s, and may be of an instance that a stack is making", name, orphanAge)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if _, err := db.DestroyDB(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
