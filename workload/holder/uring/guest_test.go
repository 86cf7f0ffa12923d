//go:build guest

package uring

import (
	"errors"
	"os"
	"testing"

	"umemstress/soft-roce/leaktest"
	"umemstress/workload/child"
	"umemstress/workload/holder"
	"umemstress/workload/internal/block"
	"umemstress/workload/internal/gated"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/worktest"
)

// The test binary is also what removes a device that a killed process leaves.
func TestMain(m *testing.M) {
	child.RunIfChild(map[string]child.Main{block.GuardChild: block.GuardMain, block.RemoveChild: block.RemoveMain})
	os.Exit(leaktest.Run(m))
}

const readBytes = 2 << 20

// TestWorkersOfBefore has workers that read for one ring not count for the next one, whose reads
// would be taken to be in flight before they have pinned a page.
func TestWorkersOfBefore(t *testing.T) {
	if err := Available(); err != nil {
		if lacks := interface{ HostLacks() bool }(nil); !errors.As(err, &lacks) {
			t.Error(err)
		}
		return // Linux 5.10: others are asked to take another holder
	}
	device, err := gated.New(t.Context(), t.TempDir(), readBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	into, err := memory.MapAnonymous(readBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close()
	memory.Touch(into.Bytes)

	read(t, device, into.Bytes, nil)
	handed, err := workers()
	if err != nil || len(handed) == 0 {
		t.Fatalf("workers of the first ring that are still there: %v, %v: nothing can be counted too often", handed, err)
	}
	if err := device.Hold(); err != nil {
		t.Fatal(err)
	}
	read(t, device, into.Bytes, func(q *queue) {
		worktest.Eventually(t, "the reads are in flight", func() bool {
			there, err := q.InFlight()
			if err != nil {
				t.Fatal(err)
			}
			return there
		})
		if bytes, err := q.workers.since(); err != nil || bytes != readBytes {
			t.Errorf("reads of %d bytes are in flight, %v; want %d", bytes, err, readBytes)
		}
		if err := device.LetGo(); err != nil {
			t.Fatal(err)
		}
	})
}

// read reads all of a device by a ring of its own, and calls during once that has begun.
func read(t *testing.T, device *gated.Device, into []byte, during func(*queue)) {
	t.Helper()
	q, err := newQueue(1)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if _, err := q.Submit(device.Node(), []holder.QueuedRead{{Into: into}}); err != nil {
		t.Fatal(err)
	}
	if during != nil {
		during(q)
	}
	if done, err := q.Next(); err != nil || done.Result != readBytes {
		t.Fatalf("%+v, %v, want %d bytes", done, err, readBytes)
	}
}
