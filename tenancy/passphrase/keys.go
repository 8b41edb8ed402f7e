// Keys: the vault's key and the owner's RSA pair, encrypted as the vault's clients read them.

package passphrase

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
)

const rsaBits = 2048

// keys are the strings of the same names in the settings.
type keys struct{ key, public, private string }

// newKeys makes key material under a master key.
func newKeys(master []byte, random io.Reader) (keys, error) {
	vault := make([]byte, 2*keyLength) // to encrypt with, and to authenticate with
	if _, err := io.ReadFull(random, vault); err != nil {
		return keys{}, fmt.Errorf("a vault's key: %w", err)
	}
	iv, sealed, err := seal(master, vault, random)
	if err != nil {
		return keys{}, err
	}
	out := keys{key: "0." + encode(iv) + "|" + encode(sealed)}

	pair, err := rsa.GenerateKey(random, rsaBits)
	if err != nil {
		return keys{}, fmt.Errorf("an RSA key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&pair.PublicKey)
	if err != nil {
		return keys{}, fmt.Errorf("a public key: %w", err)
	}
	out.public = encode(public)
	private, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		return keys{}, fmt.Errorf("a private key: %w", err)
	}
	if iv, sealed, err = seal(vault[:keyLength], private, random); err != nil {
		return keys{}, err
	}
	mac := hmac.New(sha256.New, vault[keyLength:])
	mac.Write(iv)
	mac.Write(sealed)
	out.private = "2." + encode(iv) + "|" + encode(sealed) + "|" + encode(mac.Sum(nil))
	return out, nil
}

// seal encrypts with AES-256-CBC and the padding of PKCS#7 (RFC 5652, section 6.3).
func seal(key, plain []byte, random io.Reader) (iv, sealed []byte, err error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, fmt.Errorf("AES: %w", err)
	}
	iv = make([]byte, aes.BlockSize)
	if _, err := io.ReadFull(random, iv); err != nil {
		return nil, nil, fmt.Errorf("an initialization vector: %w", err)
	}
	padding := aes.BlockSize - len(plain)%aes.BlockSize
	sealed = append(bytes.Clone(plain), bytes.Repeat([]byte{byte(padding)}, padding)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(sealed, sealed)
	return iv, sealed, nil
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
