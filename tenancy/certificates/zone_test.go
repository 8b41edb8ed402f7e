// A DNS that tests write.

package certificates_test

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"github.com/caddyserver/certmagic"

	"testing"

	"go.uber.org/zap"
)

// zone has the ends of names' aliases.
type zone map[string]string

var errNoHost = &net.DNSError{Err: "no such host", IsNotFound: true}

func (z zone) LookupCNAME(_ context.Context, host string) (string, error) {
	if end, ok := z[strings.TrimSuffix(host, ".")]; ok {
		return end + ".", nil
	}
	return "", errNoHost
}

func (z zone) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errNoHost
}

func (z zone) LookupTXT(context.Context, string) ([]string, error) { return nil, errNoHost }

// certmagicCache is one of certmagic's, for what Caddy would do itself.
func certmagicCache(t testing.TB) *certmagic.Cache {
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return nil, errNoHost },
		Logger:           zap.NewNop(),
	})
	t.Cleanup(cache.Stop)
	return cache
}
