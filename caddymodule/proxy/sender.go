// Sender: what is sent of a request with a body, in as few pieces as streaming allows.

package proxy

import (
	"sync"
	"time"
)

const (
	// gathered is how much waits for more of the same request.
	gathered = 4 << 10
	// headAlone is how long a header waits for its short body, which mostly has come with it.
	// Two segments cost the upstream and us more than one.
	headAlone = 2 * time.Millisecond
)

// sender gathers what net/http writes in small pieces. All is sent before the client is
// waited for, so that a body goes out as it comes in. It has a mutex because of its timer.
type sender struct {
	c *conn

	mu      sync.Mutex
	waiting bool // the header, for its body
	reading bool // somebody waits for the client: net/http looks for a body before it has sent a header
	err     error
	timer   *time.Timer
}

// Write implements io.Writer.
func (s *sender) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.c.whole.Len()+len(p) > gathered {
		s.flush()
	}
	if s.err == nil && len(p) > gathered {
		s.err = s.c.writeAll(p)
	} else if s.err == nil {
		if s.c.whole.Write(p); s.reading {
			s.flush()
		}
	}
	if s.err != nil {
		return 0, s.err
	}
	return len(p), nil
}

// WriteByte implements io.ByteWriter, lest net/http puts a buffer of its own around it.
func (s *sender) WriteByte(b byte) error {
	_, err := s.Write([]byte{b})
	return err
}

// Flush sends what there is. reading says that the client is waited for next.
func (s *sender) Flush(reading bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading = reading
	return s.flush()
}

// read ends the wait for the client.
func (s *sender) read() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading = false
}

func (s *sender) flush() error {
	if s.err == nil && s.c.whole.Len() > 0 {
		s.err = s.c.writeAll(s.c.whole.Bytes())
		s.c.whole.Reset()
	}
	return s.err
}

// waits lets the header wait for a body, not for long. It ends with the function that it gives.
func (s *sender) waits() (over func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = true
	if s.timer == nil {
		s.timer = time.AfterFunc(headAlone, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.waiting {
				_ = s.flush() // an error is kept
			}
		})
	} else {
		s.timer.Reset(headAlone)
	}
	return s.over
}

func (s *sender) over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = false
	s.timer.Stop()
}
