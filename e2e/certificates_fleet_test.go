// Certificates of a fleet: each is obtained once, renewed without a visit, and waits for
// the domain's proof; and what a flood of names costs.

package e2e

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
)

// TestCertificatesOfTwo: two front doors that share a storage obtain each certificate
// once, also when one of them is killed.
func TestCertificatesOfTwo(t *testing.T) {
	t.Parallel()
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		server := testkit.PouchDB(t)
		shared := t.TempDir()
		certificatesOfTwo(t, server, "files", "storage file_system "+shared)
		if found, err := filepath.Glob(filepath.Join(shared, "certificates", "*", "late.files.example.com", "*.key")); err != nil || len(found) != 1 {
			t.Errorf("the keys are %q (%v)", found, err)
		}
	})
	t.Run("couchdb", func(t *testing.T) {
		t.Parallel()
		server := testkit.PouchDB(t)
		certificatesOfTwo(t, server, "couchdb", fmt.Sprintf("storage couchdb %s {\n\t\tencryption_key {env.GATEHOUSE_STORAGE_KEY}\n\t}", server.URL()))
		for _, doc := range (couchServer{t, server.URL()}).docs("gatehouse/certificates") {
			raw, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			keeps(t, "the storage", string(raw), "PRIVATE KEY", "BEGIN")
		}
	})
}

func certificatesOfTwo(t *testing.T, server *testkit.Server, zone, storage string) {
	one, other := newDoor(t, "store couchdb "+server.URL()), newDoor(t, "store couchdb "+server.URL())
	// The authority comes to the first one; what the second orders it solves for it.
	ca := one.authority(t, "\n\t\tcertificates {\n\t\t\tlimit domain off\n\t\t}")
	other.of(ca, "\n\t\tcertificates {\n\t\t\tlimit domain off\n\t\t}")
	for _, d := range []*door{one, other} {
		d.env = append(d.env, "GATEHOUSE_STORAGE_KEY="+base64.StdEncoding.EncodeToString([]byte("a key of exactly thirty-two byte")))
		d.acme += "\n\t" + storage
		d.configure("")
	}
	startReady(one, other)
	doors := []*door{one, other}
	names := make([]string, 6)
	for i := range names {
		names[i] = fmt.Sprintf("f%d.%s.example.com", i, zone)
		doors[i%2].add(names[i], nil)
	}
	for i, name := range names {
		for _, d := range doors {
			d.answers(name, 200)
		}
		doors[i%2].run("instances", "modify", name, "--public-name", "F", "--wait-tls")
		for _, d := range doors {
			if a := d.secure(ca, name); a.status != 200 {
				t.Errorf("%s: %d", name, a.status)
			}
		}
	}
	if n := ca.Count(testkit.ACMENewOrder); n != len(names) {
		t.Errorf("%d orders for %d names", n, len(names))
	}

	other.kill()
	late := "late." + zone + ".example.com"
	one.run("instances", "add", late, "--wait-tls")
	if a := one.secure(ca, late); a.status != 200 {
		t.Errorf("%s: %d", late, a.status)
	}
	if n := ca.Count(testkit.ACMENewOrder); n != len(names)+1 {
		t.Errorf("%d orders for %d names", n, len(names)+1)
	}
}

// TestCertificatesRenewed: without any visit.
func TestCertificatesRenewed(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "store embedded ./data")
	ca := testkit.Pebble(t, testkit.PebbleOptions{HTTPPort: d.http, TLSPort: d.https, Validity: 20 * time.Second})
	d.of(ca, "\n\t\tcertificates {\n\t\t\tlimit name off\n\t\t}")
	d.startReady()
	const name = "short.renew.example.com"
	d.add(name, nil)
	d.held(name)
	first := d.leaf(ca, name)
	d.waitFor(time.Minute, "there are three orders", func() error {
		if n := ca.Count(testkit.ACMEFinalize); n < 3 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	d.wait("the newest one is served", func() error {
		if now := d.leaf(ca, name); now.SerialNumber.Cmp(first.SerialNumber) == 0 || time.Now().After(now.NotAfter) {
			return fmt.Errorf("it is good until %s", now.NotAfter)
		}
		return nil
	})
}

// TestCertificatesProven: a domain that does not point here is not ordered, until it does.
// The issuer is the option's own, and solves by HTTP.
func TestCertificatesProven(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "store embedded ./data")
	ca := testkit.Pebble(t, testkit.PebbleOptions{HTTPPort: d.http, TLSPort: d.https})
	d.of(ca, fmt.Sprintf("\n\t\tcertificates {\n\t\t\tpoints_to 127.0.0.1\n\t\t\tresolver %s\n\t\t\tissuer acme {\n\t\t\t\tdir %s\n\t\t\t\ttrusted_roots %s\n\t\t\t\tdisable_tlsalpn_challenge\n\t\t\t}\n\t\t}", ca.DNS, ca.Directory, ca.Root))
	const name = "elsewhere.proof.example.com"
	ca.SetA(t, name, "192.0.2.7")
	d.startReady()
	d.add("here.proof.example.com", nil)
	d.add(name, nil)
	d.held("here.proof.example.com")
	d.wait("the log says what is missing", func() error {
		if a := d.api(200, "GET", "/instances/"+name+"/domains", nil); !strings.Contains(a.body, "waiting_proof") || !strings.Contains(a.body, "192.0.2.7") || !strings.Contains(a.body, "_gatehouse."+name) {
			return errors.New(a.body)
		}
		return nil
	})
	if n := ca.Count(testkit.ACMENewOrder); n != 1 {
		t.Errorf("there were %d orders", n)
	}
	ca.SetA(t, name, "127.0.0.1")
	d.run("instances", "domains", name, "--check")
	d.held(name)
	if out := d.log.String(); !strings.Contains(out, `"challenge_type":"http-01"`) || strings.Contains(out, `"challenge_type":"tls-alpn-01"`) {
		t.Error("the challenges were not solved by HTTP alone")
	}
	out := d.run("instances", "tls")
	says(t, "tls", out, name, "here.proof.example.com", "issued")
	if out := d.run("instances", "tls", "--days", "1", "--json"); out != "" {
		t.Errorf("certificates with a day left: %s", out)
	}
	says(t, "tls", d.run("instances", "tls", "--json"), `"name":"`+name+`"`, `"state":"issued"`)
	says(t, "explain", d.run("instances", "explain", name), "certificate")
}

// cpu is the time that the front door has computed, by the scheduler's account of its threads.
func (d *door) cpu() (sum time.Duration) {
	d.t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, thread := range threads {
		raw, err := os.ReadFile(thread)
		if errors.Is(err, os.ErrNotExist) { // it has ended
			continue
		}
		var ns int64
		if _, e := fmt.Sscan(string(raw), &ns); err != nil || e != nil {
			d.t.Fatalf("%s: %q (%v, %v)", thread, raw, err, e)
		}
		sum += time.Duration(ns)
	}
	return sum
}

// resident is the memory that the front door has.
func (d *door) resident() int {
	d.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(raw))[1])
	if err != nil {
		d.t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// TestCertificateFlood: names that nobody has cause no order and take no memory, and
// hosts that are known are served meanwhile.
func TestCertificateFlood(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "store embedded ./data")
	d.site = "log {\n\t\toutput discard\n\t}"
	ca := d.authority(t, "")
	d.startReady()
	const name, flood = "known.flood.example.com", 10_000
	d.add(name, nil)
	d.held(name)
	if a := d.secure(ca, name); a.status != 200 {
		t.Fatalf("%d", a.status)
	}

	// The first handshake after a restart, and those that follow.
	d.stop()
	d.startReady()
	before := d.cpu()
	d.leaf(ca, name)
	first := d.cpu() - before
	const many = 200
	before = d.cpu()
	for range many {
		d.leaf(ca, name)
	}
	each := (d.cpu() - before) / many
	t.Logf("CPU of the first handshake %v, of %d that follow %v each", first, many, each)

	shake := func(host string) (time.Duration, error) {
		begun := time.Now()
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.https))
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return time.Since(begun), tls.Client(conn, &tls.Config{ServerName: host, RootCAs: ca.Roots}).HandshakeContext(ctx)
	}
	attack := func(n int) {
		var work sync.WaitGroup
		var got sync.Map
		for range 8 {
			work.Go(func() {
				for range n / 8 {
					host := fmt.Sprintf("%x.%x.example.com", rand.Uint64(), rand.Uint32())
					if rand.IntN(4) == 0 {
						host = fmt.Sprintf("%x.%s", rand.Uint64(), name) // the host of an app
					}
					if _, err := shake(host); err == nil {
						got.Store(host, nil)
					}
				}
			})
		}
		work.Wait()
		got.Range(func(host, _ any) bool { t.Errorf("%s got a certificate", host); return true })
	}
	attack(flood / 2)
	settled := d.resident()
	stop, worst := make(chan struct{}), []time.Duration{}
	var visits sync.WaitGroup
	visits.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			begun := time.Now()
			if _, err := shake(name); err != nil {
				t.Errorf("a known host meanwhile: %v", err)
			}
			worst = append(worst, time.Since(begun))
		}
	})
	attack(flood)
	close(stop)
	visits.Wait()
	slices.Sort(worst)
	grown := d.resident() - settled
	t.Logf("%d names: memory grew from %d by %d MiB; %d visits of a known host meanwhile, p50 %v, p99 %v", flood, settled>>20, grown>>20, len(worst), worst[len(worst)/2], worst[len(worst)*99/100])
	if grown > 64<<20 {
		t.Errorf("the memory grew by %d MiB", grown>>20)
	}
	if n := ca.Count(testkit.ACMENewOrder); n != 1 {
		t.Errorf("there were %d orders", n)
	}
}
