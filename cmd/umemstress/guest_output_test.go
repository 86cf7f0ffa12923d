//go:build guest

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/observe"
	"umemstress/rdma"
)

// A registrar makes RDMA regions of a page of a file, and ends them: what observe has a line or
// two of for each.
type registrar struct {
	pd  *rdma.PD
	mem []byte
}

func newRegistrar(t *testing.T) *registrar {
	t.Helper()
	file := pinnedFile(t, 1)
	mem, err := unix.Mmap(int(file.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	device, err := rdma.FindDevice("/sys", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := rdma.Open(device)
	if err != nil {
		t.Fatal(err)
	}
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ctx.Close(); err != nil {
			t.Error(err)
		}
		if err := unix.Munmap(mem); err != nil {
			t.Error(err)
		}
	})
	return &registrar{pd, mem}
}

// register makes and ends n regions. Where the kernel refuses them, that is what there is to tell.
func (r *registrar) register(t *testing.T, n int) {
	t.Helper()
	for range n {
		mr, err := r.pd.RegisterMR(r.mem, rdma.AccessLocalWrite|rdma.AccessRemoteWrite)
		if (err != nil) != (*expectVerdict == "refused") {
			t.Fatal(err)
		}
		if err == nil {
			err = mr.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// registration is the event that there is one of for each region.
func registration() string {
	if *expectVerdict == "refused" {
		return "refused"
	}
	return "pinned"
}

// awaitText waits until a file has the text.
func awaitText(t *testing.T, path, text string) {
	t.Helper()
	awaitMatch(t, path, regexp.QuoteMeta(text))
}

// awaitMatch waits until a file has what matches the expression.
func awaitMatch(t *testing.T, path, expression string) {
	t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		found, err := os.ReadFile(path)
		if err == nil && regexp.MustCompile(expression).Match(found) {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%s does not have %q: %.2000s, %v", path, expression, found, err)
		}
	}
}

// startObserving starts 'umemstress observe' with its output led to out, which may be nil.
func startObserving(t *testing.T, out io.Writer, log *bytes.Buffer, args ...string) *exec.Cmd {
	t.Helper()
	cmd := command(append([]string{"observe", "--format", "json"}, args...)...)
	cmd.Stdout, cmd.Stderr = out, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // an error: it has ended already
		_ = cmd.Wait()
	})
	return cmd
}

// linesOf reads lines of JSON; each is whole.
func linesOf(t *testing.T, path string) (lines []observe.Line) {
	t.Helper()
	text := readFile(t, path)
	if !strings.HasSuffix(text, "\n") {
		t.Errorf("%s ends within a line", path)
	}
	for line := range strings.Lines(text) {
		var l observe.Line
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v in %q", path, err, line)
		}
		lines = append(lines, l)
	}
	return lines
}

// Lines go to files that are turned over, by the observer when they are full and by another
// program that then hangs it up; each is in one of them.
func TestObserveOutputFile(t *testing.T) {
	const size, each = 64 << 10, 200 // lines of 400 bytes or more: each time more than a file takes
	r := newRegistrar(t)
	path := filepath.Join(t.TempDir(), "out")
	var out, log bytes.Buffer
	cmd := startObserving(t, &out, &log, "--output-file", path, "--output-size", "64K", "--output-keep", "50", "--pid", strconv.Itoa(os.Getpid()))
	awaitText(t, path, `"started"`)
	r.register(t, each)
	if err := os.Rename(path, path+".by-hand"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	awaitText(t, path, "") // it is there again, without anything to tell
	r.register(t, each)
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || log.Len() > 0 || out.Len() > 0 {
		t.Fatalf("%v: %s%s", err, out.String(), log.String())
	}
	paths, err := filepath.Glob(path + ".*")
	if err != nil || len(paths) < 2 {
		t.Fatalf("%q, %v", paths, err)
	}
	found := map[string]int{}
	for _, p := range append(paths, path) {
		for _, l := range linesOf(t, p) {
			found[l.Event]++
		}
		if info, err := os.Stat(p); err != nil || info.Size() > size {
			t.Errorf("%s: %v, %v", p, info, err)
		}
	}
	if found[registration()] != 2*each || found[observe.Started] != 1 || found[observe.Ended] != 1 || found[observe.Lost] != 0 {
		t.Errorf("%v in %q", found, paths)
	}
	last := linesOf(t, path)
	if last[len(last)-1].Event != observe.Ended {
		t.Errorf("the last line is %+v", last[len(last)-1])
	}
}

// Nobody reads: the observer goes on and counts, keeps its journal and its metrics, says what was
// not told when somebody reads again, and ends at once when it is to, whoever reads.
func TestObserveNobodyReads(t *testing.T) {
	regions := 3000 // twice as many lines
	if *expectVerdict == "refused" {
		regions *= 2
	}
	r := newRegistrar(t)
	dir := t.TempDir()
	journal, textfile := filepath.Join(dir, "journal"), filepath.Join(dir, "umemstress.prom")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	var log bytes.Buffer
	cmd := startObserving(t, write, &log, "--journal", journal, "--textfile", textfile, "--pid", strconv.Itoa(os.Getpid()))
	write.Close()
	awaitText(t, filepath.Join(journal, "journal.jsonl"), `"started"`)
	r.register(t, regions)
	counted := fmt.Sprintf(`%s_regions":%d`, registration(), regions)
	awaitText(t, filepath.Join(journal, "summary.json"), counted)
	awaitText(t, textfile, fmt.Sprintf(`umemstress_regions_total{kind="%s"} %d`, registration(), regions))
	// The kernel has counted all; the observer is still at it.
	awaitMatch(t, textfile, `umemstress_lost_total\{stage="output"\} [1-9]`)
	if err := read.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(read)
	found := map[string]int{}
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		var l observe.Line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatal(err)
		}
		if found[l.Event]++; l.Event != observe.Lost {
			continue
		}
		events := found["pinned"] + found["refused"] + found["released"]
		if l.Summary.Lost.Output == 0 || uint64(events) != l.Summary.Events || events < 1000 {
			t.Errorf("%v and then %+v", found, l.Summary)
		}
		break
	}
	r.register(t, regions) // and nobody reads again
	awaitText(t, filepath.Join(journal, "summary.json"), fmt.Sprintf(`%s_regions":%d`, registration(), 2*regions))
	begun := time.Now()
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code says more
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it ended after %v", took)
	}
	if code := cmd.ProcessState.ExitCode(); code != exit.Failed || strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "the output is stuck") {
		t.Errorf("exit code %d: %s", code, log.String())
	}
	if left := kprobeEvents(t, "umemstress"); len(left) != 0 {
		t.Errorf("left %q", left)
	}
}

// On a full disk the observer says so once, goes on, writes again when there is room, with what was
// lost, and fails in the end.
func TestObserveFullDisk(t *testing.T) {
	r := newRegistrar(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	path, ballast := filepath.Join(dir, "out"), filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 96<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	cmd := startObserving(t, &out, &log, "--output-file", path, "--pid", strconv.Itoa(os.Getpid()))
	awaitText(t, path, `"started"`)
	r.register(t, 200)
	time.Sleep(3 * time.Second) // it finds the disk full
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	awaitText(t, path, `"event":"lost"`)
	r.register(t, 1)
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code says more
	if code := cmd.ProcessState.ExitCode(); code != exit.Failed || strings.Count(log.String(), "level=warning") != 1 || strings.Count(log.String(), "no space left on device") != 2 {
		t.Errorf("exit code %d: %s", code, log.String())
	}
	lines := linesOf(t, path)
	last := lines[len(lines)-1]
	events := slices.DeleteFunc(slices.Clone(lines), func(l observe.Line) bool { return l.Owner == nil })
	if last.Event != observe.Ended || last.Summary.Lost.Output == 0 || last.Summary.Events != uint64(len(events)) || last.Summary.Pinned+last.Summary.Refused != 201 {
		t.Errorf("%d events and then %+v", len(events), last.Summary)
	}
}

// The types of a kernel that has none come from a file.
func TestObserveBTF(t *testing.T) {
	const btf = "/sys/kernel/btf"
	dir := t.TempDir()
	saved, wrong := filepath.Join(dir, "vmlinux"), filepath.Join(dir, "wrong")
	for path, text := range map[string]string{saved: readFile(t, btf+"/vmlinux"), wrong: "no types"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hideTypes(t)
	// Without any, the kernel's log is watched, which does not say whose the pages are.
	if _, stderr, code := outcome(t, "observe", "--duration", "1", "--pid", strconv.Itoa(os.Getpid())); code != exit.HostLacks || !strings.Contains(stderr, "--btf FILE") {
		t.Errorf("without types: exit code %d: %s", code, stderr)
	}
	if _, stderr, code := outcome(t, "observe", "--btf", wrong); code != exit.Usage || !strings.Contains(stderr, "no types (BTF) to be read in "+wrong) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("wrong types: exit code %d: %s", code, stderr)
	}
	stdout, stderr, code := outcome(t, "observe", "--btf", saved, "--dry-run")
	if code != exit.Clean || stderr != "" || !regexp.MustCompile(`page dirtied +kprobe`).MatchString(stdout) {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	t.Log(stdout)
	r := newRegistrar(t)
	o := beginObserving(t, "--btf", saved, "--pid", strconv.Itoa(os.Getpid()), "--stack")
	r.register(t, 2)
	l := o.await(t, func(l observe.Line) bool { return l.Event == registration() })
	if !strings.HasSuffix(l.Path, "/pool") || l.Owner == nil || l.Owner.PID != uint32(os.Getpid()) {
		t.Errorf("%+v", l)
	}
	if summary, code := o.end(t); code != exit.Clean || summary.Pinned+summary.Refused != 2 {
		t.Errorf("exit code %d, %+v", code, summary)
	}
}
