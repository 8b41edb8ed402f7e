// Unpack: the checks of a tarball, entry by entry, as it streams by.

package apps

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy/files"
)

// overhead is what a tarball may hold beside the bytes of its files, for each
// entry that is allowed: its header, its padding, and a longer name.
const overhead = 4 << 10

// unpack reads the tarball in s and writes its files. What is wrong with the
// tarball is an ErrTarball or ErrTooLarge; what is wrong with s, or with
// writing, is that error.
func (in *Installer) unpack(ctx context.Context, s *stream, prefix string, w files.AppWriter) error {
	unzipped, err := gzip.NewReader(s)
	if err != nil {
		return s.blame("it is not gzip", err)
	}
	u := &unpacker{
		ctx: ctx, limits: in.limits, prefix: prefix, w: w, s: s,
		raw:    &bounded{r: unzipped, left: in.limits.Unpacked + int64(in.limits.Files)*overhead},
		names:  map[[16]byte]bool{},
		buffer: make([]byte, 64<<10),
	}
	archive := tar.NewReader(u.raw)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // our own check says more
			return s.blame("it is not tar", err)
		}
		if err := u.entry(header, archive); err != nil {
			return err
		}
	}
	if u.files == 0 {
		return refuse("it holds no files")
	}
	// What follows the end of the archive is padding; gzip's own checksum is last.
	if _, err := io.CopyBuffer(io.Discard, u.raw, u.buffer); err != nil {
		return s.blame("it is cut off, or something follows it", err)
	}
	return nil
}

// blame says what is wrong: the stream, or else the tarball.
func (s *stream) blame(problem string, err error) error {
	if s.err != nil && s.err != io.EOF {
		return s.err
	}
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	return refuse(problem)
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrTarball}, args...)...)
}

// unpacker is one tarball on its way.
type unpacker struct {
	ctx     context.Context
	limits  Limits
	prefix  string
	w       files.AppWriter
	s       *stream
	raw     io.Reader
	names   map[[16]byte]bool // hashes: a name may be long, and there may be many
	entries int
	files   int
	bytes   int64
	buffer  []byte
}

// entry takes one entry of the tarball.
func (u *unpacker) entry(header *tar.Header, content io.Reader) error {
	if err := u.ctx.Err(); err != nil {
		return context.Cause(u.ctx)
	}
	if u.entries++; u.entries > u.limits.Files {
		return fmt.Errorf("the tarball is %w: more than %d entries", ErrTooLarge, u.limits.Files)
	}
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeDir:
	case tar.TypeXGlobalHeader: // as git writes it; holds no file
		return nil
	default:
		return refuse("its entry %.100q is %s", header.Name, typeName(header.Typeflag))
	}
	name, err := EntryName(u.prefix, header.Name)
	if err != nil {
		return refuse("its entry %.100q: %v", header.Name, err)
	}
	if header.Typeflag == tar.TypeDir { // folders come with the files in them
		return nil
	}
	if name == "" {
		return refuse("its entry %.100q has no name of its own", header.Name)
	}
	var key [16]byte
	sum := sha256.Sum256([]byte(name))
	copy(key[:], sum[:])
	if u.names[key] {
		return refuse("its entry %.100q is there twice", header.Name)
	}
	u.names[key] = true
	// The reader gives exactly so many bytes of the entry, or fails: the sizes
	// are those of what is written, also for files with holes.
	u.bytes += header.Size
	if header.Size > u.limits.File || u.bytes > u.limits.Unpacked {
		return fmt.Errorf("the app is %w: more than %d bytes in a file, or %d in all", ErrTooLarge, u.limits.File, u.limits.Unpacked)
	}
	u.files++
	return u.write(name, header.Size, content)
}

func (u *unpacker) write(name string, size int64, content io.Reader) error {
	f, err := u.w.Create(u.ctx, name, size)
	if err != nil {
		return err
	}
	from := &readError{r: content}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, from, u.buffer)
	closed := f.Close()
	switch {
	case from.err != nil:
		return u.s.blame("it is cut off, or something follows it", from.err)
	case err != nil:
		return err
	}
	return closed
}

// readError remembers an error of reading, to be told from one of writing.
type readError struct {
	r   io.Reader
	err error
}

func (r *readError) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// bounded ends with an ErrTooLarge rather than quietly.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the tarball is %w when it is decompressed", ErrTooLarge)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}

func typeName(flag byte) string {
	switch flag {
	case tar.TypeSymlink:
		return "a symbolic link"
	case tar.TypeLink:
		return "a hard link"
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeFifo:
		return "a pipe"
	}
	return fmt.Sprintf("of the type %q", flag)
}

// EntryName is the name that an entry of a tarball has in the app: below the
// tarball's prefix, where it is there at all. It is empty for the root itself. A
// name that leads elsewhere, or that files cannot have, is a files.ErrName.
func EntryName(prefix, name string) (string, error) {
	clean, err := cleanEntry(name)
	if err != nil {
		return "", err
	}
	if prefix, err = cleanEntry(prefix); err != nil {
		return "", err
	}
	switch below, found := strings.CutPrefix(clean, prefix+"/"); {
	case clean == prefix:
		clean = ""
	case found && prefix != "":
		clean = below
	}
	if clean == "" {
		return "", nil
	}
	return clean, files.CheckName(clean)
}

// cleanEntry takes ./ and doubled slashes out of a name, which tar programs
// write, and refuses what leads upwards, even if it would come back.
func cleanEntry(name string) (string, error) {
	if strings.HasPrefix(name, "/") {
		return "", fmt.Errorf("%w: it is absolute", files.ErrName)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", fmt.Errorf("%w: it leads upwards", files.ErrName)
		}
	}
	if name = path.Clean(name); name == "." {
		return "", nil
	}
	return name, nil
}
