package provoke

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/mapped"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/promise"
)

// Options say whom to provoke.
type Options struct {
	PID  uint32
	Path string        // only this file, or those in this directory; "": all
	For  time.Duration // go on for so long; 0: once
	By   Way           // how the pages are taken; "": Madvise
	Proc string        // where procfs is mounted; "": /proc
}

// A Way to have reclaim take pages.
type Way string

// The ways. Madvise takes those of the program's mappings (Linux 5.10), Memcg the page cache of its
// memory cgroup, which other processes may be in.
const (
	Madvise Way = "madvise"
	Memcg   Way = "memcg"
)

// A Target is memory of the program that its file system writes back: a writable shared mapping
// of a file, or a part of one that the kernel has split.
type Target struct {
	Path       string `json:"path"` // as the program has it mapped
	Filesystem string `json:"filesystem,omitempty"`
	Address    string `json:"address"`
	Bytes      uint64 `json:"bytes"`

	mapping mapped.Mapping
}

// A Result is what was done.
type Result struct {
	Targets []Target `json:"targets"`
	Cgroup  *Cgroup  `json:"cgroup,omitempty"` // with Memcg
	Passes  int      `json:"passes"`
	// AdvisedBytes is of how much memory the kernel was asked to take the pages, in all passes.
	// It takes those that it can; pinned ones stay, and may lose their buffers.
	AdvisedBytes uint64  `json:"advised_bytes"`
	Ended        bool    `json:"ended"` // the program ended meanwhile
	Seconds      float64 `json:"seconds"`
}

// pause is left between two passes, for the program to write.
const pause = 50 * time.Millisecond

// A Program is somebody else's. It is held, so that another that gets its number once it has ended
// is left alone.
type Program struct {
	Targets []Target
	Cgroup  *Cgroup // whose page cache is taken; nil: none's

	options Options
	process int // descriptor
}

// Hold takes hold of the program, and finds what there is to provoke. None at all is an error of the
// caller's.
func Hold(o Options) (*Program, error) {
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	process, err := unix.PidfdOpen(int(o.PID), 0)
	switch {
	case errors.Is(err, unix.ENOSYS):
		return nil, fault.Lacksf("the kernel cannot be asked to page out the memory of another process: it takes Linux 5.10")
	case errors.Is(err, unix.ESRCH):
		return nil, o.gone()
	case err != nil:
		return nil, fmt.Errorf("take hold of process %d: %w", o.PID, err)
	}
	p := &Program{options: o, process: process}
	if p.Targets, err = o.targets(); err == nil && o.By == Memcg {
		p.Cgroup, err = findCgroup(o.Proc, o.PID)
	}
	if p.ended() {
		err = o.gone() // and what was read may be of another
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (o Options) gone() error { return fault.Usagef("there is no process %d", o.PID) }

// Close lets go of the program.
func (p *Program) Close() error { return unix.Close(p.process) }

// ended tells whether the program is gone. Its number is its own until then.
func (p *Program) ended() bool {
	return errors.Is(unix.PidfdSendSignal(p.process, 0, nil, 0), unix.ESRCH)
}

func (o Options) targets() ([]Target, error) {
	mappings, err := mapped.Of(o.Proc, o.PID)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil, o.gone()
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fault.Lacksf("the maps of process %d are not to be read: it takes root, or CAP_SYS_PTRACE", o.PID)
	}
	if err != nil {
		return nil, fmt.Errorf("read the maps of process %d: %w", o.PID, err)
	}
	var targets []Target
	for _, m := range mappings {
		if !m.Shared || !m.Writable || !o.wants(m.Path) {
			continue
		}
		filesystem := m.Filesystem(o.Proc, o.PID)
		if mapped.InMemory(filesystem) || !isData(m.File(o.Proc, o.PID)) {
			continue
		}
		targets = append(targets, Target{Path: m.Path, Filesystem: filesystem, Address: fmt.Sprintf("%#x", m.Start), Bytes: m.End - m.Start, mapping: m})
	}
	if len(targets) == 0 {
		return nil, fault.Usagef("process %d has no writable shared mapping of such a file: what it pins elsewhere cannot lose data in this way", o.PID)
	}
	return targets, nil
}

func (o Options) wants(path string) bool {
	return o.Path == "" || path == o.Path || strings.HasPrefix(path, strings.TrimSuffix(o.Path, "/")+"/")
}

// isData says whether a file is one that a file system writes back, or a block device: others,
// such as a device that a driver lets be mapped, are nobody's to open.
func isData(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	kind := info.Mode().Type()
	return kind == 0 || kind == fs.ModeDevice
}

// Result is one of nothing yet: what there is to provoke.
func (p *Program) Result() Result { return Result{Targets: p.Targets, Cgroup: p.Cgroup} }

// Do provokes the targets until the time is up or the program has ended. The result is there with
// an error, too.
func (p *Program) Do(ctx context.Context) (Result, error) {
	result := p.Result()
	began := time.Now()
	err := p.passes(ctx, &result)
	result.Seconds = time.Since(began).Seconds()
	if errors.Is(err, unix.ESRCH) {
		result.Ended, err = true, nil
	}
	return result, err
}

func (p *Program) passes(ctx context.Context, result *Result) error {
	for until := time.Now().Add(p.options.For); ; {
		if err := p.writeBack(ctx); err != nil {
			return err
		}
		advised, err := p.reclaim(ctx)
		result.AdvisedBytes += advised
		if err != nil {
			return err
		}
		result.Passes++
		if !time.Now().Before(until) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// reclaim has the kernel take the pages, and tells of how much memory.
func (p *Program) reclaim(ctx context.Context) (advised uint64, err error) {
	if p.Cgroup != nil {
		return p.Cgroup.reclaim(ctx)
	}
	for _, target := range p.Targets {
		n, err := pageOut(p.process, target.mapping.Start, target.Bytes)
		advised += n
		if err != nil {
			return advised, err
		}
	}
	return advised, nil
}

// asker is what the kernel's log calls the thread that asked for a write-back, where it died of
// that.
const asker = "provoke"

// writeBack cleans the pages of the files, each once: a child asks for it, since a kernel with
// the bug may die of what it finds there.
func (p *Program) writeBack(ctx context.Context) error {
	type file struct {
		major, minor uint32
		inode        uint64
	}
	seen := map[file]bool{}
	for _, t := range p.Targets {
		m := t.mapping
		if f := (file{m.Major, m.Minor, m.Inode}); seen[f] {
			continue
		} else {
			seen[f] = true
		}
		if err := p.sync(ctx, m.File(p.options.Proc, p.options.PID)); err != nil {
			return fmt.Errorf("write back %s: %w", t.Path, err)
		}
	}
	return nil
}

// sync asks for one. What it answers is the program's to know: the file system may have thrown
// pages away already.
func (p *Program) sync(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if p.ended() { // what was opened by its number may be another's
		return errors.Join(unix.ESRCH, closed(f))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the program has unmapped it meanwhile
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = promise.Ask(ctx, f, 0, 0, asker)
	return err
}

func closed(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}
