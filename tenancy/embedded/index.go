// Indexes: Mango's, kept as the design documents that CouchDB makes of them, so
// that they are in place when the documents move to a CouchDB. None is run here.

package embedded

import (
	"context"
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-kivik/kivik/v4/driver"
)

// CreateIndex stores an index in its design document, which it makes or adds to;
// an index that is there already costs no write. ddoc and name may be empty, and
// are then made from the definition. Errors: 400 for a definition that CouchDB
// refuses, 404 without the database. See
// https://docs.couchdb.org/en/stable/api/database/find.html#db-index.
func (d *db) CreateIndex(ctx context.Context, ddoc, name string, index any, _ driver.Options) error {
	raw, err := encodeDoc(index)
	if err != nil {
		return err
	}
	def, err := compactJSON(raw)
	if err != nil {
		return err
	}
	view, err := indexView(def)
	if err != nil {
		return err
	}
	// CouchDB names an index by a digest of its definition as well, of a form
	// that only Erlang has.
	digest := fmt.Sprintf("%x", sha1.Sum(def))
	if name == "" {
		name = digest
	}
	if ddoc == "" {
		ddoc = digest
	}
	id := "_design/" + strings.TrimPrefix(ddoc, "_design/")
	if err := validateID(id); err != nil {
		return err
	}
	return d.design(ctx, id, func(body []byte) ([]byte, error) {
		language, views := []byte(`"query"`), []byte("{}")
		for m := range members(body) {
			switch m.name {
			case "language":
				language = m.value
			case "views":
				views = m.value
			}
		}
		if string(language) != `"query"` {
			return nil, badRequest("Invalid design document query language.")
		}
		views = setMember(views, name, view)
		return setMember(setMember(body, "language", language), "views", views), nil
	})
}

// DeleteIndex takes an index out of its design document, and deletes that with
// its last one; 404 without the index.
func (d *db) DeleteIndex(ctx context.Context, ddoc, name string, _ driver.Options) error {
	if ddoc == "" {
		return missingArg("ddoc")
	}
	if name == "" {
		return missingArg("name")
	}
	id := "_design/" + strings.TrimPrefix(ddoc, "_design/")
	return d.design(ctx, id, func(body []byte) ([]byte, error) {
		views, found := []byte("{"), false
		for m := range members(body) {
			if m.name != "views" {
				continue
			}
			for view := range members(m.value) {
				if view.name == name {
					found = true
					continue
				}
				views = appendMember(views, view.raw)
			}
		}
		if !found {
			return nil, missingDoc()
		}
		if len(views) == 1 {
			return nil, nil
		}
		return setMember(body, "views", append(views, '}')), nil
	})
}

// design changes a design document in one transaction; edit gets "{}" where
// there is none, and gives nil to delete it.
func (d *db) design(ctx context.Context, id string, edit func(body []byte) ([]byte, error)) error {
	return d.write(ctx, func(t *database) error {
		old, exists, err := t.doc(id)
		if err != nil {
			return err
		}
		doc := &document{id: id}
		before := []byte("{}")
		if exists && !old.deleted {
			doc.rev = old.rev.String()
			before = old.body
		}
		doc.body, err = edit(before)
		if err != nil || string(doc.body) == string(before) {
			return err
		}
		if doc.body == nil {
			doc.deleted = true
			doc.body = []byte("{}")
		}
		doc.sum = sum(doc.body)
		_, err = t.apply(doc)
		return err
	})
}

// GetIndexes lists the indexes of all design documents, as CouchDB does: its own
// index of all documents first.
func (d *db) GetIndexes(ctx context.Context, _ driver.Options) ([]driver.Index, error) {
	indexes := []driver.Index{{
		Name: "_all_docs", Type: "special",
		Definition: map[string]any{"fields": []any{map[string]any{"_id": "asc"}}},
	}}
	err := d.store.read(ctx, d.name, func(t *database) error {
		r := designDocs.whole()
		_, err := r.walk(t.bucket, false, func(key, value []byte) (bool, error) {
			doc, err := decodeRecord(value)
			if err != nil || doc.deleted {
				return true, err
			}
			indexes = append(indexes, indexesOf(string(key[1:]), doc.body)...)
			return true, nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return indexes, nil
}

// indexesOf lists the indexes of a design document.
func indexesOf(id string, body []byte) (indexes []driver.Index) {
	var ddoc struct {
		Language string `json:"language"`
	}
	if json.Unmarshal(body, &ddoc) != nil || ddoc.Language != "query" {
		return nil
	}
	for m := range members(body) {
		if m.name != "views" || m.value[0] != '{' {
			continue
		}
		for view := range members(m.value) {
			if def := listedDefinition(view.value); def != nil {
				indexes = append(indexes, driver.Index{DesignDoc: id, Name: view.name, Type: "json", Definition: def})
			}
		}
	}
	return indexes
}

// listedDefinition gives a view's definition in the form of a list: each field
// with its direction, and no filter where it is empty.
func listedDefinition(view []byte) map[string]any {
	var parsed struct {
		Map struct {
			Fields json.RawMessage `json:"fields"`
			Filter map[string]any  `json:"partial_filter_selector"`
		} `json:"map"`
	}
	if json.Unmarshal(view, &parsed) != nil || len(parsed.Map.Fields) == 0 || parsed.Map.Fields[0] != '{' {
		return nil
	}
	fields := []any{}
	for field := range members(parsed.Map.Fields) {
		fields = append(fields, map[string]any{field.name: unquote(field.value)})
	}
	def := map[string]any{"fields": fields}
	if len(parsed.Map.Filter) > 0 {
		def["partial_filter_selector"] = parsed.Map.Filter
	}
	return def
}

// indexView makes the view that CouchDB makes of a definition.
func indexView(def []byte) ([]byte, error) {
	if def[0] != '{' {
		return nil, badRequest("Index definition must be an object")
	}
	var fields []byte
	filter := []byte("{}")
	for m := range members(def) {
		var err error
		switch m.name {
		case "fields":
			fields, err = indexFields(m.value)
		case "partial_filter_selector":
			filter, err = normalSelector(m.value)
		default:
			err = badRequest("Unknown member of an index definition: " + m.name)
		}
		if err != nil {
			return nil, err
		}
	}
	if fields == nil {
		return nil, badRequest("Missing required key: fields")
	}
	return fmt.Appendf(nil, `{"map":{"fields":%s,"partial_filter_selector":%s},"reduce":"_count","options":{"def":%s}}`, fields, filter, def), nil
}

// indexFields makes {"a":"asc"} of ["a"] or [{"a":"asc"}].
func indexFields(list []byte) ([]byte, error) {
	if list[0] != '[' {
		return nil, badRequest("Sort must be an array of sort specs.")
	}
	fields := []byte{'{'}
	direction := ""
	for e := range elements(list) {
		name, dir := e, []byte(`"asc"`)
		if e[0] == '{' {
			for m := range members(e) {
				name, dir = m.raw[:len(m.raw)-len(m.value)-1], m.value
			}
		}
		if name[0] != '"' || string(name) == `""` || string(dir) != `"asc"` && string(dir) != `"desc"` {
			return nil, badRequest("Invalid sort field: " + string(e))
		}
		if direction != "" && direction != string(dir) {
			return nil, badRequest("Sorts currently only support a single direction for all fields.")
		}
		direction = string(dir)
		fields = appendMember(fields, append(append(append([]byte{}, name...), ':'), dir...))
	}
	return append(fields, '}'), nil
}

// setMember replaces the value of a member, or adds it.
func setMember(object []byte, name string, value []byte) []byte {
	raw := append(append(appendString(nil, name), ':'), value...)
	set := []byte{'{'}
	found := false
	for m := range members(object) {
		if m.name == name {
			found = true
			set = appendMember(set, raw)
			continue
		}
		set = appendMember(set, m.raw)
	}
	if !found {
		set = appendMember(set, raw)
	}
	return append(set, '}')
}

// errSelector is a filter that Mango refuses.
func errSelector(value []byte) error {
	return answer(http.StatusBadRequest, "Selector must be a JSON object: "+string(value))
}

// Interface guards.
var _ driver.Finder = (*db)(nil)
