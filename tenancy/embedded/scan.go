// Scan: the members of a JSON object, in their order, each as its text. The text
// is valid and compact, which makes this small and fast.

package embedded

import (
	"bytes"
	"encoding/json"
	"iter"
)

// member is one field of an object. Its texts belong to the object.
type member struct {
	name  string
	value []byte // as JSON
	raw   []byte // name and value, as JSON
}

// members walks over the fields of a compact JSON object.
func members(object []byte) iter.Seq[member] {
	return func(yield func(member) bool) {
		for i := 1; i < len(object)-1; {
			colon := valueEnd(object, i)
			end := valueEnd(object, colon+1)
			if !yield(member{
				name:  unquote(object[i:colon]),
				value: object[colon+1 : end],
				raw:   object[i:end],
			}) {
				return
			}
			i = end + 1 // behind the comma, or behind the object
		}
	}
}

// elements walks over the values of a compact JSON array.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := 1; i < len(array)-1; {
			end := valueEnd(array, i)
			if !yield(array[i:end]) {
				return
			}
			i = end + 1
		}
	}
}

// valueEnd gives where the value that starts at i ends.
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		depth := 0
		for {
			switch b[i] {
			case '"':
				i = stringEnd(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
				if depth == 0 {
					return i + 1
				}
			}
			i++
		}
	default: // a number or a word
		for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' {
			i++
		}
		return i
	}
}

// stringEnd gives where the string that starts at i ends, behind its quote.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// unquote gives the text of a JSON string.
func unquote(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // it is valid
	return s
}

// appendString adds a text as a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, _ := json.Marshal(s) // a string has no error
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendMember adds a member to an object that is not closed yet.
func appendMember(object, raw []byte) []byte {
	if len(object) > 1 {
		object = append(object, ',')
	}
	return append(object, raw...)
}
