// Client: how the command speaks to the API of a running front door.

package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// client calls the API. It asks for a passphrase when it has to.
type client struct {
	origin string
	http   *http.Client
	ask    func() (string, error) // for the administrator's passphrase
	secret string
}

// answerTime bounds the wait for an answer's beginning; longer than the server's
// own limit of a change.
const answerTime = workTime + 30*time.Second

// newClient makes a client of an admin address as Caddy writes them:
// localhost:2019, unix//run/gatehouse.sock.
func newClient(address string, ask func() (string, error)) (*client, error) {
	parsed, err := caddy.ParseNetworkAddress(address)
	if err != nil || parsed.PortRangeSize() > 1 {
		return nil, usagef("the address %q is not one, as in localhost:2019 or unix//run/gatehouse.sock", address)
	}
	c := &client{origin: "http://" + parsed.JoinHostPort(0), ask: ask}
	target := parsed.JoinHostPort(0)
	if parsed.IsUnixNetwork() {
		c.origin = "http://127.0.0.1" // a socket has no host, and HTTP wants one
		target, _, _ = strings.Cut(parsed.Host, "|")
	}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: 5 * time.Second}
			return d.DialContext(ctx, parsed.Network, target)
		},
		ResponseHeaderTimeout: answerTime,
	}}
	for _, variable := range []string{"COZY_ADMIN_PASSPHRASE", "COZY_ADMIN_PASSWORD"} {
		if c.secret == "" {
			c.secret = os.Getenv(variable)
		}
	}
	return c, nil
}

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

// do calls the API once, or twice where a passphrase has to be asked for. The
// caller closes the body.
func (c *client) do(ctx context.Context, method, path string, query url.Values, body any, accept string) (*http.Response, error) {
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	target := c.origin + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	for {
		req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Origin", c.origin)
		req.Header.Set("Accept", accept)
		if raw != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		if c.secret != "" {
			req.SetBasicAuth("", c.secret)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			return nil, unreachable(c.origin, err)
		}
		if resp.StatusCode == http.StatusUnauthorized && c.secret == "" && c.ask != nil {
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
		e.hint = "Set COZY_ADMIN_PASSPHRASE to the administrator's passphrase."
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

// stream calls the API for a long change, and tells its steps.
func (c *client) stream(ctx context.Context, method, path string, body any, step func(event), into any) error {
	resp, err := c.do(ctx, method, path, nil, body, ndjson+", "+jsonAPI+";q=0.5")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 4*maxBody)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("the answer cannot be read: %w", err)
		}
		switch {
		case e.Status >= 400:
			return errorOf(e.Status, e.Body)
		case e.Status != 0:
			if into == nil || len(e.Body) == 0 {
				return nil
			}
			return json.Unmarshal(e.Body, into)
		default:
			step(e)
		}
	}
	if err := lines.Err(); err != nil {
		return unreachable(c.origin, err)
	}
	return &answerError{
		status: http.StatusServiceUnavailable,
		text:   "the front door ended in the middle of the change",
		hint:   "Run the same command again: it finishes what was begun.",
	}
}

// instanceDocument is the answer with one instance.
type instanceDocument struct {
	Data object `json:"data"`
}

// list gives each instance of the list to fn as it comes.
func (c *client) list(ctx context.Context, query url.Values, fn func(object) error) error {
	resp, err := c.do(ctx, http.MethodGet, "/instances", query, nil, jsonAPI)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	for _, want := range []json.Token{json.Delim('{'), "data", json.Delim('[')} {
		got, err := dec.Token()
		if err != nil || got != want {
			return fmt.Errorf("the answer is not a list of instances")
		}
	}
	for dec.More() {
		var o object
		if err := dec.Decode(&o); err != nil {
			return fmt.Errorf("the list ended early: %w", err)
		}
		if err := fn(o); err != nil {
			return err
		}
	}
	for { // to the end, since a list that was cut short must not look whole
		_, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the list ended early: %w", err)
		}
	}
}
