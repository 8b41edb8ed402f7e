// Evil: apps that nobody may install.

package registrytest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Evil are apps that are refused, each by a name that says why, with the default
// limits and within a few seconds.
func Evil() map[string]App {
	out := map[string]App{
		"checksum":  {Answer: map[string]any{"sha256": strings.Repeat("0", 64)}},
		"empty":     {Tarball: Tarball()},
		"not-gzip":  {Tarball: func(w io.Writer) error { _, err := io.WriteString(w, strings.Repeat("no gzip ", 1000)); return err }},
		"not-tar":   {Tarball: zipped(strings.Repeat("no tar ", 1000))},
		"nothing":   {Tarball: func(io.Writer) error { return nil }},
		"cut":       {Tarball: cut(Noise(1, 1<<20), 1<<19)},
		"cut-end":   {Tarball: cut(Tarball(File("a", "a")), -4)},
		"cut-entry": {Tarball: func(w io.Writer) error { return cutEntry(w, 1000) }},
		"followed": {Tarball: func(w io.Writer) error {
			if err := Tarball(File("a", "a"))(w); err != nil {
				return err
			}
			_, err := io.WriteString(w, "something follows")
			return err
		}},
		"broken-off": {ServeTarball: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000000")
			_, _ = io.WriteString(w, "\x1f\x8b\x08")
		}},
		"tarball-404":  {ServeTarball: http.NotFound},
		"tarball-500":  {ServeTarball: status(http.StatusInternalServerError)},
		"answer-500":   {ServeAnswer: status(http.StatusInternalServerError)},
		"garbage":      {ServeAnswer: text("<html>no JSON</html>")},
		"half":         {ServeAnswer: text(`{"slug":"half","type":"webapp","vers`)},
		"long-answer":  {Manifest: map[string]any{"long": strings.Repeat("x", 2<<20)}},
		"loop":         {ServeAnswer: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }},
		"tarball-loop": {ServeTarball: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }},
		"leads-to-file": {ServeTarball: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		}},
		"file-url":      {Answer: map[string]any{"url": "file:///etc/passwd"}},
		"no-url":        {Answer: map[string]any{"url": ""}},
		"password-url":  {Answer: map[string]any{"url": "http://user:hunter2@127.0.0.1/secret"}},
		"wrong-slug":    {Answer: map[string]any{"slug": "other"}},
		"wrong-type":    {Answer: map[string]any{"type": "node"}},
		"bad-version":   {Answer: map[string]any{"version": "../../1.0.0"}},
		"no-checksum":   {Answer: map[string]any{"sha256": ""}},
		"bad-checksum":  {Answer: map[string]any{"sha256": "../" + strings.Repeat("0", 61)}},
		"no-manifest":   {Answer: map[string]any{"manifest": nil}},
		"list-manifest": {Answer: map[string]any{"manifest": []int{1}}},
		"bad-prefix":    {Answer: map[string]any{"tar_prefix": "../.."}},
	}
	for name, entry := range map[string]Entry{
		"absolute":      File("/etc/evil", "evil"),
		"upwards":       File("../../evil", "evil"),
		"upwards-later": File("a/../../evil", "evil"),
		"up-and-down":   File("a/../evil", "evil"),
		"backslash":     File(`..\evil`, "evil"),
		"control":       File("evil\nname", "evil"),
		"not-utf8":      File("evil\xff", "evil"),
		"long-part":     File(strings.Repeat("a", 253), "evil"),
		"long-name":     File(strings.Repeat("a/", 600)+"evil", "evil"), // a PAX header
		"deep":          File(strings.Repeat("a/", 70)+"evil", "evil"),
		"symlink":       Special(tar.TypeSymlink, "evil", "/etc/passwd"),
		"hardlink":      Special(tar.TypeLink, "evil", "index.html"),
		"device":        Special(tar.TypeChar, "evil", ""),
		"block-device":  Special(tar.TypeBlock, "evil", ""),
		"fifo":          Special(tar.TypeFifo, "evil", ""),
		"duplicate":     File("./index.html", "evil"),
		"folder-upward": Folder("../evil"),
	} {
		out[name] = App{Tarball: Tarball(File("index.html", "good"), entry)}
	}
	out["nul"] = App{Tarball: nulName}
	out["large-file"] = App{Tarball: func(w io.Writer) error { return cutEntry(w, 101<<20) }}
	for name, manifest := range map[string]map[string]any{
		"list-permissions": {"permissions": []int{1}},
		"text-permission":  {"permissions": map[string]any{"a": "all"}},
		"unknown-verb":     {"permissions": map[string]any{"a": map[string]any{"type": "io.cozy.files", "verbs": []string{"get"}}}},
		"no-doctype":       {"permissions": map[string]any{"a": map[string]any{"verbs": []string{"GET"}}}},
		"text-routes":      {"routes": "all"},
		"number-route":     {"routes": map[string]any{"/": map[string]any{"folder": 1}}},
		"text-services":    {"services": "all"},
		"unknown-trigger":  {"services": map[string]any{"a": map[string]any{"trigger": "@never"}}},
		"bad-cron":         {"services": map[string]any{"a": map[string]any{"trigger": "@cron bad"}}},
		"bad-event":        {"services": map[string]any{"a": map[string]any{"trigger": "@event"}}},
		"text-terms":       {"terms": "none"},
		"object-intents":   {"intents": map[string]any{}},
		"text-locales":     {"locales": "en"},
	} {
		out[name] = App{Manifest: manifest}
	}
	return out
}

// Slow are apps that are refused after the time limits, however long those are.
func Slow() map[string]App {
	return map[string]App{
		"slow-answer":  {ServeAnswer: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		"slow-headers": {ServeTarball: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		"slow-body": {ServeTarball: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "\x1f\x8b\x08")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
		"dripping": {ServeTarball: func(w http.ResponseWriter, r *http.Request) { drip(r.Context(), w) }},
	}
}

// Bomb is an app with files of zeros of a size in all, in a tarball that is a
// thousand times smaller.
func Bomb(size int64) App {
	return App{Tarball: Tarball(File("index.html", "good"), Zeros("a", size/2), Zeros("b", size/2))}
}

// HeaderBomb is an app whose tarball has no files, and headers of a size in all.
func HeaderBomb(size int64) App {
	return App{Tarball: func(w io.Writer) error {
		const each = 1 << 19
		z := gzip.NewWriter(w)
		record := pad(fmt.Sprintf("%d comment=%s\n", each, strings.Repeat("x", each-len(fmt.Sprintf("%d comment=\n", each)))))
		for range size / each {
			if _, err := z.Write(append(rawHeader("header", tar.TypeXHeader, each), record...)); err != nil {
				return err
			}
		}
		return z.Close()
	}}
}

// Many is an app of n empty files.
func Many(n int) App {
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = File(fmt.Sprint(i), "")
	}
	return App{Tarball: Tarball(entries...)}
}

// Endless is an app whose tarball goes on as long as somebody reads it.
func Endless() App {
	return App{ServeTarball: func(w http.ResponseWriter, r *http.Request) {
		zipped, _ := gzip.NewWriterLevel(w, gzip.NoCompression)
		archive := tar.NewWriter(zipped)
		for i := 0; r.Context().Err() == nil; i++ {
			header := tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint(i), Size: 1 << 16, Mode: 0o644}
			if archive.WriteHeader(&header) != nil {
				return
			}
			if _, err := io.CopyN(archive, zeros{}, header.Size); err != nil {
				return
			}
		}
	}}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func zipped(content string) func(io.Writer) error {
	return func(w io.Writer) error {
		z := gzip.NewWriter(w)
		if _, err := io.WriteString(z, content); err != nil {
			return err
		}
		return z.Close()
	}
}

// cut takes the first n bytes of a tarball, or all but the last -n.
func cut(tarball func(io.Writer) error, n int) func(io.Writer) error {
	return func(w io.Writer) error {
		var all bytes.Buffer
		if err := tarball(&all); err != nil {
			return err
		}
		if n < 0 {
			n += all.Len()
		}
		_, err := w.Write(all.Bytes()[:n])
		return err
	}
}

// cutEntry is good gzip of a tar that ends within a file.
func cutEntry(w io.Writer, size int64) error {
	z := gzip.NewWriter(w)
	archive := tar.NewWriter(z)
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: size}); err != nil {
		return err
	}
	if _, err := io.WriteString(archive, "not so much"); err != nil {
		return err
	}
	return z.Close()
}

// nulName is a tar with a name, by the PAX way, that has a NUL in it.
func nulName(w io.Writer) error {
	const record = "18 path=ev\x00/../il\n"
	z := gzip.NewWriter(w)
	if _, err := z.Write(append(rawHeader("header", tar.TypeXHeader, int64(len(record))), pad(record)...)); err != nil {
		return err
	}
	archive := tar.NewWriter(z)
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "evil"}); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return z.Close()
}

// rawHeader is a header block that archive/tar would not write.
func rawHeader(name string, flag byte, size int64) []byte {
	block := make([]byte, 512)
	copy(block, name)
	copy(block[100:], "0000644\x00")
	copy(block[124:], fmt.Sprintf("%011o\x00", size))
	copy(block[136:], "00000000000\x00")
	block[156] = flag
	copy(block[257:], "ustar  \x00")
	copy(block[148:], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:], fmt.Sprintf("%06o\x00 ", sum))
	return block
}

func pad(content string) []byte {
	return append([]byte(content), make([]byte, (512-len(content)%512)%512)...)
}

// drip sends a byte now and then, so that the transfer is never idle.
func drip(ctx context.Context, w http.ResponseWriter) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	flush := http.NewResponseController(w)
	_, _ = io.WriteString(w, "\x1f\x8b\x08\x10\x00\x00\x00\x00\x00\x00") // a gzip header with a comment that does not end
	for {
		if _, err := io.WriteString(w, "x"); err != nil || flush.Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
