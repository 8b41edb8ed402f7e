// The tests of what is refused, of hashes that others wrote, and that nothing shows.

package passphrase_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/passphrase"
)

func TestRefused(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	for _, c := range []struct {
		name, field string
		in          passphrase.Input
	}{
		{"no passphrase", "Passphrase", passphrase.Input{Domain: "a.example"}},
		{"a long one", "Passphrase", passphrase.Input{Domain: "a.example", Passphrase: strings.Repeat(secret, 171)}},
		{"bytes that are no text", "Passphrase", passphrase.Input{Domain: "a.example", Passphrase: secret + "\xff"}},
		{"few rounds", "KdfIterations", passphrase.Input{Domain: "a.example", Passphrase: secret, KDFIterations: 49_999}},
		{"many rounds", "KdfIterations", passphrase.Input{Domain: "a.example", Passphrase: secret, KDFIterations: 5_000_001}},
		{"rounds below 0", "KdfIterations", passphrase.Input{Domain: "a.example", Passphrase: secret, KDFIterations: -1}},
		{"few rounds of a client", "KdfIterations", passphrase.Input{Domain: "a.example", Passphrase: secret, KDFIterations: 1, Key: "0.a|b"}},
		{"no domain", "Domain", passphrase.Input{Domain: ":8080", Passphrase: secret}},
		{"a long key", "Key", passphrase.Input{Domain: "a.example", Passphrase: secret, KDFIterations: 50_000, Key: strings.Repeat(secret, 2000)}},
		{"a key that is none", "Key", passphrase.Input{Domain: "a.example", Passphrase: secret, KDFIterations: 50_000, Key: secret + "\n"}},
		{"a public key alone", "PublicKey", passphrase.Input{Domain: "a.example", Passphrase: secret, KDFIterations: 50_000, Key: "0.a|b", PublicKey: "a"}},
		{"a private key alone", "PublicKey", passphrase.Input{Domain: "a.example", Passphrase: secret, KDFIterations: 50_000, Key: "0.a|b", PrivateKey: "a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, made := passphrase.New(c.in, now, rand.Reader)
			_, derived := c.in.ClientHash()
			for from, err := range map[string]error{"New": made, "ClientHash": derived, "Validate": c.in.Validate()} {
				var field *tenancy.FieldError
				if !errors.As(err, &field) || field.Field != c.field {
					t.Errorf("%s: %v, want an error of the field %s", from, err, c.field)
					continue
				}
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%s repeats the value", from)
				}
			}
		})
	}
	for _, rounds := range []int{0, 50_000, 5_000_000} {
		in := passphrase.Input{Domain: "a.example", Passphrase: strings.Repeat("x", 1024), KDFIterations: rounds}
		if err := in.Validate(); err != nil {
			t.Errorf("%d rounds: %v", rounds, err)
		}
	}
}

func TestCheckHashesOfOthers(t *testing.T) {
	t.Parallel()
	for _, h := range readVectors(t).Hashes {
		if ok, err := passphrase.Check([]byte(h.Stored), h.Hashed); !ok || err != nil {
			t.Errorf("%s is refused: %v", h.Stored, err)
		}
		if ok, err := passphrase.Check([]byte(h.Stored), "another"); ok || err != nil {
			t.Errorf("%s takes another: %v", h.Stored, err)
		}
	}
}

func TestCheckRefusesForms(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("00", 32)
	for _, stored := range []string{
		"", "x", "scrypt$32768$8$1", "bcrypt$32768$8$1$00$" + key, "scrypt$32768$8$1$00$" + key + "$", "scrypt$32768$8$1$00$",
		"scrypt$32768$8$1$$" + key, "scrypt$32768$8$1$0$" + key, "scrypt$32768$8$1$00$zz" + key, "scrypt$32768$8$1$00$00",
		"scrypt$-1$8$1$00$" + key, "scrypt$0$8$1$00$" + key, "scrypt$32768$0$1$00$" + key, "scrypt$32768$8$0$00$" + key,
		"scrypt$3$8$1$00$" + key, "scrypt$1$8$1$00$" + key, // N is no power of 2 above 1
		"scrypt$1073741824$8$1$00$" + key, "scrypt$524288$8$1$00$" + key, "scrypt$32768$4096$1$00$" + key, "scrypt$2$8$17$00$" + key, // too dear
		"scrypt$99999999999999999999$8$1$00$" + key, "scrypt$32768$8$1$" + strings.Repeat("00", 65) + "$" + key,
		"scrypt$32768$8$1$00$" + strings.Repeat("00", 65),
	} {
		if ok, err := passphrase.Check([]byte(stored), "x"); ok || !errors.Is(err, passphrase.ErrHash) {
			t.Errorf("%q: %v, %v", stored, ok, err)
		}
	}
}

// holder is how a caller may have them in hand.
type holder struct {
	Input    passphrase.Input
	Pointer  *passphrase.Input
	Material passphrase.Material
	hidden   *passphrase.Material
	inner    passphrase.Material
}

func TestNothingShows(t *testing.T) {
	t.Parallel()
	in := passphrase.Input{Domain: "alice.example", OldDomain: "old.example", Passphrase: "s3cret-passphrase", KDFIterations: 50_000, Key: "s3cret-key"}
	m, made := newMaterial(t, in), sharedMaterial(t)
	h := holder{in, &in, *made, made, *made}

	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, value := range []any{in, &in, *m, m, made, h, &h, []any{in, made}} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
	}
	fmt.Fprintln(&out, in.String(), in.GoString(), m.String(), m.GoString(), fmt.Errorf("%v %w", in, errors.New("x")))
	raw, err := json.Marshal(map[string]any{"in": in, "pointer": &in, "material": made, "holder": h})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(raw)
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("setting", "input", in, "material", made, "holder", h)
	}
	out.Write(log.Bytes())

	doc := made.Settings()
	for name, secret := range map[string]string{
		"the passphrase": "s3cret", "the passphrase in hex": fmt.Sprintf("%x", "s3cret"), "the hash": "scrypt$",
		"the hash's bytes": strings.Trim(fmt.Sprint(made.Hash()[:8]), "[]"), "the secret's bytes": strings.Trim(fmt.Sprint(made.SessionSecret()[:8]), "[]"),
		"the key": text(t, doc, "key")[2:10], "the private key": text(t, doc, "private_key")[2:10],
	} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s shows", name)
		}
	}
	if !strings.Contains(out.String(), "[redacted]") {
		t.Error("nothing says that something was left out")
	}
}
