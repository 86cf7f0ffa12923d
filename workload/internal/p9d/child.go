package p9d

import (
	"fmt"
	"io"
	"net"
	"os"

	"github.com/hugelgupf/p9/fsimpl/templatefs"
	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"

	"umemstress/workload/internal/lateread"
)

// Child is the name of the child that Main is.
const Child = "9p-server"

// Main serves a file of the size that its argument gives, until its input ends.
func Main(args []string, in io.Reader, out io.Writer) error {
	reads, err := lateread.Child(args, in, out)
	if err != nil {
		return err
	}
	connection, err := net.FileConn(reads.Connection)
	if err != nil {
		return fmt.Errorf("serve 9p: %w", err)
	}
	if err := reads.Connection.Close(); err != nil { // a copy
		return err
	}
	go func() { _ = p9.NewServer(root{reads}).Handle(connection, connection) }() // until the kernel has it no more
	return reads.Follow()
}

// root attaches the directory that is mounted.
type root struct{ reads *lateread.Reads }

func (r root) Attach() (p9.File, error) { return &directory{reads: r.reads}, nil }

var (
	directoryQID = p9.QID{Type: p9.TypeDir, Path: 1}
	fileQID      = p9.QID{Type: p9.TypeRegular, Path: 2}
)

// directory has one file. What is asked of it besides is not there.
type directory struct {
	templatefs.NoopFile
	reads *lateread.Reads
}

func (d *directory) Walk(names []string) ([]p9.QID, p9.File, error) {
	switch {
	case len(names) == 0:
		return nil, &directory{reads: d.reads}, nil
	case len(names) > 1 || names[0] != fileName:
		return nil, nil, linux.ENOENT
	}
	return []p9.QID{fileQID}, &file{reads: d.reads}, nil
}

func (d *directory) GetAttr(asked p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	return directoryQID, asked, p9.Attr{Mode: p9.ModeDirectory | 0o500, NLink: 2, UID: p9.UID(os.Geteuid()), GID: p9.GID(os.Getegid())}, nil
}

type file struct {
	templatefs.NoopFile
	reads *lateread.Reads
}

func (f *file) Walk(names []string) ([]p9.QID, p9.File, error) {
	if len(names) > 0 {
		return nil, nil, linux.ENOTDIR
	}
	return nil, &file{reads: f.reads}, nil
}

func (f *file) GetAttr(asked p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	return fileQID, asked, p9.Attr{Mode: p9.ModeRegular | 0o400, NLink: 1, UID: p9.UID(os.Geteuid()), GID: p9.GID(os.Getegid()), Size: uint64(f.reads.Size)}, nil
}

// Open leaves it to the kernel how much it asks for at a time.
func (f *file) Open(p9.OpenFlags) (p9.QID, uint32, error) { return fileQID, 0, nil }

// ReadAt waits until reads are let go.
func (f *file) ReadAt(into []byte, at int64) (int, error) {
	length := int(min(int64(len(into)), max(f.reads.Size-at, 0)))
	if length == 0 {
		return 0, io.EOF
	}
	n := 0
	for _, piece := range f.reads.Await(at, length) {
		n += copy(into[n:], piece)
	}
	return n, nil
}
