package workload

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// prepare makes ready who holds and who strips, makes the file and the regions, and
// posts the witnesses. Nothing is pinned yet.
func (r *run) prepare(ctx context.Context) error {
	r.probes = AttachSoon(r.options.attach())
	if err := r.openActors(ctx); err != nil {
		return err
	}
	if err := r.openFile(ctx); err != nil {
		return err
	}
	if err := r.mapRegions(); err != nil {
		return err
	}
	var err error
	if r.watch, err = Start(r.probes, r.options.Observe == ObserveRequire, r.record.File, r.evidence); err != nil {
		return err
	}
	r.account(&r.record.Channels.Accounting.Before)
	return nil
}

// openActors opens the holder and the stripper. Both are to be there before any
// page of the regions is.
func (r *run) openActors(ctx context.Context) (err error) {
	o := r.options
	holds, _ := Find(holderKinds(), o.Scenario.Holder)
	strips, _ := Find(stripKinds(), o.Scenario.Strip)
	if r.stripper, err = strips.open(ctx); err != nil {
		return err
	}
	if r.holder, err = holds.open(ctx, o); err != nil {
		return err
	}
	r.record.Device = r.holder.Device()
	r.payload.fixed = r.holder.Content()
	return nil
}

func (r *run) openFile(ctx context.Context) (err error) {
	o := r.options
	kind, _ := Find(filesystems(), o.Scenario.Filesystem)
	if o.File != "" {
		r.target, err = openTarget(o.File, kind)
	} else {
		if r.scratch, err = newScratch(ctx, o.scratchDir(), kind, o.FileBytes); err != nil {
			return err
		}
		r.target, err = r.scratch.create()
	}
	if err != nil {
		return err
	}
	r.record.File = r.target.info
	if kind.Backing == OnDevice {
		return nil
	}
	return r.target.reserve(o.FileBytes)
}

func (r *run) mapRegions() (err error) {
	if r.file, err = mapFile(r.target.file, int(r.options.FileBytes)); err != nil {
		return err
	}
	if strips, _ := Find(stripKinds(), r.options.Scenario.Strip); strips.SinglePages {
		if err := r.file.singlePages(); err != nil {
			return err
		}
	}
	if kind, _ := Find(filesystems(), r.options.Scenario.Filesystem); kind.Backing != OnDevice {
		if r.record.File.Dev, err = mappedDevice(r.file.mem); err != nil {
			return err
		}
	}
	if r.anon, err = mapAnonymous(int(r.options.AnonBytes)); err != nil {
		return err
	}
	r.record.Regions = []RegionRecord{describe("file", r.file)}
	if holds, _ := Find(holderKinds(), r.options.Scenario.Holder); holds.PinsSource {
		r.record.Regions = append(r.record.Regions, describe("anonymous", r.anon))
	}
	return nil
}

func describe(kind string, r *region) RegionRecord {
	return RegionRecord{Kind: kind, Bytes: len(r.mem), Pages: len(r.mem) / os.Getpagesize()}
}

// pin pins the regions. It then looks at what a loss would do to this machine:
// only a pin that the kernel allowed can endanger it.
func (r *run) pin(ctx context.Context) error {
	if err := r.holder.Pin(ctx, r.anon, r.file); err != nil {
		return err
	}
	if r.options.AllowCrash {
		return nil
	}
	if found := Dangers(r.options.Scenario.Filesystem); len(found) > 0 {
		return lacksf("this run could take the machine down: %s; run it in a guest (umemstress lab run), or give --allow-crash", strings.Join(found, "; "))
	}
	return nil
}

// write fills the source with the generation's bytes and lets the holder bring
// them onto the file's pages.
func (r *run) write(ctx context.Context, generation uint64) error {
	r.payload.fillAll(r.anon.mem, generation)
	stop := stopRule{Messages: r.options.Iterations}
	if r.options.Duration > 0 {
		stop.Until = time.Now().Add(r.options.Duration)
	}
	sent, err := r.holder.Write(ctx, writeStep{Again: generation > 1, Stop: stop})
	r.record.Traffic.Add(sent)
	return err
}

// amidTraffic makes a phase one during which the traffic of a run by time goes on, with
// the bytes of the first write: an application does not pause for writeback and
// reclaim.
func (r *run) amidTraffic(phase func(context.Context) error) func(context.Context) error {
	if r.options.Duration == 0 {
		return phase
	}
	return func(ctx context.Context) error {
		var sent Traffic
		var failed error
		var traffic sync.WaitGroup
		end := make(chan struct{})
		traffic.Go(func() { sent, failed = r.holder.Write(ctx, writeStep{Stop: stopRule{Told: end}}) })
		err := phase(ctx)
		close(end)
		traffic.Wait()
		r.record.Traffic.Add(sent)
		if failed != nil {
			return failed
		}
		return err
	}
}

// clean writes the pages back. The file system then believes them clean and has
// them write-protected, so that it would hear of the next write by the CPU; the
// holder writes past that.
func (r *run) clean(context.Context) error {
	if err := msync(r.file); err != nil {
		return fmt.Errorf("msync of the pinned file: %w", err)
	}
	return nil
}

// strip takes the buffers, from pages that are still pinned when it is done.
func (r *run) strip(ctx context.Context) error {
	if err := r.stripper.Strip(ctx, r.file, r.target.file); err != nil {
		return err
	}
	return r.holder.Held()
}

func (r *run) mutate(context.Context) (err error) {
	kind, _ := Find(mutationKinds(), r.options.Scenario.Mutation)
	if r.clone, err = kind.mutate(r.target, r.options.FileBytes, r.payload); err != nil {
		return err
	}
	if kind.Detaches {
		if err := r.detached(); err != nil {
			return err
		}
	}
	return r.holder.Held()
}

// detached says with an ineffective error that pages are the file's as before: the
// kernel unmaps a page before it takes it from its file. A direct write that the file
// system makes through the page cache takes none.
func (r *run) detached() error {
	mapped, err := mappedPages(r.file.mem)
	if err == nil && mapped > 0 {
		err = ineffectivef("%s left %d of %d pages mapped, so they are still the file's",
			r.options.Scenario.Mutation, mapped, len(r.file.mem)/os.Getpagesize())
	}
	return err
}

func (r *run) release(ctx context.Context) error {
	if err := r.holder.Release(ctx); err != nil {
		return err
	}
	r.account(&r.record.Channels.Accounting.Released)
	return nil
}

// settle asks the file system for what it has promised: msync and fsync, as an
// application would.
func (r *run) settle(context.Context) error {
	settled := Settled{Msync: NotAsked}
	if r.file.mem != nil {
		settled.Msync = syncOutcome(msync(r.file))
	}
	settled.Fsync = syncOutcome(fsync(r.target.file))
	r.record.Settled = &settled
	r.record.Channels.Disk.Msync, r.record.Channels.Disk.Fsync = settled.Msync, settled.Fsync
	return nil
}

func msync(r *region) error { return unix.Msync(r.mem, unix.MS_SYNC) }

// account notes how many pages of the whole machine the kernel counts as dirty.
// A page that ext4 drops stays counted for ever, and in the end such pages
// throttle every writer.
func (r *run) account(pages *uint64) {
	n, err := DirtyPages()
	channel := &r.record.Channels.Accounting
	channel.State, channel.Why = StateOf(err)
	*pages = n
}
