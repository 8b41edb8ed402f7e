// Client streams: answers that are read as they come.

package admin

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// stream calls the API for a long change, and tells its steps.
func (c *client) stream(ctx context.Context, method, path string, query url.Values, body any, step func(event), into any) error {
	resp, err := c.do(ctx, method, path, query, body, ndjson+", "+jsonAPI+";q=0.5")
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

// list gives each instance of the list to fn as it comes.
func (c *client) list(ctx context.Context, query url.Values, fn func(object) error) error {
	return items(ctx, c, "/instances", query, fn)
}

// items gives each item of a list to fn as it comes.
func items[T any](ctx context.Context, c *client, path string, query url.Values, fn func(T) error) error {
	return itemsAnd(ctx, c, path, query, fn, nil)
}

// itemsAnd is items, and reads what stands behind them as meta, unless that is nil.
func itemsAnd[T any](ctx context.Context, c *client, path string, query url.Values, fn func(T) error, meta any) error {
	resp, err := c.do(ctx, http.MethodGet, path, query, nil, jsonAPI+", application/json")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	for _, want := range []json.Token{json.Delim('{'), "data", json.Delim('[')} {
		got, err := dec.Token()
		if err != nil || got != want {
			return fmt.Errorf("the answer is not a list")
		}
	}
	for dec.More() {
		var item T
		if err := dec.Decode(&item); err != nil {
			return fmt.Errorf("the list ended early: %w", err)
		}
		if err := fn(item); err != nil {
			return err
		}
	}
	if err := behind(dec, meta); err != nil { // a list that was cut short must not look whole
		return fmt.Errorf("the list ended early: %w", err)
	}
	return nil
}

// behind reads an answer from the end of its list to its own.
func behind(dec *json.Decoder, meta any) error {
	if _, err := dec.Token(); err != nil { // the list's end
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var into any = new(json.RawMessage)
		if name == "meta" && meta != nil {
			into = meta
		}
		if err := dec.Decode(into); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil { // the answer's end
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return cmp.Or(err, errors.New("there is more behind it"))
	}
	return nil
}
