// Documents: from a caller's JSON to what is stored, and back, without a detour
// through Go values, so that unknown fields and long numbers survive.

package embedded

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"
)

// document is an edit that a caller asks for.
type document struct {
	id      string
	rev     string // as parseRev gives it; "" where the caller gave none
	deleted bool
	body    []byte // compact, without the special fields
	sum     [16]byte
	domains []string // keys of the view domain-and-aliases
}

// encodeDoc gives the JSON of a value that a caller hands to Put or CreateDoc.
// The types that are JSON already are those of kivik's CouchDB driver.
func encodeDoc(doc any) ([]byte, error) {
	switch t := doc.(type) {
	case []byte:
		return t, nil
	case string:
		return []byte(t), nil
	}
	return encodeJSON(doc)
}

// encodeJSON gives the JSON of any value; 400 where it has none.
func encodeJSON(value any) ([]byte, error) {
	if raw, ok := value.(json.RawMessage); ok {
		return raw, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, &failure{status: http.StatusBadRequest, text: err.Error(), cause: err}
	}
	return b.Bytes(), nil
}

// parseDocument reads an edit of the document id, or of the body's own _id where
// that is ""; one that has neither gets a new id. It refuses what CouchDB refuses: see
// https://docs.couchdb.org/en/stable/api/document/common.html#special-fields.
func (s *Store) parseDocument(id string, raw []byte) (*document, error) {
	compact, err := compactJSON(raw)
	if err != nil {
		return nil, err
	}
	if compact[0] != '{' {
		return nil, badRequest("Document must be a JSON object")
	}
	doc := &document{body: make([]byte, 1, len(compact))}
	doc.body[0] = '{'
	for m := range members(compact) {
		if strings.HasPrefix(m.name, "_") {
			keep, err := doc.special(m)
			if err != nil {
				return nil, err
			}
			if !keep {
				continue
			}
		}
		doc.body = appendMember(doc.body, m.raw)
	}
	doc.body = append(doc.body, '}')
	if id != "" {
		doc.id = id // CouchDB does not compare it with the body's
	}
	if doc.id == "" {
		if doc.id, err = s.newID(); err != nil {
			return nil, err
		}
	}
	if len(doc.body) > s.config.maxDocumentSize {
		return nil, answer(http.StatusRequestEntityTooLarge, doc.id)
	}
	doc.sum = sum(doc.body)
	if !doc.deleted {
		doc.domains = domainsOf(doc.body)
	}
	return doc, nil
}

// special takes a field whose name begins with an underscore; keep tells that it
// stays in the body.
func (doc *document) special(m member) (keep bool, err error) {
	switch m.name {
	case "_id":
		if m.value[0] != '"' {
			return false, badRequest("Document id must be a string")
		}
		doc.id = unquote(m.value)
		return false, validateID(doc.id)
	case "_rev":
		if m.value[0] != '"' {
			return false, errRevFormat()
		}
		doc.rev, err = parseRev(unquote(m.value))
		return false, err
	case "_deleted":
		if s := string(m.value); s == "true" || s == "false" {
			doc.deleted = s == "true"
			return false, nil
		}
	case "_attachments":
		if string(m.value) == "{}" {
			return false, nil
		}
		if m.value[0] == '{' {
			return false, unsupported("attachments")
		}
	case "_revisions", "_revs_info", "_local_seq", "_conflicts", "_deleted_conflicts":
		// What a read may have added. CouchDB takes the parent's revision out of
		// _revisions where there is no _rev; only a replicator sends that.
		return false, nil
	case "_access", "_replication_id", "_replication_state", "_replication_state_time", "_replication_state_reason", "_replication_stats":
		return true, nil
	}
	return false, badRequest("Bad special document member: " + m.name)
}

// validateID refuses what CouchDB refuses as the id of a document, and ids of
// more than maxKeyPart bytes, which it would take.
func validateID(id string) error {
	switch {
	case id == "":
		return badRequest("Document id must not be empty")
	case id == "_design/" || id == "_local/":
		return badRequest("Illegal document id `" + id + "`")
	case len(id) > maxKeyPart:
		return badRequest("Document id is too long")
	case !utf8.ValidString(id):
		return badRequest("Document id must be valid UTF-8")
	case id[0] == '_' && !isDesign(id) && !isLocal(id):
		return badRequest("Only reserved document ids may start with underscore.")
	}
	return nil
}

// rendered are the fields that a read adds to a body.
type rendered struct {
	id      string
	rev     string
	deleted bool
	extra   []byte // members, each with a comma before it
}

// render makes the JSON that a caller gets; it copies body out of the transaction.
func (r rendered) render(body []byte) []byte {
	b := make([]byte, 0, len(`{"_id":,"_rev":"","_deleted":true}`)+len(r.id)+2+len(r.rev)+len(body)+len(r.extra))
	b = append(b, `{"_id":`...)
	b = appendString(b, r.id)
	b = append(b, `,"_rev":"`...)
	b = append(b, r.rev...)
	b = append(b, '"')
	if len(body) > 2 {
		b = append(b, ',')
		b = append(b, body[1:len(body)-1]...)
	}
	if r.deleted {
		b = append(b, `,"_deleted":true`...)
	}
	b = append(b, r.extra...)
	return append(b, '}')
}

// renderDoc makes the JSON of a stored document.
func renderDoc(id string, r record, extra []byte) []byte {
	return rendered{id: id, rev: r.rev.String(), deleted: r.deleted, extra: extra}.render(r.body)
}

// compactJSON checks JSON text and takes the spaces out; 400 where it is none.
func compactJSON(raw []byte) ([]byte, error) {
	if !utf8.Valid(raw) {
		return nil, errJSON(errors.New("not UTF-8"))
	}
	var b bytes.Buffer
	b.Grow(len(raw))
	if err := json.Compact(&b, raw); err != nil {
		return nil, errJSON(err)
	}
	return b.Bytes(), nil
}

func errJSON(err error) error {
	return &failure{status: http.StatusBadRequest, text: "Bad Request: invalid UTF-8 JSON", cause: err}
}
