// Cast: programs that more than one figure measures, started once.

package figure

import (
	"context"

	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
)

// cast is what runs already.
type cast struct {
	stock *peer.Stock
	doors map[int]*peer.Door // by the number of tenants
}

// stockCaddy is the one stock Caddy of the run.
func (e *Env) stockCaddy(ctx context.Context) (*peer.Stock, error) {
	if e.cast.stock != nil {
		return e.cast.stock, nil
	}
	s, err := e.StartStock(ctx, e.Upstream.HTTP)
	if err == nil {
		e.cast.stock = s
	}
	return s, err
}

// door is the one Gatehouse with n tenants.
func (e *Env) door(ctx context.Context, n int) (*peer.Door, error) {
	if d := e.cast.doors[n]; d != nil {
		return d, nil
	}
	e.Say("starting Gatehouse with %s", tenantsOf(n))
	d, err := e.StartDoor(ctx, e.Upstream.HTTP, n)
	if err != nil {
		return nil, err
	}
	if e.cast.doors == nil {
		e.cast.doors = map[int]*peer.Door{}
	}
	e.cast.doors[n] = d
	return d, nil
}

// Dismiss stops what figures have started: at the end, and after a figure that has failed,
// since nobody knows in what state that has left it.
func (e *Env) Dismiss() {
	if e.cast.stock != nil {
		e.cast.stock.Stop()
	}
	for _, d := range e.cast.doors {
		d.Stop()
	}
	e.cast = cast{}
}
