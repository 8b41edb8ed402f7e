// Fetch: a tarball on its way into the files, counted, summed and timed.

package apps

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/files"
)

// progressStep is how many bytes are between two reports.
const progressStep = 256 << 10

// fetch writes an app's files: all of them, or none.
func (in *Installer) fetch(ctx context.Context, inst files.Instance, app files.App, r *release, progress func(done, total int64)) error {
	w, err := in.files.CreateApp(ctx, inst, app)
	if err != nil {
		return err
	}
	err = in.download(ctx, w, r, progress)
	if err == nil {
		err = w.Commit(ctx)
	}
	if err == nil {
		return nil
	}
	if aborted := w.Abort(ctx); aborted != nil {
		// The first error says more; what is left is cleared by the next try.
		in.log.Warn("an app that failed has left files", zap.String("domain", inst.Domain), zap.String("app", app.Slug), zap.Error(aborted))
	}
	return err
}

// download streams the tarball into w, and compares its checksum at the end.
func (in *Installer) download(ctx context.Context, w files.AppWriter, r *release, progress func(done, total int64)) error {
	ctx, cancelTime := context.WithTimeoutCause(ctx, in.limits.Download, fmt.Errorf("the tarball %w: more than %v", ErrSlow, in.limits.Download))
	defer cancelTime()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resp, err := in.client.get(ctx, r.registry, r.tarball, "application/gzip, application/octet-stream, */*")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers with status %d", place(r.tarball), resp.StatusCode)
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	s := &stream{
		ctx: ctx, body: resp.Body, sum: sha256.New(), limit: in.limits.Tarball, total: r.size(), progress: progress,
		idle: in.limits.Idle, stalled: func() {
			cancel(fmt.Errorf("the tarball %w: not a byte in %v", ErrSlow, in.limits.Idle))
		},
	}
	if resp.ContentLength > 0 {
		s.total = resp.ContentLength
	}
	progress(0, s.total)
	unpacked := in.unpack(ctx, s, r.TarPrefix, w)
	if unpacked != nil && !errors.Is(unpacked, ErrTarball) {
		return unpacked
	}
	// To its end, so that what is wrong with it can be told from a transfer that
	// went wrong.
	if _, err := io.Copy(io.Discard, s); err != nil {
		return err
	}
	if hex.EncodeToString(s.sum.Sum(nil)) != r.SHA256 {
		return ErrChecksum
	}
	if unpacked != nil {
		return unpacked
	}
	progress(s.done, s.total)
	return nil
}

// stream is the body of a tarball. An error of its own stays the error, whatever
// is made of it on the way through decompression.
type stream struct {
	ctx      context.Context
	body     io.Reader
	sum      hash.Hash
	done     int64
	reported int64
	limit    int64
	total    int64
	progress func(done, total int64)
	idle     time.Duration
	stalled  func()
	err      error
}

func (s *stream) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	// The clock runs while bytes are waited for, not while they are written.
	timer := time.AfterFunc(s.idle, s.stalled)
	n, err := s.body.Read(p)
	timer.Stop()
	s.sum.Write(p[:n])
	s.done += int64(n)
	switch {
	case s.done > s.limit:
		err = fmt.Errorf("the tarball is %w: more than %d bytes", ErrTooLarge, s.limit)
	case err == nil || err == io.EOF:
	case s.ctx.Err() != nil:
		err = context.Cause(s.ctx)
	default:
		err = fmt.Errorf("the transfer of the tarball broke off after %d bytes: %w", s.done, err)
	}
	if s.done-s.reported >= progressStep {
		s.reported = s.done
		s.progress(s.done, s.total)
	}
	s.err = err
	return n, err
}
