// Probe: when a proxy's answer for one host changes.

package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// probeEvery is the pause between two questions, and so how exact the time is.
const probeEvery = time.Millisecond

// Until asks for one host until the answer has a status, and gives the time at which that
// answer had come.
func Until(ctx context.Context, address, host string, status int) (time.Time, error) {
	for {
		at, err := until(ctx, address, host, status)
		if err == nil || !errors.Is(err, errClosed) || ctx.Err() != nil {
			return at, err
		}
	}
}

func until(ctx context.Context, address, host string, status int) (time.Time, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return time.Time{}, err
	}
	defer conn.Close()
	if limit, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(limit) // it fails on a closed connection alone
	}
	a := answers{conn: conn, buf: make([]byte, answerLimit)}
	request := []byte("GET /hello HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		if _, err := conn.Write(request); err != nil {
			return time.Time{}, gone(err)
		}
		got, closes, err := a.next()
		switch {
		case err != nil:
			return time.Time{}, err
		case got == status:
			return time.Now(), nil
		case closes:
			return time.Time{}, errClosed
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%s is still answered with %d: %w", host, got, ctx.Err())
		}
	}
}
