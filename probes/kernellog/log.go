// Package kernellog tells what can be known of lost pages without a probe: what the kernel's log
// says, and what file systems count. It is for machines that have no eBPF, as RHEL 7's Linux 3.10,
// or no BTF.
//
// Of all that package probes sees it has the end alone: pages that writeback drops. Who pinned
// them, and who released them, the log does not say.
package kernellog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
	"umemstress/probes/kmsg"
	"umemstress/probes/kmsg/devkmsg"
)

const (
	interval = 50 * time.Millisecond
	// countEvery is how often file systems are asked for their counts: what one counted after
	// that is not known if it is unmounted.
	countEvery = 250 * time.Millisecond
	pageShift  = 12
)

// Config says where the system's files are.
type Config struct {
	Sys  string           // "": /sys
	Died func(kmsg.Death) // is told of the first thread of the kernel, or machine, that dies; nil: nobody is
}

// A Log follows this machine's log from when it was opened.
type Log struct {
	Config
	reader   *devkmsg.Reader
	counters *counters // used by the goroutine of Events alone
	deaths   kmsg.Deaths

	mu      sync.Mutex
	dropped map[event.Inode]event.Count // since they were taken
	total   event.Count
	lost    event.Lost
}

// Open begins at the end of the log. It takes CAP_SYSLOG, or kernel.dmesg_restrict=0.
func Open(c Config) (*Log, error) {
	if c.Sys == "" {
		c.Sys = "/sys"
	}
	reader, err := devkmsg.Open()
	if err != nil {
		return nil, fmt.Errorf("kernellog: %w", err)
	}
	return &Log{Config: c, reader: reader, counters: newCounters(c.Sys), dropped: map[event.Inode]event.Count{}}, nil
}

// Close ends it, after Events has returned.
func (l *Log) Close() error { return l.reader.Close() }

// Events delivers what the log says, until ctx is done.
func (l *Log) Events(ctx context.Context, deliver func(event.Event)) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for counted := time.Now(); ; {
		select {
		case <-ctx.Done():
			return l.check(deliver)
		case now := <-ticker.C:
			if now.Sub(counted) < countEvery {
				if err := l.pump(deliver); err != nil {
					return err
				}
				continue
			}
			counted = now
			if err := l.check(deliver); err != nil {
				return err
			}
		}
	}
}

// check pumps, and looks whether file systems have counted more than the log said. They count
// before they speak, so their counts are read first.
func (l *Log) check(deliver func(event.Event)) error {
	l.counters.read()
	if err := l.pump(deliver); err != nil {
		return err
	}
	unsaid := l.counters.unsaid()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost.Strips = unsaid
	l.lost.Events = l.reader.Lost
	return nil
}

// pump delivers what has come into the log.
func (l *Log) pump(deliver func(event.Event)) error {
	for {
		text, more, err := l.reader.Next()
		if err != nil {
			return fmt.Errorf("kernellog: %w", err)
		}
		if !more {
			break
		}
		line := kmsg.Classify(text)
		l.counters.said(line)
		l.deaths.Add(line)
		if e, ok := l.event(line); ok {
			l.count(e)
			deliver(e)
		}
	}
	if l.Died != nil && l.deaths.Told() {
		l.Died(l.deaths.All[0])
		l.Died = nil
	}
	return nil
}

// event is what a line says of a page; false: nothing.
func (l *Log) event(line kmsg.Line) (event.Event, bool) {
	e := event.Event{
		Kind: event.Dropped, TimeNS: now(), Index: line.Page, Pages: 1, Folios: 1, Comm: line.Comm, StackID: -1,
		Filesystem: strings.ToLower(line.Filesystem),
		Inode:      event.Inode{Device: device(l.Sys, line.Device), Number: line.Inode},
	}
	switch line.Kind {
	case kmsg.Bufferless:
		e.Bufferless = true
	case kmsg.Untold:
		e.Unannounced = true
		e.Index >>= pageShift
	default:
		return event.Event{}, false
	}
	return e, true
}

func (l *Log) count(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.dropped[e.Inode]
	c.Inode, c.Filesystem = e.Inode, e.Filesystem
	c.DroppedFolios++
	l.dropped[e.Inode] = c
	l.total.DroppedFolios++
}

// Totals is what the log said since it was opened.
func (l *Log) Totals() (event.Totals, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return event.Totals{Holders: map[string]event.Count{"": l.total}}, nil
}

// TakeCounts takes what the log said since the last time, by file.
func (l *Log) TakeCounts() ([]event.Count, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var counts []event.Count
	for _, c := range l.dropped {
		counts = append(counts, c)
	}
	clear(l.dropped)
	return counts, nil
}

// Lost says what the log left out: Events are records that were overwritten before they were read,
// Strips are warnings that a file system counted and the log's rate limit swallowed, which may
// have been of pages.
func (l *Log) Lost() (event.Lost, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost, nil
}

// Drain has nothing to wait for: Events reads the log to its end before it returns.
func (l *Log) Drain(context.Context) error { return nil }

// Owns is of no use: the log does not say whose the pages are.
func (l *Log) Owns(event.Inode, string, event.Owner) error { return nil }

// Symbolise fails: a line of the log has no stack.
func (l *Log) Symbolise(*event.Event) error {
	return errors.New("kernellog: a line of the log has no stack")
}

// ForgetStacks has none to forget.
func (l *Log) ForgetStacks() error { return nil }

// now is the clock of events.
func now() uint64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return uint64(t.Nano())
}

// device is the number of a block device by its name in messages; 0: there is none.
func device(sys, name string) uint32 {
	text, err := os.ReadFile(sys + "/class/block/" + strings.ReplaceAll(name, "/", "!") + "/dev")
	if err != nil {
		return 0
	}
	major, minor, _ := strings.Cut(strings.TrimSpace(string(text)), ":")
	high, err1 := strconv.ParseUint(major, 10, 12)
	low, err2 := strconv.ParseUint(minor, 10, 20)
	if errors.Join(err1, err2) != nil {
		return 0
	}
	return uint32(high<<20 | low)
}
