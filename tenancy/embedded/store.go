// Store: the file's life, from its opening at first use to its close.

package embedded

import (
	"context"
	"encoding/hex"
	"io"
	"sync"

	kivik "github.com/go-kivik/kivik/v4"
	"go.etcd.io/bbolt"
)

// Store is one bbolt file, and what this process knows about it. It may be used
// by many goroutines. Make it with New, end it with Close.
type Store struct {
	path   string
	config config
	wakes  wakes
	stop   chan struct{} // closed by Close: ends waiting feeds
	queue  chan *write   // to the writer, while the file is open

	mu      sync.Mutex // guards the fields below
	bolt    *bbolt.DB  // nil until the first use
	opening *opening   // an attempt under way, shared by all who wait for it
	closed  bool
	active  sync.WaitGroup // operations that use bolt; Add only under mu, while not closed

	writer   sync.WaitGroup
	close    sync.Once
	closeErr error
	random   sync.Mutex // config.random is read by one goroutine at a time
}

// opening is one attempt to open the file. Whoever comes while it runs waits for
// its result instead of for the lock: the wait stays one lock timeout, however
// many first users there are.
type opening struct {
	done chan struct{}
	err  error // set before done is closed
}

// New names the file of a store. It opens nothing: the file, and its folder, are
// made at first use. An open that fails is an error of that use, with status 503,
// and the next use tries again.
func New(path string, opts ...Option) *Store {
	s := &Store{
		path:   path,
		config: newConfig(),
		stop:   make(chan struct{}),
		queue:  make(chan *write, maxGroup),
	}
	for _, o := range opts {
		if o != nil {
			o.Apply(&s.config)
		}
	}
	return s
}

// Client gives a kivik client over the store. Each call makes a new one; closing
// it leaves the store open.
func (s *Store) Client() *kivik.Client {
	client, err := kivik.New(DriverName, s.path, storeOption{s})
	if err != nil {
		panic("embedded: the driver refused its own store: " + err.Error()) // NewClient has no such path
	}
	return client
}

// Close ends waiting feeds, waits for running operations, writes included, and
// closes the file. A use after it gives an error that is ErrClosed. Further
// calls wait for the first, and give its result.
func (s *Store) Close() error {
	s.close.Do(func() {
		s.mu.Lock()
		s.closed = true
		attempt := s.opening
		s.mu.Unlock()
		close(s.stop)
		if attempt != nil {
			<-attempt.done
		}
		s.active.Wait()
		if s.bolt == nil { // no one opens it any more
			return
		}
		close(s.queue)
		s.writer.Wait()
		s.closeErr = s.bolt.Close()
	})
	return s.closeErr
}

// enter gives the open file, opening it where needed; the caller calls leave
// when done with it. Once the file is open it does not wait.
func (s *Store) enter(ctx context.Context) (*bbolt.DB, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, s.errClosed()
		}
		if s.bolt != nil {
			s.active.Add(1)
			s.mu.Unlock()
			return s.bolt, nil
		}
		attempt := s.opening
		if attempt == nil {
			attempt = &opening{done: make(chan struct{})}
			s.opening = attempt
			// In a goroutine of its own, since a caller may give up before the
			// lock's time limit; Close waits for it.
			go s.open(attempt)
		}
		s.mu.Unlock()
		select {
		case <-attempt.done:
			if attempt.err != nil {
				return nil, attempt.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// leave ends what enter began.
func (s *Store) leave() { s.active.Done() }

// open makes one attempt, and starts the writer when it succeeds.
func (s *Store) open(attempt *opening) {
	bolt, err := openFile(s.path, s.config.lockTimeout)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening = nil
	attempt.err = err
	if err == nil {
		s.bolt = bolt
		s.writer.Go(func() { s.writeLoop(bolt) })
	}
	close(attempt.done)
}

// read runs fn on a database within one transaction; 404 where there is no such
// database. What fn takes from the database is valid until it returns.
func (s *Store) read(ctx context.Context, name string, fn func(*database) error) error {
	bolt, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	return bolt.View(func(tx *bbolt.Tx) error {
		d, err := openDatabase(tx, name)
		if err != nil {
			return err
		}
		return fn(d)
	})
}

// randomBytes fills 16 bytes: a uuid, or a document's id.
func (s *Store) randomBytes() (b [16]byte, err error) {
	s.random.Lock()
	defer s.random.Unlock()
	_, err = io.ReadFull(s.config.random, b[:])
	return b, err
}

// newID gives a document id of 32 hexadecimal digits, as CouchDB's are.
func (s *Store) newID() (string, error) {
	b, err := s.randomBytes()
	return hex.EncodeToString(b[:]), err
}

func (s *Store) errClosed() error {
	return unavailable("the store "+s.path+" is closed", ErrClosed)
}
