// Key pair: a certificate in two files, read again when they change.

package admin

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// lookEvery is the time between two looks at the files.
const lookEvery = 10 * time.Second

// keyPair gives the certificate of two files.
type keyPair struct {
	certificate, key string
	now              func() time.Time
	log              *zap.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	stamp  string
	looked time.Time
}

// config reads the files for the first time.
func (k *keyPair) config() (*tls.Config, error) {
	if err := k.read(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return k.current(), nil
		},
	}, nil
}

// current is the pair that was read last. Files that cannot be read, as while
// they are being replaced, leave it as it is.
func (k *keyPair) current() *tls.Certificate {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.now(); now.Sub(k.looked) >= lookEvery {
		if err := k.readLocked(); err != nil {
			k.log.Error("reading the API's certificate again; the one before is used", zap.Error(err))
		}
	}
	return k.pair
}

func (k *keyPair) read() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.readLocked()
}

func (k *keyPair) readLocked() error {
	k.looked = k.now()
	stamp := ""
	for _, name := range []string{k.certificate, k.key} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		stamp += fmt.Sprintf("%d/%d ", info.ModTime().UnixNano(), info.Size())
	}
	if stamp == k.stamp {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(k.certificate, k.key)
	if err != nil {
		return err
	}
	k.pair, k.stamp = &pair, stamp
	return nil
}
