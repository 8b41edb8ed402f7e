// The API on a listener of its own: TLS, logins, roles, and a cozy-stack's way to call it.

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// writePair writes a certificate for 127.0.0.1 that signs itself, and its key.
func (d *door) writePair(name string) {
	d.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		d.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		d.t.Fatal(err)
	}
	d.write(name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	d.write(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

func bearer(token string) string { return "Bearer " + token }

// basic is a login without a user name, as a cozy-stack's command line has it.
func basic(passphrase string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(":"+passphrase))
}

// client trusts the listener's certificate, and comes from an address of this machine.
func (w *two) client(from string) *http.Client {
	w.one.t.Helper()
	root, err := os.ReadFile(filepath.Join(w.one.dir, "api.pem"))
	if err != nil {
		w.one.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(root)
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
	}}
}

// ask calls the listener of one of the two.
func (w *two) ask(which int, login, method, path, body string) answer {
	w.one.t.Helper()
	var headers []string
	if login != "" {
		headers = append(headers, "Authorization", login)
	}
	if body != "" {
		headers = append(headers, "Content-Type", jsonType)
	}
	a, err := send(w.client("127.0.0.1"), method, w.api[which]+path, "", body, headers...)
	if err != nil {
		w.one.t.Fatal(err)
	}
	return a
}

// speak runs a command against the first listener.
func (w *two) speak(env string, args ...string) (stdout, stderr string, code int) {
	d := *w.one
	d.env = append(slices.Clone(d.env), env)
	return d.try(append(append([]string{"instances"}, args...), "--address", w.api[0])...)
}

func listenerRoles(t *testing.T, w *two) {
	for which := range w.api {
		a := w.ask(which, "", "GET", "/instances/count", "")
		if a.status != 401 || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("without a login: %d %v", a.status, a.header)
		}
	}
	if a := w.ask(0, basic(administrator), "GET", "/instances/count", ""); a.status != 200 {
		t.Errorf("with the passphrase: %d %s", a.status, a.body)
	}
	if a := w.ask(1, basic(administrator), "GET", "/instances/count", ""); a.status != 401 {
		t.Errorf("where only tokens are taken a passphrase gets %d %s", a.status, a.body)
	}
	tokens := map[string]string{}
	for _, role := range []string{"read", "admin"} {
		a := w.one.api(201, "POST", "/tenancy/tokens", params{"Name": role + "er", "Role": role})
		tokens[role] = decode[struct{ Data struct{ Token string } }](t, a.body).Data.Token
	}
	out, stderr, code := w.speak("COZY_ADMIN_PASSPHRASE="+administrator, "api-token", "add", "billing", "--role", "block", "--expire", "365d", "--ca", "api.pem")
	if tokens["block"] = strings.TrimSpace(out); code != 0 || !strings.HasPrefix(tokens["block"], "gh_") {
		t.Fatalf("api-token add exits with %d: %s%s", code, out, stderr)
	}
	if _, stderr, code := w.speak("GATEHOUSE_API_TOKEN="+tokens["read"], "count"); code != 5 || !strings.Contains(stderr, "certificate") {
		t.Errorf("without --ca a command exits with %d: %s", code, stderr)
	}

	w.one.add("roles.localhost", nil)
	ranks := []string{"read", "block", "admin"}
	for _, c := range []struct{ need, method, path, body string }{
		{"read", "GET", "/instances/roles.localhost", ""}, {"read", "GET", "/tenancy/status", ""},
		{"block", "PATCH", "/instances/roles.localhost", `{"Blocked": true, "BlockingReason": "PAYMENT_FAILED"}`},
		{"admin", "PATCH", "/instances/roles.localhost", `{"Blocked": false, "Locale": "fr"}`},
		{"admin", "GET", "/tenancy/tokens", ""}, {"admin", "POST", "/instances/roles.localhost/link", ""},
	} {
		for rank, role := range ranks {
			may := rank >= slices.Index(ranks, c.need)
			for which, login := range []string{basic(tokens[role]), bearer(tokens[role])} {
				if a := w.ask(which, login, c.method, c.path, c.body); may != (a.status == 200) || !may && a.status != 403 {
					t.Errorf("%s: %s %s %s answers %d %s", role, c.method, c.path, c.body, a.status, a.body)
				}
			}
		}
	}
	entry := w.one.listOf("/instances/roles.localhost/history?page[limit]=50")
	if !slices.ContainsFunc(entry, func(e map[string]any) bool {
		return e["verb"] == "modify" && e["actor"] == "billing" && e["via"] == "api" && e["address"] == "127.0.0.1"
	}) {
		t.Errorf("the history is %v", entry)
	}
	w.one.run("instances", "api-token", "revoke", "billing")
	begin := time.Now()
	if a := w.ask(0, bearer(tokens["block"]), "GET", "/instances/count", ""); a.status != 401 {
		t.Errorf("after it was revoked here a token gets %d", a.status)
	}
	w.other.wait("the token is not taken by the other front door", func() error {
		if a := w.ask(1, bearer(tokens["block"]), "GET", "/instances/count", ""); a.status != 401 {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
	if took := time.Since(begin); took > 12*time.Second {
		t.Errorf("the other front door took a revoked token for %v", took)
	}
	for _, d := range []*door{w.one, w.other} {
		keeps(t, "the log", d.log.String(), tokens["read"], tokens["block"], tokens["admin"])
	}
	w.one.api(204, "DELETE", "/instances/roles.localhost", nil)
}

// listenerStack calls as a cozy-stack's command line does: all is in the query.
func listenerStack(t *testing.T, w *two) {
	const passphrase = "an owner's passphrase in a query"
	q := url.Values{
		"Domain": {"stack.localhost"}, "DomainAliases": {""}, "Locale": {"fr"}, "UUID": {""}, "OIDCID": {""}, "FranceConnectID": {""}, "TOSSigned": {""},
		"TOSLatest": {""}, "Timezone": {""}, "ContextName": {""}, "Email": {"s@example.com"}, "PublicName": {"S"}, "Phone": {""}, "Settings": {"offer:freemium"},
		"SwiftLayout": {"-1"}, "CouchCluster": {"-1"}, "DiskQuota": {"0"}, "Apps": {""}, "Passphrase": {passphrase}, "KdfIterations": {"0"}, "MagicLink": {"false"}, "Trace": {"false"},
	}
	login := basic(administrator)
	a := w.one.api(400, "POST", "/instances?"+q.Encode(), nil)
	says(t, "on the admin endpoint", a.body, `"parameter":"Passphrase"`)
	keeps(t, "the answer", a.body, passphrase)
	if a := w.ask(0, login, "POST", "/instances?"+q.Encode(), ""); a.status != 201 {
		t.Fatalf("add: %d %s", a.status, a.body)
	}
	record := w.server.record("stack.localhost")
	if record["password_defined"] != true || record["locale"] != "fr" || record["onboarding_finished"] != true {
		t.Errorf("the record is %v", record)
	}
	q = url.Values{
		"Locale": {""}, "UUID": {""}, "OIDCID": {""}, "FranceConnectID": {""}, "TOSSigned": {""}, "TOSLatest": {""}, "Timezone": {""}, "ContextName": {""},
		"Email": {""}, "PublicName": {""}, "Phone": {""}, "Settings": {""}, "DiskQuota": {"0"}, "MagicLink": {"false"}, "Blocked": {"true"}, "BlockingReason": {"LOGIN_FAILED"},
	}
	if a := w.ask(0, login, "PATCH", "/instances/stack.localhost?"+q.Encode(), ""); a.status != 200 {
		t.Errorf("modify: %d %s", a.status, a.body)
	}
	if now := w.server.record("stack.localhost"); now["locale"] != "fr" || now["blocking_reason"] != "LOGIN_FAILED" {
		t.Errorf("the record is %v", now)
	}
	if a := w.ask(0, login, "POST", "/instances/stack.localhost/export", ""); a.status != 501 {
		t.Errorf("what is a stack's own: %d %s", a.status, a.body)
	}
	if a := w.ask(0, login, "DELETE", "/instances/stack.localhost", ""); a.status != 204 {
		t.Errorf("destroy: %d %s", a.status, a.body)
	}
	// The admin endpoint logs what it has refused; that is why it refuses it.
	for line := range strings.Lines(w.one.log.String()) {
		if !strings.Contains(line, `"logger":"admin.api"`) {
			keeps(t, "the log", line, passphrase, url.QueryEscape(passphrase))
		}
	}
}

func listenerLockout(t *testing.T, w *two) {
	count := func(passphrase string) answer { return w.ask(0, basic(passphrase), "GET", "/instances/count", "") }
	var a answer
	for try := 0; a.status != 429; try++ {
		if a = count("wrong"); a.status != 401 && a.status != 429 || try > 20 {
			t.Fatalf("try %d: %d %s", try, a.status, a.body)
		}
	}
	if a.header.Get("Retry-After") == "" {
		t.Errorf("who has failed too often gets %v", a.header)
	}
	// Who was right before may share the address of who fails.
	if a := count(administrator); a.status != 200 {
		t.Errorf("the right passphrase meanwhile: %d %s", a.status, a.body)
	}
	if a, err := fetch(w.client("127.0.0.2"), w.api[0]+"/instances/count", "", "Authorization", basic("wrong")); err != nil || a.status != 401 {
		t.Errorf("from another address: %d %s (%v)", a.status, a.body, err)
	}
	says(t, "the metrics", w.one.api(200, "GET", "/metrics", nil).body, "gatehouse_api_login_failures_total")
	w.one.wait("the delay is over", func() error {
		if a := count("wrong"); a.status != 401 {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
}
