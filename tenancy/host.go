// Host: a request's Host header, or a name that a stack wrote, in the normal
// form; lenient, and without allocation for what browsers send.

package tenancy

import (
	"unicode/utf8"

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
// It does not allocate for ASCII hosts when dst has room.
func AppendHost(dst []byte, host string) (out []byte, name int, ok bool) {
	if host == "" || len(host) > 4*MaxHostLength || host[0] == '[' {
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
	if colon < len(host) && len(port) > 5 {
		return dst, 0, false
	}
	start := len(dst)
	out = dst
	label := 0
	for i := 0; i < colon; i++ {
		c := host[i]
		switch {
		case c >= utf8.RuneSelf:
			return appendMapped(dst, host[:colon], port)
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '.':
			if i == colon-1 && i > 0 { // the root's dot
				continue
			}
			if label == 0 {
				return dst, 0, false
			}
			label = -1
		case c <= ' ' || c == 0x7f || c == ':' || c == '/' || c == '?' || c == '#' || c == '@' || c == '\\' || c == '%' || c == '[' || c == ']':
			return dst, 0, false
		}
		label++
		out = append(out, c)
	}
	name = len(out) - start
	if name == 0 || name > maxNameLength {
		return dst, 0, false
	}
	return appendPort(out, port), name, true
}

// appendMapped is the slow way, for hosts in Unicode form.
func appendMapped(dst []byte, host, port string) ([]byte, int, bool) {
	ascii, err := lenient.ToASCII(host)
	if err != nil || ascii == "" {
		return dst, 0, false
	}
	for i := range len(ascii) {
		if ascii[i] >= utf8.RuneSelf {
			return dst, 0, false
		}
	}
	out, name, ok := AppendHost(dst, ascii)
	if !ok || name != len(out)-len(dst) { // a port that the mapping made
		return dst, 0, false
	}
	return appendPort(out, port), name, true
}

func appendPort(out []byte, port string) []byte {
	if port == "" {
		return out
	}
	return append(append(out, ':'), port...)
}

// HostKey is the normal form of host as a string, for records and tools. ok is
// false where AppendHost says so.
func HostKey(host string) (key string, ok bool) {
	out, _, ok := AppendHost(make([]byte, 0, MaxHostLength), host)
	return string(out), ok
}
