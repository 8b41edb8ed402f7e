// What go test prints is read.

package figure

import "testing"

func TestParseGo(t *testing.T) {
	t.Parallel()
	const out = `goos: linux
pkg: example.org/a
BenchmarkOne/1000/app-2         	12345678	        95.31 ns/op	       0 B/op	       0 allocs/op
BenchmarkMemory 	       1	1234 ns/op	        412.5 B/host
--- BENCH: BenchmarkOther
PASS
`
	got := parseGo([]byte(out))
	if len(got) != 2 {
		t.Fatalf("%+v", got)
	}
	if b := got[0]; b.pkg != "example.org/a" || b.name != "One/1000/app" || b.value("ns/op", "%.2f") != "95.31" || b.further() != "" {
		t.Errorf("%+v", b)
	}
	if b := got[1]; b.name != "Memory" || b.further() != "412.5 B/host" || b.value("B/op", "%f") != "–" {
		t.Errorf("%+v", b)
	}
}
