// Database: reading and writing single documents.

package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/go-kivik/kivik/v4/driver"
)

// db is a handle to a database, which need not exist.
type db struct {
	store *Store
	name  string
}

// Put writes a document. Its parent's revision is _rev in the body, or the option
// rev. Errors: 409 where that is not the current one, 400 for a bad id, revision
// or field, 404 without the database, 413 for a body over the limit, 501 for
// attachments and new_edits=false. See
// https://docs.couchdb.org/en/stable/api/document/common.html#put--db-docid.
func (d *db) Put(ctx context.Context, id string, doc any, options driver.Options) (string, error) {
	if err := validateID(id); err != nil {
		return "", err
	}
	_, rev, err := d.edit(ctx, id, doc, options)
	return rev, err
}

// CreateDoc writes a document under its own _id, or under a new one.
func (d *db) CreateDoc(ctx context.Context, doc any, options driver.Options) (id, rev string, err error) {
	return d.edit(ctx, "", doc, options)
}

// edit is Put under an id, or under the body's own where that is "".
func (d *db) edit(ctx context.Context, id string, value any, options driver.Options) (string, string, error) {
	params, err := readParams(options)
	if err != nil {
		return "", "", err
	}
	if !params.boolean("new_edits", true) {
		return "", "", unsupported("new_edits=false")
	}
	raw, err := encodeDoc(value)
	if err != nil {
		return "", "", err
	}
	doc, err := d.store.parseDocument(id, raw)
	if err != nil {
		return "", "", err
	}
	if rev := params.text("rev"); rev != "" {
		if rev, err = parseRev(rev); err != nil {
			return "", "", err
		}
		if doc.rev != "" && doc.rev != rev {
			return "", "", badRequest("Document rev from request body and query string have different values")
		}
		doc.rev = rev
	}
	var made string
	err = d.write(ctx, func(t *database) (err error) {
		made, err = t.apply(doc)
		return err
	})
	return doc.id, made, err
}

// Delete makes a tombstone of a document. Errors: 400 without the option rev,
// 409 where it is not the current one, 404 where there is nothing to delete.
func (d *db) Delete(ctx context.Context, id string, options driver.Options) (string, error) {
	if id == "" {
		return "", missingArg("docID")
	}
	params, err := readParams(options)
	if err != nil {
		return "", err
	}
	if params.text("rev") == "" {
		return "", missingArg("rev")
	}
	doc := &document{id: id, deleted: true, body: []byte("{}"), sum: sum([]byte("{}"))}
	var made string
	err = d.write(ctx, func(t *database) (err error) {
		if err := t.deletable(id); err != nil {
			return err
		}
		if doc.rev, err = parseRev(params.text("rev")); err != nil {
			return err
		}
		made, err = t.apply(doc)
		return err
	})
	return made, err
}

// Get reads a document. With the option rev, a revision other than the current
// one is missing, as in a database that was compacted. The options revs,
// revs_info, local_seq and meta add their fields; there are never conflicts to
// add. Errors: 404 with the reasons missing and deleted, 400 for a bad revision.
func (d *db) Get(ctx context.Context, id string, options driver.Options) (*driver.Document, error) {
	var body []byte
	rev, err := d.look(ctx, id, options, func(params params, r record) {
		body = renderDoc(id, r, extraFields(params, r))
	}, func(rev string, b []byte) {
		body = rendered{id: id, rev: rev}.render(b)
	})
	if err != nil {
		return nil, err
	}
	return &driver.Document{Rev: rev, Body: io.NopCloser(bytes.NewReader(body))}, nil
}

// GetRev gives the current revision of a document, without reading its body.
func (d *db) GetRev(ctx context.Context, id string, options driver.Options) (string, error) {
	return d.look(ctx, id, options, func(params, record) {}, func(string, []byte) {})
}

// look finds a document and hands it to one of two functions, within the
// transaction.
func (d *db) look(ctx context.Context, id string, options driver.Options, found func(params, record), local func(rev string, body []byte)) (rev string, err error) {
	if id == "" {
		return "", missingArg("docID")
	}
	params, err := readParams(options)
	if err != nil {
		return "", err
	}
	if params["open_revs"] != nil {
		return "", unsupported("open_revs")
	}
	wanted := params.text("rev")
	if wanted != "" {
		if wanted, err = parseRev(wanted); err != nil {
			return "", err
		}
	}
	err = d.store.read(ctx, d.name, func(t *database) error {
		if isLocal(id) {
			b := t.bucket.Get(localKey(id))
			if b == nil {
				return missingDoc()
			}
			var body []byte
			if rev, body, err = decodeLocal(b); err == nil {
				local(rev, body)
			}
			return err
		}
		r, exists, err := t.doc(id)
		switch {
		case err != nil:
			return err
		case !exists:
			return missingDoc()
		}
		rev = r.rev.String()
		switch {
		case wanted != "" && wanted != rev:
			return missingDoc()
		case wanted == "" && r.deleted:
			return deletedDoc()
		}
		found(params, r)
		return nil
	})
	return rev, err
}

// extraFields gives the members that options of a read add. The history ends at
// the revision itself, as in a database whose _revs_limit is 1.
func extraFields(p params, r record) []byte {
	var extra []byte
	if p.boolean("revs", false) {
		extra = fmt.Appendf(extra, `,"_revisions":{"start":%d,"ids":["%x"]}`, r.rev.gen, r.rev.hash)
	}
	if p.boolean("revs_info", false) || p.boolean("meta", false) {
		status := "available"
		if r.deleted {
			status = "deleted"
		}
		extra = fmt.Appendf(extra, `,"_revs_info":[{"rev":"%s","status":"%s"}]`, r.rev, status)
	}
	if p.boolean("local_seq", false) {
		extra = fmt.Appendf(extra, `,"_local_seq":%d`, r.seq)
	}
	return extra
}

// write runs an edit of this database in a transaction.
func (d *db) write(ctx context.Context, fn func(*database) error) error {
	return d.store.commit(ctx, func(b *batch) error {
		t, err := b.database(d.name)
		if err != nil {
			return err
		}
		return fn(t)
	})
}

// Security gives the security document, CouchDB's default where none was set.
// It is kept, not enforced: whoever has the file has all of it.
func (d *db) Security(ctx context.Context) (*driver.Security, error) {
	admins := driver.Members{Roles: []string{"_admin"}}
	security := &driver.Security{Admins: admins, Members: admins}
	err := d.store.read(ctx, d.name, func(t *database) error {
		b := t.bucket.Get(keySecurity)
		if b == nil {
			return nil
		}
		*security = driver.Security{}
		return json.Unmarshal(b, security)
	})
	return security, err
}

// SetSecurity keeps a security document.
func (d *db) SetSecurity(ctx context.Context, security *driver.Security) error {
	b, err := encodeJSON(security)
	if err != nil {
		return err
	}
	return d.write(ctx, func(t *database) error {
		t.changed = true
		return t.bucket.Put(keySecurity, b)
	})
}

// Close has nothing to do: a handle holds nothing.
func (d *db) Close() error { return nil }

// Interface guards.
var (
	_ driver.DB         = (*db)(nil)
	_ driver.DocCreator = (*db)(nil)
	_ driver.RevGetter  = (*db)(nil)
	_ driver.SecurityDB = (*db)(nil)
)
