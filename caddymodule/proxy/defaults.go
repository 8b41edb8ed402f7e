// Defaults of the options.

package proxy

import (
	"cmp"
	"math/rand/v2"
	"time"
)

const (
	defaultDial     = 3 * time.Second
	defaultResponse = 5 * time.Minute
	defaultIdle     = 10 * time.Minute
	defaultKeep     = 2 * time.Minute
	defaultAge      = 15 * time.Minute
	defaultFail     = 10 * time.Second
	defaultMaxIdle  = 128
	defaultMaxConns = 4096
)

func (o *Options) defaults() {
	o.DialTimeout = cmp.Or(o.DialTimeout, defaultDial)
	o.ResponseHeaderTimeout = cmp.Or(o.ResponseHeaderTimeout, defaultResponse)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, defaultIdle)
	o.KeepAlive = cmp.Or(o.KeepAlive, defaultKeep)
	o.MaxAge = cmp.Or(o.MaxAge, defaultAge)
	o.MaxIdle = cmp.Or(o.MaxIdle, defaultMaxIdle)
	o.MaxConns = cmp.Or(o.MaxConns, defaultMaxConns)
	o.FailDuration = cmp.Or(o.FailDuration, defaultFail)
	o.MaxFails = cmp.Or(o.MaxFails, 1)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Pick == nil {
		o.Pick = rand.IntN
	}
}
