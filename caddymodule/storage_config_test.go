// Configurations of storages that are refused, and what validating leaves alone.

package caddymodule_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBadStoragesInCaddyfiles(t *testing.T) {
	refused(t, map[string]wrong{
		"no place":             {storage("", keyLine), "storage couchdb has the URLs of the cluster's nodes as arguments, or `embedded` and its folder"},
		"embedded, no folder":  {storage("embedded", keyLine), "storage couchdb embedded has one more argument, its folder"},
		"embedded, two":        {storage("embedded a b", keyLine), "storage couchdb embedded has one more argument, its folder"},
		"unknown option":       {storage("http://db:5984", "key {env.A}"), "unrecognized option 'key' (allowed: username, password, encryption_key, old_encryption_key, cache, lease)"},
		"key twice":            {storage("http://db:5984", keyLine+"\n"+keyLine), "encryption_key is given twice"},
		"key without value":    {storage("http://db:5984", "encryption_key"), "wrong argument count"},
		"old key, two values":  {storage("http://db:5984", "old_encryption_key {env.A} {env.B}"), "wrong argument count"},
		"cache twice":          {storage("http://db:5984", "cache off\ncache off"), "cache is given twice"},
		"lease twice":          {storage("http://db:5984", "lease 30s\nlease 30s"), "lease is given twice"},
		"lease that is none":   {storage("http://db:5984", "lease long"), "lease 'long' is not a time, as in 30s"},
		"lease of nothing":     {storage("http://db:5984", "lease 0"), "lease '0' is not a time"},
		"lease without a time": {storage("http://db:5984", "lease"), "wrong argument count"},
	})
}

func TestBadStorages(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_STORAGE_KEY", storageKey(1))
	t.Setenv("GATEHOUSE_TEST_BAD_KEY", hidden)
	t.Setenv("GATEHOUSE_TEST_EMPTY_KEY", " \n")
	const write = "encryption_key {file./run/secrets/gatehouse-storage-key}"
	invalid(t, map[string]wrong{
		"no key":                      {storage("http://db:5984", "cache off"), "openssl rand -base64 32"},
		"no key, what to write":       {storage("http://db:5984", "cache off"), write},
		"a key in clear":              {storage("http://db:5984", "encryption_key "+hidden), write},
		"a key in clear, in part":     {storage("http://db:5984", "encryption_key "+hidden+"{env.A}"), write},
		"an old key in clear":         {storage("http://db:5984", keyLine+"\nold_encryption_key {env.A}\nold_encryption_key "+hidden), "old_encryption_key 2: stands in the configuration"},
		"a key that is none":          {storage("http://db:5984", "encryption_key {env.GATEHOUSE_TEST_BAD_KEY}"), "not 32 bytes in base64 or hexadecimal"},
		"a key that is none, advice":  {storage("http://db:5984", "encryption_key {env.GATEHOUSE_TEST_BAD_KEY}"), "openssl rand -base64 32"},
		"a key that is not there":     {storage("http://db:5984", "encryption_key {env.GATEHOUSE_TEST_UNSET}"), "encryption_key: {env.GATEHOUSE_TEST_UNSET} has no value"},
		"a key that is empty":         {storage("http://db:5984", "encryption_key {env.GATEHOUSE_TEST_EMPTY_KEY}"), "has no value, or cannot be read"},
		"a file that is not there":    {storage("http://db:5984", "encryption_key {file./no/such/file}"), "encryption_key: {file./no/such/file} has no value, or cannot be read"},
		"an old key that is not one":  {storage("http://db:5984", keyLine+"\nold_encryption_key {env.GATEHOUSE_TEST_BAD_KEY}"), "old_encryption_key 1: "},
		"credentials in a URL":        {storage("https://admin:"+hidden+"@db:5984", keyLine), "username {env.COUCHDB_USER}"},
		"a literal password":          {storage("http://db:5984", keyLine+"\nusername x\npassword "+hidden), "password {env.COUCHDB_PASSWORD}"},
		"a username alone":            {storage("http://db:5984", keyLine+"\nusername x"), "one is given without the other"},
		"credentials of a file":       {storage("embedded ./data", keyLine+"\nusername x\npassword {env.P}"), "the embedded store has a path"},
		"a lease of no time":          {storage("http://db:5984", keyLine+"\nlease 1s"), "lease: is a time from 5s to 15m0s"},
		"a lease of a day":            {storage("http://db:5984", keyLine+"\nlease 1d"), "lease: is a time from 5s to 15m0s"},
		"a URL of another scheme":     {storage("ftp://db:5984", keyLine), "is not of the form https://host:5984"},
		"a driver for a URL (misput)": {storage("http://db:5984 embedded", keyLine), "is not of the form https://host:5984"},
	})
	for name, c := range map[string]struct{ config, want string }{
		"unknown key":     {`{"module":"couchdb","urls":["http://db:5984"],"key":"x"}`, `unknown field "key"`},
		"unknown driver":  {`{"module":"couchdb","driver":"redis","encryption_key":"{env.A}"}`, `driver: "redis" is not known`},
		"without a place": {`{"module":"couchdb","encryption_key":"{env.A}"}`, "no URL of a CouchDB node"},
	} {
		if err := validateJSON(t, []byte(`{"storage":`+c.config+`}`)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestStorageValidateOpensNothing: neither the store nor the cache.
func TestStorageValidateOpensNothing(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("XDG_DATA_HOME", filepath.Join(dir, "share"))
	t.Setenv("GATEHOUSE_TEST_STORAGE_KEY", storageKey(1))
	for _, config := range []string{
		storage("embedded ./data", keyLine), storage("http://127.0.0.1:1", keyLine), storage("http://127.0.0.1:1", keyLine+"\ncache ./cache"),
	} {
		if err := validate(t, config); err != nil {
			t.Errorf("%s: %v", config, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("validating has left %v, %v", left, err)
	}
}
