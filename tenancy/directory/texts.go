// Texts: those that many entries share, as contexts and locales, kept once.

package directory

import "unsafe"

// What stands in a record where a shared text does: its number, or ownText and the
// text itself. noText is none, and stands nowhere.
const (
	ownText = 255
	noText  = -1
)

// maxShared bounds a shared text, in bytes: longer ones stay in their records.
const maxShared = 64

// texts are shared texts by number. They are the writer's, but for list: an element
// is written before any record that has its number is published, and never again,
// so that a reader of a record may read it. What does not fit is kept in the
// records, so that documents of whoever wrote them cost no more than their own size.
type texts struct {
	list    [ownText]string
	count   int
	numbers map[string]byte
}

// append writes a text's number, or the text.
func (t *texts) append(dst []byte, s string) []byte {
	if t != nil && len(s) <= maxShared {
		if n, ok := t.number(s); ok {
			return append(dst, n)
		}
	}
	return appendText(append(dst, ownText), s)
}

func (t *texts) number(s string) (byte, bool) {
	if n, ok := t.numbers[s]; ok {
		return n, true
	}
	if t.count == len(t.list) {
		return 0, false
	}
	if t.numbers == nil {
		t.numbers = map[string]byte{}
	}
	n := byte(t.count)
	s = string([]byte(s)) // not a part of something larger
	t.list[n], t.numbers[s] = s, n
	t.count++
	return n, true
}

// text is the shared text of a number, or the record's own.
func (t *texts) text(number int, own []byte) string {
	switch {
	case number == ownText:
		return textOf(own)
	case number == noText || t == nil:
		return ""
	}
	return t.list[number]
}

// textOf is b as a string, without a copy. b must never change again: it is a part
// of a record, or nobody else has it.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// bytesOf is a string's bytes, to read.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
