package nfsd

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path"
	"time"

	"github.com/go-git/go-billy/v5"
	nfs "github.com/willscott/go-nfs"
	"golang.org/x/sys/unix"
)

// fileName is the file's, in the root directory.
const fileName = "source"

// export is the file system: a directory with one file, of which nothing can be changed.
type export struct {
	billy.Filesystem // nil: what is not below is nothing that go-nfs asks of one that cannot be written to
	size             int64
	gate             *gate
}

// Capabilities has go-nfs refuse all that would change something.
func (e export) Capabilities() billy.Capability { return billy.ReadCapability | billy.SeekCapability }

func (e export) Join(elem ...string) string { return path.Join(elem...) }

func (e export) Stat(name string) (fs.FileInfo, error) { return e.Lstat(name) }

func (e export) Lstat(name string) (fs.FileInfo, error) {
	switch path.Clean("/" + name) {
	case "/":
		return info{name: "/", mode: fs.ModeDir | 0o555}, nil
	case "/" + fileName:
		return info{name: fileName, mode: 0o444, size: e.size}, nil
	}
	return nil, fs.ErrNotExist
}

func (e export) Open(name string) (billy.File, error) {
	if i, err := e.Lstat(name); err != nil || i.IsDir() {
		return nil, fs.ErrNotExist
	}
	return file{gate: e.gate}, nil
}

func (e export) OpenFile(name string, flag int, _ fs.FileMode) (billy.File, error) {
	if flag&(unix.O_ACCMODE|os.O_CREATE|os.O_TRUNC) != os.O_RDONLY {
		return nil, fs.ErrPermission
	}
	return e.Open(name)
}

func (e export) ReadDir(string) ([]fs.FileInfo, error) {
	i, err := e.Lstat(fileName)
	return []fs.FileInfo{i}, err
}

func (e export) Readlink(string) (string, error) { return "", fs.ErrInvalid }

// file is the file when it is open.
type file struct {
	billy.File // nil: go-nfs reads by ReadAt
	gate       *gate
}

func (f file) ReadAt(into []byte, at int64) (int, error) { return f.gate.ReadAt(into, at) }

func (f file) Close() error { return nil }

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

func (h handler) Change(billy.Filesystem) billy.Change { return nil }

func (h handler) FSStat(_ context.Context, _ billy.Filesystem, s *nfs.FSStat) error {
	s.TotalSize = uint64(h.export.size)
	s.TotalFiles = 2
	return nil
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
