package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// prepare opens the holder's device, makes the file and the regions, and posts
// the witnesses. Nothing is pinned yet.
func (r *run) prepare(ctx context.Context) error {
	r.probes = attachSoon(r.options)
	var err error
	if r.holder, err = newHolder(r.options); err != nil {
		return err
	}
	r.record.Device = r.holder.device()
	if err := r.openFile(ctx); err != nil {
		return err
	}
	if r.file, err = mapFile(r.target.file, int(r.options.FileBytes)); err != nil {
		return err
	}
	if r.anon, err = mapAnonymous(int(r.options.AnonBytes)); err != nil {
		return err
	}
	r.record.Regions = []RegionRecord{r.file.record(), r.anon.record()}
	r.watch, err = startWitnesses(r.probes, r.options.Observe, r.record.File, r.evidence)
	return err
}

func (r *run) openFile(ctx context.Context) (err error) {
	o := r.options
	if o.File != "" {
		r.target, err = openTarget(o.File, o.Scenario.Filesystem)
	} else {
		dir := o.ScratchDir
		if dir == "" {
			dir = os.TempDir()
		}
		if r.scratch, err = newScratch(ctx, dir, o.Scenario.Filesystem, o.FileBytes); err != nil {
			return err
		}
		r.target, err = r.scratch.create()
	}
	if err != nil {
		return err
	}
	r.record.File = r.target.info
	return r.target.reserve(o.FileBytes)
}

// pin pins both regions. It then looks at what a loss would do to this machine:
// only a pin that the kernel allowed can endanger it.
func (r *run) pin(context.Context) error {
	if err := r.holder.pin(r.anon, r.file); err != nil {
		return err
	}
	if r.options.AllowCrash {
		return nil
	}
	if found := dangers(r.options.Scenario.Filesystem); len(found) > 0 {
		return lacksf("this run could take the machine down: %s; run it in a guest (umemstress lab run), or give --allow-crash", strings.Join(found, "; "))
	}
	return nil
}

// write fills the source with the generation's bytes and lets the holder copy
// them onto the file's pages.
func (r *run) write(ctx context.Context, generation uint64) error {
	r.payload.fillAll(r.anon.mem, generation)
	stop := stopRule{messages: r.options.Iterations}
	if r.options.Duration > 0 {
		stop.until = time.Now().Add(r.options.Duration)
	}
	sent, err := r.holder.write(ctx, r.options.MessageBytes, stop)
	r.record.Traffic.Operations += sent.Operations
	r.record.Traffic.Bytes += sent.Bytes
	r.record.Traffic.Seconds += sent.Seconds
	return err
}

// clean writes the pages back. The file system then believes them clean and has
// them write-protected, so that it would hear of the next write by the CPU; the
// holder writes past that.
func (r *run) clean(context.Context) error {
	if err := unix.Msync(r.file.mem, unix.MS_SYNC); err != nil {
		return fmt.Errorf("msync of the pinned file: %w", err)
	}
	return nil
}

func (r *run) strip(context.Context) error {
	return newStripper(r.options.Scenario.Strip)(r.file, r.target.file)
}

func (r *run) release(ctx context.Context) error {
	return r.holder.release(ctx)
}

// settle asks the file system for what it has promised: msync and fsync, as an
// application would. What they return is part of the disk channel.
func (r *run) settle(context.Context) error {
	disk := &r.record.Channels.Disk
	disk.Msync = syncOutcome(unix.Msync(r.file.mem, unix.MS_SYNC))
	disk.Fsync = syncOutcome(fsync(r.target.file))
	return nil
}

// verify reads every page from the disk.
func (r *run) verify(ctx context.Context) error {
	disk := &r.record.Channels.Disk
	file, err := r.target.reopenDirect()
	if err == nil {
		check := diskCheck{payload: r.payload, sourcePages: uint64(len(r.anon.mem) / r.payload.pageSize), generation: 2}
		err = errors.Join(check.compare(ctx, file, r.options.FileBytes, disk), file.Close())
	}
	if err != nil {
		disk.State, disk.Why = StateFailed, err.Error()
		return err
	}
	disk.State = StateOK
	return nil
}
