package workload

import (
	"context"
	"strings"

	"umemstress/workload/filesystem"
	"umemstress/workload/folio"
	"umemstress/workload/internal/fault"
	"umemstress/workload/scenario"
)

// NeedsPmem says whether a scratch of the scenario's file system is made on persistent memory that the
// user has to name.
func NeedsPmem(s scenario.Scenario) bool {
	kind, _ := scenario.Find(filesystem.Kinds(), s.Filesystem)
	return kind.Backing == scenario.OnPmem
}

// onPmem are the file systems that are made on persistent memory.
func onPmem() (names []string) {
	for _, kind := range filesystem.Kinds() {
		if kind.Backing == scenario.OnPmem {
			names = append(names, kind.Name)
		}
	}
	return names
}

// validatePlace refuses persistent memory where none is used. What is used is the user's to name: a run
// overwrites no device that it was not told to.
func (o Options) validatePlace() error {
	switch needs := NeedsPmem(o.Scenario); {
	case needs && o.PmemDevice == "" && o.File == "":
		return fault.Usagef("--fs %s: name the persistent memory that it is made on, which is overwritten, by --pmem-dev /dev/pmem0, or a new file on such a file system by --file; in a guest: umemstress lab run --pmem 256 -- --fs %[1]s --strip none", o.Scenario.Filesystem)
	case o.PmemDevice != "" && !needs:
		return fault.Usagef("--pmem-dev %s: %s is not made on persistent memory; give --fs %s, or leave it out", o.PmemDevice, o.Scenario.Filesystem, strings.Join(onPmem(), " or "))
	case o.PmemDevice != "" && o.File != "":
		return fault.Usagef("--pmem-dev %s: --file %s is on a file system of yours; give one of the two", o.PmemDevice, o.File)
	}
	return nil
}

// takePlace creates the file that the user named, or takes the space of the scratch file
// system. No page of either is there yet.
func (r *run) takePlace() (err error) {
	o := r.options
	kind, _ := scenario.Find(filesystem.Kinds(), o.Scenario.Filesystem)
	if folios, _ := scenario.Find(folio.Kinds(), o.Scenario.Folios); folios.Fill != nil {
		kind = kind.InLargeFolios()
	}
	if o.File != "" {
		r.file, err = filesystem.CreateUsers(o.File, kind)
		return err
	}
	_, length := o.geometry()
	if kind.Backing == scenario.OnPmem {
		r.scratch, err = filesystem.OnPmem(o.PmemDevice, o.scratchDir(), kind, length)
		return err
	}
	r.scratch, err = filesystem.NewScratch(o.scratchDir(), kind, length)
	return err
}

// makeFile makes the scratch and its file, if it is not the user's, gives the file its
// blocks, and fills the page cache with it if that is asked for.
func (r *run) makeFile(ctx context.Context) (err error) {
	if r.scratch != nil {
		if err := r.scratch.Make(ctx); err != nil {
			return err
		}
		if r.file, err = r.scratch.Create(); err != nil {
			return err
		}
	}
	offset, length := r.options.geometry()
	r.file.Info.Bytes = length
	r.record.File = r.file.Info
	kind, _ := scenario.Find(filesystem.Kinds(), r.options.Scenario.Filesystem)
	if kind.Backing != scenario.OnDevice {
		if err := r.file.Reserve(length); err != nil {
			return err
		}
	}
	folios, _ := scenario.Find(folio.Kinds(), r.options.Scenario.Folios)
	if folios.Fill == nil {
		return nil
	}
	filling := folio.Filling{File: r.file.Handle, Bytes: length, From: offset, Until: offset + r.options.FileBytes}
	if kind.Backing != scenario.InMemory {
		filling.Evict = func() error { return r.file.Evict(length) }
	}
	return folios.Fill(filling)
}
