//go:build guest

package workload

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// killedHolder names the holder that a child of TestHoldersKilled pins with.
const killedHolder = "UMEMSTRESS_TEST_KILLED_HOLDER"

// killedDelay is that of the child's slow device: what its death takes at most.
const killedDelay = 4 * time.Second

// TestHoldersKilled kills a process in the middle of a hold, and wants it to end
// and to leave nothing.
func TestHoldersKilled(t *testing.T) {
	if name := os.Getenv(killedHolder); name != "" {
		pinAndSay(t, name)
	}
	eachHolder(t, func(t *testing.T, name string) {
		child, line, err := startChild(t, "TestHoldersKilled", killedHolder+"="+name)
		if line != "pinned\n" {
			t.Errorf("the child said %q, %v", line, err)
		}
		if devices, _ := filepath.Glob("/sys/block/dm-*"); (name == "dio") != (len(devices) > 0) {
			t.Errorf("while the child lives there are %q: this test would see nothing afterwards", devices)
		}
		killed := time.Now()
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // "signal: killed"
		if took := time.Since(killed); took > killedDelay+15*time.Second {
			t.Errorf("the killed process took %v to end", took)
		}
	})
}

// startChild runs one test of this program with a variable in its environment, and
// returns the first line that it says.
func startChild(t *testing.T, test, env string) (child *exec.Cmd, line string, err error) {
	t.Helper()
	child = exec.Command(os.Args[0], "-test.run=^"+test+"$")
	child.Env = append(os.Environ(), env)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err = bufio.NewReader(out).ReadString('\n')
	return child, line, err
}

// pinAndSay is the child: it says "pinned" on standard output and stays.
func pinAndSay(t *testing.T, name string) {
	r := newRig(t, name, 8<<20, 8<<20)
	if name == "dio" {
		r.must(r.holder.Close())
		slow, err := newSlowDevice(t.Context(), os.TempDir(), 8<<20, killedDelay)
		r.must(err)
		r.holder = &dioHolder{slow: slow}
	}
	if err := r.holder.pin(t.Context(), r.source, r.file); err != nil && !r.refusedIsFine {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("pinned")
	time.Sleep(time.Minute)
	os.Exit(1) // nobody came
}

// TestDIOTooEarly has the reads return before the second write: the holder must
// say that it held nothing, instead of a second write that did not happen.
func TestDIOTooEarly(t *testing.T) {
	r := newRig(t, "dio", 2<<20, 2<<20)
	r.must(r.holder.Close())
	slow, err := newSlowDevice(t.Context(), os.TempDir(), 2<<20, 2*time.Second)
	r.must(err)
	h := &dioHolder{slow: slow}
	defer h.Close()
	r.must(h.pin(t.Context(), r.source, r.file))
	if err := firstError(t, h.held); !isIneffective(err) {
		t.Errorf("held: %v, want ineffective", err)
	}
	if _, err := h.write(t.Context(), writeStep{again: true}); !isIneffective(err) {
		t.Errorf("write: %v, want ineffective", err)
	}
}

// TestDIOSource reads from what is given: a slow device whose bytes are to arrive,
// a file, and a fast device, which cannot hold.
func TestDIOSource(t *testing.T) {
	const size = 2 << 20
	slow, err := newSlowDevice(t.Context(), os.TempDir(), size, 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	known := make([]byte, size)
	payload{seed: 7, pageSize: os.Getpagesize(), period: size}.fillAll(known, 1)
	if err := slow.supply(known); err != nil {
		t.Fatal(err)
	}
	o := quick()
	o.FileBytes, o.AnonBytes = 3<<20, size
	o.DIOSource = "/dev/" + slow.describe().Name

	r := newRig(t, "dio", o.FileBytes, o.AnonBytes)
	given, err := openDIO(t.Context(), o)
	r.must(err)
	defer given.Close()
	r.payload.fixed = given.(*dioHolder).fixedBytes()
	if !bytes.Equal(r.payload.fixed, known) {
		t.Error("the bytes that are to arrive are not those of the device")
	}
	r.holder = given
	r.pin()
	r.write(1)
	r.wantGeneration(1)
	r.must(given.held())
	r.write(2)
	r.wantGeneration(2)

	o.DIOSource = filepath.Join(t.TempDir(), "source")
	r.must(os.WriteFile(o.DIOSource, known, 0o400))
	file, err := openDIO(t.Context(), o)
	r.must(err)
	if !bytes.Equal(file.(*dioHolder).fixedBytes(), known) {
		t.Error("the bytes that are to arrive are not those of the file")
	}
	r.must(file.Close())

	o.DIOSource = fastDevice(t, size)
	fast, err := openDIO(t.Context(), o)
	r.must(err)
	defer fast.Close()
	if err = fast.pin(t.Context(), r.source, r.file); err == nil {
		err = firstError(t, fast.held)
	}
	if !isIneffective(err) {
		t.Errorf("a fast device: %v, want ineffective", err)
	}
	o.AnonBytes, o.FileBytes = 2*size, 2*size
	_, err = openDIO(t.Context(), o)
	wantUsage(t, err, "it has 2097152 bytes and the reads take 4194304; give --anon-size 2097152 or a larger device")
}

func fastDevice(t *testing.T, size int64) string {
	f, err := namelessFile(os.TempDir(), size)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	loop, err := attachLoop(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { loop.Close() })
	return loop.Name()
}
