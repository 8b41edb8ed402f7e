// Hooks: who is told of changes, in the configuration.

package caddymodule

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/hooks"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// Hooks are the URLs that are told of changes, each by a POST with the event as
// JSON, signed as the Standard Webhooks specification says.
type Hooks struct {
	// Is told before an instance is destroyed, and may refuse it by a status of 400
	// to 499.
	BeforeDestroy string `json:"before_destroy,omitempty"`

	// Is told of a new instance.
	AfterAdd string `json:"after_add,omitempty"`

	// Is told of a block.
	AfterBlock string `json:"after_block,omitempty"`

	// Is told the link by which an owner chooses a password, and sends it there.
	SendLink string `json:"send_link,omitempty"`

	// The secret of the signatures: `whsec_` and base64 of 24 to 64 bytes, or as
	// many bytes of text. Since GET /config/ shows the configuration, it is a
	// placeholder, as in {env.GATEHOUSE_HOOK_SECRET} or {file./run/secrets/hooks},
	// which is read when it is needed. While it holds two, with a space between,
	// events have two signatures.
	Secret string `json:"secret,omitempty"`

	urls map[string]string // by kind of event, without placeholders
}

// placeholdersOnly is a value that says nothing to who reads a configuration.
var placeholdersOnly = regexp.MustCompile(`^(\s*\{[^{}\s][^{}]*\}\s*)+$`)

func (h *Hooks) provision() error {
	repl := caddy.NewReplacer()
	h.urls = map[string]string{}
	for _, hook := range []struct{ kind, url string }{
		{lifecycle.BeforeDestroy, h.BeforeDestroy}, {lifecycle.AfterAdd, h.AfterAdd},
		{lifecycle.AfterBlock, h.AfterBlock}, {lifecycle.SendLink, h.SendLink},
	} {
		if hook.url == "" {
			continue
		}
		u := strings.TrimSpace(repl.ReplaceAll(hook.url, "")) // a file ends with a newline
		if err := hooks.CheckURL(u); err != nil {
			return fmt.Errorf("%s: %w", hook.kind, err)
		}
		h.urls[hook.kind] = u
	}
	if h.Secret != "" && !placeholdersOnly.MatchString(h.Secret) {
		return errors.New("hook_secret: stands in the configuration, which GET /config/ shows; write a placeholder, as in\n\thook_secret {env.GATEHOUSE_HOOK_SECRET}")
	}
	if h.Secret == "" && len(h.urls) > 0 {
		return errors.New("hook_secret: is missing, and without it a receiver cannot know who speaks; write it as\n\thook_secret {env.GATEHOUSE_HOOK_SECRET}")
	}
	return nil
}

// secret reads the secret as it is now.
func (h *Hooks) secret() string { return caddy.NewReplacer().ReplaceAll(h.Secret, "") }

// open makes what delivers events; nil where nobody is told of any.
func (h *Hooks) open(logger *zap.Logger, m *metrics) (*hooks.Hooks, error) {
	if h == nil || len(h.urls) == 0 {
		return nil, nil
	}
	return hooks.New(hooks.Options{URLs: h.urls, Secret: h.secret, Logger: logger, Outcome: m.hook})
}

// warn tells of what works, or may one day, and is a mistake nevertheless.
func (h *Hooks) warn(logger *zap.Logger) {
	if h == nil || len(h.urls) == 0 {
		return
	}
	if _, err := hooks.ParseSecrets(h.secret()); err != nil {
		logger.Warn("no hook can be told of a change: hook_secret " + err.Error())
	}
	for kind, u := range h.urls {
		if strings.HasPrefix(u, "http:") && !loopback(u) {
			logger.Warn("a hook's events, which may hold a link that opens an instance, go over a network without TLS", zap.String("hook", kind))
		}
	}
}

// loopback tells whether a URL's host is this machine.
func loopback(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}
