// Listener: the API on an address of its own, for whoever may change instances
// and need not own Caddy's whole configuration.

package admin

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/net/netutil"
)

const (
	// maxConns bounds the connections of a listener.
	maxConns = 512
	// stopTime bounds the wait for answers under way when a listener stops.
	stopTime = 10 * time.Second
	// headerTime bounds the reading of a request's head, bodyTime of the whole.
	headerTime = 5 * time.Second
	bodyTime   = 30 * time.Second
	// idleTime is how long a connection without requests is kept.
	idleTime = 2 * time.Minute
	// maxHeader bounds the head of a request, in bytes.
	maxHeader = 64 << 10
)

// Listener is the instances API on an address of its own. It never answers
// without a login: with the passphrase of basic_auth, or with a token, which is
// all that it takes where no basic_auth is configured.
type Listener struct {
	// Where to listen, as Caddy writes addresses: localhost:6060, :6060,
	// unix//run/gatehouse.sock.
	Address string `json:"address,omitempty"`

	// The bcrypt hash of the administrator's passphrase; usually a placeholder, as
	// in {env.GATEHOUSE_API_HASH}. The user name is not looked at. Default: only
	// tokens are taken.
	BasicAuth string `json:"basic_auth,omitempty"`

	// The files of a certificate and its key, in PEM. They are read again when they
	// change. Default: HTTP without TLS, which is for a loopback address or behind
	// a proxy.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`

	address caddy.NetworkAddress
	guard   *guard

	mu     sync.Mutex
	server *http.Server
	at     net.Addr
	quit   chan struct{}
	done   chan struct{}
}

// Provision reads the address and counts failed logins in the configuration's
// registry. It opens nothing.
func (l *Listener) Provision(ctx caddy.Context) error {
	return l.provision(ctx.GetMetricsRegistry(), time.Now)
}

func (l *Listener) provision(registry *prometheus.Registry, now func() time.Time) error {
	repl := caddy.NewReplacer()
	var err error
	if l.address, err = caddy.ParseNetworkAddress(repl.ReplaceAll(l.Address, "")); err != nil {
		return fmt.Errorf("address: %w", err)
	}
	l.Certificate, l.Key = repl.ReplaceAll(l.Certificate, ""), repl.ReplaceAll(l.Key, "")
	// A placeholder without a value does not open the door.
	l.guard = &guard{via: viaAPI, now: now, hash: func(App) (string, bool) {
		return caddy.NewReplacer().ReplaceAll(l.BasicAuth, ""), true
	}}
	l.guard.init()
	if registry == nil {
		return nil
	}
	err = registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: "gatehouse", Name: "api_login_failures_total",
		Help: "Failed logins at the API's own listener.",
	}, func() float64 { return float64(l.Failures()) }))
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		return nil
	}
	return err
}

// Validate refuses what only a person can put right.
func (l *Listener) Validate() error {
	if l.Address == "" {
		return errors.New("address: is missing, as in localhost:6060")
	}
	if l.address.PortRangeSize() > 1 {
		return errors.New("address: has more than one port")
	}
	if !l.address.IsUnixNetwork() && l.address.Network != "tcp" && l.address.Network != "tcp4" && l.address.Network != "tcp6" {
		return fmt.Errorf("address: the network %s is not one for HTTP", l.address.Network)
	}
	if (l.Certificate == "") != (l.Key == "") {
		return errors.New("tls: has a certificate without a key, or a key without a certificate")
	}
	if hash := l.BasicAuth; hash != "" && !strings.Contains(hash, "{") {
		if _, err := bcrypt.Cost([]byte(hash)); err != nil {
			return errors.New("basic_auth: is not a bcrypt hash; make one with `gatehouse hash-password`")
		}
	}
	return nil
}

// Start listens and answers, and returns when it listens. app gives the tenancy
// app at each request; nil while there is none. On a reload the new listener
// starts before the old one stops, and both have the same socket.
func (l *Listener) Start(app func() App, logger *zap.Logger) error {
	server := &http.Server{
		ReadHeaderTimeout: headerTime, ReadTimeout: bodyTime, IdleTimeout: idleTime,
		WriteTimeout:   workTime + writeTime, // long answers move it on
		MaxHeaderBytes: maxHeader,
		ErrorLog:       stdLog(logger),
	}
	if l.Certificate != "" {
		pair := &keyPair{certificate: l.Certificate, key: l.Key, now: l.guard.now, log: logger}
		var err error
		if server.TLSConfig, err = pair.config(); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
	} else if !l.address.IsUnixNetwork() && !loopback(l.address.Host) {
		logger.Warn("the API listens without TLS; passphrases and tokens can be read on the way to it",
			zap.String("address", l.address.String()))
	}
	ln, err := l.address.Listen(context.Background(), 0, net.ListenConfig{})
	if err != nil {
		return fmt.Errorf("listening on %s: %w", l.address, err)
	}
	listener, ok := ln.(net.Listener)
	if !ok {
		return fmt.Errorf("listening on %s: it is not for HTTP", l.address)
	}
	l.quit, l.done = make(chan struct{}), make(chan struct{})
	h := newHandler(app, logger, l.guard)
	h.secretQueries, h.quit = true, l.quit
	server.Handler = ownOrigin(h)
	l.mu.Lock()
	l.server, l.at = server, listener.Addr()
	l.mu.Unlock()
	bounded, secure := netutil.LimitListener(listener, maxConns), l.Certificate != ""
	done := l.done
	go func() {
		defer close(done)
		serve := server.Serve
		if secure {
			serve = func(ln net.Listener) error { return server.ServeTLS(ln, "", "") }
		}
		if err := serve(bounded); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("the API's listener has ended", zap.Error(err))
		}
	}()
	logger.Info("the API listens", zap.Stringer("address", listener.Addr()), zap.Bool("tls", secure))
	return nil
}

// ownOrigin refuses changes that a browser was led to by another site, since a
// browser adds a password that it remembers.
func ownOrigin(h *handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := protection.Check(r); err != nil {
			h.fail(w, r, &apiError{status: http.StatusForbidden, title: "Forbidden", detail: "a page of another site asks for this"})
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Stop ends streams, waits a little for answers under way, and ends what is left.
// Changes go on.
func (l *Listener) Stop() error {
	l.mu.Lock()
	server := l.server
	l.server = nil
	l.mu.Unlock()
	if server == nil {
		return nil
	}
	close(l.quit)
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-l.done
	return err
}

// Addr is where it listens; nil before Start.
func (l *Listener) Addr() net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

// Failures counts the failed logins since this configuration was loaded.
func (l *Listener) Failures() int64 { return l.guard.failures.Load() }

func loopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// stdLog takes what net/http has to say: of connections, never of a request's
// query.
func stdLog(logger *zap.Logger) *log.Logger {
	std, err := zap.NewStdLogAt(logger, zap.DebugLevel)
	if err != nil { // there is no such error for this level
		return zap.NewStdLog(zap.NewNop())
	}
	return std
}

// Interface guards
var (
	_ caddy.Provisioner = (*Listener)(nil)
	_ caddy.Validator   = (*Listener)(nil)
)
