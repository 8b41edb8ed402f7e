// What the tests share: the vectors, and a vault's client that reads key material
// on a path of its own, straight on crypto/aes.

package passphrase_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// vectors are testdata/vectors.json. No code of this project made them:
//
//   - clients: master and hashed by Python's hashlib.pbkdf2_hmac("sha256", …), first
//     (passphrase, "me@" + host, rounds, 32), then (master, passphrase, 1, 32) in
//     base64; Node's crypto.pbkdf2Sync gave the same. Iterations 0 stand for 650,000.
//   - stored, and hashes: Python's hashlib.scrypt(hashed, salt=…, n, r, p, dklen).
//   - settings: Node's crypto, with OpenSSL under it. 64 random bytes under the master
//     key by createCipheriv("aes-256-cbc"), which pads as PKCS#7 does;
//     generateKeyPairSync("rsa", 2048 bits) as SPKI and PKCS#8 in DER, the latter
//     encrypted under the first 32 of those bytes, and createHmac("sha256") of
//     iv and ciphertext under the last 32.
type vectors struct {
	Clients []struct {
		Name, Domain, Passphrase, Master, Hashed, Stored string
		OldDomain                                        string `json:"old_domain"`
		Iterations                                       int
	}
	Hashes   []struct{ Hashed, Stored string }
	Settings struct {
		Client, Vault, Key string
		PublicKey          string `json:"public_key"`
		PrivateKey         string `json:"private_key"`
		PrivateSHA256      string `json:"private_sha256"`
	}
}

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "vectors.json"))
	if err == nil {
		err = json.Unmarshal(raw, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// opened is what a vault's client has after signing in.
type opened struct{ vault, private []byte }

// openVault reads `key` and `private_key` with the master key.
func openVault(master []byte, key, private string) (opened, error) {
	var out opened
	parts, err := split(key, "0.", 2)
	if err != nil {
		return out, fmt.Errorf("key: %w", err)
	}
	if out.vault, err = unseal(master, parts[0], parts[1]); err != nil {
		return out, fmt.Errorf("key: %w", err)
	}
	if len(out.vault) != 64 {
		return out, fmt.Errorf("the vault's key has %d bytes", len(out.vault))
	}
	if parts, err = split(private, "2.", 3); err != nil {
		return out, fmt.Errorf("private_key: %w", err)
	}
	mac := hmac.New(sha256.New, out.vault[32:])
	mac.Write(parts[0])
	mac.Write(parts[1])
	if !bytes.Equal(mac.Sum(nil), parts[2]) {
		return out, errors.New("private_key: the HMAC is another")
	}
	if out.private, err = unseal(out.vault[:32], parts[0], parts[1]); err != nil {
		return out, fmt.Errorf("private_key: %w", err)
	}
	return out, nil
}

func split(s, kind string, n int) (parts [][]byte, err error) {
	rest, ok := strings.CutPrefix(s, kind)
	words := strings.Split(rest, "|")
	if !ok || len(words) != n {
		return nil, fmt.Errorf("%q is not %sand %d parts", s, kind, n)
	}
	for _, word := range words {
		part, err := base64.StdEncoding.Strict().DecodeString(word)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
}

func unseal(key, iv, sealed []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if len(iv) != 16 || len(sealed) == 0 || len(sealed)%16 != 0 {
		return nil, fmt.Errorf("%d bytes of iv, %d of ciphertext", len(iv), len(sealed))
	}
	plain := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, sealed)
	n := int(plain[len(plain)-1])
	if n < 1 || n > 16 || !bytes.Equal(plain[len(plain)-n:], bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, errors.New("the padding is not that of PKCS#7")
	}
	return plain[:len(plain)-n], nil
}
