// Order: what is done about one name.

package certificates

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// tend brings a name, its record and its certificate together: it orders, renews, asks
// for advice, or removes. next is when there is more to do, zero for never.
func (w *leading) tend(ctx context.Context, name string) (next time.Time, err error) {
	rec, err := w.records.get(ctx, name)
	if err != nil {
		return next, err
	}
	now := w.s.Now()
	owner, known := w.s.Hosts.Owner(name)
	switch {
	case !known && rec == nil:
		return next, nil
	case !known:
		return w.leave(ctx, rec)
	case owner.Deleting:
		return next, nil // no order; the next sweep has it if the deletion is given up
	case !w.settings.qualifies(name):
		if rec == nil || rec.Held() { // it goes with its instance
			return next, nil
		}
		return next, w.records.drop(ctx, rec)
	case rec == nil:
		rec = &Record{Name: name, State: Pending, Wanted: now}
	}
	rec.Instance, rec.Parent, rec.Node = owner.Instance, owner.Parent, w.s.Node
	if rec.State == Issued && now.Before(rec.until()) {
		if !rec.ARI.IsZero() && !now.Before(rec.ARI) {
			return w.advice(ctx, rec)
		}
		return rec.due(), nil
	}
	if rec.State != Issued && now.Before(rec.Next) {
		return rec.Next, nil
	}
	return w.order(ctx, rec)
}

// order obtains or renews a certificate, if it may, and writes what comes of it.
func (w *leading) order(ctx context.Context, rec *Record) (next time.Time, err error) {
	now := w.s.Now()
	held, err := w.held(ctx, rec.Name)
	if err != nil {
		return next, err
	}
	if held != nil && w.renewal(held, rec.Name).After(now) && !rec.RenewAt.After(now) && held.leaf.NotAfter.After(rec.NotAfter) {
		// Of another front door, or from before the records.
		return w.issued(ctx, rec, held)
	}
	if done, next, err := w.prove(ctx, rec); done || err != nil {
		return next, err
	}
	first := held == nil
	if wait, which := w.budgets.wait(rec.Name, first, now); wait > 0 {
		w.s.counters.paced.Add(1)
		return w.put(ctx, rec, func() {
			if !rec.Held() {
				rec.State = Pending
			}
			rec.Next, rec.Error = now.Add(wait), fmt.Sprintf("waits for the budget of its %s", which)
		})
	}
	if rec.State != Issued { // one that is renewed stays issued, whatever becomes of it
		rec.State = Ordered
	}
	// Who dies in this leaves it to be looked at once the order is over in any case.
	rec.Next = now.Add(orderTime)
	if err := w.records.put(ctx, rec); err != nil {
		return next, err
	}
	w.budgets.spend(rec.Name, first, now, now)
	err = w.ask(ctx, rec.Name, first)
	if ctx.Err() != nil { // nobody's failure
		return next, ctx.Err()
	}
	if err != nil {
		return w.failed(ctx, rec, err)
	}
	w.s.counters.orders.Add(1)
	// What came too late is dropped.
	if _, known := w.s.Hosts.Owner(rec.Name); !known {
		return w.leave(ctx, rec)
	}
	if held, err = w.held(ctx, rec.Name); err != nil {
		return next, err
	}
	if held == nil {
		return w.failed(ctx, rec, errors.New("the certificate was issued, and is not in the storage"))
	}
	return w.issued(ctx, rec, held)
}

// ask makes one order.
func (w *leading) ask(ctx context.Context, name string, first bool) error {
	m := w.s.keeper.magic.Load()
	if m == nil || m.settings != w.settings {
		return context.Canceled // a reload; the next term goes on
	}
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	if first {
		return m.config.ObtainCertSync(ctx, name)
	}
	return m.config.RenewCertSync(ctx, name, true)
}

// failed writes that an order has failed, and when it is tried again.
func (w *leading) failed(ctx context.Context, rec *Record, cause error) (next time.Time, err error) {
	w.s.counters.failures.Add(1)
	now := w.s.Now()
	f := judge(cause, rec.Tries, now)
	if f.account {
		w.budgets.hold(now.Add(f.wait))
	}
	w.log.Warn("an order of a certificate has failed", zap.String("name", rec.Name), zap.Int("tries", rec.Tries+1), zap.Duration("again_in", f.wait), zap.Error(cause))
	return w.put(ctx, rec, func() {
		rec.State, rec.Tries, rec.Error = Failed, rec.Tries+1, cause.Error()
		rec.Next = now.Add(f.wait)
	})
}

// issued writes what a certificate is, and when it is renewed.
func (w *leading) issued(ctx context.Context, rec *Record, held *heldCertificate) (next time.Time, err error) {
	leaf := held.leaf
	otherwise := w.renewal(held, rec.Name)
	rec.State, rec.Tries, rec.Error, rec.Next = Issued, 0, "", time.Time{}
	rec.Issuer, rec.Serial = held.issuer, hex.EncodeToString(leaf.SerialNumber.Bytes())
	rec.NotBefore, rec.NotAfter = leaf.NotBefore.UTC(), leaf.NotAfter.UTC()
	rec.RenewAt, rec.ARI = otherwise, time.Time{}
	w.consult(ctx, rec, held)
	if err := w.records.put(ctx, rec); err != nil {
		return next, err
	}
	w.log.Info("a certificate is there", zap.String("name", rec.Name), zap.String("issuer", rec.Issuer), zap.Time("not_after", rec.NotAfter), zap.Time("renew_at", rec.RenewAt))
	_, _ = w.s.keeper.load(ctx, rec.Name) // so that the first visitor need not wait; else he does
	return rec.due(), nil
}

// advice asks the authority anew when to renew.
func (w *leading) advice(ctx context.Context, rec *Record) (next time.Time, err error) {
	held, err := w.held(ctx, rec.Name)
	if err != nil {
		return next, err
	}
	if held == nil {
		return w.put(ctx, rec, func() { // somebody has removed it
			rec.State, rec.NotAfter, rec.RenewAt, rec.ARI, rec.Next = Pending, time.Time{}, time.Time{}, time.Time{}, w.s.Now()
		})
	}
	w.consult(ctx, rec, held)
	return rec.due(), w.records.put(ctx, rec)
}

// consult asks the issuer of a certificate, if it gives advice, when to renew it.
func (w *leading) consult(ctx context.Context, rec *Record, held *heldCertificate) {
	for _, issuer := range w.settings.Issuers {
		getter, ok := issuer.(certmagic.RenewalInfoGetter)
		if !ok || issuer.IssuerKey() != held.issuer {
			continue
		}
		now := w.s.Now()
		otherwise := w.renewal(held, rec.Name)
		ctx, cancel := context.WithTimeout(ctx, proofTime)
		info, err := getter.GetRenewalInfo(ctx, held.certificate())
		cancel()
		if err != nil {
			rec.ARI = now.Add(ariEvery) // many authorities have none
			return
		}
		rec.RenewAt, rec.ARI = advised(info, otherwise, rec.NotAfter, now)
		return
	}
}

// prove asks for the domain's proof, where one is wanted. done says that the order has
// to wait for it.
func (w *leading) prove(ctx context.Context, rec *Record) (done bool, next time.Time, err error) {
	p := w.settings.Proof
	if p == nil || rec.Parent != "" { // the host of an app is proven by its instance's name
		return false, next, nil
	}
	if rec.ProofToken == "" {
		var token [16]byte
		if _, err := io.ReadFull(w.s.random(), token[:]); err != nil {
			return true, next, err
		}
		rec.ProofToken = "gatehouse-" + hex.EncodeToString(token[:])
	}
	cause := p.Check(ctx, rec.Name, rec.ProofToken)
	if cause == nil {
		if rec.State == Waiting {
			rec.State, rec.Tries = Pending, 0
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

// put changes a record, writes it, and says when it is due.
func (w *leading) put(ctx context.Context, rec *Record, change func()) (next time.Time, err error) {
	change()
	if err := w.records.put(ctx, rec); err != nil {
		return next, err
	}
	return rec.due(), nil
}

// renewal is when a certificate is renewed without advice.
func (w *leading) renewal(held *heldCertificate, name string) time.Time {
	return renewAt(held.leaf, name, w.settings.RenewalWindowRatio)
}

// heldCertificate is a certificate in the storage.
type heldCertificate struct {
	issuer string // its key
	leaf   *x509.Certificate
	pem    []byte
}

// certificate is what certmagic's interfaces take.
func (h *heldCertificate) certificate() certmagic.Certificate {
	var c certmagic.Certificate
	c.Leaf, c.Names = h.leaf, h.leaf.DNSNames
	return c
}

// held reads the newest certificate of a name that an issuer of the configuration has
// made; nil where there is none.
func (w *leading) held(ctx context.Context, name string) (best *heldCertificate, err error) {
	for _, issuer := range w.settings.Issuers {
		h, err := w.heldFrom(ctx, issuer.IssuerKey(), name)
		if err != nil {
			return nil, err
		}
		if h != nil && (best == nil || h.leaf.NotBefore.After(best.leaf.NotBefore)) {
			best = h
		}
	}
	return best, nil
}

// heldFrom is held, of one issuer. A certificate without its key, or that cannot be
// read, is none.
func (w *leading) heldFrom(ctx context.Context, issuer, name string) (*heldCertificate, error) {
	storage := w.settings.Storage
	raw, err := storage.Load(ctx, certmagic.StorageKeys.SiteCert(issuer, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, nil
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !storage.Exists(ctx, certmagic.StorageKeys.SitePrivateKey(issuer, name)) {
		return nil, nil //nolint:nilerr // it is ordered anew
	}
	return &heldCertificate{issuer: issuer, leaf: leaf, pem: raw}, nil
}

// resource is what certmagic's issuers revoke.
func (h *heldCertificate) resource(meta []byte) certmagic.CertificateResource {
	res := certmagic.CertificateResource{SANs: h.leaf.DNSNames, CertificatePEM: h.pem}
	var stored certmagic.CertificateResource
	if json.Unmarshal(meta, &stored) == nil {
		res.IssuerData = stored.IssuerData
	}
	return res
}
