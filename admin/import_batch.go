// Import batch: the items of a file, a request's worth at a time.

package admin

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// lineResult is what became of one line of a file.
type lineResult struct {
	Line int `json:"line"`
	itemResult
}

// run sends all items that are not done.
func (i *importing) run(src source) error {
	var batch []item
	size := 0
	for {
		it, err := src.next()
		if errors.Is(err, io.EOF) {
			return i.send(batch)
		}
		if err != nil {
			return errors.Join(i.send(batch), err)
		}
		if i.journal.has(it.number) {
			continue
		}
		if it.err != "" {
			if err := i.take(it, itemResult{Outcome: outcomeFailed, Error: it.err}); err != nil {
				return err
			}
			continue
		}
		if len(batch) == maxItems || size+len(it.body)+1 > maxBody {
			if err := i.send(batch); err != nil {
				return err
			}
			batch, size = batch[:0], 0
		}
		batch = append(batch, it)
		size += len(it.body) + 1
	}
}

// send imports some items and takes each result as it comes.
func (i *importing) send(batch []item) error {
	if len(batch) == 0 {
		return nil
	}
	var body []byte
	for _, it := range batch {
		body = append(append(body, it.body...), '\n')
	}
	query := url.Values{"Concurrency": {strconv.Itoa(i.parallel)}}
	header := http.Header{"Content-Type": {ndjson}, "Accept": {ndjson + ", " + jsonAPI + ";q=0.5"}}
	resp, err := i.client.send(i.cmd.Context(), http.MethodPost, "/instances/import", query, body, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 4*maxBody)
	seen := make([]bool, len(batch))
	left, down := len(batch), ""
	for left > 0 && lines.Scan() {
		var r itemResult
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil || r.Index < 0 || r.Index >= len(batch) || seen[r.Index] {
			return errors.New("the answer to an import cannot be read")
		}
		seen[r.Index] = true
		left--
		if r.Status == http.StatusServiceUnavailable {
			down = r.Error
		}
		if err := i.take(batch[r.Index], r); err != nil {
			return err
		}
	}
	if down != "" {
		return &answerError{status: http.StatusServiceUnavailable, text: down, hint: "Run the same command again: it goes on."}
	}
	if left > 0 {
		return &answerError{
			status: http.StatusServiceUnavailable, text: "the front door ended in the middle of the import",
			hint: "Run the same command again: it goes on.",
		}
	}
	return nil
}

// take notes what became of an item.
func (i *importing) take(it item, r itemResult) error {
	i.counts[r.Outcome]++
	result := lineResult{it.line, r}
	if i.report != nil {
		raw, err := json.Marshal(result)
		if err != nil {
			return err
		}
		if _, err := i.report.Write(append(raw, '\n')); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	i.meter.clear()
	switch {
	case wantsJSON(i.cmd):
		if err := printLine(i.cmd, result); err != nil {
			return err
		}
	case r.Outcome == outcomeFailed && i.shown < maxShown:
		i.shown++
		fmt.Fprintf(i.cmd.ErrOrStderr(), "line %d: %s: %s\n", it.line, printable(r.Domain), printable(r.Error))
	}
	if !wantsJSON(i.cmd) {
		for _, slug := range r.Failed {
			fmt.Fprintf(i.cmd.ErrOrStderr(), "line %d: %s: application %s has not been installed\n", it.line, printable(r.Domain), printable(slug))
		}
	}
	defer i.meter.step(1)
	if r.Outcome == outcomeFailed {
		return nil
	}
	return i.journal.finish(it.number)
}
