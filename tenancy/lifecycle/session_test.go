// Session: the end of sessions, the day of the last one, and tokens.

package lifecycle_test

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// put writes a document of an instance, in a database that is made where it is not there.
func (f *fleet) put(t testing.TB, inst *tenancy.Instance, doctype, id string, doc map[string]any) {
	t.Helper()
	name := provision.DatabaseName(inst.Prefix(), doctype)
	if _, err := f.store.CreateDB(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Put(t.Context(), name, id, doc); err != nil {
		t.Fatal(err)
	}
}

// TestCleanSessions: sessions and logins go, and the index of the logins is there again;
// an instance on its way out gets no new database.
func TestCleanSessions(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		for range 2 {
			f.put(t, inst, "io.cozy.sessions", "s1", map[string]any{"last_seen": "2026-11-01T10:00:00Z"})
			f.put(t, inst, "io.cozy.sessions.logins", "l1", map[string]any{"os": "Linux"})
			if err := d.CleanSessions(t.Context(), "alice.example.com"); err != nil {
				t.Fatal(err)
			}
			f.whole(t, "alice.example.com")
			f.finds(t, d)
		}
		f.put(t, inst, "io.cozy.sessions.logins", "l1", map[string]any{"os": "Linux"})
		if _, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Deleting: ptr(true)}); err != nil {
			t.Fatal(err)
		}
		is(t, d.CleanSessions(t.Context(), "alice.example.com"), tenancy.ErrConflict, "while deleting")
		if docs := f.docs(t, provision.DatabaseName(inst.Prefix(), "io.cozy.sessions.logins")); docs["l1"] == nil {
			t.Errorf("the logins are %s", docs)
		}
		is(t, d.CleanSessions(t.Context(), "nobody.example.com"), tenancy.ErrNotFound, "of nobody")
		if left := f.journal(t); len(left) != 0 {
			t.Errorf("left in the journal: %q", left)
		}
	})
}

// TestLastActivity: the latest of all places that tell it, as a day in UTC.
func TestLastActivity(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		see := func(want string) {
			t.Helper()
			got, err := d.LastActivity(t.Context(), "alice.example.com")
			if err != nil || got.Format(time.RFC3339) != want {
				t.Errorf("the last activity is %s (%v), want %s", got.Format(time.RFC3339), err, want)
			}
		}
		see("0001-01-01T00:00:00Z")
		f.write(t, inst.ID(), "last_activity_from_deleted_oauth_clients", "2022-01-31T23:59:59Z")
		see("2022-01-31T00:00:00Z")
		f.put(t, inst, "io.cozy.sessions.logins", "l1", map[string]any{"created_at": "2022-12-31T23:30:00-01:00"})
		see("2023-01-01T00:00:00Z")
		f.put(t, inst, "io.cozy.oauth.clients", "c1", map[string]any{"synchronized_at": "2023-02-03T04:05:06.789Z", "last_refreshed_at": "never", "created_at": "2030-01-01T00:00:00Z"})
		see("2023-02-03T00:00:00Z")
		f.put(t, inst, "io.cozy.oauth.clients", "c2", map[string]any{"last_refreshed_at": "2023-02-04T00:00:00Z", "synchronized_at": 12})
		see("2023-02-04T00:00:00Z")
		f.put(t, inst, "io.cozy.sessions", "s1", map[string]any{"created_at": "2024-01-01T00:00:00Z", "last_seen": "2024-06-01T00:00:00Z"})
		see("2024-06-01T00:00:00Z")
		_, err := d.LastActivity(t.Context(), "nobody.example.com")
		is(t, err, tenancy.ErrNotFound, "of nobody")
	})
}

// TestToken: each audience's token against RFC 7519 and RFC 7518, section 3.2, by hand.
func TestToken(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	inst := d.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"al.example.com"}})
	now := f.clock.now().Unix()
	session := append([]byte("2:"), inst.Bytes("session_secret")...)
	for _, c := range []struct {
		audience, aud string
		key           []byte
		expire        time.Duration
		iat           int64
	}{
		{"cli", "cli", inst.Bytes("cli_secret"), 0, now},
		{"app", "app", session, 0, now},
		{"webapp", "app", session, 0, now},
		{"konn", "konn", session, 0, now},
		{"konnector", "konn", session, 0, now},
		{"access", "access", inst.Bytes("oauth_secret"), 0, now},
		{"refresh", "refresh", inst.Bytes("oauth_secret"), 0, now},
		// A stack counts the audience's own time from iat.
		{"cli", "cli", inst.Bytes("cli_secret"), 2 * time.Hour, now + 90*60},
		{"app", "app", session, time.Hour, now - 23*3600},
		{"konn", "konn", session, time.Minute, now - 29*60},
		{"access", "access", inst.Bytes("oauth_secret"), 8 * 24 * time.Hour, now + 24*3600},
	} {
		for subject, scope := range map[string]string{"drive": "io.cozy.files:GET io.cozy.jobs", "": ""} {
			token, err := d.Token(t.Context(), lifecycle.TokenRequest{Domain: "al.example.com", Audience: c.audience, Scope: scope, Subject: subject, Expire: c.expire})
			if err != nil {
				t.Fatal(err)
			}
			parts := strings.Split(token, ".")
			if len(parts) != 3 {
				t.Fatalf("the token is %q", token)
			}
			mac := hmac.New(sha512.New, c.key)
			mac.Write([]byte(parts[0] + "." + parts[1]))
			if sum := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); sum != parts[2] {
				t.Errorf("%s: the signature is %s, want %s", c.audience, parts[2], sum)
			}
			read := func(part string) (out map[string]any) {
				raw, err := base64.RawURLEncoding.DecodeString(part)
				if err == nil {
					err = json.Unmarshal(raw, &out)
				}
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			if head := read(parts[0]); !maps.Equal(head, map[string]any{"alg": "HS512", "typ": "JWT"}) {
				t.Errorf("%s: the header is %v", c.audience, head)
			}
			want := map[string]any{"aud": c.aud, "iss": "alice.example.com", "iat": float64(c.iat), "scope": scope}
			if subject != "" {
				want["sub"] = subject
			}
			if claims := read(parts[1]); !maps.Equal(claims, want) {
				t.Errorf("%s, %s: the claims are %v, want %v", c.audience, c.expire, claims, want)
			}
		}
	}
}

// TestTokenRefused: what cannot be a token, by the name of the field.
func TestTokenRefused(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	d.add(t, "alice.example.com", lifecycle.Change{})
	for field, requests := range map[string][]lifecycle.TokenRequest{
		"Audience": {{}, {Audience: "CLI"}, {Audience: "share"}},
		"Scope":    {{Audience: "cli", Scope: strings.Repeat("a", 16<<10+1)}, {Audience: "cli", Subject: strings.Repeat("a", 16<<10+1)}},
		"Expire":   {{Audience: "cli", Expire: -1}, {Audience: "cli", Expire: 367 * 24 * time.Hour}, {Audience: "refresh", Expire: time.Hour}},
	} {
		for _, r := range requests {
			r.Domain = "alice.example.com"
			token, err := d.Token(t.Context(), r)
			if got, ok := errorsAs[*tenancy.FieldError](err); !ok || got.Field != field || token != "" {
				t.Errorf("%.80v: %q (%v), want a field error of %s", r, token, err, field)
			}
		}
	}
	_, err := d.Token(t.Context(), lifecycle.TokenRequest{Domain: "nobody.example.com", Audience: "cli"})
	is(t, err, tenancy.ErrNotFound, "of nobody")
	f.stackMade(t, d, "0123", `{"domain":"bob.example.com"}`)
	_, err = d.Token(t.Context(), lifecycle.TokenRequest{Domain: "bob.example.com", Audience: "cli"})
	is(t, err, tenancy.ErrConflict, "of an instance without a secret")
}
