//go:build guest

package workload

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"umemstress/workload/holder"
	"umemstress/workload/holder/holdertest"
	"umemstress/workload/holder/v4l2"
	"umemstress/workload/holder/vmci"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/fused"
	"umemstress/workload/internal/module"
	"umemstress/workload/internal/nfsd"
	"umemstress/workload/internal/p9d"
	"umemstress/workload/internal/worktest"
	"umemstress/workload/late"
	"umemstress/workload/scenario"
)

// subject is a holder of the table, with the options of a run.
func subject(kind holderKind) holdertest.Subject {
	return holdertest.Subject{
		Name:      kind.Name,
		Lacks:     lacks(kind.Name),
		MayRefuse: kind.Name == "rdma" || kind.Name == "v4l2" || kind.Name == "xdp",
		Open: func(ctx context.Context, targetBytes, sourceBytes int64) (holder.Holder, error) {
			o := quick()
			o.Scenario.Holder, o.FileBytes, o.AnonBytes, o.ScratchDir = kind.Name, targetBytes, sourceBytes, os.TempDir()
			return kind.open(ctx, o)
		},
	}
}

// netfs says whether the kernel's direct reads from 9p go through netfs: TestHoldersHere of package probes holds that.
func netfs() bool {
	_, err := os.Stat("/proc/fs/netfs")
	return err == nil
}

// lacks says why this machine cannot have the holder; "": it can.
func lacks(name string) string {
	if name != "9p" || netfs() || late.There("/sys") {
		return ""
	}
	return "this kernel pins for direct reads from 9p over virtio alone, and there is no share " + late.Tag + ": use Linux 6.8 or newer, such as 6.12, or run the lab as root with /dev/fuse"
}

func TestHolders(t *testing.T) {
	sets := []module.Set{vmci.Modules(), nfsd.Modules(), fused.Modules(), v4l2.Modules()} // once: to unload them takes a second
	if netfs() {
		sets = append(sets, p9d.Modules(), p9d.Transport())
	}
	for _, set := range sets {
		loaded, err := module.Load(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := loaded.Close(); err != nil {
				t.Error(err)
			}
		}()
	}
	for _, kind := range holderKinds() {
		t.Run(kind.Name, func(t *testing.T) { holdertest.Conform(t, subject(kind)) })
	}
}

// killedHolder names the holder that a child of TestHoldersKilled pins with.
const killedHolder = "UMEMSTRESS_TEST_KILLED_HOLDER"

// killedEnd is what the death of a process takes at most.
const killedEnd = 15 * time.Second

// TestHoldersKilled kills a process in the middle of a hold, and wants it to end
// and to leave nothing.
func TestHoldersKilled(t *testing.T) {
	if name := os.Getenv(killedHolder); name != "" {
		kind, _ := scenario.Find(holderKinds(), name)
		pinAndSay(t, subject(kind))
	}
	for _, kind := range holderKinds() {
		t.Run(kind.Name, func(t *testing.T) {
			if why := lacks(kind.Name); why != "" {
				t.Skip(why)
			}
			before := worktest.Left(t)
			killHolder(t, kind.Name)
			worktest.WantLeft(t, before)
		})
	}
}

// gated are the holders that read from a device of the run's own.
var gated = []string{"dio", "aio", "uring"}

func killHolder(t *testing.T, name string) {
	child, line, err := worktest.StartChild(t, "TestHoldersKilled", killedHolder+"="+name)
	if line != "pinned\n" && line != "refused\n" {
		t.Errorf("the child said %q, %v", line, err)
	}
	if devices, _ := filepath.Glob("/sys/block/dm-*"); slices.Contains(gated, name) != (len(devices) > 0) {
		t.Errorf("while the child lives there are %q: this test would see nothing afterwards", devices)
	}
	killed := time.Now()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // "signal: killed"
	if took := time.Since(killed); took > killedEnd {
		t.Errorf("the killed process took %v to end", took)
	}
	if line == "refused\n" {
		t.Skip("this kernel refuses the pin of the holder " + name + ": use one that grants it, such as 5.10 or 6.1")
	}
}

// pinAndSay is the child: it says "pinned" or "refused" on standard output and stays.
func pinAndSay(t *testing.T, s holdertest.Subject) {
	r := holdertest.NewRig(t, s, 8<<20, 8<<20)
	switch err := r.Holder.Pin(t.Context(), r.Source, r.Region); {
	case err == nil:
		fmt.Println("pinned")
	case s.MayRefuse && fault.IsPinRefused(err):
		fmt.Println("refused")
	default:
		fmt.Println(err)
		os.Exit(1)
	}
	time.Sleep(time.Minute)
	os.Exit(1) // nobody came
}
