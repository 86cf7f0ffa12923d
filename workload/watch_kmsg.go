package workload

import "errors"

func (w *Watch) openKmsg() {
	channel := &w.channels.Kmsg
	var err error
	if w.kmsg, err = openKmsg(); err != nil {
		channel.State, channel.Why = StateAbsent, err.Error()
		return
	}
	channel.State = StateOK
}

func (w *Watch) pumpKmsg() {
	w.mu.Lock()
	defer w.mu.Unlock()
	channel := &w.channels.Kmsg
	for channel.State == StateOK {
		line, more, err := w.kmsg.Next()
		if err != nil {
			channel.State, channel.Why = StateFailed, err.Error()
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
	if channel.State != StateOK {
		return
	}
	channel.BufferlessPages = w.counter.Counts.BufferlessPages
	channel.Suppressed = w.counter.Counts.Suppressed
	channel.Warnings = w.counter.Counts.Warnings
	channel.LostRecords = w.kmsg.Lost
}
