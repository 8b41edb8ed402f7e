// Watch command: the changes of instances as they happen.

package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	// Between two tries to reach a front door; doubles from the first to the last.
	firstPause = time.Second
	lastPause  = 30 * time.Second
	// silence is how long a stream may be silent: a few heartbeats.
	silence = 4 * heartbeat
)

func watchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Shows the changes of instances as they happen",
		Long: `Shows each change of an instance as it happens, until it is interrupted. When the
connection is lost it comes back, and misses nothing; a change may be shown twice
then.`,
		Args: exactly(),
		RunE: calls(func(cmd *cobra.Command, c *client, _ []string) error {
			since, err := cmd.Flags().GetString("since")
			if err != nil {
				return err
			}
			w := &watching{cmd: cmd, client: c, since: since}
			return w.run(cmd.Context())
		}),
	}
	cmd.Flags().String("since", "", "Begin after the event with this id, rather than now")
	return cmd
}

// watching is a watch that comes back.
type watching struct {
	cmd    *cobra.Command
	client *client
	since  string
	pause  time.Duration
}

func (w *watching) run(ctx context.Context) error {
	for {
		err := w.once(ctx)
		var answer *answerError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errOutput):
			return err
		case errors.As(err, &answer) && answer.status == http.StatusBadRequest && w.since != "":
			fmt.Fprintln(w.cmd.ErrOrStderr(), "The store does not know the place of the last event; going on from now, without what was between")
			w.since = ""
		case errors.As(err, &answer) && answer.status < 500 && answer.status != http.StatusTooManyRequests:
			return err
		}
		w.pause = min(max(2*w.pause, firstPause), lastPause)
		if err != nil {
			fmt.Fprintf(w.cmd.ErrOrStderr(), "%v; coming back in %s\n", strings.ReplaceAll(err.Error(), "\n", " "), w.pause)
		}
		timer := time.NewTimer(w.pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// errOutput is that nobody reads what is shown.
var errOutput = errors.New("the changes cannot be written")

// once reads one stream to its end.
func (w *watching) once(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	header := http.Header{"Accept": {"text/event-stream, " + jsonAPI + ";q=0.5"}}
	if w.since != "" {
		header.Set("Last-Event-ID", w.since)
	}
	resp, err := w.client.send(ctx, http.MethodGet, "/tenancy/watch", nil, nil, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	// A front door that has died without a word is known by its silence.
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxBody)
	id, hasID, data := "", false, ""
	for lines.Scan() {
		quiet.Reset(silence)
		w.pause = 0
		line := lines.Text()
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "": // the end of an event
			if data != "" {
				if err := w.show(data); err != nil {
					return err
				}
			}
			if hasID {
				w.since = id
			}
			id, hasID, data = "", false, ""
		case field == "id":
			id, hasID = value, true
		case field == "data":
			data += value
		}
	}
	return lines.Err()
}

func (w *watching) show(data string) error {
	var change Change
	if err := json.Unmarshal([]byte(data), &change); err != nil {
		return fmt.Errorf("an event cannot be read: %w", err)
	}
	var err error
	if wantsJSON(w.cmd) {
		err = printLine(w.cmd, change)
	} else {
		name := change.Domain
		if name == "" {
			name = change.ID
		}
		line := strings.TrimSpace(fmt.Sprintf("%-8s %s %s %s", change.Type, name, change.State, change.Reason))
		_, err = fmt.Fprintln(w.cmd.OutOrStdout(), printable(line))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}
