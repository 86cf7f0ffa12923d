package witness

import (
	"umemstress/probes/kmsg"
	"umemstress/probes/kmsg/devkmsg"
	"umemstress/workload/record"
)

func (w *Watch) openKmsg() {
	channel := &w.channels.Kmsg
	var err error
	if w.kmsg, err = devkmsg.Open(); err != nil {
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
		w.deaths.Add(l)
		w.fail(w.evidence.AddKmsg(line))
		w.syncSoon()
	}
	if w.died != nil && (w.deaths.Told() || w.hangs()) {
		w.died()
		w.died = nil
	}
}

// hangs says whether a task waits in the kernel for good on account of the run, as far as the kernel
// has said where it waits. One that waits elsewhere may only be slow, and nobody stops for it.
func (w *Watch) hangs() bool {
	if w.blames == nil || !w.deaths.Hangs() {
		return false
	}
	w.tallyKmsg()
	w.tallyProbes()
	c := record.NoChannels()
	c.Kmsg, c.Probes = w.channels.Kmsg, w.channels.Probes
	return w.blames(c)
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
	w.tallyDeaths(channel)
}

// tallyDeaths counts what the kernel said of its end. A task that hangs is not dead yet.
func (w *Watch) tallyDeaths(channel *record.KmsgChannel) {
	channel.Oopses, channel.OwnOopses, channel.Oops, channel.Deaths = w.deaths.Count(), 0, "", nil
	for _, d := range w.deaths.All {
		death := record.Death(d)
		channel.Deaths = append(channel.Deaths, death)
		if death.Kind == record.DiedHung {
			continue
		}
		if death.Comm == w.comm {
			channel.OwnOopses++
		}
		if channel.Oops == "" {
			channel.Oops = death.Where()
		}
	}
}
