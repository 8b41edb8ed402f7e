// Configurations of contexts, hooks, clusters and upstreams that are refused.

package caddymodule_test

import (
	"strings"
	"testing"
)

func inContext(lines string) string { return global("context fr {\n" + lines + "\n}") }

func proxy(lines string) string {
	return "http://127.0.0.1:1 {\n\ttenancy\n\treverse_proxy {\n\t\tdynamic tenancy " + lines + "\n\t}\n}\n"
}

func TestBadContextsInCaddyfiles(t *testing.T) {
	refused(t, map[string]wrong{
		"context without a name":    {global("context"), "wrong argument count"},
		"context with two names":    {global("context a b"), "wrong argument count"},
		"context twice":             {global("context a\ncontext a"), "context a is given twice"},
		"unknown in a context":      {inContext("local fr"), "unrecognized option 'local' (allowed: locale, apps, registry, directories, disk_quota, upstream, support, pages)"},
		"locale twice":              {inContext("locale fr\nlocale en"), "locale is given twice"},
		"locale without value":      {inContext("locale"), "wrong argument count"},
		"apps twice":                {inContext("apps drive\napps photos"), "apps is given twice"},
		"apps without any":          {inContext("apps"), "wrong argument count"},
		"registry without any":      {inContext("registry"), "wrong argument count"},
		"registry twice":            {inContext("registry https://a.example\nregistry https://b.example"), "registry is given twice"},
		"registry before the block": {global("registry fr https://a.example\ncontext fr {\nregistry https://b.example\n}"), "registry is given twice"},
		"registry after the block":  {global("context fr {\nregistry https://b.example\n}\nregistry fr https://a.example"), "the registries of the context fr are given twice"},
		"registry line twice":       {global("registry fr https://a.example\nregistry fr https://b.example"), "the registries of the context fr are given twice"},
		"registry line with no URL": {global("registry fr"), "registry has the name of a context, then the URLs of registries"},
		"directories twice":         {inContext("directories on\ndirectories on"), "directories is given twice"},
		"directories maybe":         {inContext("directories maybe"), "directories is on or off, and not 'maybe'"},
		"directories without value": {inContext("directories"), "wrong argument count"},
		"disk_quota twice":          {inContext("disk_quota 3GB\ndisk_quota 3GB"), "disk_quota is given twice"},
		"disk_quota without value":  {inContext("disk_quota"), "wrong argument count"},
		"disk_quota of no size":     {inContext("disk_quota much"), "disk_quota 'much' is not a size, as in 3GB"},
		"disk_quota of nothing":     {inContext("disk_quota 0"), "disk_quota '0' is not a size"},
		"negative disk_quota":       {inContext("disk_quota -3GB"), "disk_quota '-3GB' is not a size"},
		"disk_quota beyond all":     {inContext("disk_quota 9.3EB"), "disk_quota '9.3EB' is not a size"},
		"upstream twice":            {inContext("upstream localhost:1\nupstream localhost:2"), "upstream is given twice"},
		"upstream without any":      {inContext("upstream"), "wrong argument count"},
		"support twice":             {inContext("support a@b.example\nsupport a@b.example"), "support is given twice"},
		"pages twice":               {inContext("pages ./a\npages ./a"), "pages is given twice"},
	})
}

func TestBadContexts(t *testing.T) {
	const files = "files file:///var/lib/cozy\n"
	invalid(t, map[string]wrong{
		"a locale that is none":            {inContext("locale !"), "context fr: locale: is not a language tag"},
		"an app that is none":              {inContext("apps ../drive"), `context fr: apps: "../drive" is not an app's name`},
		"an app with two channels":         {inContext("apps drive/beta/dev"), "is not an app's name"},
		"an app twice":                     {inContext("apps drive drive"), "context fr: apps: drive is given twice"},
		"apps without files":               {inContext("apps drive\nregistry https://a.example"), "files file:///var/lib/cozy"},
		"apps without a registry":          {global(files + "context fr {\napps drive\n}"), "registry fr https://registry.example"},
		"a registry with a password":       {inContext("registry https://me:" + hidden + "@a.example"), "context fr: registries: URL 1 holds a user name or password"},
		"a registry that does not parse":   {inContext("registry https://a.example https://me:" + hidden + "%zz@a.example"), "registries: URL 2 cannot be read"},
		"a registry of another scheme":     {inContext("registry ftp://a.example"), "URL 1 is not of the form https://registry.example"},
		"a registry with a query":          {inContext("registry https://a.example?key=" + hidden), "URL 1 is not of the form"},
		"an upstream with a scheme":        {inContext("upstream http://localhost:9001"), "context fr: upstreams: number 1 is a URL"},
		"an upstream with a password":      {inContext("upstream localhost:1 http://me:" + hidden + "@localhost"), "number 2 is a URL"},
		"an upstream without a port":       {inContext("upstream localhost"), `"localhost" is not an upstream, as in localhost:8081`},
		"an upstream of many ports":        {inContext("upstream localhost:1-9"), "is not an upstream"},
		"an upstream by UDP":               {inContext("upstream udp/localhost:1"), "is not an upstream"},
		"an upstream without a host":       {inContext("upstream :8081"), "is not an upstream"},
		"an upstream with a placeholder":   {inContext("upstream {http.tenancy.domain}:8081"), "is not an upstream"},
		"an upstream twice":                {inContext("upstream localhost:1 localhost:1"), "localhost:1 is given twice"},
		"support that is none":             {inContext("support javascript:alert(1)"), "context fr: support: "},
		"pages that are not there":         {inContext("pages ./testdata/none"), "context fr: pages: "},
		"files without a scheme":           {global("files /var/lib/cozy"), "files: "},
		"files without a path":             {global("files file://"), "files: "},
		"files on a host":                  {global("files file://me:" + hidden + "@host/var"), "files: "},
		"the root for files":               {global("files file:///var/.."), "files: "},
		"a quarantine that has gone by":    {global("quarantine -1d"), "quarantine: is a time of 0 to 3650 days"},
		"a quarantine of a thousand years": {global("quarantine 36525d"), "quarantine: is a time of 0 to 3650 days"},
	})
}

func TestBadHooksInCaddyfiles(t *testing.T) {
	refused(t, map[string]wrong{
		"hook twice":               {global("after_add https://a.example\nafter_add https://a.example"), "after_add is given twice"},
		"hook without URL":         {global("before_destroy"), "wrong argument count"},
		"hook with two URLs":       {global("send_link https://a.example https://b.example"), "wrong argument count"},
		"hook_secret twice":        {global("hook_secret {env.A}\nhook_secret {env.B}"), "hook_secret is given twice"},
		"an unknown hook":          {global("after_lunch https://a.example"), "unrecognized option 'after_lunch'"},
		"files twice":              {global("files file:///a\nfiles file:///b"), "files is given twice"},
		"quarantine twice":         {global("quarantine 1d\nquarantine 2d"), "quarantine is given twice"},
		"quarantine without value": {global("quarantine"), "wrong argument count"},
		"quarantine of no time":    {global("quarantine long"), "quarantine 'long' is not a time, as in 30d or 12h"},
	})
}

func TestBadHooks(t *testing.T) {
	const line = "hook_secret {env.GATEHOUSE_HOOK_SECRET}"
	invalid(t, map[string]wrong{
		"a secret in clear":             {global("after_add https://a.example\nhook_secret whsec_" + hidden), line},
		"a secret in clear, in part":    {global("after_add https://a.example\nhook_secret " + hidden + "{env.S}"), line},
		"a secret in clear, and no URL": {global("hook_secret " + hidden), line},
		"no secret":                     {global("after_add https://a.example"), line},
		"credentials in a hook's URL":   {global(line + "\nafter_add https://me:" + hidden + "@a.example"), "after_add: the URL holds a user name or password"},
		"a hook's URL that is none":     {global(line + "\nsend_link https://me:" + hidden + "%zz@a.example"), "send_link: the URL cannot be read"},
		"a hook's URL of a file":        {global(line + "\nbefore_destroy file:///a"), "before_destroy: the URL is not of the form https://host/path"},
		"a hook's URL without a value":  {global(line + "\nafter_block {env.GATEHOUSE_TEST_UNSET}"), "after_block: the URL is not of the form"},
	})
	t.Setenv("GATEHOUSE_TEST_HOOK", "https://hooks.example/added?key=1")
	if err := validate(t, global("after_add {env.GATEHOUSE_TEST_HOOK}\nhook_secret \"{env.A} {file./run/secrets/b}\"")); err != nil {
		t.Errorf("placeholders alone: %v", err)
	}
}

func TestBadClusters(t *testing.T) {
	refused(t, map[string]wrong{
		"cluster 0 of nothing":    {global("cluster 0"), "cluster 0 is the store itself"},
		"cluster 0, empty":        {global("cluster 0 {\n}"), "cluster 0 is the store itself"},
		"cluster of nothing":      {global("cluster"), "cluster has an index"},
		"cluster closed, no URL":  {global("cluster 1 closed"), "cluster has an index"},
		"unknown in a cluster":    {global("cluster 1 http://a:5984 {\nuser x\n}"), "unrecognized option 'user' (allowed: username, password, shards, upstream, capacity)"},
		"capacity twice":          {global("cluster 0 {\ncapacity 1\ncapacity 2\n}"), "capacity is given twice"},
		"capacity without value":  {global("cluster 0 {\ncapacity\n}"), "wrong argument count"},
		"capacity of no number":   {global("cluster 0 {\ncapacity all\n}"), "capacity 'all' is not a number of instances from 1 on"},
		"capacity of nothing":     {global("cluster 0 {\ncapacity 0\n}"), "capacity '0' is not a number"},
		"cluster's upstream":      {global("cluster 0 {\nupstream\n}"), "wrong argument count"},
		"cluster's upstreams":     {global("cluster 0 {\nupstream localhost:1\nupstream localhost:2\n}"), "upstream is given twice"},
		"cluster's username":      {global("cluster 1 http://a:5984 {\nusername a\nusername b\n}"), "username is given twice"},
		"unknown in the source":   {proxy("{\nfallback localhost:1\n}"), "unrecognized option 'fallback' (allowed: default)"},
		"argument of the source":  {proxy("localhost:1"), "wrong argument count"},
		"default without any":     {proxy("{\ndefault\n}"), "wrong argument count"},
		"default twice":           {proxy("{\ndefault localhost:1\ndefault localhost:2\n}"), "default is given twice"},
		"stack twice":             {site("stack cozy\nstack cozy"), "stack is given twice"},
		"stack without a name":    {site("stack"), "wrong argument count"},
		"pass_hosts without any":  {site("pass_hosts"), "wrong argument count"},
		"pass_hosts twice":        {site("pass_hosts a.example\npass_hosts b.example"), "pass_hosts is given twice"},
		"onboarding twice":        {site("onboarding page\nonboarding pass"), "onboarding is given twice"},
		"onboarding of two words": {site("onboarding my page"), "wrong argument count"},
	})
	invalid(t, map[string]wrong{
		"an upstream of a cluster":       {global("cluster 0 {\nupstream http://localhost:1\n}"), "cluster 0: upstreams: number 1 is a URL"},
		"credentials of cluster 0":       {global("cluster 0 {\nusername x\npassword {env.P}\n}"), "cluster 0: is the store itself, whose URLs, credentials and shards are given there"},
		"an upstream of the source":      {proxy("{\ndefault localhost\n}"), `upstreams: "localhost" is not an upstream`},
		"a stack that is none":           {site("stack nextcloud"), `stack: "nextcloud" is not known (allowed: cozy)`},
		"onboarding that is none":        {site("onboarding maybe"), `onboarding: "maybe" is not known (allowed: pass, page)`},
		"a pass host that is none":       {site("pass_hosts a_b..example"), "pass_hosts: "},
		"a pass host with two wildcards": {site("pass_hosts *.*.example.com"), "pass_hosts: "},
		"a wildcard for all":             {site("pass_hosts *"), "pass_hosts: "},
		"a pass host twice":              {site("pass_hosts login.example.com LOGIN.example.com"), "pass_hosts: LOGIN.example.com is given twice"},
	})
}

func TestBadJSONOfContexts(t *testing.T) {
	for name, c := range map[string]struct{ app, want string }{
		"unknown key of a context": {`{"contexts":{"fr":{"local":"fr"}}}`, `unknown field "local"`},
		"unknown key of hooks":     {`{"hooks":{"after_lunch":"x"}}`, `unknown field "after_lunch"`},
		"unknown key of a cluster": {`{"clusters":[{"index":0,"size":1}]}`, `unknown field "size"`},
		"a context without a name": {`{"contexts":{"":{}}}`, "a name has 1 to 1024 bytes"},
		"a negative quota":         {`{"contexts":{"fr":{"disk_quota":-1}}}`, "context fr: disk_quota: is a number of bytes from 0 on"},
		"a negative capacity":      {`{"clusters":[{"index":0,"capacity":-1}]}`, "capacity: is a number of instances from 0 on"},
		"a secret in clear":        {`{"hooks":{"secret":"` + hidden + `"}}`, "hook_secret {env.GATEHOUSE_HOOK_SECRET}"},
	} {
		t.Run(name, func(t *testing.T) {
			err := validateJSON(t, []byte(`{"apps":{"tenancy":`+c.app+`}}`))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), hidden) {
				t.Errorf("the error repeats the secret: %v", err)
			}
		})
	}
	if err := validateJSON(t, []byte(`{"apps":{"tenancy":{"contexts":{"fr":null,"none":{"apps":[]}},"quarantine":"30d"}}}`)); err != nil {
		t.Error(err)
	}
}
