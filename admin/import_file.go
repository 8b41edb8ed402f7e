// Import file: the lines of a file of instances, as JSON or as CSV.

package admin

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// item is one instance of a file.
type item struct {
	number int    // its place among the items, from 1
	line   int    // in the file, from 1
	body   []byte // a JSON object in one line
	err    string // why it cannot be sent; may be empty
}

// maxItem bounds one item, so that a batch has room for it, in bytes.
const maxItem = maxBody - 1

// source gives the items of a file one by one, then io.EOF.
type source interface {
	next() (item, error)
}

// jsonLines is a source of one JSON object a line; empty lines are passed over.
type jsonLines struct {
	in           *bufio.Reader
	number, line int
}

func newJSONLines(in io.Reader) *jsonLines { return &jsonLines{in: bufio.NewReaderSize(in, 64<<10)} }

func (s *jsonLines) next() (item, error) {
	for {
		line, long, err := s.read()
		if err != nil {
			return item{}, err
		}
		s.line++
		if line = bytes.TrimSpace(line); len(line) == 0 && !long {
			continue
		}
		s.number++
		it := item{number: s.number, line: s.line, body: line}
		if long {
			it.body, it.err = nil, "the line is longer than 1 MiB"
		}
		return it, nil
	}
}

// read reads a line. Of one that is too long it keeps nothing.
func (s *jsonLines) read() (line []byte, long bool, err error) {
	for {
		part, err := s.in.ReadSlice('\n')
		if !long {
			line = append(line, part...)
		}
		if len(line) > maxItem {
			line, long = nil, true
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && (len(line) > 0 || long):
			return line, long, nil
		default:
			return line, long, err
		}
	}
}

// csvRows is a source of rows, by the names in the first: parameters of the API.
// An empty cell says nothing.
type csvRows struct {
	in     *csv.Reader
	names  []string
	number int
}

func newCSVRows(in io.Reader) (*csvRows, error) {
	s := &csvRows{in: csv.NewReader(in)}
	s.in.ReuseRecord = true
	head, err := s.in.Read()
	if err != nil {
		return nil, usagef("the first line has to have the names of the columns, as in Domain,Locale,Email: %v", err)
	}
	s.names = slices.Clone(head)
	for i, name := range s.names {
		if i == 0 {
			name = string(bytes.TrimPrefix([]byte(name), []byte("\ufeff"))) // spreadsheets write it
			s.names[0] = name
		}
		if parameters[name] == nil && name != "Domain" {
			return nil, usagef("the column %q is not a parameter of the API, as Domain, Locale and Email are", name)
		}
		if slices.Contains(s.names[:i], name) {
			return nil, usagef("the column %q is there twice", name)
		}
	}
	if !slices.Contains(s.names, "Domain") {
		return nil, usagef("there is no column Domain")
	}
	return s, nil
}

func (s *csvRows) next() (item, error) {
	row, err := s.in.Read()
	if errors.Is(err, io.EOF) {
		return item{}, err
	}
	s.number++
	it := item{number: s.number}
	var parse *csv.ParseError
	switch {
	case errors.As(err, &parse):
		it.line, it.err = parse.StartLine, parse.Err.Error()
		if !errors.Is(err, csv.ErrFieldCount) { // nothing after it can be trusted
			return item{}, fmt.Errorf("line %d: %w", parse.Line, parse.Err)
		}
		return it, nil
	case err != nil:
		return item{}, err
	}
	it.line, _ = s.in.FieldPos(0)
	object := map[string]string{}
	for i, cell := range row {
		if cell != "" {
			object[s.names[i]] = cell
		}
	}
	if it.body, err = json.Marshal(object); err != nil {
		return item{}, err
	}
	if len(it.body) > maxItem {
		it.body, it.err = nil, "the row is longer than 1 MiB"
	}
	return it, nil
}

// newSource is the source of a format.
func newSource(format string, in io.Reader) (source, error) {
	switch format {
	case "csv":
		return newCSVRows(in)
	case "jsonl":
		return newJSONLines(in), nil
	}
	return nil, usagef("--format is jsonl or csv")
}

// survey reads a file once: its digest, and how many items it has.
func survey(format string, in io.Reader) (digest string, count int, err error) {
	sum := sha256.New()
	src, err := newSource(format, io.TeeReader(in, sum))
	if err != nil {
		return "", 0, err
	}
	for {
		_, err := src.next()
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(sum.Sum(nil)), count, nil
		}
		if err != nil {
			return "", 0, err
		}
		count++
	}
}
