package matrix

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"umemstress/soft-roce/lab/internal/labtest"
)

// testRound is a round of scenarios named a/a/a/a, b/b/b/b and so on, each of
// which runs its own line of shell with $DIR as its evidence directory.
func testRound(t *testing.T, lines ...string) (*round, *[]string) {
	t.Helper()
	m := &Matrix{Dir: t.TempDir(), Repeat: 1, CellTimeout: time.Second}
	k := &Column{Name: "5.10"}
	commands := map[string]string{}
	for i, line := range lines {
		scenario := strings.Repeat(string(rune('a'+i))+"/", 3) + string(rune('a'+i))
		commands[scenario] = line
		k.Cells = append(k.Cells, Expectation{Kernel: "5.10", Scenario: scenario, Verdict: "clean"})
	}
	m.Command = func(scenario, dir string) []string {
		return []string{"sh", "-c", "DIR='" + dir + "'; " + commands[scenario]}
	}
	r := newRound(m, k, 1)
	told := new([]string)
	r.tell = func(p Progress) {
		if p.Done {
			*told = append(*told, p.Scenario[:1]+" "+p.Result.Got)
		}
	}
	r.watch = time.NewTimer(time.Hour)
	t.Cleanup(func() { r.watch.Stop() })
	return r, told
}

// shellRun runs the round's script in a shell of this host.
func shellRun(t *testing.T, r *round) {
	t.Helper()
	if err := r.makeDirs(); err != nil {
		t.Fatal(err)
	}
	lines := &lineReader{line: r.line}
	cmd := exec.Command("sh", "-c", r.script())
	cmd.Stdout = lines
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil || lines.err != nil || stderr.Len() > 0 {
		t.Fatalf("%v, %v, %s", err, lines.err, &stderr)
	}
}

const cleanRun = `echo '{"schema": "umemstress.run/v1", "verdict": "clean", "reason": "it'"'"'s fine"}' > "$DIR/run.json"`

func TestScript(t *testing.T) {
	r, told := testRound(t,
		cleanRun+"; echo noise; echo begin 1",
		"echo level=info >&2; echo 'umemstress: no such device' >&2; exit 3",
		"sleep 100",
		"kill -9 $$",
		cleanRun)
	shellRun(t, r)
	want := []string{"a clean", "b failed", "c timeout"}
	if !slices.Equal(*told, want) {
		t.Fatalf("cells %q, want %q", *told, want)
	}
	if got := r.cells[0]; got.Reason != "it's fine" || *got.Exit != 0 || got.Attempts != 1 || got.Evidence != "5.10/a_a_a_a" {
		t.Errorf("a: %+v", got)
	}
	if got := r.cells[1].Reason; got != "exit code 3: no such device" {
		t.Errorf("b: %s", got)
	}
	if got := r.cells[2]; got.Reason != "not finished after 1s" || got.Seconds < 0.5 {
		t.Errorf("c: %+v", got)
	}
	// A guest in which something hung is not used any more; d and e are for others.
	if !slices.Equal(r.pending, []int{3, 4}) {
		t.Fatalf("pending %v", r.pending)
	}
	shellRun(t, r)
	if got := r.cells[3]; got.Got != OutcomeFailed || got.Reason != "killed by signal 9" {
		t.Errorf("d: %+v", got)
	}
	shellRun(t, r)
	if got := r.cells[4]; got.Got != "clean" || len(r.pending) != 0 {
		t.Errorf("e: %+v, pending %v", got, r.pending)
	}
}

// TestLostCell loses guests while a cell is running.
func TestLostCell(t *testing.T) {
	begin := func(r *round, index string) {
		t.Helper()
		if err := r.makeDirs(); err != nil {
			t.Fatal(err)
		}
		r.running = -1
		if err := r.line("begin " + index); err != nil {
			t.Fatal(err)
		}
	}
	r, told := testRound(t, "", "", "", "")
	begin(r, "0")
	labtest.WriteFile(t, filepath.Join(r.cellDir(0), "run.json"), `{"phases": [{"name": "settle", "outcome": "running"}]}`)
	r.settle(OutcomeCrashed, "kernel BUG at fs/ext4/inode.c:2569!")
	if got := r.cells[0]; got.Got != OutcomeCrashed || got.Reason != "in phase settle: kernel BUG at fs/ext4/inode.c:2569!" {
		t.Errorf("a crash: %+v", got)
	}

	// Neither of these is the kernel's doing, so the cell is run again, once.
	const breakpoint = "Oops: int3: 0000 [#1] SMP; Kernel panic - not syncing: Fatal exception"
	begin(r, "1")
	r.settle(OutcomeCrashed, breakpoint)
	begin(r, "2")
	r.settle(OutcomeLabFailed, "the guest powered off")
	if !slices.Equal(r.pending, []int{1, 2, 3}) || len(*told) != 1 {
		t.Fatalf("pending %v, told %q", r.pending, *told)
	}
	begin(r, "1")
	if _, err := os.Stat(r.cellDir(1) + ".attempt-1"); err != nil {
		t.Errorf("the evidence of the first attempt: %v", err)
	}
	r.settle(OutcomeCrashed, breakpoint)
	if got := r.cells[1]; got.Got != OutcomeCrashed || got.Attempts != 2 || !slices.Equal(got.Earlier, []string{"guest-crashed: " + breakpoint}) {
		t.Errorf("a breakpoint, twice: %+v", got)
	}
	begin(r, "2")
	labtest.WriteFile(t, filepath.Join(r.cellDir(2), "run.json"), `{"schema": "umemstress.run/v1", "verdict": "clean"}`)
	if err := r.line("end 2 0"); err != nil {
		t.Fatal(err)
	}
	if got := r.cells[2]; got.Got != "clean" || got.Attempts != 2 || len(got.Earlier) != 1 {
		t.Errorf("lost once: %+v", got)
	}

	// Two guests are lost with no cell to blame.
	r.running = -1
	r.settle(OutcomeLabFailed, "no boot")
	if len(r.pending) != 1 {
		t.Fatalf("pending %v", r.pending)
	}
	r.settle(OutcomeLabFailed, "no boot")
	if got := r.cells[3]; got.Got != OutcomeLabFailed || got.Reason != "no boot" || len(r.pending) != 0 {
		t.Errorf("no guest: %+v, pending %v", got, r.pending)
	}
}

func TestLinesThatMakeNoSense(t *testing.T) {
	for _, tt := range []struct{ first, then string }{
		{"", "begin 7"}, {"", "end 0 0"}, {"begin 0", "begin 1"}, {"begin 0", "end 1 0"}, {"begin 0", "end 0"}, {"", "hello"},
	} {
		r, _ := testRound(t, "", "")
		if tt.first != "" {
			if err := r.line(tt.first); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.line(tt.then); err == nil {
			t.Errorf("%q after %q was taken", tt.then, tt.first)
		}
	}
}

func TestJobs(t *testing.T) {
	for _, tt := range []struct {
		available, memory int64
		want              int
	}{
		{24 << 30, 1 << 30, 16}, {3 << 30, 1 << 30, 2}, {1 << 30, 1 << 30, 0},
	} {
		if got := guestsWithin(tt.available, tt.memory); got != tt.want {
			t.Errorf("%+v: %d guests", tt, got)
		}
	}
	if jobs, err := MaxJobs(1 << 50); jobs != 1 || err != nil {
		t.Errorf("%d guests of 1 PiB, %v", jobs, err)
	}
	m, err := Matrix{Jobs: 2}.defaults()
	if err != nil {
		t.Fatal(err)
	}
	if m.Repeat != 1 || m.CellTimeout != time.Minute || m.Guest.Memory != 1<<30 || m.Guest.CPUs < 1 {
		t.Errorf("defaults: %+v", m)
	}
}
