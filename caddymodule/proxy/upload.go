// Upload: a request with a body is sent beside the reading of its answer, which may come
// before the body is at its end.

package proxy

import (
	"errors"
	"io"
	"net/http"
	"syscall"
	"time"
)

const (
	// afterAnswer is how long a body may go on when its answer is at the end; as much as
	// net/http's transport gives it.
	afterAnswer = 50 * time.Millisecond
	// afterBreak is how long the answer may take of an upstream that takes no more of a body.
	afterBreak = time.Second
	// linger is how long net/http may read what is left of a body that nobody wants, so that
	// a client that is still sending gets to read the answer.
	linger = time.Second
	// endOfSending bounds the wait for a body's reader that does not heed time limits.
	endOfSending = time.Second
)

// send sends the request in a goroutine of its own.
func (c *conn) send() {
	c.sending.Store(true)
	c.sent.Store(0)
	go c.sendAll()
}

func (c *conn) sendAll() {
	c.sender.c, c.sender.err = c, nil
	err := c.out.Write(&c.sender)
	if err == nil {
		err = c.sender.Flush(false)
	}
	switch {
	case c.body.err != nil:
		c.sending.Store(false)
		c.wrote <- &bodyError{c.body.err}
		c.raw.Close() // the upstream sees that it is not whole
		return
	case err != nil:
		// What it said before it closed may still be read.
		_ = c.rw.SetReadDeadline(time.Now().Add(afterBreak))
		c.sent.Store(1)
	default:
		c.sent.Store(time.Now().UnixNano())
	}
	c.sending.Store(false)
	c.wrote <- err
}

// ended waits for the end of sending, a moment: the answer is at its end.
func (c *conn) ended() bool {
	if !c.sending.Load() {
		return true
	}
	timer := time.NewTimer(afterAnswer)
	defer timer.Stop()
	select {
	case err := <-c.wrote:
		c.wrote <- err
		return true
	case <-timer.C:
		return false
	}
}

// stopSending closes the connection and ends the goroutine, which may wait for the client.
func (c *conn) stopSending(w http.ResponseWriter) {
	c.raw.Close()
	if !c.body.whole.Load() {
		client := http.NewResponseController(w)
		if client.SetReadDeadline(time.Now()) == nil {
			defer func() { _ = client.SetReadDeadline(time.Now().Add(linger)) }()
		}
	}
	timer := time.NewTimer(endOfSending)
	defer timer.Stop()
	select {
	case <-c.wrote:
	case <-timer.C: // it ends when net/http closes the body
	}
}

// early is for an answer that comes before the body has been read. Else net/http would
// read the rest first, beside us. It must not read on for another request then: where that
// rest cannot be read, it would take it for one.
func early(w http.ResponseWriter) {
	if http.NewResponseController(w).EnableFullDuplex() == nil {
		w.Header()["Connection"] = []string{"close"}
	}
}

// bodyError is that of a body that the client has not sent as it should.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "reading the request's body: " + e.err.Error() }

// Unwrap is the cause.
func (e *bodyError) Unwrap() error { return e.err }

// status is what it says to the client, if it is still there.
func (e *bodyError) status() int {
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(e.err, &tooLong):
		return http.StatusRequestEntityTooLarge
	case timedOut(e.err):
		return http.StatusRequestTimeout
	case errors.Is(e.err, io.ErrUnexpectedEOF), errors.Is(e.err, syscall.ECONNRESET):
		return StatusClientClosed
	}
	return http.StatusBadRequest
}
