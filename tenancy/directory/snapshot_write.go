// Writing a snapshot, while changes and look-ups go on.

package directory

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"io"
)

// encodeSnapshot writes all entries of an index, which may be changed meanwhile: each
// shard is of one moment, and no lock is held.
func encodeSnapshot(to io.Writer, head header, x *index) error {
	sum := sha256.New()
	w := &frameWriter{to: bufio.NewWriterSize(io.MultiWriter(to, sum), snapshotBuffer), texts: x.records.texts}
	_, _ = w.to.WriteString(snapshotMagic) // errors are kept until Flush
	_, _ = w.to.Write(binary.LittleEndian.AppendUint32(nil, snapshotVersion))
	head.Instances, head.Hosts = uint64(x.ids.count.Load()), uint64(x.hosts.count.Load())
	w.frame(head.append(nil))
	count := uint64(0)
	for e := range x.all {
		w.entry(e)
		count++
		if w.err != nil {
			return w.err
		}
	}
	w.flush()
	_, _ = w.to.Write(binary.LittleEndian.AppendUint64(make([]byte, 4), count))
	if err := w.to.Flush(); err != nil {
		return err
	}
	_, err := to.Write(sum.Sum(nil))
	return err
}

// frameWriter puts records into frames.
type frameWriter struct {
	to      *bufio.Writer
	texts   *texts
	written int    // shared texts
	records []byte // a frame that is not full, with its kind; or empty
	err     error
}

func (w *frameWriter) frame(parts ...[]byte) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	var length [4]byte
	binary.LittleEndian.PutUint32(length[:], uint32(size))
	if _, err := w.to.Write(length[:]); err != nil {
		w.err = err
	}
	for _, p := range parts {
		if _, err := w.to.Write(p); err != nil {
			w.err = err
		}
	}
}

// entry writes a record, after the shared texts that it refers to. Those with smaller
// numbers were there before it, and may be read as well.
func (w *frameWriter) entry(e Entry) {
	r := e.toDomain()
	r.domain()
	for _, next := range []func() (int, []byte){r.shared, r.shared, r.reason} {
		if number, _ := next(); number != ownText && number >= w.written {
			w.flush()
			for ; w.written <= number; w.written++ {
				w.frame([]byte{textFrame}, []byte(w.texts.list[w.written]))
			}
		}
	}
	if len(w.records) == 0 {
		w.records = append(w.records, recordsFrame)
	}
	record := e.record()
	w.records = append(w.records, record[:sizeOf(record)]...)
	if len(w.records) >= fullFrame {
		w.flush()
	}
}

func (w *frameWriter) flush() {
	if len(w.records) > 0 {
		w.frame(w.records)
		w.records = w.records[:0]
	}
}
