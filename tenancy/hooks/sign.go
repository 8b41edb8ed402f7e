// Sign: secrets and signatures of the Standard Webhooks specification.

package hooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Limits of a secret: those of the specification, in bytes, and how many a
// rotation needs.
const (
	minKey     = 24
	maxKey     = 64
	maxSecrets = 4
	secretText = "whsec_"
)

// ParseSecrets reads a secret: `whsec_` with base64 of 24 to 64 bytes, or as many
// bytes of any other text. Two, with a space between, sign both, so that a
// receiver can change from one to the other. The error never repeats them.
func ParseSecrets(s string) ([][]byte, error) {
	fields := strings.Fields(s)
	if len(fields) == 0 {
		return nil, errors.New("is empty")
	}
	if len(fields) > maxSecrets {
		return nil, fmt.Errorf("is more than %d secrets", maxSecrets)
	}
	keys := make([][]byte, len(fields))
	for i, field := range fields {
		keys[i] = []byte(field)
		if encoded, ok := strings.CutPrefix(field, secretText); ok {
			key, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				key, err = base64.RawStdEncoding.DecodeString(encoded)
			}
			if err != nil {
				return nil, errors.New("begins with whsec_, but what follows is not base64")
			}
			keys[i] = key
		}
		if n := len(keys[i]); n < minKey || n > maxKey {
			return nil, fmt.Errorf("is not of %d to %d bytes; `openssl rand -base64 32`, after whsec_, makes one", minKey, maxKey)
		}
	}
	return keys, nil
}

// signatures is the value of webhook-signature.
func signatures(keys [][]byte, id, at string, body []byte) string {
	out := make([]string, len(keys))
	for i, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + at + "."))
		mac.Write(body)
		out[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(out, " ")
}

// messageID is an event's id as the specification wants it: without a full stop,
// which would make what is signed ambiguous, and fit for a header.
func messageID(id string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '_'
	}, id)
}
