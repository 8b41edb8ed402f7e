// Config: from xcaddy.json to xcaddy's Builder, and from xcaddy's log to lines
// of progress.

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/xcaddy"
)

// load reads a file straight into xcaddy's Builder, whose JSON names are the
// file's. Unknown ones are refused, since a misspelled one would silently build
// something else. Folders in it are relative to the file.
func load(path string) (xcaddy.Builder, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return xcaddy.Builder{}, err
	}
	var b xcaddy.Builder
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		return xcaddy.Builder{}, fmt.Errorf("%s:%d: %w", path, lineOf(raw, dec, err), plain(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return xcaddy.Builder{}, fmt.Errorf("%s:%d: something follows the object", path, lineAt(raw, dec.InputOffset()))
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return xcaddy.Builder{}, err
	}
	for i, p := range b.Plugins {
		if p.PackagePath == "" {
			return xcaddy.Builder{}, fmt.Errorf("%s: plugin %d has no module_path", path, i+1)
		}
	}
	for i := range b.Replacements {
		r := &b.Replacements[i]
		if r.Old == "" || r.New == "" {
			return xcaddy.Builder{}, fmt.Errorf("%s: replacement %d has no old or no new", path, i+1)
		}
		if local(r.New.String()) {
			r.New = xcaddy.ReplacementPath(filepath.Join(folder, r.New.String()))
		}
	}
	for i := range b.EmbedDirs {
		if d := &b.EmbedDirs[i]; !filepath.IsAbs(d.Dir) {
			d.Dir = filepath.Join(folder, d.Dir)
		}
	}
	return b, nil
}

// local tells a relative folder from a module, as a go.mod file does.
// https://go.dev/ref/mod#go-mod-file-replace
func local(path string) bool {
	path = filepath.ToSlash(path)
	return path == "." || path == ".." || strings.HasPrefix(path, "./") || strings.HasPrefix(path, "../")
}

// plain says what encoding/json means, without its own name.
func plain(err error) error {
	text := strings.TrimPrefix(err.Error(), "json: ")
	if key, found := strings.CutPrefix(text, "unknown field "); found {
		return fmt.Errorf("%s is not known to xcaddy", key)
	}
	return errors.New(text)
}

// lineOf is the line of the file where decoding stopped.
func lineOf(raw []byte, dec *json.Decoder, err error) int {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return lineAt(raw, syntax.Offset)
	}
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return lineAt(raw, typ.Offset)
	}
	if key, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
		if at := bytes.Index(raw, []byte(key)); at >= 0 {
			return lineAt(raw, int64(at))
		}
	}
	return lineAt(raw, dec.InputOffset())
}

func lineAt(raw []byte, offset int64) int {
	offset = min(offset, int64(len(raw)))
	return 1 + bytes.Count(raw[:offset], []byte("\n"))
}

// Write takes a message of xcaddy's log: its first line, without the level. What
// is below, as the source of the main package, is of no interest.
func (p *progress) Write(message []byte) (int, error) {
	line, _, _ := strings.Cut(string(message), "\n")
	p.say(strings.TrimPrefix(line, "[INFO] "))
	return len(message), nil
}
