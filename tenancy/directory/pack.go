// Packing: identifiers that are written with hexadecimal digits, in half the bytes.
// What is packed comes back as the same text; any other text is kept as it is.

package directory

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

// packedSize is what 32 hexadecimal digits take, in bytes.
const packedSize = 16

// packHex appends 32 digits in lower case; ok is false for anything else, and dst
// comes back unchanged then.
func packHex(dst []byte, s string) (out []byte, ok bool) {
	if len(s) != 2*packedSize {
		return dst, false
	}
	out = dst
	for i := 0; i < len(s); i += 2 {
		high, low := nibble(s[i]), nibble(s[i+1])
		if high|low > 15 {
			return dst, false
		}
		out = append(out, high<<4|low)
	}
	return out, true
}

// nibble is the value of a digit; of anything else it is above 15.
func nibble(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

func unpackHex(b []byte) string {
	var text [2 * packedSize]byte
	hex.Encode(text[:], b)
	return string(text[:])
}

// packRev appends a revision as CouchDB makes them: a generation without leading
// zeros, a dash, 32 digits.
func packRev(dst []byte, s string) (out []byte, ok bool) {
	digits, hash, found := strings.Cut(s, "-")
	if !found || digits == "" || len(digits) > 18 || digits[0] == '0' || len(hash) != 2*packedSize {
		return dst, false
	}
	generation, _ := splitNumber(s)
	if generation == 0 { // no number
		return dst, false
	}
	if out, ok = packHex(binary.AppendUvarint(dst, generation), hash); !ok {
		return dst, false
	}
	return out, true
}

func unpackRev(generation uint64, hash []byte) string {
	text := make([]byte, 0, 20+2*packedSize)
	text = append(strconv.AppendUint(text, generation, 10), '-')
	return string(hex.AppendEncode(text, hash))
}

// prefixBegin is how the prefixes begin that are made of a domain's hash.
const prefixBegin = "cozy"

func packPrefix(dst []byte, s string) (out []byte, ok bool) {
	digits, found := strings.CutPrefix(s, prefixBegin)
	if !found {
		return dst, false
	}
	return packHex(dst, digits)
}

// uuidDashes are where a UUID has them (RFC 9562, section 4).
var uuidDashes = [...]int{8, 13, 18, 23}

func packUUID(dst []byte, s string) (out []byte, ok bool) {
	if len(s) != 2*packedSize+len(uuidDashes) {
		return dst, false
	}
	for _, at := range uuidDashes {
		if s[at] != '-' {
			return dst, false
		}
	}
	var digits [2 * packedSize]byte
	short := append(append(append(append(append(digits[:0], s[:8]...), s[9:13]...), s[14:18]...), s[19:23]...), s[24:]...)
	return packHex(dst, textOf(short))
}

func unpackUUID(b []byte) string {
	var text [2*packedSize + len(uuidDashes)]byte
	hex.Encode(text[:], b[:4])
	hex.Encode(text[9:], b[4:6])
	hex.Encode(text[14:], b[6:8])
	hex.Encode(text[19:], b[8:10])
	hex.Encode(text[24:], b[10:])
	for _, at := range uuidDashes {
		text[at] = '-'
	}
	return string(text[:])
}
