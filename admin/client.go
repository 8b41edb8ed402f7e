// Client: how the command speaks to the API of a running front door.

package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// client calls the API. It asks for a passphrase when it has to.
type client struct {
	origin string
	http   *http.Client
	ask    func() (string, error) // for the administrator's passphrase
	secret string                 // the passphrase
	token  string                 // goes before the passphrase
}

// answerTime bounds the wait for an answer's beginning; longer than the server's
// own limit of a change.
const answerTime = workTime + 30*time.Second

// answerError is an error that the API answered, or its absence.
type answerError struct {
	status int
	text   string
	hint   string
}

func (e *answerError) Error() string {
	if e.hint == "" {
		return e.text
	}
	return e.text + "\n" + e.hint
}

// do calls the API with a JSON body, or none. The caller closes the answer's body.
func (c *client) do(ctx context.Context, method, path string, query url.Values, body any, accept string) (*http.Response, error) {
	var raw []byte
	header := http.Header{"Accept": {accept}}
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return nil, err
		}
		header.Set("Content-Type", "application/json")
	}
	return c.send(ctx, method, path, query, raw, header)
}

// send calls the API once, or twice where a passphrase has to be asked for. The
// caller closes the answer's body.
func (c *client) send(ctx context.Context, method, path string, query url.Values, body []byte, header http.Header) (*http.Response, error) {
	target := c.origin + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	for {
		req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header = header.Clone()
		req.Header.Set("Origin", c.origin)
		switch {
		case c.token != "":
			req.Header.Set("Authorization", "Bearer "+c.token)
		case c.secret != "":
			req.SetBasicAuth("", c.secret)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			return nil, unreachable(c.origin, err)
		}
		if resp.StatusCode == http.StatusUnauthorized && c.secret == "" && c.token == "" && c.ask != nil {
			resp.Body.Close()
			if c.secret, err = c.ask(); err != nil {
				return nil, err
			}
			continue
		}
		if resp.StatusCode >= 400 {
			defer resp.Body.Close()
			text, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody))
			return nil, errorOf(resp.StatusCode, text)
		}
		return resp, nil
	}
}

// unreachable says that there is nobody, rather than what the socket said.
func unreachable(origin string, err error) error {
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted; a change that has begun goes on")
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return &answerError{
			status: http.StatusServiceUnavailable,
			text:   fmt.Sprintf("no front door answers at %s: %v", strings.TrimPrefix(origin, "http://"), op.Err),
			hint:   "Start one (gatehouse run), or say where it is with --address.",
		}
	}
	return &answerError{status: http.StatusServiceUnavailable, text: err.Error()}
}

// errorOf reads an error of JSON:API, or Caddy's own.
func errorOf(status int, body []byte) error {
	e := &answerError{status: status, text: strings.TrimSpace(string(body))}
	var doc errorDocument
	var plain struct {
		Error string `json:"error"`
	}
	switch {
	case json.Unmarshal(body, &doc) == nil && len(doc.Errors) > 0:
		e.text = doc.Errors[0].Detail
	case json.Unmarshal(body, &plain) == nil && plain.Error != "":
		e.text = plain.Error
	case e.text == "":
		e.text = http.StatusText(status)
	}
	switch status {
	case http.StatusUnauthorized:
		e.hint = "Set COZY_ADMIN_PASSPHRASE to the administrator's passphrase, or GATEHOUSE_API_TOKEN to a token."
	case http.StatusServiceUnavailable:
		e.hint = "See `gatehouse instances status`, and try again."
	case http.StatusNotFound:
		if plain.Error != "" || len(doc.Errors) == 0 {
			e.hint = "Is this the admin address of a Caddy with Gatehouse in it?"
		}
	}
	return e
}

// json calls the API and reads the answer.
func (c *client) json(ctx context.Context, method, path string, query url.Values, body, into any) error {
	resp, err := c.do(ctx, method, path, query, body, jsonAPI+", application/json")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	return nil
}

// instanceDocument is the answer with one instance.
type instanceDocument struct {
	Data object `json:"data"`
}
