// Proof: whether a domain points to this platform, before an authority is asked.

package certificates

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Proof says how a domain shows that it is meant to be here: it is a CNAME of one of
// Names, or resolves to Addresses and nothing else, or has the TXT record of its
// instance. An order that fails counts against the account; a question to the DNS does not.
type Proof struct {
	Names     []string     // of this platform, as edge.example.com
	Addresses []netip.Addr // where its front doors are
	Resolver  Resolver     // nil for the system's
}

// Resolver is a *net.Resolver.
type Resolver interface {
	LookupCNAME(ctx context.Context, host string) (string, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// TXTLabel is where a domain can have the TXT record that proves it.
const TXTLabel = "_gatehouse"

const (
	// proofTime bounds the questions to the DNS for one name.
	proofTime = 10 * time.Second
	// proofFirst is the pause after the first look that finds nothing. It doubles, up to
	// proofMost: DNS takes hours at times, and owners take days.
	proofFirst = 30 * time.Second
	proofMost  = time.Hour
)

// proofWait is the pause after so many looks in a row that found nothing.
func proofWait(looks int) time.Duration { return min(proofFirst<<min(looks, 10), proofMost) }

// Check looks whether a name is proven. nil says so; else the error says for people
// what the DNS has, and what it is to have.
func (p *Proof) Check(ctx context.Context, name, token string) error {
	ctx, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	resolver := p.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	var has []string
	if len(p.Names) > 0 {
		cname, err := resolver.LookupCNAME(ctx, name+".")
		cname = strings.ToLower(strings.TrimSuffix(cname, "."))
		if err == nil && slices.Contains(p.Names, cname) {
			return nil
		}
		if err == nil && cname != "" && cname != name {
			has = append(has, "CNAME "+cname)
		}
	}
	if len(p.Addresses) > 0 {
		found, err := resolver.LookupNetIP(ctx, "ip", name+".")
		ours := err == nil && len(found) > 0
		for _, addr := range found {
			has = append(has, addr.Unmap().String())
			ours = ours && slices.Contains(p.Addresses, addr.Unmap())
		}
		if ours {
			return nil
		}
	}
	if token != "" {
		texts, err := resolver.LookupTXT(ctx, TXTLabel+"."+name+".")
		if err == nil && slices.Contains(texts, token) {
			return nil
		}
		var missing *net.DNSError
		if err != nil && !(errors.As(err, &missing) && missing.IsNotFound) && len(has) == 0 {
			return fmt.Errorf("the DNS does not answer for %s: %w", name, err)
		}
	}
	if len(has) == 0 {
		has = []string{"nothing"}
	}
	return fmt.Errorf("%s points to %s, and not here: set %s", name, strings.Join(has, ", "), strings.Join(p.Wanted(name, token), ", or "))
}

// Wanted are the DNS records of which a name is to have one, for people.
func (p *Proof) Wanted(name, token string) (records []string) {
	for _, target := range p.Names {
		records = append(records, fmt.Sprintf("CNAME %s", target))
	}
	for _, addr := range p.Addresses {
		kind := "A"
		if addr.Is6() {
			kind = "AAAA"
		}
		records = append(records, fmt.Sprintf("%s %s", kind, addr))
	}
	if token != "" {
		records = append(records, fmt.Sprintf("TXT %s.%s %q", TXTLabel, name, token))
	}
	return records
}
