// Package late serves a directory by FUSE whose reads wait until a virtual machine tells it to let them go:
// the machine's monitor (QEMU) shares it by 9p over virtio, with the tag [Tag], and the guest's kernel keeps
// pages pinned for as long as the answer takes. The server is this process; it has neither a process of
// its own nor, until it is attached, a place in the mount table.
//
// In the directory is the file [Control]. To open it begins a session, which ends when it is closed. What is
// read from it is a line with the session's number, and one for each read that has arrived, as
// lateread.Arrival has them. What is written to it, in order, is a line with a number of bytes, and so many bytes:
// once all are there, the session's reads are answered by them, over and over. Its reads are those of the
// file that is named [Reads] and its number. Those that wait when it ends fail with EIO.
package late

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"umemstress/workload/child"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/fused"
)

const (
	// Tag is what the guest finds the share by (QEMU's mount_tag).
	Tag = "umemstress-late"
	// Control is the file that tells of reads and lets them go.
	Control = "control"
	// Reads is how the names of files begin whose reads wait.
	Reads = "reads."
	// Size is that of such a file, in bytes.
	Size = 1 << 40
)

// Server serves until it is closed.
type Server struct {
	root      *os.File // of the mount, which lives as long as somebody has it open, or it is attached
	directory *directory
	ended     chan struct{} // closed when the mount is gone
	attached  *child.Janitor
}

// Serve mounts the directory where no mount table shows it, for every user who comes to it.
func Serve() (*Server, error) {
	connection, root, err := fused.Connect(map[string]string{"allow_other": ""})
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	own, err := unix.FcntlInt(connection.Fd(), unix.F_DUPFD_CLOEXEC, 0) // the library closes it
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve FUSE: %w", err), root.Close())
	}
	s := &Server{root: root, directory: newDirectory(), ended: make(chan struct{})}
	server, err := fuse.NewServer(s.directory, fmt.Sprintf("/dev/fd/%d", own), &fuse.MountOptions{
		MaxWrite: fused.ReadBytes, DisableXAttrs: true,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve FUSE: %w", err), root.Close())
	}
	go func() {
		defer close(s.ended)
		server.Serve()
	}()
	return s, nil
}

// unmount unmounts $1, which the mount table writes as $2, where it is such a mount: who is killed may not have come so far.
const unmount = `while read -r source at rest; do
	[ "$source" != umemstress ] || [ "$at" != "$2" ] || umount -l -- "$1"
done </proc/self/mounts`

// CheckDirectory says whether the mount would hide nothing there.
func CheckDirectory(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case err != nil:
		return fault.Usagef("%w; give a directory that is there and empty", err)
	case len(entries) > 0:
		return fault.Usagef("%s is not empty: give a directory that is", dir)
	}
	return nil
}

// Attach shows the mount at an empty directory, until Close, or until this process has ended in whatever way.
func (s *Server) Attach(dir string) error {
	if err := CheckDirectory(dir); err != nil {
		return err
	}
	path, err := filepath.Abs(dir)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return err
	}
	if s.attached, err = child.StartJanitor(nil, unmount, path, inMountTable.Replace(path)); err != nil {
		return err
	}
	if err := unix.MoveMount(int(s.root.Fd()), "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fault.Lacksf("show the mount at %s: move_mount: %w", path, err)
	}
	return nil
}

// inMountTable writes a path as the kernel does there (fs/proc_namespace.c, show_vfsmnt).
var inMountTable = strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`)

// Give gives the root of the mount away, which then is the caller's to close.
func (s *Server) Give() *os.File {
	root := s.root
	s.root = nil
	return root
}

// fail ends reads that wait, and no others come to wait.
func (s *Server) fail() { s.directory.fail() }

// farewell bounds how long the mount may take to go once nobody has it open.
const farewell = 10 * time.Second

// Close unmounts, once whoever else has the root open is gone. A nil server is closed.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	s.fail()
	var errs []error
	if s.attached != nil {
		errs = append(errs, s.attached.Close())
		s.attached = nil
	}
	if s.root != nil {
		errs = append(errs, s.root.Close())
		s.root = nil
	}
	select {
	case <-s.ended:
	case <-time.After(farewell):
		errs = append(errs, errors.New("the directory of late reads is still in use, so that it stays mounted until this process ends"))
	}
	return errors.Join(errs...)
}
