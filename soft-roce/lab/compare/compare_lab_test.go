//go:build lab

package compare

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCompare has two kernels, one of which leaves the buffers of pinned pages alone
// (d824ec2a1546): the scenario in which reclaim takes them differs, and the one that needs no
// buffers does not.
func TestCompare(t *testing.T) {
	tmp := t.TempDir()
	program, dir := filepath.Join(tmp, "umemstress"), filepath.Join(tmp, "out")
	build := exec.Command("go", "build", "-o", program, "umemstress/cmd/umemstress")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	cmd := exec.Command(program, "lab", "compare", "5.10", "6.1", "--fail-on-difference", "--format", "json", "-o", dir,
		"--scenario", "rdma/ext4/pageout/none", "--scenario", "rdma/ext4/none/punch")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("%v, want exit code 1: %s", err, &stderr)
	}
	read := func(raw []byte) (c Comparison) {
		t.Helper()
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatalf("%v in %s", err, raw)
		}
		return c
	}
	raw, err := os.ReadFile(filepath.Join(dir, "compare.json"))
	if err != nil {
		t.Fatal(err)
	}
	written, printed := read(raw), read(stdout.Bytes())
	if len(printed.Cells) != 1 || len(written.Cells) != 2 || written.Counts[Differs] != 1 || written.Counts[Equal] != 1 || len(written.Guests) != 2 {
		t.Fatalf("%s", raw)
	}
	lost := printed.Cells[0]
	if lost.Scenario != "rdma/ext4/pageout/none" || lost.State != Differs || lost.A.Got != "data-lost" || lost.B.Got != "clean" {
		t.Errorf("%+v", lost)
	}
	if !slices.Contains(lost.Saw, Difference{"disk.stale_pages", "1024", "0"}) || !strings.HasPrefix(written.B.Release, "6.1.") {
		t.Errorf("saw %+v, %+v", lost.Saw, written.B)
	}
	for _, evidence := range []string{lost.A.Evidence, lost.B.Evidence} {
		if _, err := os.Stat(filepath.Join(dir, evidence, "run.json")); err != nil || evidence == "" {
			t.Errorf("evidence: %v", err)
		}
	}
	if page, err := os.ReadFile(filepath.Join(dir, "compare.html")); err != nil || !bytes.Contains(page, []byte(`id="rdma_ext4_none_punch"`)) {
		t.Errorf("compare.html: %v, %d bytes", err, len(page))
	}
}
