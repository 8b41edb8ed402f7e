// Registry: the asking of registries for a version of an app.

package apps

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy/files"
)

// maxRegistries bounds the registries that are asked for one app.
const maxRegistries = 20

// release is a registry's answer: one version of an app.
type release struct {
	Slug      string          `json:"slug"`
	Type      string          `json:"type"`
	Version   string          `json:"version"`
	URL       string          `json:"url"`
	SHA256    string          `json:"sha256"`
	Size      json.RawMessage `json:"size"` // a number, or the same as a string
	TarPrefix string          `json:"tar_prefix"`
	Manifest  json.RawMessage `json:"manifest"`

	kind     files.Kind
	registry *url.URL
	tarball  *url.URL
}

// size is the tarball's, as the registry has it; 0 where it does not say. It is
// for people to look at, not relied on.
func (r *release) size() int64 {
	n, err := strconv.ParseInt(strings.Trim(string(r.Size), `"`), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// find asks the registries in their order; the first that knows the app has
// the word. One that fails is passed over, and told of only if nobody knows it.
func (in *Installer) find(ctx context.Context, registries []string, source Source) (*release, error) {
	if len(registries) == 0 {
		return nil, ErrNoRegistry
	}
	if len(registries) > maxRegistries {
		return nil, fmt.Errorf("more than %d registries", maxRegistries)
	}
	var failed []error
	for _, registry := range registries {
		r, err := in.ask(ctx, registry, source)
		if err == nil {
			return r, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !errors.Is(err, ErrUnknown) {
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return nil, errors.Join(failed...)
	}
	return nil, ErrUnknown
}

// ask asks one registry, within the time that it has for an answer.
func (in *Installer) ask(ctx context.Context, registry string, source Source) (*release, error) {
	base, err := parseRegistry(registry)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, in.limits.Answer, ErrSlow)
	defer cancel()
	u := base.JoinPath("registry", source.Slug, source.line())
	if source.Version == "" {
		u = u.JoinPath("latest")
	}
	resp, err := in.client.get(ctx, base, u, "application/json")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, ErrUnknown
	default:
		return nil, fmt.Errorf("%s answers with status %d", place(u), resp.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, in.limits.Manifest+1))
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case int64(len(raw)) > in.limits.Manifest:
		err = fmt.Errorf("the answer is %w: more than %d bytes", ErrTooLarge, in.limits.Manifest)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place(u), err)
	}
	r := &release{registry: base}
	if err := r.read(raw, u, source); err != nil {
		return nil, fmt.Errorf("%s: %w", place(u), err)
	}
	return r, nil
}

// read takes an answer apart, and checks all but the manifest's own content.
func (r *release) read(raw []byte, u *url.URL, source Source) error {
	refuse := func(problem string) error { return fmt.Errorf("%w: %s", ErrManifest, problem) }
	if err := json.Unmarshal(raw, r); err != nil {
		return refuse("it is not the JSON of a version")
	}
	r.SHA256 = strings.ToLower(r.SHA256)
	sum, err := hex.DecodeString(r.SHA256)
	switch r.kind = files.Kind(r.Type); {
	case r.Slug != source.Slug:
		return refuse("it is for another app")
	case r.kind != files.Webapp && r.kind != files.Konnector:
		return refuse("its type is neither webapp nor konnector")
	case !isVersion(r.Version) || source.Version != "" && r.Version != source.Version:
		return refuse("its version is another one, or none")
	case err != nil || len(sum) != 32:
		return refuse("it has no SHA-256 of the tarball")
	case !bytes.HasPrefix(bytes.TrimSpace(r.Manifest), []byte("{")):
		return refuse("it has no manifest")
	}
	if r.TarPrefix != "" {
		if _, err := EntryName("", r.TarPrefix); err != nil {
			return refuse("its tar_prefix is no path")
		}
	}
	if r.tarball, err = u.Parse(r.URL); err != nil || r.URL == "" {
		return refuse("it has no URL of the tarball")
	}
	return checkURL(r.tarball)
}
