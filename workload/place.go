package workload

import (
	"context"

	"umemstress/workload/filesystem"
	"umemstress/workload/folio"
	"umemstress/workload/scenario"
)

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
