// Tarballs: good ones and bad ones.

package registrytest

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"math/rand/v2"
)

// Entry is one entry of a tarball.
type Entry struct {
	Header tar.Header
	text   string // of a file; zeros where it is empty
}

// File is a regular file.
func File(name, content string) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644}, text: content}
}

// Folder is a directory.
func Folder(name string) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}}
}

// Special is an entry of another type, with a target for links.
func Special(flag byte, name, target string) Entry {
	return Entry{Header: tar.Header{Typeflag: flag, Name: name, Linkname: target, Mode: 0o644}}
}

// Zeros is a file of zeros, which gzip makes a thousand times smaller.
func Zeros(name string, size int64) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}}
}

// Tarball gives a tar.gz of entries.
func Tarball(entries ...Entry) func(io.Writer) error {
	return func(w io.Writer) error {
		zipped := gzip.NewWriter(w)
		archive := tar.NewWriter(zipped)
		for _, e := range entries {
			if err := archive.WriteHeader(&e.Header); err != nil {
				return err
			}
			if e.Header.Typeflag != tar.TypeReg {
				continue
			}
			var err error
			switch {
			case e.text != "":
				_, err = io.WriteString(archive, e.text)
			default:
				_, err = io.CopyN(archive, zeros{}, e.Header.Size)
			}
			if err != nil {
				return err
			}
		}
		if err := archive.Close(); err != nil {
			return err
		}
		return zipped.Close()
	}
}

// Noise gives a tarball of n files of size bytes each, which cannot be
// compressed. It is made as it is written, and never in memory.
func Noise(n int, size int64) func(io.Writer) error {
	return func(w io.Writer) error {
		source := rand.NewChaCha8([32]byte{1})
		zipped, err := gzip.NewWriterLevel(w, gzip.NoCompression)
		if err != nil {
			return err
		}
		archive := tar.NewWriter(zipped)
		for i := range n {
			header := tar.Header{Typeflag: tar.TypeReg, Name: "noise/" + string(rune('a'+i%26)) + string(rune('a'+i/26)), Size: size, Mode: 0o644}
			if err := archive.WriteHeader(&header); err != nil {
				return err
			}
			if _, err := io.CopyN(archive, source, size); err != nil {
				return err
			}
		}
		if err := archive.Close(); err != nil {
			return err
		}
		return zipped.Close()
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
