// Many at once: an import that is killed in the middle and goes on, an export that makes
// the same fleet elsewhere, lists, and one change to many.

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	fleetSize = 60
	killAfter = 15
)

// fleetLines are those of a file to import. Three are bad: two for ever, and the last as
// long as somebody else has its alias.
func fleetLines(t *testing.T) (lines []string) {
	for i := range fleetSize {
		line := params{"Domain": fmt.Sprintf("m%02d.localhost", i), "Locale": []string{"en", "fr", "de"}[i%3], "Email": fmt.Sprintf("m%d@example.com", i)}
		switch i % 5 {
		case 1:
			line["ContextName"], line["OnboardingFinished"] = "trial", true
		case 2:
			line["DomainAliases"], line["Settings"] = []string{fmt.Sprintf("a%02d.localhost", i)}, params{"offer": "freemium"}
		case 3:
			line["Blocked"], line["BlockingReason"] = true, "LOGIN_FAILED"
		case 4:
			line["DiskQuota"], line["PublicName"], line["AutoUpdate"], line["AuthMode"] = "3000000000", "Ünï \"q\" <b>", false, "two_factor_mail"
		}
		switch i {
		case 20:
			line["Domain"] = "no host!"
		case 40:
			line["Color"] = "red"
		case fleetSize - 1:
			line["DomainAliases"] = "taken.localhost"
		}
		raw, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(raw))
	}
	return lines
}

// became is what a report says of a line.
type became struct {
	Line                   int
	Domain, Outcome, Error string
	Status                 int
}

func (d *door) report() (all []became) {
	d.t.Helper()
	raw, err := os.ReadFile(filepath.Join(d.dir, "report.jsonl"))
	if err != nil {
		d.t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		all = append(all, decode[became](d.t, line))
	}
	return all
}

// failed are the lines of a report that have failed, with the statuses.
func failed(all []became) map[int]int {
	out := map[int]int{}
	for _, b := range all {
		if b.Outcome == "failed" {
			out[b.Line] = b.Status
		}
	}
	return out
}

func TestMany(t *testing.T) {
	t.Parallel()
	d, elsewhere := newDoor(t, "store embedded ./data"), newDoor(t, "store embedded ./data")
	startReady(d, elsewhere)
	d.add("taken.localhost", nil)
	shown := watching(t, d)
	d.write("fleet.jsonl", strings.Join(fleetLines(t), "\n")+"\n")
	done := importKilled(t, d)
	d.startReady()

	// What was being made when it died is refused as long as its lease lives.
	args := []string{"instances", "import", "fleet.jsonl", "--report", "report.jsonl"}
	out, stderr, code := d.try(args...)
	bad := failed(d.report())
	if code != 1 || len(d.report())+done < fleetSize-4 || len(d.report())+done > fleetSize || bad[21] != 422 || bad[41] != 400 || bad[fleetSize] != 409 || len(bad) > 7 {
		t.Errorf("going on exits with %d, after %d that were done:\n%s%s%v", code, done, out, stderr, bad)
	}
	says(t, "going on", stderr, "Going on: ", "line 21: no host!: ", "line 41: m40.localhost: ", "the same command tries them again")
	d.wait("the leases are over", func() error {
		if all, left := d.listOf("/tenancy/operations?All=true"), d.listOf("/tenancy/operations"); len(left) < len(all) {
			return fmt.Errorf("%d of %d", len(left), len(all))
		}
		return nil
	})
	d.api(http.StatusNoContent, http.MethodDelete, "/instances/taken.localhost", nil)
	out, stderr, code = d.try(args...)
	again := d.report()
	if code != 1 || len(again) != len(bad) || len(failed(again)) != 2 || failed(again)[21] != 422 || failed(again)[41] != 400 {
		t.Errorf("the third time exits with %d:\n%s%s%v after %v", code, out, stderr, again, bad)
	}
	says(t, "the third time", out, fmt.Sprintf("2 failed, %d done before\n", fleetSize-len(bad)))
	says(t, "count", d.api(200, http.MethodGet, "/instances/count", nil).body, fmt.Sprintf(`"count":%d`, fleetSize-2))
	for host, status := range map[string]int{"m00.localhost": 200, "a57.localhost": 200, "m33.localhost": 503, "taken.localhost": 200, "m40.localhost": 404} {
		if a := d.mustGet(host, "/"); a.status != status {
			t.Errorf("%s answers %d %s", host, a.status, a.body)
		}
	}
	t.Run("watch", func(t *testing.T) {
		d.in(t).wait("the watch has shown all", func() error {
			for i := range fleetSize {
				if name := fmt.Sprintf(`"domain":"m%02d.localhost"`, i); i != 20 && i != 40 && !strings.Contains(shown.String(), name) {
					return fmt.Errorf("there is no %s in\n%s", name, shown)
				}
			}
			return nil
		})
	})
	t.Run("list", func(t *testing.T) { manyListed(t, d.in(t)) })
	t.Run("modify", func(t *testing.T) { manyModified(t, d.in(t)) })
	t.Run("export", func(t *testing.T) { exported(t, d.in(t), elsewhere.in(t)) })
}

// watching runs the command that shows changes, which comes back to a front door that dies.
func watching(t *testing.T, d *door) *syncBuffer {
	ctx, cancel := context.WithCancel(context.Background())
	cmd := d.command(ctx, "instances", "watch", "--json", "--address", fmt.Sprintf("localhost:%d", d.admin))
	out := new(syncBuffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	d.wait("somebody watches", func() error {
		if !strings.Contains(d.log.String(), "/tenancy/watch") {
			return fmt.Errorf("nobody does: %s", out)
		}
		return nil
	})
	return out
}

// importKilled begins an import and kills the front door when some are done. It gives how
// many were noted as done.
func importKilled(t *testing.T, d *door) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := d.command(ctx, "instances", "import", "fleet.jsonl", "--json", "--address", fmt.Sprintf("localhost:%d", d.admin))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if n++; n == killAfter {
			d.kill()
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 5 {
		t.Errorf("an import whose front door dies exits with %d: %s", code, errs.String())
	}
	says(t, "an import whose front door dies", errs.String(), "Run the same command again: it goes on.")
	raw, err := os.ReadFile(filepath.Join(d.dir, "fleet.jsonl.progress"))
	if err != nil {
		t.Fatal(err)
	}
	done := strings.Count(string(raw), "\n") - 1
	t.Logf("%d of %d were done when the front door died", done, fleetSize)
	return done
}

func manyListed(t *testing.T, d *door) {
	out := d.run("instances", "ls", "--filter", "state=blocked,domain=m?3.localhost,reason=LOGIN_FAILED", "--sort", "-domain", "--fields", "domain,locale")
	if want := "m53.localhost\tde\nm43.localhost\tfr\nm33.localhost\ten\nm23.localhost\tde\nm13.localhost\tfr\nm03.localhost\ten\n"; out != want {
		t.Errorf("ls prints\n%s", out)
	}
}

func manyModified(t *testing.T, d *door) {
	change := []string{"instances", "modify", "--all", "--filter", "context=trial", "--blocked", "--blocking-reason", "PAYMENT_FAILED"}
	if _, stderr, code := d.tryWith("11\n", change...); code != 1 || !strings.Contains(stderr, "This modifies 12 instances, m01.localhost first") || !strings.Contains(stderr, "nothing was modified") {
		t.Errorf("with a wrong number it exits with %d: %s", code, stderr)
	}
	if a := d.mustGet("m01.localhost", "/"); a.status != 200 {
		t.Errorf("after that m01 answers %d", a.status)
	}
	out := d.run(append(change, "--force")...)
	if strings.Count(out, ": modified\n") != 12 {
		t.Errorf("it prints\n%s", out)
	}
	for i := range fleetSize {
		if i%5 != 1 {
			continue
		}
		if host := fmt.Sprintf("m%02d.localhost", i); d.mustGet(host, "/").status != 402 {
			t.Errorf("%s is not blocked", host)
		}
	}
}

// exported makes the same fleet at another front door, which then exports the same.
func exported(t *testing.T, d, elsewhere *door) {
	file := filepath.Join(d.dir, "export.jsonl")
	d.run("instances", "export", file)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(raw), "\n"); n != fleetSize-2 {
		t.Errorf("there are %d lines", n)
	}
	for _, secret := range []string{"register_token", "session_secret", "oauth_secret", "cli_secret", "passphrase"} {
		if strings.Contains(strings.ToLower(string(raw)), secret) {
			t.Errorf("the export has a %s", secret)
		}
	}
	says(t, "the import elsewhere", elsewhere.run("instances", "import", file), fmt.Sprintf("%d added, 0 modified, 0 unchanged, 0 failed\n", fleetSize-2))
	if _, err := os.Stat(file + ".progress"); err == nil {
		t.Error("the notes of an import that has ended are there")
	}
	here, there := sorted(string(raw)), sorted(elsewhere.api(200, http.MethodGet, "/instances/export", nil).body)
	for i := range min(len(here), len(there)) {
		if here[i] != there[i] {
			t.Errorf("here:  %s\nthere: %s", here[i], there[i])
		}
	}
	if len(here) != len(there) {
		t.Errorf("%d lines here, %d there", len(here), len(there))
	}
}

func sorted(text string) []string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(lines)
	return lines
}
