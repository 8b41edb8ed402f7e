// Documents: a value and its chunks, and how they are sealed and opened.

package certstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// document is a value. It is the header of a file of the cache as well.
type document struct {
	ID       string    `json:"_id,omitempty"`
	Rev      string    `json:"_rev,omitempty"`
	KeyID    string    `json:"key_id"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	Content  string    `json:"content,omitempty"` // of the chunks; empty where the value is here
	Chunks   []string  `json:"chunks,omitempty"`  // their revisions, by which they are removed
	Sealed   []byte    `json:"sealed,omitempty"`
	// Conflicts are revisions that lost in a cluster.
	Conflicts []string `json:"_conflicts,omitempty"`
}

// chunk is a part of a large value.
type chunk struct {
	ID     string `json:"_id"`
	Rev    string `json:"_rev,omitempty"`
	Value  string `json:"value"` // the key that it is of, for the sweep
	Sealed []byte `json:"sealed"`
}

// gone is the deletion of a revision.
type gone struct {
	ID      string `json:"_id"`
	Rev     string `json:"_rev"`
	Deleted bool   `json:"_deleted"`
}

// parseDocument reads a value's document, whose id has to be the one asked for.
func parseDocument(name string, raw json.RawMessage) (*document, error) {
	doc := new(document)
	if err := json.Unmarshal(raw, doc); err != nil {
		return nil, fmt.Errorf("%s: its document cannot be read: %w", name, err)
	}
	if doc.ID != valueID(name) || doc.Size < 0 || doc.Size > MaxValue || len(doc.Chunks) > chunks(MaxValue) {
		return nil, fmt.Errorf("%s: its document is not that of a value", name)
	}
	return doc, nil
}

// nameOf is the key of a row; ok is false for what is no value.
func nameOf(row couch.Row) (name string, ok bool) {
	id, ok := strings.CutPrefix(row.ID, valuePrefix)
	if !ok {
		return "", false
	}
	return unescape(id)
}

// chunks is how many a value of that size has.
func chunks(size int) int { return (size + chunkSize - 1) / chunkSize }

// context is what is authenticated with a part of a value: all that says what it is.
func (d *document) context(name string, index int) []byte {
	return fmt.Appendf(nil, "gatehouse certstore 1: %q %q %d %d %q %d/%d",
		name, d.KeyID, d.Size, d.Modified.UnixNano(), d.Content, index, len(d.Chunks))
}

// openParts opens a value: the one part that is in its document, or its chunks.
func (d *document) openParts(ring *Ring, name string, parts [][]byte) ([]byte, error) {
	value := make([]byte, 0, d.Size)
	for i, sealed := range parts {
		part, err := ring.open(d.KeyID, sealed, d.context(name, i))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		value = append(value, part...)
	}
	if int64(len(value)) != d.Size {
		return nil, fmt.Errorf("%s: %w", name, &SealError{KeyID: d.KeyID, Known: ring.IDs(), Err: ErrTampered})
	}
	return value, nil
}

// sealParts makes the document of a value, and its sealed parts: one, which is in
// the document, or those of the chunks.
func (s *Store) sealParts(name string, value []byte, modified time.Time) (*document, [][]byte) {
	ring := s.ring.Load()
	doc := &document{ID: valueID(name), KeyID: ring.Current(), Size: int64(len(value)), Modified: modified.UTC()}
	if len(value) <= maxInline {
		doc.Sealed = ring.seal(s.random(12), value, doc.context(name, 0))
		return doc, [][]byte{doc.Sealed}
	}
	doc.Content = s.token()
	doc.Chunks = make([]string, chunks(len(value)))
	parts := make([][]byte, len(doc.Chunks))
	for i := range parts {
		text := value[i*chunkSize : min((i+1)*chunkSize, len(value))]
		parts[i] = ring.seal(s.random(12), text, doc.context(name, i))
	}
	return doc, parts
}
