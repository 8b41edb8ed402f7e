// Databases: which ones an instance has, and what is in each at the beginning.

package provision

import (
	"encoding/json"
	"strings"
)

// Names of the databases that are not an instance's own.
const (
	InstancesDB  = "global/instances"
	ClaimsDB     = "gatehouse/claims"
	OperationsDB = "gatehouse/operations"
	AuditDB      = "gatehouse/audit"
	TokensDB     = "gatehouse/tokens"
	TLSDB        = "gatehouse/tls" // what is known of certificates; they themselves are in a storage
)

// Doctypes are the types of documents that a new instance has a database for.
var Doctypes = []string{
	"com.bitwarden.ciphers",
	"io.cozy.apps",
	"io.cozy.contacts",
	"io.cozy.files",
	"io.cozy.files.versions",
	"io.cozy.jobs",
	"io.cozy.konnectors",
	"io.cozy.nextcloud.migrations",
	"io.cozy.notifications",
	"io.cozy.oauth.clients",
	"io.cozy.permissions",
	"io.cozy.sessions.logins",
	"io.cozy.settings",
	"io.cozy.shared",
	"io.cozy.sharings",
	"io.cozy.triggers",
}

var dashes = strings.NewReplacer(".", "-", ":", "-")

// DatabaseName is the name of an instance's database for a doctype, as in
// cozy175bd934f9537894ecdde49452338bdf/io-cozy-files.
func DatabaseName(prefix, doctype string) string {
	return escapePrefix(prefix) + "/" + strings.ToLower(dashes.Replace(doctype))
}

// escapePrefix is needed by instances of very old stacks, whose prefix is their domain.
func escapePrefix(prefix string) string { return dashes.Replace(prefix) }

// DatabasePrefix is what the names of all of an instance's databases begin with.
func DatabasePrefix(prefix string) string { return escapePrefix(prefix) + "/" }

// Database is one database to make, and what to write into it in one request.
type Database struct {
	Name string
	Docs []any // each a json.RawMessage or a value with an `_id`; may be empty
}

// Databases are all databases of a new instance.
func Databases(spec Spec) []Database {
	own := map[string][]any{
		"io.cozy.contacts": {contact(spec)},
		"io.cozy.settings": {settings(spec)},
	}
	for _, d := range directories(spec) {
		own["io.cozy.files"] = append(own["io.cozy.files"], d)
	}
	if spec.Vault != nil {
		own["io.cozy.settings"] = append(own["io.cozy.settings"], spec.Vault)
	}
	out := make([]Database, 0, len(Doctypes))
	for _, doctype := range Doctypes {
		db := Empty(spec.Prefix, doctype)
		db.Docs = append(db.Docs, own[doctype]...)
		out = append(out, db)
	}
	return out
}

// Empty is an instance's database of one doctype with its indexes and views, and
// without documents.
func Empty(prefix, doctype string) Database {
	db := Database{Name: DatabaseName(prefix, doctype)}
	for _, doc := range designsOf(doctype) {
		db.Docs = append(db.Docs, doc)
	}
	return db
}

func designsOf(doctype string) []json.RawMessage {
	d := designs[doctype]
	return designDocs(d.indexes, d.views)
}
