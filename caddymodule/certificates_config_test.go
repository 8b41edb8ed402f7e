// Certificates in the configuration: what is refused, and why.

package caddymodule_test

import "testing"

func certificatesBlock(lines string) string {
	return global("certificates {\n" + lines + "\n}")
}

func TestBadCertificates(t *testing.T) {
	refused(t, map[string]wrong{
		"twice":              {global("certificates\ncertificates"), "certificates is given twice"},
		"an argument":        {global("certificates on"), "wrong argument count"},
		"unknown":            {certificatesBlock("wildcards *.example.com"), "unrecognized option 'wildcards' (allowed: apps, wildcard, points_to, resolver, limit, issuer, revoke, cache, parallel)"},
		"apps without one":   {certificatesBlock("apps"), "wrong argument count"},
		"half a limit":       {certificatesBlock("limit account 300"), "limit has a name, a number of orders and a time"},
		"a limit twice":      {certificatesBlock("limit account 1 3h\nlimit account off"), "limit account is given twice"},
		"a limit of text":    {certificatesBlock("limit account many 3h"), "limit account: 'many' is not a number of orders"},
		"a limit in no time": {certificatesBlock("limit account 3 soon"), "limit account: 'soon' is not a time"},
		"cache of text":      {certificatesBlock("cache large"), "cache 'large' is not a number from 1 on"},
		"parallel twice":     {certificatesBlock("parallel 1\nparallel 2"), "parallel is given twice"},
		"revoke what":        {certificatesBlock("revoke all"), "wrong argument count"},
		"an issuer unknown":  {certificatesBlock("issuer nobody"), "tls.issuance.nobody"},
		"manager's options":  {"https:// {\n\ttls {\n\t\tget_certificate tenancy {\n\t\t\tapps drive\n\t\t}\n\t}\n}\n", "unrecognized option 'apps'; get_certificate tenancy has none"},
		"manager's argument": {"https:// {\n\ttls {\n\t\tget_certificate tenancy now\n\t}\n}\n", "wrong argument count"},
	})
	invalid(t, map[string]wrong{
		"a wildcard of a top level": {certificatesBlock("wildcard *.com"), `wildcards: "*.com" is not a name as *.example.com`},
		"a name for a wildcard":     {certificatesBlock("wildcard example.com"), `wildcards: "example.com" is not a name as *.example.com`},
		"a host for a slug":         {certificatesBlock("apps drive.example.com"), `apps: "drive.example.com" is not the slug of an app`},
		"a limit unknown":           {certificatesBlock("limit host 3 3h"), `limits: "host" is not known (allowed: account, domain, name, client, removal)`},
		"a target with a port":      {certificatesBlock("points_to edge.example.com:443"), `points_to: "edge.example.com:443" is neither a host name nor an IP address`},
		"a resolver alone":          {certificatesBlock("resolver 192.0.2.53:53"), "resolver: is for points_to"},
		"a resolver without a port": {certificatesBlock("points_to 192.0.2.1\nresolver 192.0.2.53"), `resolver: "192.0.2.53" is not an address with a port`},
	})
}
