package witness

import (
	"os"
	"strings"

	"umemstress/probes/kmsg"
	"umemstress/workload/record"
)

func (w *Watch) openKmsg() {
	channel := &w.channels.Kmsg
	var err error
	if w.kmsg, err = kmsg.Open(); err != nil {
		channel.State, channel.Why = record.StateAbsent, err.Error()
		return
	}
	channel.State = record.StateOK
}

func (w *Watch) pumpKmsg() {
	w.mu.Lock()
	defer w.mu.Unlock()
	channel := &w.channels.Kmsg
	for channel.State == record.StateOK {
		line, more, err := w.kmsg.Next()
		if err != nil {
			channel.State, channel.Why = record.StateFailed, err.Error()
			return
		}
		if !more {
			break
		}
		l := kmsg.Classify(line)
		w.counter.Add(l)
		w.oopses.Add(l)
		w.fail(w.evidence.AddKmsg(line))
		w.syncSoon()
	}
	if w.oopses.Told() && w.died != nil {
		w.died()
		w.died = nil
	}
}

// ownComm is what the kernel calls the threads of this process.
func ownComm() string {
	comm, _ := os.ReadFile("/proc/self/comm") // without it, no thread is known to be of the run
	return strings.TrimSuffix(string(comm), "\n")
}

func (w *Watch) tallyKmsg() {
	channel := &w.channels.Kmsg
	if channel.State != record.StateOK {
		return
	}
	channel.BufferlessPages = w.counter.Counts.BufferlessPages
	channel.Suppressed = w.counter.Counts.Suppressed
	channel.Warnings = w.counter.Counts.Warnings
	channel.LostRecords = w.kmsg.Lost
	channel.Oopses, channel.OwnOopses, channel.Oops = w.oopses.All, w.oopses.Ours, w.oopses.First
}
