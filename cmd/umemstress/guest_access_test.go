//go:build guest

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// A region that the device may only read is lost on no kernel, and refused by none: its release dirties nothing.
func TestReadOnlyRegion(t *testing.T) {
	for _, of := range []struct{ backend, verb, release string }{
		{"uverbs", "write", "dereg"}, {"ibverbs", "read", "dereg"}, {"uverbs", "send", "exit"}, {"ibverbs", "write", "kill"},
	} {
		r, code := ran(t, "--access", "read", "--backend", of.backend, "--verb", of.verb, "--release", of.release, "--mr", "4", "-q", "2",
			"--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))
		probes, disk := r.Channels.Probes, r.Channels.Disk
		if r.Verdict != record.Clean || code != exit.Clean || len(r.Disagreements) > 0 || r.Settings.Access != "read" {
			t.Errorf("%+v: exit code %d, %s (%s); %q; %+v", of, code, r.Verdict, r.Reason, r.Disagreements, r.Settings)
		}
		if probes.DirtiedPages != 0 || probes.UnannouncedPages != 0 || disk.StalePages != 0 || disk.CheckedPages != uint64(r.Regions[0].Pages) {
			t.Errorf("%+v: %+v, %+v", of, probes, disk)
		}
		if *expectVerdict == "data-lost" && r.Channels.Folios.StrippedPages == 0 { // or it is no control
			t.Errorf("%+v: nothing was stripped while it was pinned", of)
		}
		if want := 4 * uint64(r.Regions[0].Bytes); r.Traffic.Bytes != want { // twice stored, and twice read
			t.Errorf("%+v: %d bytes of traffic, want %d", of, r.Traffic.Bytes, want)
		}
	}
}

// The anonymous region may be of huge pages; where the pool has too few, that is said.
func TestHugePages(t *testing.T) {
	const pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
	had := strings.TrimSpace(readFile(t, pool))
	setPool := func(pages int) {
		t.Helper()
		if err := os.WriteFile(pool, []byte(strconv.Itoa(pages)), 0); err != nil {
			t.Fatal(err)
		}
	}
	before, err := strconv.Atoi(had)
	if err != nil {
		t.Fatal(err)
	}
	defer setPool(before)
	setPool(before + 2)
	for _, backend := range []string{"uverbs", "ibverbs"} {
		r, _ := ran(t, "--use_hugepages", "--anon-size", "4M", "--backend", backend, "--bidirectional", "--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))
		if string(r.Verdict) != *expectVerdict || len(r.Disagreements) > 0 || !r.Settings.HugePages {
			t.Errorf("%s: %s (%s), want %s; %q; %+v", backend, r.Verdict, r.Reason, *expectVerdict, r.Disagreements, r.Settings)
		}
	}
	setPool(before)
	_, stderr, code := here(t, small("--use_hugepages", "--anon-size", "8M", "-o", filepath.Join(t.TempDir(), "evidence"))...)
	if code != exit.HostLacks || !strings.Contains(stderr, "have 4 of them free in the pool") {
		t.Errorf("without a pool: exit code %d: %s", code, stderr)
	}
}

// The same of huge pages of 1 GiB, of which soft-roce/guest-tests has the kernel set one aside at boot.
func TestGigabytePages(t *testing.T) {
	const pool = "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages"
	if n := strings.TrimSpace(readFile(t, pool)); n != "1" {
		t.Fatalf("%s is %s: boot with 'hugepagesz=1G hugepages=1', as lab exec --memory 5120 --append does", pool, n)
	}
	args := func(anon string, more ...string) []string {
		return append([]string{"--use_hugepages=1G", "--anon-size", anon, "--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence")}, more...)
	}
	_, stderr, code := here(t, small(args("2G")...)...)
	if code != exit.HostLacks || !strings.Contains(stderr, "have 2 of them free in the pool") || !strings.Contains(stderr, "boot with hugepagesz=1G hugepages=2") {
		t.Errorf("with a pool of one: exit code %d: %s", code, stderr)
	}
	for _, backend := range []string{"uverbs", "ibverbs"} {
		r, _ := ran(t, args("1G", "--backend", backend)...)
		if string(r.Verdict) != *expectVerdict || len(r.Disagreements) > 0 || r.Settings.HugePageBytes != 1<<30 || *expectVerdict != "refused" && r.Channels.Arrival.CheckedPages == 0 {
			t.Errorf("%s: %s (%s), want %s; %q; %+v", backend, r.Verdict, r.Reason, *expectVerdict, r.Disagreements, r.Settings)
		}
	}
}
