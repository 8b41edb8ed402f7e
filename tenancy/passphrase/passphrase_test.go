// The tests of New against the vectors: hash, key material, settings.

package passphrase_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/passphrase"
)

var now = time.Date(2026, 11, 24, 7, 23, 13, 793436863, time.UTC)

func newMaterial(t testing.TB, in passphrase.Input) *passphrase.Material {
	t.Helper()
	m, err := passphrase.New(in, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// shared is one material for the tests that only look at it: each costs a second
// of scrypt under the race detector.
var shared = sync.OnceValues(func() (*passphrase.Material, error) { return passphrase.New(alice, now, rand.Reader) })

func sharedMaterial(t testing.TB) *passphrase.Material {
	t.Helper()
	m, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func text(t testing.TB, doc map[string]any, field string) string {
	t.Helper()
	s, ok := doc[field].(string)
	if !ok {
		t.Fatalf("%s is no string", field)
	}
	return s
}

func TestClientHash(t *testing.T) {
	t.Parallel()
	for _, c := range readVectors(t).Clients {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			in := passphrase.Input{Domain: c.Domain, OldDomain: c.OldDomain, Passphrase: c.Passphrase, KDFIterations: c.Iterations}
			got, err := in.ClientHash()
			if err != nil || got != c.Hashed {
				t.Errorf("%q, %v, want %q", got, err, c.Hashed)
			}
			if ok, err := passphrase.Check([]byte(c.Stored), got); !ok || err != nil {
				t.Errorf("the hash made by another tool is refused: %v", err)
			}
		})
	}
}

// TestTheVaultOpens: what New writes is what a client with the master key reads.
func TestTheVaultOpens(t *testing.T) {
	t.Parallel()
	for _, c := range readVectors(t).Clients {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			m := newMaterial(t, passphrase.Input{Domain: c.Domain, OldDomain: c.OldDomain, Passphrase: c.Passphrase, KDFIterations: c.Iterations})
			if form := regexp.MustCompile(`^scrypt\$32768\$8\$1\$[0-9a-f]{32}\$[0-9a-f]{64}$`); !form.Match(m.Hash()) {
				t.Error("the hash has another form")
			}
			if ok, err := passphrase.Check(m.Hash(), c.Hashed); !ok || err != nil {
				t.Errorf("the client's hash is refused: %v", err)
			}
			doc := m.Settings()
			master, err := hex.DecodeString(c.Master)
			if err != nil {
				t.Fatal(err)
			}
			got, err := openVault(master, text(t, doc, "key"), text(t, doc, "private_key"))
			if err != nil {
				t.Fatal(err)
			}
			samePair(t, got.private, text(t, doc, "public_key"))
			want := c.Iterations
			if want == 0 {
				want = 650_000
			}
			if doc["passphrase_kdf_iterations"] != want {
				t.Errorf("%v rounds, want %d", doc["passphrase_kdf_iterations"], want)
			}
		})
	}
}

// samePair checks that a public key is that of a private one, with 2048 bits.
func samePair(t *testing.T, private []byte, public string) {
	t.Helper()
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pair, ok := parsed.(*rsa.PrivateKey)
	if !ok || pair.N.BitLen() != 2048 || pair.Validate() != nil {
		t.Fatalf("a %T, or of another size, or not valid", parsed)
	}
	der, err := base64.StdEncoding.Strict().DecodeString(public)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x509.ParsePKIXPublicKey(der)
	if err != nil || !pair.PublicKey.Equal(other) {
		t.Errorf("the public key is not that of the private one (%v)", err)
	}
}

// TestTheTestsOwnClient: it reads what another tool wrote, so that it is fit to
// judge what New writes.
func TestTheTestsOwnClient(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	for _, c := range v.Clients {
		if c.Name != v.Settings.Client {
			continue
		}
		master, err := hex.DecodeString(c.Master)
		if err != nil {
			t.Fatal(err)
		}
		got, err := openVault(master, v.Settings.Key, v.Settings.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		if hex.EncodeToString(got.vault) != v.Settings.Vault {
			t.Error("the vault's key is another")
		}
		if sum := sha256.Sum256(got.private); hex.EncodeToString(sum[:]) != v.Settings.PrivateSHA256 {
			t.Error("the private key is another")
		}
		samePair(t, got.private, v.Settings.PublicKey)
		return
	}
	t.Fatalf("no client %q", v.Settings.Client)
}

func TestHashedByTheClient(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	c := v.Clients[1]
	in := passphrase.Input{
		Domain: c.Domain, Passphrase: c.Hashed, KDFIterations: c.Iterations, Key: v.Settings.Key,
		PublicKey: v.Settings.PublicKey, PrivateKey: v.Settings.PrivateKey,
	}
	if !in.Hashed() {
		t.Error("not taken as hashed")
	}
	if got, err := in.ClientHash(); err != nil || got != c.Hashed {
		t.Errorf("hashed again, or %v", err)
	}
	m := newMaterial(t, in)
	if ok, err := passphrase.Check(m.Hash(), c.Hashed); !ok || err != nil {
		t.Errorf("the client's hash is refused: %v", err)
	}
	doc := m.Settings()
	if doc["key"] != v.Settings.Key || doc["public_key"] != v.Settings.PublicKey || doc["private_key"] != v.Settings.PrivateKey || doc["passphrase_kdf_iterations"] != 50000 {
		t.Error("a key, or the rounds, are not those of the client")
	}

	in.PublicKey, in.PrivateKey = "", ""
	doc = newMaterial(t, in).Settings()
	if doc["key"] != v.Settings.Key {
		t.Error("the key is not the client's")
	}
	for _, field := range []string{"public_key", "private_key"} {
		if _, ok := doc[field]; ok {
			t.Errorf("a %s that the client did not make", field)
		}
	}
}

// TestKeyAlone: without KdfIterations the passphrase is in the clear, whatever the key.
func TestKeyAlone(t *testing.T) {
	t.Parallel()
	in := passphrase.Input{Domain: "alice.example", Passphrase: "clear", Key: "0.x|y"}
	if in.Hashed() {
		t.Error("taken as hashed")
	}
	if doc := newMaterial(t, in).Settings(); doc["key"] == "0.x|y" || doc["public_key"] == nil {
		t.Error("the key was kept, though nobody can open it")
	}
}

func TestNothingTwice(t *testing.T) {
	t.Parallel()
	a, b := sharedMaterial(t), newMaterial(t, alice)
	if bytes.Equal(a.Hash(), b.Hash()) || bytes.Equal(a.SessionSecret(), b.SessionSecret()) || len(a.SessionSecret()) != 64 {
		t.Error("two passphrases share a salt or a session secret, or it has not 64 bytes")
	}
	for _, field := range []string{"key", "public_key", "private_key", "security_stamp"} {
		if a.Settings()[field] == b.Settings()[field] {
			t.Errorf("two passphrases share %s", field)
		}
	}
	a.Hash()[0], a.SessionSecret()[0] = 'x', a.SessionSecret()[0]+1
	if a.Hash()[0] == 'x' || !bytes.Equal(a.SessionSecret(), a.SessionSecret()) {
		t.Error("a caller can change what was made")
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	inst, err := tenancy.ParseInstance([]byte(`{"_id":"i","_rev":"1-a","domain":"alice.example","password_defined":false,
		"register_token":"AAAA","passphrase_reset_token":"BBBB","passphrase_reset_time":"2026-01-01T00:00:00Z","session_secret":"CCCC","oauth_secret":"DDDD","later":{"a":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	m := sharedMaterial(t)
	m.Apply(inst)
	if !bytes.Equal(inst.Bytes("passphrase_hash"), m.Hash()) || !bytes.Equal(inst.Bytes("session_secret"), m.SessionSecret()) || !inst.Bool("password_defined") {
		t.Error("the document does not hold the material")
	}
	for _, field := range []string{"register_token", "passphrase_reset_token", "passphrase_reset_time", "onboarding_finished"} {
		if inst.Has(field) {
			t.Errorf("%s is there", field)
		}
	}
	if inst.Text("oauth_secret") != "DDDD" || string(inst.Raw("later")) != `{"a":1}` || inst.Rev() != "1-a" {
		t.Error("a field of others is gone")
	}
}

var errDry = errors.New("no randomness")

// TestRandomnessThatEnds: a source that fails, at any point, fails New.
func TestRandomnessThatEnds(t *testing.T) {
	t.Parallel()
	in := passphrase.Input{Domain: "alice.example", Passphrase: "p", KDFIterations: 50_000}
	for _, n := range []int64{0, 16, 90, 154} {
		source := io.MultiReader(io.LimitReader(rand.Reader, n), failing{})
		if _, err := passphrase.New(in, now, source); !errors.Is(err, errDry) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errDry }

func BenchmarkNew(b *testing.B) {
	for name, in := range map[string]passphrase.Input{
		"clear":  {Domain: "alice.example", Passphrase: "correct horse battery staple"},
		"hashed": {Domain: "alice.example", Passphrase: "aGFzaGVk", KDFIterations: 650_000, Key: "0.a|b"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				newMaterial(b, in)
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/op")
		})
	}
}
