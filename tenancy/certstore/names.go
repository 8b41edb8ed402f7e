// Names: certmagic's keys in their normal form, and the ids of their documents.

package certstore

import (
	"fmt"
	"path"
	"strings"
)

// Beginnings of ids, by the kind of document.
const (
	valuePrefix = "value/"
	chunkPrefix = "chunk/"
	lockPrefix  = "lock/"
	// last is beyond every character of an id.
	last = "\x7f"
	// afterSlash follows the slash: what is below a key ends before it.
	afterSlash = "0"
)

// clean gives the normal form of a key: no slash at either end, no empty parts,
// no dots. "" is the root. No key leads out of it.
func clean(key string) string { return strings.TrimPrefix(path.Clean("/"+key), "/") }

// fileKey is clean for a key that has to have a value, or can have one.
func fileKey(op, key string) (string, error) {
	name := clean(key)
	switch {
	case name == "":
		return "", fmt.Errorf("%s %q: this key is the root, and can have no value", op, key)
	case len(name) > MaxKey:
		return "", fmt.Errorf("%s: a key of %d bytes is %w: the limit is %d", op, len(name), ErrTooLarge, MaxKey)
	}
	return name, nil
}

// escape makes a part of an id of a key. Ids are ASCII, since not every server
// orders others alike.
func escape(name string) string {
	plain := 0
	for i := range len(name) {
		if isPlain(name[i]) {
			plain++
		}
	}
	if plain == len(name) {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; isPlain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func isPlain(c byte) bool { return c > ' ' && c < 0x7f && c != '%' }

// unescape is the reverse of escape; ok is false for what escape does not make.
func unescape(id string) (name string, ok bool) {
	if !strings.Contains(id, "%") {
		return id, true
	}
	var b strings.Builder
	for i := 0; i < len(id); i++ {
		if id[i] != '%' {
			b.WriteByte(id[i])
			continue
		}
		var c byte
		if len(id) < i+3 {
			return "", false
		}
		if _, err := fmt.Sscanf(id[i+1:i+3], "%02X", &c); err != nil {
			return "", false
		}
		b.WriteByte(c)
		i += 2
	}
	return b.String(), true
}

func valueID(name string) string { return valuePrefix + escape(name) }

func lockID(name string) string { return lockPrefix + escape(name) }

func chunkID(content string, index int) string {
	return fmt.Sprintf("%s%s/%04d", chunkPrefix, content, index)
}

// below is where the ids of the keys below a directory begin.
func below(dir string) string {
	if dir == "" {
		return valuePrefix
	}
	return valueID(dir) + "/"
}

// tree collects what a listing of a directory has: keys with a value, and the
// directories that lead to them, each once.
type tree struct {
	dir       string
	recursive bool
	seen      map[string]bool
	keys      []string
}

// add takes a key below the directory.
func (t *tree) add(name string) {
	rest := name
	if t.dir != "" {
		rest = name[len(t.dir)+1:]
	}
	if !t.recursive {
		child, _, _ := strings.Cut(rest, "/")
		t.note(path.Join(t.dir, child))
		return
	}
	for i := range len(rest) {
		if rest[i] == '/' {
			t.note(path.Join(t.dir, rest[:i]))
		}
	}
	t.note(name)
}

func (t *tree) note(key string) {
	if !t.seen[key] {
		t.seen[key] = true
		t.keys = append(t.keys, key)
	}
}

// compareKeys orders keys as a walk over folders does: what is in a folder comes
// right after it.
func compareKeys(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		if a[i] == '/' {
			return -1
		}
		if b[i] == '/' {
			return 1
		}
		return int(a[i]) - int(b[i])
	}
	return len(a) - len(b)
}

// inside tells whether name is below dir.
func inside(name, dir string) bool {
	return dir == "" || len(name) > len(dir) && name[len(dir)] == '/' && name[:len(dir)] == dir
}
