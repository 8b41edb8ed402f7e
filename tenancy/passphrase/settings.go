// Settings: the document `io.cozy.settings.bitwarden`, made or merged.

package passphrase

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"
)

// SettingsID is the id of the vault's settings, in the instance's database io-cozy-settings.
const SettingsID = "io.cozy.settings.bitwarden"

// ErrSettings: the vault's settings in the store are not a JSON object. It says
// no more, since what stands there may be a secret.
var ErrSettings = errors.New("the document " + SettingsID + " is not a JSON object")

// Settings is the document of an instance that has none yet, with its `_id`.
// The map is the caller's.
func (m *Material) Settings() map[string]any {
	doc := m.fields()
	doc["_id"] = SettingsID
	doc["cozyMetadata"] = map[string]any{
		"doctypeVersion": "1", "metadataVersion": 1,
		"createdAt": m.secrets().at, "updatedAt": m.secrets().at,
	}
	return doc
}

// Merge is the document with the material in place of what an existing one has
// of it; nil or empty makes a new one. Fields that are not known here survive,
// `_rev` among them, and so do `encrypted_organization_key`, which is
// encrypted for the stack and not for the owner, and a key pair that a client
// did not send anew. What is encrypted under a vault's key that is replaced
// cannot be carried over (see New). The error is ErrSettings.
func (m *Material) Merge(existing json.RawMessage) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	put(fields, m.fields())
	return merge(existing, fields, m.secrets().at)
}

// merge does so with fields, at a time in RFC 3339.
func merge(existing json.RawMessage, fields map[string]json.RawMessage, at string) (json.RawMessage, error) {
	doc := map[string]json.RawMessage{}
	if len(existing) > 0 {
		var ok bool
		if doc, ok = object(existing); !ok {
			return nil, ErrSettings
		}
	}
	maps.Copy(doc, fields)
	// 0 is PBKDF2, and left out; a client that used Argon2 must not go on to.
	delete(doc, "passphrase_kdf")
	put(doc, map[string]any{"_id": SettingsID})

	meta, ok := object(doc["cozyMetadata"])
	if !ok {
		meta = map[string]json.RawMessage{}
		put(meta, map[string]any{"doctypeVersion": "1", "metadataVersion": 1, "createdAt": at})
	}
	put(meta, map[string]any{"updatedAt": at})
	put(doc, map[string]any{"cozyMetadata": meta})
	return json.Marshal(doc)
}

// fields are those that a passphrase decides. A client's pair that was not sent
// is left out, so that merging keeps the one that is there.
func (m *Material) fields() map[string]any {
	out := map[string]any{
		"passphrase_kdf_iterations": m.secrets().iterations,
		"security_stamp":            m.secrets().stamp,
		"key":                       m.secrets().keys.key,
	}
	if m.secrets().keys.public != "" {
		out["public_key"] = m.secrets().keys.public
		out["private_key"] = m.secrets().keys.private
	}
	return out
}

// object reads a JSON object.
func object(raw json.RawMessage) (fields map[string]json.RawMessage, ok bool) {
	err := json.Unmarshal(raw, &fields)
	return fields, err == nil && fields != nil
}

func put(doc map[string]json.RawMessage, values map[string]any) {
	for name, value := range maps.All(values) {
		raw, err := json.Marshal(value)
		if err != nil { // only a programmer's mistake makes such a value
			panic(fmt.Sprintf("passphrase: field %s: %v", name, err))
		}
		doc[name] = raw
	}
}

// stamp makes a UUID of version 7 (RFC 9562, section 5.7). The one of
// google/uuid reads the machine's own clock.
func stamp(now time.Time, random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[6:]); err != nil {
		return "", fmt.Errorf("a security stamp: %w", err)
	}
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(b[:6], ms[2:])
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}
