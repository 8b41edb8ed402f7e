// Origin: who asked for a change, for the audit.

package lifecycle

import "context"

// Origin is who asked for a change, and from where.
type Origin struct {
	Actor   string // the name of a token, "admin", or "owner"
	Address string // the client's address, without a port; or "unix"
	Via     string // admin, api, onboarding, repair
}

type originKey struct{}

// WithOrigin has the changes that are made with ctx bear the origin.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf is the origin of the changes that are made with ctx.
func OriginOf(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}
