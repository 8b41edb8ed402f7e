// Every flag of add and modify: given to the built binary, and read back from the
// documents in the store.

package e2e

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// flag is one flag of add or modify, and what it makes of a document.
type flag struct {
	args  []string
	field string // of the record; settings.FIELD is of the settings' document
	want  any    // as encoding/json reads it; nil for absent
}

// flags are those that add and modify have both, in groups that go together.
var flags = [][]flag{{
	{[]string{"--auth-mode", "two_factor_mail"}, "auth_mode", 1.0},
	{[]string{"--auto-update=false"}, "no_auto_update", true},
	{[]string{"--blocked", "--blocking-reason", "LOGIN_FAILED"}, "blocking_reason", "LOGIN_FAILED"},
	{[]string{"--context-name", "company"}, "context", "company"},
	{[]string{"--disk-quota", "3GB"}, "disk_quota", "3000000000"},
	{[]string{"--domain-aliases", "one-NAME,two-NAME"}, "domain_aliases", []any{"one-NAME", "two-NAME"}},
	{[]string{"--email", "alice@example.com"}, "settings.email", "alice@example.com"},
	{[]string{"--feature-sets", "a,b"}, "feature_sets", []any{"a", "b"}},
	{[]string{"--franceconnect_id", "fc-1"}, "franceconnect_id", "fc-1"},
	{[]string{"--locale", "fr"}, "locale", "fr"},
	{[]string{"--magic_link"}, "magic_link", true},
	{[]string{"--oidc_id", "oidc-1"}, "oidc_id", "oidc-1"},
	{[]string{"--old-domain", "former.example.net"}, "old_domain", "former.example.net"},
	{[]string{"--onboarding-finished"}, "onboarding_finished", true},
	{[]string{"--org-domain", "org.example.net"}, "org_domain", "org.example.net"},
	{[]string{"--org-id", "org-1"}, "org_id", "org-1"},
	{[]string{"--phone", "+33 1 23"}, "settings.phone", "+33 1 23"},
	{[]string{"--public-name", "Alice A."}, "settings.public_name", "Alice A."},
	{[]string{"--sponsorships", "x,y"}, "sponsorships", []any{"x", "y"}},
	{[]string{"--swift-layout", "2"}, "swift_cluster", 2.0},
	{[]string{"--tos", "1.0.0-20240131"}, "tos", "1.0.0-20240131"},
	{[]string{"--tos-latest", "2.0.0-20250131"}, "tos_latest", "2.0.0-20250131"},
	{[]string{"--tz", "Europe/Paris"}, "settings.tz", "Europe/Paris"},
	{[]string{"--uuid", "9ab3"}, "uuid", "9ab3"},
}, {
	{[]string{"--blocked"}, "blocked", true},
	{[]string{"--settings", "offer:freemium,tos:1.0.0-20240131,context:company,auto_update:false"}, "settings.offer", "freemium"},
	{nil, "tos", "1.0.0-20240131"},
	{nil, "context", "company"},
	{nil, "no_auto_update", true},
}}

// of puts an instance's domain where NAME stands.
func (f flag) of(name string) flag {
	args := make([]string, len(f.args))
	for i, arg := range f.args {
		args[i] = strings.ReplaceAll(arg, "NAME", name)
	}
	if list, ok := f.want.([]any); ok {
		out := make([]any, len(list))
		for i, v := range list {
			out[i] = strings.ReplaceAll(v.(string), "NAME", name)
		}
		f.want = out
	}
	f.args = args
	return f
}

// field is a field of an instance's record, or of its settings.
func (s couchServer) field(domain, name string) any {
	s.t.Helper()
	record := s.record(domain)
	if record == nil {
		s.t.Fatalf("%s has no record", domain)
	}
	if key, ok := strings.CutPrefix(name, "settings."); ok {
		return s.doc(record["prefix"].(string)+"/io-cozy-settings", "io.cozy.settings.instance")[key]
	}
	return record[name]
}

func (s couchServer) want(domain string, f flag) {
	s.t.Helper()
	if got := s.field(domain, f.field); !reflect.DeepEqual(got, f.want) {
		s.t.Errorf("%v: %s is %#v, want %#v", f.args, f.field, got, f.want)
	}
}

// give runs one command with all flags of a group, and looks at what each has made.
func (d *door) give(server couchServer, verb, name string, group []flag) {
	d.t.Helper()
	args := []string{"instances", verb, name}
	for i := range group {
		args = append(args, group[i].of(name).args...)
	}
	d.run(args...)
	for _, f := range group {
		server.want(name, f.of(name))
	}
}

// TestFlagsOfAdd: each flag of add is in the documents that it makes.
func TestFlagsOfAdd(t *testing.T) {
	t.Parallel()
	server := couchServer{t, testkit.PouchDB(t).URL()}
	d := newDoor(t, "store couchdb "+server.url)
	d.startReady()
	for i, group := range flags {
		name := fmt.Sprintf("add%d.localhost", i)
		d.give(server, "add", name, group)
	}
	d.run("instances", "add", "other.localhost", "--couch-cluster", "0", "--trace", "--from-cloudery")
	server.want("other.localhost", flag{[]string{"--couch-cluster"}, "couch_cluster", nil})
	if _, stderr, code := d.try("instances", "add", "third.localhost", "--couch-cluster", "7"); code != 2 || !strings.Contains(stderr, "CouchCluster") {
		t.Errorf("an unknown cluster exits with %d: %s", code, stderr)
	}
}

// TestFlagsOfModify: each flag of modify changes the documents, and what has a value
// is cleared by an empty one.
func TestFlagsOfModify(t *testing.T) {
	t.Parallel()
	server := couchServer{t, testkit.PouchDB(t).URL()}
	d := newDoor(t, "store couchdb "+server.url)
	d.startReady()
	const name = "modify.localhost"
	d.run("instances", "add", name)
	before := server.record(name)
	for _, group := range flags {
		d.give(server, "modify", name, group)
	}
	clear := []string{"instances", "modify", name, "--locale", "en"}
	cleared := map[string]string{
		"blocked=false": "blocked", "blocking-reason=": "blocking_reason", "context-name=": "context", "disk-quota=0": "disk_quota",
		"domain-aliases=": "domain_aliases", "email=": "settings.email", "feature-sets=": "feature_sets", "franceconnect_id=": "franceconnect_id",
		"magic_link=false": "magic_link", "oidc_id=": "oidc_id", "old-domain=": "old_domain", "onboarding-finished=false": "onboarding_finished",
		"org-domain=": "org_domain", "org-id=": "org_id", "phone=": "settings.phone", "public-name=": "settings.public_name",
		"settings=offer:": "settings.offer", "sponsorships=": "sponsorships", "tos=": "tos", "tos-latest=": "tos_latest", "tz=": "settings.tz",
		"uuid=": "uuid", "auto-update=true": "no_auto_update", "auth-mode=basic": "auth_mode", "swift-layout=0": "swift_cluster",
	}
	for flagName := range cleared {
		clear = append(clear, "--"+flagName)
	}
	d.run(clear...)
	for flagName, field := range cleared {
		server.want(name, flag{[]string{"--" + flagName}, field, nil})
	}
	after := server.record(name)
	delete(before, "_rev")
	delete(after, "_rev")
	if !reflect.DeepEqual(before, after) {
		t.Errorf("after setting and clearing all the record is\n%v, was\n%v", after, before)
	}
	d.run("instances", "modify", name, "--deleting")
	server.want(name, flag{[]string{"--deleting"}, "deleting", true})
	if a := d.mustGet(name, "/"); a.status != http.StatusGone {
		t.Errorf("with the flag a visitor gets %d", a.status)
	}
	d.run("instances", "modify", name, "--deleting=false")
	server.want(name, flag{[]string{"--deleting=false"}, "deleting", nil})
}

// TestCarefulModify: --if-rev refuses what was changed by others, and --dry-run shows
// what would be, and changes nothing.
func TestCarefulModify(t *testing.T) {
	t.Parallel()
	server := couchServer{t, testkit.PouchDB(t).URL()}
	d := newDoor(t, "store couchdb "+server.url)
	d.startReady()
	const name = "careful.localhost"
	d.run("instances", "add", name)
	rev := server.record(name)["_rev"].(string)
	out := d.run("instances", "modify", name, "--locale", "fr", "--email", "a@b.c", "--dry-run")
	if !strings.Contains(out, "locale") || !strings.Contains(out, "fr") || !strings.Contains(out, "settings.email") {
		t.Errorf("--dry-run prints\n%s", out)
	}
	if now := server.record(name)["_rev"]; now != rev {
		t.Errorf("--dry-run has changed the record to %v", now)
	}
	d.run("instances", "modify", name, "--locale", "fr", "--if-rev", rev)
	if _, stderr, code := d.try("instances", "modify", name, "--locale", "de", "--if-rev", rev); code != 4 || !strings.Contains(stderr, "revision") {
		t.Errorf("an old revision exits with %d: %s", code, stderr)
	}
	server.want(name, flag{nil, "locale", "fr"})
}

// TestPassphraseFlags: each way to hand a passphrase over makes the documents of an
// onboarded instance, and leaves it nowhere else.
func TestPassphraseFlags(t *testing.T) {
	t.Parallel()
	server := couchServer{t, testkit.PouchDB(t).URL()}
	d := newDoor(t, "store couchdb "+server.url)
	d.startReady()
	const secret = "correct-horse-battery"
	d.write("secret", secret+"\n")
	hashes := map[string]bool{}
	onboarded := func(name, how string) {
		t.Helper()
		record := server.record(name)
		hash, _ := record["passphrase_hash"].(string)
		if record["password_defined"] != true || record["onboarding_finished"] != true || record["register_token"] != nil || hash == "" || hashes[hash] {
			t.Errorf("%s: the record is %v", how, record)
		}
		hashes[hash] = true
		vault := server.doc(record["prefix"].(string)+"/io-cozy-settings", "io.cozy.settings.bitwarden")
		for _, field := range []string{"key", "public_key", "private_key", "security_stamp", "passphrase_kdf_iterations"} {
			if vault[field] == nil {
				t.Errorf("%s: the vault's settings have no %s", how, field)
			}
		}
	}
	d.run("instances", "add", "one.localhost", "--passphrase", secret)
	onboarded("one.localhost", "--passphrase")
	d.run("instances", "add", "two.localhost", "--passphrase-file", "secret")
	onboarded("two.localhost", "--passphrase-file")
	if out, stderr, code := d.tryWith(secret+"\n", "instances", "add", "three.localhost", "--passphrase-file", "-"); code != 0 {
		t.Fatalf("standard input exits with %d: %s%s", code, out, stderr)
	}
	onboarded("three.localhost", "--passphrase-file -")
	d.run("instances", "add", "four.localhost")
	d.run("instances", "set-passphrase", "four.localhost", secret)
	onboarded("four.localhost", "set-passphrase")
	d.run("instances", "add", "five.localhost", "--passphrase", "hashed-by-a-client", "--kdf-iterations", "100000", "--key", "0.aXY=|Y3Q=")
	onboarded5 := server.doc(tenancyPrefix(t, "five.localhost")+"/io-cozy-settings", "io.cozy.settings.bitwarden")
	if onboarded5["key"] != "0.aXY=|Y3Q=" || onboarded5["passphrase_kdf_iterations"] != 100000.0 {
		t.Errorf("--key: %v", onboarded5)
	}
	if log := d.log.String(); strings.Contains(log, secret) || strings.Contains(log, "hashed-by-a-client") {
		t.Error("the passphrase is in the log")
	}
}

func tenancyPrefix(t testing.TB, name string) string {
	t.Helper()
	d, err := tenancy.ParseDomain(name)
	if err != nil {
		t.Fatal(err)
	}
	return d.Prefix()
}
