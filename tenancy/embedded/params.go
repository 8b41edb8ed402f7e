// Params: the options of a call, read as kivik's CouchDB driver sends them and as
// CouchDB understands them. Names that nobody knows are ignored, as CouchDB does.

package embedded

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-kivik/kivik/v4/driver"
)

// params are the options by name: a string for what would be in the URL, and
// json.RawMessage for what the CouchDB driver makes JSON of.
type params map[string]any

// jsonParams are Go values that the CouchDB driver encodes as JSON, so that a
// caller gives kivik.Param("startkey", "a") for the key "a".
var jsonParams = map[string]bool{
	"startkey": true, "start_key": true, "endkey": true, "end_key": true,
	"key": true, "keys": true, "doc_ids": true,
}

// readParams collects the options of a call; 400 for a value of a type that the
// CouchDB driver cannot send.
func readParams(options driver.Options) (params, error) {
	p := params{}
	options.Apply(map[string]any(p))
	for name, value := range p {
		if jsonParams[name] {
			raw, err := encodeJSON(value)
			if err != nil {
				return nil, err
			}
			if raw, err = compactJSON(raw); err != nil {
				return nil, err
			}
			p[name] = json.RawMessage(raw)
			continue
		}
		text, err := paramText(value)
		if err != nil {
			return nil, err
		}
		p[name] = text
	}
	return p, nil
}

// paramText gives the text that a value has in a URL.
func paramText(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case []string:
		if len(v) > 0 {
			return v[len(v)-1], nil // CouchDB takes the last
		}
		return "", nil
	case bool, int, uint, uint8, uint16, uint32, uint64, int8, int16, int32, int64:
		return fmt.Sprint(v), nil
	default:
		return "", &failure{status: http.StatusBadRequest, text: fmt.Sprintf("kivik: invalid type %T for options", value)}
	}
}

// text gives an option, "" where it is absent.
func (p params) text(name string) string {
	s, _ := p[name].(string)
	return s
}

// boolean gives an option that is true or false. Where CouchDB refuses another
// value is checked by flag.
func (p params) boolean(name string, otherwise bool) bool {
	switch strings.ToLower(p.text(name)) {
	case "true":
		return true
	case "false":
		return false
	}
	return otherwise
}

// flag gives an option that must be true or false; 400 for another value.
func (p params) flag(name string, otherwise bool) (bool, error) {
	value, given := p[name]
	if !given {
		return otherwise, nil
	}
	switch strings.ToLower(p.text(name)) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, badRequest(fmt.Sprintf("Invalid boolean parameter: %q", value))
}

// natural gives an option that is a number from 0 on, otherwise where it is
// absent; 400 for another value.
func (p params) natural(name string, otherwise int64) (int64, error) {
	if _, given := p[name]; !given {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(p.text(name), 10, 64)
	if err != nil {
		return 0, badRequest(fmt.Sprintf("Invalid value for integer: %q", p.text(name)))
	}
	if n < 0 {
		return 0, badRequest(fmt.Sprintf("Invalid value for positive integer: %q", p.text(name)))
	}
	return n, nil
}

// either gives the first JSON option that is there, of an option's two spellings.
func (p params) either(names ...string) json.RawMessage {
	for _, name := range names {
		if raw, ok := p[name].(json.RawMessage); ok {
			return raw
		}
	}
	return nil
}

// rowQuery is what _all_docs and views are asked for.
type rowQuery struct {
	start, end     json.RawMessage // nil: no bound
	startID, endID string
	keys           []json.RawMessage // nil: a range; the rows of these otherwise
	inclusiveEnd   bool
	descending     bool
	limit, skip    int64 // limit -1: none
	includeDocs    bool
	withSeq        bool
}

// rowQuery reads the options of
// https://docs.couchdb.org/en/stable/api/database/bulk-api.html#get--db-_all_docs;
// 400 for what CouchDB refuses.
func (p params) rowQuery() (*rowQuery, error) {
	if _, given := p["queries"]; given {
		return nil, unsupported("several queries in one request")
	}
	q := &rowQuery{
		start: p.either("startkey", "start_key"),
		end:   p.either("endkey", "end_key"),
	}
	if key := p.either("key"); key != nil {
		q.start, q.end = key, key
	}
	q.startID = p.text("startkey_docid") + p.text("start_key_doc_id")
	q.endID = p.text("endkey_docid") + p.text("end_key_doc_id")
	var err error
	for name, target := range map[string]*bool{
		"descending":   &q.descending,
		"include_docs": &q.includeDocs,
		"update_seq":   &q.withSeq,
	} {
		if *target, err = p.flag(name, false); err != nil {
			return nil, err
		}
	}
	if q.inclusiveEnd, err = p.flag("inclusive_end", true); err != nil {
		return nil, err
	}
	if q.limit, err = p.natural("limit", -1); err != nil {
		return nil, err
	}
	if q.skip, err = p.natural("skip", 0); err != nil {
		return nil, err
	}
	if raw := p.either("keys"); raw != nil {
		if raw[0] != '[' {
			return nil, badRequest("`keys` member must be an array.")
		}
		q.keys = []json.RawMessage{}
		for key := range elements(raw) {
			q.keys = append(q.keys, key)
		}
		if len(q.keys) > 0 && (q.start != nil || q.end != nil) {
			return nil, badRequest("`keys` is incompatible with `key`, `start_key` and `end_key`")
		}
	}
	return q, nil
}
