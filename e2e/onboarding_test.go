// Onboarding by the front door's own page: the link, the form, and what becomes of both.

package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

// accessLog is the one that docs/onboarding.md wants.
const accessLog = `log {
		format filter {
			request>uri query {
				replace registerToken REDACTED
			}
		}
	}`

// owner is who has been sent a link: a browser with cookies.
type owner struct {
	t      testing.TB
	client *http.Client
	link   string // on this door's port
	csrf   string // of the form that was shown last
}

// owns is the owner who was sent what a command has printed.
func (d *door) owns(printed string) (o *owner, token string) {
	d.t.Helper()
	found := regexp.MustCompile(`https://([a-z.]+)/\?registerToken=([0-9a-f]{32})\n`).FindStringSubmatch(printed)
	if found == nil {
		d.t.Fatalf("there is no link in\n%s", printed)
	}
	client := d.tls()
	var err error
	if client.Jar, err = cookiejar.New(nil); err != nil {
		d.t.Fatal(err)
	}
	return &owner{t: d.t, client: client, link: fmt.Sprintf("https://%s:%d/?registerToken=%s", found[1], d.https, found[2])}, found[2]
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// sees follows the link, and remembers the form if there is one.
func (o *owner) sees(status int) answer {
	o.t.Helper()
	a, err := fetch(o.client, o.link, "", "Accept", "text/html")
	if err != nil || a.status != status {
		o.t.Fatalf("the link answers %d, want %d (%v): %s", a.status, status, err, a.body)
	}
	o.csrf = ""
	if found := csrfField.FindStringSubmatch(a.body); found != nil {
		o.csrf = found[1]
	}
	return a
}

// sends fills in the form, as a browser does, and as a program that wants JSON reads the answer.
func (o *owner) sends(status int, passphrase, repeat string) answer {
	o.t.Helper()
	form := url.Values{"csrf": {o.csrf}, "passphrase": {passphrase}, "repeat": {repeat}}
	a, err := send(o.client, http.MethodPost, o.link, "", form.Encode(), "Content-Type", formType, "Accept", jsonType, "Origin", "null")
	if err != nil || a.status != status {
		o.t.Fatalf("the form answers %d, want %d (%v): %s", a.status, status, err, a.body)
	}
	return a
}

// code is the code of an answer's error.
func (a answer) code() string {
	var doc struct{ Errors []struct{ Code string } }
	if json.Unmarshal([]byte(a.body), &doc) != nil || len(doc.Errors) != 1 {
		return ""
	}
	return doc.Errors[0].Code
}

// isCode holds an answer against a status and the code of its error.
func isCode(t testing.TB, what string, a answer, status int, code string) {
	t.Helper()
	if a.status != status || a.code() != code {
		t.Errorf("%s: %d %s, want %d %s", what, a.status, a.body, status, code)
	}
}

func TestOnboarding(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "store embedded ./data")
	d.site = accessLog
	d.configure("onboarding page\n\t\tsupport help@example.com")
	d.startReady()
	const passphrase, second = "kettle orbit seldom walnut", "another walnut than before"
	o, token := d.owns(d.run("instances", "add", "alice.localhost", "--locale", "fr", "--email", "alice@example.com", "--public-name", "Alice"))

	t.Run("before", func(t *testing.T) {
		for _, host := range []string{"alice.localhost", "drive.alice.localhost"} {
			isCode(t, host, d.in(t).mustGet(host, "/hello", "Accept", jsonType), 403, "NOT_ONBOARDED")
		}
		a := d.in(t).mustGet("alice.localhost", "/", "Accept", "text/html")
		if a.status != 403 || a.header.Get("Content-Language") != "fr" || a.header.Get("Cache-Control") != "no-store" || !strings.Contains(a.body, "help@example.com") {
			t.Errorf("a browser gets %d %v\n%s", a.status, a.header, a.body)
		}
	})
	t.Run("the form", func(t *testing.T) { onboardForm(t, o, passphrase) })
	t.Run("after", func(t *testing.T) {
		if a := d.in(t).mustGet("drive.alice.localhost", "/hello"); a.status != 200 || !strings.HasPrefix(a.body, "domain=alice.localhost ") {
			t.Errorf("the upstream: %d %s", a.status, a.body)
		}
		isCode(t, "the form once more", o.sends(403, passphrase, passphrase), 403, "LINK_INVALID")
		if a := o.sees(303); a.header.Get("Location") != "/" {
			t.Errorf("the link leads to %q", a.header.Get("Location"))
		}
		d.in(t).api(409, "POST", "/instances/alice.localhost/link", nil)
	})
	var tokens []string
	t.Run("another link", func(t *testing.T) {
		added := d.in(t).api(201, "POST", "/instances", params{"Domain": "bob.localhost"})
		first, err := base64.StdEncoding.DecodeString(decode[struct {
			Data struct {
				Attributes struct {
					Token string `json:"register_token"`
				}
			}
		}](t, added.body).Data.Attributes.Token)
		if err != nil {
			t.Fatal(err)
		}
		b, token := d.in(t).owns(d.run("instances", "resend-link", "bob.localhost"))
		tokens = append(tokens, hex.EncodeToString(first), token)
		old := *b
		old.link = strings.Replace(b.link, token, tokens[0], 1)
		old.sees(403)
		b.sees(200)
		if out, stderr, code := d.tryWith(second+"\n", "instances", "set-passphrase", "bob.localhost", "--passphrase-file", "-"); code != 0 {
			t.Fatalf("set-passphrase exits with %d: %s%s", code, out, stderr)
		}
		if err := d.served("bob.localhost"); err != nil {
			t.Error(err)
		}
		isCode(t, "the form, after set-passphrase", b.sends(403, passphrase, passphrase), 403, "LINK_INVALID")
	})
	t.Run("secrets", func(t *testing.T) {
		log := d.log.String()
		says(t, "the access log", log, "registerToken=REDACTED", "/hello")
		secrets := append([]string{passphrase, url.QueryEscape(passphrase), second, token}, tokens...)
		for _, hexed := range append([]string{token}, tokens...) {
			raw, _ := hex.DecodeString(hexed)
			secrets = append(secrets, base64.StdEncoding.EncodeToString(raw))
		}
		history := d.run("instances", "history", "alice.localhost", "--json")
		keeps(t, "the log", log, secrets...)
		keeps(t, "the history", history, secrets...)
		entry := decode[map[string]any](t, strings.SplitN(history, "\n", 2)[0])
		if entry["verb"] != "onboard" || entry["via"] != "onboarding" || entry["actor"] != "owner" || entry["address"] != "127.0.0.1" {
			t.Errorf("the last entry is %v", entry)
		}
		says(t, "the history", history, `"onboarding_finished"`, `"(secret)"`, `"verb":"add"`)
	})
}

// onboardForm fills the form in: badly, then well.
func onboardForm(t *testing.T, o *owner, passphrase string) {
	a := o.sees(200)
	says(t, "the form", a.body, `lang="fr"`, "alice.localhost", "Choisissez votre mot de passe")
	if o.csrf == "" {
		t.Fatalf("there is no form in\n%s", a.body)
	}
	good := o.csrf
	o.csrf = strings.Repeat("A", len(good))
	isCode(t, "a forged form", o.sends(403, passphrase, passphrase), 403, "FORM_EXPIRED")
	o.csrf = good
	isCode(t, "a weak one", o.sends(422, "alice.localhost", "alice.localhost"), 422, "PASSWORD_SITE")
	isCode(t, "two", o.sends(422, passphrase, passphrase+"x"), 422, "PASSWORD_DIFFERS")
	stranger := *o
	client := *o.client
	client.Jar = nil
	stranger.client = &client
	isCode(t, "without the cookie", stranger.sends(403, passphrase, passphrase), 403, "FORM_EXPIRED")
	if a := o.sends(303, passphrase, passphrase); a.header.Get("Location") != "/" {
		t.Errorf("after the form: %q", a.header.Get("Location"))
	}
}
