// Caddyfiles: what they become, and what is said of bad ones.

package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

var update = flag.Bool("update", false, "write the JSON of testdata/adapt anew")

// separator stands between a Caddyfile and its JSON.
const separator = "----------\n"

// adapt is a Caddyfile's JSON. A warning is an error here.
func adapt(config string) ([]byte, error) {
	raw, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		err = errors.Join(err, errors.New(w.String()))
	}
	return raw, err
}

func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddytest")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddytest"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			config, want, _ := strings.Cut(string(content), separator)
			raw, err := adapt(config)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, raw, "", "\t"); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
			if *update {
				if err := os.WriteFile(file, []byte(config+separator+got.String()), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got.String() != want {
				t.Errorf("the JSON is now\n%s\nand was\n%s\n(go test ./caddymodule -run TestAdapt -update writes it anew)", got.String(), want)
			}
		})
	}
}

// TestDocumented adapts what people copy.
func TestDocumented(t *testing.T) {
	example, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	want, err := adapt(string(example))
	if err != nil {
		t.Fatalf("Caddyfile.example: %v", err)
	}
	block := regexp.MustCompile("(?s)```caddyfile\n(.*?)```")
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md") {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, found := range block.FindAllStringSubmatch(string(content), -1) {
			got, err := adapt(found[1])
			if err != nil {
				t.Errorf("%s, Caddyfile %d: %v", page, i+1, err)
			}
			if page == "../README.md" && i == 0 && !bytes.Equal(got, want) {
				t.Errorf("the Caddyfile of the README is not Caddyfile.example:\n%s\n%s", got, want)
			}
		}
	}
}

func global(lines string) string { return "{\n\ttenancy {\n" + lines + "\n\t}\n}\n" }

func site(lines string) string { return "http://127.0.0.1:1 {\n\ttenancy {\n" + lines + "\n\t}\n}\n" }

func TestBadCaddyfiles(t *testing.T) {
	refused(t, map[string]wrong{
		"unknown option":         {global("stor embedded ./data"), "unrecognized option 'stor' (allowed: store, cluster, snapshot, subdomains, admin_hash, context, registry, files, before_destroy, after_add, after_block, send_link, hook_secret, quarantine, api, certificates)"},
		"argument of the option": {"{\n\ttenancy yes\n}\n", "wrong argument count"},
		"option twice":           {"{\n\ttenancy\n\ttenancy\n}\n", "the tenancy option is given twice"},
		"store twice":            {global("store embedded ./a\nstore embedded ./b"), "store is given twice"},
		"store without a driver": {global("store"), "wrong argument count"},
		"store of another kind":  {global("store redis localhost"), "store 'redis' is not known (allowed: embedded, couchdb)"},
		"embedded without path":  {global("store embedded"), "store embedded has one argument, its folder"},
		"embedded with two":      {global("store embedded a b"), "store embedded has one argument, its folder"},
		"couchdb without URL":    {global("store couchdb"), "the URLs of the cluster's nodes"},
		"unknown in a store":     {global("store couchdb http://db:5984 {\nuser x\n}"), "unrecognized option 'user' (allowed: username, password, shards)"},
		"username twice":         {global("store couchdb http://db:5984 {\nusername x\nusername y\n}"), "username is given twice"},
		"password of two words":  {global("store couchdb http://db:5984 {\npassword x y\n}"), "wrong argument count"},
		"cluster without URL":    {global("cluster 1"), "cluster has an index, then the URLs of its nodes"},
		"cluster without number": {global("cluster one http://db:5984"), "cluster 'one': the index is a number from 0 on"},
		"negative cluster":       {global("cluster -1 http://db:5984"), "cluster '-1': the index is a number from 0 on"},
		"closed in the middle":   {global("cluster 1 closed http://db:5984"), "`closed` stands at the end of the line"},
		"snapshot twice":         {global("snapshot a\nsnapshot b"), "snapshot is given twice"},
		"snapshot without value": {global("snapshot"), "wrong argument count"},
		"subdomains twice":       {global("subdomains flat\nsubdomains off"), "subdomains is given twice"},
		"admin_hash twice":       {global("admin_hash {env.A}\nadmin_hash {env.B}"), "admin_hash is given twice"},
		"unknown in the handler": {site("supprot help@example.com"), "unrecognized option 'supprot' (allowed: support, pages, unknown, stack, pass_hosts, onboarding, proxy)"},
		"support twice":          {site("support a@example.com\nsupport b@example.com"), "support is given twice"},
		"pages of two words":     {site("pages my pages"), "wrong argument count"},
		"unknown twice":          {site("unknown page\nunknown pass"), "unknown is given twice"},
		"handler with argument":  {"http://127.0.0.1:1 {\n\ttenancy yes\n}\n", "wrong argument count"},
		"permission with option": {"{\n\ton_demand_tls {\n\t\tpermission tenancy {\n\t\t\task no\n\t\t}\n\t}\n}\n", "unrecognized option 'ask'; permission tenancy has none"},
		"permission argument":    {"{\n\ton_demand_tls {\n\t\tpermission tenancy yes\n\t}\n}\n", "wrong argument count"},
	})
}

// wrong is a configuration, and what is said of it.
type wrong struct{ config, want string }

// refused checks that Caddyfiles are refused while they are read.
func refused(t *testing.T, cases map[string]wrong) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := adapt(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// hidden is in configurations that show it, and may be in no error.
const hidden = "hunter2"

// invalid checks that Caddyfiles are refused when they are validated.
func invalid(t *testing.T, cases map[string]wrong) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := validate(t, c.config)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), hidden) {
				t.Errorf("the error repeats the secret: %v", err)
			}
		})
	}
}

// validate is `caddy validate` for a Caddyfile.
func validate(t *testing.T, config string) error {
	t.Helper()
	raw, err := adapt(string(caddyfile.Format([]byte(config))))
	if err != nil {
		t.Fatal(err)
	}
	return validateJSON(t, raw)
}

func validateJSON(t *testing.T, raw []byte) error {
	t.Helper()
	var config caddy.Config
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	config.Logging = quiet
	return caddy.Validate(&config)
}

// quiet keeps Caddy's log out of the tests' output.
var quiet = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
	"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}},
}}

func TestBadConfigurations(t *testing.T) {
	const secret = hidden
	invalid(t, map[string]wrong{
		"credentials in a store's URL":   {global("store couchdb https://admin:" + secret + "@db:5984"), "URL 1 of the CouchDB nodes holds a user name or password"},
		"credentials in a cluster's URL": {global("cluster 1 https://a:5984 https://admin:" + secret + "@b:5984"), "username {env.COUCHDB_USER}"},
		"credentials that do not parse":  {global("store couchdb https://admin:" + secret + "%zz@db:5984"), "URL 1 of the CouchDB nodes"},
		"a literal password":             {global("store couchdb http://db:5984 {\nusername x\npassword " + secret + "\n}"), "password {env.COUCHDB_PASSWORD}"},
		"a password alone":               {global("store couchdb http://db:5984 {\npassword {env.P}\n}"), "one is given without the other"},
		"a username alone":               {global("store couchdb http://db:5984 {\nusername x\n}"), "one is given without the other"},
		"a URL of another scheme":        {global("store couchdb ftp://db:5984"), "is not of the form https://host:5984"},
		"nodes with two paths":           {global("store couchdb http://a:5984/x http://b:5984/y"), "URL 2 of the CouchDB nodes has another path than the first"},
		"a cluster twice":                {global("cluster 1 http://a:5984\ncluster 1 http://b:5984"), "cluster 1: is configured twice"},
		"cluster 0 with URLs":            {global("cluster 0 http://a:5984"), "is the store itself"},
		"a mode that is none":            {global("subdomains deep"), "nested, flat, off"},
		"a passphrase for its hash":      {global("admin_hash " + secret), "admin_hash: is not a bcrypt hash"},
		"unknown that is none":           {site("unknown maybe"), `unknown: "maybe" is not known (allowed: page, pass)`},
		"support that is none":           {site("support javascript:alert(1)"), "support: "},
		"pages that are not there":       {site("pages ./testdata/none"), "pages: "},
	})
}

func TestBadJSON(t *testing.T) {
	for name, c := range map[string]struct{ app, want string }{
		"unknown key":            {`{"stor":{}}`, `unknown field "stor"`},
		"unknown key of a store": {`{"store":{"driver":"embedded","folder":"x"}}`, `unknown field "folder"`},
		"unknown driver":         {`{"store":{"driver":"redis"}}`, `driver: "redis" is not known (allowed: embedded, couchdb)`},
		"embedded with URLs":     {`{"store":{"driver":"embedded","urls":["http://db:5984"]}}`, "the embedded store has a path"},
		"couchdb with a path":    {`{"store":{"driver":"couchdb","path":"x"}}`, "couchdb has URLs, and no path"},
		"couchdb without URLs":   {`{"store":{"driver":"couchdb"}}`, "no URL of a CouchDB node"},
		"a negative cluster":     {`{"clusters":[{"index":-1,"urls":["http://db:5984"]}]}`, "a number from 0 on"},
	} {
		t.Run(name, func(t *testing.T) {
			err := validateJSON(t, []byte(`{"apps":{"tenancy":`+c.app+`}}`))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestValidateOpensNothing looks for what validating leaves in the working folder.
func TestValidateOpensNothing(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	config := global("store embedded ./data\nsnapshot ./data/directory") + site("support help@example.com")
	if err := validate(t, config); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("validating has left %v, %v", left, err)
	}
}
