// Change: what add and modify are asked for, and the rules for its values.

package lifecycle

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// Change is what is asked for. A nil field is left as it is; an empty value that
// is present clears. The names in errors are those of the API's parameters.
type Change struct {
	Aliases            *[]string
	OldDomain          *string
	OrgDomain          *string
	OrgID              *string
	Locale             *string
	UUID               *string
	OIDCID             *string
	FranceConnectID    *string
	TOSSigned          *string
	TOSLatest          *string
	Timezone           *string
	ContextName        *string
	Email              *string
	PublicName         *string
	Phone              *string
	Settings           map[string]string // further keys of the settings document
	AuthMode           *string           // basic or two_factor_mail
	Sponsorships       *[]string
	FeatureSets        *[]string
	AutoUpdate         *bool
	MagicLink          *bool
	SwiftLayout        *int
	CouchCluster       *int
	DiskQuota          *int64 // bytes; 0 clears
	Blocked            *bool
	BlockingReason     *string
	Deleting           *bool
	OnboardingFinished *bool
	Apps               *[]string   // of a new instance
	Passphrase         *Passphrase // of a new instance; SetPassphrase is for others
	SendLink           bool        // have the hook for links send the new instance's link
	IfRev              string      // of a modify: only where the document has this revision

	aliases []tenancy.Domain // parsed by check
}

// Limits of a change, in bytes or in numbers.
const (
	maxText     = 1024
	maxAliases  = 100
	maxSettings = 100
	maxList     = 100
)

// AuthModes are the ways of logging in, by name, with the document's number.
var AuthModes = map[string]int{"basic": 0, "two_factor_mail": 1}

// instanceSettings are the keys of --settings that belong to the instance's
// document rather than to the settings document.
var instanceSettings = map[string]func(c *Change, value string) error{
	"context":     func(c *Change, v string) error { return setText(&c.ContextName, v) },
	"locale":      func(c *Change, v string) error { return setText(&c.Locale, v) },
	"uuid":        func(c *Change, v string) error { return setText(&c.UUID, v) },
	"oidc_id":     func(c *Change, v string) error { return setText(&c.OIDCID, v) },
	"tos":         func(c *Change, v string) error { return setText(&c.TOSSigned, v) },
	"tos_latest":  func(c *Change, v string) error { return setText(&c.TOSLatest, v) },
	"auth_mode":   func(c *Change, v string) error { return setText(&c.AuthMode, v) },
	"auto_update": func(c *Change, v string) error { return setBool(&c.AutoUpdate, v) },
	"onboarding_finished": func(c *Change, v string) error {
		return setBool(&c.OnboardingFinished, v)
	},
}

func setText(p **string, v string) error { *p = &v; return nil }

func setBool(p **bool, v string) error {
	b, err := strconv.ParseBool(v)
	if err != nil {
		return fmt.Errorf("is not a boolean")
	}
	*p = &b
	return nil
}

// withDefaults fills in what a new instance has if nothing is said.
func (c Change) withDefaults(of Context) Change {
	if text(c.Locale) == "" {
		locale := cmp.Or(of.Locale, "en")
		c.Locale = &locale
	}
	if c.Apps == nil && len(of.Apps) > 0 {
		c.Apps = &of.Apps
	}
	if c.DiskQuota == nil && of.DiskQuota > 0 {
		c.DiskQuota = &of.DiskQuota
	}
	return c
}

// sort moves the settings that belong to the instance's document there, and
// those of the owner to their fields.
func (c *Change) sort() error {
	rest := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(c.Settings)) {
		value := c.Settings[key]
		switch {
		case instanceSettings[key] != nil:
			if err := instanceSettings[key](c, value); err != nil {
				return &tenancy.FieldError{Field: "Settings", Problem: key + " " + err.Error(), Allowed: "true, false"}
			}
		case key == "tz":
			c.Timezone = &value
		case key == "email":
			c.Email = &value
		case key == "public_name":
			c.PublicName = &value
		case key == "phone":
			c.Phone = &value
		case key == "" || strings.HasPrefix(key, "_"):
			return &tenancy.FieldError{Field: "Settings", Problem: "has a key that is empty or begins with _", Allowed: "key:value,key:value"}
		default:
			rest[key] = value
		}
	}
	c.Settings = rest
	return nil
}

func (c *Change) clusterOr(def int) int {
	if c.CouchCluster == nil {
		return def
	}
	return *c.CouchCluster
}

// names are the domain and the aliases asked for.
func (c *Change) names(domain tenancy.Domain) []tenancy.Domain {
	return append([]tenancy.Domain{domain}, c.aliases...)
}

func keys(names []tenancy.Domain) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n.Key()
	}
	return out
}

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// apply writes what belongs to the instance's document into it.
func (c *Change) apply(inst *tenancy.Instance) {
	for field, value := range map[string]*string{
		"old_domain": c.OldDomain, "org_domain": c.OrgDomain, "org_id": c.OrgID, "locale": c.Locale, "uuid": c.UUID,
		"oidc_id": c.OIDCID, "franceconnect_id": c.FranceConnectID, "tos": c.TOSSigned, "tos_latest": c.TOSLatest,
		"context": c.ContextName, "blocking_reason": c.BlockingReason,
	} {
		if value != nil {
			tenancy.SetOrUnset(inst, field, *value)
		}
	}
	for field, value := range map[string]*bool{
		"magic_link": c.MagicLink, "blocked": c.Blocked, "onboarding_finished": c.OnboardingFinished, "deleting": c.Deleting,
	} {
		if value != nil {
			tenancy.SetOrUnset(inst, field, *value)
		}
	}
	if c.AutoUpdate != nil {
		tenancy.SetOrUnset(inst, "no_auto_update", !*c.AutoUpdate)
	}
	if c.AuthMode != nil {
		tenancy.SetOrUnset(inst, "auth_mode", AuthModes[*c.AuthMode])
	}
	if c.SwiftLayout != nil {
		tenancy.SetOrUnset(inst, "swift_cluster", *c.SwiftLayout)
	}
	if c.DiskQuota != nil {
		inst.SetDiskQuota(*c.DiskQuota)
	}
	if c.Aliases != nil {
		aliases := make([]string, len(c.aliases))
		for i, a := range c.aliases {
			aliases[i] = a.String()
		}
		inst.SetList("domain_aliases", aliases)
	}
	if c.Sponsorships != nil {
		inst.SetList("sponsorships", *c.Sponsorships)
	}
	if c.FeatureSets != nil {
		inst.SetList("feature_sets", *c.FeatureSets)
	}
	if c.Blocked != nil && !*c.Blocked {
		inst.Unset("blocking_reason")
	}
}
