// Snapshot: the file that a restart begins from.
//
//	magic, version (4 bytes)
//	frames, each: length (4 bytes, little endian), that many bytes
//	    the first is the header, the others are one entry each
//	length 0, number of entries (8 bytes)
//	SHA-256 of all before it
//
// A version says what is in a frame: strings and lists are preceded by their
// length as an unsigned varint. Another version is not read; all is loaded from
// the store then.

package directory

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"
)

const (
	snapshotMagic   = "gatehouse directory\n"
	snapshotVersion = 2
	// maxFrame bounds what a broken length makes us allocate, in bytes.
	maxFrame = 16 << 20
	// snapshotBuffer is for reading and writing in large pieces, in bytes.
	snapshotBuffer = 256 << 10
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
}

// writeSnapshot writes the file anew, readable by its owner alone, so that a
// crash leaves the old or the new one, whole.
func writeSnapshot(path string, head header, entries iter.Seq[*Entry]) (err error) {
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
	if err := encodeSnapshot(file, head, entries); err != nil {
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

func encodeSnapshot(to io.Writer, head header, entries iter.Seq[*Entry]) error {
	sum := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(to, sum), snapshotBuffer)
	frame := append([]byte(snapshotMagic), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(frame[len(snapshotMagic):], snapshotVersion)
	_, _ = w.Write(frame) // its error is kept until Flush
	write := func(frame []byte) error {
		binary.LittleEndian.PutUint32(frame, uint32(len(frame)-4))
		if len(frame) > maxFrame {
			return fmt.Errorf("an entry of %d bytes does not fit into a snapshot", len(frame))
		}
		_, err := w.Write(frame)
		return err
	}
	frame = append(frame[:0], 0, 0, 0, 0)
	if err := write(head.append(frame)); err != nil {
		return err
	}
	count := uint64(0)
	for e := range entries {
		frame = e.append(append(frame[:0], 0, 0, 0, 0))
		if err := write(frame); err != nil {
			return err
		}
		count++
	}
	frame = binary.LittleEndian.AppendUint64(append(frame[:0], 0, 0, 0, 0), count)
	_, _ = w.Write(frame)
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := to.Write(sum.Sum(nil))
	return err
}

// readSnapshot reads a file that writeSnapshot wrote, of the store that want
// names. Entries handed to fn count only if there is no error in the end: the
// checksum is the last thing in the file.
func readSnapshot(path string, want header, fn func(*Entry)) (header, error) {
	file, err := os.Open(path)
	if err != nil {
		return header{}, err
	}
	defer file.Close()
	return decodeSnapshot(file, want, fn)
}

func decodeSnapshot(from io.Reader, want header, fn func(*Entry)) (header, error) {
	r := &frames{r: bufio.NewReaderSize(from, snapshotBuffer), sum: sha256.New()}
	start := r.read(len(snapshotMagic) + 4)
	if r.err != nil || !bytes.HasPrefix(start, []byte(snapshotMagic)) {
		return header{}, fmt.Errorf("%w: it does not begin as one", errBroken)
	}
	if v := binary.LittleEndian.Uint32(start[len(snapshotMagic):]); v != snapshotVersion {
		return header{}, fmt.Errorf("%w: %d, and %d is read here", errVersion, v, snapshotVersion)
	}
	head, ok := parseHeader(r.next())
	if !ok {
		return header{}, fmt.Errorf("%w: its header cannot be read", errBroken)
	}
	if head.Identity != want.Identity || head.Database != want.Database {
		return header{}, fmt.Errorf("%w: %s of %s", errForeign, head.Database, head.Identity)
	}
	count := uint64(0)
	for frame := r.next(); frame != nil; frame = r.next() {
		e, ok := parseEntry(string(frame))
		if !ok {
			return header{}, fmt.Errorf("%w: entry %d cannot be read", errBroken, count)
		}
		fn(e)
		count++
	}
	end := r.read(8)
	if r.err != nil || binary.LittleEndian.Uint64(end) != count {
		return header{}, fmt.Errorf("%w: it ends after %d entries", errBroken, count)
	}
	sum := r.sum.Sum(nil)
	if !bytes.Equal(r.read(sha256.Size), sum) {
		return header{}, fmt.Errorf("%w: its checksum differs", errBroken)
	}
	if _, err := r.r.ReadByte(); err != io.EOF {
		return header{}, fmt.Errorf("%w: there is more after its end", errBroken)
	}
	return head, nil
}

// frames reads pieces, sums them up, and stops at the first error.
type frames struct {
	r   *bufio.Reader
	sum hash.Hash
	buf []byte
	err error
}

// read is the next n bytes, good until the next call; nil after an error.
func (f *frames) read(n int) []byte {
	if f.err != nil {
		return nil
	}
	if cap(f.buf) < n {
		f.buf = make([]byte, n)
	}
	f.buf = f.buf[:n]
	if _, f.err = io.ReadFull(f.r, f.buf); f.err != nil {
		return nil
	}
	f.sum.Write(f.buf)
	return f.buf
}

// next is the next frame; nil at the end and after an error.
func (f *frames) next() []byte {
	length := f.read(4)
	if length == nil {
		return nil
	}
	n := binary.LittleEndian.Uint32(length)
	if n > maxFrame {
		f.err = errBroken
	}
	if n == 0 || f.err != nil {
		return nil
	}
	return f.read(int(n))
}
