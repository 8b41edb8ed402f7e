// The view domain-and-aliases: its index, kept in the transaction that writes a
// document, so that the answer is never behind the documents.
//
// Every database has the index, not only global/instances: it holds then for
// documents that are older than the design document, a write costs nothing more
// where no document has a domain, and no name is special.

package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/go-kivik/kivik/v4/driver"
)

// domainView is the name of the view, and of its design document.
const domainView = "domain-and-aliases"

// domainsOf gives the keys that a document emits: its domain, then each alias.
// CouchDB's function emits values that are no strings too, a missing domain as
// null; nobody looks for those.
func domainsOf(body []byte) []string {
	if !bytes.Contains(body, []byte(`"domain`)) {
		return nil
	}
	var domain, aliases []string
	for m := range members(body) {
		switch {
		case m.name == "domain" && m.value[0] == '"':
			domain = []string{unquote(m.value)}
		case m.name == "domain_aliases" && m.value[0] == '[':
			aliases = nil
			for e := range elements(m.value) {
				if e[0] == '"' {
					aliases = append(aliases, unquote(e))
				}
			}
		}
	}
	keys := slices.DeleteFunc(append(domain, aliases...), func(s string) bool { return len(s) > maxKeyPart })
	return keys[:min(len(keys), 1<<16)] // what the number in a row's key can tell apart
}

// index replaces a document's rows.
func (d *database) index(id string, before, after []string) error {
	if isDesign(id) || slices.Equal(before, after) {
		return nil
	}
	for n, domain := range before {
		if err := d.bucket.Delete(domainKey(domain, id, n)); err != nil {
			return err
		}
	}
	for n, domain := range after {
		if err := d.bucket.Put(domainKey(domain, id, n), nil); err != nil {
			return err
		}
	}
	d.counters.rows += uint64(len(after)) - uint64(len(before)) // wraps around to a subtraction
	return nil
}

// Ends of a domain within a key: the lowest bytes that a domain's own, escaped,
// cannot have, and the same after all rows of that domain.
var (
	domainEnd   = []byte{0, 1}
	domainAfter = []byte{0, 2}
)

// domainPrefix is the key of a domain's rows, without its end. Zero bytes are
// escaped, so that the order of the keys is that of the domains, by bytes;
// CouchDB's is ICU's, which differs for what is outside of a-z, 0-9, - and the dot.
func domainPrefix(domain string) []byte {
	return append([]byte{prefixDomain}, bytes.ReplaceAll([]byte(domain), []byte{0}, []byte{0, 0xff})...)
}

// domainKey is the key of a row. Its number within the document keeps a domain
// that is its own alias apart.
func domainKey(domain, id string, n int) []byte {
	key := append(domainPrefix(domain), domainEnd...)
	key = append(key, id...)
	return binary.BigEndian.AppendUint16(key, uint16(n))
}

// cutDomainKey takes a key apart.
func cutDomainKey(key []byte) (domain, id string, err error) {
	end := bytes.Index(key, domainEnd)
	if end < 1 || len(key) < end+4 {
		return "", "", errDamaged
	}
	name := bytes.ReplaceAll(key[1:end], []byte{0, 0xff}, []byte{0})
	return string(name), string(key[end+2 : len(key)-2]), nil
}

// Query answers the view domain-and-aliases of the design document of that name,
// as https://docs.couchdb.org/en/stable/api/ddoc/views.html documents it for a
// view without a reduce. 404 without that document; 501 for any other view.
func (d *db) Query(ctx context.Context, ddoc, view string, options driver.Options) (driver.Rows, error) {
	params, err := readParams(options)
	if err != nil {
		return nil, err
	}
	query, err := params.rowQuery()
	if err != nil {
		return nil, err
	}
	if err := d.store.read(ctx, d.name, func(t *database) error { return t.hasView(ddoc, view) }); err != nil {
		return nil, err
	}
	if ddoc != domainView || view != domainView {
		return nil, unsupported("the view _design/" + ddoc + "/_view/" + view + ": it runs no JavaScript and no Mango, and answers " + domainView + " alone, itself")
	}
	if params.boolean("reduce", false) {
		return nil, badRequest("Reduce is invalid for map-only views.")
	}
	if params.boolean("group", false) || params["group_level"] != nil {
		return nil, badRequest("Invalid use of grouping on a map view.")
	}
	return newRows(ctx, d, query, &domains, query.domainRanges())
}

// domains is the list of the view's rows.
var domains = listing{space: prefixDomain, make: domainRow, total: func(t *database) (uint64, error) {
	return t.counters.rows, nil
}}

// hasView tells whether a design document has a view; 404 with CouchDB's reasons
// where it does not exist.
func (d *database) hasView(ddoc, view string) error {
	r, found, err := d.doc("_design/" + ddoc)
	switch {
	case err != nil:
		return err
	case !found:
		return missingDoc()
	case r.deleted:
		return deletedDoc()
	}
	var body struct {
		Views map[string]json.RawMessage `json:"views"`
	}
	if json.Unmarshal(r.body, &body) != nil || body.Views[view] == nil {
		return answer(http.StatusNotFound, "missing_named_view")
	}
	return nil
}

// domainRow makes a row of the view.
func domainRow(t *database, q *rowQuery, key, _ []byte) (r row, ok bool, err error) {
	domain, id, err := cutDomainKey(key)
	if err != nil {
		return r, false, err
	}
	r = row{id: id, key: appendString(nil, domain), value: []byte("null")}
	if q.includeDocs {
		doc, found, err := t.doc(id)
		if err != nil {
			return r, false, err
		}
		r.doc = []byte("null")
		if found && !doc.deleted {
			r.doc = renderDoc(id, doc, nil)
		}
	}
	return r, true, nil
}

// domainRanges gives the parts of the index that a query asks for, in the order
// of its answer.
func (q *rowQuery) domainRanges() []keyRange {
	if q.keys == nil {
		return []keyRange{q.domainRange(q.start, q.end)}
	}
	ranges := make([]keyRange, 0, len(q.keys))
	for _, key := range q.keys {
		ranges = append(ranges, q.domainRange(key, key))
	}
	if q.descending {
		slices.Reverse(ranges)
	}
	return ranges
}

func (q *rowQuery) domainRange(start, end json.RawMessage) keyRange {
	r := prefixRange(prefixDomain)
	if q.descending {
		if end != nil {
			r.lower = domainLower(end, q.endID, q.inclusiveEnd)
		}
		if start != nil {
			r.upper = domainUpper(start, q.startID, true)
		}
		return r
	}
	if start != nil {
		r.lower = domainLower(start, q.startID, true)
	}
	if end != nil {
		r.upper = domainUpper(end, q.endID, q.inclusiveEnd)
	}
	return r
}

// domainLower is where the rows from a key on begin, at an id where one is given.
func domainLower(key json.RawMessage, id string, inclusive bool) []byte {
	switch bound, isString := otherType(key); {
	case !isString:
		return bound
	case !inclusive:
		return append(domainPrefix(unquote(key)), domainAfter...)
	default:
		return append(append(domainPrefix(unquote(key)), domainEnd...), id...)
	}
}

// domainUpper is where the rows up to a key end, at an id where one is given.
func domainUpper(key json.RawMessage, id string, inclusive bool) []byte {
	switch bound, isString := otherType(key); {
	case !isString:
		return bound
	case !inclusive:
		return append(domainPrefix(unquote(key)), domainEnd...)
	case id == "":
		return append(domainPrefix(unquote(key)), domainAfter...)
	default: // behind all rows of that document
		return append(append(append(domainPrefix(unquote(key)), domainEnd...), id...), 0xff, 0xff, 0)
	}
}

// otherType places a key that is no string: before all strings, or after, in
// CouchDB's order of types.
func otherType(key json.RawMessage) (bound []byte, isString bool) {
	switch key[0] {
	case '"':
		return nil, true
	case '[', '{':
		return []byte{prefixDomain + 1}, false
	default:
		return []byte{prefixDomain}, false
	}
}
