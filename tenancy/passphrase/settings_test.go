// The tests of the vault's settings: the shape that a stack gives them, and merging.

package passphrase_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/passphrase"
)

// readDump is the settings' document of a running stack; its keys stand there as "<see …>".
func readDump(t testing.TB) (raw []byte, doc map[string]any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "bitwarden_alice.json"))
	if err == nil {
		err = json.Unmarshal(raw, &doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw, doc
}

// roundTrip is a document as the store gives it back.
func roundTrip(t testing.TB, doc any) (out map[string]any) {
	t.Helper()
	raw, err := json.Marshal(doc)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// alice has the fewest rounds, for the tests that count none.
var alice = passphrase.Input{Domain: "alice.localhost:8090", Passphrase: "p", KDFIterations: 50_000}

func TestShapeOfAStack(t *testing.T) {
	t.Parallel()
	_, want := readDump(t)
	got := roundTrip(t, newMaterial(t, passphrase.Input{Domain: alice.Domain, Passphrase: "p"}).Settings())
	// The organization is the stack's own to make, at the first use of the vault.
	for _, field := range []string{"_rev", "encrypted_organization_key", "organization_id", "collection_id"} {
		if _, ok := got[field]; ok {
			t.Errorf("%s is not ours to write", field)
		}
		delete(want, field)
	}
	if g, w := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(g, w) {
		t.Errorf("fields %q, want %q", g, w)
	}
	for _, field := range []string{"_id", "passphrase_kdf_iterations", "cozyMetadata"} {
		if !reflect.DeepEqual(got[field], want[field]) {
			t.Errorf("%s: %v, want %v", field, got[field], want[field])
		}
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for who, doc := range map[string]map[string]any{"ours": got, "the stack's": want} {
		stamp := text(t, doc, "security_stamp")
		if !uuid.MatchString(stamp) {
			t.Errorf("%s: %q is no UUID of version 7", who, stamp)
		}
		// Both were made in the same millisecond, or the next.
		var ms int64
		for _, digit := range strings.ReplaceAll(stamp, "-", "")[:12] {
			ms = ms<<4 | int64(strings.IndexRune("0123456789abcdef", digit))
		}
		if age := time.UnixMilli(ms).Sub(now.Truncate(time.Millisecond)).Abs(); age > 1000*time.Millisecond {
			t.Errorf("%s: the stamp is %v away from the document's time", who, age)
		}
	}
}

func TestMergeIntoNothing(t *testing.T) {
	t.Parallel()
	m := sharedMaterial(t)
	for _, existing := range []json.RawMessage{nil, {}} {
		raw, err := m.Merge(existing)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := roundTrip(t, raw), roundTrip(t, m.Settings()); !reflect.DeepEqual(got, want) {
			t.Error("another document than a new one")
		}
	}
}

func TestMergeKeepsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	_, old := readDump(t)
	old["passphrase_kdf"], old["passphrase_hint"] = 1, "none"
	old["cozyMetadata"].(map[string]any)["createdByApp"] = "passwords"
	old["large"] = json.Number("12345678901234567890")
	raw, err := json.Marshal(old)
	if err != nil {
		t.Fatal(err)
	}
	later := now.Add(time.Hour)
	m, err := passphrase.New(alice, later, strings.NewReader(strings.Repeat("0123456789abcdef", 100)))
	if err != nil {
		t.Fatal(err)
	}
	merged, err := m.Merge(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(merged), `"large":12345678901234567890`) {
		t.Error("a large number has changed")
	}
	got, made := roundTrip(t, json.RawMessage(merged)), roundTrip(t, m.Settings())
	for _, field := range []string{"key", "public_key", "private_key", "security_stamp", "passphrase_kdf_iterations"} {
		if got[field] != made[field] || field != "passphrase_kdf_iterations" && got[field] == old[field] {
			t.Errorf("%s is not the new one", field)
		}
	}
	for _, field := range []string{"_id", "_rev", "encrypted_organization_key", "organization_id", "collection_id", "passphrase_hint"} {
		if got[field] != old[field] {
			t.Errorf("%s: %v, want %v", field, got[field], old[field])
		}
	}
	if _, ok := got["passphrase_kdf"]; ok {
		t.Error("the clients would go on to derive by Argon2")
	}
	want := map[string]any{
		"doctypeVersion": "1", "metadataVersion": 1.0, "createdByApp": "passwords",
		"createdAt": now.Format(time.RFC3339Nano), "updatedAt": later.Format(time.RFC3339Nano),
	}
	if !reflect.DeepEqual(got["cozyMetadata"], want) {
		t.Errorf("cozyMetadata %v, want %v", got["cozyMetadata"], want)
	}
}

// TestMergeKeepsAPair: a client that changes its passphrase encrypts the vault's key
// anew, and the pair under it stays.
func TestMergeKeepsAPair(t *testing.T) {
	t.Parallel()
	raw, old := readDump(t)
	in := passphrase.Input{Domain: "a.example", Passphrase: "aGFzaGVk", KDFIterations: 100_000, Key: "0.new|key"}
	merged, err := newMaterial(t, in).Merge(raw)
	if err != nil {
		t.Fatal(err)
	}
	got := roundTrip(t, json.RawMessage(merged))
	if got["key"] != "0.new|key" || got["public_key"] != old["public_key"] || got["private_key"] != old["private_key"] || got["passphrase_kdf_iterations"] != 100_000.0 {
		t.Error("the key is not the new one, or the pair not the old one")
	}
}

func TestMergeWithoutMetadata(t *testing.T) {
	t.Parallel()
	merged, err := sharedMaterial(t).Merge(json.RawMessage(`{"_rev":"3-c","cozyMetadata":"none"}`))
	if err != nil {
		t.Fatal(err)
	}
	got := roundTrip(t, json.RawMessage(merged))
	meta, ok := got["cozyMetadata"].(map[string]any)
	if !ok || meta["createdAt"] != now.Format(time.RFC3339Nano) || got["_id"] != passphrase.SettingsID || got["_rev"] != "3-c" {
		t.Errorf("metadata %v of %v", got["cozyMetadata"], got["_id"])
	}
}

func TestMergeRefusesWhatIsNoDocument(t *testing.T) {
	t.Parallel()
	m := sharedMaterial(t)
	for _, existing := range []string{`null`, `[]`, `"s3cret"`, `{"s3cret":`} {
		if _, err := m.Merge(json.RawMessage(existing)); !errors.Is(err, passphrase.ErrSettings) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", existing, err)
		}
	}
}
