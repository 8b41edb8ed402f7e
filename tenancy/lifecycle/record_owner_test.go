// Record, of an owner: each document that an add with a passphrase writes against what a
// stack wrote for the same instance, and why the two differ where they do.

package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// The difference from a stack that are meant: by database and document, which fields, or
// "" for the document, and why.
var meant = map[string]map[string]string{
	"io-cozy-settings io.cozy.settings.bitwarden": {
		"-encrypted_organization_key": "encrypted with a key that only a stack has; it makes one when the vault needs it",
		"-organization_id":            "of that organization, which a stack makes with it",
		"-collection_id":              "of that organization's collection, the same",
	},
	"io-cozy-files /Photos/Uploaded from Cozy Photos": {"+": "the mission asks for it; a stack makes it with its app for photos"},
	"io-cozy-files /Photos/Backed up from my mobile":  {"+": "the same"},
}

// shapes are those of values that are random, or moments.
var shapes = map[string]*regexp.Regexp{
	"key":             regexp.MustCompile(`^0\.[A-Za-z0-9+/]{22}==\|[A-Za-z0-9+/]{107}=$`), // 16 bytes, and 64 with a block of padding
	"public_key":      regexp.MustCompile(`^MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A[A-Za-z0-9+/]+=*$`),
	"private_key":     regexp.MustCompile(`^2\.[A-Za-z0-9+/]{22}==\|[A-Za-z0-9+/]{800}[A-Za-z0-9+/]{750,900}=*\|[A-Za-z0-9+/]{43}=$`),
	"security_stamp":  regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`),
	"passphrase_hash": regexp.MustCompile(`^c2NyeXB0JDMyNzY4JDgkMS[A-Za-z0-9+/]+=*$`), // scrypt$32768$8$1
	"session_secret":  regexp.MustCompile(`^[A-Za-z0-9+/]{86}==$`),
	"oauth_secret":    regexp.MustCompile(`^[A-Za-z0-9+/]{171}=$`),
	"cli_secret":      regexp.MustCompile(`^[A-Za-z0-9+/]{171}=$`),
}

// moments are fields with a time.
var moments = []string{"created_at", "updated_at", "createdAt", "updatedAt"}

// told names a document: by its id, or where that is random by its path or kind.
func told(doc map[string]any) string {
	id, _ := doc["_id"].(string)
	switch path, _ := doc["path"].(string); {
	case strings.HasPrefix(id, "io.cozy.") || strings.HasPrefix(id, "_design/"):
		return id
	case path != "":
		return path
	case doc["me"] == true:
		return "the owner"
	default:
		return fmt.Sprint("the record of ", doc["domain"])
	}
}

// alike compares a value with a stack's, and says where they differ in more than what has
// to be another each time.
func alike(where, field string, got, want any) (problems []string) {
	shape := shapes[field]
	switch {
	case shape != nil:
		if text, _ := got.(string); !shape.MatchString(text) {
			return []string{fmt.Sprintf("%s: %s is not like %s: %v", where, field, shape, got)}
		}
		return nil
	case slices.Contains(moments, field):
		text, _ := got.(string)
		if at, err := time.Parse(time.RFC3339Nano, text); err != nil || at.UTC().Format(time.RFC3339Nano) != text {
			return []string{fmt.Sprintf("%s: %s is no time as a stack writes it: %v", where, field, got)}
		}
		return nil
	}
	a, ok := got.(map[string]any)
	b, both := want.(map[string]any)
	if !ok || !both {
		if !reflect.DeepEqual(got, want) {
			return []string{fmt.Sprintf("%s: %s is %v, want %v", where, field, got, want)}
		}
		return nil
	}
	fields := append(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b))...)
	slices.Sort(fields)
	for _, f := range slices.Compact(fields) {
		if f == "_id" || f == "_rev" {
			continue
		}
		is, here := a[f]
		was, there := b[f]
		switch {
		case here != there && meant[where][map[bool]string{true: "+", false: "-"}[here]+f] != "":
		case here != there:
			problems = append(problems, fmt.Sprintf("%s: field %s is here: %t, and there: %t", where, f, here, there))
		default:
			problems = append(problems, alike(where, f, is, was)...)
		}
	}
	return problems
}

// parsed are documents by what they are told by.
func parsed[T ~string | ~[]byte](t testing.TB, docs map[string]T) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for _, raw := range docs {
		var doc map[string]any
		if err := json.Unmarshal([]byte(raw), &doc); err != nil {
			t.Fatal(err)
		}
		if out[told(doc)] != nil {
			t.Errorf("there are two of %s", told(doc))
		}
		out[told(doc)] = doc
	}
	return out
}

// TestOwnerAsStack: every field of every document, without the design documents, which
// TestDatabasesAsStack compares.
func TestOwnerAsStack(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	const name = "alice.localhost:8090"
	inst := d.add(t, name, lifecycle.Change{Email: ptr("a@b.c"), PublicName: ptr("Alice"), Passphrase: &lifecycle.Passphrase{Text: "correct horse"}})
	used := map[string]bool{}
	compared := 0
	compare := func(db string, got, want map[string]map[string]any) {
		for id := range maps.Keys(want) {
			if strings.HasPrefix(id, "_design/") {
				continue
			}
			where := db + " " + id
			if got[id] == nil {
				t.Errorf("%s is not there", where)
				continue
			}
			compared++
			for _, problem := range alike(where, "", got[id], want[id]) {
				t.Error(problem)
			}
			used[where] = true
		}
		for id := range got {
			if where := db + " " + id; want[id] == nil && !strings.HasPrefix(id, "_design/") {
				if meant[where]["+"] == "" {
					t.Errorf("%s is there, which a stack does not make", where)
				}
				used[where] = true
			}
		}
	}
	dump := dumped(t, "alice_en_onboarded.json")
	if len(dump) != len(provision.Doctypes) {
		t.Fatalf("the dump has %d databases", len(dump))
	}
	for db, docs := range dump {
		compare(strings.TrimPrefix(db, inst.Prefix()+"/"), parsed(t, f.docs(t, db)), parsed(t, docs))
	}
	global := parsed(t, dumped(t, "global.json")[provision.InstancesDB])
	maps.DeleteFunc(global, func(id string, _ map[string]any) bool { return id != "the record of "+name })
	compare(provision.InstancesDB, parsed(t, f.docs(t, provision.InstancesDB)), global)
	for where := range meant {
		if !used[where] {
			t.Errorf("a difference is meant that is none: %s", where)
		}
	}
	if compared != 8 {
		t.Errorf("%d documents were compared", compared)
	}
	if made := f.records(t)[inst.ID()]; made.Has("register_token") || made.State() != tenancy.Active {
		t.Errorf("the record has %q", made.Fields())
	}
}
