// Send: one try.

package hooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 10

// CheckURL refuses what no hook can be told at: the URL has the scheme https, or
// http, a host, and no credentials, which a configuration would show. The error
// never repeats it.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil { // url.Error repeats its input
		return errors.New("the URL cannot be read; it has the form https://host/path")
	}
	if u.User != nil {
		return errors.New("the URL holds a user name or password, which the configuration would show; the receiver knows us by the signature, whose secret is given as\n\thook_secret {env.GATEHOUSE_HOOK_SECRET}")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Fragment != "" {
		return errors.New("the URL is not of the form https://host/path")
	}
	return nil
}

func newClient() *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{
		// A redirect could take the event, and a link in it, anywhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    5 * time.Second,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			MaxConnsPerHost:        maxConns,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: maxAnswer,
			DisableCompression:     true, // so that the bound is one of what is read
		},
	}
}

// message is an event on its way. It is the same for each try.
type message struct {
	id   string
	body []byte
	keys [][]byte
	keep []string // what an answer may hold, and an error may not
}

// answer is what became of one try.
type answer struct {
	status     int    // 0 where there was none
	text       string // of the receiver's, in one line; or why there is no answer
	retryAfter time.Duration
}

// String is the status and the receiver's words.
func (a answer) String() string {
	switch {
	case a.status == 0:
		return a.text
	case a.text == "":
		return strconv.Itoa(a.status)
	default:
		return fmt.Sprintf("%d: %s", a.status, a.text)
	}
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

// refusal tells whether the receiver says no, rather than not now.
func (a answer) refusal() bool {
	switch a.status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return a.status >= 400 && a.status < 500
}

// again tells whether another try may do better. A redirect is the same next time.
func (a answer) again() bool { return a.status < 300 || a.status >= 400 }

// send makes one try.
func (h *Hooks) send(ctx context.Context, to string, m message) answer {
	ctx, cancel := context.WithTimeout(ctx, h.o.TryTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(m.body))
	if err != nil { // New has looked at the URL
		return answer{text: "the URL cannot be used"}
	}
	at := strconv.FormatInt(h.o.Now().Unix(), 10)
	req.Header.Set("User-Agent", "gatehouse")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/plain;q=0.9")
	req.Header.Set("Webhook-Id", m.id)
	req.Header.Set("Webhook-Timestamp", at)
	req.Header.Set("Webhook-Signature", signatures(m.keys, m.id, at, m.body))
	resp, err := h.client.Do(req)
	if err != nil {
		return answer{text: h.cause(err)}
	}
	defer resp.Body.Close()
	// What an answer says more than its status is a kindness, so an error counts for
	// nothing; a body that is too long costs its connection.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	a := answer{status: resp.StatusCode}
	switch {
	case a.ok():
	case a.status >= 300 && a.status < 400:
		a.text = "it sends elsewhere, which is not followed"
	default:
		a.text = said(resp.Header.Get("Content-Type"), body, m.keep)
		a.retryAfter = retryAfter(resp.Header.Get("Retry-After"), h.o.Now())
	}
	return a
}

// cause says why there is no answer. Only errors whose words are known are
// repeated: those of the HTTP client have the URL, or what came back, in them.
func (h *Hooks) cause(err error) string {
	var dial *net.OpError
	var cert *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "it was given up"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("no answer within %s", h.o.TryTime)
	case errors.As(err, &dial) && dial.Op == "dial":
		return dial.Error()
	case errors.As(err, &cert):
		return cert.Error()
	case errors.As(err, &authority):
		return authority.Error()
	case errors.As(err, &host):
		return host.Error()
	}
	return "the connection broke, or the answer is not HTTP"
}

// retryAfter reads RFC 9110, section 10.2.3: seconds, or a date.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
