// Files of the cache: their form, and how they are written and read.

package certstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	cacheMagic = "gatehouse certstore 1\n"
	partial    = ".new" // ends the name of a file that is being written
	// maxFile bounds what is read of a file, in bytes: a value, what sealing adds, the
	// header.
	maxFile = MaxValue + 1<<20
	// leftFor is how old a file has to be that a crash left half written.
	leftFor = time.Hour
)

// errDamaged is a file that is not what was written.
var errDamaged = errors.New("the file is damaged")

// fileHead begins a file, as JSON: what the value's document says.
type fileHead struct {
	Key string `json:"key"`
	document
}

// path is the file of a key: named by a hash, so that no key leads elsewhere, and
// none is too long.
func (c *cache) path(name string) string {
	sum := sha256.Sum256([]byte(name))
	hash := hex.EncodeToString(sum[:])
	return filepath.Join(c.folder, hash[:2], hash[2:])
}

func (c *cache) stripe(name string) *sync.Mutex {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // it never fails
	return &c.stripes[h.Sum32()%uint32(len(c.stripes))]
}

// generation is the number before the dash of a revision.
func generation(rev string) int {
	number, _, _ := strings.Cut(rev, "-")
	n, _ := strconv.Atoi(number) // 0 for what is no revision
	return n
}

// encodeFile makes a file: the magic, then header and parts, each after its length,
// and the SHA-256 of it all.
func encodeFile(name string, doc *document, parts [][]byte) ([]byte, error) {
	head := fileHead{Key: name, document: *doc}
	head.Sealed, head.Conflicts = nil, nil
	raw, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	out := []byte(cacheMagic)
	for _, piece := range append([][]byte{raw}, parts...) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(piece)))
		out = append(out, piece...)
	}
	sum := sha256.Sum256(out)
	return append(out, sum[:]...), nil
}

// decodeFile is the reverse; errDamaged for anything else.
func decodeFile(content []byte) (head fileHead, parts [][]byte, err error) {
	at := len(content) - sha256.Size
	if at < len(cacheMagic) || string(content[:len(cacheMagic)]) != cacheMagic {
		return fileHead{}, nil, errDamaged
	}
	sum := sha256.Sum256(content[:at])
	if !bytes.Equal(sum[:], content[at:]) {
		return fileHead{}, nil, errDamaged
	}
	var pieces [][]byte
	for rest := content[len(cacheMagic):at]; len(rest) > 0; {
		if len(rest) < 4 || uint32(len(rest)-4) < binary.BigEndian.Uint32(rest) {
			return fileHead{}, nil, errDamaged
		}
		size := binary.BigEndian.Uint32(rest)
		pieces, rest = append(pieces, rest[4:4+size]), rest[4+size:]
	}
	if len(pieces) < 2 || json.Unmarshal(pieces[0], &head) != nil || len(pieces)-1 != max(1, len(head.Chunks)) {
		return fileHead{}, nil, errDamaged
	}
	return head, pieces[1:], nil
}

// writeFile writes a value so that a crash leaves the old file or the new one, and
// gives its size.
func (c *cache) writeFile(name string, doc *document, parts [][]byte) (size int64, err error) {
	content, err := encodeFile(name, doc, parts)
	if err != nil {
		return 0, err
	}
	path := c.path(name)
	if err := c.makeFolder(filepath.Dir(path)); err != nil {
		return 0, err
	}
	temporary := path + "." + c.token() + partial
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary) // the other error says more
		}
	}()
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return 0, err
	}
	return int64(len(content)), os.Rename(temporary, path)
}

// makeFolder makes a folder of files, for this user alone. The cache's own folder, where
// it was there before, is left as it is: it may be somebody else's too.
func (c *cache) makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	found, err := os.Stat(path)
	if err == nil && found.Mode().Perm()&0o077 != 0 {
		err = os.Chmod(path, 0o700)
	}
	return err
}

// readFile reads a value; fs.ErrNotExist where there is none.
func (c *cache) readFile(name string) (*document, [][]byte, error) {
	head, parts, _, err := readCached(c.path(name))
	if err == nil && head.Key != name {
		err = errDamaged
	}
	if err != nil {
		return nil, nil, err
	}
	head.Sealed = nil
	return &head.document, parts, nil
}

func readCached(path string) (fileHead, [][]byte, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return fileHead{}, nil, 0, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return fileHead{}, nil, 0, err
	}
	head, parts, err := decodeFile(content)
	return head, parts, int64(len(content)), err
}

// ours is how the names of the cache's files look, below its folder: two digits, a
// slash, and the others of a hash, perhaps with a token while it is written. Nothing
// else in the folder is touched.
var ours = regexp.MustCompile(`^[0-9a-f]{2}/[0-9a-f]{62}(\.[0-9a-f]{32}\` + partial + `)?$`)

// scan reads the folder in, so that the cache knows what it has: at its first use,
// beside it. Damaged files and those that a crash left half written are removed.
func (c *cache) scan(ctx context.Context) {
	defer c.evict()
	defer close(c.scanned)
	type found struct {
		fileHead
		size int64
		used time.Time
	}
	var all []found
	err := filepath.WalkDir(c.folder, func(path string, item fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		place, err := filepath.Rel(c.folder, path)
		if err != nil {
			return err
		}
		place = filepath.ToSlash(place)
		if item.IsDir() && len(place) > 2 {
			return filepath.SkipDir
		}
		if !item.Type().IsRegular() || !ours.MatchString(place) {
			return nil
		}
		about, err := item.Info()
		if err != nil {
			return nil // it is gone
		}
		if strings.HasSuffix(path, partial) {
			if time.Since(about.ModTime()) > leftFor {
				_ = os.Remove(path) // another front door may have been quicker
			}
			return nil
		}
		head, _, size, err := readCached(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil || c.path(head.Key) != path:
			c.log.Warn("a file of the cache is damaged, and goes", zap.String("file", path), zap.Error(err))
			_ = os.Remove(path) // a damaged one is not used in any case
		default:
			all = append(all, found{head, size, about.ModTime()})
		}
		return nil
	})
	if err != nil && ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Error("the cache cannot be read", zap.String("folder", c.folder), zap.Error(err))
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Compare(b.used.UnixNano(), a.used.UnixNano()) })
	for _, f := range all {
		// Unless it was removed or replaced since it was read.
		if _, err := os.Stat(c.path(f.Key)); err == nil {
			c.note(f.Key, &f.document, f.size, false)
		}
	}
}
