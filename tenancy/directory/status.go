// Status: how the directory is, for health checks, metrics and people.

package directory

import "time"

// State is how the directory stands to its store.
type State string

// The states of a directory.
const (
	Loading      State = "loading"   // nothing to serve from yet
	FromSnapshot State = "snapshot"  // serving from the file; the store has not been read since
	Following    State = "following" // serving what the store has
	Stale        State = "stale"     // serving from memory: the store is gone, or is being read from the beginning
	Stopped      State = "stopped"
)

// Status is a directory at one moment.
type Status struct {
	State     State `json:"state"`
	Ready     bool  `json:"ready"`     // there is something to serve from
	Instances int   `json:"instances"` // documents
	Hosts     int   `json:"hosts"`     // names that are found
	// LastSeq is the readable part of the feed's sequence.
	LastSeq string `json:"last_seq,omitempty"`
	// LastContact is when the store last answered; of a snapshot, before it was written.
	LastContact time.Time `json:"last_contact,omitzero"`
	// Age is how long ago what is served was last known to be what the store
	// has, in nanoseconds; 0 while following, and while nothing is served.
	Age       time.Duration `json:"age"`
	Loads     int           `json:"loads"`     // readings of the whole database
	Changes   uint64        `json:"changes"`   // that took effect on what is served
	Malformed int           `json:"malformed"` // documents whose present revision cannot be read
	Conflicts int           `json:"conflicts"` // names that several documents have
	// SavedAt is when the snapshot was written, by this process.
	SavedAt time.Time `json:"saved_at,omitzero"`
	// LastError is what went wrong last with the store or the snapshot; empty
	// when all is well again.
	LastError string `json:"last_error,omitempty"`
}

// progress is what Status reports beside the index. Directory.mu guards it.
type progress struct {
	state     State
	contact   time.Time
	loads     int
	changes   uint64
	savedAt   time.Time
	storeErr  string
	savingErr string
}

// Status is the present state.
func (d *Directory) Status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Status{
		State: d.status.state, LastSeq: shortSeq(d.at.since), LastContact: d.status.contact,
		Loads: d.status.loads, Changes: d.status.changes,
		SavedAt: d.status.savedAt, LastError: d.status.storeErr,
	}
	if s.State == "" {
		s.State = Loading
	}
	if s.LastError == "" {
		s.LastError = d.status.savingErr
	}
	x := d.served.Load()
	if x == nil {
		return s
	}
	s.Ready = true
	s.Instances, s.Hosts = d.Len(), d.Hosts()
	s.Malformed, s.Conflicts = len(x.malformed), len(x.rivals)
	if s.State != Following && !d.at.known.IsZero() {
		s.Age = d.opts.Now().Sub(d.at.known)
	}
	return s
}
