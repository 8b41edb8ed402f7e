// HTTP/2: some requests at a time on a connection, which is one tenant's, as a browser's is.

package load

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// window is how much a server may send before it hears from us; a WINDOW_UPDATE for each
// answer would be work that no client does.
const window = 1 << 28

// wave is a connection of HTTP/2. One goroutine reads and writes, as requests are small.
type wave struct {
	*client
	framer *http2.Framer
	out    *bufio.Writer
	block  []byte // the header of each request: it never changes, since nothing of it is indexed
	begun  map[uint32]time.Time
	next   uint32
	unread int // bytes of the window that are used
}

func http2Load(_ context.Context, c *client, conn net.Conn, host string) error {
	in := bufio.NewReaderSize(conn, 64<<10)
	w := &wave{client: c, out: bufio.NewWriterSize(conn, 16<<10), block: headerBlock(host), begun: map[uint32]time.Time{}, next: 1}
	w.framer = http2.NewFramer(w.out, in)
	if err := w.greet(); err != nil {
		return err
	}
	for range c.plan.Streams {
		if err := w.ask(); err != nil {
			return err
		}
	}
	for {
		if in.Buffered() == 0 {
			if err := w.out.Flush(); err != nil {
				return gone(err)
			}
		}
		frame, err := w.framer.ReadFrame()
		if err != nil {
			return gone(err)
		}
		if err := w.take(frame); err != nil {
			return err
		}
	}
}

// greet is the client's preface (RFC 9113, section 3.4). A header table of size 0 lets each
// answer's header be read by itself.
func (w *wave) greet() error {
	if _, err := w.out.WriteString(http2.ClientPreface); err != nil {
		return err
	}
	err := w.framer.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0},
		http2.Setting{ID: http2.SettingEnablePush, Val: 0}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	if err != nil {
		return err
	}
	return w.framer.WriteWindowUpdate(0, window)
}

// ask sends a request on a new stream.
func (w *wave) ask() error {
	id := w.next
	w.next += 2
	w.begun[id] = time.Now()
	return w.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.block, EndStream: true, EndHeaders: true})
}

// take does what a frame asks for.
func (w *wave) take(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.HeadersFrame:
		if !ok(f.HeaderBlockFragment()) {
			w.fail(fmt.Errorf("an answer whose status is not 200: % x", f.HeaderBlockFragment()))
			delete(w.begun, f.StreamID) // it counts as failed, and no more
		}
		return w.ended(f.StreamID, f.StreamEnded())
	case *http2.DataFrame:
		if w.unread += int(f.Length); w.unread > window/2 {
			if err := w.framer.WriteWindowUpdate(0, uint32(w.unread)); err != nil {
				return err
			}
			w.unread = 0
		}
		return w.ended(f.StreamID, f.StreamEnded())
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		return w.framer.WriteSettingsAck()
	case *http2.PingFrame:
		if f.IsAck() {
			return nil
		}
		return w.framer.WritePing(true, f.Data)
	case *http2.GoAwayFrame:
		if f.ErrCode != http2.ErrCodeNo {
			return fmt.Errorf("the server ends the connection: %s", f.ErrCode)
		}
		return errClosed
	case *http2.RSTStreamFrame:
		return fmt.Errorf("the server ends a stream: %s", f.ErrCode)
	default:
		return nil
	}
}

// ended counts an answer that is whole, and asks anew.
func (w *wave) ended(id uint32, end bool) error {
	if !end {
		return nil
	}
	if begun, ok := w.begun[id]; ok {
		w.done(time.Since(begun))
		delete(w.begun, id)
	}
	return w.ask()
}

// ok tells whether a header begins with :status 200, which all servers write as the field
// of that number in the static table (RFC 7541, appendix A), behind changes of the table's size.
func ok(block []byte) bool {
	const sizeMask, size, status200 = 0xe0, 0x20, 0x88
	for len(block) > 0 && block[0]&sizeMask == size {
		block = block[1:]
	}
	return len(block) > 0 && block[0] == status200
}

func headerBlock(host string) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSizeLimit(0)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", host}, {":path", "/hello"}, {"user-agent", "bench"}, {"accept", "text/html"}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true}) // a buffer takes all
	}
	return block.Bytes()
}
