// Designs: the Mango indexes and the views of an instance's databases and of
// the database of all instances, in the shape that CouchDB stores.

package provision

import (
	"bytes"
	"encoding/json"
)

// IndexesVersion is the contract's number for the set of indexes and views below.
const IndexesVersion = 38

// mango is one Mango index. CouchDB names the view of an index by a hash of its
// definition; the same name makes a later `_index` of a stack an "exists" rather
// than a second index.
type mango struct {
	name   string // of the design document
	hash   string
	fields []string
	filter string // partial filter selector, JSON
}

// view is one javascript view. The design document has the view's name.
type view struct {
	name, mapper, reduce string
}

// designs are the indexes and views by doctype, in the order in which they are written.
var designs = map[string]struct {
	indexes []mango
	views   []view
}{
	"com.bitwarden.ciphers": {indexes: []mango{
		{name: "by-folder-id", hash: "7217c1daaa464c4081fe7288269658da080fcc70", fields: []string{"folder_id"}},
		{name: "by-organization-id", hash: "278eab78df9361737c564b0be830a0ab5eb147e9", fields: []string{"organization_id"}},
	}},
	"io.cozy.contacts": {
		indexes: []mango{
			{name: "by-me", hash: "599cd0eba416e5eaab60087cefb114421f3cb286", fields: []string{"me"}},
			{name: "by-groups", hash: "c54dddf0990729664b2e5e5b3e6b4bb336a1bdc6", fields: []string{"relationships.groups.data"}},
		},
		views: []view{{name: "contacts-by-email", mapper: `function (doc) {
  if (!isArray(doc.email)) return;
  doc.email.forEach(function (e) { emit(e.address, doc._id); });
}`}},
	},
	"io.cozy.files": {
		indexes: []mango{
			{name: "dir-children", hash: "5364afe797fe21f603eab842487b6d1d4a7386a4", fields: []string{"dir_id", "_id"}},
			{name: "dir-by-path", hash: "751bb0c2b8673f1a8a8bb0efe6a41f3fdbeb6662", fields: []string{"path"}},
			{name: "by-mime-updated-at", hash: "521db4261ea643780b606541d6f63fcc113bb6d1", fields: []string{"mime", "trashed", "updated_at"}},
			{name: "with-conflicts", hash: "d23dac1138add2ef5177509d42810801fc25b749", fields: []string{"_conflicts"}},
			{name: "by-sharing-status", hash: "0635d695128dca50aba521fa4cf61a07f14de20e", fields: []string{"metadata.sharing.status"}},
			{name: "by-dir-id-updated-at", hash: "165389831ece33c4b21def607cabcc7b8c20f1ab", fields: []string{"dir_id", "updated_at"}},
		},
		views: []view{
			{name: "disk-usage", reduce: "_sum", mapper: `function (doc) {
  if (doc.type === 'file') emit(doc.dir_id, Number(doc.size));
}`},
			{name: "not-synchronized-on", reduce: "_count", mapper: `function (doc) {
  if (doc.type !== 'directory' || !isArray(doc.not_synchronized_on)) return;
  doc.not_synchronized_on.forEach(function (ref) { emit([ref.type, ref.id], null); });
}`},
			{name: "referenced-by", reduce: "_count", mapper: `function (doc) {
  if (!isArray(doc.referenced_by)) return;
  doc.referenced_by.forEach(function (ref) { emit([ref.type, ref.id], null); });
}`},
			{name: "referenced-by-sorted-by-datetime", reduce: "_count", mapper: `function (doc) {
  if (!isArray(doc.referenced_by)) return;
  var at = (doc.metadata && doc.metadata.datetime) || '';
  doc.referenced_by.forEach(function (ref) { emit([ref.type, ref.id, at], null); });
}`},
			{name: "by-parent-type-name", reduce: "_count", mapper: `function (doc) {
  emit([doc.dir_id, doc.type, doc.name], null);
}`},
		},
	},
	"io.cozy.files.versions": {views: []view{{name: "old-versions-disk-usage", reduce: "_sum", mapper: `function (doc) {
  emit(doc._id, Number(doc.size));
}`}}},
	"io.cozy.jobs": {indexes: []mango{
		{name: "by-worker-and-state", hash: "b4055aa4a6aead4881f090bc76f4819bd9bc9869", fields: []string{"worker", "state"}},
		{name: "by-trigger-id", hash: "9c991d52cf5359078e285a45b12e59cb91dd2764", fields: []string{"trigger_id", "queued_at"}},
		{name: "by-queued-at", hash: "dc404ad786cb735d1d4bb77baed4d8ad82220e61", fields: []string{"queued_at"}},
	}},
	"io.cozy.nextcloud.migrations": {indexes: []mango{
		{name: "by-status", hash: "7788a8c14dbddaec3a2ebab8c460f251f8e72e37", fields: []string{"status"}},
	}},
	"io.cozy.notifications": {indexes: []mango{
		{name: "by-source-id", hash: "9cd9ca4e8db0bc5d1bdc7b03fecca92087ec9316", fields: []string{"source_id", "created_at"}},
	}},
	"io.cozy.oauth.clients": {indexes: []mango{
		{name: "by-client-name", hash: "817b3170c15f733b661ebec92ea6cab2d1ab5dc8", fields: []string{"client_name"}},
		{name: "by-notification-platform", hash: "5ccc969aba2971424e9b8ab0180b924b09b00794", fields: []string{"notification_platform"}},
		{
			name: "connected-user-clients", hash: "307d11f653f9bbfc1d8786e5bc7f412a5d675491", fields: []string{"client_kind", "client_name"},
			filter: `{"$and":[{"client_kind":{"$in":["browser","desktop","mobile"]}},{"pending":{"$exists":false}}]}`,
		},
	}},
	"io.cozy.permissions": {
		indexes: []mango{
			{name: "by-source-and-type", hash: "60850b5f3ea02d90d424c53ac302e15be3d6c4c0", fields: []string{"source_id", "type"}},
		},
		views: []view{
			{name: "byToken", mapper: `function (doc) {
  if (!doc.type || doc.type.indexOf('share') !== 0 || !doc.codes) return;
  Object.keys(doc.codes).forEach(function (key) { emit(doc.codes[key]); });
}`},
			{name: "by-short-code", mapper: `function (doc) {
  if (!doc.shortcodes) return;
  Object.keys(doc.shortcodes).forEach(function (key) { emit(doc.shortcodes[key], key); });
}`},
			{name: "byDoc", mapper: `function (doc) {
  if (doc.type !== 'share' || !doc.permissions) return;
  Object.keys(doc.permissions).forEach(function (key) {
    var rule = doc.permissions[key];
    (rule.values || []).forEach(function (value) {
      emit([rule.type, rule.selector || '_id', value], rule.verbs);
    });
  });
}`},
			{name: "permissions-by-doctype", mapper: `function (doc) {
  if (!doc.permissions) return;
  Object.keys(doc.permissions).forEach(function (key) {
    emit([doc.permissions[key].type, doc.type]);
  });
}`},
		},
	},
	"io.cozy.sessions.logins": {indexes: []mango{
		{name: "by-os-browser-ip", hash: "0887591763b2434d989a616c8ae6f1e0c50d63fd", fields: []string{"os", "browser", "ip"}},
	}},
	"io.cozy.shared": {views: []view{{name: "shared-docs-by-sharingid", mapper: `function (doc) {
  if (!doc.infos) return;
  Object.keys(doc.infos).forEach(function (id) { emit(id, doc._id); });
}`}}},
	"io.cozy.sharings": {
		indexes: []mango{
			{name: "active", hash: "49ff230d3e919680d9d38a94c0a16e250b983ba8", fields: []string{"active"}},
		},
		views: []view{{name: "sharings-by-doctype", mapper: `function (doc) {
  if (!isArray(doc.rules)) return;
  doc.rules.forEach(function (rule) { if (!rule.local) emit(rule.doctype, doc._id); });
}`}},
	},
	"io.cozy.triggers": {indexes: []mango{
		{name: "by-worker-and-type", hash: "dcf585a890883260dacb0a1680dcd6c470b5aabf", fields: []string{"worker", "type"}},
	}},
}

// globalIndexes are the Mango indexes of `global/instances`.
var globalIndexes = []mango{
	{name: "by-oidcid", hash: "003edca08fe4b45fe38e8ac7869b1070f49a565c", fields: []string{"oidc_id"}},
	{name: "by-olddomain", hash: "03457b6fb0d2704473ee4940a90cc2c41fde7cee", fields: []string{"old_domain"}},
	{name: "by-orgdomain", hash: "40949ffcdc7f7a65819937cdcb6ddbd5c5ab4ff2", fields: []string{"org_domain"}},
}

// DomainView is the view, and the design document, by which a stack finds an
// instance: each domain and alias is a key.
const DomainView = "domain-and-aliases"

var globalViews = []view{{name: DomainView, mapper: `function (doc) {
  emit(doc.domain);
  if (isArray(doc.domain_aliases)) {
    doc.domain_aliases.forEach(function (alias) { emit(alias); });
  }
}`}}

// GlobalDesigns are the design documents of `global/instances`.
func GlobalDesigns() []json.RawMessage { return designDocs(globalIndexes, globalViews) }

func designDocs(indexes []mango, views []view) []json.RawMessage {
	out := make([]json.RawMessage, 0, len(indexes)+len(views))
	for _, m := range indexes {
		out = append(out, m.doc())
	}
	for _, v := range views {
		out = append(out, v.doc())
	}
	return out
}

// doc writes the design document by hand, since the order of an index's fields
// is its meaning, and a Go map would lose it.
func (m mango) doc() json.RawMessage {
	var fields, names bytes.Buffer
	for i, f := range m.fields {
		if i > 0 {
			fields.WriteByte(',')
			names.WriteByte(',')
		}
		fields.WriteString(`"` + f + `":"asc"`)
		names.WriteString(`"` + f + `"`)
	}
	selector, def := "{}", ""
	if m.filter != "" {
		selector, def = m.filter, `,"partial_filter_selector":`+m.filter
	}
	return json.RawMessage(`{"_id":"_design/` + m.name + `","language":"query","views":{"` + m.hash +
		`":{"map":{"fields":{` + fields.String() + `},"partial_filter_selector":` + selector +
		`},"reduce":"_count","options":{"def":{"fields":[` + names.String() + `]` + def + `}}}}}`)
}

func (v view) doc() json.RawMessage {
	body := map[string]string{"map": v.mapper}
	if v.reduce != "" {
		body["reduce"] = v.reduce
	}
	raw, _ := json.Marshal(map[string]any{ // strings can always be written
		"_id": "_design/" + v.name, "language": "javascript",
		"views": map[string]any{v.name: body},
	})
	return raw
}
