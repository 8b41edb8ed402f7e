// Revisions: "N-hash", made from the parent and the body as CouchDB does.

package embedded

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

// revision is a generation and a hash. The zero value is no revision.
type revision struct {
	gen  uint64
	hash [16]byte
}

const maxRevisionSize = binary.MaxVarintLen64 + 16

// String gives the form of the API.
func (r revision) String() string {
	b := make([]byte, 0, 20+1+32)
	b = strconv.AppendUint(b, r.gen, 10)
	b = append(b, '-')
	return string(hex.AppendEncode(b, r.hash[:]))
}

// next gives the revision that follows r. It depends on the parent, the body and
// the deletion only, so that the same edit has the same name wherever it is made.
func (r revision) next(deleted bool, bodySum [16]byte) revision {
	b := make([]byte, 0, 1+maxRevisionSize+16)
	b = append(b, flags(deleted))
	b = r.append(b)
	b = append(b, bodySum[:]...)
	return revision{gen: r.gen + 1, hash: sum(b)}
}

// sum is a digest of the length that CouchDB's revisions have.
func sum(b []byte) [16]byte {
	full := sha256.Sum256(b)
	return [16]byte(full[:16])
}

func (r revision) append(b []byte) []byte {
	b = binary.AppendUvarint(b, r.gen)
	return append(b, r.hash[:]...)
}

func cutRevision(b []byte) (r revision, rest []byte, err error) {
	gen, n := binary.Uvarint(b)
	if n <= 0 || len(b) < n+16 {
		return r, nil, errDamaged
	}
	r.gen = gen
	copy(r.hash[:], b[n:])
	return r, b[n+16:], nil
}

// parseRev checks a revision that a caller gave, and brings it into the form of
// String; 400 where it is none. CouchDB takes any text behind the hyphen, which
// then matches nothing.
func parseRev(s string) (string, error) {
	gen, hash, ok := strings.Cut(s, "-")
	n, err := strconv.ParseUint(gen, 10, 64)
	if !ok || err != nil {
		return "", errRevFormat()
	}
	if n != 0 && len(hash) == 32 {
		if _, err := hex.DecodeString(hash); err != nil {
			return "", errRevFormat()
		}
		hash = strings.ToLower(hash)
	}
	return strconv.FormatUint(n, 10) + "-" + hash, nil
}

func errRevFormat() error { return badRequest("Invalid rev format") }
