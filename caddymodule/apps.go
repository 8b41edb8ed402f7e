// Apps: files and applications, as lifecycle sees them.

package caddymodule

import (
	"context"
	"errors"
	"net/url"
	"path"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/apps"
	"github.com/gatehouse-edge/gatehouse/tenancy/files"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// checkFiles refuses what is not the URL of a place for files, and secrets in it
// that stand in the configuration. The error never repeats it.
func checkFiles(s string) error {
	_, query, _ := strings.Cut(s, "?")
	for pair := range strings.SplitSeq(query, "&") {
		name, v, _ := strings.Cut(pair, "=")
		if strings.EqualFold(name, "Password") && v != "" && !placeholdersOnly.MatchString(v) {
			return errors.New("the password stands in the configuration, which GET /config/ shows; write a placeholder, as in\n\tPassword={env.SWIFT_PASSWORD}")
		}
	}
	known := resolveFiles(s, "1")
	if u, err := url.Parse(known); err == nil && u.Scheme == "file" && path.Clean(u.Path) == "/" {
		return errors.New("the root of the file system is no place for files")
	}
	_, err := files.Open(known)
	return err
}

// openFiles opens the place for files, with what its placeholders hold now.
func (a *App) openFiles() (files.Storage, error) {
	if a.Files == "" {
		return nil, nil
	}
	return files.Open(resolveFiles(a.Files, ""))
}

// resolveFiles fills the placeholders of a URL in, those in its query escaped.
func resolveFiles(s, empty string) string {
	repl := caddy.NewReplacer()
	base, query, hasQuery := strings.Cut(s, "?")
	base = strings.TrimSpace(repl.ReplaceAll(base, empty))
	if !hasQuery {
		return base
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, v, _ := strings.Cut(pair, "=")
		if resolved := strings.TrimRight(repl.ReplaceAll(v, empty), "\r\n"); resolved != v {
			v = url.QueryEscape(resolved)
		}
		pairs[i] = name + "=" + v
	}
	return base + "?" + strings.Join(pairs, "&")
}

// swiftLayout is the one that a stack has for new instances in Swift.
const swiftLayout = 2

func (a *App) inSwift() bool { return strings.HasPrefix(a.Files, "swift") }

// instanceFiles are the files of instances, for lifecycle.
type instanceFiles struct{ files.Storage }

func (f instanceFiles) Prepare(ctx context.Context, inst lifecycle.Owner, directories []string) error {
	return f.Storage.Prepare(ctx, filesOf(inst), directories)
}

func (f instanceFiles) Remove(ctx context.Context, inst lifecycle.Owner) error {
	return f.Storage.Remove(ctx, filesOf(inst))
}

func filesOf(inst lifecycle.Owner) files.Instance {
	return files.Instance{Domain: inst.Domain, Prefix: inst.Prefix}
}

// installer installs apps, for lifecycle.
type installer struct{ *apps.Installer }

func newInstaller(place files.Storage, log *zap.Logger) installer {
	return installer{apps.New(apps.Options{Files: place, Logger: log})}
}

// Check implements lifecycle.Apps.
func (i installer) Check(list []string) error {
	_, err := apps.ParseSources(list)
	return err
}

// Install implements lifecycle.Apps.
func (i installer) Install(ctx context.Context, inst lifecycle.Owner, registries, list []string, progress lifecycle.Progress) []lifecycle.AppResult {
	out := make([]lifecycle.AppResult, len(list))
	// A context can have been given a list that is not right, or has one twice.
	sources := make([]apps.Source, 0, len(list))
	at := make([]int, 0, len(list))
	for n, name := range list {
		source, err := apps.ParseSource(name)
		if err != nil {
			out[n] = lifecycle.AppResult{Slug: name, Err: err}
			continue
		}
		sources, at = append(sources, source), append(at, n)
	}
	done := 0
	progress("apps", 0, len(sources))
	tell := func(source apps.Source, got, total int64) {
		if total > 0 && got >= total {
			done++
			progress("apps", min(done, len(sources)), len(sources))
		}
	}
	target := apps.Target{Instance: filesOf(inst), InstanceID: inst.ID, Registries: registries}
	for n, r := range i.InstallAll(ctx, target, sources, tell) {
		result := lifecycle.AppResult{Slug: r.Source.Slug, Err: r.Err}
		var failed *apps.Error
		if errors.As(r.Err, &failed) { // it is one line, and names the app, as lifecycle does
			result.Err = errors.New(strings.TrimPrefix(failed.Error(), failed.App+": "))
		}
		if r.Installed == nil && r.Err == nil {
			result.Err = errors.New("nothing was installed")
		}
		if r.Installed != nil {
			result.Version = r.Installed.Version
			for _, doc := range r.Installed.Documents {
				result.Docs = append(result.Docs, lifecycle.AppDoc{Doctype: doc.Doctype, ID: doc.ID, Doc: rawJSON(doc.Body)})
			}
		}
		out[at[n]] = result
	}
	progress("apps", len(sources), len(sources))
	return out
}

// rawJSON is JSON as it stands.
type rawJSON []byte

// MarshalJSON implements json.Marshaler.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// Interface guards
var (
	_ lifecycle.Files = instanceFiles{}
	_ lifecycle.Apps  = installer{}
)
