//go:build guest

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/observe"
	"umemstress/rdma"
)

// An observation is 'umemstress observe' at work.
type observation struct {
	cmd   *exec.Cmd
	log   bytes.Buffer
	mu    sync.Mutex
	lines []observe.Line
	ended chan struct{}

	expected int // bytes of the log that are as they should be
}

// beginObserving returns once the probes are attached.
func beginObserving(t *testing.T, args ...string) *observation {
	t.Helper()
	return follow(t, command(append([]string{"observe", "--format", "json"}, args...)...))
}

func follow(t *testing.T, cmd *exec.Cmd) *observation {
	t.Helper()
	o := &observation{cmd: cmd, ended: make(chan struct{})}
	o.cmd.Stderr = &o.log
	out, err := o.cmd.StdoutPipe()
	if err == nil {
		err = o.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(o.ended)
		for decoder := json.NewDecoder(out); ; {
			var l observe.Line
			if decoder.Decode(&l) != nil {
				return
			}
			o.mu.Lock()
			o.lines = append(o.lines, l)
			o.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = o.cmd.Process.Kill() // an error: it has ended already
		_ = o.cmd.Wait()
	})
	o.await(t, func(l observe.Line) bool { return l.Event == observe.Started })
	return o
}

func (o *observation) find(wanted func(observe.Line) bool) (observe.Line, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.lines, wanted)
	if i < 0 {
		return observe.Line{}, false
	}
	return o.lines[i], true
}

// await returns the first line that is wanted.
func (o *observation) await(t *testing.T, wanted func(observe.Line) bool) observe.Line {
	t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if l, ok := o.find(wanted); ok {
			return l
		}
		if time.Now().After(until) {
			t.Fatalf("not told within a minute; told: %s\n%s", o.told(), o.log.String())
		}
	}
}

// awaitNth returns the nth line that is wanted.
func (o *observation) awaitNth(t *testing.T, n int, wanted func(observe.Line) bool) observe.Line {
	t.Helper()
	seen := 0 // of those that find has looked at
	looked := map[time.Time]bool{}
	return o.await(t, func(l observe.Line) bool {
		if wanted(l) && !looked[l.Time] {
			looked[l.Time] = true
			seen++
			return seen == n
		}
		return false
	})
}

func (o *observation) told() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b strings.Builder
	for _, l := range o.lines {
		b.WriteString(l.Text())
	}
	return b.String()
}

// end interrupts it as Ctrl-C does, and returns the summary and the exit code.
func (o *observation) end(t *testing.T) (*observe.Summary, int) {
	t.Helper()
	if err := o.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-o.ended:
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
	_ = o.cmd.Wait() // the exit code says more
	last := o.lines[len(o.lines)-1]
	if last.Event != observe.Ended || last.Summary == nil {
		t.Fatalf("the last line is %+v", last)
	}
	if o.log.Len() > o.expected {
		t.Errorf("said: %s", o.log.String()[o.expected:])
	}
	return last.Summary, o.cmd.ProcessState.ExitCode()
}

// pinnedFile is a file of that many pages on the guest's ext4, all on disk.
func pinnedFile(t *testing.T, pages int) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "pool"))
	if err == nil {
		_, err = file.Write(bytes.Repeat([]byte{7}, pages<<12))
	}
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// warnings is how often ext4 has warned of the file's file system.
func warnings(t *testing.T, file *os.File) int {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	device, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev)))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(readFile(t, filepath.Join("/sys/fs/ext4", filepath.Base(device), "warning_count"))))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// perftest is ib_write_bw, a program that nobody here wrote, with the file for the memory that
// is written to.
func perftest(t *testing.T, file *os.File, seconds int) (server *exec.Cmd, client func() error) {
	t.Helper()
	device, err := rdma.FindDevice("/sys", "")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-d", device.Name, "-F", "-s", "65536", "-D", strconv.Itoa(seconds)}
	server = exec.Command("ib_write_bw", append(args, "--mmap="+file.Name())...)
	var out bytes.Buffer
	server.Stdout, server.Stderr = &out, &out
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server said: %s", out.String())
		}
		_ = server.Process.Kill() // an error: it has ended already
		_ = server.Wait()
	})
	awaitListener(t)
	return server, func() error {
		said, err := exec.Command("ib_write_bw", append(args, "127.0.0.1")...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return err
	}
}

// perftestListens is a line of /proc/net/tcp or tcp6: port 18515 in the state TCP_LISTEN. Connections from before
// stand there, too, for a minute.
var perftestListens = regexp.MustCompile(`:4853 0+:0000 0A `)

// awaitListener returns once ib_write_bw listens, which it says nowhere.
func awaitListener(tb testing.TB) {
	tb.Helper()
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var listeners string
		for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
			text, err := os.ReadFile(path)
			if err != nil {
				tb.Fatal(err)
			}
			listeners += string(text)
		}
		if perftestListens.MatchString(listeners) {
			return
		}
		if time.Now().After(until) {
			tb.Fatal("ib_write_bw does not listen")
		}
	}
}

// provokeIt has the pages of a program's file cleaned and stripped, as far as the kernel does.
func provokeIt(t *testing.T, pid int, file *os.File) {
	t.Helper()
	stdout, stderr, code := here(t, "provoke", "--pid", strconv.Itoa(pid), "--path", file.Name(), "--yes")
	if code != exit.Clean || stderr != "" || !strings.Contains(stdout, "of "+file.Name()+"\nwritten back and paged out once") {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
}

// With no more privilege than the systemd unit gives, somebody else's program is seen to pin a
// file, to lose its buffers, to dirty it at the end and to lose what was written, each with its
// name and the file's.
func TestObserve(t *testing.T) {
	if *expectVerdict == "refused" {
		return // see TestObserveRefused
	}
	const pages = 32 // two messages of 64 KiB
	file := pinnedFile(t, 256)
	before := warnings(t, file)
	others := beginObserving(t, "--fail-on-hit", "--comm", "somebody_else") // at the same time, by other hooks
	o := beginService(t, "--fail-on-hit", "--stack", "--comm", "ib_write_bw")
	server, client := perftest(t, file, 4)
	ended := make(chan error, 1)
	go func() { ended <- client() }()
	of := func(event string) func(observe.Line) bool {
		return func(l observe.Line) bool {
			return l.Event == event && l.Path == file.Name() && l.Owner != nil && l.Owner.PID == uint32(server.Process.Pid) && l.Owner.Comm == "ib_write_bw"
		}
	}
	pin := o.await(t, of("pinned"))
	if pin.Pages != pages || pin.RDMADevice == "" || pin.Filesystem != "ext4" || pin.Bytes != pages<<12 || pin.MRN == nil {
		t.Errorf("%+v", pin)
	}
	provokeIt(t, server.Process.Pid, file)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	released := o.await(t, of("released"))
	if released.Why != "dereg" || released.Pages != pages || released.UnannouncedPages != pages || released.SinceBefore || released.MRN == nil || *released.MRN != *pin.MRN {
		t.Errorf("%+v, of %+v", released, pin)
	}
	dirtied := o.await(t, of("dirtied"))
	if dirtied.Pages != pages || !dirtied.Unannounced || dirtied.Detached || dirtied.RDMADevice != pin.RDMADevice {
		t.Errorf("%+v", dirtied)
	}
	if !slices.ContainsFunc(dirtied.Stack, func(f string) bool { return strings.Contains(f, "syscall") }) {
		t.Errorf("the stack does not reach the system call: %q", dirtied.Stack)
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	lost := 0
	if *expectVerdict == "data-lost" {
		lost = pages
		stripped, dropped := o.await(t, of("stripped")), o.await(t, of("dropped"))
		// They come page by page, in one event or more; the summary has all of them.
		if stripped.Pages == 0 || dropped.Pages == 0 || !dirtied.Bufferless {
			t.Errorf("%+v\n%+v\n%+v", stripped, dirtied, dropped)
		}
	}
	summary, code := o.end(t)
	want := map[int]int{0: 10, pages: 12}[lost]
	total := summary.Total()
	if code != want || summary.Pinned != 1 || summary.Released != 1 || total.Unannounced != pages ||
		total.Bufferless != uint64(lost) || total.Stripped != uint64(lost) || total.Dropped != uint64(lost) || summary.Lost.Any() {
		t.Errorf("exit code %d, want %d; %+v", code, want, summary)
	}
	if counted, code := others.end(t); code != exit.Clean || counted.Total() != total {
		t.Errorf("who asked for what others do: exit code %d, %+v, want those of %+v", code, counted, total)
	}
	if rise := warnings(t, file) - before; rise != lost {
		t.Errorf("ext4 warned %d times, want %d", rise, lost)
	}
	t.Logf("told:\n%s", o.told())
}

// awaitPinned returns once a process has pinned something.
func awaitPinned(t *testing.T, pid int) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if !strings.Contains(readFile(t, fmt.Sprintf("/proc/%d/status", pid)), "VmPin:\t       0 kB") {
			return
		}
		if time.Now().After(until) {
			t.Fatal("nothing is pinned")
		}
	}
}

// What was pinned before the service began is told when it begins, what becomes of it is told in its
// owner's name, and its release is recognised.
func TestObserveLate(t *testing.T) {
	if *expectVerdict == "refused" {
		return // nothing is pinned
	}
	file := pinnedFile(t, 256)
	server, client := perftest(t, file, 30)
	go func() { _ = client() }() // fails when the server is killed
	awaitPinned(t, server.Process.Pid)
	time.Sleep(time.Second) // its traffic flows
	o := beginService(t, "--pid", strconv.Itoa(server.Process.Pid))
	pin := o.await(t, func(l observe.Line) bool { return l.Event == "pinned" })
	if !pin.SinceBefore || pin.Path != file.Name() || pin.Pages != 32 || pin.Filesystem != "ext4" || pin.RDMADevice == "" || pin.Owner.Comm != "ib_write_bw" || pin.Owner.Cgroup == "" || pin.MRN == nil {
		t.Errorf("%+v", pin)
	}
	provokeIt(t, server.Process.Pid, file)
	if *expectVerdict == "data-lost" {
		l := o.await(t, func(l observe.Line) bool { return l.Event == "stripped" })
		if l.Path != file.Name() || l.Owner == nil || l.Owner.Comm != "ib_write_bw" || l.Holder != "rdma" || l.RDMADevice != pin.RDMADevice {
			t.Errorf("%+v", l)
		}
	}
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	l := o.await(t, func(l observe.Line) bool { return l.Event == "released" })
	if !l.SinceBefore || l.Path != file.Name() || l.Why != "signal" || l.Signal != "SIGKILL" || l.Bytes != 128<<10 || l.Owner == nil || l.Owner.Comm != "ib_write_bw" {
		t.Errorf("%+v", l)
	}
	if summary, code := o.end(t); code != exit.Clean || summary.Released != 1 {
		t.Errorf("exit code %d, %+v", code, summary)
	}
}

// A dry run says where it would watch, and leaves nothing attached.
func TestObserveDryRun(t *testing.T) {
	stdout, stderr, code := here(t, "observe", "--dry-run")
	if code != exit.Clean || stderr != "" {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"release of a umem", "page dirtied", "buffers freed", "on try_to_free_buffers", "on __ext4_warning_inode"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is missing in:\n%s", want, stdout)
		}
	}
	if left := kprobeEvents(t, "umemstress"); len(left) != 0 {
		t.Errorf("left %q", left)
	}
	t.Log(stdout)
}
