// Host: a request's Host header, or a name that a stack wrote, in the normal
// form; lenient, and without allocation for what browsers send.

package tenancy

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/net/idna"
)

// MaxHostLength bounds a host with its port, in bytes; what is longer is no
// instance's.
const MaxHostLength = maxNameLength + len(":65535")

// lenient maps as browsers do, and refuses little: names that a stack accepted
// have to be found, whatever rules we have for new ones.
var lenient = idna.New(
	idna.MapForLookup(),
	idna.Transitional(false),
	idna.CheckHyphens(false),
	idna.StrictDomainName(false),
)

// AppendHost appends the normal form of host, which may carry a port and a
// trailing dot, to dst. name is the length of the part before the port's colon,
// counted from the start of what was appended; it is equal to the appended
// length where there is no port. ok is false for what can be no host: empty,
// over-long, with a port that is none, or with bytes that no name has; dst
// comes back unchanged then.
//
// It does not allocate for ASCII hosts when dst has room, which may be on the
// caller's stack.
func AppendHost(dst []byte, host string) (out []byte, name int, ok bool) {
	if host == "" || len(host) > 4*MaxHostLength {
		return dst, 0, false
	}
	colon := len(host)
	for i := len(host) - 1; i >= 0; i-- {
		c := host[i]
		if c == ':' {
			colon = i
			break
		}
		if c < '0' || c > '9' {
			break
		}
	}
	port := host[min(colon+1, len(host)):]
	if len(port) > 5 && colon < len(host) {
		return dst, 0, false
	}
	out, ascii, ok := appendName(dst, host[:colon])
	if !ascii { // the slow way, for hosts in Unicode form
		if !utf8.ValidString(host[:colon]) { // idna would make a name of it
			return dst, 0, false
		}
		mapped, err := lenient.ToASCII(host[:colon])
		if err != nil {
			return dst, 0, false
		}
		out, ascii, ok = appendName(dst, mapped)
	}
	name = len(out) - len(dst)
	if !ok || !ascii || name == 0 || name > maxNameLength {
		return dst, 0, false
	}
	if port != "" {
		out = append(append(out, ':'), port...)
	}
	return out, name, true
}

// inHost maps the bytes that a name may have, but for the dot, to lower case,
// and all others to 0.
var inHost = func() (table [256]byte) {
	for c := byte('!'); c < 0x7f; c++ {
		table[c] = c
	}
	for c := byte('A'); c <= 'Z'; c++ {
		table[c] = c + 'a' - 'A'
	}
	for _, c := range []byte(`.:/?#@\%[]`) {
		table[c] = 0
	}
	return table
}()

// appendName appends an ASCII name without a port. ascii is false for one that
// is not, and ok for what is no name; what was appended counts for nothing then.
//
// It stands apart, and calls nobody, so that the compiler sees that dst may be
// on a stack.
func appendName(dst []byte, host string) (out []byte, ascii, ok bool) {
	out = dst
	label := 0
	for i := range len(host) {
		c := host[i]
		if lower := inHost[c]; lower != 0 {
			label++
			out = append(out, lower)
			continue
		}
		switch {
		case c >= utf8.RuneSelf:
			return dst, false, false
		case c != '.' || label == 0:
			return dst, true, false
		case i == len(host)-1: // the root's dot
			return out, true, true
		}
		label = 0
		out = append(out, c)
	}
	return out, true, true
}

// PlainHost tells whether host is its own normal form, and is quick about it: name is
// the length of the part before the port's colon, as AppendHost tells it. It is so for what
// browsers send: a name of lower-case letters, digits, hyphens and dots, and perhaps a
// port. Where ok is false, AppendHost has to look.
func PlainHost(host string) (name int, ok bool) {
	name = len(host)
	if colon := strings.LastIndexByte(host[max(0, name-len(":65535")):], ':'); colon >= 0 {
		colon += max(0, name-len(":65535"))
		if colon == name-1 || !digits(host[colon+1:]) {
			return 0, false
		}
		name = colon
	}
	if name < 8 || name > maxNameLength || host[0] == '.' || host[name-1] == '.' {
		return 0, false
	}
	b := unsafe.Slice(unsafe.StringData(host), name) // read, and not kept
	at := 0
	for ; at < name-8; at += 7 { // so that each two neighbours are in one word
		if !plainName(binary.LittleEndian.Uint64(b[at:])) {
			return 0, false
		}
	}
	return name, plainName(binary.LittleEndian.Uint64(b[name-8:]))
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// plainName tells whether all of eight bytes may be in a plain name, of which no two
// neighbours are dots.
func plainName(w uint64) bool {
	const (
		each = 0x0101010101010101
		high = each << 7
	)
	// The highest bit of a byte below 0x80 plus 0x80-c is set for what is c or more.
	letters := (w + each*(0x80-'a')) &^ (w + each*(0x80-'z'-1))
	others := (w + each*(0x80-'-')) &^ (w + each*(0x80-'9'-1)) // hyphen, dot, slash, digits
	slashes := w ^ each*'/'
	dots := w ^ each*'.'
	isNot := func(w uint64) uint64 { return w + each*0x7f } // its highest bit is 0 where a byte of w is
	if w&high != 0 || (letters|others)&isNot(slashes)&high != high {
		return false
	}
	isDot := ^isNot(dots) & high
	return isDot&(isDot>>8) == 0
}

// HostKey is the normal form of host as a string, for records and tools. ok is
// false where AppendHost says so.
func HostKey(host string) (key string, ok bool) {
	out, _, ok := AppendHost(make([]byte, 0, MaxHostLength), host)
	return string(out), ok
}
