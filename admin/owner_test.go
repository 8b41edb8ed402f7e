// What is done for an instance's owner, by the API and by the command.

package admin_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

func TestOwnerRoutes(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	first := a.must(201, "POST", "/instances", `{"Domain":"alice.example.com"}`).document(t).Data.Attributes["register_token"]
	alice := "/instances/alice.example.com"

	again := a.must(200, "POST", alice+"/link", "").document(t).Data.Attributes["register_token"]
	if again == nil || again == first {
		t.Errorf("the link made anew has the token %v, the first had %v", again, first)
	}
	a.must(400, "POST", alice+"/link", `{"Send":true}`) // there is no hook
	a.must(400, "POST", alice+"/link", `{"Send":"perhaps"}`)
	a.must(400, "POST", alice+"/link", `{"Passphrase":"x"}`)
	a.must(404, "POST", "/instances/bob.example.com/link", "")

	a.must(204, "POST", alice+"/auth-mode", `{"auth_mode":"two_factor_mail"}`)
	if got := a.must(200, "GET", alice, "").document(t).Data.Attributes["auth_mode"]; got != 1.0 {
		t.Errorf("the auth mode is %v", got)
	}
	a.must(400, "POST", alice+"/auth-mode", `{"auth_mode":"retina"}`)
	a.must(400, "POST", alice+"/auth-mode", "")
	a.must(404, "POST", "/instances/bob.example.com/auth-mode", `{"auth_mode":"basic"}`)

	r := a.must(200, "POST", alice+"/passphrase", `{"Passphrase":"correct horse","KdfIterations":50000}`)
	for _, secret := range []string{"correct horse", "scrypt", "secret", "token"} {
		if strings.Contains(r.body, secret) {
			t.Errorf("the answer has %q: %s", secret, r.body)
		}
	}
	a.must(409, "POST", alice+"/link", "") // onboarded by now
	a.must(400, "POST", alice+"/passphrase", "")
	a.must(400, "POST", alice+"/passphrase", `{"Passphrase":""}`)
	a.must(400, "POST", alice+"/passphrase", `{"Passphrase":"correct horse","Locale":"fr"}`)
	if r := a.must(400, "POST", alice+"/passphrase?Passphrase=hunter2", ""); strings.Contains(r.body, "hunter2") {
		t.Errorf("a passphrase is repeated: %s", r.body)
	}
	a.must(404, "POST", "/instances/bob.example.com/passphrase", `{"Passphrase":"correct horse"}`)
	r = a.must(400, "PATCH", alice, `{"Passphrase":"correct horse"}`)
	contains(t, "a passphrase to modify", r.body, "set-passphrase")
	contains(t, "apps to modify", a.must(400, "PATCH", alice, `{"Apps":"drive"}`).body, "install-apps")

	a.must(204, "DELETE", alice+"/sessions", "")
	a.must(404, "DELETE", "/instances/bob.example.com/sessions", "")
	if r := a.must(200, "GET", alice+"/last-activity", ""); strings.TrimSpace(r.body) != `{"last-activity":null}` {
		t.Errorf("without a use: %s", r.body)
	}
	a.must(404, "GET", "/instances/bob.example.com/last-activity", "")
	a.must(400, "POST", alice+"/apps", `{"Apps":"drive"}`) // there are no files
	a.must(400, "POST", alice+"/apps", "")
	a.must(405, "GET", alice+"/sessions", "")
}

// TestToken: as a cozy-stack's command line asks for it, and as our own does.
func TestToken(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "POST", "/instances?Domain=alice.example.com", "")
	claims := func(token string) (c map[string]any) {
		parts := strings.Split(strings.TrimSpace(token), ".")
		if len(parts) != 3 {
			t.Fatalf("%q is no token", token)
		}
		raw, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil || json.Unmarshal(raw, &c) != nil {
			t.Fatalf("the claims are %q (%v)", raw, err)
		}
		return c
	}
	r := a.must(200, "POST", "/instances/token?Audience=app&Domain=alice.example.com&Expire=0s&Scope=&Subject=drive", "")
	if c := claims(r.body); c["sub"] != "drive" || c["iss"] != "alice.example.com" || !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") {
		t.Errorf("a token of an app: %v, %v", c, r.header)
	}
	r = a.must(200, "POST", "/instances/token?Audience=cli&Domain=alice.example.com&Scope=io.cozy.files+io.cozy.apps%3AGET&Subject=CLI", "")
	if c := claims(r.body); c["scope"] != "io.cozy.files io.cozy.apps:GET" {
		t.Errorf("a token of the command line: %v", c)
	}
	for _, bad := range []string{
		"Audience=app&Domain=alice.example.com&Subject=drive&Expire=soon", "Audience=app&Domain=alice.example.com&Subject=drive&Colour=red",
		"Audience=tv&Domain=alice.example.com",
	} {
		a.must(400, "POST", "/instances/token?"+bad, "")
	}
	a.must(404, "POST", "/instances/token?Audience=app&Domain=bob.example.com&Subject=drive", "")
	for _, args := range [][]string{
		{"token-app", "alice.example.com", "drive"}, {"token-app", "alice.example.com", "drive", "--expire", "1h"},
		{"token-konnector", "alice.example.com", "bank"}, {"token-cli", "alice.example.com", "io.cozy.files", "io.cozy.apps"},
		{"token-oauth", "alice.example.com", "client", "io.cozy.files", "--expire", "2d"}, {"refresh-token-oauth", "alice.example.com", "client", "io.cozy.files"},
	} {
		if c := claims(a.cli(0, args...).out); c["iss"] != "alice.example.com" {
			t.Errorf("%v: %v", args, c)
		}
	}
	a.cli(2, "token-app", "alice.example.com")
	a.cli(2, "token-app", "alice.example.com", "drive", "--expire", "soon")
	a.cli(3, "token-cli", "bob.example.com", "io.cozy.files")
}

func TestOwnerCommands(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.cli(0, "add", "alice.example.com")
	contains(t, "resend-link", a.cli(0, "resend-link", "alice.example.com").out, "Registration token", "https://alice.example.com/?registerToken=")
	contains(t, "auth-mode", a.cli(0, "auth-mode", "alice.example.com", "two_factor_mail").out, "alice.example.com")
	contains(t, "clean-sessions", a.cli(0, "clean-sessions", "alice.example.com").out, "alice.example.com")
	contains(t, "last-activity", a.cli(0, "last-activity", "alice.example.com").out, "unknown")
	a.cli(2, "auth-mode", "alice.example.com", "retina")
	a.cli(2, "install-apps", "alice.example.com", "drive")
	a.cli(2, "install-apps", "alice.example.com")
	a.cli(2, "resend-link", "alice.example.com", "--send")
	a.cli(3, "clean-sessions", "bob.example.com")
}

// TestNotOffered: what a stack's command line has and this one has not is told
// from what does not exist.
func TestNotOffered(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	for _, c := range [][2]string{
		{"GET", "/instances/alice.example.com/swift-prefix"}, {"GET", "/instances/alice.example.com/debug"}, {"POST", "/instances/alice.example.com/debug?TTL=24h0m0s"},
		{"GET", "/instances/alice.example.com/fsck?FailFast=false"}, {"POST", "/instances/alice.example.com/export?admin-req=false"},
		{"POST", "/instances/alice.example.com/import?manifest_url=x"}, {"GET", "/instances/oauth_client?domain=alice.example.com&software_id=x"},
		{"POST", "/instances/oauth_client?Domain=alice.example.com"}, {"GET", "/instances/with-app-version/drive/1.0"},
	} {
		contains(t, c[1], a.must(501, c[0], c[1], "").body, "ask the stack behind it")
	}
}
