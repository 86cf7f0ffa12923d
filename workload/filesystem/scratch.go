package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"umemstress/workload/internal/block"
	"umemstress/workload/internal/file"
	"umemstress/workload/internal/mount"
	"umemstress/workload/internal/nfsd"
	"umemstress/workload/scenario"
)

// Scratch is a file system of the run's own: a file without a name, a loop
// device over it that clears itself, perhaps one that encrypts over that, and a mount that
// no mount table shows. Each goes away with the last descriptor of this process, however it ends.
type Scratch struct {
	kind    Kind
	bytes   int64     // of the file that there is to be room for
	huge    io.Closer // the huge pages of a file system that is made of them
	dir     string    // where the file is, which has no name
	backing *os.File
	loop    *os.File // the device that is mounted
	root    *os.File // the mount's root directory
	within  *os.File // the directory of the file; nil: the root
	store   *nfsd.Store
	madeBy  string // the program that made it, with its version; empty: none did
}

// NewScratch takes the space for a file system of the given kind with room for a
// file of fileBytes: a nameless file in directory dir. It takes no time, and nothing
// is there before Make.
func NewScratch(dir string, kind Kind, fileBytes int64) (*Scratch, error) {
	s := &Scratch{kind: kind, bytes: fileBytes, dir: dir}
	if kind.Backing == scenario.InMemory {
		return s, nil
	}
	var err error
	if s.backing, err = file.Nameless(dir, s.space()); err != nil {
		return nil, err
	}
	return s, nil
}

// space is how many bytes it takes.
func (s *Scratch) space() int64 {
	if s.kind.Backing == scenario.OnServer { // it is the file
		return s.bytes
	}
	// mke2fs wants a journal to take no more than half of the blocks.
	return s.bytes + s.bytes/8 + s.kind.extra + 2*s.kind.journalBytes(s.bytes)
}

// Make makes the file system and mounts it. After an error, too, Close is to be called.
func (s *Scratch) Make(ctx context.Context) (err error) {
	switch s.kind.Backing {
	case scenario.InMemory:
		return s.mountMemory()
	case scenario.OnServer:
		s.store, err = nfsd.Mount(ctx, s.backing)
		return err
	case scenario.OnPmem:
		return s.makeOnPmem(ctx)
	}
	if s.kind.ciphered {
		err = s.makeCiphered(ctx)
	} else {
		err = s.makeOnFile(ctx)
	}
	if err != nil || s.kind.Backing == scenario.OnDevice {
		return err
	}
	if s.loop, err = block.ForReading(s.loop); err != nil {
		return err
	}
	if err := s.mount(block.PathOf(s.loop)); err != nil || !s.kind.encrypted {
		return err
	}
	s.within, err = encryptedDirectory(s.root)
	return err
}

// makeOnFile makes the file system on the file, and the device of it.
func (s *Scratch) makeOnFile(ctx context.Context) (err error) {
	if s.madeBy, err = s.kind.make(ctx, s.backing, s.bytes); err != nil {
		return err
	}
	s.loop, err = block.AttachLoop(ctx, s.backing)
	return err
}

// makeCiphered makes the file system on a device that encrypts, since nobody could read it from
// the file. The device keeps the loop device that it is over.
func (s *Scratch) makeCiphered(ctx context.Context) (err error) {
	loop, err := block.AttachLoop(ctx, s.backing)
	if err != nil {
		return err
	}
	s.loop, err = block.NewCrypt(ctx, loop, s.space(), s.dir)
	if err = errors.Join(err, loop.Close()); err != nil {
		return err
	}
	s.madeBy, err = s.kind.make(ctx, s.loop, s.bytes)
	return err
}

// mountMemory mounts a file system that needs no device.
func (s *Scratch) mountMemory() (err error) {
	if s.kind.PageBytes > 0 {
		if s.huge, err = reserveHugepages(int(s.bytes / s.kind.PageBytes)); err != nil {
			return err
		}
	}
	return s.mount("umemstress")
}

func (s *Scratch) mount(source string) (err error) {
	if s.root, err = mount.Detached(s.kind.fstype, source, s.kind.mount); err != nil {
		return fmt.Errorf("%w; --file PATH needs no mount", err)
	}
	return nil
}

// Create makes the run's file on the scratch, open for reading and writing. On a
// raw block device, that is the device.
func (s *Scratch) Create() (*File, error) {
	switch s.kind.Backing {
	case scenario.OnDevice:
		return newDeviceFile(s.loop)
	case scenario.OnServer:
		return newServedFile(s.store.File)
	}
	dir := s.root
	if s.within != nil {
		dir = s.within
	}
	f, err := newFile(dir, "region", true)
	if err == nil {
		f.Info.Mkfs = s.madeBy
	}
	return f, err
}

// Handles are the descriptors that keep the file system there.
func (s *Scratch) Handles() []*os.File {
	if s == nil {
		return nil
	}
	return []*os.File{s.root, s.loop, s.backing}
}

// Close gives the file system, its loop device and its space back.
func (s *Scratch) Close() error {
	var errs []error
	for _, f := range []*os.File{s.within, s.root, s.loop, s.backing} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if s.huge != nil {
		errs = append(errs, s.huge.Close())
	}
	errs = append(errs, s.store.Close())
	s.store, s.within, s.root, s.loop, s.backing, s.huge = nil, nil, nil, nil, nil, nil
	return errors.Join(errs...)
}
