// Names: which domains, apps and files can have a name in a storage.

package files

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Bounds of names, in bytes; file systems have 255 for each part of a path.
const (
	maxPart        = 255
	maxName        = 1024
	maxDepth       = 64
	maxDirectories = 1000
)

// suffix is what the names of compressed files end with on disk.
const suffix = ".br"

// ErrName: something that has, or would get, no name in a storage.
var ErrName = errors.New("not a name that files can have")

// reserved are names beside those of instances that a stack has in the same folder.
var reserved = map[string]bool{"dyn-assets": true, exports: true}

func checkInstance(inst Instance) error {
	if err := checkPart(inst.Domain, maxPart); err != nil {
		return fmt.Errorf("domain: %w", err)
	}
	if strings.HasPrefix(inst.Domain, ".") || reserved[inst.Domain] {
		return fmt.Errorf("domain: %w: a stack keeps other files there", ErrName)
	}
	return nil
}

var (
	slugs    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	versions = regexp.MustCompile(`^[0-9][0-9A-Za-z.+-]{0,127}-[0-9a-f]{64}$`)
	prefixes = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,199}$`)
)

func checkApp(app App) error {
	switch {
	case app.Kind != Webapp && app.Kind != Konnector:
		return fmt.Errorf("app: %w: it is neither a webapp nor a konnector", ErrName)
	case !slugs.MatchString(app.Slug):
		return fmt.Errorf("app: %w: its slug", ErrName)
	case !versions.MatchString(app.Version):
		return fmt.Errorf("app: %w: its version", ErrName)
	}
	return nil
}

// CheckName tells what is wrong with the name of a file in an app, which is a
// path with slashes below the app's root: an ErrName, or nil.
//
// A backslash is refused although some systems would take it: it is a slash to
// others, and to browsers.
func CheckName(name string) error {
	switch {
	case len(name) > maxName:
		return fmt.Errorf("%w: longer than %d bytes", ErrName, maxName)
	case !fs.ValidPath(name) || name == ".":
		return fmt.Errorf("%w: it is absolute, or has a part that is empty, . or .. itself", ErrName)
	case strings.Count(name, "/") >= maxDepth:
		return fmt.Errorf("%w: deeper than %d folders", ErrName, maxDepth)
	}
	for part := range strings.SplitSeq(name, "/") {
		if err := checkPart(part, maxPart-len(suffix)); err != nil {
			return err
		}
	}
	return nil
}

// checkPart checks one part of a path.
func checkPart(part string, longest int) error {
	switch {
	case part == "" || part == "." || part == "..":
		return fmt.Errorf("%w: it is empty, . or .. itself", ErrName)
	case len(part) > longest:
		return fmt.Errorf("%w: a part of it is longer than %d bytes", ErrName, longest)
	case !utf8.ValidString(part):
		return fmt.Errorf("%w: it is not UTF-8", ErrName)
	case strings.ContainsFunc(part, func(r rune) bool { return r == '/' || r == '\\' || r < ' ' || r == 0x7f }):
		return fmt.Errorf("%w: it holds a slash, a backslash or a control character", ErrName)
	}
	return nil
}

// directory gives the path of an instance's directory below its root.
func directory(path string) (string, error) {
	below, ok := strings.CutPrefix(path, "/")
	if !ok {
		return "", fmt.Errorf("directory: %w: it does not begin with a slash", ErrName)
	}
	if err := CheckName(below); err != nil {
		return "", fmt.Errorf("directory: %w", err)
	}
	return below, nil
}
