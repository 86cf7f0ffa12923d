//go:build lab

package matrix

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/internal/labtest"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/machine"
)

func bootable(t *testing.T) kernels.Kernel {
	t.Helper()
	s, err := kernels.DefaultStore()
	if err != nil {
		t.Fatal(err)
	}
	k, err := s.Find(t.Context(), "5.10")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// twoCells are what 5.10 does, and what it does not do.
const twoCells = `
rdma/ext4/pageout/none:
  "5.10": {verdict: data-lost, pages: all, source: the test}
rdma/ext4/none/none:
  "5.10": {verdict: refused, source: the test is wrong on purpose}
`

// matrixCommand is the real program with a matrix of two cells in one guest.
func matrixCommand(t *testing.T) (cmd *exec.Cmd, dir string) {
	t.Helper()
	tmp := t.TempDir()
	program := filepath.Join(tmp, "umemstress")
	build := exec.Command("go", "build", "-o", program, "umemstress/cmd/umemstress")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	expected := filepath.Join(tmp, "expected.yaml")
	labtest.WriteFile(t, expected, twoCells)
	dir = filepath.Join(tmp, "out")
	return exec.Command(program, "lab", "matrix", "--expected", expected, "--format", "json", "-o", dir), dir
}

func readMatrix(t *testing.T, raw []byte) Result {
	t.Helper()
	var result Result
	if err := json.Unmarshal(raw, &result); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return result
}

func TestMatrix(t *testing.T) {
	cmd, dir := matrixCommand(t)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("%v, want exit code 1: %s", err, &stderr)
	}
	written, err := os.ReadFile(filepath.Join(dir, "matrix.json"))
	if err != nil || !bytes.Equal(written, stdout.Bytes()) {
		t.Errorf("matrix.json is not what was printed: %v", err)
	}
	result := readMatrix(t, written)
	if result.Schema != Schema || result.Interrupted || result.Differences != 1 || len(result.Cells) != 2 {
		t.Fatalf("%s", written)
	}
	lost, clean := result.Cells[0], result.Cells[1]
	if lost.Got != "data-lost" || lost.Difference || *lost.Exit != 12 || !strings.HasPrefix(lost.Release, "5.10.0-") {
		t.Errorf("pageout: %+v", lost)
	}
	var channels map[string]struct{ State string }
	if err := json.Unmarshal(lost.Channels, &channels); err != nil || channels["disk"].State != "ok" || channels["probes"].State != "ok" {
		t.Errorf("channels %s, %v", lost.Channels, err)
	}
	if _, err := os.Stat(filepath.Join(dir, lost.Evidence, "run.json")); err != nil {
		t.Errorf("evidence: %v", err)
	}
	if clean.Got != "clean" || len(clean.Differences) != 1 || !strings.HasPrefix(clean.Differences[0], "expected refused, got clean: ") {
		t.Errorf("no strip: %+v", clean)
	}
	// One boot served both.
	if len(result.Guests) != 1 || result.Guests[0].Trouble != "" || result.Guests[0].BootSeconds == 0 {
		t.Errorf("guests: %+v", result.Guests)
	}
	page, err := os.ReadFile(filepath.Join(dir, "matrix.html"))
	if err != nil || !bytes.Contains(page, []byte(`id="`+panelID("5.10", "rdma/ext4/none/none")+`"`)) {
		t.Errorf("matrix.html: %v, %d bytes", err, len(page))
	}
}

// TestMatrixInterrupted presses Ctrl-C while the second cell is running.
func TestMatrixInterrupted(t *testing.T) {
	cmd, dir := matrixCommand(t)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "pageout/none data-lost") {
			if len(labtest.QEMUs(t, dir)) != 1 {
				t.Error("there is no guest to interrupt")
			}
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("%v, want exit code 130", err)
	}
	if left := labtest.QEMUs(t, dir); len(left) != 0 {
		t.Errorf("QEMU is still there: %v", left)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "matrix.json"))
	if err != nil {
		t.Fatal(err)
	}
	result := readMatrix(t, raw)
	if !result.Interrupted || result.Differences != 0 || result.Cells[0].Got != "data-lost" || result.Cells[1].Got != OutcomeNotRun {
		t.Errorf("%s", raw)
	}
}

// TestMatrixOfBadCells has cells that take their guest down, each in its own
// way, and one that comes after them.
func TestMatrixOfBadCells(t *testing.T) {
	commands := map[string]string{
		"panics/a/b/c": "echo '{\"phases\": [{\"name\": \"settle\", \"outcome\": \"running\"}]}' > $DIR/run.json; echo c > /proc/sysrq-trigger; sleep 100",
		"hangs/a/b/c":  "sleep 100",
		// What is to end the cell is stopped, so that nothing in the guest can.
		"stops/a/b/c": "kill -STOP $PPID; sleep 100",
		"fails/a/b/c": "echo 'umemstress: no such thing' >&2; exit 2",
		"works/a/b/c": "echo '{\"schema\": \"umemstress.run/v1\", \"verdict\": \"exposed\"}' > $DIR/run.json; exit 10",
	}
	kernel := Column{Name: "5.10", Kernel: bootable(t)}
	for _, name := range []string{"panics", "hangs", "stops", "fails", "works"} {
		kernel.Cells = append(kernel.Cells, Expectation{Kernel: "5.10", Scenario: name + "/a/b/c", Verdict: "exposed"})
	}
	m := Matrix{
		Columns: []Column{kernel},
		Command: func(scenario, dir string) []string {
			return []string{"sh", "-c", "DIR=" + dir + "; " + commands[scenario]}
		},
		Dir:         t.TempDir(),
		Guest:       lab.Config{NoDevice: true},
		CellTimeout: 2 * time.Second,
		hangTime:    8 * time.Second,
	}
	result, err := m.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ got, reason string }{
		{OutcomeCrashed, "in phase settle: Kernel panic - not syncing: sysrq triggered crash"},
		{OutcomeTimeout, "not finished after 2s"},
		{OutcomeTimeout, "the guest hung"},
		{OutcomeFailed, "exit code 2: no such thing"},
		{"exposed", ""},
	} {
		cell := result.Cells[i]
		if cell.Got != want.got || cell.Reason != want.reason || cell.Attempts != 1 || cell.Difference != (i < 4) {
			t.Errorf("%s: %+v", cell.Scenario, cell)
		}
	}
	if len(result.Guests) != 4 || result.Differences != 4 {
		t.Errorf("%d differences, guests %+v", result.Differences, result.Guests)
	}
	for _, g := range result.Guests {
		if _, err := os.Stat(filepath.Join(m.Dir, g.Serial)); err != nil {
			t.Error(err)
		}
	}
}

// TestMatrixWithoutGuests has a kernel that does not boot.
func TestMatrixWithoutGuests(t *testing.T) {
	kernel := Column{Name: "5.10", Kernel: bootable(t), Cells: []Expectation{{Kernel: "5.10", Scenario: "a/b/c/d", Verdict: "clean"}}}
	kernel.Kernel.Image = filepath.Join(t.TempDir(), "bzImage")
	labtest.WriteFile(t, kernel.Kernel.Image, "no kernel\n")
	m := Matrix{
		Columns: []Column{kernel},
		Command: func(string, string) []string { return []string{"true"} },
		Dir:     t.TempDir(),
		Guest:   lab.Config{Accel: machine.TCG},
	}
	result, err := m.Run(t.Context())
	if err != nil || len(result.Guests) != 2 || result.Cells[0].Got != OutcomeLabFailed || !result.Cells[0].Difference {
		t.Errorf("%v, %+v", err, result)
	}
	// What the host lacks is an error, and no matter of a cell.
	t.Setenv("PATH", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = m.Run(ctx)
	var usage interface{ Usage() bool }
	var lacks interface{ HostLacks() bool }
	if !errors.As(err, &lacks) && !errors.As(err, &usage) {
		t.Errorf("Run = %v, want what the host lacks", err)
	}
}
