// Proof: whether a domain points to this platform, before an authority is asked.

package certificates

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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
	return p.check(ctx, name, name, token)
}

// check is Check, with the TXT record of a name at: that of an instance proves the hosts
// of its apps.
func (p *Proof) check(ctx context.Context, name, at, token string) error {
	ctx, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	q := &question{ctx: ctx, resolver: p.Resolver}
	if q.resolver == nil {
		q.resolver = net.DefaultResolver
	}
	var has []string
	if len(p.Names) > 0 {
		end := q.cname(name)
		if p.named(q, end) {
			return nil
		}
		switch {
		case end != "" && end != name:
			has = append(has, "CNAME "+end)
		case end == name && len(p.Addresses) == 0:
			has = append(has, "addresses of its own")
		}
	}
	if len(p.Addresses) > 0 {
		found := q.addresses(name)
		ours := len(found) > 0
		for _, addr := range found {
			has = append(has, addr.String())
			ours = ours && slices.Contains(p.Addresses, addr)
		}
		if ours {
			return nil
		}
	}
	if token != "" && slices.Contains(q.texts(TXTLabel+"."+at), token) {
		return nil
	}
	if len(has) == 0 && q.failed != nil {
		return fmt.Errorf("the DNS does not answer for %s: %w", name, q.failed)
	}
	if len(has) == 0 {
		has = []string{"nothing"}
	}
	return fmt.Errorf("%s points to %s, and not here: set %s", name, strings.Join(has, ", "), strings.Join(p.Wanted(at, token), ", or "))
}

// named tells whether the end of a name's aliases is one of the platform's names, or
// where one of these ends: a resolver tells the end alone.
func (p *Proof) named(q *question, end string) bool {
	if end == "" {
		return false
	}
	for _, target := range p.Names {
		if target = bare(target); target == end || q.cname(target) == end {
			return true
		}
	}
	return false
}

// question asks the DNS for one name.
type question struct {
	ctx      context.Context
	resolver Resolver
	failed   error // the last question without an answer; that there is nothing is one
}

func (q *question) note(err error) {
	var missing *net.DNSError
	if err != nil && !(errors.As(err, &missing) && missing.IsNotFound) {
		q.failed = err
	}
}

// cname is where the aliases of a name end; empty where there is no such name.
func (q *question) cname(name string) string {
	end, err := q.resolver.LookupCNAME(q.ctx, name+".")
	if q.note(err); err != nil {
		return ""
	}
	return bare(end)
}

func (q *question) addresses(name string) []netip.Addr {
	found, err := q.resolver.LookupNetIP(q.ctx, "ip", name+".")
	if q.note(err); err != nil {
		return nil
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found
}

func (q *question) texts(name string) []string {
	found, err := q.resolver.LookupTXT(q.ctx, name+".")
	q.note(err)
	return found
}

// bare is a name of the DNS in normal form.
func bare(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// prove asks for the domain's proof, where one is wanted. done says that the order has
// to wait for it.
func (w *leading) prove(ctx context.Context, rec *Record) (done bool, next time.Time, err error) {
	p := w.settings().Proof
	if p == nil {
		return false, next, nil
	}
	at, token, err := w.token(ctx, rec)
	if err != nil {
		return true, next, err
	}
	cause := p.check(ctx, rec.Name, at, token)
	if cause == nil {
		if rec.State == Waiting {
			rec.State, rec.Tries, rec.Error = Pending, 0, ""
		}
		return false, next, nil
	}
	if err := ctx.Err(); err != nil {
		return true, next, err
	}
	if rec.Held() { // renewed all the same: the authority is the judge
		return false, next, nil
	}
	next, err = w.put(ctx, rec, func() {
		looks := rec.Tries
		if rec.State != Waiting {
			looks = 0
		}
		rec.State, rec.Tries, rec.Error = Waiting, looks+1, cause.Error()
		rec.Next = w.s.Now().Add(proofWait(looks))
	})
	return true, next, err
}

// token is that of the TXT record which proves a name, and where this is: for the host of
// an app, at its instance's name.
func (w *leading) token(ctx context.Context, rec *Record) (at, token string, err error) {
	if rec.Parent != "" {
		parent, err := w.records.get(ctx, rec.Parent)
		if err != nil || parent == nil {
			return rec.Parent, "", err
		}
		return rec.Parent, parent.ProofToken, nil
	}
	if rec.ProofToken == "" {
		var b [16]byte
		if _, err := io.ReadFull(w.s.random(), b[:]); err != nil {
			return rec.Name, "", err
		}
		rec.ProofToken = "gatehouse-" + hex.EncodeToString(b[:])
	}
	return rec.Name, rec.ProofToken, nil
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
