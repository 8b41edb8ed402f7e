// Admin: calls to the admin endpoint of a Caddy.

package peer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// callTime bounds one call; a list of a million is not made by one.
const callTime = time.Minute

// adminClient keeps as many connections as a figure has callers.
var adminClient = &http.Client{
	Timeout:   callTime,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute},
}

// Call sends a request to the admin endpoint, and gives the answer's body. An answer that
// is no success is an error with its body.
func (r *Running) Call(ctx context.Context, method, path, contentType, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+Address(r.Admin)+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := adminClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	const limit = 16 << 20
	answer, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	if err != nil {
		return "", err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return "", fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	return string(answer), nil
}

// Metric reads one value of /metrics.
func (r *Running) Metric(ctx context.Context, name string) (float64, error) {
	text, err := r.Call(ctx, http.MethodGet, "/metrics", "", "")
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}
