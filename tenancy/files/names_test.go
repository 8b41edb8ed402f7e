// Names: what no file of an app can be called.

package files_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy/files"
)

var badNames = []string{
	"", ".", "..", "/a", "a/", "a//b", "./a", "a/./b", "../a", "a/../../b", "a\\b", "..\\a", "a\x00b", "a\nb", "a\x7f", "\xff",
	strings.Repeat("a", 253), strings.Repeat("a/", 600) + "a", strings.Repeat("a/", 64) + "a",
}

// FuzzCheckName: a name that is let through stays below the root of an app, with its suffix.
func FuzzCheckName(f *testing.F) {
	for _, name := range append(badNames, "a", "a/b.c", "é", ".hidden", "...", "a..b", "~", "-", "a b", "C:", "con") {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		err := files.CheckName(name)
		if err != nil {
			if !errors.Is(err, files.ErrName) {
				t.Fatal(err)
			}
			return
		}
		if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\x00\n") {
			t.Fatalf("%q is let through", name)
		}
		for part := range strings.SplitSeq(name, "/") {
			if len(part)+len(".br") > 255 || part == "" || part == "." || part == ".." {
				t.Fatalf("%q is let through", name)
			}
		}
	})
}
