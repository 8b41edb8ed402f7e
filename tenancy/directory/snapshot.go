// Snapshot: the file that a restart begins from.
//
//	magic, version (4 bytes)
//	frames, each: length (4 bytes), that many bytes
//	    the first is the header
//	    the others begin with their kind (1 byte): a shared text, or records, one
//	    after the other, as they are in memory
//	length 0, number of records (8 bytes)
//	SHA-256 of all before it
//
// Numbers of fixed length are little endian. Texts of the header are preceded by
// their lengths. A shared text has the number of shared texts before it, and comes
// before the records that have its number. A version says what is in a frame, and how
// records are made. Another version is not read; all is loaded from the store then.

package directory

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"time"
)

const (
	snapshotMagic   = "gatehouse directory\n"
	snapshotVersion = 3
	// maxFrame bounds what a broken length makes us allocate, in bytes.
	maxFrame = 1 << 20
	// fullFrame is when a frame of records is written, in bytes.
	fullFrame = 64 << 10
	// snapshotBuffer is for reading and writing in large pieces, in bytes.
	snapshotBuffer = 256 << 10
)

// Kinds of frames.
const (
	textFrame byte = iota + 1
	recordsFrame
)

// Errors of reading a snapshot.
var (
	errBroken  = errors.New("the snapshot is broken")
	errForeign = errors.New("the snapshot is of another store")
	errVersion = errors.New("the snapshot has another version")
)

// header says what a snapshot is of, and up to where.
type header struct {
	Identity, Database string
	Born, Since        string
	Known              time.Time // when the entries were last known to be what the store has
	// About so many are in it: what is made for them has the right size at once.
	Instances, Hosts uint64
}

func (h header) append(dst []byte) []byte {
	for _, s := range []string{h.Identity, h.Database, h.Born, h.Since} {
		dst = appendText(dst, s)
	}
	known := uint64(0)
	if !h.Known.IsZero() {
		known = uint64(h.Known.UnixMilli())
	}
	for _, n := range []uint64{known, h.Instances, h.Hosts} {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

func parseHeader(frame []byte) (h header, ok bool) {
	r := fields{b: frame}
	for _, s := range []*string{&h.Identity, &h.Database, &h.Born, &h.Since} {
		*s = string(r.text())
	}
	if known := r.number(); known != 0 {
		h.Known = time.UnixMilli(int64(known))
	}
	h.Instances, h.Hosts = r.number(), r.number()
	return h, !r.broken && r.at == len(frame)
}

// writeSnapshot writes the file anew, readable by its owner alone, so that a
// crash leaves the old or the new one, whole.
func writeSnapshot(path string, head header, x *index) (err error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(temporary)
		}
	}()
	if err := encodeSnapshot(file, head, x); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncFolder(folder)
}

// syncFolder makes a rename survive a power cut.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
