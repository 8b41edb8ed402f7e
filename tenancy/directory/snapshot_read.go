// Reading a snapshot: into an index at once, of which nobody knows before all of it
// was read and found right.

package directory

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"os"
)

// readSnapshot reads a file that writeSnapshot wrote, of the store that want names.
// Beside the index it takes the memory of a frame.
func readSnapshot(path string, want header) (*index, header, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, header{}, err
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return nil, header{}, err
	}
	return decodeSnapshot(file, uint64(stat.Size()), want)
}

func decodeSnapshot(from io.Reader, size uint64, want header) (*index, header, error) {
	r := &frames{r: bufio.NewReaderSize(from, snapshotBuffer), sum: sha256.New()}
	head, err := r.header(want)
	if err != nil {
		return nil, header{}, err
	}
	x := newIndex()
	x.expect(min(head.Instances, size/leastRecord), min(head.Hosts, size/leastName))
	count := uint64(0)
	for frame := r.next(); frame != nil; frame = r.next() {
		n, err := x.takeFrame(frame)
		if err != nil {
			return nil, header{}, fmt.Errorf("after %d entries: %w", count, err)
		}
		count += n
	}
	end := r.read(8)
	if r.err != nil || binary.LittleEndian.Uint64(end) != count {
		return nil, header{}, fmt.Errorf("%w: it ends after %d entries", errBroken, count)
	}
	sum := r.sum.Sum(nil)
	if !bytes.Equal(r.read(sha256.Size), sum) {
		return nil, header{}, fmt.Errorf("%w: its checksum differs", errBroken)
	}
	if _, err := r.r.ReadByte(); err != io.EOF {
		return nil, header{}, fmt.Errorf("%w: there is more after its end", errBroken)
	}
	return x, head, nil
}

// Sizes in a file that are not undercut, in bytes: they bound what a header makes us
// allocate.
const (
	leastRecord = 16
	leastName   = 8
)

// expect makes tables of the size for so many.
func (x *index) expect(instances, hosts uint64) {
	for _, s := range []struct {
		shards *shards
		n      uint64
	}{{&x.ids, instances}, {&x.hosts, hosts}} {
		if each := int(s.n / shardCount); each >= groupSize {
			for i := range uint64(shardCount) {
				s.shards.publish(i, emptyTable(each))
			}
		}
	}
}

// takeFrame takes in what a frame has.
func (x *index) takeFrame(frame []byte) (count uint64, err error) {
	kind, rest := frame[0], frame[1:]
	t := x.records.texts
	switch kind {
	case textFrame:
		if len(rest) > maxShared {
			return 0, fmt.Errorf("%w: a shared text is too long", errBroken)
		}
		before := t.count
		if number, ok := t.number(string(rest)); !ok || int(number) != before {
			return 0, fmt.Errorf("%w: a shared text stands twice, or there are too many", errBroken)
		}
		return 0, nil
	case recordsFrame:
		read := &chunk{buf: rest, texts: t}
		for at := 0; at < len(rest); count++ {
			if len(rest)-at < unit {
				return count, fmt.Errorf("%w: half an entry", errBroken)
			}
			size := sizeOf(rest[at:])
			if size > len(rest)-at || !check(rest[at:at+size], t.count) {
				return count, fmt.Errorf("%w: an entry cannot be read", errBroken)
			}
			if err := x.takeEntry(Entry{at: read, offset: uint32(at)}, size); err != nil {
				return count, err
			}
			at += size
		}
		return count, nil
	}
	return 0, fmt.Errorf("%w: a frame of an unknown kind", errBroken)
}

// takeEntry takes in an entry whose texts have the same numbers here.
func (x *index) takeEntry(e Entry, size int) error {
	old, known := x.same(e)
	if known != 0 && compareRevs(e.Rev(), old.Rev()) <= 0 {
		return nil
	}
	place, err := x.records.add(e.record()[:size])
	if err != nil {
		return err
	}
	x.replace(e.ID(), known, place)
	return nil
}

// frames reads pieces, sums them up, and stops at the first error.
type frames struct {
	r   *bufio.Reader
	sum hash.Hash
	buf []byte
	err error
}

// header reads what is before the entries.
func (f *frames) header(want header) (header, error) {
	start := f.read(len(snapshotMagic) + 4)
	if f.err != nil || !bytes.HasPrefix(start, []byte(snapshotMagic)) {
		return header{}, fmt.Errorf("%w: it does not begin as one", errBroken)
	}
	if v := binary.LittleEndian.Uint32(start[len(snapshotMagic):]); v != snapshotVersion {
		return header{}, fmt.Errorf("%w: %d, and %d is read here", errVersion, v, snapshotVersion)
	}
	head, ok := parseHeader(f.next())
	if !ok {
		return header{}, fmt.Errorf("%w: its header cannot be read", errBroken)
	}
	if head.Identity != want.Identity || head.Database != want.Database {
		return header{}, fmt.Errorf("%w: %s of %s", errForeign, head.Database, head.Identity)
	}
	return head, nil
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
