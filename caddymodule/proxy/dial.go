// Dial: making a connection.

package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// splitAddress is how an address is dialled: host:port, tcp/host:port, or unix//path.
func splitAddress(address string) (network, target string) {
	if before, after, ok := strings.Cut(address, "/"); ok {
		return before, after
	}
	return "tcp", address
}

// tcpKeepAlive is how often the kernel looks whether a silent peer is there.
const tcpKeepAlive = 30 * time.Second

// dial makes a connection. The place for it has been taken.
func (u *upstream) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, u.o.DialTimeout)
	defer cancel()
	dialer := net.Dialer{KeepAlive: tcpKeepAlive}
	raw, err := dialer.DialContext(ctx, u.network, u.target)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	c := &conn{raw: raw, rw: raw, up: u, made: u.o.Now(), wrote: make(chan error, 1), out: http.Request{Header: http.Header{}}}
	if sys, ok := raw.(syscall.Conn); ok {
		c.sys, err = sys.SyscallConn()
		if err != nil {
			raw.Close()
			return nil, fmt.Errorf("connecting: %w", err)
		}
	}
	if u.o.TLS != nil {
		config := u.o.TLS
		if config.ServerName == "" {
			config = config.Clone()
			config.ServerName = u.target
			if host, _, err := net.SplitHostPort(u.target); err == nil {
				config.ServerName = host
			}
		}
		secure := tls.Client(raw, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, fmt.Errorf("TLS handshake: %w", err)
		}
		c.rw, c.secure = secure, secure
	}
	c.br = bufio.NewReaderSize(c, readBuffer)
	c.look, c.turn = c.peek, c.takeTurn
	u.metrics.opened()
	return c, nil
}
