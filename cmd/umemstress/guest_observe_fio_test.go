//go:build guest

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"umemstress/probes/observe"
)

// slowDisk is a block device of 4 MiB whose reads take 100 ms.
func slowDisk(t *testing.T) string {
	t.Helper()
	t.Setenv("DM_DISABLE_UDEV", "1") // the lab's guests have none, and dmsetup does its work then
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, bytes.Repeat([]byte{3}, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	shell(t, `modprobe dm_delay
		loop=$(losetup --find --show "$1")
		echo "0 8192 delay $loop 0 100" | dmsetup create umemstress-slow`, image)
	t.Cleanup(func() {
		shell(t, `dmsetup remove --retry umemstress-slow; losetup --detach $(losetup --noheadings --output NAME --associated "$1")`, image)
	})
	return "/dev/mapper/umemstress-slow"
}

// An asynchronous direct read that a worker completes is told under the name of the program
// that asked for it: fio reads into a file's pages, which are written back meanwhile.
func TestObserveFio(t *testing.T) {
	file := pinnedFile(t, 1024)
	disk := slowDisk(t)
	o := beginObserving(t, "--comm", "fio", "--fail-on-hit")
	done := make(chan struct{})
	written := make(chan struct{})
	go func() {
		defer close(written)
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				_ = file.Sync() // an error: pages that were dropped
			}
		}
	}()
	out, err := exec.Command("fio", "--name=read", "--rw=randread", "--direct=1", "--ioengine=libaio", "--iodepth=8", "--bs=256k",
		"--filename="+disk, "--size=4m", "--time_based", "--runtime=4", "--iomem=mmapshared:"+file.Name()).CombinedOutput()
	close(done)
	<-written
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l := o.await(t, func(l observe.Line) bool { return l.Event == "dirtied" && l.Path == file.Name() })
	if l.Holder != "dio" || l.Owner == nil || l.Owner.Comm != "fio" || !l.Unannounced {
		t.Errorf("%+v", l)
	}
	byWorker := o.await(t, func(l observe.Line) bool { return l.Event == "dirtied" && strings.HasPrefix(l.Actor.Comm, "kworker") })
	if byWorker.Owner == nil || byWorker.Owner.Comm != "fio" {
		t.Errorf("%+v", byWorker)
	}
	if summary, code := o.end(t); code != 10 || summary.Total().Unannounced == 0 {
		t.Errorf("exit code %d, %+v", code, summary)
	}
}
