// Tombstones: the latest removals, so that an older revision that is still on
// its way does not bring a dead instance back.

package directory

// tombstoneCount bounds the memory of removals, about 100 bytes each.
const tombstoneCount = 65536

// tombstones are the newest removals by document id; the oldest give way. The
// zero value is empty. It is the writer's.
type tombstones struct {
	byID  map[string]tombstone
	ring  []string // ids in order of removal; empty where one was lifted
	write int
}

type tombstone struct {
	rev string
	at  int // in ring
}

// covers tells whether a revision is not newer than the removal of its document.
func (t *tombstones) covers(id, rev string) bool {
	stone, dead := t.byID[id]
	return dead && compareRevs(rev, stone.rev) <= 0
}

// lay remembers a removal.
func (t *tombstones) lay(id, rev string) {
	t.lift(id)
	if t.byID == nil {
		t.byID = make(map[string]tombstone)
	}
	if len(t.ring) < tombstoneCount {
		t.ring = append(t.ring, id)
		t.byID[id] = tombstone{rev: rev, at: len(t.ring) - 1}
		return
	}
	if oldest := t.ring[t.write]; oldest != "" {
		delete(t.byID, oldest)
	}
	t.ring[t.write] = id
	t.byID[id] = tombstone{rev: rev, at: t.write}
	t.write = (t.write + 1) % tombstoneCount
}

// lift forgets a removal, of a document that lives again.
func (t *tombstones) lift(id string) {
	if stone, dead := t.byID[id]; dead {
		t.ring[stone.at] = ""
		delete(t.byID, id)
	}
}
