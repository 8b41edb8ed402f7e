// Sealing: what keys are, that nothing is readable in the store or moved within it,
// and that keys can be changed.

package certstore_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

func TestParseKey(t *testing.T) {
	secret := bytes.Repeat([]byte{0xfb, 0xff, 3, 4}, 8)
	id := ""
	for name, text := range map[string]string{
		"base64":            base64.StdEncoding.EncodeToString(secret),
		"base64, unpadded":  base64.RawStdEncoding.EncodeToString(secret),
		"base64 for URLs":   base64.URLEncoding.EncodeToString(secret),
		"hexadecimal":       hex.EncodeToString(secret),
		"upper case":        strings.ToUpper(hex.EncodeToString(secret)),
		"a file's last end": base64.StdEncoding.EncodeToString(secret) + "\n",
		"space around":      " \t" + hex.EncodeToString(secret) + "\r\n",
	} {
		k, err := certstore.ParseKey(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if id == "" {
			id = k.ID()
		}
		if k.ID() != id || len(id) != 16 {
			t.Errorf("%s: id %s, want %s", name, k.ID(), id)
		}
		for _, shown := range []string{fmt.Sprint(k), fmt.Sprintf("%+v %#v", k, k), fmt.Sprint(ring(t, 1))} {
			if strings.Contains(shown, "0x") || len(shown) > 60 {
				t.Errorf("a key shows itself as %s", shown)
			}
		}
	}
	const bad = "hunter2"
	for name, text := range map[string]string{
		"nothing": "", "a password": bad, "31 bytes": base64.StdEncoding.EncodeToString(secret[:31]),
		"33 bytes": base64.StdEncoding.EncodeToString(append(secret, 1)), "63 digits": hex.EncodeToString(secret)[1:],
		"no digits": strings.Repeat(bad+"x", 8), "two lines": hex.EncodeToString(secret)[:32] + "\n" + hex.EncodeToString(secret)[32:],
		"nil bytes": base64.StdEncoding.EncodeToString(make([]byte, 32)), "text of 32": strings.Repeat(bad, 5)[:32],
	} {
		_, err := certstore.ParseKey(text)
		if !errors.Is(err, certstore.ErrBadKey) || !strings.Contains(err.Error(), "openssl rand -base64 32") {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), bad) {
			t.Errorf("%s: the error repeats it: %v", name, err)
		}
	}
	if key(t, 1).ID() == key(t, 2).ID() {
		t.Error("two keys have one id")
	}
	if _, err := certstore.NewRing(nil, key(t, 1)); !errors.Is(err, certstore.ErrNoKey) {
		t.Errorf("a ring without a current key: %v", err)
	}
	if _, err := certstore.New(certstore.Options{Cluster: embeddedCluster(t)}); !errors.Is(err, certstore.ErrNoKey) {
		t.Errorf("a store without a ring: %v", err)
	}
}

// raw reads a document of the database as it is.
func raw(t *testing.T, c *couch.Cluster, id string) map[string]any {
	t.Helper()
	doc, err := c.Get(t.Context(), "certs", id)
	must(t, err)
	var fields map[string]any
	must(t, json.Unmarshal(doc, &fields))
	return fields
}

func put(t *testing.T, c *couch.Cluster, id string, fields map[string]any) {
	t.Helper()
	_, err := c.Put(t.Context(), "certs", id, fields)
	must(t, err)
}

const pem = "-----BEGIN PRIVATE KEY----- of alice"

// TestNothingIsReadable looks for values in what the store has.
func TestNothingIsReadable(t *testing.T) {
	c := embeddedCluster(t)
	s := open(t, certstore.Options{Cluster: c})
	large := strings.Repeat(pem, 20_000)
	must(t, s.Store(t.Context(), "small", []byte(pem)))
	must(t, s.Store(t.Context(), "large", []byte(large)))
	docs := 0
	must(t, c.Walk(t.Context(), "certs", couch.Range{}, func(row couch.Row) error {
		docs++
		var fields map[string]any
		must(t, json.Unmarshal(row.Doc, &fields))
		if text, ok := fields["sealed"].(string); ok {
			sealed, err := base64.StdEncoding.DecodeString(text)
			must(t, err)
			if bytes.Contains(sealed, []byte("PRIVATE KEY")) {
				t.Errorf("%s is readable", row.ID)
			}
		}
		if bytes.Contains(row.Doc, []byte("PRIVATE")) {
			t.Errorf("%s is readable", row.ID)
		}
		return nil
	}))
	if docs != 5 { // a value, a value and 3 chunks of 256 KiB
		t.Errorf("%d documents", docs)
	}
}

// TestTampering: each change to what the store has is noticed.
func TestTampering(t *testing.T) {
	t.Parallel()
	c := embeddedCluster(t)
	s := open(t, certstore.Options{Cluster: c})
	small, large := []byte(pem), bytes.Repeat([]byte(pem), 20_000)
	changes := map[string]func(value, other map[string]any){
		"a byte": func(v, _ map[string]any) {
			sealed, _ := base64.StdEncoding.DecodeString(v["sealed"].(string))
			sealed[len(sealed)/2] ^= 1
			v["sealed"] = base64.StdEncoding.EncodeToString(sealed)
		},
		"cut off":         func(v, _ map[string]any) { v["sealed"] = v["sealed"].(string)[:16] },
		"cut to nothing":  func(v, _ map[string]any) { delete(v, "sealed") },
		"of another name": func(v, o map[string]any) { v["sealed"] = o["sealed"] },
		"another's whole": func(v, o map[string]any) {
			v["sealed"], v["size"], v["modified"] = o["sealed"], o["size"], o["modified"]
		},
		"another size":     func(v, _ map[string]any) { v["size"] = 1 },
		"another time":     func(v, _ map[string]any) { v["modified"] = time.Now() },
		"another key's id": func(v, _ map[string]any) { v["key_id"] = key(t, 2).ID() },
		"no chunks":        func(v, _ map[string]any) { v["content"], v["chunks"] = "x", []string{} },
	}
	for name, change := range changes {
		must(t, s.Store(t.Context(), "value", small))
		must(t, s.Store(t.Context(), "other", []byte(strings.ToUpper(pem))))
		value := raw(t, c, "value/value")
		change(value, raw(t, c, "value/other"))
		put(t, c, "value/value", value)
		got, err := s.Load(t.Context(), "value")
		var seal *certstore.SealError
		if !errors.As(err, &seal) || got != nil {
			t.Errorf("%s: %.20q, %v", name, got, err)
		}
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a value that cannot be opened is said to be missing, and would be ordered anew: %v", name, err)
		}
		must(t, s.Delete(t.Context(), "value"))
	}
	for name, change := range map[string]func(value, other, first, second map[string]any){
		"chunks exchanged":         func(_, _, f, s map[string]any) { f["sealed"], s["sealed"] = s["sealed"], f["sealed"] },
		"a chunk twice":            func(_, _, f, s map[string]any) { f["sealed"] = s["sealed"] },
		"one chunk less":           func(v, _, _, _ map[string]any) { v["chunks"] = v["chunks"].([]any)[:1] },
		"another content":          func(v, o, _, _ map[string]any) { v["content"] = o["content"] },
		"another content and time": func(v, o, _, _ map[string]any) { v["content"], v["modified"] = o["content"], o["modified"] },
		"size of large":            func(v, _, _, _ map[string]any) { v["size"] = 3 },
	} {
		must(t, s.Store(t.Context(), "large", large))
		must(t, s.Store(t.Context(), "large2", large))
		value, other := raw(t, c, "value/large"), raw(t, c, "value/large2")
		at := "chunk/" + value["content"].(string)
		first, second := raw(t, c, at+"/0000"), raw(t, c, at+"/0001")
		change(value, other, first, second)
		put(t, c, at+"/0000", first)
		put(t, c, at+"/0001", second)
		put(t, c, "value/large", value)
		got, err := s.Load(t.Context(), "large")
		if !errors.Is(err, certstore.ErrTampered) || got != nil {
			t.Errorf("%s: %.20q, %v", name, got, err)
		}
		must(t, s.Delete(t.Context(), "large"))
	}
}

// TestWrongKey: another key says which one is missing, and stores over it.
func TestWrongKey(t *testing.T) {
	c := embeddedCluster(t)
	must(t, open(t, certstore.Options{Cluster: c}).Store(t.Context(), "value", []byte(pem)))
	log, logs := logged()
	s := open(t, certstore.Options{Cluster: c, Ring: ring(t, 2, 3), Logger: log, Cache: t.TempDir()})
	_, err := s.Load(t.Context(), "value")
	if !errors.Is(err, certstore.ErrUnknownKey) {
		t.Fatal(err)
	}
	for _, part := range []string{"value", key(t, 1).ID(), key(t, 2).ID(), key(t, 3).ID(), "old_encryption_key"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %s: %v", part, err)
		}
	}
	if found, err := s.Stat(t.Context(), "value"); err != nil || found.Size != int64(len(pem)) {
		t.Errorf("%+v, %v", found, err)
	}
	must(t, s.Store(t.Context(), "value", []byte("new")))
	if got, err := s.Load(t.Context(), "value"); err != nil || string(got) != "new" {
		t.Errorf("%q, %v", got, err)
	}
	said := err.Error()
	for _, e := range logs.All() {
		said += fmt.Sprint(e.Message, e.ContextMap())
	}
	for n := range byte(4) {
		if strings.Contains(said, keyText(n)) || strings.Contains(said, keyText(n)[:12]) {
			t.Errorf("a key is shown: %s", said)
		}
	}
}

// TestLimits of keys and values.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := open(t, certstore.Options{Cluster: embeddedCluster(t)})
	large := make([]byte, certstore.MaxValue+1)
	if err := s.Store(t.Context(), "large", large); !errors.Is(err, certstore.ErrTooLarge) || !strings.Contains(err.Error(), "16777216") {
		t.Errorf("%v", err)
	}
	must(t, s.Store(t.Context(), "large", large[:certstore.MaxValue]))
	if got, err := s.Load(t.Context(), "large"); err != nil || len(got) != certstore.MaxValue {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	long := strings.Repeat("k/", certstore.MaxKey)
	if err := s.Store(t.Context(), long, nil); !errors.Is(err, certstore.ErrTooLarge) {
		t.Errorf("%v", err)
	}
	if err := s.Lock(t.Context(), long); !errors.Is(err, certstore.ErrTooLarge) {
		t.Errorf("%v", err)
	}
	if _, err := s.Load(t.Context(), long); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	must(t, s.Delete(t.Context(), long))
	must(t, s.Store(t.Context(), strings.Repeat("é", certstore.MaxKey/2), nil))
	if err := s.Delete(t.Context(), "/"); err == nil {
		t.Error("everything was deleted at once")
	}
}
