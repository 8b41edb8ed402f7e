// Import journal: which items of a file are done, beside the file, so that an
// import that was ended goes on.

package admin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// journalHead begins the first line, which ends with the digest of the file.
const journalHead = "gatehouse import "

// journal is a file with the number of each finished item, a line each. An item
// that has failed is not in it: it is tried again.
type journal struct {
	file *os.File // nil where nothing is kept
	done []uint64 // a bit for each item
	had  int      // items that were done before
}

// openJournal opens the journal of a file, or begins one. One of another file, or
// of the file as it was, is refused unless restart is true.
func openJournal(path, digest string, restart bool) (*journal, error) {
	flags := os.O_RDWR | os.O_CREATE
	if restart {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the progress of the import cannot be kept: %w", err)
	}
	j := &journal{file: f}
	if err := j.read(digest); err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

func (j *journal) read(digest string) error {
	in, kept := bufio.NewReader(j.file), int64(0)
	head, err := in.ReadString('\n')
	if errors.Is(err, io.EOF) { // new, or ended while it was begun
		return j.begin(digest)
	}
	if err != nil {
		return err
	}
	if head != journalHead+digest+"\n" {
		return usagef("%s is of another file, or of this one before it was changed; --restart begins anew", j.file.Name())
	}
	kept += int64(len(head))
	for {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) { // what has no end was being written
			if err := j.file.Truncate(kept); err != nil {
				return err
			}
			_, err = j.file.Seek(kept, io.SeekStart)
			return err
		}
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(strings.TrimSuffix(line, "\n"))
		if err != nil || n < 1 {
			return usagef("%s cannot be read; --restart begins anew", j.file.Name())
		}
		kept += int64(len(line))
		if !j.has(n) {
			j.had++
			j.mark(n)
		}
	}
}

func (j *journal) begin(digest string) error {
	if err := j.file.Truncate(0); err != nil {
		return err
	}
	if _, err := j.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := fmt.Fprintln(j.file, journalHead+digest)
	return err
}

func (j *journal) has(n int) bool {
	return n/64 < len(j.done) && j.done[n/64]&(1<<(n%64)) != 0
}

func (j *journal) mark(n int) {
	for n/64 >= len(j.done) {
		j.done = append(j.done, 0)
	}
	j.done[n/64] |= 1 << (n % 64)
}

// finish notes that an item is done.
func (j *journal) finish(n int) error {
	j.mark(n)
	if j.file == nil {
		return nil
	}
	_, err := fmt.Fprintln(j.file, n)
	return err
}

// close keeps the journal, or removes it where all is done.
func (j *journal) close(remove bool) error {
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	if remove {
		err = errors.Join(err, os.Remove(j.file.Name()))
	}
	return err
}
