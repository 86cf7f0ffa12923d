package nfsd

import (
	"context"
	"io/fs"
	"net"
	"path"
	"time"

	"github.com/go-git/go-billy/v5"
	nfs "github.com/willscott/go-nfs"
)

// fileName is the file's, in the root directory.
const fileName = "file"

// content is what the file has.
type content interface {
	size() (int64, error)
	open() billy.File
	writable() bool
}

// export is the file system: a directory with one file, which stays there.
type export struct {
	billy.Filesystem // nil: what is not below refuses nothing that go-nfs asks of it
	content          content
}

// Capabilities has go-nfs refuse all that would change a file that is only read.
func (e export) Capabilities() billy.Capability {
	if e.content.writable() {
		return billy.AllCapabilities
	}
	return billy.ReadCapability | billy.SeekCapability
}

func (e export) Join(elem ...string) string { return path.Join(elem...) }

func (e export) Stat(name string) (fs.FileInfo, error) { return e.Lstat(name) }

func (e export) Lstat(name string) (fs.FileInfo, error) {
	switch path.Clean("/" + name) {
	case "/":
		return info{name: "/", mode: fs.ModeDir | 0o755}, nil
	case "/" + fileName:
		size, err := e.content.size()
		return info{name: fileName, mode: 0o600, size: size}, err
	}
	return nil, fs.ErrNotExist
}

func (e export) Open(name string) (billy.File, error) {
	if i, err := e.Lstat(name); err != nil || i.IsDir() {
		return nil, fs.ErrNotExist
	}
	return e.content.open(), nil
}

func (e export) OpenFile(name string, _ int, _ fs.FileMode) (billy.File, error) { return e.Open(name) }

func (e export) ReadDir(string) ([]fs.FileInfo, error) {
	i, err := e.Lstat(fileName)
	return []fs.FileInfo{i}, err
}

// What follows would have the directory change.

func (e export) Create(string) (billy.File, error)  { return nil, fs.ErrPermission }
func (e export) Rename(string, string) error        { return fs.ErrPermission }
func (e export) Remove(string) error                { return fs.ErrPermission }
func (e export) MkdirAll(string, fs.FileMode) error { return fs.ErrPermission }
func (e export) Symlink(string, string) error       { return fs.ErrPermission }
func (e export) Readlink(string) (string, error)    { return "", fs.ErrInvalid }

// held is the content of a file whose reads wait.
type held struct {
	bytes int64
	gate  *gate
}

func (h held) size() (int64, error) { return h.bytes, nil }
func (h held) open() billy.File     { return heldFile{gate: h.gate} }
func (h held) writable() bool       { return false }

// heldFile is the file when it is open.
type heldFile struct {
	billy.File // nil: go-nfs reads by ReadAt
	gate       *gate
}

func (f heldFile) ReadAt(into []byte, at int64) (int, error) { return f.gate.ReadAt(into, at) }
func (f heldFile) Close() error                              { return nil }

// info is what GETATTR tells. Time stands still, so that no client drops what it knows.
type info struct {
	name string
	mode fs.FileMode
	size int64
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return time.Unix(1, 0) }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }

// handler is what go-nfs asks for the file system.
type handler struct{ export export }

// The handles of the directory and of the file. Of one whose length is no multiple of 4, go-nfs
// would read the padding as what follows it (0.0.4, go-nfs-client's xdr.ReadOpaque).
const (
	handleRoot = "root"
	handleFile = "file"
)

func (h handler) Mount(context.Context, net.Conn, nfs.MountRequest) (nfs.MountStatus, billy.Filesystem, []nfs.AuthFlavor) {
	return nfs.MountStatusOk, h.export, []nfs.AuthFlavor{nfs.AuthFlavorNull}
}

// Change takes every change of owner, mode and time of a file that can be written to, and makes none: a
// client that truncates a file sets its time, too.
func (h handler) Change(billy.Filesystem) billy.Change {
	if h.export.content.writable() {
		return unchanged{}
	}
	return nil
}

type unchanged struct{}

func (unchanged) Chmod(string, fs.FileMode) error            { return nil }
func (unchanged) Lchown(string, int, int) error              { return nil }
func (unchanged) Chown(string, int, int) error               { return nil }
func (unchanged) Chtimes(string, time.Time, time.Time) error { return nil }

func (h handler) FSStat(_ context.Context, _ billy.Filesystem, s *nfs.FSStat) error {
	size, err := h.export.content.size()
	s.TotalSize, s.TotalFiles = uint64(size), 2
	return err
}

func (h handler) ToHandle(_ billy.Filesystem, names []string) []byte {
	if len(names) == 0 {
		return []byte(handleRoot)
	}
	return []byte(handleFile)
}

func (h handler) FromHandle(handle []byte) (billy.Filesystem, []string, error) {
	switch string(handle) {
	case handleRoot:
		return h.export, nil, nil
	case handleFile:
		return h.export, []string{fileName}, nil
	}
	return nil, nil, fs.ErrNotExist
}

func (h handler) InvalidateHandle(billy.Filesystem, []byte) error { return nil }

func (h handler) HandleLimit() int { return 2 }
