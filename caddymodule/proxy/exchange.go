// Exchange: one request and its answer on a connection.

package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxInformational bounds the informational answers (1xx) before the answer.
const maxInformational = 32

// errAborted: the answer has begun, and cannot be finished.
var errAborted = errors.New("the answer is not whole")

// exchange sends a request and gives the client its answer. An error other than errAborted says
// that the client has got nothing, and the connection is the caller's to close; else it
// has been kept or closed.
func (p *Proxy) exchange(w http.ResponseWriter, r *http.Request, x *Exchange, c *conn) error {
	with := r.ContentLength != 0
	c.begin(r.Context(), with)
	c.prepare(r, x)
	if with {
		c.send()
	} else {
		err := c.out.Write(&c.whole)
		if err == nil {
			err = c.sendWhole(c.whole.Bytes())
		}
		if err != nil {
			return c.because(fmt.Errorf("sending the request: %w", err), r.Context())
		}
	}
	resp, err := c.answer(w, r)
	if err != nil {
		err = c.because(err, r.Context())
		if with {
			c.stopSending(w) // which has net/http think that the client left
		}
		return err
	}
	x.Latency = time.Since(x.Began)
	x.Status, x.Answer = resp.StatusCode, resp.Header
	c.up.metrics.answered(resp.StatusCode, x.Latency)
	relay(w.Header(), resp)
	if with && !c.body.whole.Load() && r.ProtoMajor == 1 {
		early(w)
	}
	if err := c.relayBody(w, resp); err != nil {
		x.Broken = err
		if with {
			c.stopSending(w)
		}
		c.finish(false)
		_ = http.NewResponseController(w).Flush() // what has come is shown
		return errAborted
	}
	again := !resp.Close && c.br.Buffered() == 0
	if with && !c.ended() {
		c.stopSending(w)
		again = false
	} else if with && <-c.wrote != nil {
		again = false
	}
	c.expire(resp.Header["Keep-Alive"])
	c.finish(again)
	return nil
}

// answer reads the answer's header. Informational ones go to the client as they come.
func (c *conn) answer(w http.ResponseWriter, r *http.Request) (*http.Response, error) {
	for range maxInformational {
		resp, err := c.readHead()
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 {
			c.inBody, c.armed = true, time.Time{}
			return resp, nil
		}
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return nil, errors.New("switches protocols unasked")
		}
		if r.ProtoAtLeast(1, 1) { // RFC 9110, section 15.2
			inform(w, resp)
		}
	}
	return nil, fmt.Errorf("sent more than %d informational answers", maxInformational)
}

// because is the client's error where that is why the upstream did not answer.
func (c *conn) because(err error, client context.Context) error {
	if !c.sending.Load() {
		select {
		case sent := <-c.wrote:
			c.wrote <- sent
			var body *bodyError
			if errors.As(sent, &body) {
				return body
			}
		default:
		}
	}
	if client.Err() != nil {
		return errGone
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		if !c.spoke {
			return fmt.Errorf("closed the connection without an answer: %w", err)
		}
		return fmt.Errorf("closed the connection within the header of its answer: %w", err)
	}
	return fmt.Errorf("reading the answer: %w", err)
}
