// Documents: what a stack reads of an app that is installed.

package apps

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/files"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// Doctypes of the documents.
const (
	appsDoctype        = "io.cozy.apps"
	konnectorsDoctype  = "io.cozy.konnectors"
	permissionsDoctype = "io.cozy.permissions"
	triggersDoctype    = "io.cozy.triggers"
)

// describe makes an app's documents. The manifest comes from the registry: what a
// stack would choke on is refused, since it reads all apps of an instance at once.
func (in *Installer) describe(target Target, source Source, r *release) (*Installed, error) {
	var manifest map[string]json.RawMessage
	if err := json.Unmarshal(r.Manifest, &manifest); err != nil {
		return nil, malformed("it is no object")
	}
	d := &describer{target: target, r: r, fields: manifest, at: in.now().UTC().Format(time.RFC3339Nano)}
	doctype, kind := appsDoctype, "app"
	if r.kind == files.Konnector {
		doctype, kind = konnectorsDoctype, "konnector"
	}
	rights, err := permissions(manifest["permissions"])
	if err != nil {
		return nil, err
	}
	var triggers []Document
	if r.kind == files.Webapp {
		if err := d.webapp(); err != nil {
			return nil, err
		}
		if triggers, err = d.services(); err != nil {
			return nil, err
		}
	}
	id := doctype + "/" + r.Slug
	out := &Installed{
		Kind: r.kind, Slug: r.Slug, Version: r.Version, Checksum: r.SHA256, Source: source.String(), Documents: triggers,
	}
	out.Documents = append(out.Documents, d.permissionsDoc(kind, id, rights), d.appDoc(doctype, id, source, rights))
	return out, nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: its manifest: "+format, append([]any{ErrManifest}, args...)...)
}

// describer makes the documents of one app.
type describer struct {
	target Target
	r      *release
	fields map[string]json.RawMessage // of the manifest, on their way to the app's document
	at     string
}

// set sets a field of the app's document.
func (d *describer) set(name string, value any) { d.fields[name] = mustJSON(value) }

// mustJSON is for values that can always be written.
func mustJSON(value any) json.RawMessage {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err)
	}
	return bytes.TrimSpace(out.Bytes())
}

// absent tells of a field that is not there, or null.
func (d *describer) absent(name string) bool {
	raw := bytes.TrimSpace(d.fields[name])
	return len(raw) == 0 || bytes.Equal(raw, []byte("null"))
}

// webapp checks and completes the fields that a stack knows in a webapp's
// document. What it does not know, also within them, stays.
func (d *describer) webapp() error {
	for _, name := range []string{"intents", "locales", "notifications", "services"} {
		if d.absent(name) {
			d.fields[name] = json.RawMessage("null")
		}
	}
	for name, into := range map[string]any{
		"intents": new([]struct {
			Action string   `json:"action"`
			Types  []string `json:"type"`
			Href   string   `json:"href"`
		}),
		"locales":       new(map[string]json.RawMessage),
		"notifications": new(map[string]map[string]json.RawMessage),
	} {
		if err := json.Unmarshal(d.fields[name], into); err != nil {
			return malformed("its %s", name)
		}
	}
	terms, err := complete(d.fields["terms"], map[string]any{"url": "", "version": ""})
	if err != nil {
		return malformed("its terms")
	}
	d.fields["terms"] = terms
	routes := map[string]json.RawMessage{}
	if !d.absent("routes") {
		if err := json.Unmarshal(d.fields["routes"], &routes); err != nil {
			return malformed("its routes")
		}
	}
	if len(routes) == 0 {
		routes["/"] = mustJSON(map[string]any{"folder": "/", "index": "index.html"})
	}
	for path, route := range routes {
		route, err := complete(route, map[string]any{"folder": "", "index": "", "public": false})
		if err != nil {
			return malformed("one of its routes")
		}
		routes[path] = route
	}
	d.set("routes", routes)
	return nil
}

// complete adds what is missing in an object, and refuses a field of another type
// than the one to be added. A null is an empty object.
func complete(raw json.RawMessage, missing map[string]any) (json.RawMessage, error) {
	var object map[string]json.RawMessage
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &object); err != nil {
			return nil, err
		}
	}
	if object == nil {
		object = map[string]json.RawMessage{}
	}
	for name, value := range missing {
		var err error
		switch value := value.(type) {
		case string:
			err = json.Unmarshal(orNull(object[name]), &value)
			object[name] = mustJSON(value)
		case bool:
			err = json.Unmarshal(orNull(object[name]), &value)
			object[name] = mustJSON(value)
		}
		if err != nil {
			return nil, err
		}
	}
	return mustJSON(object), nil
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}

// appDoc is the manifest, with what the install adds. Fields that begin with _
// belong to CouchDB, which refuses documents with ones that it does not know.
func (d *describer) appDoc(doctype, id string, source Source, rights ordered) Document {
	maps.DeleteFunc(d.fields, func(name string, _ json.RawMessage) bool { return strings.HasPrefix(name, "_") })
	for name, value := range map[string]any{
		"_id": id, "slug": d.r.Slug, "type": d.r.kind, "source": source.String(), "state": "ready",
		"version": d.r.Version, "checksum": d.r.SHA256, "created_at": d.at, "updated_at": d.at, "permissions": rights,
	} {
		d.set(name, value)
	}
	return Document{Doctype: doctype, ID: id, Body: mustJSON(d.fields)}
}

// metadata is who wrote a document, and when.
type metadata struct {
	DoctypeVersion      string      `json:"doctypeVersion"`
	MetadataVersion     int         `json:"metadataVersion"`
	CreatedAt           string      `json:"createdAt"`
	CreatedByApp        string      `json:"createdByApp"`
	CreatedByAppVersion string      `json:"createdByAppVersion,omitempty"`
	UpdatedAt           string      `json:"updatedAt"`
	UpdatedByApps       []updatedBy `json:"updatedByApps"`
}

type updatedBy struct {
	Slug    string `json:"slug"`
	Date    string `json:"date"`
	Version string `json:"version,omitempty"`
}

func (d *describer) metadata(version string) metadata {
	return metadata{
		DoctypeVersion: "1", MetadataVersion: 1,
		CreatedAt: d.at, CreatedByApp: d.r.Slug, CreatedByAppVersion: version,
		UpdatedAt: d.at, UpdatedByApps: []updatedBy{{Slug: d.r.Slug, Date: d.at, Version: version}},
	}
}

// permissionsDoc is what the app may do in the instance. Its id is the same each
// time, so that a second install writes in its place.
func (d *describer) permissionsDoc(kind, sourceID string, rights ordered) Document {
	id := provision.DocID(d.target.InstanceID, "permissions/"+d.r.Slug)
	doc := map[string]any{"_id": id, "type": kind, "source_id": sourceID, "cozyMetadata": d.metadata(d.r.Version)}
	if len(rights) > 0 {
		doc["permissions"] = rights
	}
	return Document{Doctype: permissionsDoctype, ID: id, Body: mustJSON(doc)}
}

// ordered is a JSON object whose fields keep their order: an owner is shown the
// rights of an app as its authors sorted them.
type ordered []field

type field struct {
	name  string
	value any
}

// MarshalJSON writes the fields in their order.
func (o ordered) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, f := range o {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, mustJSON(f.name)...), ':'), mustJSON(f.value)...)
	}
	return append(out, '}'), nil
}

// sortedKeys are for what is walked in an order that does not change.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
