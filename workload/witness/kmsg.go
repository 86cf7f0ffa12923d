package witness

import (
	"errors"

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
			return
		}
		w.counter.Add(line)
		w.failed = errors.Join(w.failed, w.evidence.AddKmsg(line))
	}
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
}
