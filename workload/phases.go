package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/danger"
	"umemstress/workload/filesystem"
	"umemstress/workload/folio"
	"umemstress/workload/holder"
	"umemstress/workload/holder/umem"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/promise"
	"umemstress/workload/mutation"
	"umemstress/workload/payload"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
	"umemstress/workload/strip"
	"umemstress/workload/witness"
)

// prepare takes the place for the file, makes ready who holds and who strips, makes the
// file and the regions, and posts the witnesses. Nothing is pinned yet. What the user
// may have named wrongly comes before what takes long: to attach the probes, which also a
// run that is refused would wait for, and meanwhile to make a file system.
func (r *run) prepare(ctx context.Context) error {
	if err := r.takePlace(); err != nil {
		return err
	}
	if err := r.openActors(ctx); err != nil {
		return err
	}
	r.probes = witness.AttachSoon(r.options.attach())
	if err := r.makeFile(ctx); err != nil {
		return err
	}
	if err := r.mapRegions(); err != nil {
		return err
	}
	var err error
	if r.watch, err = witness.Start(witness.Config{
		Probes: r.probes, Required: r.options.Observe == ObserveRequire,
		File: r.record.File, Comm: r.record.Process.Comm, PinsCounted: r.record.Facts.PinsCounted, DAX: r.record.Facts.DAX, Evidence: r.evidence, Log: r.options.log(),
		Died: r.die, Blames: r.blames(),
	}); err != nil {
		return err
	}
	r.account(&r.record.Channels.Accounting.Before)
	return nil
}

// openActors opens the holder and the stripper. Both are to be there before any
// page of the regions is.
func (r *run) openActors(ctx context.Context) (err error) {
	o := r.options
	holds, _ := scenario.Find(holderKinds(), o.Scenario.Holder)
	strips, _ := scenario.Find(strip.Kinds(), o.Scenario.Strip)
	if r.stripper, err = strips.Open(ctx); err != nil {
		return err
	}
	if err = r.openHolder(ctx, holds); err != nil {
		return err
	}
	r.record.Device = r.holder.Device()
	if h, ok := r.holder.(holder.Adjuster); ok {
		h.Adjust(r.record.Facts)
	}
	if why := r.record.Device.BackendWhy; why != "" {
		r.options.log().Debugf("device %s through %s: %s", r.record.Device.Name, r.record.Device.Backend, why)
	}
	r.payload.Content = r.holder.Content()
	return nil
}

// openHolder opens the holder, for as much as that takes where nobody said how much it is to be.
func (r *run) openHolder(ctx context.Context, holds holderKind) (err error) {
	r.holder, err = holds.open(ctx, r.options)
	most, tooMuch := fault.Most(err)
	mib := most >> 20 // pages of any size divide that
	if !tooMuch || mib == 0 || !r.options.FitFile {
		return err
	}
	r.options.log().Infof("the holder %s takes at most %d MiB here: without --file-size, the file's region has as many, in place of %d MiB", holds.Name, mib, r.options.FileBytes>>20)
	r.options.FileBytes = mib << 20
	r.holder, err = holds.open(ctx, r.options)
	return err
}

func (r *run) mapRegions() (err error) {
	offset, _ := r.options.geometry()
	if r.region, err = memory.MapFile(r.file.Handle, offset, int(r.options.FileBytes)); err != nil {
		return err
	}
	if folios, _ := scenario.Find(folio.Kinds(), r.options.Scenario.Folios); folios.Advise != nil {
		if err := folios.Advise(r.region); err != nil {
			return err
		}
	}
	if kind, _ := scenario.Find(filesystem.Kinds(), r.options.Scenario.Filesystem); kind.Backing != scenario.OnDevice {
		if r.record.File.Dev, err = memory.DeviceOf(r.region.Bytes); err != nil {
			return err
		}
	}
	if r.anon, err = r.options.mapAnonymous(); err != nil {
		return err
	}
	r.record.Regions = []record.Region{describe(record.RegionFile, r.region)}
	if holds, _ := scenario.Find(holderKinds(), r.options.Scenario.Holder); holds.PinsSource {
		r.record.Regions = append(r.record.Regions, describe(record.RegionAnonymous, r.anon))
	}
	return nil
}

func describe(kind string, r *memory.Region) record.Region {
	return record.Region{Kind: kind, Bytes: len(r.Bytes), Pages: len(r.Bytes) / os.Getpagesize(), Offset: r.Offset}
}

// pin pins the regions. It then looks at what a loss would do to this machine:
// only a pin that the kernel allowed can endanger it.
func (r *run) pin(ctx context.Context) error {
	if err := r.holder.Pin(ctx, r.anon, r.region); err != nil {
		return err
	}
	if err := r.lookAtFolios(); err != nil {
		return err
	}
	if r.options.AllowCrash {
		return nil
	}
	if found := danger.Sentences(danger.Run{
		Scenario: r.options.Scenario, Dirty: r.record.Channels.Accounting.Before, Pages: uint64(len(r.region.Bytes) / os.Getpagesize()),
		Driver: r.record.Device.Driver, Atomic: umem.Atomic(r.options.Verb),
	}); len(found) > 0 {
		return fault.Lacksf("this run could take the machine down: %s; give --allow-crash where it may, as in a guest (umemstress lab run -- --allow-crash)", strings.Join(found, "; "))
	}
	return nil
}

// lookAtFolios notes in folios of what sizes the pinned pages are, and says with an
// ineffective error that they are not those that were asked for.
func (r *run) lookAtFolios() (err error) {
	kind, _ := scenario.Find(folio.Kinds(), r.options.Scenario.Folios)
	channel := &r.record.Channels.Folios
	if r.options.OnDemand {
		channel.State, channel.Why = record.StateAbsent, "--odp: pages come and go on demand, and none is pinned"
		return nil
	}
	if r.direct() {
		channel.State, channel.Why = record.StateAbsent, r.options.Scenario.Filesystem+" has no page cache"
		return nil
	}
	r.folios, err = folio.Look(r.region)
	switch {
	case err == nil:
		channel.State, channel.Pinned = record.StateOK, r.folios.Sizes()
		return kind.Check(r.folios)
	case kind.Name != scenario.Natural:
		return fmt.Errorf("--folios %s: %w", kind.Name, err)
	}
	channel.State, channel.Why = record.StateAbsent, err.Error()
	return nil
}

// write fills the source with the generation's bytes and lets the holder bring
// them onto the file's pages.
func (r *run) write(ctx context.Context, generation uint64) error {
	r.payload.FillAll(r.anon.Bytes, generation)
	stop := holder.StopRule{Messages: r.options.Iterations}
	if r.options.Duration > 0 {
		stop.Until = time.Now().Add(r.options.Duration)
	}
	if err := r.stillWaits(); err != nil {
		return err
	}
	sent, err := r.holder.Write(ctx, holder.Step{Source: r.payload.Recipe(generation), Again: generation > 1, Stop: stop, Progress: &r.progress, Latency: r.latency, Overwriting: r.overwriting(generation)})
	r.noteTraffic(sent)
	r.payload.Content = r.holder.Content()
	if look := r.overwriting(generation); look != nil && err == nil {
		err = look(ctx)
	}
	return err
}

// noteTraffic records what was sent, and how long it has taken until now.
func (r *run) noteTraffic(sent record.Traffic) {
	r.record.Traffic.Add(sent)
	r.record.Traffic.Latency = r.latency.Summary()
}

// amidTraffic makes a phase one during which the traffic of a run by time goes on, with
// the bytes of the first write: an application does not pause for writeback and
// reclaim.
func (r *run) amidTraffic(phase func(context.Context) error) func(context.Context) error {
	if r.options.Duration == 0 {
		return phase
	}
	return func(ctx context.Context) error {
		var sent record.Traffic
		var failed error
		var traffic sync.WaitGroup
		end := make(chan struct{})
		traffic.Go(func() {
			sent, failed = r.holder.Write(ctx, holder.Step{Source: r.payload.Recipe(1), Stop: holder.StopRule{UntilClosed: end}, Progress: &r.progress, Latency: r.latency})
		})
		err := phase(ctx)
		close(end)
		traffic.Wait()
		r.noteTraffic(sent)
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
	if err := msync(r.region); err != nil {
		return fmt.Errorf("msync of the pinned file: %w", err)
	}
	return nil
}

// strip takes the buffers, from pages that are still pinned when it is done.
func (r *run) strip(ctx context.Context) error {
	if err := r.folios.Mark(); err != nil {
		return err
	}
	if err := errors.Join(
		r.stripper.Strip(ctx, strip.Target{Region: r.region, File: r.file.Handle, Folios: r.folios}),
		r.noteStripped(),
	); err != nil {
		return err
	}
	return r.holder.Held()
}

// noteStripped notes which of the pinned folios have lost their private data.
func (r *run) noteStripped() (err error) {
	channel := &r.record.Channels.Folios
	channel.StrippedPages, channel.StrippedFolios, err = r.folios.Stripped()
	return err
}

func (r *run) mutate(ctx context.Context) (err error) {
	kind, _ := scenario.Find(mutation.Kinds(), r.options.Scenario.Mutation)
	target := mutation.Target{File: r.file, Region: r.region, Folios: r.folios, Known: r.payload, ByChild: r.options.Mutator == MutatorChild}
	if r.direct() {
		err = r.change(ctx, kind, target)
	} else {
		r.clone, err = kind.Mutate(target)
	}
	if err != nil {
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
	mapped, err := memory.MappedPages(r.region.Bytes)
	if err == nil && mapped > 0 {
		err = fault.Ineffectivef("%s left %d of %d pages mapped, so they are still the file's",
			r.options.Scenario.Mutation, mapped, len(r.region.Bytes)/os.Getpagesize())
	}
	return err
}

func (r *run) release(ctx context.Context) error {
	if err := r.holder.Release(ctx); err != nil {
		return err
	}
	if err := r.awaitChange(ctx); err != nil {
		return err
	}
	r.account(&r.record.Channels.Accounting.Released)
	return nil
}

// settle asks the file system for what it has promised: msync and fsync, as an
// application would.
func (r *run) settle(ctx context.Context) error {
	answers, err := promise.Ask(ctx, r.file.Handle, r.region.Offset, int64(len(r.region.Bytes)), r.record.Process.Comm)
	if err != nil {
		return err
	}
	settled := record.Settled{Msync: record.NotAsked, Fsync: payload.SyncAnswer(answers.Fsync)}
	if r.region.Bytes != nil {
		settled.Msync = payload.SyncAnswer(answers.Msync)
	}
	r.record.Settled = &settled
	r.record.Channels.Disk.Msync, r.record.Channels.Disk.Fsync = settled.Msync, settled.Fsync
	return nil
}

func msync(r *memory.Region) error {
	return file.Again(func() error { return unix.Msync(r.Bytes, unix.MS_SYNC) })
}

// account notes how many pages of the whole machine the kernel counts as dirty.
// A page that ext4 drops stays counted for ever, and in the end such pages
// throttle every writer.
func (r *run) account(pages *uint64) {
	channel := &r.record.Channels.Accounting
	if channel.State == record.StateFailed {
		return // for good: a count without the one before it would be no difference
	}
	dirty, err := witness.CountDirty()
	channel.State, channel.Why = record.StateOf(err)
	*pages = dirty.Pages
}
