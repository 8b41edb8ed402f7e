// Local: further methods of this node's directory, as lifecycle sees it.

package caddymodule

import "time"

func (l localDirectory) Len() int { return l.rt.dir.Len() }

func (l localDirectory) Loaded() bool { return l.rt.dir.Loaded() }

func (l localDirectory) Quarantine(key string, until time.Time) { l.rt.dir.Quarantine(key, until) }
