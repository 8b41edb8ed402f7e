// Snapshots and records that nobody here can have written, and those that we write.

package directory

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// forged is a snapshot of these frames, with the right numbers and checksum.
func forged(records int, frames ...[]byte) []byte {
	out := binary.LittleEndian.AppendUint32([]byte(snapshotMagic), snapshotVersion)
	for _, frame := range append([][]byte{header{}.append(nil)}, frames...) {
		out = append(binary.LittleEndian.AppendUint32(out, uint32(len(frame))), frame...)
	}
	out = binary.LittleEndian.AppendUint64(append(out, 0, 0, 0, 0), uint64(records))
	sum := sha256.Sum256(out)
	return append(out, sum[:]...)
}

func recordFrame(records ...[]byte) []byte {
	return append([]byte{recordsFrame}, bytes.Join(records, nil)...)
}

// TestForgedSnapshots: whoever can write the file has no panic, no endless work and no
// entry that is found by one form of its id alone.
func TestForgedSnapshots(t *testing.T) {
	t.Parallel()
	const packable = "00112233445566778899aabbccddeeff"
	record := testFacts("a", "1-a", 10).write(nil, nil)
	unpacked := bytes.Replace(testFacts(strings.Repeat("X", 32), "1-a", 0).write(nil, nil), bytes.Repeat([]byte("X"), 32), []byte(packable), 1)
	shared := testFacts("a", "1-a", 0)
	shared.context = "text"
	sharing := shared.write(nil, new(texts))
	withNames := func(n int) []byte {
		f := testFacts("a", "1-a", 0)
		f.oldDomain = "old.test"
		for i := range n - 2 {
			f.aliases = append(f.aliases, fmt.Sprint("n", i))
		}
		return f.write(nil, nil)
	}
	text := func(size int) []byte { return append([]byte{textFrame}, bytes.Repeat([]byte("t"), size)...) }
	for name, c := range map[string]struct {
		records int
		frames  [][]byte
		refused bool
	}{
		"as it should be":               {1, [][]byte{recordFrame(record)}, false},
		"an id that is not packed":      {1, [][]byte{recordFrame(unpacked)}, true},
		"the longest shared text":       {1, [][]byte{text(maxShared), text(0), recordFrame(sharing)}, false},
		"a shared text that is longer":  {1, [][]byte{text(maxShared + 1), text(0), recordFrame(sharing)}, true},
		"a shared text of a whole MiB":  {1, [][]byte{text(maxFrame - 1), text(0), recordFrame(sharing)}, true},
		"a shared text that is missing": {1, [][]byte{recordFrame(sharing)}, true},
		"as many names as are taken":    {1, [][]byte{recordFrame(withNames(maxAliases + 2))}, false},
		"one name more":                 {1, [][]byte{recordFrame(withNames(maxAliases + 3))}, true},
		"many more names":               {1, [][]byte{recordFrame(withNames(20_000))}, true},
		"half a record":                 {1, [][]byte{recordFrame(record[:len(record)-unit])}, true},
		"another number of records":     {2, [][]byte{recordFrame(record)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := forged(c.records, c.frames...)
			x, _, err := decodeSnapshot(bytes.NewReader(raw), uint64(len(raw)), header{})
			if c.refused {
				if !errors.Is(err, errBroken) {
					t.Errorf("it is read: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if e, place := x.byID("a"); place == 0 || e.Key() != "a.test" {
				t.Errorf("%q is in it", e.Key())
			}
		})
	}
}

// genText has texts of all kinds: empty, packed, nearly packed, long, shared by others.
func genText() *rapid.Generator[string] {
	hex := rapid.StringMatching(`[0-9a-f]{32}`)
	return rapid.OneOf(rapid.Just(""), rapid.String(), hex, rapid.StringMatching(`[1-9][0-9]{0,18}-[0-9a-f]{32}`),
		rapid.StringMatching(`cozy[0-9a-f]{32}`), rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`),
		rapid.StringMatching(`[0-9a-fA-F-]{30,40}`), rapid.StringN(60, 300, -1))
}

// TestWhatIsWrittenIsRead: what write makes of any facts within the bounds, check accepts,
// and it is the same facts again.
func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := genText()
		host := rapid.StringMatching(`([a-z0-9éß]{1,20}\.){0,4}[a-z]{1,10}(:[1-9][0-9]{0,3})?`).Filter(func(s string) bool {
			_, ok := tenancy.HostKey(s)
			return ok
		})
		f := &facts{
			id: text.Filter(func(s string) bool { return s != "" }).Draw(t, "id"), rev: text.Draw(t, "rev"),
			domain: host.Draw(t, "domain"), oldDomain: host.Draw(t, "old"), prefix: text.Draw(t, "prefix"),
			context: text.Draw(t, "context"), locale: text.Draw(t, "locale"), uuid: text.Draw(t, "uuid"),
			cluster: rapid.Int().Draw(t, "cluster"), onboarded: rapid.Bool().Draw(t, "onboarded"),
			state: tenancy.State(rapid.IntRange(0, int(tenancy.Deleting)).Draw(t, "state")), reason: tenancy.Reason(text.Draw(t, "reason")),
		}
		if rapid.Bool().Draw(t, "domain as prefix") {
			f.prefix = f.domain
		}
		if err := f.normalize(rapid.SliceOfN(host, 0, 20).Draw(t, "aliases")); err != nil {
			t.Fatal(err)
		}
		shared := new(texts)
		for range rapid.IntRange(0, 3).Draw(t, "shared before") {
			shared.append(nil, text.Draw(t, "another's"))
		}
		for _, shared := range []*texts{nil, shared} {
			record := f.write(nil, shared)
			known := 0
			if shared != nil {
				known = shared.count
			}
			if !check(record, known) || len(record) > f.size() {
				t.Fatalf("%+v is written as %d bytes, which cannot be read", f, len(record))
			}
			got := Entry{at: &chunk{buf: record, texts: shared}}.facts()
			if !reflect.DeepEqual(got, f) {
				t.Fatalf("%+v\nis read as\n%+v", f, got)
			}
		}
	})
}
