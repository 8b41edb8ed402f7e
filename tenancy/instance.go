// Instance: the document of `global/instances`, kept as raw JSON so that what
// a stack wrote, and we do not know, survives each of our writes.

package tenancy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Instance is one instance's document. It is not safe for concurrent writes.
//
// Typed access reads what is there, and takes a field of another type as
// absent, since documents of other writers must never stop a directory;
// Malformed tells of them.
type Instance struct {
	fields map[string]json.RawMessage
}

// NewInstance is a document without fields.
func NewInstance() *Instance { return &Instance{fields: map[string]json.RawMessage{}} }

// ParseInstance reads a document as the store gives it.
func ParseInstance(raw []byte) (*Instance, error) {
	i := NewInstance()
	if err := json.Unmarshal(raw, &i.fields); err != nil {
		return nil, fmt.Errorf("an instance's document is not a JSON object: %w", err)
	}
	if i.fields == nil {
		return nil, fmt.Errorf("an instance's document is null")
	}
	return i, nil
}

// MarshalJSON gives the whole document, secrets included: it is for the store alone.
func (i *Instance) MarshalJSON() ([]byte, error) { return json.Marshal(i.fields) }

// Clone is a copy that can be changed without changing i.
func (i *Instance) Clone() *Instance { return &Instance{fields: maps.Clone(i.fields)} }

// Has tells whether the document has the field at all.
func (i *Instance) Has(field string) bool {
	_, ok := i.fields[field]
	return ok
}

// Raw is a field as it stands in the document, or nil. It must not be changed.
func (i *Instance) Raw(field string) json.RawMessage { return i.fields[field] }

// Fields are the names of all fields, sorted.
func (i *Instance) Fields() []string { return slices.Sorted(maps.Keys(i.fields)) }

// Set gives a field a value that encoding/json can write.
func (i *Instance) Set(field string, value any) {
	raw, err := json.Marshal(value)
	if err != nil { // only a programmer's mistake makes such a value
		panic(fmt.Sprintf("tenancy: field %s: %v", field, err))
	}
	i.fields[field] = raw
}

// Unset removes a field.
func (i *Instance) Unset(field string) { delete(i.fields, field) }

// SetOrUnset sets a field, or removes it where the value is the type's zero,
// since the contract leaves empty fields out.
func SetOrUnset[T comparable](i *Instance, field string, value T) {
	var zero T
	if value == zero {
		i.Unset(field)
		return
	}
	i.Set(field, value)
}

// SetList sets a field to a list of strings, or removes it where there are none.
func (i *Instance) SetList(field string, values []string) {
	if len(values) == 0 {
		i.Unset(field)
		return
	}
	i.Set(field, values)
}

func get[T any](i *Instance, field string) (value T) {
	if raw, ok := i.fields[field]; ok {
		if err := json.Unmarshal(raw, &value); err != nil {
			var zero T
			return zero
		}
	}
	return value
}

// Text is a field that holds a string.
func (i *Instance) Text(field string) string { return get[string](i, field) }

// Bool is a field that holds true or false.
func (i *Instance) Bool(field string) bool { return get[bool](i, field) }

// Int is a field that holds a whole number.
func (i *Instance) Int(field string) int { return get[int](i, field) }

// List is a field that holds a list of strings.
func (i *Instance) List(field string) []string { return get[[]string](i, field) }

// ID is the document's id.
func (i *Instance) ID() string { return i.Text("_id") }

// Rev is the document's revision.
func (i *Instance) Rev() string { return i.Text("_rev") }

// Domain is the domain in the document's form: Unicode, lower case, with a port
// where it has one.
func (i *Instance) Domain() string { return i.Text("domain") }

// Aliases are the other domains of the instance.
func (i *Instance) Aliases() []string { return i.List("domain_aliases") }

// Names are the domain and the aliases.
func (i *Instance) Names() []string { return append([]string{i.Domain()}, i.Aliases()...) }

// OldDomain is a former domain, whose visitors are sent to the present one.
func (i *Instance) OldDomain() string { return i.Text("old_domain") }

// Prefix names the instance's databases. Documents of very old stacks have none,
// and use the domain then.
func (i *Instance) Prefix() string {
	if p := i.Text("prefix"); p != "" {
		return p
	}
	return i.Domain()
}

// Locale is the instance's language, as in "fr"; it may be empty.
func (i *Instance) Locale() string { return i.Text("locale") }

// Cluster is the index of the CouchDB cluster with the instance's databases; 0
// is the one with the instances themselves.
func (i *Instance) Cluster() int { return i.Int("couch_cluster") }

// State is what a visitor meets.
func (i *Instance) State() State {
	switch {
	case i.Bool("deleting"):
		return Deleting
	case i.Bool("blocked"):
		return Blocked
	default:
		return Active
	}
}

// BlockingReason is the reason for a block; ReasonUnknown for a block without one.
func (i *Instance) BlockingReason() Reason {
	if r := i.Text("blocking_reason"); r != "" {
		return Reason(r)
	}
	return ReasonUnknown
}

// DiskQuota is the quota in bytes, 0 for none. The document has it as a JSON
// string; a number is taken as well.
func (i *Instance) DiskQuota() int64 {
	if n, err := strconv.ParseInt(i.Text("disk_quota"), 10, 64); err == nil {
		return n
	}
	return get[int64](i, "disk_quota")
}

// SetDiskQuota sets the quota in bytes; 0 removes it.
func (i *Instance) SetDiskQuota(bytes int64) {
	if bytes == 0 {
		i.Unset("disk_quota")
		return
	}
	i.Set("disk_quota", strconv.FormatInt(bytes, 10))
}

// Bytes is a field that holds bytes in base64.
func (i *Instance) Bytes(field string) []byte { return get[[]byte](i, field) }

// routing are the fields that a directory cannot do without reading right.
var routing = []struct {
	field string
	into  func() any
}{
	{"domain", func() any { return new(string) }},
	{"domain_aliases", func() any { return new([]string) }},
	{"old_domain", func() any { return new(string) }},
	{"prefix", func() any { return new(string) }},
	{"blocked", func() any { return new(bool) }},
	{"blocking_reason", func() any { return new(string) }},
	{"deleting", func() any { return new(bool) }},
	{"couch_cluster", func() any { return new(int) }},
}

// Malformed says which field of those that routing depends on cannot be read;
// nil where all can. A front door keeps what it knew of such an instance.
func (i *Instance) Malformed() error {
	for _, r := range routing {
		raw, ok := i.fields[r.field]
		if !ok || bytes.Equal(raw, []byte("null")) {
			continue
		}
		if err := json.Unmarshal(raw, r.into()); err != nil {
			return fmt.Errorf("field %s of instance document %q: %w", r.field, i.ID(), err)
		}
	}
	if _, ok := HostKey(i.Domain()); !ok {
		return fmt.Errorf("field domain of instance document %q is no host name", i.ID())
	}
	return nil
}

// Attributes are the fields that may be shown: all but `_id`, `_rev` and the
// secrets. The map's values must not be changed.
func (i *Instance) Attributes() map[string]json.RawMessage {
	out := make(map[string]json.RawMessage, len(i.fields))
	for name, raw := range i.fields {
		if !strings.HasPrefix(name, "_") && !Secret(name) {
			out[name] = raw
		}
	}
	return out
}

// Secret tells whether a field's value must never be shown. Besides the known
// ones, fields of newer stacks count whose name says it.
func Secret(field string) bool {
	field = strings.ToLower(field)
	for _, suffix := range []string{"secret", "token", "hash", "key", "passphrase", "password"} {
		if strings.HasSuffix(field, suffix) {
			return true
		}
	}
	return false
}
