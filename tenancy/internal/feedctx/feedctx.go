// Package feedctx carries a cancellable context past kivik's iterator of a
// changes feed, to the driver behind it.
//
// The iterator of kivik 4.5 closes itself from a goroutine of its own as soon as
// its context ends, and writes its state then without regard to who is reading a
// row (ScanDoc and Metadata take no lock). So it is given a context that never
// ends, and the driver, which does the waiting, finds the real one inside: a feed
// that is cancelled ends by the driver's error, in the reader's own goroutine.
package feedctx

import "context"

type key struct{}

// Seal hides the end of ctx from everybody but Of.
func Seal(ctx context.Context) context.Context {
	return context.WithValue(context.WithoutCancel(ctx), key{}, ctx)
}

// Of is the context inside a sealed one; another is returned as it is.
func Of(ctx context.Context) context.Context {
	if inside, ok := ctx.Value(key{}).(context.Context); ok {
		return inside
	}
	return ctx
}
