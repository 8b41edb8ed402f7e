// Swift: the files of instances in OpenStack's object storage, as a stack has
// them in its layout 3.

package files

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/ncw/swift/v2"
	"golang.org/x/sync/errgroup"
)

// Layout: each instance has the container cozy-v3-<prefix>. Apps are in two
// containers that all instances share, as <slug>/<version>/<name>, compressed; an
// empty object <slug>/<version> says that a version is whole. Unfinished ones are
// in a container of our own.
const (
	instanceContainer   = "cozy-v3-"
	webappContainer     = "apps-web"
	konnectorContainer  = "apps-konnectors"
	unfinishedContainer = "gatehouse-unfinished"
)

const (
	swiftBatch    = 1000 // objects listed, and deleted, at a time; servers take 10,000
	swiftParallel = 8    // requests at a time, of one call
	swiftConnect  = 30 * time.Second
	swiftTimeout  = 5 * time.Minute // without a byte in either direction
)

type swiftStorage struct {
	settings
	conn *swift.Connection
}

// openSwift takes the URL that a stack's configuration has: the host and path of
// the authentication, and the rest in the query.
func openSwift(u *url.URL, s settings) (Storage, error) {
	scheme := "http"
	if u.Scheme == "swift+https" {
		scheme = "https"
	}
	switch {
	case u.User != nil || u.Fragment != "" || u.Opaque != "":
		return nil, refuse("has its credentials elsewhere than in UserName=…&Password=…")
	case u.Host == "":
		return nil, refuse("names no host for the authentication")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, refuse("has a query that cannot be read")
	}
	c := &swift.Connection{
		AuthUrl:        (&url.URL{Scheme: scheme, Host: u.Host, Path: u.Path}).String(),
		UserAgent:      "gatehouse",
		ConnectTimeout: swiftConnect,
		Timeout:        swiftTimeout,
		Transport:      s.transport,
	}
	for key, values := range query {
		if len(values) != 1 || !setSwift(c, key, values[0]) {
			// Not even its name: it may be the end of a password that was not escaped.
			return nil, refuse("has a parameter that is unknown, bad, or there twice")
		}
	}
	if c.Transport == nil {
		dialer := &net.Dialer{Timeout: swiftConnect}
		c.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         dialer.DialContext,
			TLSHandshakeTimeout: swiftConnect,
			MaxIdleConnsPerHost: swiftParallel,
			IdleConnTimeout:     time.Minute,
		}
	}
	return &swiftStorage{settings: s, conn: c}, nil
}

// setSwift sets one parameter of the URL. It is false for an unknown or bad one.
func setSwift(c *swift.Connection, key, value string) bool {
	texts := map[string]*string{
		"UserName": &c.UserName, "UserID": &c.UserId, "Password": &c.ApiKey, "Region": &c.Region,
		"ProjectName": &c.Tenant, "ProjectID": &c.TenantId,
		"UserDomainName": &c.Domain, "UserDomainID": &c.DomainId,
		"ProjectDomainName": &c.TenantDomain, "ProjectDomainID": &c.TenantDomainId,
	}
	if text := texts[key]; text != nil {
		*text = value
		return true
	}
	switch key {
	case "Timeout":
		if seconds, err := strconv.ParseUint(value, 10, 16); err == nil {
			value = strconv.FormatUint(seconds, 10) + "s"
		}
		limit, err := time.ParseDuration(value)
		if value == "" || value == "0s" {
			return true // a variable that is not set
		}
		c.Timeout = limit
		return err == nil && limit > 0
	case "AuthVersion":
		version, err := strconv.Atoi(value)
		c.AuthVersion = version
		return err == nil && version >= 0 && version <= 3
	}
	return false
}

func checkPrefix(inst Instance) error {
	if !prefixes.MatchString(inst.Prefix) {
		return fmt.Errorf("prefix: %w", ErrName)
	}
	return nil
}

// Prepare makes the instance's container. Directories are documents only.
func (s *swiftStorage) Prepare(ctx context.Context, inst Instance, directories []string) (err error) {
	if err := checkPrefix(inst); err != nil {
		return err
	}
	if len(directories) > maxDirectories {
		return fmt.Errorf("more than %d directories", maxDirectories)
	}
	for _, dir := range directories {
		if _, err := directory(dir); err != nil {
			return err
		}
	}
	defer wrap(&err, "prepare the files of "+inst.Domain)
	return s.conn.ContainerCreate(ctx, instanceContainer+inst.Prefix, nil)
}

// Remove empties the instance's container and removes it.
func (s *swiftStorage) Remove(ctx context.Context, inst Instance) (err error) {
	if err := checkPrefix(inst); err != nil {
		return err
	}
	defer wrap(&err, "remove the files of "+inst.Domain)
	container := instanceContainer + inst.Prefix
	for range removeTries {
		if err = s.deleteAll(ctx, container, ""); err == nil {
			err = s.conn.ContainerDelete(ctx, container)
		}
		switch {
		case errors.Is(err, swift.ContainerNotFound):
			return nil
		case !errors.Is(err, swift.ContainerNotEmpty): // a stack wrote to it in the meantime
			return err
		}
	}
	return err
}

// deleteAll deletes the objects whose names begin with prefix.
func (s *swiftStorage) deleteAll(ctx context.Context, container, prefix string) error {
	opts := swift.ObjectsOpts{Limit: swiftBatch, Prefix: prefix}
	for {
		names, err := s.conn.ObjectNames(ctx, container, &opts)
		if err != nil || len(names) == 0 {
			return err
		}
		if err := s.deleteNames(ctx, container, names); err != nil {
			return err
		}
		// A listing may still have what is deleted: it goes on after the last.
		opts.Marker = names[len(names)-1]
	}
}

// deleteNames deletes objects, in one request where the server knows of that.
func (s *swiftStorage) deleteNames(ctx context.Context, container string, names []string) error {
	result, err := s.conn.BulkDelete(ctx, container, names)
	if err == nil && len(result.Errors) == 0 && result.NumberNotFound == 0 {
		return nil // a name that was not found may be one that the server took for another
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(swiftParallel)
	for _, name := range names {
		group.Go(func() error {
			err := s.conn.ObjectDelete(ctx, container, name)
			if errors.Is(err, swift.ObjectNotFound) {
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

// HasApp looks for the mark of a whole version.
func (s *swiftStorage) HasApp(ctx context.Context, inst Instance, app App) (has bool, err error) {
	if err := errors.Join(checkPrefix(inst), checkApp(app)); err != nil {
		return false, err
	}
	defer wrap(&err, "look for the files of "+app.Slug)
	_, _, err = s.conn.Object(ctx, appContainer(app), mark(app))
	if errors.Is(err, swift.ObjectNotFound) || errors.Is(err, swift.ContainerNotFound) {
		return false, nil
	}
	return err == nil, err
}

func appContainer(app App) string {
	if app.Kind == Konnector {
		return konnectorContainer
	}
	return webappContainer
}

// mark names the object that says that a version is whole.
func mark(app App) string { return app.Slug + "/" + app.Version }

var _ Storage = (*swiftStorage)(nil)
