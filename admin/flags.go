// Flags: those of add and modify, and the parameters that they become.

package admin

import (
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagParameters are the flags by name, with the API's parameter.
var flagParameters = map[string]string{
	"domain-aliases":   "DomainAliases",
	"old-domain":       "OldDomain",
	"org-domain":       "OrgDomain",
	"org-id":           "OrgID",
	"locale":           "Locale",
	"uuid":             "UUID",
	"oidc_id":          "OIDCID",
	"franceconnect_id": "FranceConnectID",
	"tos":              "TOSSigned",
	"tos-latest":       "TOSLatest",
	"tz":               "Timezone",
	"context-name":     "ContextName",
	"email":            "Email",
	"public-name":      "PublicName",
	"phone":            "Phone",
	"settings":         "Settings",
	"sponsorships":     "Sponsorships",
	"feature-sets":     "FeatureSets",
	"magic_link":       "MagicLink",
	"swift-layout":     "SwiftLayout",
	"couch-cluster":    "CouchCluster",
	"disk-quota":       "DiskQuota",
	"blocked":          "Blocked",
	"blocking-reason":  "BlockingReason",
	"deleting":         "Deleting",
	"apps":             "Apps",
	"auth-mode":        "AuthMode",
	"auto-update":      "AutoUpdate",
	"kdf-iterations":   "KdfIterations",
	"key":              "Key",
	"send":             "Send",
	"if-rev":           "IfRev",
	"from-cloudery":    "FromCloudery",

	"onboarding-finished": "OnboardingFinished",
}

// changeFlags are the flags that add and modify have both.
func changeFlags(f *pflag.FlagSet) {
	f.String("auth-mode", "", "How the owner logs in: basic, or two_factor_mail")
	f.Bool("auto-update", true, "Whether apps are brought up to date by themselves")
	f.Bool("from-cloudery", false, "Say that a hosting platform asks for this")
	f.String("context-name", "", "The context of the instance")
	f.String("disk-quota", "", "The quota of the instance's files, as in 3GB; 0 for none")
	f.StringSlice("domain-aliases", nil, "Further domains of the instance, separated by commas")
	f.String("email", "", "The e-mail address of the owner")
	f.StringSlice("feature-sets", nil, "Feature sets, separated by commas")
	f.String("franceconnect_id", "", "The identifier of the owner at FranceConnect")
	f.String("locale", "", "The language of the instance, as in fr (for a new one: en)")
	f.Bool("magic_link", false, "Log in by a link that is mailed, rather than by a password")
	f.String("oidc_id", "", "The identifier of the owner at an OpenID Connect provider")
	f.String("old-domain", "", "A former domain, whose visitors are sent to the present one")
	f.String("org-domain", "", "The domain of the owner's organization")
	f.String("org-id", "", "The identifier of the owner's organization")
	f.String("phone", "", "The phone number of the owner")
	f.String("public-name", "", "The name that others see")
	f.String("settings", "", "Further settings, as key:value,key:value")
	f.StringSlice("sponsorships", nil, "Contexts that sponsor the instance, separated by commas")
	f.Int("swift-layout", -1, "The layout of files in Swift: 0, 1 or 2 (-1: the default)")
	f.String("tos", "", "The version of the terms of service that was signed, as in 1.0.0-20240131")
	f.String("tos-latest", "", "The latest version of the terms of service")
	f.String("tz", "", "The time zone of the owner, as in Europe/Paris")
	f.String("uuid", "", "The UUID of the instance")
}

// body is the JSON body of the flags that were given: one with an empty value
// clears.
func body(cmd *cobra.Command) (map[string]any, error) {
	out := map[string]any{}
	var failed error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		name, ok := flagParameters[f.Name]
		if !ok || failed != nil {
			return
		}
		switch v := f.Value; v.Type() {
		case "stringSlice":
			list, err := cmd.Flags().GetStringSlice(f.Name)
			failed = err
			out[name] = append([]string{}, list...)
		case "bool":
			out[name] = v.String() == "true"
		case "int":
			n, err := strconv.Atoi(v.String())
			failed = err
			out[name] = n
		default:
			out[name] = v.String()
		}
		if f.Name == "disk-quota" {
			n, err := parseQuota(f.Value.String())
			failed = err
			out[name] = n
		}
	})
	return out, failed
}

// parseQuota reads a quota as people write it. 0, and nothing, mean none.
func parseQuota(s string) (int64, error) {
	if strings.TrimSpace(s) == "" {
		return 0, nil
	}
	n, err := humanize.ParseBytes(s)
	if err != nil || n > math.MaxInt64 {
		return 0, usagef("the disk quota %q is not a size, as in 3GB or 500MB; 0 for none", s)
	}
	return int64(n), nil
}
