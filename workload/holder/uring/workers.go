package uring

import (
	"errors"
	"os"
	"strings"

	"github.com/prometheus/procfs"

	"umemstress/workload/holder"
)

// tally is how many bytes of reads the workers of io_uring, which are threads of this process, have
// handed to devices since it began. A worker outlives the ring that it was made for: it belongs to
// the thread that submitted, and waits for seconds for more to do (io_uring/io-wq.c,
// WORKER_IDLE_TIMEOUT).
type tally struct {
	before, now map[int]int64 // by thread
}

// begin has what the workers have done so far not count.
func (t *tally) begin() (err error) {
	t.before, err = workers()
	t.now = map[int]int64{}
	return err
}

// since counts workers that are gone by what they had done when they were last seen.
func (t *tally) since() (sum int64, err error) {
	now, err := workers()
	for thread, bytes := range now {
		t.now[thread] = bytes
	}
	for thread, bytes := range t.now {
		if before := t.before[thread]; before <= bytes { // more than another of that number had
			bytes -= before
		}
		sum += bytes
	}
	return sum, err
}

// workers is how many bytes each worker has handed to devices, by thread.
func workers() (map[int]int64, error) {
	self, err := procfs.Self()
	if err != nil {
		return nil, err
	}
	threads, err := procfs.AllThreads(self.PID)
	if err != nil {
		return nil, err
	}
	handed := map[int]int64{}
	for _, t := range threads {
		comm, err := t.Comm()
		if err != nil || !strings.HasPrefix(comm, "iou-wrk") { // or it has ended
			continue
		}
		bytes, err := holder.Submitted(t.PID)
		if err == nil {
			handed[t.PID] = bytes
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return handed, nil
}
