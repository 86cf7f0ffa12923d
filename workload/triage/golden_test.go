package triage_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/workload"
	"umemstress/workload/report"
	"umemstress/workload/triage"
)

var update = flag.Bool("update", false, "write the golden files anew")

// diagnosed is what a log tells.
func diagnosed(t testing.TB, log []byte) *triage.Diagnosis {
	t.Helper()
	d, err := triage.Read(context.Background(), bytes.NewReader(log), workload.Scenarios())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// logs are of real kernels: those of testdata, and those that the classifier is tested with.
func logs(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, pattern := range []string{"testdata/*.txt", "../../probes/kmsg/testdata/*/*.txt"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) < 5 {
			t.Fatalf("%s: %d logs, %v", pattern, len(names), err)
		}
		for _, name := range names {
			log, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			of := "own-"
			if !strings.HasPrefix(name, "testdata") {
				of = filepath.Base(filepath.Dir(name)) + "-"
			}
			all[of+strings.TrimSuffix(filepath.Base(name), ".txt")] = log
		}
	}
	return all
}

// What each log is said to tell stands beside it, as a person reads it.
func TestLogs(t *testing.T) {
	for name, log := range logs(t) {
		var got bytes.Buffer
		if err := report.Diagnosis(&got, diagnosed(t, log)); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got.String(), want)
		}
	}
}

// The answers that matter, apart from the words of the golden files.
func TestAnswers(t *testing.T) {
	all := logs(t)
	for name, want := range map[string]struct {
		sure                              triage.Sure
		status                            int
		filesystem, holder, kernel, rerun string
		lacks                             string
	}{
		"own-ext4-bug-3.10-vmcore-dmesg":   {triage.Certain, 14, "ext4", "rdma", "3.10.0-514.21.1.el7.debug_bz1368895.x86_64", "5.10-unfixed", "cc5095747edf"},
		"own-ext4-bug-5.10-unfixed-serial": {triage.Certain, 14, "ext4", "rdma", "5.10.262-bug", "5.10-unfixed", "cc5095747edf"},
		"own-ext4-warn-5.10-rdma-serial":   {triage.Certain, 11, "ext4", "rdma", "5.10.0-46-amd64", "5.10", "8ac268436e6d"},
		"own-btrfs-6.12-dio-serial":        {triage.Certain, 10, "btrfs", "", "", "6.12", ""},
		"own-btrfs-oops-7.2-dio-serial":    {triage.Certain, 14, "btrfs", "dio", "7.2.13+deb14-amd64", "sid", ""},
		"log-5.10":                         {triage.Certain, 12, "ext4", "dio", "5.10.0-46-amd64", "5.10", ""},
		"log-6.1":                          {triage.Certain, 12, "ext4", "dio", "6.1.0-56-amd64", "6.1", ""},
		"log-7.2":                          {triage.Certain, 12, "ext4", "dio", "7.2.13+deb14-amd64", "sid", ""},
		"oops-ext4-5.10-flusher":           {triage.Certain, 14, "ext4", "", "5.10.262-bug", "5.10-unfixed", "cc5095747edf"},
		"oops-ext4-7.2-panic-on-warn":      {triage.Certain, 14, "ext4", "dio", "7.2.13+deb14-amd64", "sid", ""},
		"oops-ext4-5.10-panic-on-warn":     {triage.Certain, 14, "ext4", "rdma", "5.10.0-46-amd64", "5.10", "8ac268436e6d"},
	} {
		d := diagnosed(t, all[name])
		holder, lacks := "", ""
		if d.Holder != nil {
			holder = d.Holder.Name
		}
		for _, f := range d.Now.Fixes {
			if f.State == "lacks" && lacks == "" {
				lacks = f.Commits[0]
			}
		}
		kernel, _, _ := strings.Cut(d.Kernel, " ")
		if d.Sure != want.sure || d.Status() != want.status || d.Filesystem != want.filesystem || holder != want.holder || kernel != want.kernel || d.Now.Reproduce.Kernel != want.rerun || lacks != want.lacks {
			t.Errorf("%s: %s, %d, %s, %q, %q, %s, %q; want %+v", name, d.Sure, d.Status(), d.Filesystem, holder, kernel, d.Now.Reproduce.Kernel, lacks, want)
		}
		if len(d.Findings) == 0 || len(d.Findings[0].Lines) == 0 || len(d.Now.Meanwhile) == 0 {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
